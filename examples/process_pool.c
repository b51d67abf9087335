/* Work for the processor, spread over processes: how many primes there are below 200,000. One job goes
 * wrong on purpose, and costs nothing but its own part.
 *
 *     process_pool
 *
 * Explored after: coil_process_pool_main() */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <coil/coil.h>

enum {
    PARTS = 4,
    PART = 50 * 1000,
};

static bool is_prime(int64_t n)
{
    for (int64_t divisor = 2; divisor * divisor <= n; divisor++)
        if (n % divisor == 0)
            return false;
    return n > 1;
}

/* In a worker process, as is the next. */
COIL_PROCESS_JOB(count_primes, (int64_t, from), (int64_t, to))
{
    int64_t count = 0;
    for (int64_t n = from; n < to; n++)
        count += is_prime(n);
    coil_return(count);
}

COIL_PROCESS_JOB0(go_wrong)
{
    struct rlimit no_core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)raise(SIGKILL);
    coil_return(0);
}

COIL_ASYNC(count_all, (coil_executor *, pool))
{
    coil_future *parts[PARTS];
    coil_value counts[PARTS];
    int64_t total = 0;
    for (int i = 0; i < PARTS; i++)
        parts[i] = coil_run_in_executor(NULL, pool, count_primes(i * PART, (i + 1) * PART));
    int rc = coil_gather_array(counts, parts, PARTS, 0);
    for (int i = 0; i < PARTS; i++) {
        if (rc == 0)
            total += counts[i].integer;
        coil_unref(parts[i]);
    }
    COIL_TRY(rc);
    printf("%lld primes\n", (long long)total);
    return 0;
}

COIL_ASYNC(use, (coil_executor *, pool))
{
    int rc = coil_run_in_process_pool(pool, go_wrong(), NULL);
    if (rc != COIL_EWORKER)
        return rc;
    const coil_error *lost = coil_error_current(rc);
    if (lost) /* none where memory is short */
        printf("a worker was lost: signal %d\n", (int)-coil_error_detail(lost));
    return coil_await(count_all(pool), NULL);
}

COIL_ASYNC0(amain)
{
    coil_executor *pool = coil_process_pool_executor_new(NULL);
    if (!pool)
        return coil_error_last();
    int rc = coil_await(use(pool), NULL);
    /* What still runs, after a cancellation say, is not wanted any more. */
    (void)coil_process_pool_kill_workers(pool);
    (void)coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false);
    coil_unref(pool);
    return rc;
}

int main(void)
{
    coil_process_pool_main();
    return coil_main(amain());
}
