/* Cancellation: at every kind of wait, in every order, and what it leaves. */
#include "lib/steps.h"

/* ---- at every kind of wait ---------------------------------------------------------------------- */

enum place {
    IN_FUTURE,
    IN_TASK,
    IN_GATHER,
    IN_GATHER_COLLECT,
    IN_WAIT,
    IN_SLEEP,
    IN_YIELD,
    IN_CORO,
    IN_OWN,
    IN_SOCKET,
    PLACES
};

static coil_future *awaited; /* by all that await a future here */

COIL_ASYNC0(awaits_awaited)
{
    int rc = coil_await(awaited, NULL);
    note("inner:%s", coil_error_name(rc));
    return rc;
}

static int own_wait(coil_awaitable *self, coil_value *value_out)
{
    (void)self;
    (void)value_out;
    return coil_sleep(5);
}

COIL_ASYNC(waits_in, (int, place))
{
    coil_awaitable own = COIL_AWAITABLE_INIT(own_wait);
    coil_value results[2];
    coil_task *task;
    int ends[2], rc = 0;
    char byte;
    switch (place) {
    case IN_FUTURE:
        return coil_await(awaited, NULL);
    case IN_TASK:
        task = coil_create_task(awaits_awaited());
        rc = coil_await(task, NULL);
        EXPECT(coil_future_cancelled(task));
        coil_unref(task);
        return rc;
    case IN_GATHER:
        return coil_gather(results, awaits_awaited(), coil_sleep_coro(9, coil_nil()));
    case IN_GATHER_COLLECT:
        return coil_gather_collect(results, awaits_awaited(), coil_sleep_coro(9, coil_nil()));
    case IN_WAIT:
        return coil_wait(&awaited, 1, 5, COIL_ALL_COMPLETED);
    case IN_SLEEP:
        return coil_sleep(5);
    case IN_YIELD:
        while (rc == 0)
            rc = coil_sleep(0);
        return rc;
    case IN_CORO:
        return coil_await(awaits_awaited(), NULL);
    case IN_OWN:
        return coil_await(&own, NULL);
    case IN_SOCKET:
        EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
        rc = (int)coil_sock_recv(ends[0], &byte, 1);
        coil_sock_close(ends[0]);
        coil_sock_close(ends[1]);
        return rc;
    }
    return 0;
}

COIL_ASYNC(cancels_in, (int, place))
{
    awaited = coil_create_future(NULL);
    coil_task *task = coil_create_task(waits_in(place));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_cancel(task, "stop it"));
    EXPECT_INT(coil_task_cancelling(task), 1);
    EXPECT(!coil_future_done(task));
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "stop it");
    EXPECT(coil_future_cancelled(task));
    EXPECT(!coil_task_cancel(task, NULL));
    EXPECT_INT(coil_task_cancelling(task), 1);
    bool spared = place == IN_WAIT || place == IN_SLEEP || place == IN_YIELD || place == IN_OWN ||
                  place == IN_SOCKET;
    EXPECT_INT(coil_future_cancelled(awaited), !spared);
    EXPECT_DOUBLE(coil_loop_time(NULL), 0);
    coil_unref(task);
    coil_unref(awaited);
    return 0;
}

TEST(every_wait_ends_with_the_cancellation_and_its_message)
{
    /* What is awaited is cancelled, too, except by wait; all in the same instant, without a leak. */
    for (int place = 0; place < PLACES; place++)
        EXPECT_RUN(cancels_in(place), 0);
    EXPECT_NOTES("inner:COIL_ECANCELED inner:COIL_ECANCELED inner:COIL_ECANCELED "
                 "inner:COIL_ECANCELED");
}

COIL_ASYNC(ignores_cancellation, (int *, seen))
{
    int rc = coil_sleep(1);
    if (rc == COIL_ECANCELED)
        ++*seen;
    rc = coil_sleep(1);
    if (rc == COIL_ECANCELED)
        ++*seen;
    coil_return(*seen);
}

