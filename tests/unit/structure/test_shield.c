/* shield: cancellation stops at it, everything else passes. */
#include "lib/steps.h"

COIL_ASYNC(gives_counted_after, (double, delay))
{
    int rc = coil_sleep(delay);
    note(rc < 0 ? "%s" : "worked", coil_error_name(rc));
    *coil_result = counted();
    return rc;
}

COIL_ASYNC(fails_after, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return coil_raise(COIL_EAPP, "broke");
}

COIL_ASYNC0(never_begins)
{
    note("began");
    return 0;
}

/* ---- results ------------------------------------------------------------------------------------ */

COIL_ASYNC0(owns_results)
{
    coil_value value;
    EXPECT_INT(coil_shield(gives_counted_after(1), &value), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_shield(gives_counted_after(1), NULL), 0);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 2);

    coil_task *task = coil_create_task(gives_counted_after(1));
    for (int i = 0; i < 2; i++) { /* the second time it is done */
        EXPECT_INT(coil_shield(task, &value), 0);
        EXPECT_PTR(value.pointer, &dropped);
        coil_value_clear(&value); /* a view */
    }
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 2);
    coil_unref(task);
    EXPECT_INT(dropped, 3);

    coil_future *shield = coil_shield_future(gives_counted_after(1));
    EXPECT_INT(coil_await(shield, NULL), 0);
    EXPECT_INT(coil_future_take_result(shield, &value), 0);
    coil_unref(shield);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 3);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 4);
    return 0;
}

TEST(result_passes_with_what_it_owns)
{
    EXPECT_RUN(owns_results(), 0);
    EXPECT_NOTES("worked worked worked worked");
}

static int complete(void *future)
{
    return coil_future_set_result(future, coil_int(3));
}

COIL_ASYNC0(shields_a_future)
{
    coil_future *inner = coil_create_future(NULL);
    coil_value value;
    COIL_TRY(coil_call_later(NULL, 1, complete, inner, NULL));
    EXPECT_INT(coil_shield(inner, &value), 0);
    EXPECT_INT(value.integer, 3);
    coil_future *same = coil_shield_future(inner);
    EXPECT_PTR(same, inner);
    coil_unref(same);
    coil_unref(inner);

    /* Nobody but the future that is to complete it holds the outer one; its callbacks are called. */
    inner = coil_create_future(NULL);
    coil_future *outer = coil_shield_future(inner);
    COIL_TRY(coil_future_add_done_callback(outer, note_done, (void *)(uintptr_t) "called", NULL));
    coil_unref(outer);
    COIL_TRY(complete(inner));
    coil_unref(inner);
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("");
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("called");

    /* One that was completed by somebody else takes no harm. */
    inner = coil_create_future(NULL);
    outer = coil_shield_future(inner);
    EXPECT_INT(coil_future_set_result(outer, counted()), 0);
    COIL_TRY(complete(inner));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 0);
    coil_unref(outer);
    EXPECT_INT(dropped, 1);
    coil_unref(inner);
    return 0;
}

TEST(plain_future_can_be_shielded)
{
    EXPECT_RUN(shields_a_future(), 0);
}

/* ---- misuse, memory ----------------------------------------------------------------------------- */

static int shields_in_a_callback(void *arg)
{
    (void)arg;
    EXPECT_INT(coil_shield(never_begins(), NULL), COIL_ENOTASK);
    coil_future *shield = coil_shield_future(gives_counted_after(0));
    EXPECT(shield != NULL);
    coil_unref(shield); /* the work goes on */
    return 0;
}

COIL_ASYNC0(shields_wrongly)
{
    COIL_TRY(coil_call_soon(NULL, shields_in_a_callback, NULL, NULL));
    COIL_TRY(coil_sleep(1));
    EXPECT_NOTES("worked");

    for (int nth = 1; nth <= 2; nth++) { /* the shield, the task */
        coil_coro *coro = never_begins();
        coil_testing_fail_alloc(nth);
        EXPECT_INT(coil_shield(coro, NULL), COIL_ENOMEM);
        coil_testing_fail_alloc(0);
    }
    coil_testing_fail_alloc(1);
    coil_coro *none = never_begins();
    coil_testing_fail_alloc(0);
    if (EXPECT(none == NULL))
        EXPECT_INT(coil_shield(none, NULL), COIL_ENOMEM);

    coil_coro *used = coil_ref(never_begins());
    EXPECT_INT(coil_await(used, NULL), 0);
    EXPECT_NOTES("began");
    EXPECT_INT(coil_shield(used, NULL), COIL_EREUSED);
    return 0;
}

