/* Timeouts: whose cancellation it was, and what is left of the timer, which nothing must be. */
#include "lib/steps.h"

#include "loop/loop.h"

static uint32_t armed_timers(void)
{
    return coil_get_running_loop()->timers.count;
}

static int cancel_it(void *task)
{
    coil_task_cancel(task, "from outside");
    return 0;
}

/* What a limit leaves behind is found by ASan, or by the loop, which reads it. */
static void forget(coil_timeout *limit)
{
    memset(limit, 0xee, sizeof *limit);
}

/* ---- in time ------------------------------------------------------------------------------------ */

COIL_ASYNC0(enters_and_leaves)
{
    coil_timeout limit;
    EXPECT_INT(coil_timeout_enter(&limit, 5), 0); /* the heap grows once */
    EXPECT_INT(coil_timeout_exit(&limit, 0), 0);
    coil_testing_fail_alloc(1);
    for (int i = 0; i < 1000; i++) {
        EXPECT_INT(coil_timeout_enter(&limit, 5), 0);
        EXPECT_INT(armed_timers(), 1);
        EXPECT_DOUBLE(coil_timeout_when(&limit), 5);
        EXPECT_INT(coil_timeout_exit(&limit, i), i);
        EXPECT_INT(armed_timers(), 0);
        EXPECT(!coil_timeout_expired(&limit) && !coil_timeout_caught(&limit));
    }
    EXPECT(!coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_timeout_enter(&limit, COIL_NO_TIMEOUT), 0);
    EXPECT_INT(armed_timers(), 0);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_EAPP), COIL_EAPP);
    return 0;
}

TEST(limit_in_time_allocates_nothing_and_leaves_no_timer)
{
    /* Nearly all limits end like this. */
    EXPECT_RUN(enters_and_leaves(), 0);
}

/* ---- misuse ------------------------------------------------------------------------------------- */

static int enters_in_a_callback(void *arg)
{
    coil_timeout limit;
    (void)arg;
    EXPECT_INT(coil_timeout_enter(&limit, 1), COIL_ENOTASK);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);
    return 0;
}

COIL_ASYNC0(enters_when_driven)
{
    coil_timeout limit;
    return coil_timeout_enter(&limit, 1);
}

COIL_ASYNC0(misuses_limits)
{
    coil_timeout limit = COIL_TIMEOUT_INIT;
    EXPECT_INT(coil_timeout_reschedule(&limit, 1), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_EAPP), COIL_EAPP);
    EXPECT_INT(coil_timeout_enter(&limit, NAN), COIL_EINVAL);
    EXPECT_INT(coil_timeout_at_enter(&limit, NAN), COIL_EINVAL);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    EXPECT_INT(coil_timeout_reschedule(&limit, NAN), COIL_EINVAL);
    EXPECT_DOUBLE(coil_timeout_when(&limit), 1);
    EXPECT_INT(coil_timeout_exit(&limit, 0), 0);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_reschedule(&limit, 3), COIL_ERUNTIME);

    /* After it expired, too. */
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    int rc = coil_sleep(2);
    EXPECT_INT(coil_timeout_reschedule(&limit, 3), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_exit(&limit, rc), COIL_ETIMEDOUT);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_timeout_reschedule(&limit, 3), COIL_ERUNTIME);

    COIL_TRY(coil_call_soon(NULL, enters_in_a_callback, NULL, NULL));
    COIL_TRY(coil_sleep(0));
    coil_coro *coro = enters_when_driven();
    EXPECT_INT(coil_coro_send(coro, NULL), COIL_ENOTASK);
    coil_unref(coro);
    return 0;
}

TEST(misuse_is_told)
{
    EXPECT_RUN(misuses_limits(), 0);
}

/* ---- expiring ----------------------------------------------------------------------------------- */

COIL_ASYNC0(expires)
{
    coil_timeout limit;
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    int rc = coil_timeout_exit(&limit, coil_sleep(2));
    EXPECT_INT(rc, COIL_ETIMEDOUT);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    EXPECT(coil_timeout_expired(&limit) && coil_timeout_caught(&limit));
    EXPECT_DOUBLE(coil_timeout_when(&limit), 1);
    coil_error *error = coil_error_current(COIL_ETIMEDOUT);
    if (EXPECT(error && coil_error_cause(error)))
        EXPECT_INT(coil_error_code(coil_error_cause(error)), COIL_ECANCELED);
    EXPECT(coil_error_current(COIL_ECANCELED) == NULL);
    COIL_TRY(coil_sleep(1));

    /* A place that the cancellation has passed is not lost. */
    rc = COIL_TIMEOUT(1, coil_raise(coil_sleep(2), "on my way"));
    EXPECT_INT(rc, COIL_ETIMEDOUT);
    error = coil_error_current(rc);
    if (EXPECT(error && coil_error_cause(error)))
        EXPECT_STR(coil_error_message(coil_error_cause(error)), "on my way");
    return 0;
}

