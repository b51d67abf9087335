/* Threads: work that blocks, done beside the loop; and the loop's work, asked for by other threads.
 *
 *     COIL_JOB(hash_file, (const char *, path))
 *     {
 *         coil_return(slow_hash(path));           runs in a thread of the pool, and may block there
 *     }
 *     ...
 *     coil_value hash;
 *     COIL_TRY(coil_to_thread(hash_file("/etc/passwd"), &hash));
 *
 * A job is a function with its arguments. Calling hash_file makes one, and runs nothing; whoever is handed
 * it consumes it. It runs in a thread without a loop: it may block and fail (coil_raise), but not await.
 *
 * A thread cannot be stopped. Cancelling the await of a job that has begun returns at once; the job goes on,
 * and its result is dropped when it comes. So what a job is handed must not lie in the caller's frame: the
 * arguments are copied, and what they point to must live until the job has ended, or be the job's own (see
 * coil_job_type and coil_job_call). A job that has not begun when it is cancelled never does.
 *
 * Objects of Coil's are not counted atomically: a job gets, and returns, what nobody else holds. Jobs,
 * executors and concurrent futures are the exception: any thread may take and give back references to them.
 *
 * The other way round, a plain thread asks a loop for something:
 *
 *     coil_concurrent_future *future = coil_run_coroutine_threadsafe(fetch(url), loop);
 *     int rc = coil_concurrent_future_take_result(future, 10.0, &value);        waits 10 s at most
 *     coil_unref(future); */
#ifndef COIL_EXECUTOR_H
#define COIL_EXECUTOR_H

#include <coil/coro.h>
#include <coil/timeout.h>

COIL_BEGIN_DECLS

typedef struct coil_job coil_job;
typedef struct coil_executor coil_executor;
typedef struct coil_concurrent_future coil_concurrent_future;

/* ---- jobs ----------------------------------------------------------------------------------------- */

/* What COIL_JOB makes and coil_job_new takes: the function, and where it is written. entry returns 0, a count,
 * or a negative code. If it runs, what the arguments own is its to give back; if it never will, drop's. */
typedef struct coil_job_type {
    const char *name;
    int (*entry)(void *args, coil_value *coil_result);
    const char *file;
    int line;
    void (*drop)(void *args); /* called instead of entry if the job never runs; or NULL */
} coil_job_type;

/**
 * Makes a job: the plain function under COIL_JOB.
 *
 * @param type   borrowed for good: static
 * @param args   copied: what entry gets, on suitably aligned memory
 * @param bytes  of args
 *
 * Returns   one reference, consumed by whoever runs it; NULL when there is no memory, and what args owns
 *           is still the caller's
 * Suspends  never
 * Thread    any
 * Python    functools.partial
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_job *
coil_job_new(const coil_job_type *type, COIL_NULLABLE const void *args, size_t bytes);

/**
 * A job that calls a function with one pointer.
 *
 * @param fn       as coil_job_type.entry
 * @param arg      borrowed until released
 * @param release  called with arg exactly once, when fn has returned or never will be called: in the thread
 *                 that ran it, or in the one that cancelled it; NULL: nothing to give back
 *
 * Returns   one reference; NULL when there is no memory, and release has been called
 * Suspends  never
 * Thread    any
 * Python    a function and its arguments
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_job *
coil_job_call(int (*fn)(void *arg, coil_value *result_out), void *arg,
              COIL_NULLABLE void (*release)(void *arg));

/**
 * Gives a job context variables: it runs in a copy of this context. Without this call a job's context is
 * empty, but for coil_to_thread, which makes it. What the job sets, nobody else sees. The values are
 * shared by both threads.
 *
 * @param job      not submitted yet
 * @param context  borrowed; NULL: the current one
 *
 * Returns   0, or COIL_ENOMEM
 * Suspends  never
 * Thread    that which makes the job
 * Python    contextvars.copy_context().run
 * Since     0.1
 */
COIL_API int coil_job_set_context(coil_job *job, COIL_NULLABLE coil_context *context);

/* ---- in a task ------------------------------------------------------------------------------------ */

