/* Two cancellations before the task runs again are delivered as one error, but counted twice.
 *
 * Why: Timeouts and groups tell requests apart by the count alone. */
#include "kit/kit.h"

COIL_ASYNC0(worker)
{
    for (int i = 0; i < 2; i++) {
        int rc = coil_sleep(1);
        if (rc == COIL_ECANCELED) {
            say("worker got", kind(rc), "requests", coil_task_cancelling(coil_current_task()));
            continue;
        }
        COIL_TRY(rc);
        say("worker slept undisturbed", i);
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(worker());
    COIL_TRY(coil_sleep(0));
    say("first", coil_task_cancel(task, "one"));
    say("second", coil_task_cancel(task, "two"));
    COIL_TRY(coil_await(task, NULL));
    say("cancelled", coil_future_cancelled(task), "requests", coil_task_cancelling(task));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
