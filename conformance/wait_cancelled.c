/* Cancelling a task inside wait does not cancel what it waits for.
 *
 * Why: It differs from gather here, and programs rely on the difference. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(delay);
}

/* asyncio.wait(tasks) as a coroutine; the array must live until it has ended. */
COIL_ASYNC(wait_for_all, (coil_task *const *, tasks), (size_t, count))
{
    COIL_TRY(coil_wait(tasks, count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = coil_create_task(work(2));
    tasks[1] = coil_create_task(work(3));
    coil_task *waiter = coil_create_task(wait_for_all(tasks, 2));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(waiter, NULL);
    int rc = coil_await(waiter, NULL);
    if (rc == COIL_ECANCELED)
        at("waiter", kind(rc), outcomes(tasks, 2));
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 2));
    coil_unref(waiter);
    unref_all(tasks, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