COIL_ASYNC(cancels_times, (int, times))
{
    int seen = 0;
    coil_value value;
    coil_task *task = coil_create_task(ignores_cancellation(&seen));
    COIL_TRY(coil_sleep(0));
    for (int i = 0; i < times; i++) {
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT_INT(coil_task_cancelling(task), 2 * i + 2);
        COIL_TRY(coil_sleep(0));
    }
    EXPECT_INT(coil_await(task, &value), 0);
    EXPECT_INT(value.integer, seen);
    EXPECT(!coil_future_cancelled(task));
    coil_unref(task);
    coil_return(seen);
}

TEST(task_may_go_on_as_if_nothing_had_happened)
{
    /* Each delivered request ends one wait. Two in one turn: the first ends the wait, the second is
     * due at the next one, as in asyncio, but is lost in the step that delivers the first. */
    coil_value value;
    EXPECT_INT(steps_run(cancels_times(1), &value, NULL), 0);
    EXPECT_INT(value.integer, 1);
    EXPECT_INT(steps_run(cancels_times(2), &value, NULL), 0);
    EXPECT_INT(value.integer, 2);
}

/* ---- before the start, from within, at the end -------------------------------------------------- */

COIL_ASYNC0(never_runs)
{
    note("ran");
    return 0;
}

COIL_ASYNC0(cancels_before_start)
{
    coil_task *task = coil_create_task(never_runs());
    EXPECT(coil_task_cancel(task, "not needed"));
    EXPECT(!coil_future_done(task));
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "not needed");
    EXPECT_NOTES("");
    coil_unref(task);

    task = coil_create_task(never_runs());
    EXPECT(coil_task_cancel(task, NULL));
    EXPECT_INT(coil_task_uncancel(task), 0);
    EXPECT_INT(coil_await(task, NULL), 0);
    EXPECT_NOTES("ran");
    coil_unref(task);
    return 0;
}

TEST(task_cancelled_before_its_first_step_does_not_run)
{
    /* It is done a step later, in the loop's order; unless the request is taken back. */
    EXPECT_RUN(cancels_before_start(), 0);
}

COIL_ASYNC(cancels_itself, (bool, then_waits))
{
    EXPECT(coil_task_cancel(coil_current_task(), "myself"));
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 1);
    if (then_waits) {
        int rc = coil_sleep(1);
        EXPECT_INT(rc, COIL_ECANCELED);
        EXPECT_STR(coil_error_message(coil_error_current(rc)), "myself");
        EXPECT_INT(coil_sleep(0), 0);
    }
    return 0;
}

COIL_ASYNC(awaits_self_cancelling, (bool, then_waits), (int, expected))
{
    coil_task *task = coil_create_task(cancels_itself(then_waits));
    EXPECT_INT(coil_await(task, NULL), expected);
    coil_unref(task);
    return 0;
}

TEST(task_that_cancels_itself_sees_it_at_the_next_wait)
{
    /* And one that returns without waiting ends cancelled all the same: the request was made. */
    EXPECT_RUN(awaits_self_cancelling(true, 0), 0);
    EXPECT_RUN(awaits_self_cancelling(false, COIL_ECANCELED), 0);
}

COIL_ASYNC(cancels_itself_and_fails, (int, code))
{
    coil_task_cancel(coil_current_task(), NULL);
    return code;
}

COIL_ASYNC0(compares_ends)
{
    coil_task *task = coil_create_task(cancels_itself_and_fails(COIL_EAPP));
    EXPECT_INT(coil_await(task, NULL), COIL_EAPP);
    EXPECT(!coil_future_cancelled(task));
    coil_unref(task);
    return 0;
}

TEST(error_wins_over_a_cancellation_that_was_not_delivered)
{
    /* A failure is not hidden by a request that comes too late. */
    EXPECT_RUN(compares_ends(), 0);
}

COIL_ASYNC0(cleans_up_slowly)
{
    int rc = coil_sleep(10);
    note("cleaning");
    EXPECT_INT(coil_sleep(1), 0);
    note("clean");
    return rc;
}

