/* Cancelling a task inside its blocks closes them from the inside out, and each close may wait.
 *
 * A second cancel() during the cleanup interrupts that cleanup's own waiting.
 *
 * Why: Cancellation is only usable if cleanup runs, in order, and may itself wait. */
#include "kit/kit.h"

COIL_ASYNC_GEN(resource, (const char *, name))
{
    at(name, "open");
    int rc = coil_yield(name, NULL);
    at(name, "closing because of", kind(rc));
    int interrupted = coil_sleep(1);
    if (interrupted == COIL_ECANCELED)
        at(name, "closing was interrupted");
    COIL_TRY(interrupted);
    at(name, "closed");
    return rc;
}

static int inner_block(void)
{
    coil_scope inner;
    COIL_TRY(coil_scope_enter(&inner, resource("inner"), NULL));
    int rc = coil_sleep(10);
    return coil_scope_exit(&inner, rc);
}

COIL_ASYNC0(work)
{
    coil_scope outer;
    COIL_TRY(coil_scope_enter(&outer, resource("outer"), NULL));
    int rc = inner_block();
    return coil_scope_exit(&outer, rc);
}

COIL_ASYNC0(amain)
{
    for (int again = 0; again < 2; again++) {
        coil_task *task = coil_create_task(work());
        COIL_TRY(coil_sleep(1));
        coil_task_cancel(task, NULL);
        if (again) {
            COIL_TRY(coil_sleep(0.5));
            coil_task_cancel(task, NULL);
        }
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        at(outcome(task));
        coil_unref(task);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
