/* Queues: no item is lost, none is given back twice, and nobody sleeps beside an item or a free place. */
#include "lib/held.h"
#include "lib/steps.h"
#include "base/alloc.h"

/* ---- order -------------------------------------------------------------------------------------- */

static int put_numbers(coil_queue *queue, int from, int to)
{
    for (int i = from; i < to; i++)
        COIL_TRY(coil_queue_put_nowait(queue, coil_int(i)));
    return 0;
}

static int expect_numbers(coil_queue *queue, int from, int to)
{
    for (int i = from; i < to; i++) {
        coil_value item;
        COIL_TRY(coil_queue_get_nowait(queue, &item));
        EXPECT_INT(item.integer, i);
    }
    return 0;
}

TEST(items_keep_their_order_while_the_ring_grows_and_wraps)
{
    /* Growing has to put the two ends of the ring together again, wherever it begins. */
    for (int begin = 0; begin < 40; begin++) {
        coil_queue queue = COIL_QUEUE_INIT(0);
        EXPECT_INT(put_numbers(&queue, 0, begin), 0);
        EXPECT_INT(expect_numbers(&queue, 0, begin), 0);
        EXPECT_INT(put_numbers(&queue, 0, 100), 0);
        EXPECT_INT(coil_queue_qsize(&queue), 100);
        EXPECT_INT(expect_numbers(&queue, 0, 50), 0);
        EXPECT_INT(put_numbers(&queue, 100, 200), 0);
        EXPECT_INT(expect_numbers(&queue, 50, 200), 0);
        EXPECT(coil_queue_empty(&queue));
        coil_queue_fini(&queue);
    }
}

TEST(bounded_queue_takes_as_many_items_as_it_says)
{
    /* Also where that is no power of two. */
    for (size_t maxsize = 1; maxsize < 40; maxsize++) {
        coil_queue queue;
        coil_queue_init(&queue, maxsize);
        for (int round = 0; round < 3; round++) {
            EXPECT_INT(put_numbers(&queue, 0, (int)maxsize), 0);
            EXPECT(coil_queue_full(&queue));
            EXPECT_INT(coil_queue_put_nowait(&queue, coil_int(0)), COIL_EFULL);
            EXPECT_INT(expect_numbers(&queue, 0, (int)maxsize), 0);
            EXPECT(!coil_queue_full(&queue));
        }
        EXPECT_INT(coil_queue_maxsize(&queue), maxsize);
        EXPECT(queue.coil__room <= maxsize);
        coil_queue_fini(&queue);
    }
    coil__errors_forget_thread();
}

static int by_number(const coil_value *left, const coil_value *right, void *arg)
{
    ++*(int *)arg;
    return (left->integer > right->integer) - (left->integer < right->integer);
}

TEST(priority_queue_gives_the_least_item)
{
    uint64_t random = 1;
    int comparisons = 0, count[64] = { 0 };
    coil_queue queue;
    coil_priority_queue_init(&queue, 0, by_number, &comparisons);
    for (int i = 0; i < 1000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int number = (int)(random >> 58);
        count[number]++;
        EXPECT_INT(coil_queue_put_nowait(&queue, coil_int(number)), 0);
    }
    for (int number = 0; number < 64; number++)
        for (int i = 0; i < count[number]; i++)
            EXPECT_INT(expect_numbers(&queue, number, number + 1), 0);
    EXPECT(coil_queue_empty(&queue));
    EXPECT(comparisons < 1000 * 2 * 10); /* about twice the height of the heap for each item */
    coil_queue_fini(&queue);
}

/* ---- who owns what ------------------------------------------------------------------------------ */

static void init_fifo(coil_queue *queue)
{
    coil_queue_init(queue, 8);
}

static void init_lifo(coil_queue *queue)
{
    coil_lifo_queue_init(queue, 8);
}

static int by_token(const coil_value *left, const coil_value *right, void *arg)
{
    (void)arg;
    return (int)(token_number(*left) - token_number(*right));
}

static void init_priority(coil_queue *queue)
{
    coil_priority_queue_init(queue, 8, by_token, NULL);
}

static void (*const inits[])(coil_queue *) = { init_fifo, init_lifo, init_priority };

