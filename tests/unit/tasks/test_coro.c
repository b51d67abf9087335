/* Coroutine objects: made, used once, in one of four states, and their arguments given back. */
#include "lib/steps.h"

/* ---- states ------------------------------------------------------------------------------------- */

static coil_coro *watched_inner, *watched_outer; /* held by the test */

COIL_ASYNC0(inner)
{
    EXPECT_INT(coil_coro_get_state(watched_inner), COIL_CORO_RUNNING);
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_RUNNING);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_coro_get_state(watched_inner), COIL_CORO_RUNNING);
    return 0;
}

COIL_ASYNC0(outer)
{
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_RUNNING);
    EXPECT_INT(coil_coro_get_state(watched_inner), COIL_CORO_CREATED);
    COIL_TRY(coil_await(watched_inner, NULL));
    EXPECT_INT(coil_coro_get_state(watched_inner), COIL_CORO_CLOSED);
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_RUNNING);
    return 0;
}

COIL_ASYNC0(watches_states)
{
    watched_inner = inner();
    watched_outer = outer();
    coil_ref(watched_inner);
    coil_ref(watched_outer);
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_CREATED);
    coil_task *task = coil_create_task(watched_outer);
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_CREATED);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_SUSPENDED);
    EXPECT_INT(coil_coro_get_state(watched_inner), COIL_CORO_SUSPENDED);
    COIL_TRY(coil_await(task, NULL));
    EXPECT_INT(coil_coro_get_state(watched_outer), COIL_CORO_CLOSED);
    coil_unref(task);
    coil_unref(watched_inner);
    coil_unref(watched_outer);
    return 0;
}

TEST(states_follow_a_coroutine_through_a_task)
{
    /* A coroutine that awaits another inline runs while that one runs, and waits while it waits. */
    EXPECT_RUN(watches_states(), 0);
}

static int note_state(void *arg)
{
    note("%d", coil_coro_get_state(arg));
    return 0;
}

COIL_ASYNC0(is_watched_by_a_callback)
{
    coil_coro *self = coil_task_get_coro(coil_current_task());
    COIL_TRY(coil_call_soon(NULL, note_state, self, NULL));
    COIL_TRY(coil_sleep(0));
    note("%d", coil_coro_get_state(self));
    return 0;
}

TEST(suspended_coroutine_is_suspended_for_a_callback)
{
    /* In a callback no coroutine runs. */
    EXPECT_RUN(is_watched_by_a_callback(), 0);
    EXPECT_NOTES("2 1");
}

/* ---- objects ------------------------------------------------------------------------------------ */

TEST(coroutine_object_says_what_it_is)
{
    /* A coroutine is told from futures and from nothing; it can be made without a loop. */
    coil_coro *coro = inner();
    EXPECT(coil_is_coroutine(coro));
    EXPECT(!coil_is_future(coro));
    EXPECT(!coil_is_task(coro));
    EXPECT(!coil_is_coroutine(NULL));
    EXPECT(!coil_is_future(NULL));
    EXPECT(!coil_is_task(NULL));
    EXPECT_STR(coil_coro_name(coro), "inner");
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CREATED);
    EXPECT_PTR(coil_coro_awaits(coro), NULL);
    EXPECT_INT(coil_coro_close(coro), 0);
    EXPECT_INT(coil_coro_close(NULL), 0);
}

static int wait_for_nothing(coil_awaitable *self, coil_value *value_out)
{
    (void)self;
    *value_out = coil_int(9);
    return 0;
}

TEST(awaitable_of_ones_own_is_none_of_the_kinds)
{
    /* is_... accept it, since a caller may not know what he has. */
    coil_awaitable own = COIL_AWAITABLE_INIT(wait_for_nothing);
    EXPECT(!coil_is_coroutine(&own));
    EXPECT(!coil_is_future(&own));
    EXPECT(!coil_is_task(&own));
}

/* ---- arguments ---------------------------------------------------------------------------------- */

struct owning_args {
    int *drops;
    _Alignas(16) char block[40];
};

