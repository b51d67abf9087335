/* Between release() and the moment the woken waiter runs, nobody may jump the queue.
 *
 * The lock says unlocked in that gap, but a newcomer has to line up.
 *
 * Why: A newcomer that overtakes starves the queue; CPython pays one wake-up to prevent it. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_lock *, lock), (const char *, name))
{
    COIL_TRY(coil_lock_acquire(lock));
    at(name, "has it");
    return coil_lock_release(lock);
}

COIL_ASYNC0(amain)
{
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(coil_lock_acquire(&lock));
    coil_task *tasks[2];
    tasks[0] = coil_create_task(waiter(&lock, "w1"));
    tasks[1] = coil_create_task(waiter(&lock, "w2"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_lock_release(&lock));
    at("released, locked", coil_lock_locked(&lock));
    COIL_TRY(coil_lock_acquire(&lock));
    at("main has it again, after both");
    COIL_TRY(coil_lock_release(&lock));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1]));
    unref_all(tasks, 2);
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
