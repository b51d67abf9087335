/* Very many jobs at once: none is lost or done twice, whatever is cancelled meanwhile, and nothing is left.
 *
 *     COIL_SEED=number    picks what is cancelled */
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "lib/held.h"
#include "test.h"

enum {
    JOBS = 100 * 1000,
    WINDOW = 2000, /* that are out at a time */
    SECONDS_MAX = 120
};

static uint64_t seed;
static atomic_long ran, released;

static uint64_t next_random(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int work(void *arg, coil_value *result_out)
{
    long number = atomic_fetch_add(&ran, 1);
    if (number % 16 == 3)
        return coil_raise(COIL_EAPP, "job %ld", number);
    *result_out = token_value((int64_t)(intptr_t)arg);
    return 0;
}

static void release(void *arg)
{
    (void)arg;
    atomic_fetch_add(&released, 1);
}

static coil_job *job(long number)
{
    return coil_job_call(work, (void *)(intptr_t)number, release);
}

static coil_executor *small_pool(void)
{
    coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;
    options.max_workers = 4;
    return coil_thread_pool_executor_new(&options);
}

/* ---- all of them ------------------------------------------------------------------------------------ */

static int check_result(coil_future *future, long number)
{
    coil_value value;
    int rc = coil_await(future, &value);
    if (rc == 0)
        EXPECT_INT(token_number(value), number);
    else
        EXPECT_INT(rc, COIL_EAPP);
    return rc;
}

COIL_ASYNC(runs_all, (coil_executor *, pool))
{
    static coil_future *window[WINDOW];
    long failed = 0;
    for (long number = 0; number < JOBS + WINDOW; number++) {
        coil_future **slot = &window[number % WINDOW];
        if (number >= WINDOW)
            failed += check_result(*slot, number - WINDOW) < 0;
        coil_unref(*slot);
        *slot = number < JOBS ? coil_run_in_executor(NULL, pool, job(number)) : NULL;
    }
    EXPECT_INT(failed, JOBS / 16);
    return 0;
}

TEST(hundred_thousand_jobs_come_back_each_to_its_own)
{
    alarm(SECONDS_MAX);
    struct held before = held_now();
    coil_executor *pool = small_pool();
    atomic_store(&ran, 0);
    atomic_store(&released, 0);
    EXPECT_INT(coil_run(runs_all(pool), NULL), 0);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
    EXPECT_INT(atomic_load(&ran), JOBS);
    EXPECT_INT(atomic_load(&released), JOBS);
    held_expect(before, "jobs");
    alarm(0);
}

/* ---- a storm ---------------------------------------------------------------------------------------- */

COIL_ASYNC(cancels_at_random, (coil_executor *, pool))
{
    static coil_future *window[WINDOW];
    for (long number = 0; number < JOBS; number++) {
        coil_future **slot = &window[next_random() % WINDOW];
        coil_future *victim = next_random() % 2 ? *slot : window[next_random() % WINDOW];
        if (victim)
            coil_future_cancel(victim, NULL);
        coil_unref(*slot);
        *slot = coil_run_in_executor(NULL, pool, job(number));
        if (next_random() % 64 == 0)
            COIL_TRY(coil_sleep(0));
        if (next_random() % 1024 == 0 && *slot) {
            int rc = COIL_TIMEOUT((double)(next_random() % 1000) / 1e6, coil_await(*slot, NULL));
            EXPECT(rc == 0 || rc == COIL_EAPP || rc == COIL_ETIMEDOUT || rc == COIL_ECANCELED);
        }
    }
    for (long i = 0; i < WINDOW; i++) {
        if (window[i])
            coil_future_cancel(window[i], NULL);
        coil_unref(window[i]);
        window[i] = NULL;
    }
    return 0;
}

static int swallow(coil_loop *loop, const coil_report *report, void *arg)
{
    (void)loop, (void)arg;
    EXPECT_INT(report->event, COIL_EVENT_FUTURE_ERROR_UNREAD);
    return 0;
}

static coil_loop *quiet_loop(void *arg)
{
    coil_loop *loop = coil_new_event_loop();
    (void)arg;
    if (loop)
        coil_set_exception_handler(loop, swallow, NULL);
    return loop;
}

TEST(jobs_cancelled_at_random_are_each_released_once)
{
    alarm(SECONDS_MAX);
    const char *wanted = getenv("COIL_SEED");
    seed = wanted ? strtoull(wanted, NULL, 10) : 1;
    print_message("COIL_SEED=%" PRIu64 "\n", seed);
    struct held before = held_now();
    coil_executor *pool = small_pool();
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = quiet_loop;
    atomic_store(&ran, 0);
    atomic_store(&released, 0);
    EXPECT_INT(coil_run_with(cancels_at_random(pool), NULL, &options), 0);
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
    EXPECT_INT(atomic_load(&released), JOBS);
    EXPECT(atomic_load(&ran) > 0 && atomic_load(&ran) <= JOBS);
    held_expect(before, "storm");
    alarm(0);
}

/* ---- threads that cancel what other threads begin ------------------------------------------------------ */

static void *cancels_all(void *arg)
{
    coil_concurrent_future **futures = arg;
    for (int i = WINDOW - 1; i >= 0; i--)
        coil_concurrent_future_cancel(futures[i]);
    return NULL;
}

TEST(job_is_either_run_or_cancelled_however_close_the_race)
{
    alarm(SECONDS_MAX);
    struct held before = held_now();
    atomic_store(&ran, 0);
    atomic_store(&released, 0);
    long cancelled = 0;
    for (int round = 0; round < 10; round++) {
        static coil_concurrent_future *futures[WINDOW];
        coil_executor *pool = small_pool();
        pthread_t threads[2];
        for (long i = 0; i < WINDOW; i++)
            futures[i] = coil_executor_submit(pool, job(i));
        for (int i = 0; i < 2; i++)
            REQUIRE(pthread_create(&threads[i], NULL, cancels_all, futures) == 0);
        EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, round % 2), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < WINDOW; i++) {
            EXPECT(coil_concurrent_future_done(futures[i]));
            cancelled += coil_concurrent_future_cancelled(futures[i]);
            coil_unref(futures[i]);
        }
        coil_unref(pool);
    }
    EXPECT_INT(atomic_load(&ran) + cancelled, 10 * WINDOW);
    EXPECT_INT(atomic_load(&released), 10 * WINDOW);
    held_expect(before, "races");
    alarm(0);
}

TESTS_MAIN(RUN(hundred_thousand_jobs_come_back_each_to_its_own),
           RUN(jobs_cancelled_at_random_are_each_released_once),
           RUN(job_is_either_run_or_cancelled_however_close_the_race))
