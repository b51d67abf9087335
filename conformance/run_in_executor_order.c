/* An executor with one thread does the work in submission order; each awaiter gets its own result.
 *
 * Why: Serialising blocking work through one thread is a common design. */
#include "kit/kit.h"

static struct items order;

COIL_JOB(job, (int, n))
{
    append(&order, n);
    if (n == 2)
        return boom("job 2");
    coil_return(n * n);
}

COIL_ASYNC0(amain)
{
    coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;
    options.max_workers = 1;
    coil_executor *pool = coil_thread_pool_executor_new(&options);
    void *futures[5];
    for (int n = 0; n < 5; n++)
        futures[n] = coil_run_in_executor(NULL, pool, job(n));
    coil_value values[5];
    COIL_TRY(coil_gather_array(values, futures, 5, COIL_GATHER_COLLECT));
    say(list_of(values, 5));
    for (int n = 0; n < 5; n++)
        coil_value_clear(&values[n]);
    unref_all(futures, 5);
    COIL_TRY(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false));
    coil_unref(pool);
    say("done in order", as_list(&order));

    coil_value value;
    COIL_TRY(join(coil_run_in_executor(NULL, NULL, job(9)), &value));
    say("default executor:", value);
    COIL_TRY(coil_shutdown_default_executor(COIL_NO_TIMEOUT));
    int rc = join(coil_run_in_executor(NULL, NULL, job(10)), NULL);
    say("after its shutdown:", kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
    clear(&order);
}
