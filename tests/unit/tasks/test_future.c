/* Futures: their states, what they own, whom they tell, and in which order. */
#include "lib/steps.h"

/* ---- states and accessors ----------------------------------------------------------------------- */

COIL_ASYNC0(asks_a_pending_future)
{
    coil_future *future = coil_create_future(NULL);
    coil_value value = coil_int(7);
    int code = 7;
    coil_error *error = NULL;
    EXPECT(!coil_future_done(future));
    EXPECT(!coil_future_cancelled(future));
    EXPECT_INT(coil_future_result(future, &value), COIL_EINVALIDSTATE);
    EXPECT_INT(coil_future_take_result(future, &value), COIL_EINVALIDSTATE);
    EXPECT_INT(coil_future_exception(future, &code, &error), COIL_EINVALIDSTATE);
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(code, 7);
    EXPECT_PTR(coil_future_get_loop(future), coil_get_running_loop());
    EXPECT(coil_is_future(future));
    EXPECT(!coil_is_task(future));
    EXPECT(!coil_is_coroutine(future));
    coil_unref(future);
    return 0;
}

TEST(pending_future_has_neither_result_nor_error)
{
    /* Reading too early is a mistake to be told, not a wait and not a crash. */
    EXPECT_RUN(asks_a_pending_future(), 0);
}

COIL_ASYNC0(asks_a_future_with_a_result)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, coil_int(42)), 0);
    coil_value value;
    int code = 7;
    coil_error *error = (coil_error *)future;
    EXPECT(coil_future_done(future));
    EXPECT(!coil_future_cancelled(future));
    EXPECT_INT(coil_future_result(future, &value), 0);
    EXPECT_INT(value.kind, COIL_INT);
    EXPECT_INT(value.integer, 42);
    EXPECT_INT(coil_future_result(future, NULL), 0);
    EXPECT_INT(coil_future_exception(future, &code, &error), 0);
    EXPECT_INT(code, 0);
    EXPECT_PTR(error, NULL);
    EXPECT_INT(coil_future_exception(future, &code, NULL), 0);
    EXPECT(!coil_future_cancel(future, NULL));
    EXPECT(!coil_future_cancelled(future));
    coil_unref(future);
    return 0;
}

TEST(future_with_a_result_has_no_error_and_cannot_be_cancelled)
{
    /* Done is done: a late cancel must not take a result away. */
    EXPECT_RUN(asks_a_future_with_a_result(), 0);
}

COIL_ASYNC0(asks_a_failed_future)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_exception(future, coil_raise(COIL_EAPP, "no answer from %s", "x")),
               0);
    coil_value value = coil_int(7);
    int code = 0;
    coil_error *error = NULL;
    EXPECT(coil_future_done(future));
    EXPECT(!coil_future_cancelled(future));
    EXPECT_INT(coil_future_exception(future, &code, &error), 0);
    EXPECT_INT(code, COIL_EAPP);
    EXPECT_STR(coil_error_message(error), "no answer from x");

    coil_raise(COIL_EAPP, "another one in between");
    EXPECT_INT(coil_future_result(future, &value), COIL_EAPP);
    EXPECT_INT(value.integer, 7);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "no answer from x");
    EXPECT_INT(coil_future_take_result(future, &value), COIL_EAPP);
    EXPECT_INT(coil_await(future, &value), COIL_EAPP);
    EXPECT_INT(value.integer, 7);
    coil_unref(future);
    return 0;
}

TEST(failed_future_gives_its_error_and_record_each_time)
{
    /* The record explains the code wherever it comes up, also after other failures. */
    EXPECT_RUN(asks_a_failed_future(), 0);
}

COIL_ASYNC0(fails_without_a_record)
{
    coil_future *future = coil_create_future(NULL);
    coil_error *error = (coil_error *)future;
    int code;
    EXPECT_INT(coil_future_set_exception(future, -EPIPE), 0);
    EXPECT_INT(coil_future_exception(future, &code, &error), 0);
    EXPECT_INT(code, -EPIPE);
    EXPECT_PTR(error, NULL);
    coil_unref(future);
    return 0;
}

