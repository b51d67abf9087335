/* Done callbacks run in the order they were added, in the iteration after completion.
 *
 * Setting the result calls nothing itself; it queues the callbacks as call_soon does.
 *
 * Why: Tasks, gather and wait are all driven by done callbacks: their order is the scheduler's
 * order. */
#include "kit/kit.h"

static int callback(coil_future *future, void *name)
{
    say("callback", (const char *)name, outcome(future));
    return 0;
}

COIL_ASYNC0(amain)
{
    static const char *const names[] = { "a", "b", "c" };
    coil_loop *loop = coil_get_running_loop();
    coil_future *fut = coil_create_future(loop);
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_future_add_done_callback(fut, callback, text_arg(names[i]), NULL));
    COIL_TRY(call_soon(loop, say, "queued before set_result"));
    COIL_TRY(coil_future_set_result(fut, coil_v(5)));
    COIL_TRY(call_soon(loop, say, "queued after set_result"));
    say("set_result returned, done", coil_future_done(fut));
    COIL_TRY(coil_sleep(0));
    say("one iteration later");
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
