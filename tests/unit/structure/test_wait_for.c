/* wait_for: what it gives, what it cancels, and who owns what afterwards. */
#include "lib/steps.h"

static int cancel_it(void *task)
{
    coil_task_cancel(task, "from outside");
    return 0;
}

COIL_ASYNC(gives_counted_after, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    *coil_result = counted();
    return 0;
}

COIL_ASYNC0(never_begins)
{
    note("began");
    return 0;
}

/* ---- results ------------------------------------------------------------------------------------ */

COIL_ASYNC0(owns_results)
{
    coil_value value = coil_int(1);
    EXPECT_INT(coil_wait_for(gives_counted_after(1), 2, &value), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_wait_for(gives_counted_after(1), 2, NULL), 0);
    EXPECT_INT(dropped, 2);

    coil_task *task = coil_create_task(gives_counted_after(1));
    EXPECT_INT(coil_wait_for(task, 2, &value), 0);
    coil_value_clear(&value); /* a view */
    EXPECT_INT(dropped, 2);
    EXPECT_INT(coil_wait_for(task, 0, &value), 0); /* done: no time is enough */
    EXPECT_PTR(value.pointer, &dropped);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 2);
    coil_unref(task);
    EXPECT_INT(dropped, 3);

    value = coil_int(1);
    EXPECT_INT(coil_wait_for(gives_counted_after(2), 1, &value), COIL_ETIMEDOUT);
    EXPECT_INT(value.integer, 1);
    return 0;
}

TEST(result_of_a_coroutine_is_the_callers_of_a_task_a_view)
{
    EXPECT_RUN(owns_results(), 0);
}

struct own {
    coil_awaitable awaitable;
    double delay;
};

static int wait_own(coil_awaitable *awaitable, coil_value *value_out)
{
    COIL_TRY(coil_sleep(((struct own *)(void *)awaitable)->delay));
    *value_out = coil_int(5);
    return 0;
}

COIL_ASYNC0(waits_for_own_awaitables)
{
    struct own own = { COIL_AWAITABLE_INIT(wait_own), 1 };
    coil_value value;
    EXPECT_INT(coil_wait_for(&own.awaitable, 2, &value), 0);
    EXPECT_INT(value.integer, 5);
    own.delay = 3;
    EXPECT_INT(coil_wait_for(&own.awaitable, 2, &value), COIL_ETIMEDOUT);
    EXPECT_INT(coil_wait_for(&own.awaitable, 0, &value), COIL_ETIMEDOUT);
    return 0;
}

TEST(own_awaitable_can_be_waited_for)
{
    EXPECT_RUN(waits_for_own_awaitables(), 0);
}

/* ---- misuse ------------------------------------------------------------------------------------- */