TEST(bare_code_is_an_error_without_a_record)
{
    /* `return -EPIPE` is allowed everywhere. */
    EXPECT_RUN(fails_without_a_record(), 0);
}

COIL_ASYNC0(asks_a_cancelled_future)
{
    coil_future *future = coil_create_future(NULL);
    int code = 7;
    EXPECT(coil_future_cancel(future, "enough"));
    EXPECT(!coil_future_cancel(future, "again"));
    EXPECT(coil_future_done(future));
    EXPECT(coil_future_cancelled(future));
    EXPECT_INT(coil_future_result(future, NULL), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "enough");
    EXPECT_INT(coil_future_exception(future, &code, NULL), COIL_ECANCELED);
    EXPECT_INT(code, 7);
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_future_set_result(future, coil_nil()), COIL_EINVALIDSTATE);
    coil_unref(future);
    return 0;
}

TEST(cancelled_future_says_so_in_every_accessor)
{
    /* The message of cancel explains it. */
    EXPECT_RUN(asks_a_cancelled_future(), 0);
}

COIL_ASYNC0(completes_twice)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, counted()), 0);
    EXPECT_INT(dropped, 0);
    EXPECT_INT(coil_future_set_result(future, counted()), COIL_EINVALIDSTATE);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_future_set_exception(future, COIL_EAPP), COIL_EINVALIDSTATE);
    coil_value value;
    EXPECT_INT(coil_future_result(future, &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    coil_unref(future);
    EXPECT_INT(dropped, 2);
    return 0;
}

TEST(second_completion_is_refused_and_its_value_cleared)
{
    /* The value moves in whether or not the call succeeds, so the caller never frees it. */
    EXPECT_RUN(completes_twice(), 0);
}

COIL_ASYNC0(sets_bad_codes)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_exception(future, 0), COIL_EINVAL);
    EXPECT_INT(coil_future_set_exception(future, 5), COIL_EINVAL);
    EXPECT_INT(coil_future_set_exception(future, COIL_ECANCELED), COIL_EINVAL);
    EXPECT_INT(coil_future_set_exception(future, COIL_EEND), COIL_EINVAL);
    EXPECT(!coil_future_done(future));
    coil_unref(future);
    return 0;
}

TEST(codes_that_are_no_errors_are_refused)
{
    /* Cancellation goes through cancel; the end of an iteration must not travel in a future. */
    EXPECT_RUN(sets_bad_codes(), 0);
}

COIL_ASYNC0(sleeps_a_while)
{
    return coil_sleep(1);
}

COIL_ASYNC0(completes_a_task_from_outside)
{
    coil_task *task = coil_create_task(sleeps_a_while());
    EXPECT_INT(coil_future_set_result(task, counted()), COIL_ERUNTIME);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_future_set_exception(task, COIL_EAPP), COIL_ERUNTIME);
    EXPECT_INT(coil_await(task, NULL), 0);
    EXPECT_INT(coil_future_set_result(task, counted()), COIL_ERUNTIME);
    EXPECT_INT(dropped, 2);
    coil_unref(task);
    return 0;
}

TEST(only_its_coroutine_completes_a_task)
{
    /* Otherwise a task could be done while its coroutine still runs. */
    EXPECT_RUN(completes_a_task_from_outside(), 0);
}

/* ---- what a future owns ------------------------------------------------------------------------- */

COIL_ASYNC0(leaves_a_result_unread)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, counted()), 0);
    coil_ref(future);
    coil_unref(future);
    EXPECT_INT(dropped, 0);
    coil_unref(future);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(unread_result_is_dropped_with_the_last_reference)
{
    /* No leak when nobody collects a result. */
    EXPECT_RUN(leaves_a_result_unread(), 0);
}