static int run_owning(void *args, coil_value *coil_result)
{
    struct owning_args *self = args;
    (void)coil_result;
    EXPECT_INT((long long)((uintptr_t)self % 16), 0);
    EXPECT_STR(self->block, "copied");
    note("ran");
    return 0;
}

static void drop_owning(void *args)
{
    ++*((struct owning_args *)args)->drops;
}

static const coil_coro_type owning_type = { "owning", run_owning, __FILE__, __LINE__, drop_owning };

static coil_coro *owning(void)
{
    struct owning_args args = { &dropped, "copied" };
    coil_coro *coro = coil_coro_new(&owning_type, &args, sizeof args);
    memset(&args, 0xee, sizeof args);
    return coro;
}

enum fate {
    AWAITED,
    CLOSED,
    UNREFERENCED,
    SCHEDULED,
    CANCELLED_BEFORE_START,
    THROWN_INTO,
    LEFT
};

COIL_ASYNC(meets_its_fate, (int, fate))
{
    coil_coro *coro = owning();
    coil_task *task;
    switch (fate) {
    case AWAITED:
        EXPECT_INT(coil_await(coro, NULL), 0);
        break;
    case CLOSED:
        EXPECT_INT(coil_coro_close(coro), 0);
        break;
    case UNREFERENCED:
        coil_unref(coro);
        break;
    case SCHEDULED:
        task = coil_create_task(coro);
        EXPECT_INT(coil_await(task, NULL), 0);
        coil_unref(task);
        break;
    case CANCELLED_BEFORE_START:
        coil_ref(coro);
        task = coil_create_task(coro);
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
        EXPECT_INT(dropped, 1);
        EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CLOSED);
        coil_unref(task);
        coil_unref(coro);
        break;
    case THROWN_INTO:
        EXPECT_INT(coil_coro_throw(coro, COIL_EAPP, NULL), COIL_EAPP);
        EXPECT_INT(dropped, 1);
        coil_unref(coro);
        break;
    case LEFT:
        coil_ref(coro); /* the loop ends first */
        watched_outer = coro;
        break;
    }
    return 0;
}

TEST(arguments_are_dropped_once_if_and_only_if_the_body_did_not_run)
{
    /* The body cares for its arguments; who never runs, cannot. */
    EXPECT_RUN(meets_its_fate(AWAITED), 0);
    EXPECT_NOTES("ran");
    EXPECT_INT(dropped, 0);
    EXPECT_RUN(meets_its_fate(SCHEDULED), 0);
    EXPECT_NOTES("ran");
    EXPECT_INT(dropped, 0);
    EXPECT_RUN(meets_its_fate(CLOSED), 0);
    EXPECT_INT(dropped, 1);
    EXPECT_RUN(meets_its_fate(CANCELLED_BEFORE_START), 0);
    EXPECT_INT(dropped, 1);
    EXPECT_RUN(meets_its_fate(THROWN_INTO), 0);
    EXPECT_INT(dropped, 1);
    EXPECT_NOTES("");
}

static int given_up;

COIL_ASYNC_DROP(keeper, given_up += number + (text[0] == 'x'), (int, number), (const char *, text))
{
    (void)text;
    coil_return(number);
}

COIL_ASYNC0(cancels_keeper)
{
    coil_task *task = coil_create_task(keeper(10, "x"));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    EXPECT_INT(given_up, 11);
    coil_value value;
    COIL_TRY(coil_await(keeper(20, "y"), &value));
    EXPECT_INT(value.integer, 20);
    EXPECT_INT(given_up, 11);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_await(keeper(30, "y"), NULL), COIL_ENOMEM);
    EXPECT_INT(given_up, 41);
    coil_testing_fail_alloc(2); /* the task */
    EXPECT_INT(coil_spawn(keeper(40, "y")), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    EXPECT_INT(given_up, 81);
    return coil_coro_close(keeper(50, "y"));
}

