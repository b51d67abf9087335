/* A cancelled waiter leaves the queue; if it had just been given the lock, the next one
 * gets it instead.
 *
 * Why: A lock handed to a task that is no longer there would be held for ever. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_lock *, lock), (const char *, name))
{
    COIL_TRY(coil_lock_acquire(lock));
    at(name, "has it");
    int rc = coil_sleep(1);
    coil_lock_release(lock);
    return rc;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "w1", "w2", "w3" };
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(coil_lock_acquire(&lock));
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waiter(&lock, names[i]));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(tasks[0], NULL); /* while it waits */
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_lock_release(&lock)); /* wakes w2 ... */
    coil_task_cancel(tasks[1], NULL);   /* ... which is cancelled before it runs */
    at("w2 woken and cancelled");
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 3), "locked", coil_lock_locked(&lock));
    unref_all(tasks, 3);
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
