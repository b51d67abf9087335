/* timeout: a timer that cancels the task, and the arithmetic of requests to cancel that tells whose
 * cancellation it was.
 *
 * A task may leave while its timer is due and lies in the ready queue, and its memory goes with it. So the
 * entry is taken out of the queue, which is linked one way only: see find_link. */
#include "structure/timeout.h"

#include "base/error.h"
#include "platform/sanitizer.h"
#include "structure/group.h"
#include "tasks/reason.h"
#include "tasks/task.h"

_Static_assert(sizeof(struct coil__timer) <= sizeof(((coil_timeout *)NULL)->coil__timer),
               "coil_timeout has room for a timer");
_Static_assert(_Alignof(struct coil__timer) <= _Alignof(coil_timeout), "and it is aligned for one");

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
    struct coil__reason *reason = coil__reason_new(COIL_CANCEL_DEADLINE, task, timeout->coil__place,
                                                   NULL);
    timeout->coil__state = COIL__LIMIT_EXPIRING;
    coil__thread.reason = reason;
    if (timeout->coil__kind == COIL__LIMIT_SCOPE)
        coil__cancel_scope_expired(timeout);
    else
        (void)coil__task_cancel_in(&task->future, NULL, timeout); /* not done: it has not left */
    coil__thread.reason = NULL;
    coil__reason_drop(reason);
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

void coil__limit_disarm(coil_timeout *limit, coil_loop *loop)
{
    disarm(limit, loop);
    timer_of(limit)->due_ns = COIL__FOREVER_NS;
}

/* ---- the chain of what a task has entered ------------------------------------------------------- */

/* What a struct at this address says while it is in the chain: one that was left behind is believed by it. */
static inline uintptr_t check_of(const coil_timeout *limit, const void *address)
{
    return (uintptr_t)address ^ (uintptr_t)limit->coil__task ^ (uintptr_t)limit->coil__outer ^
           (uintptr_t)limit->coil__place;
}

static bool on_stack(const struct coil__task *task, const void *address)
{
    uintptr_t low = (uintptr_t)task->stack->low;
    return (uintptr_t)address - low < task->stack->bytes;
}

/* Of one that was left without exit, in memory that nobody has written to since. */
static void give_up_requests(struct coil__task *task, coil_timeout *limit)
{
    if (limit->coil__kind == COIL__LIMIT_SCOPE)
        coil__cancel_scope_forsake(task, limit);
    else if (limit->coil__state == COIL__LIMIT_EXPIRING)
        (void)coil_task_uncancel(&task->future);
}

static void report_left(struct coil__task *task, const coil_timeout *limit)
{
    char place[COIL__PLACE_BYTES];
    bool scope = limit && limit->coil__kind == COIL__LIMIT_SCOPE;
    if (limit && limit->coil__place)
        snprintf(place, sizeof place, "%s:%d", limit->coil__place->file, limit->coil__place->line);
    COIL__REPORT(task->future.loop, .event = COIL_EVENT_SCOPE_LEFT,
                 .message = scope   ? "a cancel scope was left without coil_cancel_scope_exit"
                            : limit ? "a timeout was left without coil_timeout_exit"
                                    : "a timeout or cancel scope was left without its exit",
                 .future = &task->future, .place = limit && limit->coil__place ? place : NULL);
}

/* The first of the chain was left without exit. What it says is read where it lay, and believed if it fits. */
static COIL__NO_ASAN void forsake_first(struct coil__task *task)
{
    coil_timeout *limit = task->future.limits, copy = *limit;
    bool intact = copy.coil__task == task && copy.coil__check == check_of(&copy, limit);
    task->future.limits = intact ? copy.coil__outer : NULL;
    coil__groups_outlive(task, limit, task->future.limits);
    report_left(task, intact ? &copy : NULL);
    if (intact)
        give_up_requests(task, limit);
    if (intact && !on_stack(task, limit) && copy.coil__state == COIL__LIMIT_ENTERED)
        coil__limit_disarm(limit, task->future.loop);
}

/* The task has ended, or left the part of its stack below `here`. */
static void forsake_below(struct coil__task *task, uintptr_t here)
{
    coil__timer_heap_forget(&task->future.loop->timers, (uintptr_t)task->stack->low, here);
    coil__task_look_at_scopes(task);
}

void coil__limits_forsake_stack(struct coil__task *task)
{
    while (task->future.limits && on_stack(task, task->future.limits))
        forsake_first(task);
    forsake_below(task, (uintptr_t)task->stack->low + task->stack->bytes);
}

void coil__task_forsake_limits(struct coil__task *task)
{
    coil__limits_forsake_stack(task);
    while (task->future.limits) /* not on the stack */
        forsake_first(task);
}

