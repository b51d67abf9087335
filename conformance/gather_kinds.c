/* gather takes coroutines, tasks, futures and custom awaitables, and waits for all alike.
 *
 * Children that are done already do not make it return early, and with all of them done the await
 * does not suspend.
 *
 * Why: Users mix them freely, and the cost of waiting must be the same for all. */
#include "kit/kit.h"

COIL_ASYNC0(coro)
{
    coil_return("coroutine");
}

static int set_result(void *future)
{
    return coil_future_set_result(future, coil_v("future"));
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_future *fut = coil_create_future(loop);
    COIL_TRY(coil_call_later(loop, 1, set_result, fut, NULL));
    coil_task *task = create_task(coro(), .name = "t");
    coil_value values[3];
    COIL_TRY(coil_gather(values, coro(), fut, task));
    say(list_of(values, 3));
    COIL_TRY(call_soon(loop, say, "queued: runs only if main suspends"));
    COIL_TRY(coil_gather(values, fut, task));
    say("all done:", list_of(values, 2));
    say("none suspended");
    coil_unref(task);
    coil_unref(fut);
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
