/* as_completed: futures in the order in which they end.
 *
 * Each future tells through an entry in the ready queue, as asyncio's done callbacks do, and then stands
 * in the list of those that have arrived. Entries may still be queued when the iteration is over, so all
 * of it lies in one block that lives until the last of them has run. */
#include <coil/wait.h>

#include <math.h>
#include <string.h>
#include "base/error.h"
#include "structure/distinct.h"
#include "structure/ensure.h"
#include "tasks/task.h"

struct item {
    struct coil__waiter waiter;
    struct coil__ready ready;
    struct coil__arrivals *arrivals;
    coil_future *future; /* one reference; NULL: a repetition */
    struct item *next;   /* in the list of those that have arrived */
    bool created;
};

struct coil__arrivals {
    size_t refs;    /* the iterator's, one for each entry that is queued and each task that waits */
    size_t awaited; /* have not arrived, and may yet */
    size_t missing; /* will not: time was up; to be told, each, once those that arrived are gone */
    size_t left;    /* turns that nobody has taken */
    bool closed;
    coil_loop *loop;            /* one reference */
    struct item *first, **last; /* arrived, and not handed out */
    struct coil__link takers;   /* tasks that wait, in the order in which they came */
    struct coil__timer timer;
    size_t count;
    struct item items[];
};

/* A task that waits for the next one, on its stack. */
struct taker {
    struct coil__wait wait;
    struct coil__link link;
};

static void arrivals_unref(struct coil__arrivals *arrivals)
{
    if (--arrivals->refs > 0)
        return;
    for (size_t i = 0; i < arrivals->count; i++)
        coil_unref(arrivals->items[i].future);
    coil_unref(arrivals->loop);
    coil__free(arrivals);
}

/* ---- arriving ----------------------------------------------------------------------------------- */

static bool nothing_to_take(const struct coil__arrivals *arrivals)
{
    return !arrivals->first && arrivals->missing == 0;
}

static void wake_one(struct coil__arrivals *arrivals)
{
    if (coil__list_empty(&arrivals->takers))
        return;
    struct taker *taker = COIL__CONTAINER(arrivals->takers.next, struct taker, link);
    coil__list_remove(&taker->link);
    coil__wait_over(&taker->wait);
}

static void disarm(struct coil__arrivals *arrivals)
{
    if (arrivals->timer.heap_index == COIL__TIMER_IDLE)
        return; /* there is none, or it is queued and finds nothing to do */
    coil__timer_disarm(&arrivals->loop->timers, &arrivals->timer);
    arrivals_unref(arrivals);
}

static void run_has_arrived(struct coil__ready *ready)
{
    struct item *item = COIL__CONTAINER(ready, struct item, ready);
    struct coil__arrivals *arrivals = item->arrivals;
    if (arrivals->awaited > 0) { /* else it comes too late */
        coil_loop *loop = arrivals->loop;
        loop->waker = coil_is_task(item->future) ? item->future : NULL;
        *arrivals->last = item;
        arrivals->last = &item->next;
        wake_one(arrivals);
        loop->waker = NULL;
        if (--arrivals->awaited == 0)
            disarm(arrivals);
    }
    arrivals_unref(arrivals);
}

static void queue_has_arrived(struct coil__waiter *waiter, coil_future *future)
{
    struct item *item = COIL__CONTAINER(waiter, struct item, waiter);
    item->arrivals->refs++;
    coil__loop_push(future->loop, &item->ready);
}

static void stop_awaiting(struct coil__arrivals *arrivals)
{
    arrivals->awaited = 0;
    for (size_t i = 0; i < arrivals->count; i++)
        if (coil__list_linked(&arrivals->items[i].waiter.link))
            coil__list_remove(&arrivals->items[i].waiter.link);
}

static void run_time_is_up(struct coil__ready *ready)
{
    struct coil__arrivals *arrivals = COIL__CONTAINER(ready, struct coil__arrivals, timer.ready);
    size_t late = arrivals->awaited;
    stop_awaiting(arrivals);
    arrivals->missing += late;
    while (late-- > 0)
        wake_one(arrivals);
    arrivals_unref(arrivals);
}

/* ---- beginning ---------------------------------------------------------------------------------- */

/* Each once, in the order of the arguments. */
static int ensure_futures(struct coil__arrivals *arrivals, void *const *awaitables,
                          const size_t *first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct item *item = &arrivals->items[i];
        item->arrivals = arrivals;
        item->waiter.wake = queue_has_arrived;
        item->ready.run = run_has_arrived;
        arrivals->count = i + 1;
        if (first[i] != i)
            continue;
        item->created = !coil_is_future(awaitables[i]);
        item->future = coil_ensure_future(arrivals->loop, awaitables[i]);
        if (!item->future) {
            coil__awaitables_drop(awaitables, i + 1, count);
            return coil_error_last();
        }
    }
    return 0;
}

static void await_all(struct coil__arrivals *arrivals)
{
    for (size_t i = 0; i < arrivals->count; i++) {
        struct item *item = &arrivals->items[i];
        if (!item->future)
            continue;
        arrivals->awaited++;
        if (coil__future_pending(item->future))
            coil__future_await(item->future, &item->waiter);
        else
            queue_has_arrived(&item->waiter, item->future);
    }
    arrivals->left = arrivals->awaited;
}

