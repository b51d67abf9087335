/* Timeouts, inside the library. The public half is <coil/timeout.h>. */
#ifndef COIL_STRUCTURE_TIMEOUT_H
#define COIL_STRUCTURE_TIMEOUT_H

#include <coil/timeout.h>

/* Raises COIL_ETIMEDOUT, with the cancellation that has just been returned as its cause. */
int coil__timed_out(void);

#endif
