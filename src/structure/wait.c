/* wait: until all or the first of some futures are done, or time is up.
 *
 * The futures tell through entries in the ready queue, as asyncio's done callbacks do. Such an entry may
 * still be queued when the wait is over; it then keeps the memory in which it lies. */
#include <coil/wait.h>

#include <math.h>
#include <string.h>
#include "base/error.h"
#include "structure/distinct.h"
#include "structure/waiters.h"
#include "tasks/task.h"

struct watched {
    struct coil__waiter waiter;
    struct coil__ready ready;
    struct waiting *waiting;
    coil_future *future; /* one reference; NULL: a repetition */
};

struct waiting {
    size_t refs;             /* the call's, and one for each entry that is queued */
    struct coil__wait *wait; /* NULL once the call is over */
    coil_return_when when;
    size_t unfinished;
    struct coil__timer timer;
    bool timer_set;
    size_t count;
    struct watched futures[];
};

static void waiting_unref(struct waiting *waiting)
{
    if (--waiting->refs > 0)
        return;
    for (size_t i = 0; i < waiting->count; i++)
        coil_unref(waiting->futures[i].future);
    coil__free(waiting);
}

static void release(struct waiting *waiting)
{
    if (waiting->wait && waiting->wait->state == COIL__WAIT_PENDING)
        coil__wait_over(waiting->wait);
}

static bool decides(const struct waiting *waiting, coil_future *future)
{
    if (waiting->unfinished == 0 || waiting->when == COIL_FIRST_COMPLETED)
        return true;
    if (waiting->when != COIL_FIRST_EXCEPTION || future->object.state != COIL__FUTURE_FAILED)
        return false;
    future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
    return true;
}

static void run_is_done(struct coil__ready *ready)
{
    struct watched *self = COIL__CONTAINER(ready, struct watched, ready);
    struct waiting *waiting = self->waiting;
    waiting->unfinished--;
    if (decides(waiting, self->future))
        release(waiting);
    waiting_unref(waiting);
}

static void queue_is_done(struct coil__waiter *waiter, coil_future *future)
{
    struct watched *self = COIL__CONTAINER(waiter, struct watched, waiter);
    self->waiting->refs++;
    coil__loop_push(future->loop, &self->ready);
}

const struct coil__waiter_kind coil__waiter_wait = {
    queue_is_done,
    COIL__AWAITS_SOME,
    3,
    { COIL__FROM_WAITER(struct watched, waiter, waiting), offsetof(struct waiting, wait),
      offsetof(struct coil__wait, task) }
};

static void run_time_is_up(struct coil__ready *ready)
{
    struct waiting *waiting = COIL__CONTAINER(ready, struct waiting, timer.ready);
    waiting->timer_set = false;
    release(waiting);
    if (!waiting->wait)
        waiting_unref(waiting);
}

static bool never_mind(struct coil__wait *wait)
{
    (void)wait; /* stop_waiting takes everything down */
    return true;
}

/* Takes the futures over, each once. */
static void watch(struct waiting *waiting, coil_future *const *futures, const size_t *first)
{
    for (size_t i = 0; i < waiting->count; i++) {
        struct watched *self = &waiting->futures[i];
        if (first[i] != i)
            continue;
        self->waiting = waiting;
        self->waiter.wake = queue_is_done;
        self->ready.run = run_is_done;
        self->future = coil_ref(futures[i]);
        waiting->unfinished++;
        if (coil__future_pending(futures[i]))
            coil__future_await(futures[i], &self->waiter);
        else
            queue_is_done(&self->waiter, futures[i]);
    }
}

static int set_timer(struct waiting *waiting, coil_loop *loop, double timeout)
{
    waiting->timer.ready.run = run_time_is_up;
    waiting->timer.heap_index = COIL__TIMER_IDLE;
    if (timeout == COIL_NO_TIMEOUT)
        return 0;
    waiting->timer.due_ns = coil__loop_deadline(loop, timeout);
    int rc = coil__timer_arm(&loop->timers, &waiting->timer);
    waiting->timer_set = rc == 0;
    return rc;
}

static void stop_waiting(struct waiting *waiting, coil_loop *loop)
{
    waiting->wait = NULL;
    for (size_t i = 0; i < waiting->count; i++)
        if (coil__list_linked(&waiting->futures[i].waiter.link))
            coil__list_remove(&waiting->futures[i].waiter.link);
    if (waiting->timer.heap_index != COIL__TIMER_IDLE)
        coil__timer_disarm(&loop->timers, &waiting->timer);
    else if (waiting->timer_set && !loop->closed)
        waiting->refs++; /* due and queued: run_time_is_up gives it back */
    waiting_unref(waiting);
}

static int check_arguments(coil_future *const *futures, size_t count, double timeout,
                           coil_return_when when)
{
    if (count == 0)
        return coil__fail(COIL_EINVAL, "nothing to wait for");
    if (isnan(timeout) || (when != COIL_ALL_COMPLETED && when != COIL_FIRST_COMPLETED &&
                           when != COIL_FIRST_EXCEPTION))
        return coil__fail(COIL_EINVAL, "%s",
                          isnan(timeout) ? "the timeout is not a number" : "unknown condition");
    struct coil__task *task = coil__thread.task;
    for (size_t i = 0; i < count; i++) {
        if (!futures[i])
            return coil_error_last();
        if (!coil_is_future(futures[i]))
            return coil__fail(COIL_ETYPE, "only futures and tasks can be waited for");
        if (task && futures[i]->loop != task->future.loop)
            return coil__fail(COIL_EWRONGLOOP, "a future belongs to another loop");
    }
    return task && !coil__thread.driver ? 0 : coil__fail(COIL_ENOTASK, "wait outside a task");
}

static int count_done(coil_future *const *futures, size_t count)
{
    int done = 0;
    for (size_t i = 0; i < count; i++)
        done += coil_future_done(futures[i]);
    return done;
}

int coil_wait(coil_future *const *futures, size_t count, double timeout, coil_return_when when)
{
    int rc = check_arguments(futures, count, timeout, when);
    if (rc < 0)
        return rc;
    struct coil__task *task = coil__thread.task;
    coil_loop *loop = task->future.loop;
    struct waiting *waiting = coil__alloc_zero(sizeof *waiting + count * sizeof *waiting->futures);
    size_t *first = coil__alloc(count * sizeof *first);
    rc = waiting && first ? set_timer(waiting, loop, timeout) : COIL_ENOMEM;
    if (rc < 0) {
        coil__free(first);
        coil__free(waiting);
        return coil__fail_plain(rc);
    }
    coil__find_repetitions((void *const *)futures, count, first);
    waiting->refs = 1;
    waiting->count = count;
    waiting->when = when;
    struct coil__wait wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "wait", never_mind);
    waiting->wait = &wait;
    watch(waiting, futures, first);
    coil__free(first);

    rc = coil__task_wait(task, &wait);
    stop_waiting(waiting, loop);
    return rc < 0 ? rc : count_done(futures, count);
}