/**
 * Runs a job in a thread of the loop's default executor, with the task's context variables, and waits for
 * its result.
 *
 * @param job        consumed, also on failure; NULL fails with COIL_ENOMEM
 * @param value_out  NULL, or receives the result, yours; untouched on failure
 *
 * Returns   0, the job's error, or
 *           COIL_ECANCELED  the task was cancelled while it waited
 *           COIL_ERUNTIME   the default executor was shut down
 *           COIL_EFULL      as many jobs wait as its limit allows
 *           COIL_ENOTASK, COIL_ENOMEM, COIL_ECLOSED, or -errno (no thread could be started)
 * Suspends  until the job has ended
 * Cancel    a job that has not begun never will. One that has goes on, and what it returns is dropped
 * Thread    the loop's, in a task
 * Python    asyncio.to_thread
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_to_thread(coil_job *job, COIL_NULLABLE coil_value *value_out);

/**
 * A coroutine object that does the same, to hand to coil_gather or coil_create_task. The context is the
 * one of the task that it runs in.
 *
 * @param job  consumed, also on failure
 *
 * Returns   one reference; NULL when there is no memory
 * Suspends  never: the coroutine does
 * Thread    the loop's
 * Python    asyncio.to_thread
 * Since     0.1
 */
COIL_API COIL_OWNED coil_coro *coil_to_thread_coro(coil_job *job);

/**
 * Hands a job to an executor, and gives a future of the loop for its result.
 *
 * @param loop      NULL: the running one
 * @param executor  borrowed for the call; NULL: the loop's default one, which is made by the first call:
 *                  a thread pool with default options and threads named coil_0, coil_1...
 * @param job       consumed, also on failure; NULL fails with COIL_ENOMEM
 *
 * Returns   one reference. Cancelling the future cancels the job if it has not begun, and lets go of it
 *           otherwise. NULL (coil_error_last says why): as coil_to_thread, or COIL_ENOLOOP,
 *           COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    loop.run_in_executor
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_future *
coil_run_in_executor(COIL_NULLABLE coil_loop *loop, COIL_NULLABLE coil_executor *executor,
                     coil_job *job);

/**
 * Sets which executor coil_to_thread and coil_run_in_executor use. It is the loop's to shut down from then
 * on. The one that was set before is let go of.
 *
 * @param loop      NULL: the running one
 * @param executor  the loop takes a reference of its own
 *
 * Returns   0, or COIL_ENOLOOP, COIL_ECLOSED, COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    loop.set_default_executor
 * Since     0.1
 */
COIL_API int coil_set_default_executor(COIL_NULLABLE coil_loop *loop, coil_executor *executor);

/**
 * Shuts down the running loop's default executor, and waits until its threads have ended. What was queued
 * is done first. coil_run does this at the end, with a limit of 300 seconds.
 *
 * If the limit expires, that is logged (COIL_EVENT_EXECUTOR_STUCK), and the executor is let go of: its
 * threads end when their jobs do, and the loop does not wait for them again.
 *
 * @param timeout  seconds, or COIL_NO_TIMEOUT
 *
 * Returns   0, also if the limit expired, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, COIL_ECLOSING
 * Suspends  until the threads have ended; not at all if there are none
 * Cancel    the executor is shut down; what runs goes on
 * Thread    the loop's, in a task
 * Python    loop.shutdown_default_executor
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_shutdown_default_executor(double timeout);

/* ---- executors -------------------------------------------------------------------------------------- */

typedef struct coil_thread_pool_options {
    size_t size;          /* sizeof(coil_thread_pool_options) */
    unsigned max_workers; /* threads at most; 0: the processors and 4, at most 32 */
    size_t max_queued;    /* jobs that may wait for a thread; 0: no limit */
    COIL_NULLABLE const char
        *thread_name_prefix; /* copied; NULL: "coil". The system keeps 15 bytes */
} coil_thread_pool_options;
#define COIL_THREAD_POOL_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(coil_thread_pool_options), 0, 0, NULL                                               \
    }

