/* Cancellation arrives as an error at the await where the task is suspended; cleanup may await.
 *
 * The awaiter sees the cancellation only after the cleanup has ended.
 *
 * Why: It is the contract of cancellation: where it strikes, and what may follow. */
#include "kit/kit.h"

static int sleep_and_clean_up(void)
{
    at("worker sleeps");
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at("worker got", kind(rc));
        COIL_TRY(coil_sleep(0.5));
        at("worker cleaned up");
        return rc;
    }
    COIL_TRY(rc);
    at("worker: not printed");
    return 0;
}

COIL_ASYNC0(worker)
{
    int rc = sleep_and_clean_up();
    at("worker finally");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(worker());
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, NULL);
    at("cancel asked, done", coil_future_done(task));
    int rc = coil_await(task, NULL);
    if (rc == COIL_ECANCELED)
        at("main got", kind(rc), "cancelled", coil_future_cancelled(task));
    say("main itself has requests:", coil_task_cancelling(coil_current_task()));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
