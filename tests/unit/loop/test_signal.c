/* Signals on the loop: who is called, in which order, what is lost, and what is left behind. */
#include "lib/steps.h"

#include <poll.h>
#include <pthread.h>

static void (*action_of(int number))(int)
{
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler;
}

static void send_signal(int number)
{
    kill(getpid(), number);
}

/* ---- calling back -------------------------------------------------------------------------------- */

COIL_ASYNC0(gets_signals_in_order)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "one"));
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR2, note_callback, "two"));
    send_signal(SIGUSR2);
    send_signal(SIGUSR1);
    send_signal(SIGUSR1);
    send_signal(SIGUSR2);
    note("sent");
    return coil_sleep(0.001);
}

TEST(callbacks_come_in_the_order_of_arrival)
{
    /* One for each arrival, and not before the code that was running has given way. */
    EXPECT_RUN_REAL(gets_signals_in_order(), 0);
    EXPECT_NOTES("sent two one one two");
    EXPECT(action_of(SIGUSR1) == SIG_DFL && action_of(SIGUSR2) == SIG_DFL);
}

COIL_ASYNC0(counts_turns_until_called)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "handler"));
    send_signal(SIGUSR1);
    for (int turn = 1; turn <= 4; turn++) {
        note("%d", turn);
        COIL_TRY(coil_sleep(0));
    }
    return 0;
}

TEST(callback_runs_in_the_turn_after_the_signal_was_seen)
{
    /* As in asyncio: the loop's own entry reads the signal and queues the callback. With a virtual clock
     * every turn polls. */
    EXPECT_RUN(counts_turns_until_called(), 0);
    EXPECT_NOTES("1 2 3 handler 4");
}

static coil_context_var *var;

static int note_context(void *arg)
{
    coil_value value;
    (void)arg;
    if (coil_context_var_get(var, &value) == 0)
        note("%d", (int)value.integer);
    return COIL_EAPP;
}

COIL_ASYNC0(has_a_context)
{
    COIL_TRY(coil_context_var_set(var, coil_int(1), NULL));
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_context, NULL));
    COIL_TRY(coil_context_var_set(var, coil_int(2), NULL));
    send_signal(SIGUSR1);
    return coil_sleep(0.001);
}

TEST(callback_has_the_context_of_its_adding_and_its_error_is_reported)
{
    /* It is a callback like every other. */
    var = coil_context_var_new("var");
    EXPECT_RUN_REPORTS(has_a_context(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_CALLBACK_FAILED], 1);
    EXPECT_NOTES("1");
    coil_unref(var);
}

/* ---- replacing, removing, refusing --------------------------------------------------------------- */

COIL_ASYNC0(replaces_and_removes)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "old"));
    send_signal(SIGUSR1);
    COIL_TRY(coil_sleep(0)); /* read, and queued for the old one */
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "new"));
    COIL_TRY(coil_sleep(0.001));
    send_signal(SIGUSR1);
    EXPECT_INT(coil_remove_signal_handler(NULL, SIGUSR1), 1);
    EXPECT_INT(coil_remove_signal_handler(NULL, SIGUSR1), 0);
    EXPECT(action_of(SIGUSR1) == SIG_DFL);
    COIL_TRY(coil_sleep(0.001));
    note("removed");
    return 0;
}

TEST(replaced_handler_is_not_called_and_removed_one_never)
{
    /* Their arguments may be gone; what had arrived goes to the new one. */
    EXPECT_RUN(replaces_and_removes(), 0);
    EXPECT_NOTES("new removed");
}

static int remove_itself(void *arg)
{
    note("called");
    EXPECT_INT(coil_remove_signal_handler(NULL, SIGUSR1), 1);
    (void)arg;
    return 0;
}

COIL_ASYNC0(removes_in_the_callback)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, remove_itself, NULL));
    send_signal(SIGUSR1);
    send_signal(SIGUSR1);
    return coil_sleep(0.001);
}

TEST(handler_may_remove_itself)
{
    /* The second arrival is queued behind the first and must not run. */
    EXPECT_RUN_REAL(removes_in_the_callback(), 0);
    EXPECT_NOTES("called");
}