TEST(expiry_explains_itself)
{
    EXPECT_RUN(expires(), 0);
}

static int fails_because_of_it(int group)
{
    int rc = coil_sleep(2);
    rc = coil_raise_from(rc, COIL_EAPP, "no answer");
    if (!group)
        return rc;
    coil_error *error = coil_ref(coil_error_current(rc));
    rc = coil_raise_group(&error, 1, "several");
    coil_unref(error);
    return rc;
}

static void expect_explained(const coil_error *error)
{
    const int codes[] = { COIL_EAPP, COIL_ETIMEDOUT, COIL_ECANCELED };
    for (int i = 0; i < 3; i++) {
        if (!EXPECT(error != NULL))
            return;
        EXPECT_INT(coil_error_code(error), codes[i]);
        error = coil_error_cause(error);
    }
    EXPECT(error == NULL);
}

COIL_ASYNC0(fails_otherwise)
{
    int rc = COIL_TIMEOUT(1, coil_raise_from(coil_sleep(2), COIL_EAPP, "no answer"));
    EXPECT_INT(rc, COIL_EAPP);
    rc = COIL_TIMEOUT(1, fails_because_of_it(false));
    EXPECT_INT(rc, COIL_EAPP);
    rc = COIL_TIMEOUT(1, coil_raise(coil_sleep(2), "why"));
    EXPECT_INT(rc, COIL_ETIMEDOUT);
    return 0;
}

static int keeps_the_cancellation(int group)
{
    int rc = coil_sleep(2);
    if (rc == COIL_ECANCELED)
        rc = coil_raise(rc, "with a record");
    rc = coil_raise_from(rc, COIL_EAPP, "no answer");
    if (!group)
        return rc;
    coil_error *error = coil_ref(coil_error_current(rc));
    rc = coil_raise_group(&error, 1, "several");
    coil_unref(error);
    return rc;
}

COIL_ASYNC0(explains_other_errors)
{
    int rc = COIL_TIMEOUT(1, keeps_the_cancellation(false));
    EXPECT_INT(rc, COIL_EAPP);
    expect_explained(coil_error_current(rc));
    rc = COIL_TIMEOUT(1, keeps_the_cancellation(true));
    EXPECT_INT(rc, COIL_EGROUP);
    expect_explained(coil_error_at(coil_error_current(rc), 0));
    return 0;
}

TEST(other_error_of_an_expired_body_comes_out_and_names_the_timeout)
{
    /* As Timeout._insert_timeout_error: the cause of the cancellation stands in the chain. */
    EXPECT_RUN(fails_otherwise(), 0);
    EXPECT_RUN(explains_other_errors(), 0);
}

/* Equal deadlines: both limits cancel, the task is woken once. */
static int both_expire(coil_timeout *outer)
{
    coil_timeout inner;
    COIL_TRY(coil_timeout_enter(&inner, 1));
    int rc = coil_sleep(2);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 2);
    rc = coil_timeout_exit(&inner, rc);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT(coil_timeout_expired(&inner) && !coil_timeout_caught(&inner));
    EXPECT(coil_timeout_expired(outer));
    return rc;
}

COIL_ASYNC0(nests_with_equal_deadlines)
{
    coil_timeout outer;
    COIL_TRY(coil_timeout_enter(&outer, 1));
    EXPECT_INT(coil_timeout_exit(&outer, both_expire(&outer)), COIL_ETIMEDOUT);
    EXPECT(coil_timeout_caught(&outer));
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    return coil_sleep(1); /* nothing is left to be delivered */
}

TEST(outer_limit_catches_when_both_expire_at_once)
{
    EXPECT_RUN(nests_with_equal_deadlines(), 0);
}

COIL_ASYNC(is_cancelled_too, (double, when))
{
    COIL_TRY(coil_call_later(NULL, when, cancel_it, coil_current_task(), NULL));
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    int rc = coil_timeout_exit(&limit, coil_sleep(2));
    note("%s %d", coil_error_name(rc), coil_timeout_caught(&limit));
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 1);
    return rc;
}

