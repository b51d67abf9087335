/* Tasks: made, named, listed, run in order, and seen from outside. */
#include "lib/steps.h"

COIL_ASYNC(notes, (const char *, what))
{
    note("%s", what);
    return 0;
}

COIL_ASYNC(notes_twice, (const char *, what))
{
    note("%s1", what);
    COIL_TRY(coil_sleep(0));
    note("%s2", what);
    return 0;
}

COIL_ASYNC(returns, (int, number))
{
    coil_return(number);
}

/* ---- making and running ------------------------------------------------------------------------- */

COIL_ASYNC0(starts_three)
{
    note("begin");
    coil_task *a = coil_create_task(notes_twice("a"));
    coil_task *b = coil_create_task(notes_twice("b"));
    EXPECT_INT(coil_spawn(notes_twice("c")), 0);
    note("made");
    COIL_TRY(coil_sleep(0));
    note("between");
    COIL_TRY(coil_await(b, NULL));
    COIL_TRY(coil_await(a, NULL));
    coil_unref(a);
    coil_unref(b);
    return 0;
}

TEST(tasks_take_their_steps_in_the_order_they_were_made)
{
    /* No step runs inside create_task, and each turn gives every task one step. */
    EXPECT_RUN(starts_three(), 0);
    EXPECT_NOTES("begin made a1 b1 c1 between a2 b2 c2");
}