TEST(refused_coroutine_is_consumed)
{
    EXPECT_RUN(shields_wrongly(), 0);
    EXPECT_NOTES("");
    EXPECT_PTR(coil_shield_future(never_begins()), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
    EXPECT_INT(coil_shield(never_begins(), NULL), COIL_ENOTASK);
}

/* ---- cancelled ---------------------------------------------------------------------------------- */

COIL_ASYNC(waits_behind_a_shield, (coil_task *, inner))
{
    int rc = coil_shield(inner, NULL);
    note("%s %g", coil_error_name(rc), coil_loop_time(NULL));
    return rc;
}

COIL_ASYNC(cancels_in_a_turn, (int, turns))
{
    coil_future *inner = coil_create_future(NULL);
    coil_task *task = coil_create_task(waits_behind_a_shield(inner));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(complete(inner));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    int rc = coil_await(task, NULL);
    EXPECT(!coil_future_cancelled(inner));
    coil_unref(task);
    coil_unref(inner);
    return rc;
}

TEST(caller_is_cancelled_in_any_turn_until_it_runs)
{
    /* While the inner one's word is queued, and when the caller has been woken. */
    EXPECT_RUN(cancels_in_a_turn(0), COIL_ECANCELED);
    EXPECT_NOTES("COIL_ECANCELED 0");
    EXPECT_RUN(cancels_in_a_turn(1), COIL_ECANCELED);
    EXPECT_NOTES("COIL_ECANCELED 0");
    EXPECT_RUN(cancels_in_a_turn(2), 0);
    EXPECT_NOTES("ok 0");
}

COIL_ASYNC(drops_cancelled_shield, (double, delay))
{
    coil_future *shield = coil_shield_future(fails_after(delay));
    coil_future_cancel(shield, NULL);
    coil_unref(shield);
    return coil_sleep(2);
}

TEST(error_behind_a_cancelled_shield_is_reported)
{
    /* asyncio's rule: once the shield has heard of its cancellation it looks at no error any more. One that
     * comes in the same turn counts as looked at. */
    EXPECT_RUN_REPORTS(drops_cancelled_shield(1), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
}

COIL_ASYNC0(fails_in_the_turn)
{
    coil_future *inner = coil_create_future(NULL), *shield = coil_shield_future(inner);
    coil_future_cancel(shield, NULL);
    EXPECT_INT(coil_future_set_exception(inner, COIL_EAPP), 0);
    coil_unref(shield);
    coil_unref(inner);
    return coil_sleep(0);
}

TEST(error_in_the_turn_of_the_cancellation_counts_as_looked_at)
{
    EXPECT_RUN(fails_in_the_turn(), 0);
}

COIL_ASYNC0(drops_a_failed_shield)
{
    coil_unref(coil_shield_future(fails_after(1)));
    return coil_sleep(2);
}

TEST(error_that_nobody_takes_from_a_shield_is_the_shields)
{
    EXPECT_RUN_REPORTS(drops_a_failed_shield(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_FUTURE_ERROR_UNREAD], 1);
}

/* ---- closing ------------------------------------------------------------------------------------ */

COIL_ASYNC(is_closed_behind_a_shield, (coil_future *, inner))
{
    coil_loop_stop(NULL);
    EXPECT_INT(coil_shield(inner, NULL), COIL_ECLOSING);
    return COIL_ECLOSING;
}

TEST(closing_the_loop_lets_go_of_a_future_that_nobody_completes)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_future *inner = coil_create_future(loop);
    coil_unref(coil_create_task_with(loop, is_closed_behind_a_shield(inner), NULL));
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(inner);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- by hand, and eagerly ----------------------------------------------------------------------- */

COIL_ASYNC0(makes_eager_tasks)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    coil_value value;
    EXPECT_INT(coil_shield(never_begins(), &value), 0); /* done when the shield is put around */
    EXPECT_NOTES("began");
    EXPECT_INT(coil_shield(gives_counted_after(1), &value), 0);
    EXPECT_NOTES("worked");
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(eager_task_that_is_done_needs_no_shield)
{
    EXPECT_RUN(makes_eager_tasks(), 0);
}

TESTS_MAIN(RUN(result_passes_with_what_it_owns), RUN(plain_future_can_be_shielded),
           RUN(refused_coroutine_is_consumed), RUN(caller_is_cancelled_in_any_turn_until_it_runs),
           RUN(error_behind_a_cancelled_shield_is_reported),
           RUN(error_in_the_turn_of_the_cancellation_counts_as_looked_at),
           RUN(error_that_nobody_takes_from_a_shield_is_the_shields),
           RUN(closing_the_loop_lets_go_of_a_future_that_nobody_completes),
           RUN(eager_task_that_is_done_needs_no_shield))
