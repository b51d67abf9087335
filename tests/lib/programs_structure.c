/* Programs of limits, groups, locks, queues and generators. What works on memory of its maker's is in a
 * task group, since it must not outlive that. */
#include "lib/program_pieces.h"
#include "test.h"

/* ---- limits ------------------------------------------------------------------------------------- */

static int sleep_twice(void)
{
    COIL_TRY(coil_sleep(0.1));
    return coil_sleep(5);
}

static int moves_its_limit(void)
{
    coil_timeout limit;
    bool cut;
    COIL_TRY(coil_move_on_after_enter(&limit, 5));
    int rc = coil_timeout_reschedule(&limit, coil_loop_time(NULL) + 0.1);
    if (rc == 0)
        rc = coil_sleep(1);
    COIL_TRY(coil_move_on_after_exit(&limit, rc, &cut));
    EXPECT(cut);
    return 0;
}

static int shields(void)
{
    coil_task *task = coil_create_task(answer(0.2, 3));
    if (!task)
        return coil_error_last();
    coil_value value;
    int rc = expect_code(COIL_TIMEOUT(0.1, coil_shield(task, NULL)), COIL_ETIMEDOUT);
    if (rc == 0)
        rc = coil_await(task, &value);
    if (rc == 0)
        EXPECT_INT(token_number(value), 3);
    coil_unref(task);
    return rc;
}

static int takes_in_order(void)
{
    coil_coro *coros[3] = { answer(0.3, 3), answer(0.1, 1), answer(5, 2) };
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, coros, 3, 1));
    coil_future *future;
    int rc, taken = 0;
    while ((rc = coil_as_completed_next(&turns, &future)) == 0 &&
           (rc = coil_future_result(future, NULL)) == 0)
        taken++;
    coil_as_completed_fini(&turns);
    COIL_TRY(expect_code(rc, COIL_ETIMEDOUT));
    EXPECT_INT(taken, 2);
    return 0;
}

COIL_ASYNC0(limits_main)
{
    coil_value value;
    COIL_TRY(COIL_TIMEOUT(5, coil_sleep(0.1)));
    COIL_TRY(expect_code(COIL_TIMEOUT(0.2, sleep_twice()), COIL_ETIMEDOUT));
    COIL_TRY(expect_code(COIL_TIMEOUT(9, COIL_TIMEOUT(0.2, sleep_twice())), COIL_ETIMEDOUT));
    COIL_TRY(coil_wait_for(answer(0.1, 1), 1, &value));
    coil_value_clear(&value);
    COIL_TRY(expect_code(coil_wait_for(answer(5, 2), 0.1, NULL), COIL_ETIMEDOUT));
    COIL_TRY(moves_its_limit());
    COIL_TRY(shields());
    COIL_TRY(takes_in_order());
    coil_task *task = coil_create_task(cleaning(1000));
    if (!task)
        return coil_error_last();
    int rc = coil_sleep(0.1);
    int ended = coil_cancel_and_wait(task, "enough");
    coil_unref(task);
    return rc < 0 ? rc : ended;
}

int run_limits(coil_loop *loop)
{
    return coil_run_until_complete(loop, limits_main(), NULL);
}

/* ---- groups ------------------------------------------------------------------------------------- */

/* Starts a coroutine in a group, unless something has failed before. */
static int start(coil_task_group *tg, int rc, coil_coro *coro)
{
    if (rc == 0)
        return coil_task_group_spawn(tg, coro);
    (void)coil_coro_close(coro); /* it never ran */
    return rc;
}

COIL_ASYNC0(groups_main)
{
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    coil_task *task = coil_task_group_create_task(&tg, answer(0.1, 1));
    int rc = start(&tg, task ? 0 : coil_error_last(), answer(0.2, 2));
    rc = coil_error_unwrap(coil_task_group_exit(&tg, rc));
    if (rc == 0)
        rc = coil_future_result(task, NULL);
    coil_unref(task);
    COIL_TRY(rc);

    COIL_TRY(coil_task_group_enter(&tg));
    rc = start(&tg, 0, cleaning(1000));
    rc = start(&tg, rc, failing(0.1, COIL_EAPP));
    rc = coil_error_unwrap(coil_task_group_exit(&tg, rc));
    COIL_TRY(expect_code(rc, COIL_EAPP));

    COIL_TRY(coil_task_group_enter(&tg));
    rc = start(&tg, 0, cleaning(1000));
    if (rc == 0)
        rc = coil_sleep(0.1);
    coil_task_group_cancel(&tg);
    return coil_error_unwrap(coil_task_group_exit(&tg, rc));
}

int run_groups(coil_loop *loop)
{
    return coil_run_until_complete(loop, groups_main(), NULL);
}

/* ---- locks -------------------------------------------------------------------------------------- */

struct room {
    coil_lock lock;
    coil_condition condition;
    coil_semaphore semaphore;
    coil_event event;
    coil_barrier barrier;
    int inside, passed;
};

static int all_are_inside(void *arg)
{
    return ((struct room *)arg)->inside == 3;
}

