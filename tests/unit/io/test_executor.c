/* Jobs in threads: whose arguments and results they are, what cancelling does and does not, and how pools
 * end. What is lost here is lost silently. */
#include "lib/steps.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

static sem_t started, gate;
static atomic_int runs;
static atomic_int ends; /* of values and arguments; in whatever thread */

static void count_end(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ends, 1);
}

static void reset(void)
{
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    atomic_store(&runs, 0);
    atomic_store(&ends, 0);
    notes_[0] = '\0';
}

static coil_executor *pool_of(unsigned workers, size_t max_queued)
{
    coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;
    options.max_workers = workers;
    options.max_queued = max_queued;
    options.thread_name_prefix = "a-rather-long-prefix";
    return coil_thread_pool_executor_new(&options);
}

/* ---- jobs ----------------------------------------------------------------------------------------- */

COIL_JOB(add, (int, a), (double, b))
{
    atomic_fetch_add(&runs, 1);
    coil_return(a + b);
}

COIL_JOB0(gated)
{
    atomic_fetch_add(&runs, 1);
    sem_post(&started);
    sem_wait(&gate);
    coil_return(coil_pointer_owned(&gate, count_end));
}

COIL_JOB(ends_with, (int, rc))
{
    return rc;
}

COIL_JOB(raises, (const char *, what))
{
    int rc = coil_raise(-ENOENT, "%s", what);
    return coil_raise_from(rc, COIL_EAPP, "cannot read");
}

COIL_JOB(names_its_thread, (char *, name))
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    EXPECT(sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM));
    pthread_getname_np(pthread_self(), name, 16);
    return 0;
}

/* A job that owns what its argument points to: counts the end of it. */
static int use_owned(void *arg, coil_value *result_out)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    *result_out = coil_int(7);
    return 0;
}
static coil_job *owning(void)
{
    return coil_job_call(use_owned, NULL, count_end);
}

/* ---- results -------------------------------------------------------------------------------------- */