COIL_ASYNC0(waits_for_cleanup)
{
    coil_task *task = coil_create_task(cleans_up_slowly());
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    coil_unref(task);
    return 0;
}

TEST(cleanup_may_wait)
{
    /* The request is delivered once; the waits of the cleanup are ordinary ones. */
    EXPECT_RUN(waits_for_cleanup(), 0);
    EXPECT_NOTES("cleaning clean");
}

COIL_ASYNC0(returns_the_code_uncancelled)
{
    return COIL_ECANCELED;
}

COIL_ASYNC0(awaits_uncancelled)
{
    coil_task *task = coil_create_task(returns_the_code_uncancelled());
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT(coil_future_cancelled(task));
    EXPECT_INT(coil_task_cancelling(task), 0);
    coil_unref(task);
    return 0;
}

TEST(returning_the_code_cancels_the_task)
{
    /* As raising CancelledError does, whoever asked for it. */
    EXPECT_RUN(awaits_uncancelled(), 0);
}

/* ---- uncancel ----------------------------------------------------------------------------------- */

COIL_ASYNC0(counts_requests)
{
    coil_task *me = coil_current_task();
    EXPECT_INT(coil_task_cancelling(me), 0);
    EXPECT_INT(coil_task_uncancel(me), 0);
    coil_task_cancel(me, NULL);
    coil_task_cancel(me, NULL);
    EXPECT_INT(coil_task_cancelling(me), 2);
    EXPECT_INT(coil_task_uncancel(me), 1);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_task_cancelling(me), 1);
    EXPECT_INT(coil_task_uncancel(me), 0);
    EXPECT_INT(coil_task_uncancel(me), 0);
    coil_task_cancel(me, NULL);
    EXPECT_INT(coil_task_uncancel(me), 0);
    EXPECT_INT(coil_sleep(0), 0);
    return 0;
}

TEST(uncancel_takes_back_what_was_not_delivered)
{
    /* The count never falls below zero; at zero nothing is due any more. */
    EXPECT_RUN(counts_requests(), 0);
}

/* ---- in the same turn --------------------------------------------------------------------------- */

COIL_ASYNC(awaits_then_again, (coil_future *, future))
{
    coil_value value = coil_int(-1);
    int rc = coil_await(future, &value);
    note("%s/%lld", coil_error_name(rc), (long long)value.integer);
    return rc;
}

COIL_ASYNC(completes_and_cancels, (bool, result_first))
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits_then_again(future));
    COIL_TRY(coil_sleep(0));
    if (result_first) {
        EXPECT_INT(coil_future_set_result(future, counted()), 0);
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT(!coil_future_cancelled(future));
    } else {
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT(coil_future_cancelled(future));
        EXPECT_INT(coil_future_set_result(future, counted()), COIL_EINVALIDSTATE);
    }
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    coil_unref(future);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(cancelled_while_ready_is_cancelled)
{
    /* Result first or cancellation first, the task sees the cancellation, and the future keeps what it
     * got first. */
    EXPECT_RUN(completes_and_cancels(true), 0);
    EXPECT_RUN(completes_and_cancels(false), 0);
    EXPECT_NOTES("COIL_ECANCELED/-1 COIL_ECANCELED/-1");
}

COIL_ASYNC(sleeps, (double, delay))
{
    int rc = coil_sleep(delay);
    note("%s", coil_error_name(rc));
    return rc;
}

static int cancel_it(void *arg)
{
    EXPECT(coil_task_cancel(arg, NULL));
    return 0;
}

COIL_ASYNC(cancels_when_due, (bool, cancel_first))
{
    coil_task *task;
    if (cancel_first) {
        task = coil_create_task(sleeps(1));
        COIL_TRY(coil_call_later(NULL, 1, cancel_it, task, NULL));
    } else {
        task = coil_create_task(sleeps(1));
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_call_later(NULL, 1, cancel_it, task, NULL));
    }
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return 0;
}

