/* Cancelling a task cancels what it awaits: task by task down to the sleeping leaf, then errors
 * climb up.
 *
 * Why: Cancelling the top must stop the work at the bottom, not just the waiting for it. */
#include "kit/kit.h"

COIL_ASYNC0(leaf)
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        say("leaf", kind(rc));
    return rc;
}

COIL_ASYNC(branch, (const char *, name), (coil_task *, child))
{
    int rc = coil_await(child, NULL);
    if (rc == COIL_ECANCELED)
        say(name, kind(rc), "child done", coil_future_done(child), "own requests",
            coil_task_cancelling(coil_current_task()));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[3];
    tasks[0] = coil_create_task(leaf());
    tasks[1] = coil_create_task(branch("inner", tasks[0]));
    tasks[2] = coil_create_task(branch("outer", tasks[1]));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[2], "stop");
    say("leaf is asked in the same call:", coil_task_cancelling(tasks[0]),
        coil_task_cancelling(tasks[1]), coil_task_cancelling(tasks[2]));
    COIL_TRY(coil_wait(&tasks[2], 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(outcomes(tasks, 3));
    unref_all(tasks, 3);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
