/* The loop's side of executors: run_in_executor, to_thread, the default executor. */
#include <coil/executor.h>

#include <coil/timeout.h>
#include "io/bridge.h"
#include "io/pool.h"
#include "tasks/task.h"

/* How long run waits at its end for threads, in seconds: asyncio's constant. */
static const double SHUTDOWN_SECONDS = 300;

/* ---- the default executor ----------------------------------------------------------------------- */

/* Lent; NULL: it was shut down, or there is no memory. */
static coil_executor *default_executor(coil_loop *loop)
{
    if (loop->executor_shut) {
        coil__fail(COIL_ERUNTIME, "the default executor was shut down");
        return NULL;
    }
    if (!loop->executor)
        loop->executor = coil_thread_pool_executor_new(NULL);
    return loop->executor;
}

int coil_set_default_executor(coil_loop *loop, coil_executor *executor)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc < 0)
        return rc;
    coil_executor *old = loop->executor;
    loop->executor = coil_ref(executor);
    coil_unref(old);
    return 0;
}

/* ---- running a job ------------------------------------------------------------------------------ */

coil_future *coil__run_in_pool(coil_loop *loop, coil_executor *pool, coil_job *job)
{
    coil_future *future = coil__bridge(&job->future, loop, true);
    if (future && coil__pool_take(pool, job) < 0) {
        if (!job->pool)
            (void)coil_concurrent_future_cancel(&job->future); /* which lets go of the bridge */
        coil_unref(future);
        future = NULL;
    }
    coil_unref(job);
    return future;
}

coil_future *coil_run_in_executor(coil_loop *loop, coil_executor *executor, coil_job *job)
{
    if (!job)
        return coil__fail_null(COIL_ENOMEM);
    loop = coil__loop_or_running(loop);
    if (loop && coil__loop_open_for_work(loop) == 0) {
        if (!executor)
            executor = default_executor(loop);
        if (executor)
            return coil__run_in_pool(loop, executor, job);
    }
    coil_unref(job);
    return NULL;
}

int coil_to_thread(coil_job *job, coil_value *value_out)
{
    if (!job)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = 0;
    if (!coil__thread.task)
        rc = coil__fail(COIL_ENOTASK, "to_thread outside a task");
    if (rc == 0)
        rc = coil_job_set_context(job, NULL);
    if (rc < 0) {
        coil_unref(job);
        return rc;
    }
    coil_future *future = coil_run_in_executor(NULL, NULL, job);
    if (!future)
        return coil_error_last();
    rc = coil_await(future, NULL);
    if (rc == 0 && value_out)
        rc = coil_future_take_result(future, value_out);
    coil_unref(future);
    return rc;
}

/* ---- to_thread as a coroutine ------------------------------------------------------------------- */

static int run_to_thread(void *args, coil_value *coil_result)
{
    coil_job **job = args;
    return coil_to_thread(*job, coil_result);
}

static void drop_to_thread(void *args)
{
    coil_job **job = args;
    coil_unref(*job);
}

coil_coro *coil_to_thread_coro(coil_job *job)
{
    static const coil_coro_type type = { "to_thread", run_to_thread, __FILE__, __LINE__,
                                         drop_to_thread };
    coil_coro *coro = job ? coil_coro_new(&type, &job, sizeof job) : coil__fail_null(COIL_ENOMEM);
    if (!coro)
        coil_unref(job);
    return coro;
}

/* ---- shutting down ------------------------------------------------------------------------------ */

/* Waits until the pool, which was shut down, has no thread any more. */
static int await_end(coil_loop *loop, coil_executor *pool, double timeout)
{
    coil_future *ended = coil_wrap_future(coil__pool_ended(pool), loop);
    if (!ended)
        return coil_error_last();
    coil_timeout limit;
    int rc = coil_timeout_enter(&limit, timeout);
    if (rc == 0)
        rc = coil_timeout_exit(&limit, coil_await(ended, NULL));
    coil_unref(ended);
    return rc;
}

int coil_shutdown_default_executor(double timeout)
{
    struct coil__task *task = coil__thread.task;
    if (!task)
        return coil__fail(COIL_ENOTASK, "shutdown_default_executor outside a task");
    coil_loop *loop = task->future.loop;
    loop->executor_shut = true;
    if (!loop->executor)
        return 0;
    coil_executor *pool = coil_ref(loop->executor);
    int rc = coil_executor_shutdown(pool, 0, false);
    if (rc == 0)
        rc = await_end(loop, pool, timeout);
    if (rc == 0) {
        rc = coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false); /* joins what has ended */
    } else if (rc == COIL_ETIMEDOUT) {
        coil_report report = { .size = sizeof report,
                               .event = COIL_EVENT_EXECUTOR_STUCK,
                               .message = "threads of the default executor are still at work" };
        coil__log(loop, COIL_LOG_WARNING, &report);
        coil_unref(loop->executor);
        loop->executor = NULL;
        coil_error_clear(rc);
        rc = 0;
    }
    coil_unref(pool);
    return rc;
}

int coil__loop_shut_down_executor(void)
{
    return coil_shutdown_default_executor(SHUTDOWN_SECONDS);
}

void coil__loop_close_threads(coil_loop *loop)
{
    coil__loop_close_bridges(loop);
    loop->executor_shut = true;
    if (loop->executor)
        coil__pool_dismiss(loop->executor, false);
    coil_unref(loop->executor);
    loop->executor = NULL;
    if (loop->resolver)
        coil__pool_dismiss(loop->resolver, true);
    coil_unref(loop->resolver);
    loop->resolver = NULL;
}
