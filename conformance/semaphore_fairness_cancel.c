/* Cancelling a semaphore waiter, before or just after it was given the slot, loses no slot.
 *
 * Why: A slot given to a task that is no longer there would be lost for good. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_semaphore *, sem), (const char *, name))
{
    COIL_TRY(coil_semaphore_acquire(sem));
    at(name, "acquired");
    return 0;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "w1", "w2", "w3", "w4" };
    coil_semaphore sem = COIL_SEMAPHORE_INIT(0);
    coil_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = coil_create_task(waiter(&sem, names[i]));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_semaphore_release(&sem)); /* given to w2 ... */
    coil_task_cancel(tasks[1], NULL);       /* ... which is cancelled before it runs: w3 gets it */
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_wait(tasks, 4, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 4), "locked", coil_semaphore_locked(&sem));
    unref_all(tasks, 4);
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