COIL_ASYNC0(adds_what_cannot_be)
{
    static const int faults[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        EXPECT_INT(coil_add_signal_handler(NULL, faults[i], note_callback, ""), COIL_ERUNTIME);
    static const int wrong[] = { 0, -1, 65, 1000 };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_INT(coil_add_signal_handler(NULL, wrong[i], note_callback, ""), COIL_EINVAL);
        EXPECT_INT(coil_remove_signal_handler(NULL, wrong[i]), COIL_EINVAL);
    }
    EXPECT_INT(coil_add_signal_handler(NULL, SIGUSR1, NULL, ""), COIL_EINVAL);
    EXPECT(action_of(SIGUSR1) == SIG_DFL);
    coil_loop *other = coil_new_event_loop();
    EXPECT_INT(coil_add_signal_handler(NULL, SIGUSR1, note_callback, ""), 0);
    EXPECT_INT(coil_add_signal_handler(other, SIGUSR1, note_callback, ""), -EBUSY);
    EXPECT_INT(coil_remove_signal_handler(NULL, SIGUSR1), 1);
    EXPECT_INT(coil_add_signal_handler(other, SIGUSR1, note_callback, ""), 0);
    EXPECT_INT(coil_loop_close(other), 0);
    EXPECT_INT(coil_add_signal_handler(other, SIGUSR1, note_callback, ""), COIL_ECLOSED);
    coil_unref(other);
    EXPECT(action_of(SIGUSR1) == SIG_DFL);
    return 0;
}

TEST(what_cannot_be_handled_is_refused)
{
    /* And leaves nothing in place. */
    EXPECT_RUN(adds_what_cannot_be(), 0);
    EXPECT_INT(coil_add_signal_handler(NULL, SIGUSR1, note_callback, ""), COIL_ENOLOOP);
}

/* ---- beside others ------------------------------------------------------------------------------- */

static volatile sig_atomic_t foreign_calls;

static void foreign(int number)
{
    (void)number;
    foreign_calls = foreign_calls + 1;
}

COIL_ASYNC(handles_beside_others, (bool, replaced))
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "ours"));
    send_signal(SIGUSR1);
    COIL_TRY(coil_sleep(0.001));
    if (replaced) {
        struct sigaction theirs = { .sa_handler = foreign };
        sigaction(SIGUSR1, &theirs, NULL);
    }
    return 0; /* removed by the loop's end */
}

TEST(action_of_before_comes_back_unless_somebody_replaced_it)
{
    /* Coil is a guest: another library's handler is where it was. */
    struct sigaction theirs = { .sa_handler = foreign }, now;
    sigaction(SIGUSR1, &theirs, NULL);
    EXPECT_RUN_REAL(handles_beside_others(false), 0);
    EXPECT_NOTES("ours");
    EXPECT_INT(foreign_calls, 0);
    sigaction(SIGUSR1, NULL, &now);
    EXPECT(now.sa_handler == foreign);
    send_signal(SIGUSR1);
    EXPECT_INT(foreign_calls, 1);

    signal(SIGUSR1, SIG_DFL);
    EXPECT_RUN_REAL(handles_beside_others(true), 0);
    EXPECT_NOTES("ours");
    EXPECT(action_of(SIGUSR1) == foreign);
    signal(SIGUSR1, SIG_DFL);
}

