/* Many lifetimes of workers, with crashes among them: no job is lost or answered by another's result, and
 * nothing is left. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <coil/coil.h>
#include "lib/held.h"
#include "test.h"

enum {
    WORKERS = 8,
    JOBS_PER_WORKER = 5,
#if defined(COIL__ASAN) || defined(COIL__TSAN)
    JOBS = 120,
#else
    JOBS = 600, /* so more than a hundred workers */
#endif
    CRASH_EVERY = 13,
    WINDOW = 50, /* jobs that are out at a time */
};

COIL_PROCESS_JOB(work, (int, number), (const coil_bytes *, data))
{
    int64_t sum = number;
    for (size_t i = 0; i < data->length; i++)
        sum += ((const unsigned char *)data->data)[i];
    if (number % CRASH_EVERY == 5) {
        struct rlimit no_core = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)raise(SIGKILL);
    }
    if (number % CRASH_EVERY == 7)
        return coil_raise(COIL_EAPP, "job %d", number);
    coil_return(sum);
}

static unsigned char data[200 * 1000];

static void check(coil_future *future, int number)
{
    coil_value value = coil_nil();
    char expected[32];
    int rc = coil_await(future, &value);
    (void)snprintf(expected, sizeof expected, "job %d", number);
    if (number % CRASH_EVERY == 5) {
        EXPECT_INT(rc, COIL_EWORKER);
    } else if (number % CRASH_EVERY == 7) {
        EXPECT_INT(rc, COIL_EAPP);
        EXPECT_STR(coil_error_message(coil_error_current(rc)), expected);
    } else {
        size_t length = (size_t)number * 997 % sizeof data;
        EXPECT_INT(rc, 0);
        EXPECT_INT(value.integer, number + (int64_t)length);
    }
    coil_unref(future);
}

COIL_ASYNC0(run_all)
{
    coil_process_pool_options options = COIL_PROCESS_POOL_OPTIONS_INIT;
    options.max_workers = WORKERS;
    options.max_jobs_per_worker = JOBS_PER_WORKER;
    coil_executor *pool = coil_process_pool_executor_new(&options);
    coil_future *futures[WINDOW];
    memset(data, 1, sizeof data);
    for (int number = 0; number < JOBS + WINDOW; number++) {
        if (number >= WINDOW)
            check(futures[number % WINDOW], number - WINDOW);
        if (number >= JOBS)
            continue;
        coil_bytes bytes = { data, (size_t)number * 997 % sizeof data };
        futures[number % WINDOW] = coil_run_in_executor(NULL, pool, work(number, &bytes));
    }
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
    return 0;
}

TEST(many_workers_live_and_die_and_no_job_is_lost)
{
    // What is rare with one worker happens with a hundred.
    siginfo_t info;
    struct held before = held_now();
    EXPECT_INT(coil_run(run_all(), NULL), 0);
    EXPECT_INT(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    held_expect(before, "the pool");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { RUN(many_workers_live_and_die_and_no_job_is_lost) };
    coil_process_pool_main();
    return test_main_(__FILE__, tests, 1, argc, argv);
}