TEST(cancellation_from_outside_wins_at_the_same_moment)
{
    /* In the very turn in which time is up. */
    EXPECT_RUN(is_cancelled_too(1), COIL_ECANCELED);
    EXPECT_NOTES("COIL_ECANCELED 0");
    EXPECT_RUN(is_cancelled_too(0.5), COIL_ECANCELED);
    EXPECT_NOTES("COIL_ECANCELED 0");
}

COIL_ASYNC0(is_cancelled_beforehand)
{
    coil_timeout limit;
    coil_task_cancel(coil_current_task(), NULL);
    COIL_TRY(coil_timeout_enter(&limit, 0));
    int rc = coil_timeout_exit(&limit, coil_sleep(1)); /* one cancellation for both requests */
    EXPECT_INT(rc, COIL_ETIMEDOUT);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 1);
    return 0;
}

TEST(requests_that_were_open_before_do_not_count)
{
    EXPECT_RUN(is_cancelled_beforehand(), 0);
}

/* ---- leaving while the timer is due and queued -------------------------------------------------- */

COIL_ASYNC0(leaves_when_due)
{
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    COIL_TRY(coil_testing_advance(NULL, 2));
    int rc = coil_sleep(0); /* queued before the timer is: runs first */
    EXPECT_INT(rc, 0);
    EXPECT_INT(armed_timers(), 0);
    rc = coil_timeout_exit(&limit, rc);
    EXPECT_INT(rc, 0);
    EXPECT(!coil_timeout_expired(&limit));
    forget(&limit);
    return coil_sleep(1);
}

TEST(left_limit_does_not_stay_in_the_queue)
{
    /* The task runs in the turn in which the timer is due, but ahead of it. */
    EXPECT_RUN(leaves_when_due(), 0);
}

enum {
    CROWD = 40
};

/* Two limits each, due in an order of their own; of three tasks one stays until it is cut short. */
COIL_ASYNC(leaves_in_a_crowd, (int, number))
{
    coil_timeout outer, inner;
    COIL_TRY(coil_timeout_enter(&outer, 1 + (number * 7 % CROWD) / 64.0));
    COIL_TRY(coil_timeout_enter(&inner, 1 + (number * 11 % CROWD) / 64.0));
    COIL_TRY(coil_sleep(0));
    if (number == CROWD - 1)
        COIL_TRY(coil_testing_advance(NULL, 3));
    int rc = coil_sleep(0);
    EXPECT_INT(rc, 0);
    switch (number % 3) {
    case 0: /* in the order of nesting */
        rc = coil_timeout_exit(&inner, 0);
        EXPECT_INT(coil_timeout_exit(&outer, rc), 0);
        break;
    case 1: /* the other way round, a watchdog kicked in between */
        EXPECT_INT(coil_timeout_exit(&outer, 0), 0);
        EXPECT_INT(coil_timeout_reschedule(&inner, 9), 0);
        EXPECT_INT(coil_timeout_reschedule(&inner, 2), 0);
        EXPECT_INT(coil_timeout_exit(&inner, 0), 0);
        break;
    default:
        rc = coil_timeout_exit(&outer, coil_timeout_exit(&inner, coil_sleep(5)));
        EXPECT_INT(rc, COIL_ETIMEDOUT);
    }
    forget(&outer);
    forget(&inner);
    note("%d", number % 3);
    return coil_sleep(1);
}

COIL_ASYNC0(runs_a_crowd)
{
    coil_task *tasks[CROWD];
    for (int i = 0; i < CROWD; i++)
        tasks[i] = coil_create_task(leaves_in_a_crowd(i));
    EXPECT_INT(coil_wait(tasks, CROWD, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), CROWD);
    for (int i = 0; i < CROWD; i++) {
        EXPECT_INT(coil_future_result(tasks[i], NULL), 0);
        coil_unref(tasks[i]);
    }
    EXPECT(coil__timer_heap_check(&coil_get_running_loop()->timers));
    return 0;
}

TEST(many_limits_leave_one_queue_in_any_order)
{
    EXPECT_RUN(runs_a_crowd(), 0);
    EXPECT_NOTES("0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 "
                 "2 2 2 2 2 2 2 2 2 2 2 2 2");
}

