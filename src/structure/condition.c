#include "structure/condition.h"

#include "base/error.h"
#include "structure/waitlist.h"

static coil_lock *lock_of(const coil_condition *condition)
{
    const coil_lock *lock = condition->coil__lock ? condition->coil__lock : &condition->coil__own;
    return (coil_lock *)(uintptr_t)lock;
}

void coil_condition_init(coil_condition *condition, coil_lock *lock)
{
    *condition = (coil_condition)COIL_CONDITION_INIT(lock);
}

void coil__condition_fini(coil_condition *condition, const char *message)
{
    struct coil__waitlist *lists[] = { &condition->coil__waiting, &condition->coil__leaving,
                                       &condition->coil__own.coil__waiting };
    coil__waitlists_end(lists, sizeof lists / sizeof lists[0], message);
}

void coil_condition_fini(coil_condition *condition)
{
    coil__condition_fini(condition, "a condition was destroyed while tasks waited for it");
}

int coil_condition_acquire(coil_condition *condition)
{
    return coil_lock_acquire(lock_of(condition));
}

int coil_condition_release(coil_condition *condition)
{
    return coil_lock_release(lock_of(condition));
}

bool coil_condition_locked(const coil_condition *condition)
{
    return coil_lock_locked(lock_of(condition));
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* Takes the lock again, cancelled or not. Returns 0, or why it cannot be had; *rc becomes COIL_ECANCELED
 * if cancellations came meanwhile, the last of which is the one to explain. */
static int acquire_again(coil_lock *lock, int *rc)
{
    int again;
    struct coil__task *task = coil__thread.task;
    while ((again = coil_lock_acquire(lock)) == COIL_ECANCELED) {
        *rc = again;
        task->patient = true; /* a cancelled scope has said so once */
    }
    task->patient = false;
    return again;
}

static void wake(coil_condition *condition, size_t count)
{
    for (; count > 0 && condition->coil__waiting.first; count--)
        coil__waitlist_wake_first(&condition->coil__waiting);
}

int coil__condition_wait(coil_condition *condition, const char *operation)
{
    coil_lock *lock = lock_of(condition);
    if (!lock->coil__locked)
        return coil__fail(COIL_ERUNTIME, "%s without the lock", operation);
    if (!coil__park_allowed(&condition->coil__waiting, &condition->coil__leaving))
        return coil__park_refuse(operation);
    int rc = coil_lock_release(lock);
    if (rc < 0)
        return rc;

    /* The place is kept until the lock is there again: the condition could be destroyed meanwhile. */
    struct coil__parked place;
    rc = coil__park_and_stay(&place, &condition->coil__waiting, &condition->coil__leaving,
                             operation);
    if (!coil__park_happened(rc))
        return rc;
    int again = acquire_again(lock, &rc);
    bool destroyed = place.destroyed;
    coil__parked_leave(&place);
    if (again < 0)
        return again;
    /* What fails may have been notified, and will not act on it: somebody else should. */
    if (rc < 0 && !destroyed)
        wake(condition, 1);
    return rc;
}

int coil_condition_wait(coil_condition *condition)
{
    return coil__condition_wait(condition, "condition_wait");
}

int coil_condition_wait_for(coil_condition *condition, coil_predicate predicate, void *arg)
{
    int holds;
    while ((holds = predicate(arg)) == 0) {
        int rc = coil__condition_wait(condition, "condition_wait_for");
        if (rc < 0)
            return rc;
    }
    return holds;
}

/* ---- notifying ---------------------------------------------------------------------------------- */

int coil_condition_notify(coil_condition *condition, size_t count)
{
    if (!coil_condition_locked(condition))
        return coil__fail(COIL_ERUNTIME, "notify without the lock");
    int rc = coil__waitlist_check_thread(&condition->coil__waiting);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    wake(condition, count);
    return 0;
}

int coil_condition_notify_all(coil_condition *condition)
{
    return coil_condition_notify(condition, SIZE_MAX);
}