/**
 * Makes a pool of threads. None is started before there is work; each lives until the pool is shut down.
 * Signals are blocked in them. Jobs begin in the order in which they were submitted.
 *
 * Giving the last reference back shuts the pool down without waiting. A child of fork() cannot use the
 * pools of its parent (COIL_EFORKED).
 *
 * @param options  copied; NULL: none
 *
 * Returns   one reference; NULL when there is no memory
 * Suspends  never
 * Thread    any
 * Python    concurrent.futures.ThreadPoolExecutor
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_executor *
coil_thread_pool_executor_new(COIL_NULLABLE const coil_thread_pool_options *options);

/**
 * Hands a job to an executor.
 *
 * @param job  consumed, also on failure; NULL fails with COIL_ENOMEM
 *
 * Returns   one reference to a future for its result; NULL (coil_error_last says why):
 *           COIL_ERUNTIME  the executor was shut down
 *           COIL_EFORKED   it is the parent process's
 *           COIL_EFULL     as many jobs wait as the limit allows
 *           COIL_EINVAL    the job was submitted before
 *           COIL_ENOMEM, or -errno (no thread could be started)
 * Suspends  never
 * Thread    any
 * Python    Executor.submit
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_MUST_USE COIL_OWNED coil_concurrent_future *
coil_executor_submit(coil_executor *executor, coil_job *job);

/**
 * Shuts an executor down: it takes no more jobs, and its threads end when those that it has are done. May
 * be called again, to wait or to cancel.
 *
 * This blocks the calling thread. In a task, shut the default executor down by
 * coil_shutdown_default_executor, and others when their jobs have been awaited.
 *
 * @param timeout         how many seconds to wait for the threads; 0: not at all; COIL_NO_TIMEOUT
 * @param cancel_futures  cancels the jobs that have not begun
 *
 * Returns   0: shut down and, if timeout is not 0, all threads have ended; or
 *           COIL_ETIMEDOUT  threads are still at work. They end when their jobs do
 *           COIL_ERUNTIME   a thread of the pool itself is to wait for the pool
 * Suspends  never: it blocks
 * Thread    any
 * Python    Executor.shutdown
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_executor_shutdown(coil_executor *executor, double timeout,
                                                    bool cancel_futures);

/* ---- concurrent futures: results that threads wait for ------------------------------------------------ */

