/* An object with an asynchronous next is an asynchronous iterator; END_OF_ITERATION ends the loop.
 *
 * Why: It is the protocol below every asynchronous loop. */
#include "kit/kit.h"

struct counter {
    coil_async_iterator iterator;
    int limit, n;
};

static int counter_next(coil_async_iterator *self, coil_value *value_out)
{
    struct counter *counter = (struct counter *)self;
    if (counter->n >= counter->limit)
        return COIL_EEND;
    counter->n++;
    COIL_TRY(coil_sleep(0.5));
    *value_out = coil_int(counter->n);
    return 0;
}

COIL_ASYNC0(amain)
{
    struct counter counter = { { counter_next }, 3, 0 };
    coil_value value;
    int rc;
    while ((rc = coil_anext(&counter.iterator, &value)) == 0)
        at("got", value);
    rc = coil_anext(&counter.iterator, &value);
    if (rc == COIL_EEND)
        at("next", kind(rc));
    struct counter four = { { counter_next }, 4, 0 };
    int64_t total = 0;
    while (coil_anext(&four.iterator, &value) == 0)
        total += value.integer;
    at("total", total);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
