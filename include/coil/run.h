/* Running a program: run, Runner.
 *
 *     int main(void) { return coil_main(amain()); }
 *
 * runs the coroutine on a loop of its own, cancels what is left when it is over, closes the loop, prints
 * the error if there was one, and gives the exit status. coil_run does the same for those who want the
 * result; a runner, for those who run several coroutines on one loop. */
#ifndef COIL_RUN_H
#define COIL_RUN_H

#include <coil/coro.h>
#include <coil/metrics.h>

COIL_BEGIN_DECLS

typedef struct coil_run_options {
    size_t size;                                         /* sizeof(coil_run_options) */
    int debug;                                           /* 1 on, 0 off, -1 as COIL_DEBUG says */
    COIL_NULLABLE coil_loop *(*loop_factory)(void *arg); /* makes the loop: one reference or NULL */
    void *loop_factory_arg;
    bool leave_sigint;      /* true: Ctrl-C is not handled */
    bool cancel_on_sigterm; /* true: SIGTERM cancels the main task, once */
} coil_run_options;
#define COIL_RUN_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(coil_run_options), -1, NULL, NULL, false, false                                     \
    }

/**
 * Runs a coroutine as a program: makes a loop, runs it until the coroutine is done, cancels the tasks
 * that are left and waits for them, closes the loop.
 *
 * In the main thread, and if SIGINT has its default action, the first Ctrl-C cancels the main task, so
 * that it can clean up; a second one leaves the loop at once; a third one kills the process. With
 * cancel_on_sigterm the same goes for the first SIGTERM; further ones change nothing, since supervisors have
 * SIGKILL. A handler of the program's on its loop (<coil/signal.h>) comes before both.
 *
 * @param coro       consumed
 * @param value_out  NULL, or receives the result, yours
 *
 * Returns   0, the coroutine's error (its record is current), or
 *           COIL_ENESTED     a loop runs in this thread
 *           COIL_EINTERRUPT  SIGINT ended it, or SIGTERM; the record's detail is the number
 *           COIL_ENOMEM, or -errno, if no loop could be made
 * Suspends  never
 * Thread    any that runs no loop
 * Python    asyncio.run
 * Since     0.1
 */
COIL_API int coil_run(coil_coro *coro, COIL_NULLABLE coil_value *value_out);

/**
 * The same with options.
 *
 * @param options  copied; NULL: none
 *
 * Returns   as coil_run
 * Suspends  never
 * Thread    any that runs no loop
 * Python    asyncio.run(main, debug=, loop_factory=)
 * Since     0.1
 */
COIL_API int coil_run_with(coil_coro *coro, COIL_NULLABLE coil_value *value_out,
                           COIL_NULLABLE const coil_run_options *options);

/**
 * coil_run for main(): prints the error, if there is one, on standard error.
 *
 * @param coro  consumed
 *
 * Returns   the exit status: 0; the integer that the coroutine returned, if it is 1 to 255; the status
 *           of coil_exit; 130 after Ctrl-C; 1 after any other error
 * Suspends  never
 * Thread    the main one
 * Python    asyncio.run in a script
 * Since     0.1
 */
COIL_API int coil_main(coil_coro *coro);

/**
 * The same with options. A service that is to clean up when it is asked to stop:
 *
 *     coil_run_options options = COIL_RUN_OPTIONS_INIT;
 *     options.cancel_on_sigterm = true;
 *     return coil_main_with(amain(), &options);
 *
 * @param coro     consumed
 * @param options  copied; NULL: none
 *
 * Returns   as coil_main, or 143 after SIGTERM
 * Suspends  never
 * Thread    the main one
 * Python    asyncio.run(main, debug=, loop_factory=) in a script
 * Since     0.1
 */
COIL_API int coil_main_with(coil_coro *coro, COIL_NULLABLE const coil_run_options *options);

/**
 * A runner: runs several coroutines, one after the other, on one loop and in one context.
 *
 * @param options  copied; NULL: none
 *
 * Returns   one reference, to be closed and given back; NULL when there is no memory
 * Suspends  never
 * Thread    that of its runs
 * Python    asyncio.Runner
 * Since     0.1
 */
COIL_API COIL_OWNED coil_runner *coil_runner_new(COIL_NULLABLE const coil_run_options *options);

/**
 * Runs a coroutine on the runner's loop, which is made by the first call.
 *
 * @param coro       consumed, also on failure
 * @param context    borrowed, kept while the coroutine runs; NULL: the runner's own
 * @param value_out  NULL, or receives the result, yours
 *
 * Returns   as coil_run, or COIL_ECLOSED
 * Suspends  never
 * Thread    any that runs no loop, the same each time
 * Python    Runner.run
 * Since     0.1
 */
