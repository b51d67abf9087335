/* Signals, as callbacks of the loop.
 *
 *     static int reload(void *arg)
 *     {
 *         return read_settings(arg);
 *     }
 *     ...
 *     COIL_TRY(coil_add_signal_handler(NULL, SIGHUP, reload, &settings));
 *
 * The callback runs in a turn of the loop, as every other: it has interrupted nothing, and may call anything.
 * A loop that sleeps wakes up for it. What a
 * service needs most is the end of its work:
 *
 *     COIL_ASYNC0(amain)
 *     {
 *         COIL_TRY(start_serving());
 *         COIL_TRY(coil_wait_signal(SIGTERM, SIGINT));
 *         return stop_serving();
 *     }
 *
 * coil_run_options has cancel_on_sigterm for programs that rather have their main task cancelled.
 *
 * Any loop, in any thread, can handle signals; one signal is one loop's at a time. Which thread the system
 * interrupts does not matter.
 *
 * What is kept: callbacks come in the order in which the signals arrived, one for each arrival. The system
 * merges arrivals of a signal that is blocked, or on its way, already (POSIX); from 1024 arrivals on that the
 * loop has not looked at, those behind are still counted, but come in order of their numbers.
 *
 * The action that a signal had before is put back when its last user goes, at the latest by coil_loop_close,
 * unless somebody has put another one in place meanwhile. A child of fork has the actions of before. */
#ifndef COIL_SIGNAL_H
#define COIL_SIGNAL_H

#include <signal.h>
#include <coil/loop.h>

COIL_BEGIN_DECLS

/**
 * Calls back whenever a signal arrives, until the handler is removed. Adding again replaces the callback.
 *
 * @param loop    NULL: the running one
 * @param number  SIGTERM...
 * @param arg     borrowed until removed or replaced: from then on nothing is called any more, arrivals that
 *                the loop has not looked at included
 *
 * Returns   0, or
 *           COIL_EINVAL   there is no such signal, or fn is NULL
 *           COIL_ERUNTIME the signal cannot be caught (SIGKILL, SIGSTOP), or means that the program is at
 *                         fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL): returning from it would repeat the fault
 *           -EBUSY        another loop handles this signal
 *           COIL_ECLOSED, COIL_ENOLOOP, COIL_ENOMEM, COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    loop.add_signal_handler
 * Since     0.1
 */
COIL_API int coil_add_signal_handler(COIL_NULLABLE coil_loop *loop, int number, coil_callback fn,
                                     void *arg);

/**
 * Stops calling back, and gives the signal the action it had before.
 *
 * Returns   1 if there was a callback, 0 if not, or COIL_EINVAL, COIL_ECLOSED, COIL_ENOLOOP,
 *           COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    loop.remove_signal_handler
 * Since     0.1
 */
COIL_API int coil_remove_signal_handler(COIL_NULLABLE coil_loop *loop, int number);

/**
 * Waits until one of some signals arrives: coil_wait_signal(SIGTERM, SIGINT). Several tasks may wait for the
 * same signal, beside a handler that is called, too; each is told. Before the call and after it the signals
 * have the action that they have otherwise: a program that must miss none adds a handler.
 *
 * @param numbers  borrowed for the call
 *
 * Returns   the number of the one that came first, or
 *           COIL_ECANCELED, COIL_ENOTASK, or as coil_add_signal_handler
 * Suspends  always
 * Cancel    one that has arrived already is returned, and the cancellation comes at the next await
 * Thread    the loop's, in a task
 * Python    none (a handler that sets an event)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_wait_signals(const int *numbers, size_t count);
#define coil_wait_signal(...)                                                                      \
    coil_wait_signals((const int[]){ __VA_ARGS__ },                                                \
                      sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

COIL_END_DECLS

#endif
