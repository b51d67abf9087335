/* sleep: for how long, for how many turns, and what is left when it ends early. */
#include "lib/steps.h"

COIL_ASYNC(sleeps, (double, delay), (const char *, what))
{
    int rc = coil_sleep(delay);
    note("%s", rc == 0 ? what : coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(sleeps_in_parallel)
{
    coil_task *late = coil_create_task(sleeps(3600, "late"));
    coil_task *early = coil_create_task(sleeps(0.5, "early"));
    coil_task *tie = coil_create_task(sleeps(0.5, "tie"));
    COIL_TRY(coil_await(late, NULL));
    EXPECT_DOUBLE(coil_loop_time(NULL), 3600);
    coil_unref(late);
    coil_unref(early);
    coil_unref(tie);
    return 0;
}

TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
    /* Ties wake in the order in which they went to sleep; an hour takes no time here. */
    EXPECT_RUN(sleeps_in_parallel(), 0);
    EXPECT_NOTES("early tie late");
}

COIL_ASYNC(counts_turns, (int, turns), (double, delay))
{
    for (int i = 0; i < turns; i++) {
        COIL_TRY(coil_sleep(delay));
        note("%d", i);
    }
    return 0;
}

static int note_turn(void *arg)
{
    note("|");
    int *left = arg;
    return --*left > 0 ? coil_call_soon(NULL, note_turn, left, NULL) : 0;
}

COIL_ASYNC(sleeps_without_time, (double, delay))
{
    int turns = 4;
    coil_task *task = coil_create_task(counts_turns(3, delay));
    COIL_TRY(coil_call_soon(NULL, note_turn, &turns, NULL));
    COIL_TRY(coil_await(task, NULL));
    EXPECT_DOUBLE(coil_loop_time(NULL), 0);
    coil_unref(task);
    return 0;
}

TEST(sleep_of_zero_or_less_gives_way_for_exactly_one_turn)
{
    /* The cheap way to let others run; asyncio programs depend on the count. */
    EXPECT_RUN(sleeps_without_time(0), 0);
    EXPECT_NOTES("| 0 | 1 | 2 |");
    EXPECT_RUN(sleeps_without_time(-5), 0);
    EXPECT_NOTES("| 0 | 1 | 2 |");
    EXPECT_RUN(sleeps_without_time(-INFINITY), 0);
    EXPECT_NOTES("| 0 | 1 | 2 |");
}

COIL_ASYNC0(sleeps_badly)
{
    EXPECT_INT(coil_sleep(NAN), COIL_EINVAL);
    coil_task *forever = coil_create_task(sleeps(INFINITY, "never"));
    COIL_TRY(coil_sleep(1e6));
    EXPECT(!coil_future_done(forever));
    EXPECT(coil_task_cancel(forever, NULL));
    EXPECT_INT(coil_await(forever, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1e6);
    coil_unref(forever);
    EXPECT_NOTES("COIL_ECANCELED");
    return 0;
}

TEST(infinite_sleep_waits_for_cancellation_and_nan_is_refused)
{
    /* The two delays that are no durations. */
    EXPECT_RUN(sleeps_badly(), 0);
}

COIL_ASYNC0(waits_forever)
{
    return coil_sleep(INFINITY);
}

TEST(nothing_but_infinite_sleep_is_a_stall_on_the_virtual_clock)
{
    /* No hang in a test: the run ends. Shutting down then cancels the sleeper. */
    EXPECT_RUN(waits_forever(), COIL_ESTALLED);
}

COIL_ASYNC0(cancels_a_sleeper)
{
    coil_task *task = coil_create_task(sleeps(10, "woke"));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, "enough");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_NOTES("COIL_ECANCELED");
    coil_unref(task);
    return 0;
}

TEST(cancelled_sleep_leaves_no_timer)
{
    /* Otherwise the clock would go on to it: the run ends at 1. */
    EXPECT_RUN(cancels_a_sleeper(), 0);
}

/* ---- as a coroutine object ---------------------------------------------------------------------- */

COIL_ASYNC0(uses_sleep_coros)
{
    coil_value value;
    EXPECT_INT(coil_await(coil_sleep_coro(2, coil_int(5)), &value), 0);
    EXPECT_INT(value.integer, 5);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    EXPECT_INT(coil_await(coil_sleep_coro(0, counted()), &value), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_await(coil_sleep_coro(1, counted()), NULL), 0);
    EXPECT_INT(dropped, 2);
    EXPECT_INT(coil_await(coil_sleep_coro(NAN, counted()), NULL), COIL_EINVAL);
    EXPECT_INT(dropped, 3);
    EXPECT_INT(coil_coro_close(coil_sleep_coro(1, counted())), 0);
    EXPECT_INT(dropped, 4);

    coil_task *unstarted = coil_create_task(coil_sleep_coro(1, counted()));
    coil_task_cancel(unstarted, NULL);
    EXPECT_INT(coil_await(unstarted, NULL), COIL_ECANCELED);
    EXPECT_INT(dropped, 5);
    coil_unref(unstarted);

    coil_task *asleep = coil_create_task(coil_sleep_coro(1, counted()));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(asleep, NULL);
    EXPECT_INT(coil_await(asleep, NULL), COIL_ECANCELED);
    EXPECT_INT(dropped, 6);
    coil_unref(asleep);
    return 0;
}

TEST(sleep_coro_gives_its_value_or_clears_it)
{
    /* Read, unread, failed, closed, cancelled before and while it slept: once each time. */
    EXPECT_RUN(uses_sleep_coros(), 0);
}

TEST(sleep_coro_may_be_made_without_a_loop)
{
    /* And without memory, its value is cleared all the same. */
    dropped = 0;
    EXPECT_INT(coil_coro_close(coil_sleep_coro(1, counted())), 0);
    EXPECT_INT(dropped, 1);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil_sleep_coro(1, counted()), NULL);
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    EXPECT_INT(dropped, 2);
}

/* ---- the real clock ----------------------------------------------------------------------------- */

COIL_ASYNC0(sleeps_for_real)
{
    double before = coil_loop_time(NULL);
    COIL_TRY(coil_sleep(0.003));
    EXPECT(coil_loop_time(NULL) - before >= 0.003);
    return 0;
}

TEST(real_sleep_is_never_too_short)
{
    /* A wakeup rounded down would come before the deadline. */
    EXPECT_RUN_REAL(sleeps_for_real(), 0);
}

TESTS_MAIN(RUN(sleepers_wake_in_the_order_of_their_deadlines),
           RUN(sleep_of_zero_or_less_gives_way_for_exactly_one_turn),
           RUN(infinite_sleep_waits_for_cancellation_and_nan_is_refused),
           RUN(nothing_but_infinite_sleep_is_a_stall_on_the_virtual_clock),
           RUN(cancelled_sleep_leaves_no_timer), RUN(sleep_coro_gives_its_value_or_clears_it),
           RUN(sleep_coro_may_be_made_without_a_loop), RUN(real_sleep_is_never_too_short))