COIL_ASYNC0(leaves_the_next_turn)
{
    /* A limit of nothing is queued at once. Its place: the only one, the last, the first, in the middle. */
    for (int middle = 0; middle < 4; middle++) {
        coil_timeout limits[3];
        if (middle == 3) {
            COIL_TRY(coil_timeout_enter(&limits[0], 0));
            EXPECT_INT(coil_timeout_exit(&limits[0], 0), 0);
        } else {
            COIL_TRY(coil_call_soon(NULL, note_callback, (void *)(uintptr_t) "a", NULL));
            for (int i = 0; i < 3; i++)
                COIL_TRY(coil_timeout_enter(&limits[i], -i));
            for (int i = 0; i < 3; i++)
                EXPECT_INT(coil_timeout_exit(&limits[(i + middle) % 3], 0), 0);
            COIL_TRY(coil_call_soon(NULL, note_callback, (void *)(uintptr_t) "b", NULL));
        }
        memset(limits, 0xee, sizeof limits);
        EXPECT_INT(coil_sleep(0), 0);
        EXPECT_INT(coil_sleep(1), 0);
    }
    return 0;
}

TEST(limit_of_nothing_leaves_the_queue_whole)
{
    EXPECT_RUN(leaves_the_next_turn(), 0);
    EXPECT_NOTES("a b a b a b");
}

/* ---- when the loop is left, or closed ----------------------------------------------------------- */

static coil_timeout dogs[2];

/* Queued first in a turn, while the rest of the turn before is put back ahead of it. */
COIL_ASYNC0(is_watched)
{
    COIL_TRY(coil_timeout_enter(&dogs[0], 0));
    COIL_TRY(coil_timeout_enter(&dogs[1], 0));
    int rc = coil_sleep(0);
    note("watched %s", coil_error_name(rc));
    EXPECT_INT(coil_timeout_exit(&dogs[1], 0), 0);
    EXPECT_INT(coil_timeout_exit(&dogs[0], 0), 0);
    return rc;
}

COIL_ASYNC0(leaves_the_loop)
{
    return coil_exit(3);
}

COIL_ASYNC0(kicks_the_dogs)
{
    EXPECT_INT(coil_timeout_reschedule(&dogs[0], COIL_NO_TIMEOUT), 0);
    EXPECT_INT(coil_timeout_reschedule(&dogs[1], 100), 0);
    note("kicked");
    return 0;
}

TEST(limit_is_found_after_the_loop_was_left_in_mid_turn)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *tasks[3] = { coil_create_task_with(loop, is_watched(), NULL),
                            coil_create_task_with(loop, leaves_the_loop(), NULL),
                            coil_create_task_with(loop, kicks_the_dogs(), NULL) };
    EXPECT_INT(coil_run_until_complete(loop, tasks[0], NULL), COIL_EEXIT);
    EXPECT_NOTES("");
    EXPECT_INT(coil_run_until_complete(loop, tasks[0], NULL), 0);
    EXPECT_NOTES("kicked watched ok");
    EXPECT_INT(coil_future_result(tasks[1], NULL), COIL_EEXIT);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

/* One limit in the heap, one in the queue; and then another try, which is refused. */
COIL_ASYNC(is_inside_when_closed, (double, second))
{
    coil_timeout outer, inner;
    COIL_TRY(coil_timeout_enter(&outer, 5));
    COIL_TRY(coil_timeout_enter(&inner, second));
    int rc = second < 5 ? coil_testing_advance(NULL, second) : 0;
    coil_loop_stop(NULL);
    rc = coil_sleep(9);
    EXPECT_INT(rc, COIL_ECLOSING);
    EXPECT_INT(coil_timeout_reschedule(&outer, 7), COIL_ECLOSED);
    rc = coil_timeout_exit(&outer, coil_timeout_exit(&inner, rc));
    EXPECT_INT(rc, COIL_ECLOSING);
    forget(&outer);
    EXPECT_INT(coil_timeout_enter(&outer, 1), COIL_ECLOSING);
    EXPECT_INT(COIL_TIMEOUT(1, coil_sleep(1)), COIL_ECLOSING);
    note("closed");
    return rc;
}

static void close_inside(double second)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *task = coil_create_task_with(loop, is_inside_when_closed(second), NULL);
    EXPECT_INT(coil_run_forever(loop), 0);
    coil_unref(task);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 1);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
    EXPECT_NOTES("closed");
}

TEST(closing_the_loop_takes_the_timers_down)
{
    close_inside(6);
    close_inside(0);
    close_inside(1);
}

/* ---- out of memory ------------------------------------------------------------------------------ */