TEST(errno_survives_a_signal)
{
    /* The handler may strike between a failing call and the look at errno. */
    coil_loop *loop = coil_new_event_loop();
    EXPECT_INT(coil_add_signal_handler(loop, SIGUSR1, note_callback, ""), 0);
    errno = EXDEV;
    send_signal(SIGUSR1);
    EXPECT_INT(errno, EXDEV);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- threads ------------------------------------------------------------------------------------- */

static void *send_to_sleeper(void *arg)
{
    usleep(3000);
    send_signal(*(int *)arg);
    return arg;
}

COIL_ASYNC(waits_for_signals, (int, number), (int, other))
{
    int got = coil_wait_signal(number, other);
    note("%s", got == number ? "expected" : coil_error_name(got));
    return got < 0 ? got : 0;
}

static void *run_waiter(void *arg)
{
    EXPECT_INT(steps_run(waits_for_signals(*(int *)arg, SIGUSR2), NULL, &dropped), 0);
    return arg;
}

TEST(signal_wakes_a_sleeping_loop_in_any_thread)
{
    /* The system interrupts some thread; the loop may sleep in another one. */
    int number = SIGUSR1;
    pthread_t sender, runner;
    sigset_t all, old;
    REQUIRE(pthread_create(&runner, NULL, run_waiter, &number) == 0);
    while (action_of(number) == SIG_DFL)
        usleep(100);
    REQUIRE(pthread_create(&sender, NULL, send_to_sleeper, &number) == 0);
    pthread_join(sender, NULL);
    pthread_join(runner, NULL);
    EXPECT_NOTES("expected");

    /* And when only the loop's own thread can take it. */
    REQUIRE(pthread_create(&runner, NULL, run_waiter, &number) == 0);
    while (action_of(number) == SIG_DFL)
        usleep(100);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    send_signal(number);
    pthread_join(runner, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    EXPECT_NOTES("expected");
}

/* ---- waiting ------------------------------------------------------------------------------------- */

COIL_ASYNC0(several_wait)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "handler"));
    COIL_TRY(coil_spawn(waits_for_signals(SIGUSR1, SIGUSR2)));
    COIL_TRY(coil_spawn(waits_for_signals(SIGUSR1, SIGUSR1)));
    COIL_TRY(coil_sleep(0));
    send_signal(SIGUSR1);
    COIL_TRY(coil_sleep(1));
    EXPECT(action_of(SIGUSR2) == SIG_DFL); /* nobody waits any more */
    EXPECT(action_of(SIGUSR1) != SIG_DFL); /* the handler stays */
    return 0;
}

TEST(all_who_wait_are_told_and_the_handler_is_called)
{
    /* Parts of a program need not know of one another. */
    EXPECT_RUN(several_wait(), 0);
    EXPECT_NOTES("expected expected handler");
}

COIL_ASYNC0(cancels_waits)
{
    coil_task *task = coil_create_task(waits_for_signals(SIGUSR1, SIGUSR2));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    EXPECT(action_of(SIGUSR1) == SIG_DFL && action_of(SIGUSR2) == SIG_DFL);
    EXPECT_INT(coil_wait_signals(NULL, 0), COIL_EINVAL);
    int rc = coil_wait_signal(SIGUSR1, SIGKILL);
    EXPECT_INT(rc, COIL_ERUNTIME);
    EXPECT(action_of(SIGUSR1) == SIG_DFL);
    return 0;
}

TEST(cancelled_wait_gives_the_signals_back)
{
    /* Or Ctrl-C would do nothing from then on. */
    EXPECT_RUN(cancels_waits(), 0);
    EXPECT_NOTES("COIL_ECANCELED");
    int rc = coil_wait_signal(SIGUSR1);
    EXPECT_INT(rc, COIL_ENOTASK);
}

COIL_ASYNC0(signal_and_then_sleep)
{
    int got = coil_wait_signal(SIGUSR1);
    EXPECT_INT(got, SIGUSR1);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    return COIL_ECANCELED;
}

static int cancel_task(void *task)
{
    coil_task_cancel(task, NULL);
    return 0;
}

COIL_ASYNC0(cancels_too_late)
{
    coil_task *task = coil_create_task(signal_and_then_sleep());
    COIL_TRY(coil_sleep(0));
    send_signal(SIGUSR1);
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, cancel_task, task));
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return 0;
}

TEST(signal_that_came_before_the_cancellation_is_not_lost)
{
    /* The caller is told of both, one after the other. */
    EXPECT_RUN(cancels_too_late(), 0);
}

/* ---- storms -------------------------------------------------------------------------------------- */

enum {
    STORM = 100000
};
static int storm_calls;

static int count_storm(void *arg)
{
    (void)arg;
    storm_calls++;
    return 0;
}

COIL_ASYNC0(meets_a_storm)
{
    storm_calls = 0;
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, count_storm, NULL));
    for (int i = 0; i < STORM; i++)
        send_signal(SIGUSR1); /* delivered before kill returns: nothing is merged */
    EXPECT_INT(storm_calls, 0);
    while (storm_calls < STORM)
        COIL_TRY(coil_sleep(0.001));
    COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(storm_calls, STORM);
    return 0;
}