COIL_ASYNC0(reads_views)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, counted()), 0);
    coil_value first, second;
    EXPECT_INT(coil_future_result(future, &first), 0);
    EXPECT_INT(coil_await(future, &second), 0);
    EXPECT_PTR(first.pointer, &dropped);
    EXPECT_PTR(second.pointer, &dropped);
    coil_value_clear(&first);
    coil_value_clear(&second);
    EXPECT_INT(dropped, 0);
    coil_unref(future);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(results_that_are_read_are_views)
{
    /* Several may read one result; clearing a view is harmless. */
    EXPECT_RUN(reads_views(), 0);
}

COIL_ASYNC0(takes_a_result)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, counted()), 0);
    coil_value mine, view;
    EXPECT_INT(coil_future_take_result(future, &mine), 0);
    EXPECT_INT(coil_future_take_result(future, &view), 0);
    EXPECT_PTR(view.pointer, &dropped);
    coil_value_clear(&view);
    EXPECT_INT(coil_future_result(future, &view), 0);
    EXPECT_PTR(view.pointer, &dropped);
    coil_unref(future);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&mine);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(take_result_moves_the_value_out_once)
{
    /* The future keeps a view, and the second taker gets no second owner. */
    EXPECT_RUN(takes_a_result(), 0);
}

/* ---- errors nobody looked at -------------------------------------------------------------------- */

COIL_ASYNC(fails_future, (int, how_it_is_looked_at))
{
    coil_future *future = coil_create_future(NULL);
    int code;
    EXPECT_INT(coil_future_set_exception(future, COIL_EAPP), 0);
    switch (how_it_is_looked_at) {
    case 1:
        (void)coil_future_result(future, NULL);
        break;
    case 2:
        (void)coil_future_exception(future, &code, NULL);
        break;
    case 3:
        (void)coil_await(future, NULL);
        break;
    case 4:
        coil_future_cancel(future, NULL);
        break;
    }
    coil_unref(future);
    return 0;
}

TEST(error_that_nobody_looked_at_is_reported_once)
{
    /* Errors must not vanish; but looking at one in any way is enough. */
    EXPECT_RUN_REPORTS(fails_future(0), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_FUTURE_ERROR_UNREAD], 1);
    for (int how = 1; how <= 4; how++)
        EXPECT_RUN(fails_future(how), 0);
}

/* ---- callbacks ---------------------------------------------------------------------------------- */

COIL_ASYNC(awaits_and_notes, (coil_future *, future), (const char *, what))
{
    int rc = coil_await(future, NULL);
    note("%s:%d", what, rc);
    return rc;
}

COIL_ASYNC0(mixes_callbacks_and_waiters)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "a", NULL), 0);
    coil_task *one = coil_create_task(awaits_and_notes(future, "one"));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "b", NULL), 0);
    coil_task *two = coil_create_task(awaits_and_notes(future, "two"));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "c", NULL), 0);
    EXPECT_INT(coil_future_set_result(future, coil_nil()), 0);
    EXPECT_STR(notes_, "");
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("a one:0 b two:0 c");
    coil_unref(one);
    coil_unref(two);
    coil_unref(future);
    return 0;
}

TEST(callbacks_and_waiting_tasks_are_told_in_the_order_they_came)
{
    /* asyncio's order: a waiting task is one more callback. None runs inside set_result. */
    EXPECT_RUN(mixes_callbacks_and_waiters(), 0);
}

COIL_ASYNC0(adds_to_a_done_future)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, coil_nil()), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "late", NULL), 0);
    note("added");
    EXPECT_INT((long long)coil_future_remove_done_callback(future, note_done, "late"), 0);
    coil_unref(future);
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("added late");
    return 0;
}

TEST(callback_of_a_done_future_goes_through_the_queue_and_stays_there)
{
    /* The same order whether the future was done or not; the queue keeps the future alive. */
    EXPECT_RUN(adds_to_a_done_future(), 0);
}

static char first_arg[] = "first", second_arg[] = "second";

