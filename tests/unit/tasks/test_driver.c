/* Coroutines driven by hand: send, throw, close. */
#include "lib/steps.h"

COIL_ASYNC(gives_way, (int, times))
{
    for (int i = 0; i < times; i++) {
        int rc = coil_sleep(0);
        note("%d:%s", i, rc == 0 ? "sent" : coil_error_name(rc));
        if (rc == COIL_ECLOSING)
            return rc;
    }
    *coil_result = counted();
    return 0;
}

/* Everything here works without a loop, and must leave nothing behind. */
#define EXPECT_BALANCED(call)                                                                      \
    do {                                                                                           \
        size_t blocks_ = steps_blocks();                                                           \
        dropped = 0;                                                                               \
        call;                                                                                      \
        EXPECT_INT(steps_blocks(), blocks_);                                                       \
    } while (0)

/* ---- send --------------------------------------------------------------------------------------- */

static void send_to_the_end(void)
{
    coil_coro *coro = gives_way(2);
    coil_value value = coil_int(7);
    EXPECT_INT(coil_coro_send(coro, &value), 1);
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_SUSPENDED);
    EXPECT_PTR(coil_coro_awaits(coro), NULL);
    EXPECT_INT(coil_coro_send(coro, &value), 1);
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(coil_coro_send(coro, &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CLOSED);
    EXPECT_INT(coil_coro_send(coro, &value), COIL_EREUSED);
    EXPECT_INT(coil_coro_throw(coro, COIL_EAPP, &value), COIL_EREUSED);
    EXPECT_INT(coil_coro_close(coro), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);

    coro = gives_way(0);
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    EXPECT_INT(dropped, 2);
    coil_unref(coro);
}

TEST(send_runs_to_the_next_suspension_and_gives_the_result_at_the_end)
{
    /* The heart of a task, without a loop. A result that nobody takes is cleared. */
    EXPECT_BALANCED(send_to_the_end());
    EXPECT_NOTES("0:sent 1:sent");
}

COIL_ASYNC0(fails_at_once)
{
    *coil_result = counted();
    return coil_raise(COIL_EAPP, "at once");
}

static void send_to_failing(void)
{
    coil_coro *coro = fails_at_once();
    coil_value value = coil_int(7);
    EXPECT_INT(coil_coro_send(coro, &value), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "at once");
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CLOSED);
    coil_unref(coro);
}

TEST(error_of_a_driven_coroutine_comes_out_of_send)
{
    /* With its record, in the driver's hands. */
    EXPECT_BALANCED(send_to_failing());
}

/* ---- throw -------------------------------------------------------------------------------------- */

static void throw_into(void)
{
    coil_coro *coro = gives_way(2);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_throw(coro, coil_raise(COIL_EAPP, "thrown"), NULL), 1);
    EXPECT_INT(coil_coro_throw(coro, COIL_ECANCELED, NULL), 0);
    EXPECT_INT(dropped, 1);
    coil_unref(coro);

    coro = gives_way(2);
    EXPECT_INT(coil_coro_throw(coro, COIL_EFULL, NULL), COIL_EFULL);
    EXPECT_INT(coil_coro_get_state(coro), COIL_CORO_CLOSED);
    EXPECT_INT(coil_coro_send(coro, NULL), COIL_EREUSED);
    coil_unref(coro);
}

TEST(throw_makes_the_wait_fail)
{
    /* A coroutine may go on after it; one that never ran is closed by it. */
    EXPECT_BALANCED(throw_into());
    EXPECT_NOTES("0:COIL_EAPP 1:COIL_ECANCELED");
}

/* ---- close -------------------------------------------------------------------------------------- */

COIL_ASYNC(cleans_up, (int, result))
{
    void *memory = malloc(64);
    int rc = coil_sleep(0);
    note("%s", coil_error_name(rc));
    EXPECT_INT(coil_sleep(0), COIL_ECLOSING);
    free(memory);
    return result ? result : rc;
}

static void close_driven(void)
{
    coil_coro *coro = cleans_up(0);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_close(coro), 0);
    EXPECT_NOTES("COIL_ECLOSING");

    coro = cleans_up(COIL_EAPP);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_close(coro), COIL_EAPP);
    EXPECT_NOTES("COIL_ECLOSING");

    coro = cleans_up(1); /* swallows it */
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_close(coro), 0);
    EXPECT_NOTES("COIL_ECLOSING");

    coro = cleans_up(0);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    coil_unref(coro);
    EXPECT_NOTES("COIL_ECLOSING");
}

TEST(close_and_the_last_unref_let_a_suspended_coroutine_clean_up)
{
    /* Every further wait fails at once; an error of the cleanup is close's result. */
    EXPECT_BALANCED(close_driven());
}

/* ---- futures, tasks, timers --------------------------------------------------------------------- */

COIL_ASYNC(awaits, (coil_future *, future))
{
    coil_value value;
    COIL_TRY(coil_await(future, &value));
    coil_return(value);
}