/* Finds those whose block was left: their structs lie below `here`, which is in the frame of the call that
 * the task makes into the library. */
static __attribute__((noinline)) void forsake_dead(struct coil__task *task, uintptr_t here)
{
    if (!on_stack(task, (const void *)here))
        return; /* a coroutine on a stack of its own */
    bool any = false;
    while (task->future.limits && on_stack(task, task->future.limits) &&
           (uintptr_t)task->future.limits < here) {
        forsake_first(task);
        any = true;
    }
    if (any)
        forsake_below(task, here);
}

/* Takes one out of the chain that is not the first, or is in none: it was entered in a generator. */
static __attribute__((noinline)) void unlink_slowly(struct coil__task *task, coil_timeout *limit,
                                                    uintptr_t here)
{
    if (task == coil__thread.task)
        forsake_dead(task, here);
    coil_timeout **link = &task->future.limits, *inner = NULL;
    while (*link && *link != limit && (*link)->coil__task == task) {
        inner = *link;
        link = &inner->coil__outer;
    }
    if (!*link && !inner)
        *link = limit->coil__outer; /* the chain was torn */
    if (*link != limit)
        return;
    *link = limit->coil__outer;
    if (inner)
        inner->coil__check = check_of(inner, inner);
}

static inline void link_limit(struct coil__task *task, coil_timeout *limit, uintptr_t here)
{
    if (COIL_UNLIKELY(task->future.limits != NULL))
        forsake_dead(task, here);
    limit->coil__outer = task->future.limits;
    limit->coil__check = check_of(limit, limit);
    task->future.limits = limit;
}

static inline void unlink_limit(struct coil__task *task, coil_timeout *limit, uintptr_t here)
{
    if (COIL_UNLIKELY(task->future.groups != NULL))
        coil__groups_outlive(task, limit, limit->coil__outer);
    if (COIL_UNLIKELY(task->future.limits != limit))
        unlink_slowly(task, limit, here);
    else
        task->future.limits = limit->coil__outer;
}

bool coil__limits_left_on(struct coil__task *task, const struct coil__stack *stack)
{
    uintptr_t low = (uintptr_t)stack->low;
    for (;;) {
        coil_timeout *limit = task->future.limits;
        if (!limit || (uintptr_t)limit - low >= stack->bytes)
            return true;
        if (limit->coil__kind == COIL__LIMIT_SCOPE)
            return false;
        task->future.limits = limit->coil__outer;
        coil__groups_outlive(task, limit, limit->coil__outer);
        limit->coil__outer = NULL; /* which may be left before it */
    }
}

/* ---- enter -------------------------------------------------------------------------------------- */

static __attribute__((noinline)) int refuse(const struct coil__task *task, double seconds)
{
    if (isnan(seconds))
        return coil__fail(COIL_EINVAL, "the time is not a number");
    if (task && !coil__thread.driver)
        return coil__fail_plain(COIL_ECLOSING);
    return coil__fail(COIL_ENOTASK, "a timeout or cancel scope outside a task");
}

/* seconds: from now, or on the loop's clock. here: in the frame of the public call. */
static inline int enter(coil_timeout *timeout, double seconds, bool absolute,
                        const coil_place *place, uintptr_t here)
{
    struct coil__task *task = coil__thread.task;
    timeout->coil__state = COIL__LIMIT_CREATED;
    timeout->coil__kind = COIL__LIMIT_TIMEOUT;
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
    timeout->coil__place = place;
    timeout->coil__cancels = coil__task_requests(task); /* while it is not in the chain */
    link_limit(task, timeout, here);
    int rc = arm(timeout, loop, due_ns, now_ns);
    if (COIL_UNLIKELY(rc < 0))
        task->future.limits = timeout->coil__outer;
    else
        timeout->coil__state = COIL__LIMIT_ENTERED;
    return rc;
}

int coil__limit_enter(coil_timeout *limit, double delay, const coil_place *place, uintptr_t here)
{
    return enter(limit, delay, false, place, here);
}

int coil__timeout_enter(coil_timeout *timeout, double delay, const coil_place *place)
{
    return enter(timeout, delay, false, place, (uintptr_t)__builtin_frame_address(0));
}

int coil__timeout_at_enter(coil_timeout *timeout, double when, const coil_place *place)
{
    return enter(timeout, when, true, place, (uintptr_t)__builtin_frame_address(0));
}

int(coil_timeout_enter)(coil_timeout *timeout, double delay)
{
    return coil__timeout_enter(timeout, delay, NULL);
}

int(coil_timeout_at_enter)(coil_timeout *timeout, double when)
{
    return coil__timeout_at_enter(timeout, when, NULL);
}

