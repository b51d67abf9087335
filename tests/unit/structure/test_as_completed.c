/* as_completed: each one once, in the order in which they end, however the turns are taken. */
#include "lib/steps.h"

COIL_ASYNC(gives_after, (double, delay), (int, number))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(number);
}

COIL_ASYNC0(never_begins)
{
    note("began");
    return 0;
}

static int number_of(coil_future *future)
{
    coil_value value = coil_int(-1);
    EXPECT_INT(coil_future_result(future, &value), 0);
    return (int)value.integer;
}

/* Notes the rest of the turns; gives the code that ended them. */
static int note_turns(coil_as_completed *turns)
{
    coil_future *future;
    int rc;
    while ((rc = coil_as_completed_next(turns, &future)) == 0)
        note("%d", number_of(future));
    return rc;
}

/* ---- what may be given -------------------------------------------------------------------------- */

COIL_ASYNC0(takes_all_kinds)
{
    coil_task *done = coil_create_task(gives_after(0, 1)),
              *task = coil_create_task(gives_after(3, 2));
    COIL_TRY(coil_await(done, NULL));
    coil_coro *coro = gives_after(2, 3);
    void *all[] = { task, coro, done, task, gives_after(1, 4), coro };
    coil_as_completed turns;
    EXPECT_INT(coil_as_completed_init(&turns, all, 6, COIL_NO_TIMEOUT), 0);
    coil_future *future;
    EXPECT_INT(coil_as_completed_next(&turns, &future), 0);
    EXPECT_PTR(future, done);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    coil_unref(done);
    coil_unref(task);
    EXPECT_NOTES("4 3 2");

    coil_coro *coros[] = { gives_after(2, 1), gives_after(1, 2) };
    EXPECT_INT(coil_as_completed_init(&turns, coros, 2, 9), 0);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    EXPECT_NOTES("2 1");
    EXPECT_INT(coil_as_completed_init(&turns, coros, 0, 9), 0);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    return 0;
}

TEST(all_kinds_are_taken_and_each_is_given_once)
{
    EXPECT_RUN(takes_all_kinds(), 0);
}

COIL_ASYNC0(gives_wrong_things)
{
    coil_as_completed turns;
    coil_coro *one = never_begins();
    void *all[] = { one, never_begins(), one, NULL };
    EXPECT_INT(coil_as_completed_init(&turns, all, 3, NAN), COIL_EINVAL);
    coil_as_completed_fini(&turns);

    coil_testing_fail_alloc(1);
    all[3] = never_begins();
    coil_testing_fail_alloc(0);
    all[0] = all[2] = never_begins();
    all[1] = never_begins();
    EXPECT_INT(coil_as_completed_init(&turns, all, 4, 1), COIL_ENOMEM);

    /* In the midst of it: what was begun is cancelled, the rest does not begin. */
    coil_coro *used = coil_ref(gives_after(0, 0));
    COIL_TRY(coil_await(used, NULL));
    all[0] = never_begins();
    all[1] = used;
    all[2] = never_begins();
    EXPECT_INT(coil_as_completed_init(&turns, all, 3, 1), COIL_EREUSED);
    COIL_TRY(coil_sleep(0));

    coil_loop *other = coil_testing_virtual_loop(NULL);
    all[0] = never_begins();
    all[1] = coil_create_future(other);
    EXPECT_INT(coil_as_completed_init(&turns, all, 2, 1), COIL_EINVAL);
    coil_unref(all[1]);
    coil_loop_close(other);
    coil_unref(other);
    return 0;
}

TEST(refused_coroutines_are_consumed)
{
    EXPECT_RUN(gives_wrong_things(), 0);
    EXPECT_NOTES("");
    coil_as_completed turns;
    coil_coro *coros[] = { never_begins() };
    EXPECT_INT(coil_as_completed_init(&turns, coros, 1, 1), COIL_ENOLOOP);
}

COIL_ASYNC0(has_no_memory)
{
    bool failed = true;
    for (int nth = 1; failed && nth < 20; nth++) {
        coil_coro *coros[] = { gives_after(1, 1), gives_after(2, 2) };
        coil_as_completed turns;
        coil_testing_fail_alloc(nth);
        int rc = coil_as_completed_init(&turns, coros, 2, 5);
        if (rc == 0)
            rc = note_turns(&turns);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == COIL_EEND || (failed && rc == COIL_ENOMEM) || failed);
        coil_as_completed_fini(&turns);
        COIL_TRY(coil_sleep(3));
        notes_[0] = '\0';
    }
    return 0;
}