TEST(items_left_in_a_queue_are_given_back_once)
{
    /* By fini, by an immediate shutdown, and by whoever took them: of every kind of queue. */
    struct held before = held_now();
    for (size_t kind = 0; kind < 3; kind++) {
        for (int immediate = 0; immediate < 2; immediate++) {
            coil_queue queue;
            coil_value item;
            inits[kind](&queue);
            for (int i = 0; i < 8; i++)
                EXPECT_INT(coil_queue_put_nowait(&queue, token_value(i)), 0);
            for (int i = 0; i < 3; i++) {
                EXPECT_INT(coil_queue_get_nowait(&queue, &item), 0);
                coil_value_clear(&item);
            }
            EXPECT_INT(coil_queue_shutdown(&queue, immediate), 0);
            EXPECT_INT(coil_queue_qsize(&queue), immediate ? 0 : 5);
            if (!immediate)
                for (int i = 0; i < 2; i++) {
                    EXPECT_INT(coil_queue_get_nowait(&queue, &item), 0);
                    coil_value_clear(&item);
                }
            coil_queue_fini(&queue);
        }
    }
    EXPECT(held_expect(before, "queues"));
}

TEST(item_that_is_refused_stays_the_callers)
{
    /* Whatever the reason, so that it can be put elsewhere. */
    struct held before = held_now();
    coil_queue queue = COIL_QUEUE_INIT(1);
    coil_value item = token_value(1), other = token_value(2);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_queue_put_nowait(&queue, item), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_queue_put_nowait(&queue, item), 0);
    EXPECT_INT(coil_queue_put_nowait(&queue, other), COIL_EFULL);
    EXPECT_INT(coil_queue_put(&queue, other), COIL_ENOTASK);
    EXPECT_INT(coil_queue_shutdown(&queue, false), 0);
    EXPECT_INT(coil_queue_put_nowait(&queue, other), COIL_ESHUTDOWN);
    EXPECT_INT(token_number(other), 2);
    coil_value_clear(&other);
    coil_queue_fini(&queue);
    EXPECT(held_expect(before, "an item"));
}

static coil_queue shared = COIL_QUEUE_INIT(0);

static void drop_and_look(void *token)
{
    coil_value item;
    token_drop(token);
    EXPECT_INT(coil_queue_put_nowait(&shared, coil_int(1)), COIL_ESHUTDOWN);
    if (coil_queue_get_nowait(&shared, &item) == 0)
        coil_value_clear(&item);
}

TEST(destructor_may_use_the_queue_that_its_item_was_in)
{
    /* Whole structures hang on such items. */
    struct held before = held_now();
    for (int immediate = 0; immediate < 2; immediate++) {
        coil_queue_init(&shared, 0);
        for (int i = 0; i < 5; i++)
            EXPECT_INT(
                coil_queue_put_nowait(&shared, coil_pointer_owned(token_new(i), drop_and_look)), 0);
        if (immediate)
            EXPECT_INT(coil_queue_shutdown(&shared, true), 0);
        coil_queue_fini(&shared);
    }
    EXPECT(held_expect(before, "items that look"));
}

/* ---- waiting ------------------------------------------------------------------------------------ */

COIL_ASYNC(gets, (coil_queue *, queue), (const char *, name))
{
    coil_value item;
    int rc = coil_queue_get(queue, &item);
    if (rc < 0)
        note("%s:%s", name, coil_error_name(rc));
    else
        note("%s:%d", name, (int)item.integer);
    return 0;
}

COIL_ASYNC(puts_one, (coil_queue *, queue), (const char *, name), (int, number))
{
    coil_value item = coil_pointer_owned(token_new(number), token_drop);
    int rc = coil_queue_put(queue, item);
    note("%s:%s", name, rc < 0 ? coil_error_name(rc) : "put");
    if (rc < 0)
        coil_value_clear(&item);
    return 0;
}

static const char *const names[] = { "a", "b", "c" };