COIL_ASYNC0(removes_callbacks)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, first_arg, NULL), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, second_arg, NULL), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, first_arg, NULL), 0);
    EXPECT_INT((long long)coil_future_remove_done_callback(future, note_done, first_arg), 2);
    EXPECT_INT((long long)coil_future_remove_done_callback(future, note_done, first_arg), 0);
    EXPECT_INT((long long)coil_future_remove_done_callback(future, note_done, NULL), 0);
    coil_future_cancel(future, NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("second");
    coil_unref(future);
    return 0;
}

TEST(remove_takes_every_callback_with_this_fn_and_arg)
{
    /* fn and arg together are the callback's name. */
    EXPECT_RUN(removes_callbacks(), 0);
}

static int note_and_fail(coil_future *future, void *arg)
{
    (void)future;
    note("%s", (const char *)arg);
    return coil_raise(COIL_EAPP, "in a callback");
}

COIL_ASYNC0(has_a_failing_callback)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_add_done_callback(future, note_and_fail, "bad", NULL), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "good", NULL), 0);
    EXPECT_INT(coil_future_set_result(future, coil_nil()), 0);
    coil_unref(future);
    return coil_sleep(0);
}

TEST(failing_callback_is_reported_and_the_next_still_runs)
{
    /* One listener's bug is not the others'. */
    EXPECT_RUN_REPORTS(has_a_failing_callback(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_CALLBACK_FAILED], 1);
    EXPECT_NOTES("bad good");
}

COIL_ASYNC0(drops_a_pending_future)
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "never", NULL), 0);
    coil_unref(future);
    return coil_sleep(0);
}

TEST(pending_future_that_goes_calls_nobody_back)
{
    /* A stopped thing is silent, and its callbacks' memory goes with it. */
    EXPECT_RUN(drops_a_pending_future(), 0);
    EXPECT_NOTES("");
}

static int note_variable(coil_future *future, void *arg)
{
    coil_value value;
    (void)future;
    EXPECT_INT(coil_context_var_get(arg, &value), 0);
    note("%lld", (long long)value.integer);
    coil_value_clear(&value);
    return 0;
}

COIL_ASYNC(uses_contexts, (coil_context_var *, variable))
{
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_context_var_set(variable, coil_int(1), NULL), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_variable, variable, NULL), 0);
    EXPECT_INT(coil_context_var_set(variable, coil_int(2), NULL), 0);
    coil_context *second = coil_context_copy();
    EXPECT_INT(coil_context_var_set(variable, coil_int(3), NULL), 0);
    EXPECT_INT(coil_future_add_done_callback(future, note_variable, variable, second), 0);
    coil_unref(second);
    EXPECT_INT(coil_future_set_result(future, coil_nil()), 0);
    coil_unref(future);
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("1 2");
    return 0;
}

/* A callback sees no running task, and may do what callbacks do. */
static int complete_another(coil_future *future, void *arg)
{
    coil_value value;
    EXPECT_PTR(coil_current_task(), NULL);
    EXPECT_INT(coil_sleep(0), COIL_ENOTASK);
    EXPECT_INT(coil_future_result(future, &value), 0);
    return coil_future_set_result(arg, value);
}

COIL_ASYNC0(chains_futures)
{
    coil_future *a = coil_create_future(NULL), *b = coil_create_future(NULL);
    coil_value value;
    EXPECT_INT(coil_future_add_done_callback(a, complete_another, b, NULL), 0);
    EXPECT_INT(coil_future_set_result(a, coil_int(5)), 0);
    COIL_TRY(coil_await(b, &value));
    EXPECT_INT(value.integer, 5);
    coil_unref(a);
    coil_unref(b);
    return 0;
}

TEST(callback_may_complete_another_future)
{
    /* What a callback does with Coil is what any plain code may do; it cannot wait. */
    EXPECT_RUN(chains_futures(), 0);
}

/* ---- outside the running loop ------------------------------------------------------------------- */

