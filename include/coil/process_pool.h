/* Work for the processor, and code that may crash, in processes of their own.
 *
 *     COIL_PROCESS_JOB(count_primes, (int64_t, from), (int64_t, to))
 *     {
 *         int64_t count = 0;                              runs in a worker process
 *         for (int64_t n = from; n < to; n++)
 *             count += is_prime(n);
 *         coil_return(count);
 *     }
 *
 *     COIL_ASYNC0(amain)
 *     {
 *         coil_executor *pool = coil_process_pool_executor_new(NULL);
 *         if (!pool)
 *             return coil_error_last();
 *         coil_value count;
 *         int rc = coil_run_in_process_pool(pool, count_primes(0, 1000000), &count);
 *         (void)coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false);
 *         coil_unref(pool);
 *         return rc;
 *     }
 *
 *     int main(void)
 *     {
 *         coil_process_pool_main();                       first of all
 *         return coil_main(amain());
 *     }
 *
 * A worker is this program, started anew (exec, no fork of what runs): it has its own memory, globals as they
 * are at a program's start, no descriptor but standard output and error, and /dev/null as its input. That
 * coil_process_pool_main is the first thing in main is what makes it a worker; what stands above it is done
 * in every worker, too. Without it no pool can be made.
 *
 * Arguments and results are copied between the processes: integers, doubles, truth values, texts, bytes,
 * errors, and lists of these. A pointer, or a Coil object, is refused with COIL_ETYPE.
 *
 * A process pool is an executor: everything in <coil/executor.h> that takes one takes it, with jobs made by
 * COIL_PROCESS_JOB. As with threads, a job that has not begun when it is cancelled never does; one that has
 * goes on, and its result is dropped. coil_process_pool_kill_workers ends those, too.
 *
 * A job whose worker crashes, or exits, fails with COIL_EWORKER. The others go on, and the worker is replaced
 * for the next job. What a job returns as an error comes back with its code, message, detail, cause, and list.
 *
 * The workers end with the pool. They also end when the program does, in whatever way. Each is in a process
 * group of its own, so Ctrl-C reaches the program only, which decides. */
#ifndef COIL_PROCESS_POOL_H
#define COIL_PROCESS_POOL_H

#include <coil/executor.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

typedef struct coil_process_pool_options {
    size_t size;                  /* sizeof(coil_process_pool_options) */
    unsigned max_workers;         /* processes at most; 0: as many as there are processors */
    size_t max_queued;            /* jobs that may wait for a worker; 0: no limit */
    unsigned max_jobs_per_worker; /* after so many a worker is replaced by a new one; 0: never */
} coil_process_pool_options;
#define COIL_PROCESS_POOL_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(coil_process_pool_options), 0, 0, 0                                                 \
    }

/**
 * To be called first in main. In the program itself it notes that, and returns. In a worker process it serves
 * jobs, and does not return: the process exits with 0 when its pool has no more use for it.
 *
 * Suspends  never
 * Thread    the main one, before there are others
 * Python    if __name__ == "__main__", multiprocessing.freeze_support
 * Since     0.1
 */
COIL_API void coil_process_pool_main(void);

