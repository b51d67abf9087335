/* wait: until when, what it leaves alone, and how many are done. */
#include "lib/steps.h"

COIL_ASYNC(sleeps, (double, delay), (int, rc))
{
    COIL_TRY(coil_sleep(delay));
    return rc;
}

/* Three tasks that end after 1, 2 and 3 seconds; the second with this code. */
static void make_three(coil_future **tasks, int second)
{
    tasks[0] = coil_create_task(sleeps(1, 0));
    tasks[1] = coil_create_task(sleeps(2, second));
    tasks[2] = coil_create_task(sleeps(3, 0));
}

static void unref_all(coil_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        coil_unref(futures[i]);
}

/* ---- conditions --------------------------------------------------------------------------------- */

COIL_ASYNC(waits, (coil_return_when, when), (double, timeout), (int, second), (int, expected),
           (double, until))
{
    coil_future *tasks[3];
    make_three(tasks, second);
    EXPECT_INT(coil_wait(tasks, 3, timeout, when), expected);
    EXPECT_DOUBLE(coil_loop_time(NULL), until);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(coil_future_done(tasks[i]), i < expected);
    /* Errors stay where they were, and nothing was cancelled. */
    EXPECT_INT(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 3);
    EXPECT_INT(coil_future_result(tasks[1], NULL), second);
    EXPECT_INT(coil_future_result(tasks[2], NULL), 0);
    unref_all(tasks, 3);
    return 0;
}

TEST(each_condition_waits_as_long_as_it_says)
{
    /* A timeout is no error: the count tells. */
    EXPECT_RUN(waits(COIL_ALL_COMPLETED, COIL_NO_TIMEOUT, COIL_EAPP, 3, 3), 0);
    EXPECT_RUN(waits(COIL_FIRST_COMPLETED, COIL_NO_TIMEOUT, 0, 1, 1), 0);
    EXPECT_RUN(waits(COIL_FIRST_EXCEPTION, COIL_NO_TIMEOUT, COIL_EAPP, 2, 2), 0);
    EXPECT_RUN(waits(COIL_FIRST_EXCEPTION, COIL_NO_TIMEOUT, 0, 3, 3), 0);
    EXPECT_RUN(waits(COIL_FIRST_EXCEPTION, COIL_NO_TIMEOUT, COIL_ECANCELED, 3, 3), 0);
    EXPECT_RUN(waits(COIL_ALL_COMPLETED, 2.5, 0, 2, 2.5), 0);
    EXPECT_RUN(waits(COIL_FIRST_COMPLETED, 0.5, 0, 0, 0.5), 0);
    EXPECT_RUN(waits(COIL_ALL_COMPLETED, 0, 0, 0, 0), 0);
    EXPECT_RUN(waits(COIL_ALL_COMPLETED, -1, 0, 0, 0), 0);
}

COIL_ASYNC(notes, (const char *, what))
{
    note("%s", what);
    return 0;
}

COIL_ASYNC0(waits_for_done)
{
    coil_future *future = coil_create_future(NULL), *three[] = { future, future, future };
    coil_future_set_result(future, counted());
    EXPECT_INT(coil_spawn(notes("other")), 0);
    EXPECT_INT(coil_wait(three, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 3);
    EXPECT_NOTES("other");
    EXPECT_INT(dropped, 0);
    coil_unref(future);
    return 0;
}

TEST(waiting_for_what_is_done_gives_way_and_counts_each_place)
{
    /* asyncio's wait always suspends; the same future may stand there twice. */
    EXPECT_RUN(waits_for_done(), 0);
    EXPECT_INT(dropped, 1);
}

COIL_ASYNC0(waits_for_simultaneous)
{
    coil_future *both[] = { coil_create_future(NULL), coil_create_future(NULL) };
    coil_task *completer = coil_create_task(sleeps(1, 0));
    EXPECT_INT(coil_wait(both, 2, 1, COIL_FIRST_COMPLETED), 0);
    coil_future_set_result(both[0], coil_nil());
    coil_future_cancel(both[1], NULL);
    EXPECT_INT(coil_wait(both, 2, 1, COIL_FIRST_COMPLETED), 2);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    COIL_TRY(coil_await(completer, NULL));
    coil_unref(completer);
    unref_all(both, 2);
    return 0;
}

TEST(those_done_in_the_same_turn_count_together)
{
    /* The entry of the second is still queued when the wait is over, and must find its memory. */
    EXPECT_RUN(waits_for_simultaneous(), 0);
}

static int complete_it(void *arg)
{
    return coil_future_set_result(arg, coil_nil());
}

COIL_ASYNC0(waits_for_a_tie)
{
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_call_later(NULL, 1, complete_it, future, NULL));
    EXPECT_INT(coil_wait(&future, 1, 1, COIL_ALL_COMPLETED), 1);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    coil_unref(future);

    future = coil_create_future(NULL);
    coil_future *done[] = { coil_create_future(NULL), future };
    coil_future_set_result(done[0], coil_nil());
    EXPECT_INT(coil_wait(done, 2, 0, COIL_FIRST_COMPLETED), 1);
    EXPECT_INT(coil_wait(done, 2, 0, COIL_ALL_COMPLETED), 1);
    COIL_TRY(coil_sleep(1));
    unref_all(done, 2);
    return 0;
}

