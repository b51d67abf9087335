/* run, Runner, main: from the first task to the last, Ctrl-C included. */
#include "lib/steps.h"

#include <fcntl.h>
#include <pthread.h>

COIL_ASYNC(returns, (int, number))
{
    coil_return(number);
}

COIL_ASYNC0(returns_counted)
{
    *coil_result = counted();
    return 0;
}

COIL_ASYNC(fails, (int, code))
{
    return coil_raise(code, "on purpose");
}

/* ---- results ------------------------------------------------------------------------------------ */

TEST(run_gives_the_result_away_or_clears_it)
{
    /* The loop is gone when run returns; the value is the caller's. */
    coil_value value;
    dropped = 0;
    EXPECT_INT(coil_run(returns_counted(), &value), 0);
    EXPECT_INT(dropped, 0);
    EXPECT_PTR(value.pointer, &dropped);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_run(returns_counted(), NULL), 0);
    EXPECT_INT(dropped, 2);
    EXPECT_PTR(coil_get_running_loop(), NULL);
}

TEST(error_of_the_coroutine_comes_out_with_its_record)
{
    /* After the loop is closed, the record still explains the code. */
    coil_value value = coil_int(7);
    EXPECT_INT(coil_run(fails(COIL_EAPP), &value), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "on purpose");
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(coil_run(fails(COIL_ECANCELED), NULL), COIL_ECANCELED);
    EXPECT_RUN(fails(-EIO), -EIO);
}

TEST(run_of_nothing_fails_with_the_constructors_code)
{
    /* `coil_run(f())` needs no check in between. */
    coil_raise(COIL_EFULL, "why there is none");
    EXPECT_INT(coil_run(NULL, NULL), COIL_EFULL);
}

COIL_ASYNC0(runs_nested)
{
    coil_value value = coil_int(7);
    EXPECT_INT(coil_run(returns_counted(), &value), COIL_ENESTED);
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(coil_run_forever(coil_get_running_loop()), COIL_ENESTED);
    EXPECT_INT(coil_run_until_complete(coil_get_running_loop(), returns(1), NULL), COIL_ENESTED);
    coil_loop *other = coil_testing_virtual_loop(NULL);
    EXPECT_INT(coil_run_until_complete(other, returns(1), NULL), COIL_ENESTED);
    EXPECT_INT(coil_loop_close(other), 0);
    coil_unref(other);
    return 0;
}

TEST(nested_run_is_refused)
{
    /* A loop in a loop would block the outer one; the coroutine is consumed without a report. */
    EXPECT_RUN(runs_nested(), 0);
}

/* ---- what is left at the end -------------------------------------------------------------------- */

COIL_ASYNC(lingers, (const char *, who), (int, then))
{
    int rc = coil_sleep(100);
    note("%s:%s", who, coil_error_name(rc));
    COIL_TRY(coil_sleep(1));
    note("%s:clean", who);
    return then ? then : rc;
}

COIL_ASYNC0(leaves_tasks)
{
    COIL_TRY(coil_spawn(lingers("a", 0)));
    COIL_TRY(coil_spawn(lingers("b", 0)));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_spawn(lingers("late", 0))); /* begins before the loop stops */
    return 0;
}

TEST(tasks_that_are_left_are_cancelled_and_waited_for)
{
    /* Also one that was started in main's last step; their cleanup may wait. */
    EXPECT_RUN(leaves_tasks(), 0);
    EXPECT_NOTES("a:COIL_ECANCELED b:COIL_ECANCELED late:COIL_ECANCELED a:clean b:clean "
                 "late:clean");
}

COIL_ASYNC0(leaves_a_failing_task)
{
    COIL_TRY(coil_spawn(lingers("x", COIL_EAPP)));
    COIL_TRY(coil_sleep(0));
    return coil_raise(COIL_EFULL, "main's own");
}

TEST(failure_during_shutdown_is_reported_and_hides_nothing)
{
    /* main's error is what run returns. */
    EXPECT_RUN_REPORTS(leaves_a_failing_task(), COIL_EFULL, 1);
    EXPECT_INT(reports[COIL_EVENT_SHUTDOWN_TASK_FAILED], 1);
    EXPECT_NOTES("x:COIL_ECANCELED x:clean");
}

COIL_ASYNC0(stops_its_loop)
{
    coil_loop_stop(NULL);
    return coil_sleep(1);
}

TEST(loop_stopped_before_main_is_done_is_an_error)
{
    /* There is no result to give. */
    EXPECT_RUN(stops_its_loop(), COIL_ERUNTIME);
}

/* ---- run_until_complete ------------------------------------------------------------------------- */