static int finish(coil_task **tasks)
{
    int rc = coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC(cancels_a_getter, (int, victim), (int, before))
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(gets(&queue, names[i]));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(put_numbers(&queue, 0, before), 0);
    coil_task_cancel(tasks[victim], NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(put_numbers(&queue, before, 3), 0);
    COIL_TRY(finish(tasks));
    EXPECT_INT(coil_queue_qsize(&queue), 1);
    EXPECT_INT(expect_numbers(&queue, 2, 3), 0); /* the others have taken the first two */
    coil_queue_fini(&queue);
    return 0;
}

TEST(cancelled_getter_loses_no_item_and_passes_its_wakeup_on)
{
    for (int victim = 0; victim < 3; victim++)
        for (int before = 0; before <= 3; before++)
            EXPECT_RUN(cancels_a_getter(victim, before), 0);
    notes_[0] = '\0';
}

/* Puts an item and takes it away again, when the getter has been woken for it. */
static int snatch(coil_queue *queue)
{
    COIL_TRY(put_numbers(queue, 0, 1));
    return expect_numbers(queue, 0, 1);
}

COIL_ASYNC(snatches_and_ends, (coil_queue *, queue))
{
    return snatch(queue);
}

COIL_ASYNC(snatches_and_goes_on, (coil_queue *, queue))
{
    COIL_TRY(snatch(queue));
    return coil_sleep(0);
}

static int on_snatch(void *queue)
{
    return snatch(queue);
}

enum snatcher {
    OWN_TASK,
    TASK_THAT_ENDS,
    TASK_THAT_GOES_ON,
    CALLBACK,
    SNATCHERS
};

COIL_ASYNC(snatches_from_a_getter, (int, who))
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *getter = coil_create_task(gets(&queue, "a"));
    COIL_TRY(coil_sleep(0));
    if (who == OWN_TASK)
        COIL_TRY(snatch(&queue));
    if (who == CALLBACK)
        COIL_TRY(coil_call_soon(NULL, on_snatch, &queue, NULL));
    if (who == TASK_THAT_ENDS || who == TASK_THAT_GOES_ON)
        coil_unref(coil_create_task(who == TASK_THAT_ENDS ? snatches_and_ends(&queue)
                                                          : snatches_and_goes_on(&queue)));
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_sleep(0));
    EXPECT(!coil_future_done(getter));
    COIL_TRY(put_numbers(&queue, 7, 8));
    int rc = coil_await(getter, NULL);
    coil_unref(getter);
    coil_queue_fini(&queue);
    return rc;
}

TEST(getter_that_was_overtaken_goes_on_waiting)
{
    /* Its step looks at the queue, finds nothing, and is over: whoever it came after. */
    for (int who = 0; who < SNATCHERS; who++) {
        EXPECT_RUN(snatches_from_a_getter(who), 0);
        EXPECT_NOTES("a:7");
    }
}

static int steps_of_getter, waits_of_getter;

static void count_step(void *arg, coil_task *task, coil_step_end how)
{
    (void)arg;
    if (strcmp(coil_task_get_name(task), "getter") == 0 && how == COIL_STEP_WAITING)
        steps_of_getter++;
}

static void count_wait(void *arg, coil_task *task, const coil_wait_info *info)
{
    (void)arg;
    if (strcmp(coil_task_get_name(task), "getter") == 0 &&
        strcmp(info->operation, "queue_get") == 0)
        waits_of_getter++;
}

COIL_ASYNC0(snatches_under_a_tracer)
{
    coil_trace_hooks hooks = { .size = sizeof hooks,
                               .step_end = count_step,
                               .task_waits = count_wait };
    coil_tracer *tracer = coil_trace_attach(NULL, &hooks, NULL, NULL);
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *getter = coil_create_task(gets(&queue, "a"));
    COIL_TRY(coil_task_set_name(getter, "getter"));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(snatch(&queue));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(put_numbers(&queue, 7, 8));
    int rc = coil_await(getter, NULL);
    coil_unref(getter);
    coil_queue_fini(&queue);
    coil_trace_detach(tracer);
    coil_unref(tracer);
    return rc;
}

TEST(tracer_sees_an_overtaken_getters_step)
{
    /* Although nothing of it runs on the getter's own stack. */
    steps_of_getter = waits_of_getter = 0;
    EXPECT_RUN(snatches_under_a_tracer(), 0);
    EXPECT_NOTES("a:7");
    EXPECT_INT(steps_of_getter, 2);
    EXPECT_INT(waits_of_getter, 2);
}

static const char *stack_of_getter;
static int compared_there;

static int notes_its_stack(const coil_value *left, const coil_value *right, void *arg)
{
    const char *here = __builtin_frame_address(0); /* a local of ASan's may lie elsewhere */
    (void)arg;
    if (stack_of_getter)
        compared_there += here < stack_of_getter && here > stack_of_getter - 8192;
    return (left->integer > right->integer) - (left->integer < right->integer);
}

