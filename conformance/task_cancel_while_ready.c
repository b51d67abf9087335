/* Cancelling a task that is already due to resume: the wake-up becomes a cancellation.
 *
 * The awaited future did complete, but the task never sees its result. The other way round, the
 * cancellation cancels the awaited future too, and a later set_result is refused.
 *
 * Why: It is the classic race: completed and cancelled in the same instant. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_future *, fut))
{
    coil_value value;
    int rc = coil_await(fut, &value);
    if (rc == COIL_ECANCELED)
        say("waiter got", kind(rc), "future cancelled", coil_future_cancelled(fut));
    COIL_TRY(rc);
    say("waiter got result", value);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_future *fut = coil_create_future(loop);
    coil_task *task = coil_create_task(waiter(fut));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(fut, coil_v("value")));
    say("result first, then cancel:", coil_task_cancel(task, NULL));
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    coil_value held;
    COIL_TRY(coil_future_result(fut, &held));
    say("task cancelled", coil_future_cancelled(task), "future still holds", held);
    coil_unref(task);
    coil_unref(fut);

    fut = coil_create_future(loop);
    task = coil_create_task(waiter(fut));
    COIL_TRY(coil_sleep(0));
    bool asked = coil_task_cancel(task, NULL);
    say("cancel first, then result:", asked, "future cancelled", coil_future_cancelled(fut));
    int rc = coil_future_set_result(fut, coil_v("value"));
    if (rc == COIL_EINVALIDSTATE)
        say("set_result", kind(rc));
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say("task cancelled", coil_future_cancelled(task));
    coil_unref(task);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