TEST(run_until_complete_takes_futures_and_coroutines)
{
    /* A future's value is a view, a coroutine's is yours; the loop can run again. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_value value;
    dropped = 0;
    EXPECT_INT(coil_run_until_complete(loop, returns_counted(), &value), 0);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_run_until_complete(loop, returns_counted(), NULL), 0);
    EXPECT_INT(dropped, 2);

    coil_task *task = coil_create_task_with(loop, returns_counted(), NULL);
    EXPECT_INT(coil_run_until_complete(loop, task, &value), 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 2);
    EXPECT_INT(coil_run_until_complete(loop, task, &value), 0);
    coil_unref(task);
    EXPECT_INT(dropped, 3);
    EXPECT_INT(coil_run_until_complete(loop, fails(COIL_EAPP), NULL), COIL_EAPP);

    coil_future *never = coil_create_future(loop);
    EXPECT_INT(coil_run_until_complete(loop, never, NULL), COIL_ESTALLED);
    coil_loop_stop(loop);
    EXPECT_INT(coil_run_until_complete(loop, never, NULL), COIL_ERUNTIME);
    coil_unref(never);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_run_until_complete(loop, returns(1), NULL), COIL_ECLOSED);
    EXPECT_INT(reports_total(), 0);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- Runner ------------------------------------------------------------------------------------- */

static coil_context_var *variable;

COIL_ASYNC(counts_up, (coil_loop **, loop))
{
    coil_value value;
    if (*loop)
        EXPECT_PTR(coil_get_running_loop(), *loop);
    *loop = coil_get_running_loop();
    COIL_TRY(coil_context_var_get(variable, &value));
    COIL_TRY(coil_context_var_set(variable, coil_int(value.integer + 1), NULL));
    coil_return(value.integer);
}

TEST(runner_keeps_loop_and_context_between_runs)
{
    /* What one run sets, the next one sees; unless it brings a context of its own. */
    variable = coil_context_var_new_default("count", coil_int(0));
    REQUIRE(variable);
    coil_loop *loop = NULL;
    coil_value value;
    coil_runner *runner = coil_runner_new(NULL);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(coil_runner_run(runner, counts_up(&loop), NULL, &value), 0);
        EXPECT_INT(value.integer, i);
    }
    EXPECT_PTR(coil_runner_get_loop(runner), loop);
    coil_context *context = coil_context_new();
    EXPECT_INT(coil_runner_run(runner, counts_up(&loop), context, &value), 0);
    EXPECT_INT(value.integer, 0);
    EXPECT_INT(coil_context_get(context, variable, &value), 0);
    EXPECT_INT(value.integer, 1);
    coil_unref(context);
    EXPECT_INT(coil_context_var_get(variable, &value), 0);
    EXPECT_INT(value.integer, 0);
    EXPECT_INT(coil_runner_close(runner), 0);
    coil_unref(runner);
    coil_context_var_free(variable);
}