static int set_timer(struct coil__arrivals *arrivals, double timeout)
{
    if (timeout == COIL_NO_TIMEOUT || arrivals->count == 0)
        return 0;
    arrivals->timer.due_ns = coil__loop_deadline(arrivals->loop, timeout);
    int rc = coil__timer_arm(&arrivals->loop->timers, &arrivals->timer);
    arrivals->refs += rc == 0;
    return rc;
}

/* What was begun when not all could be is cancelled. */
static void give_up(struct coil__arrivals *arrivals)
{
    disarm(arrivals);
    for (size_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i].created && arrivals->items[i].future)
            (void)coil__future_cancel(arrivals->items[i].future, NULL);
    arrivals_unref(arrivals);
}

static struct coil__arrivals *arrivals_new(coil_loop *loop, size_t count)
{
    struct coil__arrivals *arrivals = coil__alloc_zero(sizeof *arrivals +
                                                       count * sizeof *arrivals->items);
    if (!arrivals)
        return coil__fail_null(COIL_ENOMEM);
    arrivals->refs = 1;
    arrivals->loop = coil_ref(loop);
    arrivals->last = &arrivals->first;
    coil__list_init(&arrivals->takers);
    arrivals->timer.ready.run = run_time_is_up;
    arrivals->timer.heap_index = COIL__TIMER_IDLE;
    return arrivals;
}

static int begin(coil_as_completed *iterator, void *const *awaitables, size_t count, double timeout)
{
    coil_loop *loop = coil__loop_or_running(NULL);
    struct coil__arrivals *arrivals = loop ? arrivals_new(loop, count) : NULL;
    size_t *first = arrivals ? coil__alloc((count ? count : 1) * sizeof *first) : NULL;
    if (!first) {
        int rc = arrivals ? coil__fail_plain(COIL_ENOMEM) : coil_error_last();
        if (arrivals)
            arrivals_unref(arrivals);
        coil__awaitables_drop(awaitables, 0, count);
        return rc;
    }
    coil__find_repetitions(awaitables, count, first);
    int rc = ensure_futures(arrivals, awaitables, first, count);
    coil__free(first);
    if (rc == 0)
        rc = set_timer(arrivals, timeout);
    if (rc < 0) {
        give_up(arrivals);
        return coil__fail_plain(rc);
    }
    await_all(arrivals);
    iterator->coil__arrivals = arrivals;
    return 0;
}

static int check_arguments(void *const *awaitables, size_t count, double timeout)
{
    if (isnan(timeout))
        return coil__fail(COIL_EINVAL, "the timeout is not a number");
    for (size_t i = 0; i < count; i++)
        if (!awaitables[i])
            return coil_error_last(); /* the constructor that gave NULL has said why */
    return 0;
}

int coil_as_completed_init(coil_as_completed *iterator, coil_awaitables of, size_t count,
                           double timeout)
{
    void *const *awaitables = of.any;
    iterator->coil__arrivals = NULL;
    int rc = check_arguments(awaitables, count, timeout);
    if (rc == 0)
        return begin(iterator, awaitables, count, timeout);
    coil__awaitables_drop(awaitables, 0, count);
    return rc;
}

/* ---- taking ------------------------------------------------------------------------------------- */

static bool stop_waiting(struct coil__wait *wait)
{
    coil__list_remove(&COIL__CONTAINER(wait, struct taker, wait)->link);
    return true;
}

static int wait_for_one(struct coil__task *task, struct coil__arrivals *arrivals)
{
    struct taker taker = { .wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "as_completed", stop_waiting) };
    coil__list_append(&arrivals->takers, &taker.link);
    int rc = coil__task_wait(task, &taker.wait);
    if (rc < 0 && taker.wait.state == COIL__WAIT_OVER && !nothing_to_take(arrivals))
        wake_one(arrivals); /* it was woken for something that it leaves to the next */
    return rc;
}

static int take(struct coil__arrivals *arrivals, coil_future **future_out)
{
    struct item *item = arrivals->first;
    if (!item) {
        arrivals->missing--;
        return coil__fail(COIL_ETIMEDOUT, "not all were completed in time");
    }
    arrivals->first = item->next;
    if (!item->next)
        arrivals->last = &arrivals->first;
    *future_out = item->future;
    return 0;
}

int coil_as_completed_next(coil_as_completed *iterator, coil_future **future_out)
{
    struct coil__task *task = coil__thread.task;
    struct coil__arrivals *arrivals = iterator->coil__arrivals;
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "as_completed outside a task");
    if (!arrivals || arrivals->left == 0)
        return coil__fail_plain(COIL_EEND);
    if (task->future.loop != arrivals->loop)
        return coil__fail(COIL_EWRONGLOOP, "the iteration belongs to another loop");

    int rc = 0;
    arrivals->left--; /* taken, so that as many can wait as there are turns */
    arrivals->refs++;
    while (rc == 0 && !arrivals->closed && nothing_to_take(arrivals))
        rc = wait_for_one(task, arrivals);
    if (rc < 0)
        arrivals->left++;
    else
        rc = arrivals->closed ? coil__fail_plain(COIL_EEND) : take(arrivals, future_out);
    arrivals_unref(arrivals);
    return rc;
}

void coil_as_completed_fini(coil_as_completed *iterator)
{
    struct coil__arrivals *arrivals = iterator->coil__arrivals;
    if (!arrivals)
        return;
    iterator->coil__arrivals = NULL;
    stop_awaiting(arrivals);
    disarm(arrivals);
    arrivals->closed = true;
    while (!coil__list_empty(&arrivals->takers))
        wake_one(arrivals);
    arrivals_unref(arrivals);
}
