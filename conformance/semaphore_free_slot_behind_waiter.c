/* While a woken waiter has not run yet, the semaphore counts as locked, even if a further
 * slot is free.
 *
 * A newcomer lines up behind; the waiter, once it runs, passes the free slot on.
 *
 * Why: First come first served is kept even in the gap where a slot is free. */
#include "kit/kit.h"

COIL_ASYNC(client, (coil_semaphore *, sem), (const char *, name))
{
    at(name, "asks, locked", coil_semaphore_locked(sem));
    COIL_TRY(coil_semaphore_acquire(sem));
    at(name, "has a slot, locked", coil_semaphore_locked(sem));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_semaphore sem = COIL_SEMAPHORE_INIT(0);
    coil_task *first = coil_create_task(client(&sem, "first"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    at("two releases, one waiter, locked", coil_semaphore_locked(&sem));
    COIL_TRY(coil_await(client(&sem, "newcomer"), NULL));
    COIL_TRY(join(first, NULL));
    at("locked", coil_semaphore_locked(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_await(client(&sem, "alone"), NULL));
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