COIL_ASYNC0(fails_to_make_tasks)
{
    coil_loop *loop = coil_get_running_loop();
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.stack_size = ((size_t)64 << 20) + 1;
    EXPECT_PTR(coil_create_task_with(loop, returns(1), &options), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    EXPECT_PTR(coil_create_task(NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    EXPECT_INT(coil_spawn(NULL), COIL_ENOMEM);
    EXPECT_PTR(coil_ensure_future(NULL, NULL), NULL);
    return 0;
}

TEST(task_that_cannot_be_made_consumes_its_coroutine)
{
    /* No leak and no report of a forgotten coroutine: the caller is told, that is enough. */
    EXPECT_RUN(fails_to_make_tasks(), 0);
    EXPECT_PTR(coil_create_task(returns(1)), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
    EXPECT_INT(coil_spawn(returns(1)), COIL_ENOLOOP);

    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_PTR(coil_create_task_with(loop, returns(1), NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(task_may_be_made_before_its_loop_runs)
{
    /* It waits for the run; one that never runs is lost and says so. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *task = coil_create_task_with(loop, returns(4), NULL);
    coil_task *never = coil_create_task_with(loop, notes("never"), NULL);
    coil_value value;
    EXPECT_INT((long long)coil_all_tasks(loop, NULL, 0), 2);
    EXPECT_INT(coil_run_until_complete(loop, task, &value), 0);
    EXPECT_INT(value.integer, 4);
    EXPECT_NOTES("never");
    coil_unref(never);

    never = coil_create_task_with(loop, notes("never"), NULL);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 1);
    EXPECT(coil_future_cancelled(never));
    EXPECT_NOTES("");
    coil_unref(never);
    coil_unref(task);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC0(gives_references_back_early)
{
    coil_unref(coil_create_task(notes_twice("x")));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    return 0;
}

TEST(loop_keeps_a_scheduled_task_alive)
{
    /* The task that vanishes in the middle, asyncio's best known trap, cannot happen. */
    EXPECT_RUN(gives_references_back_early(), 0);
    EXPECT_NOTES("x1 x2");
}

/* ---- results ------------------------------------------------------------------------------------ */

COIL_ASYNC0(returns_counted)
{
    *coil_result = counted();
    return 0;
}

COIL_ASYNC0(leaves_results)
{
    EXPECT_INT(coil_spawn(returns_counted()), 0);
    coil_task *kept = coil_create_task(returns_counted());
    coil_task *taken = coil_create_task(returns_counted());
    coil_value view, mine;
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_await(kept, &view), 0);
    coil_value_clear(&view);
    EXPECT_INT(coil_future_take_result(taken, &mine), 0);
    coil_unref(kept);
    coil_unref(taken);
    EXPECT_INT(dropped, 2);
    coil_value_clear(&mine);
    EXPECT_INT(dropped, 3);
    return 0;
}

TEST(task_owns_its_result_until_the_last_reference)
{
    /* Unread, read and taken results are each given back exactly once. */
    EXPECT_RUN(leaves_results(), 0);
}

COIL_ASYNC0(fails)
{
    return coil_raise(COIL_EAPP, "on purpose");
}

COIL_ASYNC0(ignores_a_failure)
{
    EXPECT_INT(coil_spawn(fails()), 0);
    coil_task *looked_at = coil_create_task(fails());
    EXPECT_INT(coil_await(looked_at, NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "on purpose");
    coil_unref(looked_at);
    return 0;
}

TEST(failed_task_is_reported_if_nobody_looked)
{
    /* Background errors have somewhere to go; those that were awaited have been told. */
    EXPECT_RUN_REPORTS(ignores_a_failure(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
}

/* ---- names, lists, what can be asked ------------------------------------------------------------ */

COIL_ASYNC0(asks_for_names)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    char name[] = "worker";
    options.name = name;
    coil_task *a = coil_create_task_with(NULL, returns(1), &options);
    coil_task *b = coil_create_task(returns(1)), *c = coil_create_task(returns(1));
    name[0] = 'x';
    EXPECT_STR(coil_task_get_name(a), "worker");
    int first = 0, second = 0;
    EXPECT_INT(sscanf(coil_task_get_name(b), "Task-%d", &first), 1);
    EXPECT_INT(sscanf(coil_task_get_name(c), "Task-%d", &second), 1);
    EXPECT_INT(second, first + 1);
    char other[] = "renamed";
    EXPECT_INT(coil_task_set_name(b, other), 0);
    other[0] = 'x';
    EXPECT_STR(coil_task_get_name(b), "renamed");
    EXPECT_INT(coil_await(b, NULL), 0);
    EXPECT_STR(coil_task_get_name(b), "renamed");
    coil_unref(a);
    coil_unref(b);
    coil_unref(c);

    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_task_set_name(future, "no"), COIL_ETYPE);
    EXPECT_INT(coil_task_cancelling(future), COIL_ETYPE);
    EXPECT_INT(coil_task_uncancel(future), COIL_ETYPE);
    EXPECT_PTR(coil_task_get_coro(future), NULL);
    EXPECT_PTR(coil_task_get_context(future), NULL);
    EXPECT_INT((long long)coil_task_get_stack(future, NULL, 0), 0);
    EXPECT_INT((long long)coil_task_stack_used(future, NULL), 0);
    coil_unref(future);
    return 0;
}

TEST(names_are_copied_and_numbered)
{
    /* A name is how a task is found in dumps; a plain future has none of a task's parts. */
    EXPECT_RUN(asks_for_names(), 0);
}

COIL_ASYNC0(lists_tasks)
{
    coil_task *me = coil_current_task(), *tasks[4] = { NULL };
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 1);
    coil_task *a = coil_create_task(returns(1)), *b = coil_create_task(notes_twice("b"));
    EXPECT_INT((long long)coil_all_tasks(NULL, tasks, 2), 3);
    EXPECT_PTR(tasks[0], me);
    EXPECT_PTR(tasks[1], a);
    EXPECT_PTR(tasks[2], NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT((long long)coil_all_tasks(coil_get_running_loop(), tasks, 4), 2);
    EXPECT_PTR(tasks[1], b);
    COIL_TRY(coil_await(b, NULL));
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 1);
    coil_unref(a);
    coil_unref(b);
    return 0;
}

TEST(all_tasks_lists_those_that_are_not_done_in_order)
{
    /* The count tells how much room is needed. */
    EXPECT_RUN(lists_tasks(), 0);
    EXPECT_NOTES("b1 b2");
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 0);
}

static int note_current(void *arg)
{
    note(coil_current_task() ? "task" : "none");
    (void)arg;
    return 0;
}

COIL_ASYNC(expects_current, (coil_task **, self))
{
    EXPECT_PTR(coil_current_task(), *self);
    COIL_TRY(coil_sleep(0));
    EXPECT_PTR(coil_current_task(), *self);
    return 0;
}

COIL_ASYNC0(asks_who_runs)
{
    coil_task *me = coil_current_task(), *other = NULL;
    EXPECT(coil_is_task(me));
    EXPECT(coil_is_future(me));
    other = coil_create_task(expects_current(&other));
    EXPECT_INT(coil_call_soon(NULL, note_current, NULL, NULL), 0);
    COIL_TRY(coil_await(expects_current(&me), NULL));
    COIL_TRY(coil_await(other, NULL));
    coil_unref(other);
    return 0;
}

TEST(current_task_is_the_one_whose_step_runs)
{
    /* Inline coroutines run in their caller's task; callbacks in none; outside there is none. */
    EXPECT_PTR(coil_current_task(), NULL);
    EXPECT_RUN(asks_who_runs(), 0);
    EXPECT_NOTES("none");
    EXPECT_PTR(coil_current_task(), NULL);
}

COIL_ASYNC(waits_at_depth, (int, depth))
{
    if (depth > 0)
        return coil_await(waits_at_depth(depth - 1), NULL);
    return coil_sleep(1);
}

/* The whole text that print_stack writes, in a static buffer. */
static const char *printed_stack(coil_task *task)
{
    static char text[2048];
    FILE *file = fmemopen(text, sizeof text, "w");
    if (!file)
        return "";
    coil_task_print_stack(task, file);
    fclose(file);
    return text;
}

COIL_ASYNC0(asks_for_stacks)
{
    coil_coro *coros[8] = { NULL };
    coil_task *task = coil_create_task(waits_at_depth(2));
    EXPECT_INT((long long)coil_task_get_stack(task, coros, 8), 1);
    EXPECT_PTR(coros[0], coil_task_get_coro(task));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT((long long)coil_task_get_stack(task, NULL, 0), 3);
    EXPECT_INT((long long)coil_task_get_stack(task, coros, 2), 3);
    EXPECT_STR(coil_coro_name(coros[0]), "waits_at_depth");
    EXPECT_INT((long long)coil_task_get_stack(task, coros, 8), 3);
    EXPECT_PTR(coros[2], coil_task_get_coro(task));
    EXPECT(coros[0] != coros[1] && coros[1] != coros[2]);
    EXPECT_INT(coil_task_set_name(task, "deep"), 0);
    const char *text = printed_stack(task);
    EXPECT(strstr(text, "deep") != NULL);
    EXPECT(strstr(text, "test_task.c:") != NULL);
    EXPECT(strstr(text, "in waits_at_depth") != NULL);

    EXPECT_INT((long long)coil_task_get_stack(coil_current_task(), coros, 8), 1);
    EXPECT_STR(coil_coro_name(coros[0]), "asks_for_stacks");
    COIL_TRY(coil_await(task, NULL));
    EXPECT_INT((long long)coil_task_get_stack(task, coros, 8), 0);
    EXPECT_PTR(coil_task_get_coro(task), NULL);
    EXPECT(strstr(printed_stack(task), "deep is done") != NULL);
    coil_unref(task);
    return 0;
}

TEST(stack_of_a_task_lists_its_coroutines_innermost_first)
{
    /* Where a task waits, and how it came there: the first question when a program hangs. */
    EXPECT_RUN(asks_for_stacks(), 0);
}

/* ---- contexts ----------------------------------------------------------------------------------- */

static coil_context_var *variable;

static int64_t variable_now(void)
{
    coil_value value = coil_int(-1);
    (void)coil_context_var_get(variable, &value);
    int64_t number = value.integer;
    coil_value_clear(&value);
    return number;
}

COIL_ASYNC(expects_variable, (int, expected), (int, then))
{
    EXPECT_INT(variable_now(), expected);
    COIL_TRY(coil_context_var_set(variable, coil_int(then), NULL));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(variable_now(), then);
    return 0;
}

COIL_ASYNC0(uses_contexts)
{
    COIL_TRY(coil_context_var_set(variable, coil_int(1), NULL));
    coil_task *copy = coil_create_task(expects_variable(1, 2));
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.context = coil_context_copy();
    COIL_TRY(coil_context_var_set(variable, coil_int(5), NULL));
    coil_task *given = coil_create_task_with(NULL, expects_variable(1, 3), &options);
    EXPECT_PTR(coil_task_get_context(given), options.context);
    COIL_TRY(coil_await(copy, NULL));
    COIL_TRY(coil_await(given, NULL));
    EXPECT_INT(variable_now(), 5);
    coil_value value;
    EXPECT_INT(coil_context_get(options.context, variable, &value), 0);
    EXPECT_INT(value.integer, 3);
    EXPECT_INT(coil_context_get(coil_task_get_context(copy), variable, &value), 0);
    EXPECT_INT(value.integer, 2);
    coil_unref(options.context);
    coil_unref(copy);
    coil_unref(given);
    return 0;
}

TEST(task_runs_in_a_copy_of_the_context_or_in_the_one_given)
{
    /* What a task sets, its creator does not see, unless they agreed on a context. */
    variable = coil_context_var_new("variable");
    REQUIRE(variable);
    EXPECT_RUN(uses_contexts(), 0);
    coil_context_var_free(variable);
}

/* ---- factory ------------------------------------------------------------------------------------ */

static coil_task *naming_factory(coil_loop *loop, coil_coro *coro, const coil_task_options *options,
                                 void *arg)
{
    coil_task_options changed = COIL_TASK_OPTIONS_INIT;
    if (options)
        changed = *options;
    note("%s", coil_coro_name(coro));
    changed.name = arg;
    return coil_task_new(loop, coro, &changed);
}

static coil_task *failing_factory(coil_loop *loop, coil_coro *coro,
                                  const coil_task_options *options, void *arg)
{
    (void)loop;
    (void)options;
    (void)arg;
    (void)coil_coro_close(coro);
    coil_raise(COIL_EAPP, "no tasks today");
    return NULL;
}

COIL_ASYNC0(sets_factories)
{
    static char name[] = "made by the factory";
    EXPECT_PTR((void *)(uintptr_t)coil_get_task_factory(NULL), NULL);
    coil_set_task_factory(NULL, naming_factory, name);
    EXPECT(coil_get_task_factory(NULL) == naming_factory);
    coil_task *task = coil_create_task(returns(1));
    EXPECT_STR(coil_task_get_name(task), name);
    EXPECT_INT(coil_gather(NULL, returns(2), task), 0);
    coil_unref(task);

    coil_set_task_factory(NULL, failing_factory, NULL);
    EXPECT_PTR(coil_create_task(returns(1)), NULL);
    EXPECT_INT(coil_error_last(), COIL_EAPP);
    EXPECT_INT(coil_spawn(returns(1)), COIL_EAPP);
    EXPECT_INT(coil_gather(NULL, returns(1), returns(2)), COIL_EAPP);

    coil_set_task_factory(NULL, NULL, NULL);
    task = coil_create_task(returns(1));
    EXPECT_INT(strncmp(coil_task_get_name(task), "Task-", 5), 0);
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    return 0;
}

TEST(factory_makes_every_task_of_its_loop)
{
    /* create_task, spawn and gather go through it; what it fails with, they fail with. */
    EXPECT_RUN(sets_factories(), 0);
    EXPECT_NOTES("returns returns");
}

/* ---- many --------------------------------------------------------------------------------------- */

COIL_ASYNC(adds_one, (int *, sum))
{
    COIL_TRY(coil_sleep(0));
    ++*sum;
    return 0;
}

COIL_ASYNC0(starts_ten_thousand)
{
    enum {
        COUNT = TEST_MANY_TASKS
    };
    int sum = 0;
    for (int i = 0; i < COUNT; i++)
        COIL_TRY(coil_spawn(adds_one(&sum)));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(sum, 0);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(sum, COUNT);
    return 0;
}

TEST(ten_thousand_tasks_run_side_by_side)
{
    /* Each has a stack while it waits, and gives it back. */
    EXPECT_RUN(starts_ten_thousand(), 0);
}

TESTS_MAIN(RUN(tasks_take_their_steps_in_the_order_they_were_made),
           RUN(task_that_cannot_be_made_consumes_its_coroutine),
           RUN(task_may_be_made_before_its_loop_runs), RUN(loop_keeps_a_scheduled_task_alive),
           RUN(task_owns_its_result_until_the_last_reference),
           RUN(failed_task_is_reported_if_nobody_looked), RUN(names_are_copied_and_numbered),
           RUN(all_tasks_lists_those_that_are_not_done_in_order),
           RUN(current_task_is_the_one_whose_step_runs),
           RUN(stack_of_a_task_lists_its_coroutines_innermost_first),
           RUN(task_runs_in_a_copy_of_the_context_or_in_the_one_given),
           RUN(factory_makes_every_task_of_its_loop), RUN(ten_thousand_tasks_run_side_by_side))