TEST(coroutine_that_owns_what_it_is_handed_gives_it_up_without_running)
{
    /* Otherwise a descriptor is lost with each task that is cancelled before its first step. */
    given_up = 0;
    EXPECT_RUN(cancels_keeper(), 0);
    EXPECT_INT(given_up, 131);
}

TEST(dropped_coroutine_is_reported_as_never_awaited)
{
    /* The forgotten await is the commonest mistake with coroutines. */
    EXPECT_RUN_REPORTS(meets_its_fate(UNREFERENCED), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_NEVER_AWAITED], 1);
    EXPECT_INT(dropped, 1);
}

TEST(coroutine_that_outlives_its_loop_is_reported_at_its_close)
{
    /* A leaked coroutine object is found, and still its owner's to give back. */
    dropped = 0;
    EXPECT_INT(steps_run(meets_its_fate(LEFT), NULL, NULL), 0);
    EXPECT_INT(reports[COIL_EVENT_NEVER_AWAITED], 1);
    EXPECT_INT(dropped, 0);
    coil_unref(watched_outer);
    EXPECT_INT(coil_coro_close(watched_outer), 0);
    EXPECT_INT(dropped, 1);
}

/* ---- once --------------------------------------------------------------------------------------- */

COIL_ASYNC0(quick)
{
    coil_return(1);
}

COIL_ASYNC0(awaits_twice)
{
    coil_coro *coro = quick();
    coil_ref(coro);
    coil_ref(coro);
    EXPECT_INT(coil_await(coro, NULL), 0);
    EXPECT_INT(coil_await(coro, NULL), COIL_EREUSED);
    const char *message = coil_error_message(coil_error_current(COIL_EREUSED));
    EXPECT(strstr(message, "'quick'") != NULL);
    EXPECT(strstr(message, "test_coro.c:") != NULL);
    EXPECT_PTR(coil_create_task(coil_ref(coro)), NULL);
    EXPECT_INT(coil_error_last(), COIL_EREUSED);
    EXPECT_INT(coil_spawn(coil_ref(coro)), COIL_EREUSED);
    EXPECT_INT(coil_gather(NULL, (coil_coro *)coil_ref(coro)), COIL_EREUSED);
    EXPECT_INT(coil_coro_send(coro, NULL), COIL_EREUSED);
    EXPECT_INT(coil_coro_throw(coro, COIL_EAPP, NULL), COIL_EREUSED);
    EXPECT_INT(coil_coro_close(coro), 0);
    return 0;
}

TEST(coroutine_runs_once_and_the_second_use_says_which_it_was)
{
    /* Every door refuses it, consumes its reference all the same, and names the coroutine. */
    EXPECT_RUN(awaits_twice(), 0);
}

static coil_coro *shared;

COIL_ASYNC0(waits_inside)
{
    COIL_TRY(coil_sleep(1));
    return 0;
}