/**
 * Makes a pool of worker processes. None is started before there is work. Each is looked after by a thread of
 * this process, which starts it, hands it one job at a time, and sees it end; so every worker has been reaped
 * when coil_executor_shutdown has waited for the pool.
 *
 * Giving the last reference back shuts the pool down without waiting: what is queued is done first. A child
 * of fork() cannot use its parent's pools (COIL_EFORKED).
 *
 * @param options  copied; NULL: none
 *
 * Returns   one reference; NULL (coil_error_last says why):
 *           COIL_ERUNTIME  main does not begin with coil_process_pool_main
 *           COIL_ENOTSUP   the program runs with raised privileges (setuid, file capabilities)
 *           COIL_ENOMEM
 * Suspends  never
 * Thread    any
 * Python    concurrent.futures.ProcessPoolExecutor
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_executor *
coil_process_pool_executor_new(COIL_NULLABLE const coil_process_pool_options *options);

/**
 * Runs a job in a worker process, and waits for its result. For several at a time hand the jobs to
 * coil_run_in_executor, and its futures to coil_gather.
 *
 * @param pool       borrowed for the call
 * @param job        of COIL_PROCESS_JOB; consumed, also on failure; NULL fails with COIL_ENOMEM
 * @param value_out  NULL, or receives the result, yours; untouched on failure
 *
 * Returns   0, the job's error, or
 *           COIL_EWORKER    its worker crashed, exited, or sent what is no answer: the record's detail is the
 *                           exit status, or minus the number of the signal
 *           COIL_ETYPE      an argument, or the result, is nothing that can be sent; or it is a job for
 *                           threads, or the executor a pool of threads
 *           COIL_ELOOKUP    a worker does not know the job: it is in a plugin that is loaded later
 *           COIL_ECANCELED  the task was cancelled while it waited
 *           COIL_ERUNTIME   the pool was shut down
 *           COIL_EFULL      as many jobs wait as its limit allows
 *           -EMFILE, -EAGAIN...  no worker can be started
 *           COIL_ENOTASK, COIL_ENOMEM, COIL_ECLOSED, COIL_EFORKED
 * Suspends  until the job has ended
 * Cancel    a job that has not begun never will. One that has goes on, and what it returns is dropped
 * Thread    the loop's, in a task
 * Python    await loop.run_in_executor(pool, function, ...)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_run_in_process_pool(coil_executor *pool, coil_job *job,
                                                       COIL_NULLABLE coil_value *value_out);

/**
 * Ends a process pool at once: shuts it down, cancels the jobs that have not begun, and kills the workers
 * (SIGKILL). Jobs that run fail with COIL_EWORKER. coil_executor_shutdown then waits for the rest, which is
 * no more than a moment.
 *
 * @param pool  borrowed
 *
 * Returns   0, or
 *           COIL_ETYPE    it is a pool of threads
 *           COIL_EFORKED  it is the parent process's
 * Suspends  never
 * Thread    any
 * Python    ProcessPoolExecutor.kill_workers (3.14)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_process_pool_kill_workers(coil_executor *pool);

/* What COIL_PROCESS_JOB makes: the function, and where it is written, by which a worker finds its own. */
typedef struct coil_process_function {
    const char *name;
    int (*entry)(const coil_value *args, coil_value *coil_result);
    const char *file;
    int line;
    size_t arg_count;
    struct coil_process_function *next; /* zero; the library's */
} coil_process_function;

/**
 * Makes a job for a process pool: the plain function under COIL_PROCESS_JOB.
 *
 * @param function  borrowed for good: static, and registered
 * @param args      borrowed for the call; function->arg_count of them
 *
 * Returns   one reference, consumed by whoever runs it; NULL when there is no memory. With an argument that
 *           cannot be sent it is made all the same, and fails with COIL_ETYPE
 * Suspends  never
 * Thread    any
 * Python    functools.partial
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_job *
coil_process_job_new(const coil_process_function *function, COIL_NULLABLE const coil_value *args);

/**
 * Makes a function known, so that a worker finds it. COIL_PROCESS_JOB arranges that this is called before main.
 *
 * @param function  the library's from now on; static
 *
 * Suspends  never
 * Thread    the main one, before coil_process_pool_main
 * Python    none: functions are pickled by name
 * Since     0.1
 */
COIL_API void coil_process_function_register(coil_process_function *function);

COIL_END_DECLS

/* ---- defining jobs --------------------------------------------------------------------------------- */

/* COIL_PROCESS_JOB(name, (type, parameter)...) { body }   a function that makes a job, for this file
 * COIL_PROCESS_JOB0(name) { body }                        the same without parameters
 *
 * As COIL_JOB, with parameters that can be sent: integers and enums, double, float, bool, const char *,
 * const coil_bytes *, and coil_value for lists and whatever may vary. What pointers in them lead to is the
 * worker's copy, which lives until the body has ended: return it as a copy (coil_string_copy,
 * coil_bytes_copy). */