COIL_ASYNC0(gets_results)
{
    coil_value value;
    char name[16];
    COIL_TRY(coil_to_thread(add(2, 0.5), &value));
    EXPECT_DOUBLE(value.number, 2.5);
    COIL_TRY(coil_to_thread(ends_with(3), &value));
    EXPECT_INT(value.integer, 3);
    COIL_TRY(coil_to_thread(ends_with(0), &value));
    EXPECT_INT(value.kind, COIL_NIL);
    COIL_TRY(coil_to_thread(names_its_thread(name), NULL));
    EXPECT_STR(name, "coil_0"); /* one thread was enough for all of them */
    EXPECT_INT(coil_to_thread(ends_with(COIL_EEND), NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_to_thread(ends_with(-EPIPE), NULL), -EPIPE);
    EXPECT_INT(coil_to_thread(ends_with(COIL_ECANCELED), NULL), COIL_ECANCELED);
    EXPECT_INT(coil_to_thread(NULL, NULL), COIL_ENOMEM);
    return 0;
}

TEST(result_of_a_thread_comes_to_whoever_awaits_it)
{
    reset();
    EXPECT_RUN(gets_results(), 0);
}

COIL_ASYNC0(owns_results)
{
    coil_value value;
    sem_post(&gate);
    COIL_TRY(coil_to_thread(gated(), &value));
    EXPECT_INT(atomic_load(&ends), 0);
    coil_value_clear(&value);
    EXPECT_INT(atomic_load(&ends), 1);
    sem_post(&gate);
    COIL_TRY(coil_to_thread(gated(), NULL));
    EXPECT_INT(atomic_load(&ends), 2);
    COIL_TRY(coil_to_thread(owning(), &value));
    EXPECT_INT(atomic_load(&ends), 3);
    coil_unref(owning()); /* never submitted */
    EXPECT_INT(atomic_load(&ends), 4);
    EXPECT_INT(atomic_load(&runs), 3);
    return 0;
}

TEST(results_and_arguments_are_given_back_exactly_once)
{
    reset();
    EXPECT_RUN(owns_results(), 0);
}

COIL_ASYNC0(sees_errors)
{
    const char *function;
    EXPECT_INT(coil_to_thread(raises("no file"), NULL), COIL_EAPP);
    coil_error *error = coil_error_current(COIL_EAPP);
    if (!EXPECT(error != NULL))
        return 0;
    EXPECT_STR(coil_error_message(error), "cannot read");
    EXPECT(coil_error_place(error, NULL, NULL, &function));
    EXPECT_STR(function, "raises_body");
    EXPECT_STR(coil_error_message(coil_error_cause(error)), "no file");
    return 0;
}

TEST(error_of_a_thread_keeps_its_message_place_and_cause)
{
    reset();
    EXPECT_RUN(sees_errors(), 0);
}

/* ---- context variables ---------------------------------------------------------------------------- */

static coil_context_var *var;

COIL_JOB0(swaps_var)
{
    coil_value seen;
    COIL_TRY(coil_context_var_get(var, &seen));
    COIL_TRY(coil_context_var_set(var, coil_int(seen.integer + 1), NULL));
    coil_return(seen.integer);
}

static int swap_in(coil_executor *pool, coil_job *job)
{
    coil_value value;
    coil_future *future = coil_run_in_executor(NULL, pool, job);
    COIL_TRY(coil_await(future, &value));
    coil_unref(future);
    return (int)value.integer;
}

COIL_ASYNC0(carries_contexts)
{
    coil_executor *pool = pool_of(1, 0);
    coil_context *other = coil_context_new();
    coil_job *job = swaps_var();
    COIL_TRY(coil_context_var_set(var, coil_int(5), NULL));
    EXPECT_INT(coil_job_set_context(job, NULL), 0);
    EXPECT_INT(swap_in(pool, job), 5);
    EXPECT_INT(swap_in(pool, swaps_var()), 1); /* the job before has left nothing in the thread */
    job = swaps_var();
    EXPECT_INT(coil_job_set_context(job, NULL), 0);
    EXPECT_INT(coil_job_set_context(job, other), 0);
    EXPECT_INT(swap_in(pool, job), 1);
    coil_value value;
    COIL_TRY(coil_context_var_get(var, &value));
    EXPECT_INT(value.integer, 5);
    coil_unref(other);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
    return 0;
}

TEST(context_goes_along_if_asked_and_stays_apart)
{
    reset();
    var = coil_context_var_new_default("var", coil_int(1));
    EXPECT_RUN(carries_contexts(), 0);
    coil_context_var_free(var);
}

/* ---- cancelling ------------------------------------------------------------------------------------- */

COIL_ASYNC0(waits_for_gated)
{
    return coil_to_thread(gated(), NULL);
}

COIL_ASYNC0(cancels_the_wait)
{
    coil_task *task = coil_create_task(waits_for_gated());
    COIL_TRY(coil_sleep(0));
    sem_wait(&started);
    coil_task_cancel(task, "enough");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "enough");
    coil_unref(task);
    EXPECT_INT(atomic_load(&ends), 0); /* the job goes on */
    sem_post(&gate);
    COIL_TRY(coil_shutdown_default_executor(COIL_NO_TIMEOUT));
    EXPECT_INT(atomic_load(&ends), 1); /* and its late result is gone */
    return 0;
}

TEST(cancelled_wait_returns_at_once_and_the_late_result_is_dropped)
{
    reset();
    EXPECT_RUN(cancels_the_wait(), 0);
}

