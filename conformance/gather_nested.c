/* A gather inside a gather: results nest, and an inner error climbs through both.
 *
 * Inner siblings and outer siblings keep running.
 *
 * Why: Composition must not change what errors and results look like. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    if (error)
        return boom(error);
    coil_return(name);
}

/* asyncio.gather(a, b), not awaited yet */
static coil_future *gather_later(coil_coro *a, coil_coro *b)
{
    void *const both[] = { a, b };
    return coil_gather_future(NULL, both, 2, 0);
}

COIL_ASYNC0(amain)
{
    coil_coro *outer = work("a", 1, NULL);
    coil_future *inner = gather_later(work("b", 2, NULL), work("c", 0.5, NULL));
    coil_value values[2];
    COIL_TRY(coil_gather(values, outer, inner));
    at(list_of(values, 2));
    coil_unref(inner);

    outer = work("d", 3, NULL);
    inner = gather_later(work("e", 1, "e broke"), work("f", 2, NULL));
    int rc = coil_gather(NULL, outer, inner);
    if (rc == COIL_EAPP)
        at("raised", kind(rc));
    coil_unref(inner);
    return coil_sleep(3);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
