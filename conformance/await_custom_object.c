/* Any object may define how it is awaited: it may suspend zero or more times and then give a
 * value.
 *
 * One bare suspension gives the others exactly one turn.
 *
 * Why: Libraries build their own waiting objects; they need one exact contract. */
#include "kit/kit.h"

/* Gives way n times, then is worth `value`. */
struct turns {
    coil_awaitable awaitable;
    int n;
    const char *value;
};

static int turns_wait(coil_awaitable *self, coil_value *value_out)
{
    struct turns *turns = (struct turns *)self;
    for (int i = 0; i < turns->n; i++) {
        say("gives way", i);
        COIL_TRY(coil_sleep(0));
    }
    *value_out = coil_v(turns->value);
    return 0;
}

#define TURNS(n, value)                                                                            \
    {                                                                                              \
        COIL_AWAITABLE_INIT(turns_wait), n, value                                                  \
    }

COIL_ASYNC0(ticker)
{
    for (int i = 0; i < 4; i++) {
        say("tick", i);
        COIL_TRY(coil_sleep(0));
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(ticker());
    coil_value value, values[2];
    struct turns none = TURNS(0, "v0");
    COIL_TRY(coil_await(&none.awaitable, &value));
    say("zero turns", value);
    struct turns two = TURNS(2, "v2");
    COIL_TRY(coil_await(&two.awaitable, &value));
    say("two turns", value);
    struct turns gathered[] = { TURNS(1, "g1"), TURNS(0, "g0") };
    COIL_TRY(coil_gather(values, &gathered[0].awaitable, &gathered[1].awaitable));
    say("in a gather", list_of(values, 2));
    COIL_TRY(join(task, NULL));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