#define COIL_PROCESS_JOB(name, ...)                                                                \
    struct name##_args {                                                                           \
        COIL__EACH(COIL__FIELD, __VA_ARGS__)                                                       \
    };                                                                                             \
    static int name##_body(coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__));          \
    static int name##_entry(const coil_value *values_, coil_value *coil_result)                    \
    {                                                                                              \
        struct name##_args unpacked_, *coil_args = &unpacked_;                                     \
        COIL__EACH(COIL__UNPACK, __VA_ARGS__)                                                      \
        return name##_body(coil_result COIL__EACH(COIL__PASS, __VA_ARGS__));                       \
    }                                                                                              \
    COIL__PROCESS_FUNCTION(name, 0 COIL__EACH(COIL__ONE_MORE, __VA_ARGS__))                        \
    static COIL_UNUSED COIL_MUST_USE coil_job *name(COIL__LIST(COIL__DECLARE, __VA_ARGS__))        \
    {                                                                                              \
        coil_value values_[] = { COIL__LIST(COIL__PACK, __VA_ARGS__) };                            \
        return coil_process_job_new(&name##_function, values_);                                    \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__))

#define COIL_PROCESS_JOB0(name)                                                                    \
    static int name##_body(coil_value *coil_result);                                               \
    static int name##_entry(COIL_UNUSED const coil_value *values_, coil_value *coil_result)        \
    {                                                                                              \
        return name##_body(coil_result);                                                           \
    }                                                                                              \
    COIL__PROCESS_FUNCTION(name, 0)                                                                \
    static COIL_UNUSED COIL_MUST_USE coil_job *name(void)                                          \
    {                                                                                              \
        return coil_process_job_new(&name##_function, NULL);                                       \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result)

#define COIL__PROCESS_FUNCTION(name, count)                                                        \
    static coil_process_function name##_function = { #name,    name##_entry, __FILE__,             \
                                                     __LINE__, count,        NULL };               \
    __attribute__((constructor)) static void name##_register(void)                                 \
    {                                                                                              \
        coil_process_function_register(&name##_function);                                          \
    }
#define COIL__ONE_MORE(pair) +1
#define COIL__PACK_(t, p)    coil_v(p)
#define COIL__PACK(pair)     COIL__IF_PAIR(COIL__PACK_, coil_nil(), pair)
#define COIL__UNPACK_(t, p)  coil_args->p = COIL__FROM(t, *values_++);
#define COIL__UNPACK(pair)   COIL__IF_PAIR(COIL__UNPACK_, , pair)

/* What coil_v has made of an x of this type, as an x again. */
#ifdef __cplusplus
template <typename T> static inline T coil__from(const coil_value &value, T *)
{
    return (T)value.integer;
}
static inline bool coil__from(const coil_value &value, bool *)
{
    return value.boolean;
}
static inline double coil__from(const coil_value &value, double *)
{
    return value.number;
}
static inline const char *coil__from(const coil_value &value, const char **)
{
    return value.string;
}
static inline const coil_bytes *coil__from(const coil_value &value, const coil_bytes **)
{
    return value.bytes;
}
static inline coil_value coil__from(const coil_value &value, coil_value *)
{
    return value;
}
#define COIL__FROM(t, value) coil__from(value, (t *)0)
#else
static inline bool coil__from_bool(coil_value value)
{
    return value.boolean;
}
static inline double coil__from_double(coil_value value)
{
    return value.number;
}
static inline const char *coil__from_string(coil_value value)
{
    return value.string;
}
static inline const coil_bytes *coil__from_bytes(coil_value value)
{
    return value.bytes;
}
static inline int64_t coil__from_integer(coil_value value)
{
    return value.integer;
}
#define COIL__FROM(t, value)                                                                       \
    _Generic((t *)0,                                                                               \
        _Bool *: coil__from_bool,                                                                  \
        double *: coil__from_double,                                                               \
        float *: coil__from_double,                                                                \
        const char **: coil__from_string,                                                          \
        const coil_bytes **: coil__from_bytes,                                                     \
        coil_value *: coil__v_same,                                                                \
        default: coil__from_integer)(value)
#endif

#endif
