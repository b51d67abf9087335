/* Locks, events, conditions, semaphores, barriers: how the tasks of one loop wait for one another.
 *
 *     static coil_lock lock = COIL_LOCK_INIT;
 *
 *     COIL_ASYNC(transfer, (struct account *, from), (struct account *, to), (long, amount))
 *     {
 *         COIL_TRY(coil_lock_acquire(&lock));
 *         int rc = move_money(from, to, amount);     which awaits: nobody else moves any meanwhile
 *         coil_lock_release(&lock);
 *         return rc;
 *     }
 *
 * All are plain structs in your memory, which must stay where it is while tasks wait. Their fields are
 * private. Initialise them with ..._init or the ..._INIT of their kind. Waiting allocates nothing, and
 * neither does anything else here, so a struct that nobody waits for needs no ..._fini; what that adds
 * is the check that it is so. If tasks do wait, ..._fini reports it (COIL_EVENT_DESTROYED_IN_USE), and
 * their calls return COIL_ECLOSED, upon which they must not touch the struct again.
 *
 * First come, first served: a task that is woken is the next one, whoever asks for the same before it
 * runs. A cancelled task leaves the line, and hands on what it had been given already.
 *
 * They are for tasks, not threads. They belong to no loop while nobody waits, and to the loop of those
 * who wait as long as somebody does: a task of another one is refused (COIL_EWRONGLOOP). What never
 * suspends may also be called by callbacks of that loop; other threads go through
 * coil_call_soon_threadsafe, and debug mode refuses them if tasks wait (COIL_EWRONGTHREAD). */
#ifndef COIL_SYNC_H
#define COIL_SYNC_H

#include <limits.h>
#include <coil/base.h>

COIL_BEGIN_DECLS

/* Tasks that wait, in the order in which they came; the places are on their stacks. Private. */
struct coil__parked;
struct coil__waitlist {
    struct coil__parked *first;
};

/* ---- lock --------------------------------------------------------------------------------------- */

/* Held by one task at a time; it is not recursive, and has no owner. */
typedef struct coil_lock {
    struct coil__waitlist coil__waiting;
    bool coil__locked;
    unsigned coil__holder_serial; /* tells the holder from a later task at its address */
    const void *coil__holder;     /* who took it last; NULL: no task. For debugging only */
} coil_lock;
#define COIL_LOCK_INIT                                                                             \
    {                                                                                              \
        { NULL }, false, 0, NULL                                                                   \
    }

/**
 * Makes an unlocked lock, in your memory.
 *
 * Suspends  never
 * Thread    any
 * Python    asyncio.Lock
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_lock_init(coil_lock *lock);

/**
 * Ends a lock. Nobody should be waiting for it: see the top of this page.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_lock_fini(coil_lock *lock);

/**
 * Takes the lock, waiting until it is this task's turn.
 *
 * Returns   0, or
 *           COIL_ECANCELED   the task was cancelled while it waited: the lock is not yours
 *           COIL_EWRONGLOOP  tasks of another loop wait for it
 *           COIL_ENOTASK     it would have to wait, and this is no task
 *           COIL_ECLOSED     the lock was destroyed
 * Suspends  while the lock is held, or promised to a task that waited before
 * Cancel    loses nothing: a lock that was about to be this task's goes to the next one
 * Thread    the loop's, in a task
 * Python    asyncio.Lock.acquire
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_lock_acquire(coil_lock *lock);

/**
 * Gives the lock back, and wakes the task that waited longest. Any task may do it.
 *
 * Returns   0, or
 *           COIL_ERUNTIME      nobody holds it
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Lock.release
 * Since     0.1
 */
COIL_API int coil_lock_release(coil_lock *lock);

/**
 * Whether the lock is held. Between a release and the step of the task that it woke it says no, although
 * nobody else can take it.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Lock.locked
 * Since     0.1
 */
COIL_API bool coil_lock_locked(const coil_lock *lock);

/* ---- event -------------------------------------------------------------------------------------- */

/* A flag to wait for. */
typedef struct coil_event {
    struct coil__waitlist coil__waiting;
    bool coil__set;
} coil_event;
#define COIL_EVENT_INIT                                                                            \
    {                                                                                              \
        { NULL }, false                                                                            \
    }

/**
 * Makes an event that is not set, in your memory.
 *
 * Suspends  never
 * Thread    any
 * Python    asyncio.Event
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_event_init(coil_event *event);

/**
 * Ends an event. Tasks that it has woken already no longer need it, so it may end, with the function it
 * is a local of, right after coil_event_set.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_event_fini(coil_event *event);

/**
 * Waits until the event is set.
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_EWRONGLOOP, COIL_ENOTASK, COIL_ECLOSED  as coil_lock_acquire
 * Suspends  unless the event is set
 * Cancel    leaves the event as it is
 * Thread    the loop's, in a task
 * Python    asyncio.Event.wait
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_event_wait(coil_event *event);

/**
 * Sets the event, and wakes all who wait for it. They go on even if it is cleared before they run.
 *
 * Returns   0, or
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Event.set
 * Since     0.1
 */
