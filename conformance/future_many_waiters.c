/* Several tasks may await one future; they resume in the order in which they began to wait.
 *
 * Why: Broadcast through one future is common, and fairness is expected of it. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (const char *, name), (coil_future *, fut))
{
    say(name, "waits");
    coil_value got;
    COIL_TRY(coil_await(fut, &got));
    say(name, "got", got);
    return 0;
}

static int callback(COIL_UNUSED coil_future *future, COIL_UNUSED void *arg)
{
    say("callback added after the waiters");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_future *fut = coil_create_future(NULL);
    coil_task *tasks[4];
    tasks[0] = coil_create_task(waiter("w1", fut));
    tasks[1] = coil_create_task(waiter("w2", fut));
    tasks[2] = coil_create_task(waiter("w3", fut));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_add_done_callback(fut, callback, NULL, NULL));
    tasks[3] = coil_create_task(waiter("w4", fut));
    COIL_TRY(coil_future_set_result(fut, coil_v("x")));
    say("set");
    for (int i = 0; i < 4; i++)
        COIL_TRY(join(tasks[i], NULL));
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