COIL_ASYNC0(awaits_a_scheduled_one)
{
    shared = coil_ref(waits_inside());
    coil_task *task = coil_create_task(shared);
    EXPECT_INT(coil_await((coil_coro *)coil_ref(shared), NULL), COIL_EREUSED);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_await((coil_coro *)coil_ref(shared), NULL), COIL_EREUSED);
    EXPECT_INT(coil_coro_send(shared, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_coro_throw(shared, COIL_EAPP, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_coro_close(shared), COIL_ERUNTIME);
    EXPECT_INT(coil_await(task, NULL), 0);
    coil_unref(task);
    return 0;
}

TEST(coroutine_of_a_task_cannot_be_awaited_or_driven)
{
    /* It has an owner; nobody else may resume it. The task is none the worse. */
    EXPECT_RUN(awaits_a_scheduled_one(), 0);
}

COIL_ASYNC0(closes_itself)
{
    coil_coro *self = coil_ref(coil_task_get_coro(coil_current_task()));
    EXPECT_INT(coil_coro_close(self), COIL_ERUNTIME);
    return 0;
}

TEST(running_coroutine_cannot_close_itself)
{
    /* The stack it stands on would go. */
    EXPECT_RUN(closes_itself(), 0);
}

COIL_ASYNC0(asks_for_too_many_bytes)
{
    EXPECT_PTR(coil_coro_new(&owning_type, "", (size_t)1 << 40), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    coil_testing_fail_alloc(1);
    coil_coro *coro = quick();
    coil_testing_fail_alloc(0);
    if (!coro) {
        EXPECT_INT(coil_error_last(), COIL_ENOMEM);
        EXPECT_INT(coil_await(coro, NULL), COIL_ENOMEM);
        return 0;
    }
    return coil_await(coro, NULL); /* it came out of the loop's cache */
}

TEST(coroutine_that_cannot_be_made_fails_where_it_is_awaited)
{
    /* So that `coil_await(f())` needs no check in between. */
    EXPECT_RUN(asks_for_too_many_bytes(), 0);
}

/* ---- results ------------------------------------------------------------------------------------ */

COIL_ASYNC(returns_kind, (int, kind))
{
    switch (kind) {
    case 0:
        coil_return("text");
    case 1:
        coil_return(2.5);
    case 2:
        coil_return(&dropped);
    case 3:
        coil_return(coil_bool(true));
    case 4:
        *coil_result = counted();
        return 12; /* not negative: no error */
    default:
        *coil_result = counted();
        return coil_raise(COIL_EAPP, "after a result");
    }
}

COIL_ASYNC0(collects_kinds)
{
    coil_value value = coil_int(7);
    EXPECT_INT(coil_await(returns_kind(0), &value), 0);
    EXPECT_INT(value.kind, COIL_STRING);
    EXPECT_STR(value.string, "text");
    EXPECT_INT(coil_await(returns_kind(1), &value), 0);
    EXPECT_DOUBLE(value.number, 2.5);
    EXPECT_INT(coil_await(returns_kind(2), &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    EXPECT_INT(coil_await(returns_kind(3), &value), 0);
    EXPECT_INT(value.kind, COIL_BOOL);
    EXPECT_INT(coil_await(returns_kind(4), &value), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_await(returns_kind(4), NULL), 0);
    EXPECT_INT(dropped, 2);
    value = coil_int(7);
    EXPECT_INT(coil_await(returns_kind(5), &value), COIL_EAPP);
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(dropped, 3);
    return 0;
}

TEST(awaited_coroutine_gives_its_value_away_or_clears_it)
{
    /* Nobody asked for it, or the body failed after all: the destructor runs, once. */
    EXPECT_RUN(collects_kinds(), 0);
}

COIL_ASYNC(all_ten, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h),
           (int, i), (const char *, j))
{
    note("%d%d%d%d%d%d%d%d%d%s", a, b, c, d, e, f, g, h, i, j);
    return 0;
}

TEST(ten_parameters_arrive)
{
    /* The promised number of typed parameters. */
    EXPECT_RUN(all_ten(1, 2, 3, 4, 5, 6, 7, 8, 9, "x"), 0);
    EXPECT_NOTES("123456789x");
}

TESTS_MAIN(RUN(states_follow_a_coroutine_through_a_task),
           RUN(suspended_coroutine_is_suspended_for_a_callback),
           RUN(coroutine_object_says_what_it_is), RUN(awaitable_of_ones_own_is_none_of_the_kinds),
           RUN(arguments_are_dropped_once_if_and_only_if_the_body_did_not_run),
           RUN(coroutine_that_owns_what_it_is_handed_gives_it_up_without_running),
           RUN(dropped_coroutine_is_reported_as_never_awaited),
           RUN(coroutine_that_outlives_its_loop_is_reported_at_its_close),
           RUN(coroutine_runs_once_and_the_second_use_says_which_it_was),
           RUN(coroutine_of_a_task_cannot_be_awaited_or_driven),
           RUN(running_coroutine_cannot_close_itself),
           RUN(coroutine_that_cannot_be_made_fails_where_it_is_awaited),
           RUN(awaited_coroutine_gives_its_value_away_or_clears_it), RUN(ten_parameters_arrive))