TEST(closed_runner_runs_nothing)
{
    /* Closing twice is fine, also before the first run; what is handed in is consumed. */
    size_t blocks = steps_blocks();
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = steps_loop;
    coil_runner *runner = coil_runner_new(&options);
    EXPECT(coil_runner_get_loop(runner) != NULL);
    EXPECT_INT(coil_runner_run(runner, leaves_tasks(), NULL, NULL), 0);
    EXPECT_NOTES("");
    EXPECT_INT(coil_runner_close(runner), 0);
    EXPECT_NOTES("a:COIL_ECANCELED b:COIL_ECANCELED late:COIL_ECANCELED a:clean b:clean "
                 "late:clean");
    EXPECT_INT(coil_runner_close(runner), 0);
    EXPECT_INT(coil_runner_run(runner, returns_counted(), NULL, NULL), COIL_ECLOSED);
    EXPECT_PTR(coil_runner_get_loop(runner), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    coil_unref(runner);

    runner = coil_runner_new(NULL);
    EXPECT_INT(coil_runner_close(runner), 0);
    coil_unref(runner);

    runner = coil_runner_new(&options);
    EXPECT_INT(coil_runner_run(runner, leaves_tasks(), NULL, NULL), 0);
    coil_unref(runner); /* closes it */
    EXPECT_NOTES("a:COIL_ECANCELED b:COIL_ECANCELED late:COIL_ECANCELED a:clean b:clean "
                 "late:clean");
    EXPECT_INT(steps_blocks(), blocks);
}

static coil_loop *no_loop(void *arg)
{
    (void)arg;
    coil_raise(-EMFILE, "no descriptors left");
    return NULL;
}

COIL_ASYNC(expects_debug, (bool, expected))
{
    EXPECT_INT(coil_get_debug(NULL), expected);
    return 0;
}

TEST(options_choose_loop_and_debug_mode)
{
    /* A factory that fails gives the run its code. */
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.debug = 1;
    EXPECT_INT(coil_run_with(expects_debug(true), NULL, &options), 0);
    options.debug = 0;
    EXPECT_INT(coil_run_with(expects_debug(false), NULL, &options), 0);
    options.loop_factory = no_loop;
    EXPECT_INT(coil_run_with(returns(1), NULL, &options), -EMFILE);
}

COIL_ASYNC0(runs_a_runner_inside)
{
    coil_runner *runner = coil_runner_new(NULL);
    EXPECT_INT(coil_runner_run(runner, returns_counted(), NULL, NULL), COIL_ENESTED);
    coil_unref(runner);
    return 0;
}

TEST(runner_refuses_to_run_inside_a_loop)
{
    /* As run does, and consumes the coroutine. */
    EXPECT_RUN(runs_a_runner_inside(), 0);
}

/* ---- exit --------------------------------------------------------------------------------------- */

COIL_ASYNC(exits, (int, status))
{
    return coil_exit(status);
}

COIL_ASYNC(spawns_exit, (int, status))
{
    COIL_TRY(coil_spawn(lingers("other", 0)));
    COIL_TRY(coil_spawn(exits(status)));
    COIL_TRY(coil_sleep(5));
    note("never");
    return 0;
}

TEST(exit_leaves_the_loop_from_any_task)
{
    /* run gives it back with its status; the others are cancelled as at every end. */
    EXPECT_INT(steps_run(exits(9), NULL, NULL), COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 9);
    EXPECT_INT(steps_run(spawns_exit(5), NULL, NULL), COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 5);
    EXPECT_INT(reports_total(), 0);
    EXPECT_NOTES("other:COIL_ECANCELED other:clean");
}

static coil_coro *main_coro;

static int call_main(void)
{
    return coil_main(main_coro);
}

/* The status with which a process ends that calls coil_main; its words are in *end. */
static int main_status(coil_coro *coro, struct child_end *end)
{
    main_coro = coro;
    int status = exit_status_of(call_main, end);
    EXPECT_INT(coil_coro_close(coro), 0);
    return status;
}

COIL_ASYNC0(returns_text)
{
    coil_return("text");
}

TEST(main_gives_the_exit_status)
{
    /* What a shell sees; an error is printed, an exit is not. */
    static struct child_end end;
    EXPECT_INT(main_status(returns(0), &end), 0);
    EXPECT_STR(end.words, "");
    EXPECT_INT(main_status(returns(3), &end), 3);
    EXPECT_INT(main_status(returns(255), &end), 255);
    EXPECT_INT(main_status(returns(256), &end), 0);
    EXPECT_INT(main_status(returns(-1), &end), 0);
    EXPECT_INT(main_status(returns_text(), &end), 0);
    EXPECT_INT(main_status(exits(0), &end), 0);
    EXPECT_INT(main_status(exits(7), &end), 7);
    EXPECT_INT(main_status(spawns_exit(8), &end), 8);
    EXPECT_STR(end.words, "");
    EXPECT_INT(main_status(fails(COIL_EAPP), &end), 1);
    EXPECT(strstr(end.words, "on purpose") != NULL);
    EXPECT(strstr(end.words, "COIL_EAPP") != NULL);
    EXPECT_INT(main_status(fails(COIL_ECANCELED), &end), 1);
}

/* ---- Ctrl-C ------------------------------------------------------------------------------------- */

static void (*sigint_action(void))(int)
{
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    return action.sa_handler;
}

COIL_ASYNC0(is_interrupted)
{
    EXPECT(sigint_action() != SIG_DFL);
    kill(getpid(), SIGINT);
    int rc = coil_sleep(100);
    note("%s", coil_error_name(rc));
    COIL_TRY(coil_sleep(0));
    note("clean");
    return rc;
}

TEST(first_interrupt_cancels_main_and_run_says_so)
{
    /* main cleans up; the signal's action is then what it was. */
    EXPECT(sigint_action() == SIG_DFL);
    EXPECT_RUN_REAL(is_interrupted(), COIL_EINTERRUPT);
    EXPECT_NOTES("COIL_ECANCELED clean");
    EXPECT(sigint_action() == SIG_DFL);
}

COIL_ASYNC0(swallows_an_interrupt)
{
    kill(getpid(), SIGINT);
    EXPECT_INT(coil_sleep(100), COIL_ECANCELED);
    coil_return(4);
}

TEST(swallowed_interrupt_is_no_error)
{
    /* main has the last word, as in asyncio. */
    coil_value value;
    EXPECT_INT(steps_run(swallows_an_interrupt(), &value, &dropped), 0);
    EXPECT_INT(value.integer, 4);
    EXPECT(sigint_action() == SIG_DFL);
}

COIL_ASYNC0(is_interrupted_twice)
{
    kill(getpid(), SIGINT);
    EXPECT_INT(coil_sleep(100), COIL_ECANCELED);
    note("first");
    kill(getpid(), SIGINT);
    int rc = coil_sleep(100);
    note("%s", coil_error_name(rc)); /* of the shutdown */
    return rc;
}

TEST(second_interrupt_leaves_the_loop_at_once)
{
    /* Whatever main waits for then is cancelled by the shutdown. */
    EXPECT_INT(steps_run(is_interrupted_twice(), NULL, &dropped), COIL_EINTERRUPT);
    EXPECT_NOTES("first COIL_ECANCELED");
    EXPECT(sigint_action() == SIG_DFL);
}

COIL_ASYNC0(sleeps_long)
{
    return coil_sleep(100);
}

static void *interrupt_from_outside(void *arg)
{
    while (sigint_action() == SIG_DFL) /* on a busy machine run may not have got so far */
        usleep(1000);
    usleep(3000);
    kill(getpid(), SIGINT);
    return arg;
}

TEST(interrupt_wakes_a_loop_that_sleeps)
{
    /* The signal comes while the kernel waits, in another thread even. */
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, interrupt_from_outside, NULL) == 0);
    EXPECT_INT(steps_run(sleeps_long(), NULL, &dropped), COIL_EINTERRUPT);
    pthread_join(thread, NULL);
}