COIL_API int coil_runner_run(coil_runner *runner, coil_coro *coro,
                             COIL_NULLABLE coil_context *context,
                             COIL_NULLABLE coil_value *value_out);

/**
 * The runner's loop.
 *
 * Returns   lent; NULL: COIL_ECLOSED, or it could not be made (coil_error_last says)
 * Suspends  never
 * Thread    that of its runs
 * Python    Runner.get_loop
 * Since     0.1
 */
COIL_API coil_loop *coil_runner_get_loop(coil_runner *runner);

/**
 * Cancels the tasks that are left, waits for them, and closes the loop. Closing twice is fine.
 *
 * Returns   0, or what running the loop for it returned
 * Suspends  never
 * Thread    that of its runs
 * Python    Runner.close
 * Since     0.1
 */
COIL_API int coil_runner_close(coil_runner *runner);

/* ---- many cores -------------------------------------------------------------------------------- */

/* Makes the main coroutine of one of several loops, in its thread. The loop is not running yet.
 * @param index  0 for the first
 * Returns NULL on failure (coil_error_last says why), which ends them all. */
typedef coil_coro *(*coil_main_factory)(void *arg, int index);

typedef struct coil_threads_options {
    size_t size;        /* sizeof(coil_threads_options) */
    int debug;          /* 1 on, 0 off, -1 as COIL_DEBUG says */
    bool pin;           /* each thread to a processor of its own, as far as there are enough */
    bool leave_sigint;  /* true: Ctrl-C is not handled */
    bool leave_sigterm; /* true: neither is SIGTERM */
} coil_threads_options;
#define COIL_THREADS_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(coil_threads_options), -1, false, false, false                                      \
    }

/**
 * Runs the same program on several loops, each in a thread of its own, as long as they live. A server that uses
 * all processors:
 *
 *     static coil_coro *serve_on(void *arg, int index)
 *     {
 *         return serve(arg);                with coil_server_options.reuse_port: the loops share the port
 *     }
 *     ...
 *     int rc = coil_run_threads(0, serve_on, &settings, NULL);
 *
 * The loops share nothing of Coil's. They begin when all threads and loops are there; if one cannot be made, none
 * begins. The first main that fails cancels the others, and so does the first SIGINT or SIGTERM, if
 * this is the main thread: all clean up at the same time. A second SIGINT leaves all loops at once, a third one
 * kills the process. One that returns 0 just ends. Each loop is shut down as by coil_run.
 *
 * @param count    of loops; 0: as many as the process may use processors. At most 1024
 * @param main_of  called once in each thread
 * @param arg      borrowed; shared by the threads
 * @param options  copied; NULL: none
 *
 * Returns   0 when all mains have returned; what the first one failed with (its record is current; COIL_EEXIT as
 *           well), or
 *           COIL_EINTERRUPT  SIGINT or SIGTERM ended it; the record's detail is the number
 *           COIL_EINVAL      the count
 *           COIL_ENESTED     a loop runs in this thread
 *           COIL_ENOMEM, -EAGAIN..., if a thread or a loop could not be made
 * Suspends  never; the thread sleeps
 * Thread    any that runs no loop
 * Python    none (a process for each)
 * Since     0.1
 */
COIL_API int coil_run_threads(int count, coil_main_factory main_of, COIL_NULLABLE void *arg,
                              COIL_NULLABLE const coil_threads_options *options);

/**
 * The same for main(): prints the error, if there is one, on standard error.
 *
 * @param count  as for coil_run_threads, and so are the others
 *
 * Returns   the exit status: 0; the status of coil_exit; 130 after Ctrl-C; 143 after SIGTERM; 1 after any other
 *           error
 * Suspends  never
 * Thread    the main one
 * Python    none
 * Since     0.1
 */
COIL_API int coil_main_threads(int count, coil_main_factory main_of, COIL_NULLABLE void *arg,
                               COIL_NULLABLE const coil_threads_options *options);

/**
 * Reads the numbers of all loops that coil_run_threads runs together with the running one, in order of their
 * index. Loops that have ended keep their last ones.
 *
 * @param metrics_out  receives the first `room` of them; their sizes need not be set
 *
 * Returns   how many loops there are; 0 if the running loop is not one of several
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API size_t coil_run_threads_metrics(COIL_NULLABLE coil_metrics *metrics_out, size_t room);

COIL_END_DECLS

#endif
