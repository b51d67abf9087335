/* Eager tasks: their first step runs inside create_task. The orders here are CPython 3.13's. */
#include "lib/steps.h"

COIL_ASYNC(steps, (const char *, who))
{
    note("%s1", who);
    COIL_TRY(coil_sleep(0));
    note("%s2", who);
    COIL_TRY(coil_sleep(0));
    note("%s3", who);
    return 0;
}

static coil_task *start_eagerly(coil_coro *coro)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.eager = true;
    return coil_create_task_with(NULL, coro, &options);
}

static void unref_all(coil_task **tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        coil_unref(tasks[i]);
}

COIL_ASYNC0(mixes_eager_and_plain)
{
    coil_task *me = coil_current_task();
    coil_task *tasks[3];
    tasks[0] = coil_create_task(steps("a"));
    tasks[1] = start_eagerly(steps("b"));
    EXPECT_PTR(coil_current_task(), me);
    note("main");
    tasks[2] = coil_create_task(steps("c"));
    COIL_TRY(coil_sleep(0));
    note("m2");
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_await(tasks[i], NULL));
    unref_all(tasks, 3);
    return 0;
}

TEST(eager_task_runs_to_its_first_wait_and_then_queues_like_others)
{
    /* Suspending in the middle of its creator's step, it changes nothing in the order of the rest. */
    EXPECT_RUN(mixes_eager_and_plain(), 0);
    EXPECT_NOTES("b1 main a1 b2 c1 m2 a2 b3 c2 a3 c3");
}

COIL_ASYNC(quick, (int, rc))
{
    EXPECT(coil_is_task(coil_current_task()));
    note("quick");
    *coil_result = counted();
    return rc;
}

COIL_ASYNC0(completes_at_once)
{
    coil_value value;
    coil_task *task = start_eagerly(quick(0));
    EXPECT(coil_future_done(task));
    note("made");
    EXPECT_INT(coil_future_result(task, &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    EXPECT_PTR(coil_task_get_coro(task), NULL);
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 1);
    coil_unref(task);
    EXPECT_INT(dropped, 1);

    task = start_eagerly(quick(COIL_EAPP));
    EXPECT(coil_future_done(task));
    EXPECT_INT(dropped, 2);
    EXPECT_INT(coil_await(task, NULL), COIL_EAPP);
    coil_unref(task);
    coil_unref(start_eagerly(quick(COIL_EAPP)));
    return 0;
}

TEST(task_that_never_waits_is_done_when_create_returns)
{
    /* Result or error, it is there already; an error that nobody looks at is reported as ever. */
    EXPECT_RUN_REPORTS(completes_at_once(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
    EXPECT_NOTES("quick made quick quick");
}

COIL_ASYNC0(nests)
{
    note("outer1");
    coil_task *me = coil_current_task();
    coil_task *inner = start_eagerly(steps("in"));
    EXPECT_PTR(coil_current_task(), me);
    note("outer2");
    COIL_TRY(coil_await(inner, NULL));
    note("outer3");
    coil_unref(inner);
    return 0;
}

COIL_ASYNC0(starts_nested)
{
    coil_task *plain = coil_create_task(steps("x"));
    coil_task *outer = start_eagerly(nests());
    COIL_TRY(coil_await(outer, NULL));
    COIL_TRY(coil_await(plain, NULL));
    coil_unref(outer);
    coil_unref(plain);
    return 0;
}

TEST(eager_tasks_nest)
{
    /* Each returns to its own creator. */
    EXPECT_RUN(starts_nested(), 0);
    EXPECT_NOTES("outer1 in1 outer2 x1 in2 x2 in3 x3 outer3");
}

COIL_ASYNC(descends, (int, depth))
{
    int rc = 0;
    if (depth > 0) {
        coil_task *task = start_eagerly(descends(depth - 1));
        if (!task)
            return coil_error_last();
        rc = coil_await(task, NULL);
        coil_unref(task);
    } else {
        rc = coil_sleep(1);
    }
    return rc;
}

TEST(five_hundred_eager_tasks_deep)
{
    /* Each stands on a stack of its own. */
    EXPECT_RUN(descends(500), 0);
}

static coil_task *from_callback;

static int start_in_callback(void *arg)
{
    note(coil_current_task() ? "task" : "cb1");
    from_callback = start_eagerly(steps("e"));
    note(coil_current_task() ? "task" : "cb2");
    return coil_future_set_result(arg, coil_nil());
}

COIL_ASYNC0(starts_from_a_callback)
{
    static char next[] = "next";
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_call_soon(NULL, start_in_callback, future, NULL));
    COIL_TRY(coil_call_soon(NULL, note_callback, next, NULL));
    COIL_TRY(coil_await(future, NULL));
    COIL_TRY(coil_await(from_callback, NULL));
    coil_unref(from_callback);
    coil_unref(future);
    return 0;
}

TEST(callback_may_start_an_eager_task)
{
    /* No task runs before and after it, and the callback goes on when it suspends. */
    EXPECT_RUN(starts_from_a_callback(), 0);
    EXPECT_NOTES("cb1 e1 cb2 next e2 e3");
}

COIL_ASYNC0(uses_the_factory)
{
    coil_value results[3];
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    EXPECT(coil_get_task_factory(NULL) == coil_eager_task_factory);
    COIL_TRY(coil_gather(results, quick(0), steps("g"), quick(0)));
    EXPECT_PTR(results[0].pointer, &dropped);
    EXPECT_INT(results[1].kind, COIL_NIL);
    for (int i = 0; i < 3; i++)
        coil_value_clear(&results[i]);
    EXPECT_INT(dropped, 2);

    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "named";
    coil_task *task = coil_create_task_with(NULL, quick(0), &options);
    EXPECT(coil_future_done(task));
    EXPECT_STR(coil_task_get_name(task), "named");
    EXPECT(!options.eager);
    coil_unref(task);
    return 0;
}

TEST(eager_factory_makes_all_tasks_eager)
{
    /* Gather's, too; other options stay what they were. */
    EXPECT_RUN(uses_the_factory(), 0);
    EXPECT_NOTES("quick g1 quick g2 g3 quick");
}

TEST(eager_task_of_a_loop_that_does_not_run_waits_for_it)
{
    /* There is nobody to return to and no current task to stand aside. */
    coil_loop *loop = steps_loop(NULL);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.eager = true;
    coil_task *task = coil_create_task_with(loop, steps("later"), &options);
    EXPECT_NOTES("");
    EXPECT_INT(coil_run_until_complete(loop, task, NULL), 0);
    EXPECT_NOTES("later1 later2 later3");
    coil_unref(task);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- cancellation ------------------------------------------------------------------------------- */

COIL_ASYNC(cancels_creator, (coil_task *, creator), (coil_future *, future))
{
    EXPECT(coil_task_cancel(creator, "from within"));
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    return 0;
}

COIL_ASYNC0(is_cancelled_by_its_eager_child)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *child = start_eagerly(cancels_creator(coil_current_task(), future));
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 1);
    EXPECT(coil_task_cancel(child, NULL));
    EXPECT(coil_future_cancelled(future));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);
    EXPECT_INT(coil_await(child, NULL), 0);
    coil_unref(child);
    coil_unref(future);
    return 0;
}