static int next_in_a_callback(void *turns)
{
    coil_future *future;
    EXPECT_INT(coil_as_completed_next(turns, &future), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC0(takes_turns_in_a_callback)
{
    coil_as_completed turns;
    coil_coro *coros[] = { gives_after(0, 1) };
    COIL_TRY(coil_as_completed_init(&turns, coros, 1, COIL_NO_TIMEOUT));
    COIL_TRY(coil_call_soon(NULL, next_in_a_callback, &turns, NULL));
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    EXPECT_NOTES("1");
    return 0;
}

TEST(next_needs_a_task)
{
    EXPECT_RUN(takes_turns_in_a_callback(), 0);
}

/* ---- timeout ------------------------------------------------------------------------------------ */

COIL_ASYNC(runs_out_of_time, (double, timeout))
{
    coil_task *tasks[3] = { coil_create_task(gives_after(1, 1)),
                            coil_create_task(gives_after(2, 2)),
                            coil_create_task(gives_after(3, 3)) };
    coil_as_completed turns;
    int rc;
    COIL_TRY(coil_as_completed_init(&turns, tasks, 3, timeout));
    while ((rc = note_turns(&turns)) == COIL_ETIMEDOUT)
        note("late");
    EXPECT_INT(rc, COIL_EEND);
    note("%g", coil_loop_time(NULL));
    coil_as_completed_fini(&turns);
    EXPECT_INT(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), 3);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(number_of(tasks[i]), i + 1);
        coil_unref(tasks[i]);
    }
    return 0;
}

TEST(timeout_is_told_once_for_each_that_is_missing)
{
    EXPECT_RUN(runs_out_of_time(1.5), 0);
    EXPECT_NOTES("1 late late 1.5");
    EXPECT_RUN(runs_out_of_time(0), 0);
    EXPECT_NOTES("late late late 0");
    EXPECT_RUN(runs_out_of_time(-1), 0);
    EXPECT_NOTES("late late late 0");
    EXPECT_RUN(runs_out_of_time(4), 0);
    EXPECT_NOTES("1 2 3 3");
}

/* The last one ends, and the iteration, while the timer is due and queued. */
COIL_ASYNC0(ends_when_due)
{
    coil_future *future = coil_create_future(NULL);
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, &future, 1, 1));
    EXPECT_INT(coil_future_set_result(future, coil_int(1)), 0);
    COIL_TRY(coil_testing_advance(NULL, 2));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    coil_unref(future);
    EXPECT_NOTES("1");
    return coil_sleep(0);
}

/* The timer first: what ends behind it in the same turn is late. */
COIL_ASYNC0(is_late_by_one_entry)
{
    coil_future *future = coil_create_future(NULL);
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, &future, 1, 0));
    COIL_TRY(coil_call_later(NULL, 0, note_callback, (void *)(uintptr_t) "due", NULL));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_future_set_result(future, coil_int(1)), 0);
    EXPECT_INT(note_turns(&turns), COIL_ETIMEDOUT);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    coil_as_completed_fini(&turns);
    coil_unref(future);
    EXPECT_NOTES("due");
    return 0;
}

TEST(timer_that_is_queued_already_does_no_harm)
{
    EXPECT_RUN(ends_when_due(), 0);
    EXPECT_RUN(is_late_by_one_entry(), 0);
}

/* ---- several takers, cancellation --------------------------------------------------------------- */

COIL_ASYNC(takes_one, (coil_as_completed *, turns), (const char *, name))
{
    coil_future *future;
    int rc = coil_as_completed_next(turns, &future);
    if (rc == 0)
        note("%s=%d", name, number_of(future));
    else
        note("%s=%s", name, coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(shares_turns)
{
    coil_task *tasks[2] = { coil_create_task(gives_after(2, 1)),
                            coil_create_task(gives_after(1, 2)) };
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, tasks, 2, COIL_NO_TIMEOUT));
    coil_task *a = coil_create_task(takes_one(&turns, "a")),
              *b = coil_create_task(takes_one(&turns, "b"));
    coil_task *c = coil_create_task(takes_one(&turns, "c"));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(a, NULL); /* gives its turn back */
    COIL_TRY(coil_sleep(0));
    coil_task *d = coil_create_task(takes_one(&turns, "d"));
    COIL_TRY(coil_sleep(3));
    EXPECT_NOTES("c=COIL_EEND a=COIL_ECANCELED b=2 d=1");
    EXPECT_INT(coil_future_exception(c, &(int){ 0 }, NULL), 0);
    coil_as_completed_fini(&turns);
    coil_task *all[] = { a, b, c, d, tasks[0], tasks[1] };
    for (int i = 0; i < 6; i++)
        coil_unref(all[i]);
    return 0;
}

TEST(several_tasks_take_turns_in_their_order)
{
    EXPECT_RUN(shares_turns(), 0);
}

COIL_ASYNC(cancels_the_woken, (int, turns_before))
{
    coil_future *futures[2] = { coil_create_future(NULL), coil_create_future(NULL) };
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, futures, 2, COIL_NO_TIMEOUT));
    coil_task *a = coil_create_task(takes_one(&turns, "a")),
              *b = coil_create_task(takes_one(&turns, "b"));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_future_set_result(futures[0], coil_int(1)), 0);
    for (int i = 0; i < turns_before; i++)
        COIL_TRY(coil_sleep(0));
    coil_task_cancel(a, NULL);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(coil_future_set_result(futures[1], coil_int(2)), 0);
    EXPECT_INT(note_turns(&turns), COIL_EEND);
    COIL_TRY(coil_sleep(1));
    coil_as_completed_fini(&turns);
    void *all[] = { a, b, futures[0], futures[1] };
    for (int i = 0; i < 4; i++)
        coil_unref(all[i]);
    return 0;
}