static void on_own(int signal_number)
{
    (void)signal_number;
}

COIL_ASYNC(expects_action, (bool, ours))
{
    EXPECT_INT(sigint_action() != SIG_DFL && sigint_action() != on_own, ours);
    return 0;
}

static void *run_in_thread(void *arg)
{
    EXPECT_INT(coil_run(expects_action(false), NULL), 0);
    return arg;
}

TEST(signal_is_taken_in_the_main_thread_and_from_the_default_only)
{
    /* The program's own handler, and its wish, come first. */
    struct sigaction own = { .sa_handler = on_own }, old;
    EXPECT_INT(coil_run(expects_action(true), NULL), 0);
    sigaction(SIGINT, &own, &old);
    EXPECT_INT(coil_run(expects_action(false), NULL), 0);
    EXPECT(sigint_action() == on_own);
    sigaction(SIGINT, &old, NULL);

    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.leave_sigint = true;
    EXPECT_INT(coil_run_with(expects_action(false), NULL, &options), 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, run_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

COIL_ASYNC0(raises_three_times)
{
    kill(getpid(), SIGINT);
    kill(getpid(), SIGINT);
    kill(getpid(), SIGINT);
    return 0;
}

TEST(main_ends_with_130_and_a_third_interrupt_kills)
{
    /* As a shell expects; and a program that is stuck in its own code can be ended. */
    static struct child_end end;
    EXPECT_INT(main_status(is_interrupted(), &end), 130);
    EXPECT_STR(end.words, "");
    EXPECT_INT(main_status(is_interrupted_twice(), &end), 130);
    EXPECT_INT(main_status(raises_three_times(), &end), -SIGINT);
}

static bool body_ran;

COIL_ASYNC0(notes_that_it_runs)
{
    body_ran = true;
    return 0;
}

TEST(run_that_fails_for_want_of_memory_leaves_nothing_scheduled)
{
    /* Else the next run would run what the caller was told cannot. */
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    bool failed = true;
    for (long nth = 2; failed; nth++) { /* the first is the coroutine object */
        body_ran = false;
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, notes_that_it_runs(), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
        EXPECT_INT(coil_all_tasks(loop, NULL, 0), 0);
        EXPECT_INT(coil_run_until_complete(loop, coil_sleep_coro(0, coil_nil()), NULL), 0);
        EXPECT_INT(body_ran, !failed);
    }
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- SIGTERM ------------------------------------------------------------------------------------ */

COIL_ASYNC0(is_terminated)
{
    kill(getpid(), SIGTERM);
    int rc = coil_sleep(100);
    note("%s", coil_error_name(rc));
    kill(getpid(), SIGTERM); /* changes nothing */
    COIL_TRY(coil_sleep(0.002));
    note("clean");
    return rc;
}

static int run_with_sigterm(coil_coro *coro)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.cancel_on_sigterm = true;
    return coil_run_with(coro, NULL, &options);
}

TEST(sigterm_cancels_main_once_if_asked_to)
{
    /* A service cleans up, however often its supervisor repeats itself. */
    struct sigaction now;
    EXPECT_INT(run_with_sigterm(is_terminated()), COIL_EINTERRUPT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EINTERRUPT)), SIGTERM);
    EXPECT_NOTES("COIL_ECANCELED clean");
    sigaction(SIGTERM, NULL, &now);
    EXPECT(now.sa_handler == SIG_DFL);
}

