/* aclose() raises GENERATOR_EXIT at the yield; the cleanup may wait; closing again is harmless.
 *
 * Closing one that never began runs nothing. A generator that goes on yielding instead of ending
 * makes aclose() fail.
 *
 * Why: A broken-off loop leaves the generator suspended; only aclose gives its resources back. */
#include "kit/kit.h"

COIL_ASYNC_GEN(source, (const char *, name))
{
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = coil_yield(i, NULL);
    if (rc == COIL_ECLOSING)
        at(name, "got", kind(rc));
    COIL_TRY(coil_sleep(1));
    at(name, "cleaned up");
    return rc;
}

COIL_ASYNC_GEN0(stubborn)
{
    int rc = coil_yield(1, NULL);
    return rc == COIL_ECLOSING ? coil_yield(2, NULL) : rc;
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = source("gen");
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0) {
        at("got", value);
        if (value.integer == 1)
            break;
    }
    COIL_TRY(rc);
    at("broke out: nothing cleaned up yet");
    COIL_TRY(coil_gen_close(gen));
    at("closed");
    COIL_TRY(coil_gen_close(gen));
    if (coil_gen_next(gen, NULL) == COIL_EEND)
        at("next after close:", "exhausted");
    coil_unref(gen);

    gen = source("unused");
    COIL_TRY(coil_gen_close(gen));
    coil_unref(gen);
    at("closing an unused one runs nothing");
    gen = stubborn();
    COIL_TRY(coil_gen_next(gen, NULL));
    rc = coil_gen_close(gen);
    at("stubborn:", kind(rc));
    while (coil_gen_next(gen, NULL) == 0)
        ; /* to its end: Coil would report one that cannot be closed */
    coil_unref(gen);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
