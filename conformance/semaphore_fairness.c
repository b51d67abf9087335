/* A release hands the slot to the first waiter at once: a newcomer cannot take it in
 * between.
 *
 * Several releases before the waiters run wake several waiters.
 *
 * Why: A slot promised to a waiter must not be stolen between wake-up and run. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_semaphore *, sem), (const char *, name))
{
    COIL_TRY(coil_semaphore_acquire(sem));
    at(name, "acquired");
    return 0;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "w1", "w2", "w3" };
    coil_semaphore sem = COIL_SEMAPHORE_INIT(1);
    COIL_TRY(coil_semaphore_acquire(&sem));
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waiter(&sem, names[i]));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_semaphore_release(&sem));
    at("released one, locked", coil_semaphore_locked(&sem));
    coil_task *late = coil_create_task(waiter(&sem, "late"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    at("released two, locked", coil_semaphore_locked(&sem));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1], tasks[2]));
    at("late done", coil_future_done(late));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(join(late, NULL));
    at("locked", coil_semaphore_locked(&sem));
    unref_all(tasks, 3);
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
