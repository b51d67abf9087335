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
        (void)coil__parked_wake(first);
}

/* Who holds it is kept for those who look for deadlocks: neither a release nor the task's end takes it back. */
static inline void take(coil_lock *lock, const struct coil__task *task)
{
    lock->coil__locked = true;
    lock->coil__holder = task;
    lock->coil__holder_serial = task ? task->serial : 0;
}

struct contender {
    struct coil__parked place;
    coil_lock *lock;
};
_Static_assert(sizeof(struct contender) <= sizeof(struct coil__room), "a task has room for one");

static int rest_of_acquire(struct coil__wait *wait, int rc)
{
    struct contender *self = COIL__CONTAINER(wait, struct contender, place.wait);
    coil_lock *lock = self->lock;
    rc = coil__parked_over(&self->place, rc);
    if (rc == 0)
        take(lock, wait->task);
    else if (rc == COIL_ECANCELED && !lock->coil__locked)
        wake_first(lock);
    return rc;
}

static __attribute__((noinline)) int acquire_in_turn(coil_lock *lock)
{
    if (!coil__park_allowed(&lock->coil__waiting, NULL))
        return coil__park_refuse("lock_acquire");
    struct contender *self = (struct contender *)coil__task_room(coil__thread.task);
    self->lock = lock;
    return coil__park_last(&self->place, &lock->coil__waiting, &lock->coil__waiting, "lock_acquire",
                           rest_of_acquire);
}

int coil_lock_acquire(coil_lock *lock)
{
    if (lock->coil__locked || !nobody_waits(lock))
        return acquire_in_turn(lock);
    take(lock, coil__thread.task);
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