TEST(cancelled_taker_passes_its_wakeup_on)
{
    /* Before it is woken; when it is woken, and the next one must be told. */
    EXPECT_RUN(cancels_the_woken(0), 0);
    EXPECT_NOTES("a=COIL_ECANCELED b=1 2");
    EXPECT_RUN(cancels_the_woken(1), 0);
    EXPECT_NOTES("a=COIL_ECANCELED b=1 2");
    EXPECT_RUN(cancels_the_woken(2), 0);
    EXPECT_NOTES("a=1 b=2");
}

COIL_ASYNC0(loses_nothing)
{
    coil_coro *coros[] = { gives_after(2, 1), gives_after(4, 2) };
    coil_as_completed turns;
    coil_future *future;
    COIL_TRY(coil_as_completed_init(&turns, coros, 2, COIL_NO_TIMEOUT));
    int rc, waits = 0;
    while ((rc = COIL_TIMEOUT(0.75, coil_as_completed_next(&turns, &future))) != COIL_EEND) {
        waits++;
        if (rc == 0)
            note("%d", number_of(future));
        else
            EXPECT_INT(rc, COIL_ETIMEDOUT);
    }
    coil_as_completed_fini(&turns);
    EXPECT_NOTES("1 2");
    EXPECT_INT(waits, 6);
    return 0;
}

TEST(turn_that_was_cancelled_is_not_lost)
{
    /* asyncio counts it as taken, and the last one is never given. */
    EXPECT_RUN(loses_nothing(), 0);
}

/* ---- ending ------------------------------------------------------------------------------------- */

COIL_ASYNC0(ends_early)
{
    coil_task *tasks[2] = { coil_create_task(gives_after(1, 1)),
                            coil_create_task(gives_after(2, 2)) };
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, tasks, 2, 9));
    coil_task *taker = coil_create_task(takes_one(&turns, "taker"));
    COIL_TRY(coil_await(tasks[0], NULL)); /* its word is queued behind us */
    coil_as_completed_fini(&turns);
    EXPECT_INT(coil_await(taker, NULL), COIL_EEND);
    EXPECT_NOTES("taker=COIL_EEND");
    EXPECT_INT(coil_await(tasks[1], NULL), 0);
    coil_unref(taker);
    coil_unref(tasks[0]);
    coil_unref(tasks[1]);
    return 0;
}

TEST(iteration_can_be_ended_while_somebody_waits)
{
    EXPECT_RUN(ends_early(), 0);
}

COIL_ASYNC(is_closed_in_it, (bool, complete))
{
    coil_future *futures[2] = { coil_create_future(NULL), coil_create_future(NULL) };
    coil_future *future;
    coil_as_completed turns;
    COIL_TRY(coil_as_completed_init(&turns, futures, 2, 9));
    if (complete)
        EXPECT_INT(coil_future_set_result(futures[0], coil_int(1)), 0);
    coil_loop_stop(NULL);
    EXPECT_INT(coil_as_completed_next(&turns, &future), COIL_ECLOSING);
    if (complete)
        EXPECT_INT(coil_as_completed_next(&turns, &future), 0);
    EXPECT_INT(coil_future_set_result(futures[1], coil_int(2)), 0);
    coil_as_completed_fini(&turns);
    coil_unref(futures[0]);
    coil_unref(futures[1]);
    note("closed");
    return COIL_ECLOSING;
}

TEST(closing_the_loop_ends_the_wait)
{
    for (int complete = 0; complete < 2; complete++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = steps_loop(NULL);
        coil_unref(coil_create_task_with(loop, is_closed_in_it(complete), NULL));
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT_INT(steps_blocks(), blocks);
        EXPECT_NOTES("closed");
    }
}

TEST(each_failed_allocation_is_survived)
{
    EXPECT_RUN(has_no_memory(), 0);
}

TESTS_MAIN(RUN(all_kinds_are_taken_and_each_is_given_once), RUN(refused_coroutines_are_consumed),
           RUN(next_needs_a_task), RUN(timeout_is_told_once_for_each_that_is_missing),
           RUN(timer_that_is_queued_already_does_no_harm),
           RUN(several_tasks_take_turns_in_their_order), RUN(cancelled_taker_passes_its_wakeup_on),
           RUN(turn_that_was_cancelled_is_not_lost),
           RUN(iteration_can_be_ended_while_somebody_waits), RUN(closing_the_loop_ends_the_wait),
           RUN(each_failed_allocation_is_survived))