COIL_ASYNC0(has_no_memory)
{
    coil_timeout limit;
    coil_testing_fail_alloc(1);
    int rc = coil_timeout_enter(&limit, 1);
    EXPECT(coil_testing_alloc_failed());
    EXPECT_INT(rc, COIL_ENOMEM);
    EXPECT_INT(coil_timeout_exit(&limit, 0), COIL_ERUNTIME);

    EXPECT_INT(coil_timeout_enter(&limit, COIL_NO_TIMEOUT), 0);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_timeout_reschedule(&limit, 1), COIL_ENOMEM);
    EXPECT_DOUBLE(coil_timeout_when(&limit), COIL_NO_TIMEOUT);
    EXPECT_INT(coil_timeout_exit(&limit, 0), 0);

    /* Due already, and to be later: it stays due. */
    EXPECT_INT(coil_timeout_enter(&limit, 0), 0);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_timeout_reschedule(&limit, 1), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_timeout_exit(&limit, coil_sleep(0)), COIL_ETIMEDOUT);

    /* Expiring needs none: only the explanation does. */
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    rc = coil_sleep(2);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_timeout_exit(&limit, rc), COIL_ETIMEDOUT);
    EXPECT(coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    return 0;
}

TEST(without_memory_nothing_is_entered_or_moved)
{
    EXPECT_RUN(has_no_memory(), 0);
}

/* ---- move_on_after ------------------------------------------------------------------------------ */

static int move_on(double limit_seconds, double body_seconds, int instead, bool *cut_out)
{
    coil_timeout limit;
    COIL_TRY(coil_move_on_after_enter(&limit, limit_seconds));
    int rc = coil_sleep(body_seconds);
    if (instead)
        rc = instead > 0 ? instead : coil_raise(instead, "instead");
    rc = coil_move_on_after_exit(&limit, rc, cut_out);
    EXPECT(!cut_out || *cut_out == coil_timeout_caught(&limit));
    return rc;
}

COIL_ASYNC0(moves_on)
{
    bool cut = true;
    EXPECT_INT(move_on(2, 1, 0, &cut), 0);
    EXPECT(!cut);
    EXPECT_INT(move_on(1, 2, 0, &cut), 0);
    EXPECT(cut);
    EXPECT(coil_error_current(COIL_ECANCELED) == NULL &&
           coil_error_current(COIL_ETIMEDOUT) == NULL);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    EXPECT_INT(move_on(1, 2, 0, NULL), 0);
    EXPECT_INT(move_on(1, 2, COIL_EAPP, &cut), COIL_EAPP);
    EXPECT(!cut);
    EXPECT_INT(move_on(1, 2, 7, &cut), 7);
    EXPECT(!cut);
    EXPECT_INT(move_on(1, 0, COIL_ETIMEDOUT, &cut), COIL_ETIMEDOUT); /* not ours */
    EXPECT(!cut);
    EXPECT_INT(move_on(NAN, 0, 0, &cut), COIL_EINVAL);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    return coil_sleep(1);
}

COIL_ASYNC0(is_cancelled_while_it_may_move_on)
{
    bool cut = true;
    COIL_TRY(coil_call_later(NULL, 0.5, cancel_it, coil_current_task(), NULL));
    int rc = move_on(1, 2, 0, &cut);
    EXPECT(!cut);
    return rc;
}

TEST(move_on_after_makes_no_error_of_its_own_limit)
{
    EXPECT_RUN(moves_on(), 0);
    EXPECT_RUN(is_cancelled_while_it_may_move_on(), COIL_ECANCELED);
}

COIL_ASYNC0(limits_in_limits)
{
    /* Three on one line: each needs names of its own under -Wshadow. */
    int rc = COIL_TIMEOUT(9, COIL_TIMEOUT(2, COIL_TIMEOUT(5, coil_sleep(8))));
    EXPECT_INT(rc, COIL_ETIMEDOUT);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    return 0;
}

TEST(calls_with_limits_nest)
{
    EXPECT_RUN(limits_in_limits(), 0);
}

TESTS_MAIN(RUN(calls_with_limits_nest), RUN(limit_in_time_allocates_nothing_and_leaves_no_timer),
           RUN(misuse_is_told), RUN(expiry_explains_itself),
           RUN(other_error_of_an_expired_body_comes_out_and_names_the_timeout),
           RUN(outer_limit_catches_when_both_expire_at_once),
           RUN(cancellation_from_outside_wins_at_the_same_moment),
           RUN(requests_that_were_open_before_do_not_count),
           RUN(left_limit_does_not_stay_in_the_queue),
           RUN(many_limits_leave_one_queue_in_any_order),
           RUN(limit_of_nothing_leaves_the_queue_whole),
           RUN(limit_is_found_after_the_loop_was_left_in_mid_turn),
           RUN(closing_the_loop_takes_the_timers_down),
           RUN(without_memory_nothing_is_entered_or_moved),
           RUN(move_on_after_makes_no_error_of_its_own_limit))
