/* Generators stacked on one another: each item is pulled through all the stages, one at a time.
 *
 * Why: It pins that nothing is buffered between stages: the timing shows one item at a time. */
#include "kit/kit.h"

COIL_ASYNC_GEN0(numbers)
{
    for (int i = 1; i < 6; i++) {
        COIL_TRY(coil_sleep(1));
        at("source", i);
        COIL_TRY(coil_yield(i, NULL));
    }
    return 0;
}

/* A stage owns the one before it. */
static int end_stage(coil_gen *source, int rc)
{
    coil_unref(source);
    return rc == COIL_EEND ? 0 : rc;
}

COIL_ASYNC_GEN(odd, (coil_gen *, source))
{
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(source, &value)) == 0)
        if (value.integer % 2 && (rc = coil_yield(value, NULL)) < 0)
            break;
    return end_stage(source, rc);
}

COIL_ASYNC_GEN(squares, (coil_gen *, source))
{
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(source, &value)) == 0) {
        rc = coil_sleep(0.5);
        if (rc == 0)
            rc = coil_yield(value.integer * value.integer, NULL);
        if (rc < 0)
            break;
    }
    return end_stage(source, rc);
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = squares(odd(numbers()));
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0)
        at("got", value);
    return end_stage(gen, rc);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