COIL_API int coil_event_set(coil_event *event);

/**
 * Makes the event unset: who waits from now on has to wait.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Event.clear
 * Since     0.1
 */
COIL_API void coil_event_clear(coil_event *event);

/**
 * Whether the event is set.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Event.is_set
 * Since     0.1
 */
COIL_API bool coil_event_is_set(const coil_event *event);

/* ---- condition ---------------------------------------------------------------------------------- */

/* A lock, and a place to wait for news about what it protects. */
typedef struct coil_condition {
    coil_lock *coil__lock; /* borrowed; NULL: its own */
    coil_lock coil__own;
    struct coil__waitlist coil__waiting, coil__leaving;
} coil_condition;
#define COIL_CONDITION_INIT(lock)                                                                  \
    {                                                                                              \
        (lock), COIL_LOCK_INIT, { NULL },                                                          \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/* Whether to go on: positive for yes, 0 for no, negative to fail with that code. Must not suspend. */
typedef int (*coil_predicate)(void *arg);

/**
 * Makes a condition, in your memory.
 *
 * @param lock  borrowed as long as the condition is used; NULL: one of its own
 *
 * Suspends  never
 * Thread    any
 * Python    asyncio.Condition
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_condition_init(coil_condition *condition,
                                                  COIL_NULLABLE coil_lock *lock);

/**
 * Ends a condition, and its own lock.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_condition_fini(coil_condition *condition);

/**
 * Takes the condition's lock.
 *
 * Returns   as coil_lock_acquire
 * Suspends  while the lock is held, or promised
 * Cancel    as coil_lock_acquire
 * Thread    the loop's, in a task
 * Python    asyncio.Condition.acquire
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_condition_acquire(coil_condition *condition);

/**
 * Gives the condition's lock back; whether it is held.
 *
 * Returns   as coil_lock_release; as coil_lock_locked
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Condition.release, asyncio.Condition.locked
 * Since     0.1
 */
COIL_API int coil_condition_release(coil_condition *condition);
COIL_API bool coil_condition_locked(const coil_condition *condition);

/**
 * Gives the lock back, waits until notified, and takes the lock again. It may return without a reason:
 * look again at what you waited for, or use coil_condition_wait_for.
 *
 * Returns   0, or
 *           COIL_ECANCELED   the lock is yours again all the same: give it back
 *           COIL_ERUNTIME    nobody holds the lock
 *           COIL_EWRONGLOOP, COIL_ENOTASK  nothing has happened, the lock is still held
 *           COIL_ECLOSED     the condition was destroyed: the lock is not yours
 * Suspends  always, but for the errors above
 * Cancel    takes the lock before it returns, however long that may be; a notification that it may have
 *           received goes to the next one who waits
 * Thread    the loop's, in a task that holds the lock
 * Python    asyncio.Condition.wait
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_condition_wait(coil_condition *condition);

/**
 * Waits until a predicate holds: asks it first, then after each notification, with the lock held.
 *
 *     COIL_TRY(coil_condition_acquire(&changed));
 *     int rc = coil_condition_wait_for(&changed, has_three_items, &items);
 *     ...
 *     coil_condition_release(&changed);
 *
 * @param predicate  called with arg, by this task
 * @param arg        borrowed for the call
 *
 * Returns   what the predicate returned in the end, positive or negative, or as coil_condition_wait
 * Suspends  unless the predicate holds, or fails, at once
 * Cancel    as coil_condition_wait
 * Thread    the loop's, in a task that holds the lock
 * Python    asyncio.Condition.wait_for
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_condition_wait_for(coil_condition *condition, coil_predicate predicate, void *arg);

/**
 * Wakes those who have waited longest: so many of them, or all. They go on when they have the lock, one
 * after the other.
 *
 * @param count  how many at most
 *
 * Returns   0, or
 *           COIL_ERUNTIME      nobody holds the lock
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's, by whoever holds the lock
 * Python    asyncio.Condition.notify, asyncio.Condition.notify_all
 * Since     0.1
 */
COIL_API int coil_condition_notify(coil_condition *condition, size_t count);
COIL_API int coil_condition_notify_all(coil_condition *condition);

/* ---- semaphore ---------------------------------------------------------------------------------- */

/* A number of slots. */
typedef struct coil_semaphore {
    long coil__value; /* free and promised to nobody */
    long coil__bound;
    size_t coil__woken; /* have a slot, and have not run yet */
    struct coil__waitlist coil__waiting, coil__leaving;
} coil_semaphore;
typedef coil_semaphore coil_bounded_semaphore; /* every coil_semaphore_ call takes it */

/* slots: not negative */
#define COIL_SEMAPHORE_INIT(slots)                                                                 \
    {                                                                                              \
        (slots), LONG_MAX, 0, { NULL },                                                            \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define COIL_BOUNDED_SEMAPHORE_INIT(slots)                                                         \
    {                                                                                              \
        (slots), (slots), 0, { NULL },                                                             \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/**
 * Makes a semaphore, in your memory. A bounded one refuses to be released more often than it was
 * acquired.
 *
 * @param slots  how many are free at first; 0 is fine
 *
 * Returns   0, or COIL_EINVAL if slots is negative
 * Suspends  never
 * Thread    any
 * Python    asyncio.Semaphore, asyncio.BoundedSemaphore
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_semaphore_init(coil_semaphore *semaphore, long slots);
COIL_API COIL_ANY_THREAD int coil_bounded_semaphore_init(coil_bounded_semaphore *semaphore,
                                                         long slots);

/**
 * Ends a semaphore of either kind.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_semaphore_fini(coil_semaphore *semaphore);

/**
 * Takes a slot, waiting until there is one and it is this task's turn.
 *
 * Returns   as coil_lock_acquire
 * Suspends  while no slot is free, or somebody has waited longer
 * Cancel    loses no slot: one that was given to this task already goes to the next
 * Thread    the loop's, in a task
 * Python    asyncio.Semaphore.acquire
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_semaphore_acquire(coil_semaphore *semaphore);

/**
 * Gives a slot back: to the task that has waited longest, if there is one. The number of slots may grow
 * beyond what it was at first, unless the semaphore is bounded.
 *
 * Returns   0, or
 *           COIL_EINVAL        it is bounded, and no slot is taken
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Semaphore.release, asyncio.BoundedSemaphore.release
 * Since     0.1
 */
COIL_API int coil_semaphore_release(coil_semaphore *semaphore);

/**
 * Whether acquire would have to wait.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Semaphore.locked
 * Since     0.1
 */
COIL_API bool coil_semaphore_locked(const coil_semaphore *semaphore);

/* ---- barrier ------------------------------------------------------------------------------------ */

/* A place where a number of tasks wait until all have come; again and again. */
typedef struct coil_barrier {
    coil_condition coil__condition;
    int coil__parties;
    int coil__count; /* tasks between arrival and leaving */
    int coil__state; /* enum barrier_state of barrier.c */
} coil_barrier;

/**
 * Makes a barrier, in your memory.
 *
 * @param parties  how many tasks it takes; at least 1
 *
 * Returns   0, or COIL_EINVAL
 * Suspends  never
 * Thread    any
 * Python    asyncio.Barrier
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_barrier_init(coil_barrier *barrier, int parties);

/**
 * Ends a barrier.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_barrier_fini(coil_barrier *barrier);

/**
 * Waits until as many tasks have come as the barrier has parties.
 *
 * Returns   the number of this arrival, 0 to parties - 1, different for each task of a round, or
 *           COIL_EBROKEN     the barrier was aborted, or was reset while this task waited
 *           COIL_ECANCELED   the task was cancelled, and has left the barrier
 *           COIL_EWRONGLOOP, COIL_ENOTASK, COIL_ECLOSED  as coil_lock_acquire
 * Suspends  unless this is the last arrival
 * Cancel    the barrier goes on waiting for one more; it is not broken
 * Thread    the loop's, in a task
 * Python    asyncio.Barrier.wait
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_barrier_wait(coil_barrier *barrier);

/**
 * Breaks the barrier for those who wait in it, and makes it as new; or breaks it for those to come, too.
 *
 * Returns   0, or
 *           COIL_ECANCELED   cancelled before it could be done
 *           COIL_EWRONGLOOP, COIL_ENOTASK, COIL_ECLOSED  as coil_lock_acquire
 * Suspends  while tasks are just leaving the barrier
 * Cancel    nothing has happened
 * Thread    the loop's, in a task
 * Python    asyncio.Barrier.reset, asyncio.Barrier.abort
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_barrier_reset(coil_barrier *barrier);
COIL_API COIL_MAY_SUSPEND int coil_barrier_abort(coil_barrier *barrier);

/**
 * How many tasks the barrier takes, and how many are waiting in it.
 *
 * Returns   the number
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Barrier.parties, asyncio.Barrier.n_waiting
 * Since     0.1
 */
COIL_API int coil_barrier_parties(const coil_barrier *barrier);
COIL_API int coil_barrier_n_waiting(const coil_barrier *barrier);

/**
 * Whether the barrier was aborted.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Barrier.broken
 * Since     0.1
 */
COIL_API bool coil_barrier_broken(const coil_barrier *barrier);

COIL_END_DECLS

#endif
