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

COIL_END_DECLS

#endif
