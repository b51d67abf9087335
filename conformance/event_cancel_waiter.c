/* A cancelled waiter does not disturb the others; one cancelled right after set() still
 * ends cancelled.
 *
 * Why: A waiter that leaves must not take another's wake-up with it. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_event *, event))
{
    COIL_TRY(coil_event_wait(event));
    coil_return("woken");
}

COIL_ASYNC0(amain)
{
    coil_event event = COIL_EVENT_INIT;
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waiter(&event));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_event_set(&event));
    coil_task_cancel(tasks[1], NULL);
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 3));
    unref_all(tasks, 3);
    coil_event_fini(&event);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
