/* asend() gives the yield its value; the first one must send nothing; at the end comes
 * END_OF_ITERATION.
 *
 * Why: Two-way generators need an exact rule for the first step and for the end. */
#include "kit/kit.h"

COIL_ASYNC_GEN0(adder)
{
    int64_t total = 0;
    while (total < 10) {
        coil_value got;
        COIL_TRY(coil_yield(total, &got));
        at("generator received", got);
        COIL_TRY(coil_sleep(1));
        total += got.kind == COIL_INT ? got.integer : 0;
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = adder();
    coil_value value;
    int rc = coil_gen_send(gen, coil_int(5), &value);
    if (rc == COIL_ETYPE)
        at("value before the start:", kind(rc));
    COIL_TRY(coil_gen_send(gen, coil_nil(), &value));
    at("first", value);
    COIL_TRY(coil_gen_send(gen, coil_int(3), &value));
    at("second", value);
    COIL_TRY(coil_gen_next(gen, &value));
    at("plain next sends nothing:", value);
    rc = coil_gen_send(gen, coil_int(7), &value);
    if (rc == COIL_EEND)
        at("end", kind(rc));
    if (coil_gen_next(gen, &value) == COIL_EEND)
        at("default when exhausted:", "default");
    coil_unref(gen);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