int(coil_move_on_after_enter)(coil_timeout *timeout, double delay)
{
    return coil__timeout_enter(timeout, delay, NULL);
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
static __attribute__((noinline)) bool leave_slowly(coil_timeout *timeout, int *rc, uintptr_t here)
{
    struct coil__task *task = task_of(timeout);
    if (timeout->coil__state != COIL__LIMIT_EXPIRING) {
        if (*rc >= 0)
            *rc = coil__fail(COIL_ERUNTIME, "the timeout is not entered");
        return false;
    }
    timeout->coil__state = COIL__LIMIT_EXPIRED;
    unlink_limit(task, timeout, here);
    (void)coil_task_uncancel(&task->future);
    if (coil__task_requests(task) > timeout->coil__cancels || *rc >= 0)
        return false; /* somebody else wants it cancelled, too; or nothing came of it */
    if (task->flags & COIL__TASK_SCOPED)
        return false; /* so does a scope around it */
    timeout->coil__caught = *rc == COIL_ECANCELED;
    if (!timeout->coil__caught)
        explain(*rc);
    return timeout->coil__caught;
}

static inline bool leave(coil_timeout *timeout, int *rc, uintptr_t here)
{
    if (COIL_UNLIKELY(timeout->coil__state != COIL__LIMIT_ENTERED))
        return leave_slowly(timeout, rc, here);
    struct coil__task *task = task_of(timeout);
    unlink_limit(task, timeout,
                 here); /* first: the heap would write to timers that were left behind */
    disarm(timeout, task->future.loop);
    timeout->coil__state = COIL__LIMIT_EXITED;
    return false;
}

void coil__limit_leave(coil_timeout *limit, uintptr_t here)
{
    struct coil__task *task = task_of(limit);
    unlink_limit(task, limit, here);
    if (limit->coil__state == COIL__LIMIT_ENTERED)
        disarm(limit, task->future.loop);
    limit->coil__state = COIL__LIMIT_EXITED;
}

coil_error *coil__take_cancellation(void)
{
    coil_error *record = coil_ref(coil_error_current(COIL_ECANCELED));
    coil__fail_plain(COIL_ECANCELED);
    return record;
}

int coil__timed_out(void)
{
    coil_error *cause = coil__take_cancellation();
    if (!cause)
        cause = coil__error_new(COIL_ECANCELED, NULL);
    coil_raise_at(NULL, 0, NULL, COIL_ETIMEDOUT, cause, "%s", "");
    coil_unref(cause);
    return COIL_ETIMEDOUT;
}

int coil_timeout_exit(coil_timeout *timeout, int rc)
{
    bool caught = leave(timeout, &rc, (uintptr_t)__builtin_frame_address(0));
    return COIL_UNLIKELY(caught) ? coil__timed_out() : rc;
}

int coil_move_on_after_exit(coil_timeout *timeout, int rc, bool *cut_out)
{
    bool caught = leave(timeout, &rc, (uintptr_t)__builtin_frame_address(0));
    if (cut_out)
        *cut_out = caught;
    if (!caught)
        return rc;
    coil_unref(coil__take_cancellation());
    return 0;
}

void coil_timeout_leave(coil_timeout *timeout)
{
    int rc = 0; /* no code is translated, so none is given back */
    if (timeout->coil__state == COIL__LIMIT_ENTERED || timeout->coil__state == COIL__LIMIT_EXPIRING)
        (void)leave(timeout, &rc, (uintptr_t)__builtin_frame_address(0));
}

/* ---- in between --------------------------------------------------------------------------------- */

void coil__limit_set_place(coil_timeout *limit, const coil_place *place)
{
    limit->coil__place = place;
    limit->coil__check = check_of(limit, limit);
}

double coil_timeout_when(const coil_timeout *timeout)
{
    int64_t due_ns = timer_of(timeout)->due_ns;
    return timeout->coil__state == COIL__LIMIT_CREATED || due_ns == COIL__FOREVER_NS
               ? COIL_NO_TIMEOUT
               : (double)due_ns / 1e9;
}

int coil_timeout_reschedule(coil_timeout *timeout, double when)
{
    if (isnan(when))
        return coil__fail(COIL_EINVAL, "the time is not a number");
    if (timeout->coil__state != COIL__LIMIT_ENTERED)
        return coil__fail(
            COIL_ERUNTIME, "%s",
            timeout->coil__state == COIL__LIMIT_CREATED    ? "the timeout has not been entered"
            : timeout->coil__state == COIL__LIMIT_EXPIRING ? "the timeout has expired"
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
    return timeout->coil__state == COIL__LIMIT_EXPIRING ||
           timeout->coil__state == COIL__LIMIT_EXPIRED;
}

bool coil_timeout_caught(const coil_timeout *timeout)
{
    return timeout->coil__caught;
}
