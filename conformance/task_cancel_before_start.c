/* A task cancelled before its first step never runs its body, yet ends cancelled.
 *
 * coil_task_cancel only asks: the task is not done until its step has been taken.
 *
 * Why: Cleanup code that never began must not run either. */
#include "kit/kit.h"

COIL_ASYNC0(body)
{
    say("body: not printed");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(body());
    bool asked = coil_task_cancel(task, NULL);
    say("cancel", asked, "done", coil_future_done(task), "requests", coil_task_cancelling(task));
    int rc = coil_await(task, NULL);
    if (rc == COIL_ECANCELED)
        say("await raised", kind(rc));
    say("done", coil_future_done(task), "cancelled", coil_future_cancelled(task));
    asked = coil_task_cancel(task, NULL);
    say("cancel when done", asked, "requests", coil_task_cancelling(task));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
