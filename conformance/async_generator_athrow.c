/* athrow() raises an error at the yield; the generator may handle it and yield on, or let it out
 * and end.
 *
 * Thrown into an exhausted generator the error vanishes, and the await gives nil; thrown into one
 * that has not begun, it comes straight back and the generator is over.
 *
 * Why: Context managers made from generators are built on it; the two silent cases are easily got
 * wrong. */
#include "kit/kit.h"

COIL_ASYNC_GEN0(source)
{
    for (int i = 0; i < 5; i++) {
        int rc = coil_yield(i, NULL);
        if (rc == COIL_EAPP) {
            bool fatal = strcmp(coil_error_message(coil_error_current(rc)), "fatal") == 0;
            at("generator handles", kind(rc));
            COIL_TRY(coil_sleep(1));
            rc = fatal ? boom("let out") : coil_yield(coil_string("sorry"), NULL);
        }
        COIL_TRY(rc);
    }
    return 0;
}

static coil_value exhausted(coil_gen *gen)
{
    return coil_string(coil_gen_next(gen, NULL) == COIL_EEND ? "yes" : "no");
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = source();
    coil_value value;
    COIL_TRY(coil_gen_next(gen, &value));
    at("next", value);
    COIL_TRY(coil_gen_throw(gen, boom("mild"), &value));
    at("throw gives the following yield:", value);
    COIL_TRY(coil_gen_next(gen, &value));
    at("next", value);
    int rc = coil_gen_throw(gen, boom("fatal"), &value);
    if (rc == COIL_EAPP)
        at("throw raised", kind(rc));
    at("exhausted:", exhausted(gen));
    COIL_TRY(coil_gen_throw(gen, boom("lost"), &value));
    at("thrown into an exhausted one, the error is lost:", value);
    coil_unref(gen);

    coil_gen *fresh = source();
    rc = coil_gen_throw(fresh, boom("before the start"), &value);
    coil_value token = kind(rc);
    at("not begun:", token, "exhausted:", exhausted(fresh));
    coil_unref(fresh);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
