/* run_threads: many loops begin, end, fail and are interrupted together. */
#include "lib/steps.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOPS = 3
};

/* What the mains of a test do, each by its index, and what they did. */
struct plan {
    coil_coro *(*main_of[LOOPS])(struct plan *plan, int index);
    atomic_int begun, cancelled, ended;
    atomic_int waiting; /* mains that wait for ever */
    pthread_t threads[LOOPS];
};

static coil_coro *make_main(void *arg, int index)
{
    struct plan *plan = arg;
    atomic_fetch_add(&plan->begun, 1);
    plan->threads[index] = pthread_self();
    return plan->main_of[index](plan, index);
}

COIL_ASYNC(waits_for_ever, (struct plan *, plan), (int, index))
{
    (void)index;
    atomic_fetch_add(&plan->waiting, 1);
    int rc = coil_sleep(1e6);
    if (rc == COIL_ECANCELED)
        atomic_fetch_add(&plan->cancelled, 1);
    if (rc < 0)
        COIL_SHIELDED(1, coil_sleep(0)); /* it may clean up */
    atomic_fetch_add(&plan->ended, 1);
    return rc;
}

static int wait_for_others(struct plan *plan)
{
    while (atomic_load(&plan->waiting) < LOOPS - 1)
        COIL_TRY(coil_sleep(0.0005));
    return 0;
}

COIL_ASYNC(returns, (struct plan *, plan), (int, index))
{
    (void)index;
    COIL_TRY(coil_sleep(0));
    atomic_fetch_add(&plan->ended, 1);
    return 0;
}

COIL_ASYNC(fails, (struct plan *, plan), (int, index))
{
    COIL_TRY(wait_for_others(plan));
    return coil_raise(COIL_EAPP, "main %d failed", index);
}

COIL_ASYNC(exits, (struct plan *, plan), (int, index))
{
    (void)index;
    COIL_TRY(wait_for_others(plan));
    return coil_exit(7);
}

static coil_coro *fails_to_make(struct plan *plan, int index)
{
    (void)plan;
    (void)index;
    coil_raise(COIL_EFULL, "no room");
    return NULL;
}

/* ---- the end ------------------------------------------------------------------------------------ */

TEST(each_main_runs_in_a_thread_of_its_own)
{
    /* That is what it is for. */
    struct plan plan = { .main_of = { returns, returns, returns } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, NULL), 0);
    EXPECT_INT(plan.begun, LOOPS);
    EXPECT_INT(plan.ended, LOOPS);
    for (int i = 0; i < LOOPS; i++)
        EXPECT(!pthread_equal(plan.threads[i], pthread_self()));
    EXPECT_PTR(coil_get_running_loop(), NULL);
}

TEST(first_failure_cancels_the_others_and_is_returned)
{
    /* A server of which one loop is gone would lose connections silently. */
    struct plan plan = { .main_of = { waits_for_ever, fails, waits_for_ever } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "main 1 failed");
    EXPECT_INT(plan.cancelled, LOOPS - 1);
    EXPECT_INT(plan.ended, LOOPS - 1);
}

TEST(main_that_cannot_be_made_ends_the_others)
{
    /* The constructor's error explains it. */
    struct plan plan = { .main_of = { waits_for_ever, waits_for_ever, fails_to_make } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, NULL), COIL_EFULL);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EFULL)), "no room");
}

TEST(exit_of_one_ends_all_with_its_status)
{
    /* A main that has reason to stop the program needs no way of its own to tell the others. */
    struct plan plan = { .main_of = { exits, waits_for_ever, waits_for_ever } };
    EXPECT_INT(coil_main_threads(LOOPS, make_main, &plan, NULL), 7);
    EXPECT_INT(plan.cancelled, LOOPS - 1);
}

/* ---- signals ------------------------------------------------------------------------------------ */

COIL_ASYNC(sends, (struct plan *, plan), (int, number))
{
    COIL_TRY(wait_for_others(plan));
    kill(getpid(), number);
    int rc = coil_sleep(1e6);
    atomic_fetch_add(&plan->cancelled, rc == COIL_ECANCELED);
    return rc;
}

static coil_coro *sends_sigint(struct plan *plan, int index)
{
    (void)index;
    return sends(plan, SIGINT);
}

static coil_coro *sends_sigterm(struct plan *plan, int index)
{
    (void)index;
    return sends(plan, SIGTERM);
}

TEST(signals_cancel_all_mains)
{
    /* Supervisors send SIGTERM, people press Ctrl-C; all loops clean up at the same time. */
    struct plan term = { .main_of = { waits_for_ever, sends_sigterm, waits_for_ever } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &term, NULL), COIL_EINTERRUPT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EINTERRUPT)), SIGTERM);
    EXPECT_INT(term.cancelled, LOOPS);
    struct plan interrupt = { .main_of = { sends_sigint, waits_for_ever, waits_for_ever } };
    EXPECT_INT(coil_main_threads(LOOPS, make_main, &interrupt, NULL), 128 + SIGINT);
    EXPECT_INT(interrupt.cancelled, LOOPS);
}