TEST(sleeper_cancelled_in_the_turn_in_which_it_is_due_is_cancelled)
{
    /* Its timer is due in the same turn, before or behind the one that cancels: never queued twice. */
    EXPECT_RUN(cancels_when_due(true), 0);
    EXPECT_RUN(cancels_when_due(false), 0);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED");
}

COIL_ASYNC0(cancels_a_due_wait)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(sleeps(1));
    for (int order = 0; order < 2; order++) {
        coil_task *waiter = coil_create_task(waits_in(IN_WAIT));
        COIL_TRY(coil_sleep(0));
        if (order == 0) {
            coil_future_set_result(awaited, coil_nil());
            coil_task_cancel(waiter, NULL);
        } else {
            coil_task_cancel(waiter, NULL);
            coil_future_set_result(awaited, coil_nil());
        }
        EXPECT_INT(coil_await(waiter, NULL), COIL_ECANCELED);
        coil_unref(waiter);
        coil_unref(awaited);
        awaited = coil_create_future(NULL);
    }
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_unref(future);
    coil_unref(awaited);
    return 0;
}

COIL_ASYNC0(cancels_a_due_wait_with_a_future)
{
    awaited = coil_create_future(NULL);
    return coil_await(cancels_a_due_wait(), NULL);
}

TEST(wait_that_is_over_and_cancelled_is_cancelled)
{
    /* Both orders; the entries that are still queued find the wait gone. */
    EXPECT_RUN(cancels_a_due_wait_with_a_future(), 0);
    EXPECT_NOTES("ok");
}

/* ---- chains and circles ------------------------------------------------------------------------- */

COIL_ASYNC(awaits_task, (coil_task **, next))
{
    return coil_await(*next, NULL);
}

COIL_ASYNC(cancels_a_chain, (int, length))
{
    coil_task **tasks = calloc((size_t)length + 1, sizeof *tasks);
    coil_future *end = coil_create_future(NULL);
    tasks[length] = end;
    for (int i = 0; i < length; i++)
        tasks[i] = coil_create_task(awaits_task(&tasks[i + 1]));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_cancel(tasks[0], "all of you"));
    EXPECT(coil_future_cancelled(end));
    EXPECT_INT(coil_await(tasks[0], NULL), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "all of you");
    for (int i = 0; i < length; i++) {
        EXPECT(coil_future_cancelled(tasks[i]));
        EXPECT_INT(coil_task_cancelling(tasks[i]), 1);
        coil_unref(tasks[i]);
    }
    coil_unref(end);
    free(tasks);
    return 0;
}

TEST(chain_of_ten_thousand_tasks_is_cancelled_at_its_far_end)
{
    /* The request travels down in a loop, not by recursion on somebody's stack. */
    EXPECT_RUN(cancels_a_chain(TEST_MANY_TASKS), 0);
}

COIL_ASYNC(awaits_in_circle, (coil_task **, next))
{
    int rc = coil_await(*next, NULL);
    note("%s", coil_error_name(rc));
    return rc;
}

COIL_ASYNC(cancels_a_circle, (int, size), (int, entry))
{
    coil_task *tasks[3];
    for (int i = 0; i < size; i++)
        tasks[i] = coil_create_task(awaits_in_circle(&tasks[(i + 1) % size]));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_cancel(tasks[entry], "enough"));
    EXPECT(coil_task_cancel(tasks[entry], "quite"));
    EXPECT_INT(coil_await(tasks[entry], NULL), COIL_ECANCELED);
    for (int i = 0; i < size; i++) {
        EXPECT(coil_future_cancelled(tasks[i]));
        coil_unref(tasks[i]);
    }
    return 0;
}

TEST(circle_of_tasks_that_await_one_another_can_be_cancelled)
{
    /* A deadlock that cannot be broken would outlast the shutdown, too: the last one of the circle is
     * taken out of its wait. */
    EXPECT_RUN(cancels_a_circle(2, 0), 0);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED");
    EXPECT_RUN(cancels_a_circle(3, 1), 0);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED COIL_ECANCELED");
}