COIL_ASYNC(gets_by_priority, (coil_queue *, queue))
{
    coil_value item;
    stack_of_getter = __builtin_frame_address(0);
    COIL_TRY(coil_queue_get(queue, &item));
    EXPECT_INT(item.integer, 1);
    stack_of_getter = NULL;
    return 0;
}

COIL_ASYNC0(compares_after_a_wait)
{
    coil_queue queue;
    coil_priority_queue_init(&queue, 0, notes_its_stack, NULL);
    coil_task *getter = coil_create_task(gets_by_priority(&queue));
    COIL_TRY(coil_sleep(0));
    for (int i = 3; i > 0; i--)
        COIL_TRY(coil_queue_put_nowait(&queue, coil_int(i)));
    compared_there = 0;
    int rc = coil_await(getter, NULL);
    coil_unref(getter);
    coil_queue_fini(&queue);
    return rc;
}

TEST(priorities_are_compared_on_the_stack_of_who_waits)
{
    /* A user's function needs whatever stack the user gave his task, not what another has left. */
    EXPECT_RUN(compares_after_a_wait(), 0);
    EXPECT(compared_there > 0);
}

COIL_ASYNC(cancels_a_putter, (int, victim), (int, before))
{
    coil_queue queue = COIL_QUEUE_INIT(3);
    coil_task *tasks[3];
    coil_value item;
    EXPECT_INT(put_numbers(&queue, 0, 3), 0);
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(puts_one(&queue, names[i], i));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(expect_numbers(&queue, 0, before), 0);
    coil_task_cancel(tasks[victim], NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(expect_numbers(&queue, before, 3), 0);
    COIL_TRY(finish(tasks));
    EXPECT_INT(coil_queue_qsize(&queue), 2);
    for (int i = 0; i < 3; i++) {
        if (i == victim)
            continue;
        COIL_TRY(coil_queue_get_nowait(&queue, &item));
        EXPECT_INT(token_number(item), i);
        coil_value_clear(&item);
    }
    coil_queue_fini(&queue);
    return 0;
}

TEST(cancelled_putter_keeps_its_item_and_passes_its_room_on)
{
    struct held before = held_now();
    for (int victim = 0; victim < 3; victim++)
        for (int taken = 0; taken <= 3; taken++)
            EXPECT_RUN(cancels_a_putter(victim, taken), 0);
    notes_[0] = '\0';
    EXPECT(held_expect(before, "items"));
}

COIL_ASYNC(runs_out_of_memory, (coil_queue *, queue))
{
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(puts_one(queue, names[i], i));
    COIL_TRY(coil_sleep(0));
    coil_value item;
    for (int i = 0; i < 8; i++)
        COIL_TRY(coil_queue_get_nowait(queue, &item));
    coil__free(queue->coil__items); /* as if the room had to be made for this put */
    queue->coil__items = NULL;
    queue->coil__room = queue->coil__head = queue->coil__easy = 0;
    coil_testing_fail_alloc(1);
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_testing_alloc_failed());
    return finish(tasks);
}

