/* A coroutine object can be awaited once; the second await is an error.
 *
 * Why: A used coroutine has nothing left to run; silence here would hide bugs. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    say("work");
    coil_return(1);
}

COIL_ASYNC0(amain)
{
    coil_coro *coro = work();
    coil_ref(coro); /* each await consumes one reference */
    coil_value first;
    COIL_TRY(coil_await(coro, &first));
    say("first", first);
    int rc = coil_await(coro, NULL);
    if (rc < 0)
        say("second", kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
