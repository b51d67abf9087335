/* Cancelling the caller of wait_for cancels what it waits for, and the caller sees CANCELLED, not
 * TIMEOUT.
 *
 * Why: Both parties must end, and the reason must not be confused. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    int rc = coil_sleep(10);
    COIL_TRY(coil_sleep(0.5));
    at("work cleaned up");
    return rc;
}

COIL_ASYNC(caller, (coil_task *, inner))
{
    int rc = coil_wait_for(inner, 5, NULL);
    if (rc < 0)
        at("caller got", kind(rc));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *inner = coil_create_task(work());
    coil_task *task = coil_create_task(caller(inner));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, "by main");
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcome(task), outcome(inner));
    coil_unref(inner);
    coil_unref(task);

    inner = coil_create_task(work());
    task = coil_create_task(caller(inner));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(inner, NULL);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at("inner cancelled directly:", outcome(task), outcome(inner));
    coil_unref(inner);
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
