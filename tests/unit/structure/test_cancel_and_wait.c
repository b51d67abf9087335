/* Cancelling a task and waiting for its end: what every cleanup does, and what is easily done wrong when the
 * one that cleans up is itself cancelled meanwhile. */
#include "lib/steps.h"

COIL_ASYNC(works, (double, cleanup), (int, code))
{
    int rc = coil_sleep(100);
    note("%s", coil_error_message(coil_error_current(rc)));
    int cleaned = coil_sleep(cleanup);
    note("%s", cleaned == 0 ? "cleaned" : coil_error_name(cleaned));
    return code < 0 ? coil_raise(code, "in the cleanup") : code > 0 ? code : rc;
}

COIL_ASYNC(ends, (double, cleanup), (int, code), (int, expected))
{
    coil_task *task = coil_create_task(works(cleanup, code));
    int rc = coil_sleep(1);
    if (rc == 0)
        rc = coil_cancel_and_wait(task, "enough");
    EXPECT_INT(rc, expected);
    EXPECT(coil_future_done(task));
    coil_unref(task);
    note("%g", coil_loop_time(NULL));
    return rc;
}

TEST(task_is_cancelled_and_its_cleanup_is_waited_for)
{
    EXPECT_RUN(ends(2, 0, 0), 0);
    EXPECT_NOTES("enough cleaned 3");
}

TEST(result_after_a_cancellation_is_no_error)
{
    EXPECT_RUN(ends(2, 7, 0), 0);
    EXPECT_NOTES("enough cleaned 3");
}

TEST(error_of_the_cleanup_is_told)
{
    EXPECT_RUN(ends(2, -EIO, -EIO), -EIO);
    EXPECT_NOTES("enough cleaned 3");
}

COIL_ASYNC0(cancels_who_ends)
{
    coil_task *ending = coil_create_task(ends(5, 0, COIL_ECANCELED));
    COIL_TRY(coil_sleep(2));
    coil_task_cancel(ending, "hurry");
    COIL_TRY(coil_sleep(1));
    EXPECT(!coil_future_done(ending));
    coil_task_cancel(ending, "faster");
    int rc = coil_await(ending, NULL);
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "faster");
    EXPECT_INT(coil_task_cancelling(ending), 2);
    coil_unref(ending);
    return rc;
}

TEST(caller_that_is_cancelled_meanwhile_waits_on_and_then_says_so)
{
    /* The cleanup is neither left alone nor disturbed, and the cancellation is not swallowed. */
    EXPECT_RUN(cancels_who_ends(), COIL_ECANCELED);
    EXPECT_NOTES("enough cleaned 6");
}

COIL_ASYNC0(ends_what_has_ended)
{
    coil_task *done = coil_create_task(coil_sleep_coro(0, coil_int(1)));
    COIL_TRY(coil_await(done, NULL));
    EXPECT_INT(coil_cancel_and_wait(done, NULL), 0);
    coil_unref(done);
    coil_task *fresh = coil_create_task(works(1, 0));
    EXPECT_INT(coil_cancel_and_wait(fresh, NULL), 0);
    EXPECT(coil_future_cancelled(fresh));
    coil_unref(fresh);
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_cancel_and_wait(future, NULL), 0);
    coil_unref(future);
    EXPECT_INT(coil_cancel_and_wait(NULL, NULL), 0);
    EXPECT_INT(coil_cancel_and_wait(coil_current_task(), NULL), COIL_ESELFWAIT);
    return coil_sleep(0);
}

TEST(what_has_ended_or_never_begun_is_fine)
{
    EXPECT_RUN(ends_what_has_ended(), 0);
    EXPECT_NOTES("");
}

TEST(outside_a_task_nothing_is_cancelled)
{
    coil_loop *loop = steps_loop(NULL);
    coil_future *future = coil_create_future(loop);
    EXPECT_INT(coil_cancel_and_wait(future, NULL), COIL_ENOTASK);
    EXPECT(!coil_future_done(future));
    coil_unref(future);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

TESTS_MAIN(RUN(task_is_cancelled_and_its_cleanup_is_waited_for),
           RUN(result_after_a_cancellation_is_no_error), RUN(error_of_the_cleanup_is_told),
           RUN(caller_that_is_cancelled_meanwhile_waits_on_and_then_says_so),
           RUN(what_has_ended_or_never_begun_is_fine), RUN(outside_a_task_nothing_is_cancelled))
