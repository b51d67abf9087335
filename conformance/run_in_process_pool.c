/* Work for the processor goes to worker processes: results and errors come back as from a thread.
 *
 * Why: Work that keeps the processor busy has nowhere else to go.
 * Tags: real, optional */
#include <unistd.h>
#include "kit/kit.h"

COIL_PROCESS_JOB(square, (int, n))
{
    if (n == 3)
        return boom("three");
    coil_return(n * n);
}

COIL_PROCESS_JOB0(pid)
{
    coil_return(getpid());
}

COIL_ASYNC0(amain)
{
    coil_process_pool_options options = COIL_PROCESS_POOL_OPTIONS_INIT;
    options.max_workers = 2;
    coil_executor *pool = coil_process_pool_executor_new(&options);
    void *jobs[5];
    coil_value values[5], other;
    for (int n = 0; n < 5; n++)
        jobs[n] = coil_run_in_executor(NULL, pool, square(n));
    COIL_TRY(coil_gather_array(values, jobs, 5, COIL_GATHER_COLLECT));
    say(list_of(values, 5));
    COIL_TRY(coil_run_in_process_pool(pool, pid(), &other));
    say("in another process:", coil_bool(other.integer != getpid()));
    for (int n = 0; n < 5; n++)
        coil_value_clear(&values[n]);
    unref_all(jobs, 5);
    COIL_TRY(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false));
    coil_unref(pool);
    return 0;
}

int main(void)
{
    coil_process_pool_main();
    must(run(amain(), REAL, NULL));
}