static void await_by_hand(coil_loop *loop)
{
    coil_future *future = coil_create_future(loop);
    coil_coro *coro = awaits(future);
    coil_value value;
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_PTR(coil_coro_awaits(coro), future);
    EXPECT_INT(coil_future_set_result(future, coil_int(3)), 0);
    EXPECT_INT(coil_coro_send(coro, &value), 0);
    EXPECT_INT(value.integer, 3);
    EXPECT_PTR(coil_coro_awaits(coro), NULL);
    coil_unref(coro);

    coro = awaits(future);
    EXPECT_INT(coil_coro_send(coro, &value), 0);
    EXPECT_INT(value.integer, 3);
    coil_unref(coro);
    coil_unref(future);

    future = coil_create_future(loop);
    coro = awaits(future);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_send(coro, NULL), COIL_EBADAWAIT);
    coil_unref(coro);
    coro = awaits(future);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_throw(coro, COIL_EAPP, NULL), COIL_EAPP);
    coil_unref(coro);
    coro = awaits(future);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    coil_unref(future); /* the suspended coroutine keeps it */
    EXPECT(!coil_future_done(coil_coro_awaits(coro)));
    EXPECT_INT(coil_coro_close(coro), 0);
}

TEST(driven_coroutine_suspends_on_a_future)
{
    /* Whoever drives it sees on what, and resumes it when that is done; too early is a mistake. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    await_by_hand(loop);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC(waits_as_only_tasks_can, (coil_future *, future))
{
    char byte;
    EXPECT_INT(coil_sleep(1), COIL_ENOTASK);
    EXPECT_INT((long long)coil_sock_recv(0, &byte, 1), COIL_ENOTASK);
    if (future)
        EXPECT_INT(coil_wait(&future, 1, 1, COIL_ALL_COMPLETED), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC0(drives_what_only_tasks_can)
{
    coil_future *future = coil_create_future(NULL);
    coil_coro *coro = waits_as_only_tasks_can(future);
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    coil_unref(future);
    return coil_sleep(0);
}

TEST(driven_coroutine_has_no_timers_and_no_descriptors)
{
    /* Neither outside a loop nor in a task's step: the task that drives must not be suspended from
     * another stack than its own. */
    coil_coro *coro = waits_as_only_tasks_can(NULL);
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    EXPECT_RUN(drives_what_only_tasks_can(), 0);
}

/* ---- nested ------------------------------------------------------------------------------------- */

COIL_ASYNC(drives, (int, depth))
{
    if (depth == 0)
        return coil_await(gives_way(1), NULL);
    coil_coro *inner = drives(depth - 1);
    int rc;
    while ((rc = coil_coro_send(inner, NULL)) == 1) {
        EXPECT_INT(coil_coro_get_state(inner), COIL_CORO_SUSPENDED);
        COIL_TRY(coil_sleep(0));
    }
    coil_unref(inner);
    return rc;
}

COIL_ASYNC0(drives_in_a_task)
{
    coil_coro *coro = drives(2);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    note("task goes on");
    COIL_TRY(coil_sleep(0.5)); /* the task's own waits are not the coroutine's */
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    return 0;
}

TEST(drivers_nest_in_coroutines_and_in_tasks)
{
    /* What an inner one suspends in returns to its own driver, not to the loop. */
    coil_coro *coro = drives(3);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    EXPECT_NOTES("0:sent");
    EXPECT_RUN(drives_in_a_task(), 0);
    EXPECT_NOTES("task goes on 0:sent");
}

static coil_coro *watched;

COIL_ASYNC0(inner)
{
    EXPECT_INT(coil_coro_get_state(watched), COIL_CORO_RUNNING);
    return coil_sleep(0);
}