static int waits_in_a_callback(void *arg)
{
    (void)arg;
    EXPECT_INT(coil_wait_for(never_begins(), 1, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_wait_for(never_begins(), 0, NULL), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC0(waits_wrongly)
{
    EXPECT_INT(coil_wait_for(never_begins(), NAN, NULL), COIL_EINVAL);
    COIL_TRY(coil_call_soon(NULL, waits_in_a_callback, NULL, NULL));
    COIL_TRY(coil_sleep(0));

    coil_loop *other = coil_testing_virtual_loop(NULL);
    coil_future *theirs = coil_create_future(other);
    EXPECT_INT(coil_wait_for(theirs, 0, NULL), COIL_EWRONGLOOP);
    EXPECT(!coil_future_done(theirs));
    EXPECT_INT(coil_wait_for(theirs, 1, NULL), COIL_EWRONGLOOP);
    coil_unref(theirs);
    coil_loop_close(other);
    coil_unref(other);

    coil_coro *used = never_begins();
    coil_ref(used);
    coil_ref(used);
    EXPECT_INT(coil_wait_for(used, 1, NULL), 0);
    EXPECT_NOTES("began");
    EXPECT_INT(coil_wait_for(used, 1, NULL), COIL_EREUSED);
    EXPECT_INT(coil_wait_for(used, 0, NULL), COIL_EREUSED);

    coil_testing_fail_alloc(1);
    coil_coro *none = never_begins();
    coil_testing_fail_alloc(0);
    if (EXPECT(none == NULL))
        EXPECT_INT(coil_wait_for(none, 1, NULL), COIL_ENOMEM);
    return 0;
}

TEST(refused_coroutine_is_consumed)
{
    /* EXPECT_RUN finds one that is not: it would be reported as never awaited. */
    EXPECT_RUN(waits_wrongly(), 0);
    EXPECT_NOTES("");
}

COIL_ASYNC0(has_no_memory)
{
    bool failed = true;
    for (int nth = 1; failed && nth < 20; nth++) {
        double timeout = nth % 2;
        for (int task = 0; task < 2; task++) {
            coil_coro *coro = gives_counted_after(2);
            coil_task *own = task ? coil_create_task(coro) : NULL;
            coil_testing_fail_alloc(nth);
            int rc = task ? coil_wait_for(own, timeout, NULL) : coil_wait_for(coro, timeout, NULL);
            failed = coil_testing_alloc_failed();
            coil_testing_fail_alloc(0);
            EXPECT(rc == COIL_ETIMEDOUT || (failed && rc == COIL_ENOMEM));
            if (own && !coil_future_done(own)) {
                coil_task_cancel(own, NULL);
                EXPECT_INT(coil_await(own, NULL), COIL_ECANCELED);
            }
            coil_unref(own);
        }
    }
    return 0;
}

TEST(each_failed_allocation_is_survived)
{
    EXPECT_RUN(has_no_memory(), 0);
}

/* ---- cancelled, at each place where it waits ---------------------------------------------------- */

COIL_ASYNC(takes_its_time, (double, cleanup))
{
    int rc = coil_sleep(10);
    COIL_TRY(coil_sleep(cleanup));
    note("ended %g", coil_loop_time(NULL));
    return rc;
}

COIL_ASYNC(waits_for_it, (coil_future *, future), (double, timeout))
{
    int rc = coil_wait_for(future, timeout, NULL);
    note("%s %g", coil_error_name(rc), coil_loop_time(NULL));
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "from outside");
    return rc;
}

COIL_ASYNC(cancels_the_waiter, (double, timeout))
{
    coil_task *inner = coil_create_task(takes_its_time(2));
    COIL_TRY(coil_sleep(0));
    coil_task *task = coil_create_task(waits_for_it(inner, timeout));
    COIL_TRY(coil_call_later(NULL, 1, cancel_it, task, NULL));
    EXPECT_INT(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 1);
    EXPECT(coil_future_cancelled(task));
    EXPECT_INT(coil_wait(&inner, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 1);
    EXPECT(coil_future_cancelled(inner));
    coil_unref(task);
    coil_unref(inner);
    return 0;
}

TEST(cancelled_waiter_is_told_so_whatever_the_timeout)
{
    EXPECT_RUN(cancels_the_waiter(5), 0);
    EXPECT_NOTES("ended 3 COIL_ECANCELED 3");
    /* Without time it has cancelled the task at once, and does not wait for its end once it is cancelled
     * itself. */
    EXPECT_RUN(cancels_the_waiter(0), 0);
    EXPECT_NOTES("COIL_ECANCELED 1 ended 2");
}

/* The future has ended, and its word lies in the queue, when the waiter is cancelled. */
COIL_ASYNC0(cancels_the_waiter_late)
{
    for (int turns = 0; turns < 3; turns++) { /* not begun; waiting; woken */
        coil_future *future = coil_create_future(NULL);
        coil_task *task = coil_create_task(waits_for_it(future, 0));
        for (int i = 0; i < turns; i++)
            COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, "from outside");
        EXPECT_INT(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 1);
        coil_unref(task);
        coil_unref(future);
        COIL_TRY(coil_sleep(0));
    }
    return 0;
}

TEST(cancellation_in_any_turn_leaves_nothing_queued)
{
    EXPECT_RUN(cancels_the_waiter_late(), 0);
    EXPECT_NOTES("COIL_ECANCELED 0 COIL_ECANCELED 0");
}

/* ---- closing ------------------------------------------------------------------------------------ */

static int stop(void *loop)
{
    coil_loop_stop(loop);
    return 0;
}

COIL_ASYNC(is_closed_in_it, (coil_future *, future), (double, timeout))
{
    int rc = coil_wait_for(future, timeout, NULL);
    EXPECT_INT(rc, COIL_ECLOSING);
    EXPECT_INT(coil_wait_for(never_begins(), 1, NULL), COIL_ECLOSING);
    EXPECT_INT(coil_wait_for(never_begins(), 0, NULL), COIL_ECLOSING);
    EXPECT_INT(coil_wait_for(future, 0, NULL), COIL_ECLOSING);
    note("closed");
    return rc;
}

TEST(closing_the_loop_ends_it)
{
    /* Also the wait for the end of what was cancelled. */
    static const double timeouts[] = { 5, 0 };
    for (int i = 0; i < 2; i++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = steps_loop(NULL);
        coil_task *inner = coil_create_task_with(loop, takes_its_time(1), NULL);
        coil_task *task = coil_create_task_with(loop, is_closed_in_it(inner, timeouts[i]), NULL);
        coil_call_later(loop, 0.5, stop, loop, NULL);
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 2);
        coil_unref(task);
        coil_unref(inner);
        coil_unref(loop);
        EXPECT_INT(steps_blocks(), blocks);
        EXPECT_NOTES("closed");
    }
}

TESTS_MAIN(RUN(result_of_a_coroutine_is_the_callers_of_a_task_a_view),
           RUN(own_awaitable_can_be_waited_for), RUN(refused_coroutine_is_consumed),
           RUN(each_failed_allocation_is_survived),
           RUN(cancelled_waiter_is_told_so_whatever_the_timeout),
           RUN(cancellation_in_any_turn_leaves_nothing_queued), RUN(closing_the_loop_ends_it))
