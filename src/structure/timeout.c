/* timeout: a timer that cancels the task, and the arithmetic of requests to cancel that tells whose
 * cancellation it was.
 *
 * A task may leave while its timer is due and lies in the ready queue, and its memory goes with it. So the
 * entry is taken out of the queue, which is linked one way only: see find_link. */
#include "structure/timeout.h"

#include "base/error.h"
#include "tasks/task.h"

_Static_assert(sizeof(struct coil__timer) <= sizeof(((coil_timeout *)NULL)->coil__timer),
               "coil_timeout has room for a timer");
_Static_assert(_Alignof(struct coil__timer) <= _Alignof(coil_timeout), "and it is aligned for one");

enum state {
    CREATED, /* as in memory full of zeros */
    ENTERED,
    EXPIRING, /* has cancelled the task, which is still inside */
    EXPIRED,
    EXITED,
};

static inline struct coil__timer *timer_of(const coil_timeout *timeout)
{
    return (struct coil__timer *)(uintptr_t)timeout->coil__timer;
}

static inline coil_timeout *timeout_of(struct coil__ready *ready)
{
    struct coil__timer *timer = COIL__CONTAINER(ready, struct coil__timer, ready);
    return COIL__CONTAINER(timer, coil_timeout, coil__timer);
}

static inline struct coil__task *task_of(const coil_timeout *timeout)
{
    return timeout->coil__task;
}

static void run_time_is_up(struct coil__ready *ready)
{
    coil_timeout *timeout = timeout_of(ready);
    struct coil__task *task = task_of(timeout);
    if (COIL_UNLIKELY(task->future.loop->closed))
        return; /* the queue is only being emptied */
    timeout->coil__state = EXPIRING;
    (void)coil__future_cancel(&task->future, NULL); /* not done: it has not left */
}

/* ---- the entry in the ready queue --------------------------------------------------------------- */

/* Tells all timeouts of a chain from where they are linked. */
static void note_links(struct coil__ready **link)
{
    for (; *link; link = &(*link)->next)
        if ((*link)->run == run_time_is_up)
            timeout_of(*link)->coil__link = link;
}

/* From where a queued entry is linked. The first entry is found at once. The others keep the place once a
 * walk has told it to all of them, so that a batch is walked once however many leave. It holds until the
 * entry is the first: what precedes it is alive as long as it is queued, and unqueue repairs the next one's.
 * Only the ends of the queues move. */
static struct coil__ready **find_link(coil_loop *loop, coil_timeout *timeout)
{
    struct coil__ready *entry = &timer_of(timeout)->ready;
    if (loop->batch == entry)
        return &loop->batch;
    if (loop->next.head == entry)
        return &loop->next.head;
    struct coil__ready **link = timeout->coil__link;
    if (!link || link == &loop->batch || link == &loop->next.head) {
        note_links(&loop->batch);
        note_links(&loop->next.head);
        link = timeout->coil__link;
    }
    return link;
}

static __attribute__((noinline)) void unqueue(coil_loop *loop, coil_timeout *timeout)
{
    struct coil__ready *entry = &timer_of(timeout)->ready;
    struct coil__ready **link = find_link(loop, timeout);
    *link = entry->next;
    if (loop->next.tail == &entry->next)
        loop->next.tail = link;
    if (entry->next && entry->next->run == run_time_is_up)
        timeout_of(entry->next)->coil__link = link;
}

/* ---- arming ------------------------------------------------------------------------------------- */

/* A time that has come already is queued here and now, ahead of what becomes ready in this turn. */
static inline int arm(coil_timeout *timeout, coil_loop *loop, int64_t due_ns, int64_t now_ns)
{
    struct coil__timer *timer = timer_of(timeout);
    timer->due_ns = due_ns;
    timeout->coil__link = NULL;
    if (COIL_UNLIKELY(due_ns <= now_ns)) {
        timeout->coil__link = loop->next.tail;
        coil__loop_push(loop, &timer->ready);
        return 0;
    }
    return due_ns == COIL__FOREVER_NS ? 0 : coil__timer_arm(&loop->timers, timer);
}

/* Of a timeout that has not expired. */
static inline void disarm(coil_timeout *timeout, coil_loop *loop)
{
    struct coil__timer *timer = timer_of(timeout);
    if (timer->heap_index != COIL__TIMER_IDLE)
        coil__timer_disarm(&loop->timers, timer);
    else if (COIL_UNLIKELY(timer->due_ns != COIL__FOREVER_NS && !loop->closed))
        unqueue(loop, timeout); /* a closed loop has let go of it */
}

/* ---- enter -------------------------------------------------------------------------------------- */

static __attribute__((noinline)) int refuse(const struct coil__task *task, double seconds)
{
    if (isnan(seconds))
        return coil__fail(COIL_EINVAL, "the time is not a number");
    if (task && !coil__thread.driver)
        return coil__fail_plain(COIL_ECLOSING);
    return coil__fail(COIL_ENOTASK, "a timeout outside a task");
}

