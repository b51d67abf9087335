/* The exact steps of a cancellation that climbs through two tasks, with a cleanup that waits in
 * the inner one.
 *
 * Why: The number and order of steps is what other tasks observe while a cancellation is under
 * way. */
#include "kit/kit.h"

COIL_ASYNC0(inner)
{
    int rc = coil_sleep(10);
    COIL_TRY(coil_sleep(0.5)); /* the cleanup; its own failure takes the place of rc */
    return rc;
}

COIL_ASYNC(outer, (coil_task *, task))
{
    int rc = coil_await(task, NULL);
    if (rc == COIL_ECANCELED)
        at("outer got", kind(rc));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *first = coil_create_task(inner());
    coil_task *second = coil_create_task(outer(first));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(second, NULL);
    at("cancelled");
    COIL_TRY(coil_wait(&second, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    coil_unref(second);
    coil_unref(first);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