TEST(completion_and_timeout_in_one_turn_end_the_wait_once)
{
    /* Either order; the other one's entry does no harm. */
    EXPECT_RUN(waits_for_a_tie(), 0);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

COIL_ASYNC0(waits_badly)
{
    coil_future *future = coil_create_future(NULL), *none = NULL;
    coil_coro *coro = sleeps(1, 0);
    void *wrong = coro;
    EXPECT_INT(coil_wait(&future, 0, 1, COIL_ALL_COMPLETED), COIL_EINVAL);
    EXPECT_INT(coil_wait(&future, 1, NAN, COIL_ALL_COMPLETED), COIL_EINVAL);
    EXPECT_INT(coil_wait(&future, 1, 1, (coil_return_when)9), COIL_EINVAL);
    EXPECT_INT(coil_wait((coil_future **)&wrong, 1, 1, COIL_ALL_COMPLETED), COIL_ETYPE);
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CREATED);
    EXPECT_INT(coil_coro_close(coro), 0);
    coil_raise(COIL_EFULL, "why there is none");
    EXPECT_INT(coil_wait(&none, 1, 1, COIL_ALL_COMPLETED), COIL_EFULL);
    coil_unref(future);
    return 0;
}

TEST(what_cannot_be_waited_for_is_refused)
{
    /* And borrowed: a coroutine given by mistake is still the caller's. */
    EXPECT_RUN(waits_badly(), 0);
}

/* ---- cancellation ------------------------------------------------------------------------------- */

COIL_ASYNC(waits_for, (coil_future **, futures))
{
    return coil_wait(futures, 3, 100, COIL_ALL_COMPLETED);
}

COIL_ASYNC0(cancels_wait)
{
    coil_future *tasks[3];
    make_three(tasks, 0);
    coil_task *task = coil_create_task(waits_for(tasks));
    COIL_TRY(coil_sleep(1.5));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_future_done(tasks[1]), 0);
    EXPECT_INT(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 3);
    EXPECT_DOUBLE(coil_loop_time(NULL), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(coil_future_result(tasks[i], NULL), 0);
    coil_unref(task);
    unref_all(tasks, 3);
    return 0;
}

TEST(cancelled_wait_leaves_the_futures_alone)
{
    /* And no timer behind: the clock ends at 3. */
    EXPECT_RUN(cancels_wait(), 0);
}

COIL_ASYNC0(leaves_an_error_unread)
{
    coil_task *task = coil_create_task(sleeps(1, COIL_EAPP));
    EXPECT_INT(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 1);
    coil_unref(task);
    return 0;
}

TEST(waiting_is_not_looking)
{
    /* An error that nobody asked for after the wait is reported. */
    EXPECT_RUN_REPORTS(leaves_an_error_unread(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
}

TESTS_MAIN(RUN(each_condition_waits_as_long_as_it_says),
           RUN(waiting_for_what_is_done_gives_way_and_counts_each_place),
           RUN(those_done_in_the_same_turn_count_together),
           RUN(completion_and_timeout_in_one_turn_end_the_wait_once),
           RUN(what_cannot_be_waited_for_is_refused), RUN(cancelled_wait_leaves_the_futures_alone),
           RUN(waiting_is_not_looking))
