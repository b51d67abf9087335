/* How many turns of the loop each operation costs, counted by a callback that runs once per
 * turn.
 *
 * Zero means that the operation does not suspend. These counts decide every interleaving, so
 * they are pinned here one by one.
 *
 * Why: An implementation with one turn more or fewer interleaves differently and fails much
 * later. */
#include "kit/kit.h"

struct ticker {
    int ticks;
    coil_handle *handle;
};

struct shared {
    coil_future *done;
    coil_event event;
    coil_lock lock;
    coil_queue queue;
};

static int tick(void *arg)
{
    struct ticker *ticker = arg;
    ticker->ticks++;
    coil_unref(ticker->handle);
    ticker->handle = NULL;
    return coil_call_soon(NULL, tick, ticker, &ticker->handle);
}

COIL_ASYNC0(nothing)
{
    coil_return(1);
}

COIL_ASYNC0(one_turn)
{
    return coil_sleep(0);
}

/* ---- the operations, each as a function that awaits it ------------------------------------------ */

static int a_coroutine(struct shared *shared)
{
    (void)shared;
    return coil_await(nothing(), NULL);
}

static int a_done_future(struct shared *shared)
{
    return coil_await(shared->done, NULL);
}

static int give_way(struct shared *shared)
{
    (void)shared;
    return coil_sleep(0);
}

static int a_task(struct shared *shared)
{
    (void)shared;
    return join(coil_create_task(nothing()), NULL);
}

static int a_task_that_gives_way(struct shared *shared)
{
    (void)shared;
    return join(coil_create_task(one_turn()), NULL);
}

static int gather_none(struct shared *shared)
{
    (void)shared;
    return coil_gather_array(NULL, NULL, 0, 0);
}

static int gather_a_done_future(struct shared *shared)
{
    return coil_gather(NULL, shared->done);
}

static int gather_one(struct shared *shared)
{
    (void)shared;
    return coil_gather(NULL, nothing());
}

static int gather_three(struct shared *shared)
{
    (void)shared;
    return coil_gather(NULL, nothing(), nothing(), nothing());
}

static int wait_for_one(struct shared *shared)
{
    (void)shared;
    coil_task *task = coil_create_task(nothing());
    int rc = coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    coil_unref(task);
    return rc;
}

static int wait_for_the_first(struct shared *shared)
{
    (void)shared;
    coil_task *tasks[2];
    tasks[0] = coil_create_task(nothing());
    tasks[1] = coil_create_task(one_turn());
    int rc = coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED);
    unref_all(tasks, 2);
    return rc;
}

static int first_as_completed(struct shared *shared)
{
    (void)shared;
    coil_task *tasks[2], *first;
    coil_as_completed turns;
    tasks[0] = coil_create_task(nothing());
    tasks[1] = coil_create_task(one_turn());
    COIL_TRY(coil_as_completed_init(&turns, tasks, 2, COIL_NO_TIMEOUT));
    int rc = coil_as_completed_next(&turns, &first);
    if (rc == 0)
        rc = coil_future_result(first, NULL);
    coil_as_completed_fini(&turns);
    unref_all(tasks, 2);
    return rc;
}

static int in_group(int children)
{
    coil_task_group group;
    COIL_TRY(coil_task_group_enter(&group));
    int rc = 0;
    for (int i = 0; i < children && rc == 0; i++)
        rc = coil_task_group_spawn(&group, nothing());
    return coil_task_group_exit(&group, rc);
}

static int an_empty_group(struct shared *shared)
{
    (void)shared;
    return in_group(0);
}

static int a_group_of_one(struct shared *shared)
{
    (void)shared;
    return in_group(1);
}

static int a_group_of_three(struct shared *shared)
{
    (void)shared;
    return in_group(3);
}

static int in_timeout(struct shared *shared)
{
    (void)shared;
    return COIL_TIMEOUT(10, coil_sleep(0));
}

static int wait_for_coroutine(struct shared *shared)
{
    (void)shared;
    return coil_wait_for(nothing(), 10, NULL);
}

static int wait_for_task(struct shared *shared)
{
    (void)shared;
    coil_task *task = coil_create_task(nothing());
    int rc = coil_wait_for(task, 10, NULL);
    coil_unref(task);
    return rc;
}

static int shield_coroutine(struct shared *shared)
{
    (void)shared;
    return coil_shield(nothing(), NULL);
}

static int shield_done_future(struct shared *shared)
{
    return coil_shield(shared->done, NULL);
}

static int wait_for_event(struct shared *shared)
{
    return coil_event_wait(&shared->event);
}

COIL_ASYNC(locked, (coil_lock *, lock))
{
    COIL_TRY(coil_lock_acquire(lock));
    return coil_lock_release(lock);
}

static int a_free_lock(struct shared *shared)
{
    return coil_await(locked(&shared->lock), NULL);
}

static int two_lockers(struct shared *shared)
{
    return coil_gather(NULL, locked(&shared->lock), locked(&shared->lock));
}

static int put(struct shared *shared)
{
    return coil_queue_put(&shared->queue, coil_int(1));
}

static int get(struct shared *shared)
{
    coil_value item;
    return coil_queue_get(&shared->queue, &item);
}

COIL_ASYNC(getter, (struct shared *, shared))
{
    return get(shared);
}

static int hand_over(struct shared *shared)
{
    coil_task *task = coil_create_task(getter(shared));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_queue_put_nowait(&shared->queue, coil_int(1)));
    return join(task, NULL);
}

/* ---- counting ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*make)(struct shared *shared);
} operations[] = {
    { "a coroutine", a_coroutine },
    { "a done future", a_done_future },
    { "sleep(0)", give_way },
    { "a task that returns at once", a_task },
    { "a task that gives way once", a_task_that_gives_way },
    { "gather of none", gather_none },
    { "gather of a done future", gather_a_done_future },
    { "gather of one", gather_one },
    { "gather of three", gather_three },
    { "wait for one", wait_for_one },
    { "wait for the first of two", wait_for_the_first },
    { "as_completed, the first of two", first_as_completed },
    { "an empty task group", an_empty_group },
    { "a task group of one", a_group_of_one },
    { "a task group of three", a_group_of_three },
    { "a timeout around sleep(0)", in_timeout },
    { "wait_for of a coroutine", wait_for_coroutine },
    { "wait_for of a task", wait_for_task },
    { "shield of a coroutine", shield_coroutine },
    { "shield of a done future", shield_done_future },
    { "waiting for a set event", wait_for_event },
    { "a free lock", a_free_lock },
    { "two lockers", two_lockers },
    { "put into an unbounded queue", put },
    { "get from a filled queue", get },
    { "a queue hand-over", hand_over },
};

COIL_ASYNC0(amain)
{
    struct shared shared = { coil_create_future(NULL), COIL_EVENT_INIT, COIL_LOCK_INIT,
                             COIL_QUEUE_INIT(0) };
    COIL_TRY(coil_future_set_result(shared.done, coil_nil()));
    COIL_TRY(coil_event_set(&shared.event));
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        struct ticker ticker = { 0, NULL };
        COIL_TRY(coil_call_soon(NULL, tick, &ticker, &ticker.handle));
        COIL_TRY(operations[i].make(&shared));
        coil_handle_cancel(ticker.handle);
        coil_unref(ticker.handle);
        say(ticker.ticks, operations[i].name);
    }
    coil_queue_fini(&shared.queue);
    coil_lock_fini(&shared.lock);
    coil_event_fini(&shared.event);
    coil_unref(shared.done);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
