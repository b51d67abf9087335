/* Only one task may be inside a generator: a second asker gets an error, and the first is not
 * disturbed.
 *
 * Why: Two tasks inside one frame would corrupt it; the library must notice instead. */
#include "kit/kit.h"

COIL_ASYNC_GEN0(source)
{
    for (int i = 0; i < 3; i++) {
        COIL_TRY(coil_sleep(1));
        COIL_TRY(coil_yield(i, NULL));
    }
    return 0;
}

COIL_ASYNC(asker, (const char *, name), (coil_gen *, gen))
{
    coil_value value;
    int rc = coil_gen_next(gen, &value);
    if (rc == 0)
        at(name, "got", value);
    else if (rc == COIL_ERUNTIME)
        at(name, kind(rc));
    else
        return rc;
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = source();
    COIL_TRY(coil_gather(NULL, asker("a", gen), asker("b", gen)));
    COIL_TRY(coil_await(asker("c", gen), NULL));
    coil_task *task = coil_create_task(asker("d", gen));
    COIL_TRY(coil_sleep(0));
    int rc = coil_gen_close(gen);
    if (rc == COIL_ERUNTIME)
        at("aclose while running:", kind(rc));
    rc = join(task, NULL);
    coil_unref(gen);
    return rc;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