COIL_ASYNC0(resumes_itself)
{
    coil_coro *self = watched;
    EXPECT_INT(coil_coro_get_state(self), COIL_CORO_RUNNING);
    EXPECT_INT(coil_coro_send(self, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_coro_throw(self, COIL_EAPP, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_coro_close(coil_ref(self)), COIL_ERUNTIME);
    watched = coil_ref(inner());
    EXPECT_INT(coil_coro_get_state(watched), COIL_CORO_CREATED);
    return coil_await(watched, NULL);
}

COIL_ASYNC(asks_another_task, (coil_task *, unstarted))
{
    coil_coro *self = watched, *other = coil_task_get_coro(unstarted);
    EXPECT_INT(coil_coro_get_state(other), COIL_CORO_CREATED);
    EXPECT_INT(coil_coro_get_state(coil_task_get_coro(coil_current_task())), COIL_CORO_RUNNING);
    EXPECT_INT(coil_coro_get_state(self), COIL_CORO_RUNNING);
    return 0;
}

COIL_ASYNC0(drives_one_that_asks)
{
    coil_task *unstarted = coil_create_task(gives_way(0));
    watched = asks_another_task(unstarted);
    EXPECT_INT(coil_coro_send(watched, NULL), 0);
    coil_unref(watched);
    COIL_TRY(coil_await(unstarted, NULL));
    coil_unref(unstarted);
    return 0;
}

TEST(states_of_driven_coroutines_and_of_what_they_await)
{
    /* An inline coroutine shares the state of the one that is driven; a running one cannot be resumed;
     * the task that drives runs as well. */
    coil_coro *driven = resumes_itself();
    watched = driven;
    EXPECT_INT(coil_coro_send(driven, NULL), 1);
    EXPECT_INT(coil_coro_get_state(driven), COIL_CORO_SUSPENDED);
    EXPECT_INT(coil_coro_get_state(watched), COIL_CORO_SUSPENDED);
    EXPECT_INT(coil_coro_send(driven, NULL), 0);
    EXPECT_INT(coil_coro_get_state(watched), COIL_CORO_CLOSED);
    coil_unref(watched);
    coil_unref(driven);
    EXPECT_RUN(drives_one_that_asks(), 0);
}

COIL_ASYNC0(schedules_a_driven_one)
{
    coil_coro *coro = gives_way(1);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    EXPECT_PTR(coil_create_task(coil_ref(coro)), NULL);
    EXPECT_INT(coil_error_last(), COIL_EREUSED);
    EXPECT_INT(coil_await((coil_coro *)coil_ref(coro), NULL), COIL_EREUSED);
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    return 0;
}

TEST(driven_coroutine_cannot_be_scheduled_or_awaited)
{
    /* It has an owner already, and stays usable. */
    EXPECT_RUN(schedules_a_driven_one(), 0);
    EXPECT_NOTES("0:sent");
}

COIL_ASYNC0(makes_tasks_while_driven)
{
    coil_task_options eager = COIL_TASK_OPTIONS_INIT;
    eager.eager = true;
    coil_task *task = coil_create_task_with(NULL, gives_way(1), &eager);
    note("created");
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_await(task, NULL), 0);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(drives_one_that_makes_tasks)
{
    coil_coro *coro = makes_tasks_while_driven();
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_coro_send(coro, NULL), 0);
    coil_unref(coro);
    return 0;
}

TEST(driven_coroutine_may_start_an_eager_task)
{
    /* The task's waits are the task's, although it begins on the way. */
    EXPECT_RUN(drives_one_that_makes_tasks(), 0);
    EXPECT_NOTES("created 0:sent");
}

COIL_ASYNC0(leaves_a_suspended_one_to_the_close)
{
    coil_coro *coro = cleans_up(0);
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    (void)coil_sleep(INFINITY);
    return coil_coro_close(coro);
}

TEST(task_that_is_closed_may_close_what_it_drives)
{
    /* Cleanup within cleanup. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(&dropped);
    coil_task *task = coil_create_task_with(loop, leaves_a_suspended_one_to_the_close(), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_future_result(task, NULL), 0);
    coil_unref(task);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
    EXPECT_NOTES("COIL_ECLOSING");
}

static int refusals;

COIL_ASYNC0(ignores_its_end)
{
    while (coil_sleep(0) != COIL_EAPP)
        refusals++;
    return 0;
}

static void note_report(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop, (void)level, (void)arg;
    note("%d %s", report->event == COIL_EVENT_CLOSE_IGNORED, report->name);
}

COIL_ASYNC0(closes_one_that_ignores_it)
{
    coil_coro *coro = ignores_its_end();
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    coil_set_logger(NULL, note_report, NULL);
    EXPECT_INT(coil_coro_close(coro), COIL_ERUNTIME);
    EXPECT_INT(refusals, 1000);
    coro = ignores_its_end();
    EXPECT_INT(coil_coro_send(coro, NULL), 1);
    coil_unref(coro);
    EXPECT_INT(refusals, 2000);
    return coil_sleep(1); /* all else goes on */
}

TEST(coroutine_that_ignores_its_end_is_given_up)
{
    /* Else closing it would never come back. */
    EXPECT_RUN(closes_one_that_ignores_it(), 0);
    EXPECT_NOTES("1 ignores_its_end 1 ignores_its_end");
}

TESTS_MAIN(RUN(coroutine_that_ignores_its_end_is_given_up),
           RUN(send_runs_to_the_next_suspension_and_gives_the_result_at_the_end),
           RUN(error_of_a_driven_coroutine_comes_out_of_send), RUN(throw_makes_the_wait_fail),
           RUN(close_and_the_last_unref_let_a_suspended_coroutine_clean_up),
           RUN(driven_coroutine_suspends_on_a_future),
           RUN(driven_coroutine_has_no_timers_and_no_descriptors),
           RUN(drivers_nest_in_coroutines_and_in_tasks),
           RUN(states_of_driven_coroutines_and_of_what_they_await),
           RUN(driven_coroutine_cannot_be_scheduled_or_awaited),
           RUN(driven_coroutine_may_start_an_eager_task),
           RUN(task_that_is_closed_may_close_what_it_drives))