COIL_ASYNC0(is_terminated_and_interrupted)
{
    kill(getpid(), SIGTERM);
    EXPECT_INT(coil_sleep(100), COIL_ECANCELED);
    kill(getpid(), SIGINT);
    int rc = coil_sleep(100);
    note("%s", coil_error_name(rc)); /* of the shutdown */
    return rc;
}

TEST(interrupt_after_sigterm_leaves_the_loop_at_once)
{
    /* Somebody sits there and waits. */
    EXPECT_INT(run_with_sigterm(is_terminated_and_interrupted()), COIL_EINTERRUPT);
    EXPECT_NOTES("COIL_ECANCELED");
}

static int main_with_sigterm(void)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.cancel_on_sigterm = true;
    return coil_main_with(is_terminated(), &options);
}

static int main_without_sigterm(void)
{
    return coil_main(is_terminated());
}

TEST(main_ends_with_143_or_by_the_signal)
{
    /* As a shell counts; and without the option the signal does what it does to any program. */
    static struct child_end end;
    EXPECT_INT(exit_status_of(main_with_sigterm, &end), 143);
    EXPECT_STR(end.words, "");
    EXPECT_INT(exit_status_of(main_without_sigterm, &end), -SIGTERM);
}

static int note_own_interrupt(void *arg)
{
    (void)arg;
    note("own");
    return 0;
}

COIL_ASYNC0(handles_its_interrupts)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGINT, note_own_interrupt, NULL));
    kill(getpid(), SIGINT);
    COIL_TRY(coil_sleep(0.002));
    EXPECT_INT(coil_remove_signal_handler(NULL, SIGINT), 1);
    kill(getpid(), SIGINT);
    return coil_sleep(100);
}

COIL_ASYNC0(leaves_its_handler)
{
    return coil_add_signal_handler(NULL, SIGINT, note_own_interrupt, NULL);
}

TEST(handler_of_the_programs_own_comes_before_the_runs)
{
    /* Removed, it leaves the run's in place; left there, it goes with the loop, and with it all of ours. */
    EXPECT_INT(steps_run(handles_its_interrupts(), NULL, &dropped), COIL_EINTERRUPT);
    EXPECT_NOTES("own");
    EXPECT(sigint_action() == SIG_DFL);
    EXPECT_RUN_REAL(leaves_its_handler(), 0);
    EXPECT(sigint_action() == SIG_DFL);
}

TESTS_MAIN(RUN(run_that_fails_for_want_of_memory_leaves_nothing_scheduled),
           RUN(sigterm_cancels_main_once_if_asked_to),
           RUN(interrupt_after_sigterm_leaves_the_loop_at_once),
           RUN(main_ends_with_143_or_by_the_signal),
           RUN(handler_of_the_programs_own_comes_before_the_runs),
           RUN(run_gives_the_result_away_or_clears_it),
           RUN(error_of_the_coroutine_comes_out_with_its_record),
           RUN(run_of_nothing_fails_with_the_constructors_code), RUN(nested_run_is_refused),
           RUN(tasks_that_are_left_are_cancelled_and_waited_for),
           RUN(failure_during_shutdown_is_reported_and_hides_nothing),
           RUN(loop_stopped_before_main_is_done_is_an_error),
           RUN(run_until_complete_takes_futures_and_coroutines),
           RUN(runner_keeps_loop_and_context_between_runs), RUN(closed_runner_runs_nothing),
           RUN(options_choose_loop_and_debug_mode), RUN(runner_refuses_to_run_inside_a_loop),
           RUN(exit_leaves_the_loop_from_any_task), RUN(main_gives_the_exit_status),
           RUN(first_interrupt_cancels_main_and_run_says_so), RUN(swallowed_interrupt_is_no_error),
           RUN(second_interrupt_leaves_the_loop_at_once), RUN(interrupt_wakes_a_loop_that_sleeps),
           RUN(signal_is_taken_in_the_main_thread_and_from_the_default_only),
           RUN(main_ends_with_130_and_a_third_interrupt_kills))