TEST(putter_without_memory_leaves_its_room_to_the_next)
{
    coil_queue_init(&shared, 8);
    size_t blocks = steps_blocks();
    EXPECT_INT(put_numbers(&shared, 0, 8), 0);
    EXPECT_INT(steps_run(runs_out_of_memory(&shared), NULL, NULL), 0);
    EXPECT_INT(coil_queue_qsize(&shared), 2);
    EXPECT_NOTES("a:COIL_ENOMEM b:put c:put");
    coil_queue_fini(&shared);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC0(waits_without_memory)
{
    coil_queue queue = COIL_QUEUE_INIT(1);
    coil_value item;
    COIL_TRY(coil_queue_put(&queue, coil_int(0)));
    COIL_TRY(coil_queue_get(&queue, &item));
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(gets(&queue, names[i]));
    COIL_TRY(coil_sleep(0));
    coil_testing_fail_alloc(1);
    for (int i = 0; i < 4; i++)
        COIL_TRY(coil_queue_put(&queue, coil_int(i)));
    COIL_TRY(coil_queue_get(&queue, &item));
    EXPECT_INT(item.integer, 3);
    EXPECT(!coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    COIL_TRY(finish(tasks));
    coil_queue_fini(&queue);
    return 0;
}

TEST(queue_that_has_grown_allocates_nothing)
{
    EXPECT_RUN(waits_without_memory(), 0);
    EXPECT_NOTES("a:0 b:1 c:2");
}

/* ---- the end ------------------------------------------------------------------------------------ */

COIL_ASYNC(joins, (coil_queue *, queue))
{
    int rc = coil_queue_join(queue);
    note("join:%s", rc < 0 ? coil_error_name(rc) : "done");
    return 0;
}

COIL_ASYNC(destroys_it, (bool, full), (bool, woken))
{
    coil_queue *queue = malloc(sizeof *queue);
    coil_task *tasks[3];
    coil_value item;
    coil_queue_init(queue, 1);
    if (full)
        COIL_TRY(coil_queue_put(queue, token_value(1)));
    tasks[0] = coil_create_task(full ? puts_one(queue, "a", 0) : gets(queue, "a"));
    tasks[1] = coil_create_task(full ? puts_one(queue, "b", 0) : gets(queue, "b"));
    tasks[2] = coil_create_task(joins(queue));
    COIL_TRY(coil_sleep(0));
    if (woken && full) {
        COIL_TRY(coil_queue_get_nowait(queue, &item));
        coil_value_clear(&item);
    } else if (woken) {
        COIL_TRY(coil_queue_put_nowait(queue, token_value(2)));
    }
    coil_queue_fini(queue);
    free(queue);
    return finish(tasks);
}

TEST(destroyed_queue_ends_those_who_wait)
{
    struct held before = held_now();
    EXPECT_RUN_REPORTS(destroys_it(false, false), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
    EXPECT_NOTES("join:done a:COIL_ECLOSED b:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_it(false, true), 0, 1);
    EXPECT_NOTES("join:done a:COIL_ECLOSED b:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_it(true, false), 0, 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED join:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_it(true, true), 0, 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED join:COIL_ECLOSED");
    EXPECT(held_expect(before, "items"));
}

COIL_ASYNC0(cancels_a_join)
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *tasks[3];
    COIL_TRY(coil_queue_put(&queue, coil_int(1)));
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(joins(&queue));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[1], NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_queue_task_done(&queue), 0);
    EXPECT_INT(coil_queue_task_done(&queue), COIL_EINVAL);
    COIL_TRY(finish(tasks));
    coil_queue_fini(&queue);
    return 0;
}

TEST(cancelled_join_leaves_the_others_alone)
{
    EXPECT_RUN(cancels_a_join(), 0);
    EXPECT_NOTES("join:COIL_ECANCELED join:done join:done");
}

COIL_ASYNC0(ends_at_once)
{
    return 0;
}

TEST(closing_the_loop_takes_its_tasks_out_of_the_line)
{
    struct held before = held_now();
    coil_queue_init(&shared, 1);
    coil_loop *loop = steps_loop(NULL);
    coil_unref(coil_create_task_with(loop, gets(&shared, "a"), NULL));
    coil_unref(coil_create_task_with(loop, gets(&shared, "b"), NULL));
    EXPECT_INT(coil_run_until_complete(loop, ends_at_once(), NULL), 0);
    EXPECT_INT(put_numbers(&shared, 0, 1), 0); /* wakes one */
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING");
    EXPECT_INT(expect_numbers(&shared, 0, 1), 0);
    coil_queue_fini(&shared);
    EXPECT(held_expect(before, "the queue"));
}

TESTS_MAIN(RUN(items_keep_their_order_while_the_ring_grows_and_wraps),
           RUN(bounded_queue_takes_as_many_items_as_it_says),
           RUN(priority_queue_gives_the_least_item), RUN(items_left_in_a_queue_are_given_back_once),
           RUN(item_that_is_refused_stays_the_callers),
           RUN(destructor_may_use_the_queue_that_its_item_was_in),
           RUN(cancelled_getter_loses_no_item_and_passes_its_wakeup_on),
           RUN(getter_that_was_overtaken_goes_on_waiting),
           RUN(tracer_sees_an_overtaken_getters_step),
           RUN(priorities_are_compared_on_the_stack_of_who_waits),
           RUN(cancelled_putter_keeps_its_item_and_passes_its_room_on),
           RUN(putter_without_memory_leaves_its_room_to_the_next),
           RUN(queue_that_has_grown_allocates_nothing), RUN(destroyed_queue_ends_those_who_wait),
           RUN(cancelled_join_leaves_the_others_alone),
           RUN(closing_the_loop_takes_its_tasks_out_of_the_line))