static int pass_through(struct room *room)
{
    COIL_TRY(coil_event_wait(&room->event));
    COIL_TRY(coil_semaphore_acquire(&room->semaphore));
    int rc = coil_sleep(0.1);
    coil_semaphore_release(&room->semaphore);
    COIL_TRY(rc);
    COIL_TRY(coil_condition_acquire(&room->condition));
    room->inside++;
    coil_condition_notify_all(&room->condition);
    rc = coil_condition_wait_for(&room->condition, all_are_inside, room);
    coil_condition_release(&room->condition);
    COIL_TRY(rc);
    return coil_barrier_wait(&room->barrier);
}

COIL_ASYNC(passes, (struct room *, room))
{
    COIL_TRY(pass_through(room));
    room->passed++;
    return 0;
}

COIL_ASYNC0(locks_main)
{
    struct room room = { .passed = 0 };
    coil_lock_init(&room.lock);
    coil_condition_init(&room.condition, &room.lock);
    coil_event_init(&room.event);
    COIL_TRY(coil_semaphore_init(&room.semaphore, 2));
    COIL_TRY(coil_barrier_init(&room.barrier, 3));
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    for (int i = 0; i < 3; i++)
        rc = start(&tg, rc, passes(&room));
    if (rc == 0)
        rc = coil_sleep(0.1);
    coil_event_set(&room.event);
    rc = coil_error_unwrap(coil_task_group_exit(&tg, rc));
    if (rc == 0)
        EXPECT_INT(room.passed, 3);
    EXPECT(!coil_lock_locked(&room.lock));
    coil_barrier_fini(&room.barrier);
    coil_semaphore_fini(&room.semaphore);
    coil_event_fini(&room.event);
    coil_condition_fini(&room.condition);
    coil_lock_fini(&room.lock);
    return rc;
}

int run_locks(coil_loop *loop)
{
    return coil_run_until_complete(loop, locks_main(), NULL);
}

/* ---- queues ------------------------------------------------------------------------------------- */

COIL_ASYNC(produces, (coil_queue *, queue))
{
    for (int i = 0; i < 5; i++) {
        coil_value item = token_value(i);
        int rc = coil_queue_put(queue, item);
        if (rc < 0) {
            coil_value_clear(&item);
            return rc;
        }
    }
    COIL_TRY(coil_queue_join(queue));
    return coil_queue_shutdown(queue, false);
}

COIL_ASYNC(consumes, (coil_queue *, queue), (int *, sum))
{
    for (;;) {
        coil_value item;
        int rc = coil_queue_get(queue, &item);
        if (rc < 0)
            return rc == COIL_ESHUTDOWN ? 0 : rc;
        *sum += (int)token_number(item);
        coil_value_clear(&item);
        coil_queue_task_done(queue);
        COIL_TRY(coil_sleep(0.1));
    }
}

static int by_number(const coil_value *a, const coil_value *b, void *arg)
{
    (void)arg;
    return (int)(token_number(*a) - token_number(*b));
}

static int pass_items(coil_queue *queue)
{
    int sum = 0;
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, consumes(queue, &sum));
    rc = start(&tg, rc, consumes(queue, &sum));
    rc = start(&tg, rc, produces(queue));
    rc = coil_error_unwrap(coil_task_group_exit(&tg, rc));
    if (rc == 0)
        EXPECT_INT(sum, 10);
    return rc;
}

COIL_ASYNC0(queues_main)
{
    coil_queue queues[3];
    coil_queue_init(&queues[0], 1);
    coil_lifo_queue_init(&queues[1], 2);
    coil_priority_queue_init(&queues[2], 0, by_number, NULL);
    int rc = 0;
    for (int i = 0; i < 3; i++) {
        if (rc == 0)
            rc = pass_items(&queues[i]);
        coil_queue_fini(&queues[i]);
    }
    return rc;
}

int run_queues(coil_loop *loop)
{
    return coil_run_until_complete(loop, queues_main(), NULL);
}

/* ---- generators --------------------------------------------------------------------------------- */

COIL_ASYNC_GEN(tokens, (int, count))
{
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        rc = coil_yield(token_value(i), NULL);
        if (rc == 0)
            rc = coil_sleep(0.1);
    }
    int cleanup = coil_sleep(0.1);
    return rc < 0 ? rc : cleanup;
}

static int take(coil_gen *gen, int expected)
{
    coil_value value;
    COIL_TRY(coil_gen_next(gen, &value));
    EXPECT_INT(token_number(value), expected);
    coil_value_clear(&value);
    return 0;
}

COIL_ASYNC0(generators_main)
{
    coil_gen *gen = tokens(2);
    if (!gen)
        return coil_error_last();
    int rc = take(gen, 0);
    if (rc == 0)
        rc = take(gen, 1);
    if (rc == 0)
        rc = expect_code(coil_gen_next(gen, NULL), COIL_EEND);
    coil_unref(gen);
    COIL_TRY(rc);

    gen = tokens(3); /* closed half-way */
    if (!gen)
        return coil_error_last();
    rc = take(gen, 0);
    int closed = coil_gen_close(gen);
    coil_unref(gen);
    COIL_TRY(rc);
    COIL_TRY(closed);

    gen = tokens(3); /* and given back half-way: the loop closes it */
    if (!gen)
        return coil_error_last();
    rc = take(gen, 0);
    coil_unref(gen);
    COIL_TRY(rc);
    return coil_sleep(1);
}

int run_generators(coil_loop *loop)
{
    return coil_run_until_complete(loop, generators_main(), NULL);
}
