/* Closing a loop while tasks are suspended: each may clean up, and nothing is left. */
#include "lib/steps.h"

static coil_future *never; /* that nobody completes */

enum place {
    IN_FUTURE,
    IN_TASK,
    IN_GATHER,
    IN_WAIT,
    IN_TIMED_WAIT,
    IN_SLEEP,
    IN_YIELD,
    IN_SOCKET,
    UNSTARTED,
    PLACES
};

COIL_ASYNC0(awaits_never)
{
    return coil_await(never, NULL);
}

static int wait_at(int place)
{
    coil_task *task;
    int ends[2], rc;
    char byte;
    switch (place) {
    case IN_FUTURE:
        return coil_await(never, NULL);
    case IN_TASK:
        task = coil_create_task(awaits_never());
        rc = coil_await(task, NULL);
        coil_unref(task);
        return rc;
    case IN_GATHER:
        return coil_gather(NULL, awaits_never(), never, coil_sleep_coro(9, counted()));
    case IN_WAIT:
        return coil_wait(&never, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    case IN_TIMED_WAIT:
        return coil_wait(&never, 1, 9, COIL_FIRST_COMPLETED);
    case IN_SLEEP:
        return coil_sleep(9);
    case IN_YIELD:
        for (;;)
            COIL_TRY(coil_sleep(0));
    case IN_SOCKET:
        EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
        rc = (int)coil_sock_recv(ends[0], &byte, 1);
        coil_sock_close(ends[0]);
        coil_sock_close(ends[1]);
        return rc;
    }
    return 0;
}

COIL_ASYNC(is_closed_at, (int, place))
{
    void *memory = malloc(100);
    int rc = wait_at(place);
    note("%s", coil_error_name(rc));
    /* Cleanup: every further wait fails at once, whatever it is. */
    for (int next = coil_future_done(never) ? IN_SLEEP : IN_FUTURE; next < UNSTARTED; next++)
        if (next != IN_YIELD && next != IN_TASK && next != IN_GATHER)
            EXPECT_INT(wait_at(next), COIL_ECLOSING);
    EXPECT_INT(coil_sleep(0), COIL_ECLOSING);
    coil_future *done = coil_create_future(NULL);
    EXPECT_PTR(done, NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    EXPECT_PTR(coil_create_task(awaits_never()), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    EXPECT_INT(coil_call_soon(NULL, note_callback, NULL, NULL), COIL_ECLOSED);
    EXPECT_INT(coil_call_later(NULL, 1, note_callback, NULL, NULL), COIL_ECLOSED);
    EXPECT(coil_current_task() != NULL);
    free(memory);
    return rc;
}

/* Closes a loop with one task at this place; gives the number of tasks that were lost. */
static int close_at(int place, bool hold)
{
    size_t blocks = steps_blocks();
    dropped = 0;
    coil_loop *loop = steps_loop(&dropped); /* the real clock, which does not jump */
    never = coil_create_future(loop);
    coil_task *task = coil_create_task_with(loop, is_closed_at(place), NULL);
    if (!hold)
        coil_unref(task);
    for (int turns = 0; turns < 3 && place != UNSTARTED; turns++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT(coil_loop_is_closed(loop));
    if (hold) {
        EXPECT(coil_future_done(task));
        EXPECT(coil_future_cancelled(task));
        EXPECT_INT((long long)coil_task_stack_used(task, NULL), 0);
        coil_unref(task);
    }
    coil_unref(never);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
    return reports[COIL_EVENT_TASK_LOST];
}

TEST(every_wait_returns_closing_and_cleanup_runs)
{
    /* At each kind of wait, and at each further one; the loop takes no new work; nothing leaks. */
    for (int place = 0; place < UNSTARTED; place++) {
        close_at(place, true);
        EXPECT_INT(reports_total(), reports[COIL_EVENT_TASK_LOST]);
        EXPECT(reports[COIL_EVENT_TASK_LOST] >= 1);
        EXPECT_NOTES("COIL_ECLOSING");
        close_at(place, false);
        EXPECT_NOTES("COIL_ECLOSING");
    }
    close_at(IN_GATHER, true);
    EXPECT_INT(dropped, 1);
    EXPECT_NOTES("COIL_ECLOSING");
}

TEST(task_that_never_began_is_lost_without_running)
{
    /* There is nothing to clean up. */
    EXPECT_INT(close_at(UNSTARTED, true), 1);
    EXPECT_INT(close_at(UNSTARTED, false), 1);
    EXPECT_NOTES("");
}

COIL_ASYNC(awaits_other, (coil_task **, other), (const char *, what))
{
    int rc = coil_await(*other, NULL);
    note("%s:%s", what, coil_error_name(rc));
    return rc;
}

TEST(tasks_that_await_one_another_are_closed_each_on_its_own)
{
    /* The end of the first wakes the second, which is being closed, too: woken or not, it is resumed
     * once, and nobody walks over its memory afterwards. */
    for (int order = 0; order < 2; order++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = steps_loop(&dropped);
        coil_task *tasks[3];
        never = coil_create_future(loop);
        tasks[order ? 2 : 0] = never;
        for (int i = 0; i < 2; i++)
            tasks[order ? 1 - i : i + 1] = coil_create_task_with(
                loop, awaits_other(&tasks[order ? 2 - i : i], i ? "b" : "a"), NULL);
        EXPECT(coil_loop_step(loop, 0) >= 0);
        EXPECT(coil_loop_step(loop, 0) >= 0);
        for (int i = 0; i < 3; i++)
            coil_ref(tasks[i]);
        for (int i = 0; i < 3; i++)
            coil_unref(tasks[i]);
        for (int i = 0; i < 3; i++)
            coil_unref(tasks[i]); /* the loop alone holds the two tasks, and they what they await */
        EXPECT_INT(coil_loop_close(loop), 0);
        EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 2);
        coil_unref(loop);
        EXPECT_INT(steps_blocks(), blocks);
        EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING");
    }
}

/* ---- what cleanup may do to others -------------------------------------------------------------- */

COIL_ASYNC(ends_another, (coil_task **, other), (coil_future *, future), (bool, first))
{
    int rc = coil_sleep(9);
    if (first)
        EXPECT(coil_task_cancel(*other, NULL));
    EXPECT_INT(coil_future_set_result(future, counted()), 0);
    return rc;
}

COIL_ASYNC(sleeps_beside, (coil_future *, future))
{
    int rc = coil_await(future, NULL);
    note("%s", coil_error_name(rc));
    rc = coil_sleep(9);
    note("%s", coil_error_name(rc));
    return rc;
}

TEST(cleanup_that_completes_and_cancels_wakes_nobody_twice)
{
    /* Closing a task may run any code; those it wakes are closed in their turn all the same. */
    for (int first = 0; first < 2; first++) {
        size_t blocks = steps_blocks();
        dropped = 0;
        coil_loop *loop = steps_loop(&dropped);
        coil_future *future = coil_create_future(loop), *own = coil_create_future(loop);
        coil_task *other = NULL;
        coil_task *one = coil_create_task_with(loop, ends_another(&other, own, first), NULL);
        other = coil_create_task_with(loop, sleeps_beside(first ? future : own), NULL);
        EXPECT(coil_loop_step(loop, 0) >= 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        EXPECT_INT(dropped, 0);
        EXPECT_NOTES("COIL_ECLOSING COIL_ECLOSING");
        coil_unref(one);
        coil_unref(other);
        coil_unref(future);
        coil_unref(own);
        coil_unref(loop);
        EXPECT_INT(dropped, 1);
        EXPECT_INT(steps_blocks(), blocks);
    }
}

COIL_ASYNC(fails_in_cleanup, (int, code))
{
    (void)coil_sleep(9);
    return coil_raise(code, "while closing");
}

TEST(error_of_a_cleanup_is_kept_and_reported)
{
    /* A close must not hide a failure. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(&dropped);
    coil_task *task = coil_create_task_with(loop, fails_in_cleanup(COIL_EAPP), NULL);
    coil_unref(coil_create_task_with(loop, fails_in_cleanup(-EIO), NULL));
    EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_future_result(task, NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "while closing");
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
    coil_unref(task);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- a task that ignores it --------------------------------------------------------------------- */

COIL_ASYNC(ignores_its_end, (int *, awaits))
{
    while (*awaits >= 0) {
        (void)coil_sleep(0);
        ++*awaits;
    }
    return 0;
}

TEST(task_that_ignores_its_end_is_given_up)
{
    /* A loop that closes must come to an end. What such a task owns is lost, its stack as well; the
     * others are closed as usual. */
    int awaits = 0;
    coil_loop *loop = steps_loop(&dropped);
    never = coil_create_future(loop);
    coil_task *task = coil_create_task_with(loop, ignores_its_end(&awaits), NULL);
    coil_task *other = coil_create_task_with(loop, is_closed_at(IN_SLEEP), NULL);
    EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(reports[COIL_EVENT_CLOSE_IGNORED], 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 2);
    EXPECT(awaits >= 2);
    EXPECT(coil_future_done(task));
    EXPECT(coil_future_cancelled(other));
    EXPECT_NOTES("COIL_ECLOSING");
    EXPECT_INT((long long)coil_all_tasks(loop, NULL, 0), 0);
    coil_unref(task);
    coil_unref(other);
    coil_unref(never);
    coil_unref(loop);
}

/* ---- callbacks, timers, gatherings -------------------------------------------------------------- */

TEST(queued_gathering_and_wait_do_not_hold_on_to_anything)
{
    /* Their entries lay in the queue when the loop closed: they are taken down like all else. */
    for (int what = 0; what < 2; what++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = steps_loop(&dropped);
        never = coil_create_future(loop);
        coil_task *task = coil_create_task_with(
            loop, is_closed_at(what ? IN_GATHER : IN_TIMED_WAIT), NULL);
        EXPECT(coil_loop_step(loop, 0) >= 0);
        EXPECT(coil_loop_step(loop, 0) >= 0);
        EXPECT_INT(coil_future_set_exception(never, COIL_EAPP), 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        EXPECT_NOTES("COIL_ECLOSING");
        coil_unref(task);
        coil_future_cancel(never, NULL); /* counts as looked at */
        coil_unref(never);
        coil_unref(loop);
        EXPECT_INT(steps_blocks(), blocks);
    }
}

static void note_release(void *arg)
{
    note("released %s", (const char *)arg);
}

TEST(callbacks_are_dropped_and_released)
{
    /* A closed loop calls nobody back, and gives back what the callbacks were to get. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(&dropped);
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.release = note_release;
    EXPECT_INT(coil_call_soon_with(loop, note_callback, (char[]){ "soon" }, &options, NULL), 0);
    EXPECT_INT(coil_call_later_with(loop, 1, note_callback, (char[]){ "later" }, &options, NULL),
               0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_NOTES("released soon released later");
    EXPECT_INT(coil_run_forever(loop), COIL_ECLOSED);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC0(closes_its_loop)
{
    EXPECT_INT(coil_loop_close(coil_get_running_loop()), COIL_ERUNTIME);
    return 0;
}

TEST(running_loop_cannot_be_closed)
{
    /* It would take away the stack it stands on. */
    EXPECT_RUN(closes_its_loop(), 0);
}

TESTS_MAIN(RUN(every_wait_returns_closing_and_cleanup_runs),
           RUN(task_that_never_began_is_lost_without_running),
           RUN(tasks_that_await_one_another_are_closed_each_on_its_own),
           RUN(cleanup_that_completes_and_cancels_wakes_nobody_twice),
           RUN(error_of_a_cleanup_is_kept_and_reported), RUN(task_that_ignores_its_end_is_given_up),
           RUN(queued_gathering_and_wait_do_not_hold_on_to_anything),
           RUN(callbacks_are_dropped_and_released), RUN(running_loop_cannot_be_closed))
