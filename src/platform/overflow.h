/* Stack overflow: a fault in a guard dies with a message instead of a bare SIGSEGV.
 *
 * The handler runs on an alternate signal stack (one per thread that runs a loop) and is installed
 * only where SIGSEGV/SIGBUS had the default action; COIL_OVERFLOW_HANDLER=0 keeps both away. A
 * fault elsewhere gets the default action as if Coil were not there, and so does the overflow after
 * its message: the process dies by the same signal, with the same core. */
#ifndef COIL_PLATFORM_OVERFLOW_H
#define COIL_PLATFORM_OVERFLOW_H

#include <stdbool.h>
#include <stddef.h>

/* Called in the signal handler with the faulting address. Returns true if it was a guard of the
 * running stack, after having written the message to file descriptor 2 with write(2) only. Other
 * threads may fault at the same time. */
typedef bool (*coil__overflow_describe_fn)(const void *fault_address);

/* Gives the calling thread its alternate stack (unless it has one) and installs the handler once
 * per process. Failing is not an error: overflows then die with a plain SIGSEGV. The last
 * `describe` counts, for all threads. */
void coil__overflow_thread_enter(coil__overflow_describe_fn describe);

/* Takes the alternate stack down again if thread_enter put it up. Pairs with thread_enter;
 * nests. */
void coil__overflow_thread_leave(void);

/* Async-signal-safe output helpers for describe functions. */
void coil__overflow_puts(const char *text);
void coil__overflow_putu(size_t number);

#endif