/**
 * Makes a concurrent future, to be completed by hand: by a callback of another library, in whatever
 * thread that comes. coil_wrap_future makes it awaitable.
 *
 * Returns   one reference; NULL when there is no memory
 * Suspends  never
 * Thread    any
 * Python    concurrent.futures.Future
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_concurrent_future *coil_concurrent_future_new(void);

/**
 * Completes a concurrent future that was made by hand.
 *
 * @param value  moved into the future; cleared if the call fails
 * @param code   negative; its record, if one was raised, goes with it
 *
 * Returns   0, or
 *           COIL_EINVALIDSTATE  it is done, or cancelled, already
 *           COIL_ERUNTIME       somebody else completes it: an executor, or a task
 *           COIL_EINVAL         code is not negative, or COIL_ECANCELED
 * Suspends  never
 * Thread    any
 * Python    Future.set_result, Future.set_exception
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_concurrent_future_set_result(coil_concurrent_future *future,
                                                               coil_value value);
COIL_API COIL_ANY_THREAD int coil_concurrent_future_set_exception(coil_concurrent_future *future,
                                                                  int code);

/**
 * Waits, in a plain thread, for the result.
 *
 * @param timeout    seconds; 0 only looks; COIL_NO_TIMEOUT
 * @param value_out  NULL, or receives the result: a view, good as long as the future is held and nobody
 *                   takes the result; of take_result the value itself, yours, and the future's is a view
 *
 * Returns   0, the error it failed with (its record is current in this thread), or
 *           COIL_ETIMEDOUT  it was not done in time, and may be later: coil_concurrent_future_done tells
 *                           this from such an error of the job's
 *           COIL_ECANCELED  it was cancelled
 *           COIL_ECLOSED    the loop was closed before the coroutine had begun
 *           COIL_ERUNTIME   it would have to wait, and a loop runs in this thread: wrap the future, and
 *                           await it
 * Suspends  never: it blocks
 * Thread    any
 * Python    Future.result
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_concurrent_future_result(coil_concurrent_future *future,
                                                           double timeout,
                                                           COIL_NULLABLE coil_value *value_out);
COIL_API COIL_ANY_THREAD int coil_concurrent_future_take_result(coil_concurrent_future *future,
                                                                double timeout,
                                                                coil_value *value_out);

/**
 * Cancels a concurrent future: a job that has not begun; the task of coil_run_coroutine_threadsafe, which
 * is asked to stop; one that is completed by hand. It is cancelled at once.
 *
 * Returns   true if it is cancelled; false if it is done, or its job has begun
 * Suspends  never
 * Thread    any
 * Python    Future.cancel
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD bool coil_concurrent_future_cancel(coil_concurrent_future *future);

/**
 * Whether it is done, in any way; whether it is cancelled; whether its job has begun and not ended.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    any
 * Python    Future.done, Future.cancelled, Future.running
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD bool coil_concurrent_future_done(coil_concurrent_future *future);
COIL_API COIL_ANY_THREAD bool coil_concurrent_future_cancelled(coil_concurrent_future *future);
COIL_API COIL_ANY_THREAD bool coil_concurrent_future_running(coil_concurrent_future *future);

/**
 * A future of the loop for a concurrent one: awaitable. The result moves into it. Cancelling it cancels
 * the concurrent future, and the other way round.
 *
 * @param future  borrowed; kept until it is done
 * @param loop    NULL: the running one
 *
 * Returns   one reference; NULL: COIL_ENOMEM, COIL_ENOLOOP, COIL_ECLOSED (coil_error_last says)
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.wrap_future
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_future *coil_wrap_future(coil_concurrent_future *future,
                                                                COIL_NULLABLE coil_loop *loop);

/**
 * Runs a coroutine as a task of a loop that runs in another thread.
 *
 * @param coro  consumed, also on failure. It, and what it is handed, belongs to the loop's thread from now
 *              on; make it in a thread without a loop, or in the loop's own
 * @param loop  alive for the duration of the call: the caller holds a reference
 *
 * Returns   one reference to a future for its result: cancelling it cancels the task. NULL
 *           (coil_error_last says why): COIL_ECLOSED, COIL_ENOMEM
 * Suspends  never
 * Thread    any
 * Python    asyncio.run_coroutine_threadsafe
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_MUST_USE COIL_OWNED coil_concurrent_future *
coil_run_coroutine_threadsafe(coil_coro *coro, coil_loop *loop);

COIL_END_DECLS

/* ---- defining jobs --------------------------------------------------------------------------------- */

/* COIL_JOB(name, (type, parameter)...) { body }   a function that makes a job, for this file
 * COIL_JOB0(name) { body }                        the same without parameters
 *
 * As COIL_ASYNC does for coroutines: up to ten parameters, which are copied; in the body coil_return(x),
 * `return 0`, or a negative code. */
#define COIL_JOB(name, ...)                                                                        \
    struct name##_args {                                                                           \
        COIL__EACH(COIL__FIELD, __VA_ARGS__)                                                       \
    };                                                                                             \
    static int name##_body(coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__));          \
    static int name##_entry(void *args_, coil_value *coil_result)                                  \
    {                                                                                              \
        struct name##_args *coil_args = (struct name##_args *)args_;                               \
        return name##_body(coil_result COIL__EACH(COIL__PASS, __VA_ARGS__));                       \
    }                                                                                              \
    static const coil_job_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };    \
    static COIL_UNUSED COIL_MUST_USE coil_job *name(COIL__LIST(COIL__DECLARE, __VA_ARGS__))        \
    {                                                                                              \
        struct name##_args coil_args = { COIL__LIST(COIL__INIT, __VA_ARGS__) };                    \
        return coil_job_new(&name##_type, &coil_args, sizeof coil_args);                           \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__))

#define COIL_JOB0(name)                                                                            \
    static int name##_body(coil_value *coil_result);                                               \
    static int name##_entry(COIL_UNUSED void *args_, coil_value *coil_result)                      \
    {                                                                                              \
        return name##_body(coil_result);                                                           \
    }                                                                                              \
    static const coil_job_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };    \
    static COIL_UNUSED COIL_MUST_USE coil_job *name(void)                                          \
    {                                                                                              \
        return coil_job_new(&name##_type, NULL, 0);                                                \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result)

#endif
