/* Cancelling a plain future completes it at once and queues its callbacks.
 *
 * Whoever awaits it gets the cancellation as an error, and may catch it: the awaiting task itself
 * was not cancelled.
 *
 * Why: Cancelled as a future and cancelled as a task are two things, told apart by the count of
 * requests. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_future *, fut))
{
    int rc = coil_await(fut, NULL);
    if (rc == COIL_ECANCELED) {
        coil_task *task = coil_current_task();
        say("waiter got", kind(rc), "own requests", coil_task_cancelling(task));
        coil_return("survived");
    }
    return rc;
}

static int callback(coil_future *future, COIL_UNUSED void *arg)
{
    say("callback", outcome(future));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_future *fut = coil_create_future(NULL);
    COIL_TRY(coil_future_add_done_callback(fut, callback, NULL, NULL));
    coil_task *task = coil_create_task(waiter(fut));
    COIL_TRY(coil_sleep(0));
    say("cancel", coil_future_cancel(fut, "why"));
    say("done at once", coil_future_done(fut), coil_future_cancelled(fut));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_await(task, NULL));
    say("task", outcome(task));
    coil_unref(task);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