COIL_ASYNC(closes_a_circle, (coil_task **, next))
{
    coil_task_cancel(coil_current_task(), NULL);
    return coil_await(*next, NULL);
}

COIL_ASYNC0(cancels_then_closes_a_circle)
{
    coil_task *tasks[2];
    tasks[0] = coil_create_task(awaits_in_circle(&tasks[1]));
    tasks[1] = coil_create_task(closes_a_circle(&tasks[0]));
    EXPECT_INT(coil_await(tasks[0], NULL), COIL_ECANCELED);
    EXPECT(coil_future_cancelled(tasks[1]));
    coil_unref(tasks[0]);
    coil_unref(tasks[1]);
    return 0;
}

TEST(task_that_closes_a_circle_with_a_cancellation_due_ends_it)
{
    /* The request is delivered in the very await that would wait for ever. */
    EXPECT_RUN(cancels_then_closes_a_circle(), 0);
    EXPECT_NOTES("COIL_ECANCELED");
}

COIL_ASYNC0(leaves_a_circle)
{
    static coil_task *tasks[2];
    tasks[0] = coil_create_task(awaits_in_circle(&tasks[1]));
    tasks[1] = coil_create_task(awaits_in_circle(&tasks[0]));
    coil_unref(tasks[0]);
    coil_unref(tasks[1]);
    return coil_sleep(0);
}

TEST(run_ends_although_a_circle_is_left)
{
    /* Ctrl-C, or the end of main, must not hang on somebody's deadlock. */
    EXPECT_RUN(leaves_a_circle(), 0);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED");
}

COIL_ASYNC(gathers_in_circle, (coil_task **, next))
{
    int rc = coil_gather(NULL, *next, coil_sleep_coro(100, coil_nil()));
    note("%s", coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(cancels_a_circle_of_gatherings)
{
    coil_task *tasks[2];
    tasks[0] = coil_create_task(gathers_in_circle(&tasks[1]));
    tasks[1] = coil_create_task(gathers_in_circle(&tasks[0]));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_cancel(tasks[0], NULL));
    EXPECT_INT(coil_await(tasks[0], NULL), COIL_ECANCELED);
    EXPECT_INT(coil_await(tasks[1], NULL), COIL_ECANCELED);
    coil_unref(tasks[0]);
    coil_unref(tasks[1]);
    return 0;
}

TEST(circle_through_gatherings_can_be_cancelled)
{
    /* The request does not go round and round until the stack is full. The gathering out of which the
     * first task was taken ends later, and nobody is left to look at it. */
    EXPECT_RUN_REPORTS(cancels_a_circle_of_gatherings(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_FUTURE_ERROR_UNREAD], 1);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED");
}

TESTS_MAIN(RUN(every_wait_ends_with_the_cancellation_and_its_message),
           RUN(task_may_go_on_as_if_nothing_had_happened),
           RUN(task_cancelled_before_its_first_step_does_not_run),
           RUN(task_that_cancels_itself_sees_it_at_the_next_wait),
           RUN(error_wins_over_a_cancellation_that_was_not_delivered), RUN(cleanup_may_wait),
           RUN(returning_the_code_cancels_the_task),
           RUN(uncancel_takes_back_what_was_not_delivered), RUN(cancelled_while_ready_is_cancelled),
           RUN(sleeper_cancelled_in_the_turn_in_which_it_is_due_is_cancelled),
           RUN(wait_that_is_over_and_cancelled_is_cancelled),
           RUN(chain_of_ten_thousand_tasks_is_cancelled_at_its_far_end),
           RUN(circle_of_tasks_that_await_one_another_can_be_cancelled),
           RUN(task_that_closes_a_circle_with_a_cancellation_due_ends_it),
           RUN(run_ends_although_a_circle_is_left), RUN(circle_through_gatherings_can_be_cancelled))
