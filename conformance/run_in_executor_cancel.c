/* Cancelling the wait for a thread does not stop the thread; work not begun yet is never done.
 *
 * Why: A thread cannot be stopped; the program must know what cancelling does instead.
 * Tags: real */
#include <semaphore.h>
#include "kit/kit.h"

static struct items did;
static sem_t started, gate;

COIL_JOB(job, (const char *, name))
{
    sem_post(&started);
    sem_wait(&gate);
    append(&did, name);
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;
    options.max_workers = 1;
    coil_executor *pool = coil_thread_pool_executor_new(&options);
    coil_future *running = coil_run_in_executor(NULL, pool, job("running"));
    coil_future *queued = coil_run_in_executor(NULL, pool, job("queued"));
    sem_wait(&started);
    coil_future_cancel(running, NULL);
    coil_future_cancel(queued, NULL);
    coil_future *both[] = { running, queued };
    COIL_TRY(coil_wait(both, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(outcome(running), outcome(queued), "did", as_list(&did));
    sem_post(&gate);
    COIL_TRY(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false));
    say("after the pool ended, did", as_list(&did));
    unref_all(both, 2);
    coil_unref(pool);
    return 0;
}

int main(void)
{
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    must(run(amain(), REAL, NULL));
    clear(&did);
}