TEST(storm_that_the_loop_cannot_look_at_is_counted)
{
    /* A hundred times what the ring holds. */
    EXPECT_RUN_REAL(meets_a_storm(), 0);
}

static void *send_storm(void *arg)
{
    /* Kept from other threads, so that this one's arrivals are not merged with the other's. */
    for (int i = 0; i < STORM / 2; i++)
        pthread_kill(pthread_self(), *(int *)arg);
    return arg;
}

COIL_ASYNC0(meets_storms_of_threads)
{
    static int numbers[] = { SIGUSR1, SIGUSR2 };
    pthread_t threads[2];
    storm_calls = 0;
    for (int i = 0; i < 2; i++)
        COIL_TRY(coil_add_signal_handler(NULL, numbers[i], count_storm, NULL));
    for (int i = 0; i < 2; i++)
        EXPECT(pthread_create(&threads[i], NULL, send_storm, &numbers[i]) == 0);
    while (storm_calls < STORM)
        COIL_TRY(coil_sleep(0.0001));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(storm_calls, STORM);
    return 0;
}

TEST(storms_of_two_threads_lose_nothing)
{
    /* Handlers of both claim slots of the ring while the loop empties it. */
    EXPECT_RUN_REAL(meets_storms_of_threads(), 0);
}

/* ---- embedded, and without memory ----------------------------------------------------------------- */

TEST(embedded_loop_is_ready_when_a_signal_has_come)
{
    /* The host polls the descriptor and knows nothing of signals. */
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    int fd = coil_loop_fd(loop);
    if (fd < 0) {
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        SKIP("the backend has no descriptor");
    }
    EXPECT_INT(coil_add_signal_handler(loop, SIGUSR1, note_callback, "called"), 0);
    while (coil_loop_step(loop, 0) > 0)
        continue;
    struct pollfd one = { .fd = fd, .events = POLLIN };
    EXPECT_INT(poll(&one, 1, 0), 0);
    send_signal(SIGUSR1);
    EXPECT_INT(poll(&one, 1, 1000), 1);
    while (coil_loop_step(loop, 0) > 0)
        continue;
    EXPECT_NOTES("called");
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

COIL_ASYNC0(delivers_without_memory)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGUSR1, note_callback, "handler"));
    send_signal(SIGUSR1);
    coil_testing_fail_alloc(1);
    for (int turn = 0; turn < 3; turn++)
        COIL_TRY(coil_sleep(0));
    EXPECT(coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    return coil_sleep(0.001);
}

TEST(arrival_waits_for_memory)
{
    /* A signal is not lost because there is none for its callback. */
    EXPECT_RUN(delivers_without_memory(), 0);
    EXPECT_NOTES("handler");
}

TEST(adding_survives_every_failed_allocation)
{
    /* What is left behind is the action of before, and no memory. */
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = coil_new_event_loop();
        coil_testing_fail_alloc(nth);
        int rc = coil_add_signal_handler(loop, SIGUSR1, note_callback, "");
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || rc == COIL_ENOMEM);
        EXPECT(rc == 0 || action_of(SIGUSR1) == SIG_DFL);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT(action_of(SIGUSR1) == SIG_DFL);
        EXPECT_INT(steps_blocks(), blocks);
    }
}

TESTS_MAIN(RUN(callbacks_come_in_the_order_of_arrival),
           RUN(callback_runs_in_the_turn_after_the_signal_was_seen),
           RUN(callback_has_the_context_of_its_adding_and_its_error_is_reported),
           RUN(replaced_handler_is_not_called_and_removed_one_never),
           RUN(handler_may_remove_itself), RUN(what_cannot_be_handled_is_refused),
           RUN(action_of_before_comes_back_unless_somebody_replaced_it),
           RUN(errno_survives_a_signal), RUN(signal_wakes_a_sleeping_loop_in_any_thread),
           RUN(all_who_wait_are_told_and_the_handler_is_called),
           RUN(cancelled_wait_gives_the_signals_back),
           RUN(signal_that_came_before_the_cancellation_is_not_lost),
           RUN(storm_that_the_loop_cannot_look_at_is_counted),
           RUN(storms_of_two_threads_lose_nothing),
           RUN(embedded_loop_is_ready_when_a_signal_has_come), RUN(arrival_waits_for_memory),
           RUN(adding_survives_every_failed_allocation))