TEST(without_a_loop_there_is_no_future)
{
    /* The code says why there is none. */
    EXPECT_PTR(coil_create_future(NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
}

TEST(future_is_completed_while_its_loop_does_not_run)
{
    /* Before the first run, and between two: the run finds what happened meanwhile. */
    coil_loop *loop = steps_loop(NULL);
    coil_future *future = coil_create_future(loop);
    coil_value value;
    EXPECT_PTR(coil_future_get_loop(future), loop);
    EXPECT_INT(coil_future_add_done_callback(future, note_done, "called", NULL), 0);
    EXPECT_INT(coil_future_set_result(future, coil_int(3)), 0);
    EXPECT_NOTES("");
    EXPECT_INT(coil_run_until_complete(loop, future, &value), 0);
    EXPECT_INT(value.integer, 3);
    EXPECT_NOTES("called");
    coil_unref(future);

    future = coil_create_future(loop);
    coil_task *task = coil_create_task_with(loop, awaits_and_notes(future, "task"), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT(coil_future_cancel(future, NULL));
    EXPECT_INT(coil_run_until_complete(loop, task, NULL), COIL_ECANCELED);
    EXPECT_NOTES("task:-10001");
    EXPECT(coil_future_cancelled(task));
    coil_unref(task);
    coil_unref(future);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

TEST(future_outlives_its_closed_loop)
{
    /* A reference stays good; nobody is called back any more. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_future *pending = coil_create_future(loop), *done = coil_create_future(loop);
    EXPECT_INT(coil_future_add_done_callback(pending, note_done, "never", NULL), 0);
    EXPECT_INT(coil_future_set_result(done, coil_int(1)), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);

    EXPECT_INT(coil_future_set_result(pending, coil_int(2)), 0);
    EXPECT_INT(coil_future_add_done_callback(done, note_done, "never", NULL), COIL_ECLOSED);
    coil_value value;
    EXPECT_INT(coil_future_result(pending, &value), 0);
    EXPECT_INT(value.integer, 2);
    EXPECT_NOTES("");
    coil_unref(pending);
    coil_unref(done);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(closed_loop_makes_no_future)
{
    /* The header promises COIL_ECLOSED. */
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_future *future = coil_create_future(loop);
    EXPECT_PTR(future, NULL);
    if (!future)
        EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    coil_unref(future);
    coil_unref(loop);
}

TEST(callback_runs_in_the_context_it_was_added_in)
{
    /* A copy of the current one, taken when it is added; or the one that is given. */
    coil_context_var *variable = coil_context_var_new("number");
    REQUIRE(variable);
    EXPECT_RUN(uses_contexts(variable), 0);
    coil_context_var_free(variable);
}

TESTS_MAIN(RUN(pending_future_has_neither_result_nor_error),
           RUN(future_with_a_result_has_no_error_and_cannot_be_cancelled),
           RUN(failed_future_gives_its_error_and_record_each_time),
           RUN(bare_code_is_an_error_without_a_record),
           RUN(cancelled_future_says_so_in_every_accessor),
           RUN(second_completion_is_refused_and_its_value_cleared),
           RUN(codes_that_are_no_errors_are_refused), RUN(only_its_coroutine_completes_a_task),
           RUN(unread_result_is_dropped_with_the_last_reference),
           RUN(results_that_are_read_are_views), RUN(take_result_moves_the_value_out_once),
           RUN(error_that_nobody_looked_at_is_reported_once),
           RUN(callbacks_and_waiting_tasks_are_told_in_the_order_they_came),
           RUN(callback_of_a_done_future_goes_through_the_queue_and_stays_there),
           RUN(remove_takes_every_callback_with_this_fn_and_arg),
           RUN(failing_callback_is_reported_and_the_next_still_runs),
           RUN(pending_future_that_goes_calls_nobody_back),
           RUN(callback_may_complete_another_future), RUN(without_a_loop_there_is_no_future),
           RUN(future_is_completed_while_its_loop_does_not_run),
           RUN(future_outlives_its_closed_loop), RUN(closed_loop_makes_no_future),
           RUN(callback_runs_in_the_context_it_was_added_in))