COIL_ASYNC0(cancels_what_is_queued)
{
    coil_executor *pool = pool_of(1, 1);
    coil_future *first = coil_run_in_executor(NULL, pool, gated());
    sem_wait(&started);
    coil_future *queued = coil_run_in_executor(NULL, pool, owning());
    EXPECT_PTR(coil_run_in_executor(NULL, pool, owning()), NULL);
    EXPECT_INT(coil_error_last(), COIL_EFULL);
    EXPECT_INT(atomic_load(&ends), 1);
    coil_future_cancel(queued, NULL);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(atomic_load(&ends), 2);
    coil_unref(queued);

    queued = coil_run_in_executor(NULL, pool, owning()); /* there is room again */
    if (!EXPECT(queued != NULL))
        return 0;
    sem_post(&gate);
    COIL_TRY(coil_await(first, NULL));
    COIL_TRY(coil_await(queued, NULL));
    EXPECT_INT(atomic_load(&runs), 2);
    coil_unref(queued);
    coil_unref(first);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
    return 0;
}

TEST(queue_is_bounded_and_a_cancelled_job_makes_room)
{
    reset();
    EXPECT_RUN(cancels_what_is_queued(), 0);
}

/* ---- the end of pools ------------------------------------------------------------------------------- */

COIL_ASYNC0(shuts_down_with_jobs)
{
    coil_executor *pool = pool_of(1, 0);
    coil_future *running = coil_run_in_executor(NULL, pool, gated());
    coil_future *queued = coil_run_in_executor(NULL, pool, owning());
    sem_wait(&started);
    EXPECT_INT(coil_executor_shutdown(pool, 0, true), 0);
    EXPECT_INT(coil_await(queued, NULL), COIL_ECANCELED);
    EXPECT_INT(atomic_load(&ends), 1);
    EXPECT_PTR(coil_run_in_executor(NULL, pool, owning()), NULL);
    EXPECT_INT(coil_error_last(), COIL_ERUNTIME);
    EXPECT_INT(coil_executor_shutdown(pool, 0.01, false), COIL_ETIMEDOUT);
    sem_post(&gate);
    COIL_TRY(coil_await(running, NULL));
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    EXPECT_INT(coil_executor_shutdown(pool, 1, true), 0);
    coil_unref(queued);
    coil_unref(running);
    coil_unref(pool);
    return 0;
}

TEST(shutdown_cancels_what_waits_and_honours_its_limit)
{
    reset();
    EXPECT_RUN(shuts_down_with_jobs(), 0);
}

COIL_ASYNC0(has_a_stuck_thread)
{
    coil_task *task = coil_create_task(waits_for_gated());
    COIL_TRY(coil_sleep(0));
    sem_wait(&started);
    COIL_TRY(coil_shutdown_default_executor(0.01));
    EXPECT_INT(reports[COIL_EVENT_EXECUTOR_STUCK], 1);
    EXPECT_INT(coil_to_thread(owning(), NULL), COIL_ERUNTIME);
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return 0;
}

/* Waits until a thread that nobody can join has given back what it holds. */
static void await_blocks(size_t blocks)
{
    while (steps_blocks() != blocks)
        sched_yield();
}

TEST(stuck_thread_does_not_keep_the_run_from_ending)
{
    reset();
    size_t blocks = steps_blocks();
    EXPECT_INT(steps_run(has_a_stuck_thread(), NULL, &gate), 0);
    EXPECT_INT(reports_total(), 1);
    sem_post(&gate);
    await_blocks(blocks);
    EXPECT_INT(atomic_load(&ends), 2);
}

COIL_ASYNC0(leaves_a_job)
{
    coil_future *future = coil_run_in_executor(NULL, NULL, gated());
    sem_wait(&started);
    coil_unref(future);
    return 0;
}

