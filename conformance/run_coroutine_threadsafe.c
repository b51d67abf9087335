/* A thread submits a coroutine and waits for its result, its error, or cancels it.
 *
 * Why: It is how synchronous code uses an asynchronous library in another thread.
 * Tags: real */
#include <semaphore.h>
#include "kit/kit.h"

static sem_t started, ended;
static coil_value lines[3];
static coil_value line_of_loop;

COIL_ASYNC(work, (const char *, value), (bool, fails))
{
    COIL_TRY(coil_sleep(0));
    if (fails)
        return boom("thrown");
    coil_return(value);
}

COIL_ASYNC0(endless)
{
    sem_post(&started);
    int rc = coil_sleep(3600);
    line_of_loop = kind(rc);
    sem_post(&ended);
    return rc;
}

COIL_JOB(from_thread, (coil_loop *, loop))
{
    coil_value value;
    coil_concurrent_future *future = coil_run_coroutine_threadsafe(work("value", false), loop);
    COIL_TRY(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, &value));
    lines[0] = value;
    coil_unref(future);

    future = coil_run_coroutine_threadsafe(work("", true), loop);
    lines[1] = kind(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL));
    coil_unref(future);

    future = coil_run_coroutine_threadsafe(endless(), loop);
    sem_wait(&started);
    lines[2] = coil_bool(coil_concurrent_future_cancel(future));
    int rc = coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL);
    coil_unref(future);
    sem_wait(&ended);
    return rc == COIL_ECANCELED ? 0 : coil_raise(COIL_EAPP, "not cancelled");
}

COIL_ASYNC0(amain)
{
    COIL_TRY(coil_to_thread(from_thread(coil_get_running_loop()), NULL));
    say("result", lines[0]);
    say("exception", lines[1]);
    say("cancel", lines[2]);
    say("coroutine got", line_of_loop);
    return 0;
}

int main(void)
{
    sem_init(&started, 0, 0);
    sem_init(&ended, 0, 0);
    must(run(amain(), REAL, NULL));
}