TEST(eager_task_and_its_creator_cancel_each_other)
{
    /* The creator is running, though not current: it sees the request at its next wait. */
    EXPECT_RUN(is_cancelled_by_its_eager_child(), 0);
}

COIL_ASYNC0(cancels_itself)
{
    coil_task_cancel(coil_current_task(), NULL);
    int rc = coil_sleep(1);
    note("%s", coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(starts_one_that_cancels_itself)
{
    coil_task *task = start_eagerly(cancels_itself());
    EXPECT(!coil_future_done(task));
    EXPECT_NOTES("");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return 0;
}

TEST(eager_task_that_cancels_itself_sees_it_a_turn_later)
{
    /* Its first wait suspends; the cancellation comes from the loop, as in asyncio. */
    EXPECT_RUN(starts_one_that_cancels_itself(), 0);
    EXPECT_NOTES("COIL_ECANCELED");
}

COIL_ASYNC0(exits)
{
    return coil_exit(3);
}

COIL_ASYNC0(starts_one_that_exits)
{
    coil_unref(start_eagerly(exits()));
    note("creator goes on");
    COIL_TRY(coil_sleep(0));
    note("never");
    return 0;
}

TEST(eager_task_that_exits_leaves_the_loop_after_its_creators_step)
{
    /* The step that runs is not torn; then the loop is left. */
    EXPECT_INT(steps_run(starts_one_that_exits(), NULL, NULL), COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 3);
    EXPECT_NOTES("creator goes on");
}

TESTS_MAIN(RUN(eager_task_runs_to_its_first_wait_and_then_queues_like_others),
           RUN(task_that_never_waits_is_done_when_create_returns), RUN(eager_tasks_nest),
           RUN(five_hundred_eager_tasks_deep), RUN(callback_may_start_an_eager_task),
           RUN(eager_factory_makes_all_tasks_eager),
           RUN(eager_task_of_a_loop_that_does_not_run_waits_for_it),
           RUN(eager_task_and_its_creator_cancel_each_other),
           RUN(eager_task_that_cancels_itself_sees_it_a_turn_later),
           RUN(eager_task_that_exits_leaves_the_loop_after_its_creators_step))
