/* A coroutine object that is released without ever being awaited is reported by name; a closed or
 * used one is not.
 *
 * In debug mode the report also says where the object was made (origin).
 *
 * Why: The forgotten await is the most frequent mistake of all. */
#include "kit/kit.h"

COIL_ASYNC0(forgotten)
{
    return 0;
}

COIL_ASYNC0(used)
{
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_unref(forgotten());
    say("after forgetting one");
    COIL_TRY(coil_await(used(), NULL));
    coil_coro *closed = forgotten();
    COIL_TRY(coil_coro_close(closed));
    say("end");
    return 0;
}

int main(void)
{
    print_warnings();
    must(run(amain(), 0, NULL));
    must(run(amain(), DEBUG, NULL));
}
