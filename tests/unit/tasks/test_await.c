/* await: what can be awaited, what cannot, and what each gives. */
#include "lib/steps.h"

COIL_ASYNC0(returns_counted)
{
    *coil_result = counted();
    return 0;
}

COIL_ASYNC(notes_around_sleep, (const char *, what))
{
    note("%s1", what);
    COIL_TRY(coil_sleep(0));
    note("%s2", what);
    coil_return(what);
}

/* ---- coroutines --------------------------------------------------------------------------------- */

COIL_ASYNC0(awaits_inline)
{
    coil_value value;
    note("before");
    COIL_TRY(coil_await(notes_around_sleep("x"), &value));
    note("after");
    EXPECT_STR(value.string, "x");
    return 0;
}

TEST(awaited_coroutine_runs_inline_at_once)
{
    /* As in Python: no task, no turn of the loop, until it waits itself. */
    EXPECT_RUN(awaits_inline(), 0);
    EXPECT_NOTES("before x1 x2 after");
}

/* ---- futures ------------------------------------------------------------------------------------ */

static int set_seven(void *arg)
{
    return coil_future_set_result(arg, coil_int(7));
}

COIL_ASYNC0(awaits_futures)
{
    coil_future *future = coil_create_future(NULL);
    coil_value value;
    COIL_TRY(coil_call_later(NULL, 1, set_seven, future, NULL));
    EXPECT_INT(coil_await(future, &value), 0);
    EXPECT_INT(value.integer, 7);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_INT(coil_spawn(notes_around_sleep("other")), 0);
    EXPECT_INT(coil_await(future, &value), 0);
    EXPECT_NOTES("");
    COIL_TRY(coil_sleep(0));
    coil_unref(future);

    future = coil_create_future(NULL);
    value = coil_int(1);
    EXPECT_INT(coil_future_set_exception(future, coil_raise(COIL_EAPP, "late")), 0);
    EXPECT_INT(coil_await(future, &value), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "late");
    EXPECT_INT(value.integer, 1);
    coil_unref(future);
    return 0;
}

TEST(done_future_is_awaited_without_giving_way)
{
    /* Suspends only for a future that is not done: asyncio's rule, and its order. */
    EXPECT_RUN(awaits_futures(), 0);
    EXPECT_NOTES("other1 other2");
}