TEST(loop_may_be_closed_while_its_jobs_run)
{
    /* What a job brings then has nowhere to go, and must not go there. */
    reset();
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_run_until_complete(loop, leaves_a_job(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    sem_post(&gate);
    await_blocks(blocks);
    EXPECT_INT(atomic_load(&ends), 1);
}

COIL_ASYNC0(waits_while_closed)
{
    int rc = coil_to_thread(gated(), NULL);
    note("%s", coil_error_name(rc));
    EXPECT_INT(coil_to_thread(owning(), NULL), COIL_ECLOSED);
    return rc;
}

TEST(task_that_waits_for_a_thread_is_closed_with_its_loop)
{
    reset();
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *task = coil_create_task_with(loop, waits_while_closed(), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    sem_wait(&started);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_NOTES("COIL_ECLOSING");
    coil_unref(task);
    coil_unref(loop);
    sem_post(&gate);
    await_blocks(blocks);
    EXPECT_INT(atomic_load(&ends), 2);
}

TEST(last_reference_ends_a_pool_without_waiting)
{
    reset();
    size_t blocks = steps_blocks();
    coil_executor *pool = pool_of(2, 0);
    for (int i = 0; i < 4; i++)
        coil_unref(coil_executor_submit(pool, gated()));
    coil_unref(coil_executor_submit(pool, owning()));
    coil_unref(pool);
    for (int i = 0; i < 4; i++)
        sem_post(&gate);
    await_blocks(blocks);
    EXPECT_INT(atomic_load(&ends), 5); /* what was queued was done all the same */
}

static void submit_and_finish(coil_executor *pool, int count)
{
    coil_concurrent_future *futures[8];
    for (int i = 0; i < count; i++)
        futures[i] = coil_executor_submit(pool, gated());
    for (int i = 0; i < count; i++)
        sem_wait(&started); /* all at the same time: each has a thread */
    for (int i = 0; i < count; i++)
        sem_post(&gate);
    for (int i = 0; i < count; i++) {
        EXPECT_INT(coil_concurrent_future_result(futures[i], COIL_NO_TIMEOUT, NULL), 0);
        coil_unref(futures[i]);
    }
}

TEST(jobs_that_block_each_get_a_thread_as_long_as_there_may_be_more)
{
    /* However many threads sleep when a burst of them comes, and although only one is woken at a time. */
    reset();
    coil_executor *pool = pool_of(8, 0);
    for (int count = 1; count <= 8; count++)
        submit_and_finish(pool, count);
    submit_and_finish(pool, 8);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
}

/* ---- in and around threads -------------------------------------------------------------------------- */

COIL_JOB(uses_its_own_pool, (coil_executor *, pool))
{
    EXPECT_INT(coil_executor_shutdown(pool, 1, false), COIL_ERUNTIME);
    EXPECT_INT(coil_to_thread(add(1, 1), NULL), COIL_ENOTASK);
    coil_unref(pool);
    return 0;
}

TEST(thread_of_a_pool_cannot_wait_for_it_but_may_drop_it)
{
    reset();
    size_t blocks = steps_blocks();
    coil_executor *pool = pool_of(1, 0);
    coil_concurrent_future *future = coil_executor_submit(pool, uses_its_own_pool(coil_ref(pool)));
    coil_unref(pool); /* the job has the last one */
    EXPECT_INT(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL), 0);
    coil_unref(future);
    await_blocks(blocks);
}

TEST(thread_names_keep_their_number)
{
    reset();
    char name[16];
    coil_executor *pool = pool_of(1, 0);
    coil_concurrent_future *future = coil_executor_submit(pool, names_its_thread(name));
    EXPECT_INT(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL), 0);
    EXPECT_STR(name, "a-rather-long_0");
    coil_unref(future);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
}

TEST(job_is_submitted_once)
{
    reset();
    coil_executor *pool = pool_of(1, 0);
    coil_job *job = gated();
    coil_concurrent_future *future = coil_executor_submit(pool, job);
    EXPECT_PTR(coil_executor_submit(pool, coil_ref(job)), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    EXPECT_PTR(coil_executor_submit(pool, NULL), NULL);
    sem_post(&gate);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(future);
    coil_unref(pool);
    EXPECT_INT(atomic_load(&ends), 1);
}

static coil_executor *parents;

static int submit_in_child(void)
{
    if (coil_executor_submit(parents, add(1, 1)) || coil_error_last() != COIL_EFORKED)
        return 1;
    if (coil_executor_shutdown(parents, COIL_NO_TIMEOUT, true) != 0)
        return 2;
    coil_unref(parents);
    return 0;
}

TEST(child_of_a_fork_fails_instead_of_hanging)
{
    reset();
#ifdef COIL__TSAN
    SKIP("ThreadSanitizer does not follow a fork of several threads");
#endif
    struct child_end end;
    parents = pool_of(1, 0);
    coil_unref(coil_executor_submit(parents, gated()));
    sem_wait(&started);
    EXPECT_INT(exit_status_of(submit_in_child, &end), 0);
    sem_post(&gate);
    EXPECT_INT(coil_executor_shutdown(parents, COIL_NO_TIMEOUT, false), 0);
    coil_unref(parents);
}

COIL_ASYNC0(sets_the_default)
{
    char name[16];
    coil_executor *pool = pool_of(1, 0);
    COIL_TRY(coil_set_default_executor(NULL, pool));
    COIL_TRY(coil_to_thread(names_its_thread(name), NULL));
    EXPECT_STR(name, "a-rather-long_0");
    coil_unref(pool);
    return 0;
}

TEST(default_executor_is_the_loops_to_end)
{
    reset();
    EXPECT_RUN(sets_the_default(), 0);
}

/* ---- every point ------------------------------------------------------------------------------------ */

COIL_ASYNC0(explored)
{
    coil_executor *pool = pool_of(1, 0);
    coil_future *future = pool ? coil_run_in_executor(NULL, pool, owning()) : NULL;
    int rc = future ? coil_await(future, NULL) : coil_error_last();
    coil_unref(future);
    if (pool)
        (void)coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false);
    coil_unref(pool);
    return rc;
}

COIL_ASYNC0(explored_to_thread)
{
    coil_value value = coil_nil();
    int rc = coil_to_thread(owning(), &value);
    if (rc == 0)
        rc = coil_shutdown_default_executor(COIL_NO_TIMEOUT);
    return rc;
}

static coil_coro *make_explored(void *arg)
{
    return arg ? explored_to_thread() : explored();
}

TEST(nothing_is_left_wherever_the_await_of_a_job_is_disturbed)
{
    reset();
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    EXPECT_INT(coil_testing_explore(make_explored, NULL, &options), 0);
    /* Closing a loop does not wait for its default executor, so what that holds cannot be counted. */
    options.modes = COIL_EXPLORE_ALL & ~(unsigned)COIL_EXPLORE_CLOSE;
    EXPECT_INT(coil_testing_explore(make_explored, &options, &options), 0);
}

TESTS_MAIN(RUN(result_of_a_thread_comes_to_whoever_awaits_it),
           RUN(results_and_arguments_are_given_back_exactly_once),
           RUN(error_of_a_thread_keeps_its_message_place_and_cause),
           RUN(context_goes_along_if_asked_and_stays_apart),
           RUN(cancelled_wait_returns_at_once_and_the_late_result_is_dropped),
           RUN(queue_is_bounded_and_a_cancelled_job_makes_room),
           RUN(shutdown_cancels_what_waits_and_honours_its_limit),
           RUN(stuck_thread_does_not_keep_the_run_from_ending),
           RUN(loop_may_be_closed_while_its_jobs_run),
           RUN(task_that_waits_for_a_thread_is_closed_with_its_loop),
           RUN(last_reference_ends_a_pool_without_waiting),
           RUN(jobs_that_block_each_get_a_thread_as_long_as_there_may_be_more),
           RUN(thread_of_a_pool_cannot_wait_for_it_but_may_drop_it),
           RUN(thread_names_keep_their_number), RUN(job_is_submitted_once),
           RUN(child_of_a_fork_fails_instead_of_hanging), RUN(default_executor_is_the_loops_to_end),
           RUN(nothing_is_left_wherever_the_await_of_a_job_is_disturbed))