/* Does not listen to the first request; tells when it has come. */
COIL_ASYNC(ignores_one, (struct plan *, plan), (int, index))
{
    (void)index;
    atomic_fetch_add(&plan->waiting, 1);
    int rc = coil_sleep(1e6);
    EXPECT_INT(rc, COIL_ECANCELED);
    if (atomic_fetch_add(&plan->cancelled, 1) == LOOPS - 1)
        kill(getpid(), SIGINT);
    rc = coil_sleep(1e6);
    atomic_fetch_add(&plan->ended, 1);
    return rc;
}

COIL_ASYNC(sends_and_ignores, (struct plan *, plan), (int, index))
{
    COIL_TRY(wait_for_others(plan));
    kill(getpid(), SIGINT);
    return coil_await(ignores_one(plan, index), NULL);
}

TEST(second_interrupt_leaves_all_loops)
{
    /* Mains that do not listen must not keep a person from ending the program. */
    struct plan plan = { .main_of = { ignores_one, ignores_one, sends_and_ignores } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, NULL), COIL_EINTERRUPT);
    EXPECT_INT(plan.ended, LOOPS);
}

/* ---- the beginning ------------------------------------------------------------------------------ */

TEST(loops_that_cannot_all_be_made_do_not_begin)
{
    /* Half of a server is worse than none: here descriptors run out after a few loops. */
    struct rlimit old, few;
    struct plan plan = { .main_of = { returns, returns, returns } };
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    int fd = dup(0);
    few = (struct rlimit){ (rlim_t)fd + 3, old.rlim_max };
    close(fd);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int rc = coil_run_threads(64, make_main, &plan, NULL);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
    if (rc == 0)
        SKIP("this backend needs no descriptors");
    EXPECT_INT(rc, -EMFILE);
    EXPECT_INT(plan.begun, 0);
}

COIL_ASYNC0(runs_threads)
{
    struct plan plan = { .main_of = { returns, returns, returns } };
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, NULL), COIL_ENESTED);
    return plan.begun;
}

TEST(misuse_is_refused)
{
    /* In a coroutine it would block the loop. */
    struct plan plan = { .main_of = { returns, returns, returns } };
    EXPECT_INT(coil_run_threads(-1, make_main, &plan, NULL), COIL_EINVAL);
    EXPECT_INT(coil_run_threads(100000, make_main, &plan, NULL), COIL_EINVAL);
    EXPECT_INT(coil_run_threads(1, NULL, NULL, NULL), COIL_EINVAL);
    EXPECT_INT(plan.begun, 0);
    EXPECT_RUN(runs_threads(), 0);
}

COIL_ASYNC(notes_processors, (struct plan *, plan), (int, index))
{
    cpu_set_t own;
    (void)index;
    EXPECT_INT(sched_getaffinity(0, sizeof own, &own), 0);
    EXPECT_INT(CPU_COUNT(&own), 1);
    atomic_fetch_add(&plan->ended, 1);
    return 0;
}

TEST(pinned_threads_keep_to_one_processor)
{
    /* Also when there are more loops than processors. */
    struct plan plan = { .main_of = { notes_processors, notes_processors, notes_processors } };
    coil_threads_options options = COIL_THREADS_OPTIONS_INIT;
    options.pin = true;
    EXPECT_INT(coil_run_threads(LOOPS, make_main, &plan, &options), 0);
    EXPECT_INT(plan.ended, LOOPS);
}

/* ---- numbers ------------------------------------------------------------------------------------ */

COIL_ASYNC(reads_metrics, (struct plan *, plan), (int, index))
{
    coil_metrics all[LOOPS], own = COIL_METRICS_INIT;
    (void)index;
    COIL_TRY(wait_for_others(plan));
    EXPECT_INT(coil_run_threads_metrics(NULL, 0), LOOPS);
    EXPECT_INT(coil_run_threads_metrics(all, LOOPS), LOOPS);
    COIL_TRY(coil_loop_metrics(NULL, &own));
    EXPECT_INT(all[1].tasks_created, 1);
    EXPECT_INT(all[1].tasks_done, 0);
    EXPECT_INT(own.tasks_created, 1);
    return coil_exit(0);
}

TEST(one_loop_reads_the_numbers_of_all)
{
    /* A service has one page for its metrics, on whatever loop the request arrives. */
    struct plan plan = { .main_of = { reads_metrics, waits_for_ever, waits_for_ever } };
    EXPECT_INT(coil_main_threads(LOOPS, make_main, &plan, NULL), 0);
    EXPECT_INT(coil_run_threads_metrics(NULL, 0), 0);
}

TESTS_MAIN(RUN(each_main_runs_in_a_thread_of_its_own),
           RUN(first_failure_cancels_the_others_and_is_returned),
           RUN(main_that_cannot_be_made_ends_the_others), RUN(exit_of_one_ends_all_with_its_status),
           RUN(signals_cancel_all_mains), RUN(second_interrupt_leaves_all_loops),
           RUN(loops_that_cannot_all_be_made_do_not_begin), RUN(misuse_is_refused),
           RUN(pinned_threads_keep_to_one_processor), RUN(one_loop_reads_the_numbers_of_all))
