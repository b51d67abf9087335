/* An exit request raised inside a task leaves the loop at once, unlike any other error.
 *
 * The task is finished with it, and the loop can run again afterwards.
 *
 * Why: An embedding program needs a way out that no error handler catches. */
#include "kit/kit.h"

COIL_ASYNC0(quits)
{
    return coil_exit(3);
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(quits());
    COIL_TRY(call_soon(coil_get_running_loop(), say, "callback behind the quitting task"));
    COIL_TRY(coil_sleep(1));
    say("main goes on when the loop runs again");
    coil_value ended = outcome(task);
    coil_unref(task);
    coil_return(ended);
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    coil_task *task = coil_create_task_with(loop, amain(), NULL);
    int rc = coil_run_until_complete(loop, task, NULL);
    if (rc == COIL_EEXIT)
        say("left the loop:", kind(rc), "main done", coil_future_done(task));
    coil_value value;
    must(coil_run_until_complete(loop, task, &value));
    say("again:", value);
    coil_unref(task);
    end_loop(loop);
}
