/* An error inside a generator comes out at the asking side, and ends the generator.
 *
 * Why: A generator that could be resumed after a failure would run in an undefined state. */
#include "kit/kit.h"

static int fail_late(void)
{
    COIL_TRY(coil_yield(1, NULL));
    COIL_TRY(coil_sleep(1));
    return boom("inside");
}

COIL_ASYNC_GEN0(source)
{
    int rc = fail_late();
    at("cleanup");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = source();
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0)
        at("got", value);
    if (rc == COIL_EAPP)
        at("raised", kind(rc));
    if (coil_gen_next(gen, NULL) == COIL_EEND)
        at("exhausted:", "yes");
    coil_unref(gen);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
