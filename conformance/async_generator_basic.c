/* An asynchronous generator runs up to each yield on demand, and may wait in between.
 *
 * Nothing of it runs before the first item is asked for.
 *
 * Why: Lazy start and resumption at the yield are what users of generators count on. */
#include "kit/kit.h"

COIL_ASYNC_GEN(ticker, (int, n))
{
    at("generator begins");
    for (int i = 0; i < n; i++) {
        COIL_TRY(coil_sleep(1));
        at("yields", i);
        COIL_TRY(coil_yield(i, NULL));
    }
    at("generator ends");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_gen *gen = ticker(3);
    COIL_TRY(coil_sleep(1));
    at("made, not begun");
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0) {
        at("got", value);
        COIL_TRY(coil_sleep(0.5));
    }
    if (rc != COIL_EEND)
        return rc;
    at("loop over");
    while ((rc = coil_gen_next(gen, &value)) == 0)
        at("not printed: it is exhausted");
    coil_unref(gen);
    return rc == COIL_EEND ? 0 : rc;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
