/* Locks. A waiter stays in line until its task has run, woken or cancelled: as in asyncio, the lock is
 * free then for nobody else, and a release finds a cancelled waiter at the head. */
#include "structure/waitlist.h"

#include "base/error.h"

void coil_lock_init(coil_lock *lock)
{
    *lock = (coil_lock)COIL_LOCK_INIT;
}

void coil_lock_fini(coil_lock *lock)
{
    struct coil__waitlist *lists[] = { &lock->coil__waiting };
    coil__waitlists_end(lists, 1, "a lock was destroyed while tasks waited for it");
}

bool coil_lock_locked(const coil_lock *lock)
{
    return lock->coil__locked;
}

static bool nobody_waits(const coil_lock *lock)
{
    const struct coil__parked *first = lock->coil__waiting.first, *place = first;
    if (!first)
        return true;
    do {
        if (place->wait.state != COIL__WAIT_CANCELLED)
            return false;
        place = place->next;
    } while (place != first);
    return true;
}

static void wake_first(coil_lock *lock)
{
    struct coil__parked *first = lock->coil__waiting.first;
    if (first && first->wait.state == COIL__WAIT_PENDING)
        coil__parked_wake(first);
}

static __attribute__((noinline)) int acquire_in_turn(coil_lock *lock)
{
    struct coil__parked place;
    int rc = coil__park(&place, &lock->coil__waiting, &lock->coil__waiting, "lock_acquire");
    if (rc == 0)
        lock->coil__locked = true;
    else if (rc == COIL_ECANCELED && !lock->coil__locked)
        wake_first(lock);
    return rc;
}

int coil_lock_acquire(coil_lock *lock)
{
    if (lock->coil__locked || !nobody_waits(lock))
        return acquire_in_turn(lock);
    lock->coil__locked = true;
    return 0;
}

int coil_lock_release(coil_lock *lock)
{
    if (COIL_UNLIKELY(!lock->coil__locked))
        return coil__fail(COIL_ERUNTIME, "the lock is not held");
    int rc = coil__waitlist_check_thread(&lock->coil__waiting);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    lock->coil__locked = false;
    wake_first(lock);
    return 0;
}