COIL_ASYNC(awaits_it, (coil_future *, future))
{
    coil_value value;
    int rc = coil_await(future, &value);
    note(rc < 0 ? "%s" : "got", coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(shares_a_future)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *a = coil_create_task(awaits_it(future)), *b = coil_create_task(awaits_it(future));
    COIL_TRY(coil_sleep(0));
    coil_future_cancel(future, "gone");
    EXPECT_INT(coil_await(a, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_await(b, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_task_cancelling(a), 0);
    EXPECT_NOTES("COIL_ECANCELED COIL_ECANCELED");
    coil_unref(a);
    coil_unref(b);
    coil_unref(future);
    return 0;
}

TEST(cancelled_future_cancels_those_who_await_it)
{
    /* They see COIL_ECANCELED although nobody asked them to stop. */
    EXPECT_RUN(shares_a_future(), 0);
}

COIL_ASYNC(drops_what_it_awaits, (coil_future *, future))
{
    int rc = coil_await(future, NULL);
    note("%d", rc);
    return rc;
}

COIL_ASYNC0(gives_up_the_reference_meanwhile)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(drops_what_it_awaits(future));
    COIL_TRY(coil_sleep(0));
    coil_future_set_result(future, counted());
    coil_unref(future);
    COIL_TRY(coil_await(task, NULL));
    EXPECT_INT(dropped, 1);
    coil_unref(task);
    return 0;
}

TEST(await_keeps_the_future_alive_while_it_waits)
{
    /* Whoever completes it may give it up at once. */
    EXPECT_RUN(gives_up_the_reference_meanwhile(), 0);
    EXPECT_NOTES("0");
}

/* ---- tasks -------------------------------------------------------------------------------------- */

COIL_ASYNC0(awaits_a_task_twice)
{
    coil_task *task = coil_create_task(returns_counted());
    coil_value value;
    EXPECT_INT(coil_await(task, &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    coil_value_clear(&value);
    EXPECT_INT(coil_await(task, &value), 0);
    EXPECT_INT(dropped, 0);
    coil_unref(task);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(task_may_be_awaited_again_and_gives_views)
{
    /* Unlike a coroutine: it keeps its result. */
    EXPECT_RUN(awaits_a_task_twice(), 0);
}

COIL_ASYNC0(awaits_itself)
{
    EXPECT_INT(coil_spawn(notes_around_sleep("other")), 0);
    EXPECT_INT(coil_await(coil_current_task(), NULL), COIL_ESELFWAIT);
    EXPECT_NOTES("other1");
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("other2");
    return 0;
}

TEST(task_that_awaits_itself_is_told_a_turn_later)
{
    /* In asyncio the error comes from the loop, hence the turn. */
    EXPECT_RUN(awaits_itself(), 0);
}

COIL_ASYNC(awaits_foreign, (coil_future *, foreign))
{
    EXPECT_INT(coil_await(foreign, NULL), COIL_EWRONGLOOP);
    coil_future *both[] = { foreign };
    EXPECT_INT(coil_wait(both, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED), COIL_EWRONGLOOP);
    EXPECT_INT(coil_gather(NULL, foreign, returns_counted()), COIL_EWRONGLOOP);
    EXPECT_PTR(coil_ensure_future(coil_get_running_loop(), foreign), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    EXPECT(!coil_future_done(foreign));
    coil_future_set_result(foreign, coil_int(3));
    coil_value value;
    EXPECT_INT(coil_await(foreign, &value), 0);
    EXPECT_INT(value.integer, 3);
    return 0;
}

TEST(pending_future_of_another_loop_is_refused)
{
    /* Nobody would wake the task. A result that is there can be read anywhere. */
    coil_loop *other = coil_testing_virtual_loop(NULL);
    coil_future *foreign = coil_create_future(other);
    EXPECT_RUN(awaits_foreign(foreign), 0);
    coil_unref(foreign);
    EXPECT_INT(coil_loop_close(other), 0);
    coil_unref(other);
}

/* ---- outside tasks ------------------------------------------------------------------------------ */

static int try_to_wait(void *arg)
{
    coil_future *future = arg;
    EXPECT_INT(coil_await(returns_counted(), NULL), COIL_ENOTASK);
    EXPECT_INT(coil_await(future, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_sleep(0), COIL_ENOTASK);
    EXPECT_INT(coil_sleep(1), COIL_ENOTASK);
    EXPECT_INT(coil_gather(NULL, returns_counted(), returns_counted()), COIL_ENOTASK);
    EXPECT_INT(coil_wait(&future, 1, 1, COIL_ALL_COMPLETED), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC0(waits_in_a_callback)
{
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_call_soon(NULL, try_to_wait, future, NULL));
    COIL_TRY(coil_sleep(0));
    coil_unref(future);
    return 0;
}

TEST(waiting_outside_a_task_is_refused)
{
    /* In callbacks and in plain code alike; a coroutine handed in is consumed, without a report. */
    EXPECT_RUN(waits_in_a_callback(), 0);
    coil_loop *loop = steps_loop(NULL);
    coil_future *future = coil_create_future(loop);
    (void)try_to_wait(future);
    EXPECT_INT(reports_total(), 0);
    coil_unref(future);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- what is no awaitable ----------------------------------------------------------------------- */

COIL_ASYNC0(awaits_nonsense)
{
    coil_coro *none = NULL;
    coil_raise(COIL_EFULL, "why there is none");
    EXPECT_INT(coil_await(none, NULL), COIL_EFULL);
    coil_context *context = coil_context_new();
    EXPECT_INT(coil_await((void *)context, NULL), COIL_EBADAWAIT);
    coil_unref(context);
    coil_error *error = coil_ref(coil_error_current(COIL_EBADAWAIT));
    EXPECT_INT(coil_await((void *)error, NULL), COIL_EBADAWAIT);
    coil_unref(error);
    return 0;
}

TEST(null_fails_with_the_constructors_code_and_other_objects_with_badawait)
{
    /* `coil_await(f())` needs no check in between. */
    EXPECT_RUN(awaits_nonsense(), 0);
}

/* ---- awaitables of one's own -------------------------------------------------------------------- */

struct turnstile {
    coil_awaitable awaitable;
    int turns;
    int rc;
};

static int turnstile_wait(coil_awaitable *self, coil_value *value_out)
{
    struct turnstile *turnstile = (struct turnstile *)self;
    for (int i = 0; i < turnstile->turns; i++) {
        note("turn");
        COIL_TRY(coil_sleep(0));
    }
    *value_out = counted();
    return turnstile->rc;
}

COIL_ASYNC0(awaits_turnstiles)
{
    struct turnstile turnstile = { COIL_AWAITABLE_INIT(turnstile_wait), 2, 0 };
    coil_value value = coil_int(1);
    EXPECT_INT(coil_await(&turnstile.awaitable, &value), 0);
    EXPECT_NOTES("turn turn");
    EXPECT_PTR(value.pointer, &dropped);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_await(&turnstile.awaitable, NULL), 0);
    EXPECT_INT(dropped, 2);
    turnstile.rc = COIL_EAPP;
    value = coil_int(1);
    EXPECT_INT(coil_await(&turnstile.awaitable, &value), COIL_EAPP);
    EXPECT_INT(value.integer, 1);
    EXPECT_INT(dropped, 3);
    turnstile.rc = 5;
    EXPECT_INT(coil_await(&turnstile.awaitable, NULL), 0);
    EXPECT_NOTES("turn turn turn turn turn turn");
    return 0;
}

TEST(awaitable_of_ones_own_is_awaited_by_its_wait)
{
    /* It may be awaited again, and what it gives is cleared if nobody wants it. */
    EXPECT_RUN(awaits_turnstiles(), 0);
}

/* ---- depth -------------------------------------------------------------------------------------- */

COIL_ASYNC(descends, (int, depth))
{
    if (depth == 0) {
        COIL_TRY(coil_sleep(0));
        return coil_raise(COIL_EAPP, "from the bottom");
    }
    COIL_TRY(coil_await(descends(depth - 1), NULL));
    return 0;
}

COIL_ASYNC0(catches_from_the_bottom)
{
    EXPECT_INT(coil_await(descends(100), NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "from the bottom");
    return 0;
}

TEST(error_passes_through_a_hundred_coroutines)
{
    /* COIL_TRY carries code and record up, as an exception would go. */
    EXPECT_RUN(catches_from_the_bottom(), 0);
}

TESTS_MAIN(RUN(awaited_coroutine_runs_inline_at_once),
           RUN(done_future_is_awaited_without_giving_way),
           RUN(cancelled_future_cancels_those_who_await_it),
           RUN(await_keeps_the_future_alive_while_it_waits),
           RUN(task_may_be_awaited_again_and_gives_views),
           RUN(task_that_awaits_itself_is_told_a_turn_later),
           RUN(pending_future_of_another_loop_is_refused), RUN(waiting_outside_a_task_is_refused),
           RUN(null_fails_with_the_constructors_code_and_other_objects_with_badawait),
           RUN(awaitable_of_ones_own_is_awaited_by_its_wait),
           RUN(error_passes_through_a_hundred_coroutines))
