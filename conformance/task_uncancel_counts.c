/* A cancellation adds one to the count of requests, uncancel takes one off, never below zero.
 *
 * As of Python 3.13, bringing the count to zero also withdraws a cancellation that has not been
 * delivered yet; while requests remain, it is still delivered.
 *
 * Why: Nested timeouts and groups only work if this arithmetic is exact. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_task *task = coil_current_task();
    int requests = coil_task_cancelling(task);
    say("start", requests, "uncancel at zero", coil_task_uncancel(task));
    coil_task_cancel(task, NULL);
    coil_task_cancel(task, NULL);
    say("two requests", coil_task_cancelling(task));
    say("uncancel", coil_task_uncancel(task));
    int rc = coil_sleep(0);
    if (rc == COIL_ECANCELED)
        say("delivered", kind(rc), "requests", coil_task_cancelling(task));
    else
        say("not printed");
    say("uncancel", coil_task_uncancel(task));
    COIL_TRY(coil_sleep(0));
    say("no second delivery");

    coil_task_cancel(task, NULL);
    say("withdrawn before delivery:", coil_task_uncancel(task));
    COIL_TRY(coil_sleep(0));
    say("nothing was delivered");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