/* seconds: from now, or on the loop's clock. */
static inline int enter(coil_timeout *timeout, double seconds, bool absolute)
{
    struct coil__task *task = coil__thread.task;
    timeout->coil__state = CREATED;
    timeout->coil__caught = false;
    timer_of(timeout)->due_ns = COIL__FOREVER_NS;
    if (COIL_UNLIKELY(!task || coil__thread.driver || isnan(seconds) ||
                      task->flags & COIL__TASK_CLOSING))
        return refuse(task, seconds);
    coil_loop *loop = task->future.loop;
    int64_t now_ns = coil__loop_now(loop), due_ns = coil__nanoseconds(seconds);
    if (!absolute && due_ns != COIL__FOREVER_NS &&
        COIL_UNLIKELY(__builtin_add_overflow(now_ns, due_ns, &due_ns)))
        due_ns = COIL__FOREVER_NS;

    timer_of(timeout)->ready.run = run_time_is_up;
    timer_of(timeout)->heap_index = COIL__TIMER_IDLE;
    timeout->coil__task = task;
    timeout->coil__cancels = task->cancels;
    int rc = arm(timeout, loop, due_ns, now_ns);
    if (rc == 0)
        timeout->coil__state = ENTERED;
    return rc;
}

int coil_timeout_enter(coil_timeout *timeout, double delay)
{
    return enter(timeout, delay, false);
}

int coil_timeout_at_enter(coil_timeout *timeout, double when)
{
    return enter(timeout, when, true);
}

int coil_move_on_after_enter(coil_timeout *timeout, double delay)
{
    return enter(timeout, delay, false);
}

/* ---- exit --------------------------------------------------------------------------------------- */

/* Where a cancellation stands in the chain of causes, it is shown to come from a time limit. */
static void explain_cause(coil_error *error)
{
    while (error->cause && error->cause->code != COIL_ECANCELED)
        error = error->cause;
    coil_error *between = error->cause ? coil__error_new(COIL_ETIMEDOUT, NULL) : NULL;
    if (!between)
        return; /* only an explanation is lost without memory */
    between->cause = error->cause;
    error->cause = between;
}

static void explain(int rc)
{
    coil_error *error = coil_error_current(rc);
    if (!error)
        return;
    explain_cause(error);
    for (size_t i = 0; i < error->error_count; i++)
        explain_cause(error->errors[i]);
}

/* Whether a cancellation that the body ended with was for this limit only. */
static __attribute__((noinline)) bool leave_slowly(coil_timeout *timeout, int *rc)
{
    if (timeout->coil__state != EXPIRING) {
        if (*rc >= 0)
            *rc = coil__fail(COIL_ERUNTIME, "the timeout is not entered");
        return false;
    }
    timeout->coil__state = EXPIRED;
    if (coil_task_uncancel(&task_of(timeout)->future) > timeout->coil__cancels || *rc >= 0)
        return false; /* somebody else wants it cancelled, too; or nothing came of it */
    timeout->coil__caught = *rc == COIL_ECANCELED;
    if (!timeout->coil__caught)
        explain(*rc);
    return timeout->coil__caught;
}

static inline bool leave(coil_timeout *timeout, int *rc)
{
    if (COIL_UNLIKELY(timeout->coil__state != ENTERED))
        return leave_slowly(timeout, rc);
    disarm(timeout, task_of(timeout)->future.loop);
    timeout->coil__state = EXITED;
    return false;
}

/* Takes the record of the cancellation away: it is dealt with. */
static coil_error *take_cancellation(void)
{
    coil_error *record = coil_ref(coil_error_current(COIL_ECANCELED));
    coil__fail_plain(COIL_ECANCELED);
    return record;
}

int coil__timed_out(void)
{
    coil_error *cause = take_cancellation();
    if (!cause)
        cause = coil__error_new(COIL_ECANCELED, NULL);
    coil_raise_at(NULL, 0, NULL, COIL_ETIMEDOUT, cause, "%s", "");
    coil_unref(cause);
    return COIL_ETIMEDOUT;
}

int coil_timeout_exit(coil_timeout *timeout, int rc)
{
    return COIL_UNLIKELY(leave(timeout, &rc)) ? coil__timed_out() : rc;
}

int coil_move_on_after_exit(coil_timeout *timeout, int rc, bool *cut_out)
{
    bool caught = leave(timeout, &rc);
    if (cut_out)
        *cut_out = caught;
    if (!caught)
        return rc;
    coil_unref(take_cancellation());
    return 0;
}

/* ---- in between --------------------------------------------------------------------------------- */

double coil_timeout_when(const coil_timeout *timeout)
{
    int64_t due_ns = timer_of(timeout)->due_ns;
    return timeout->coil__state == CREATED || due_ns == COIL__FOREVER_NS ? COIL_NO_TIMEOUT
                                                                         : (double)due_ns / 1e9;
}

int coil_timeout_reschedule(coil_timeout *timeout, double when)
{
    if (isnan(when))
        return coil__fail(COIL_EINVAL, "the time is not a number");
    if (timeout->coil__state != ENTERED)
        return coil__fail(COIL_ERUNTIME, "%s",
                          timeout->coil__state == CREATED    ? "the timeout has not been entered"
                          : timeout->coil__state == EXPIRING ? "the timeout has expired"
                                                             : "the timeout has been left");
    coil_loop *loop = task_of(timeout)->future.loop;
    if (COIL_UNLIKELY(loop->closed))
        return coil__fail(COIL_ECLOSED, "the loop is closed");
    int64_t old_ns = timer_of(timeout)->due_ns, now_ns = coil__loop_now(loop);
    disarm(timeout, loop);
    int rc = arm(timeout, loop, coil__nanoseconds(when), now_ns);
    if (COIL_UNLIKELY(rc < 0))
        (void)arm(timeout, loop, old_ns, now_ns); /* the heap is full: it was never, or is due */
    return rc;
}

bool coil_timeout_expired(const coil_timeout *timeout)
{
    return timeout->coil__state == EXPIRING || timeout->coil__state == EXPIRED;
}

bool coil_timeout_caught(const coil_timeout *timeout)
{
    return timeout->coil__caught;
}
