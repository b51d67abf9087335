/* The end of a run. */
#ifndef COIL_STRUCTURE_SHUTDOWN_H
#define COIL_STRUCTURE_SHUTDOWN_H

#include <coil/base.h>

/* Cancels the tasks of a loop that does not run, waits for them, and closes its generators. */
int coil__run_shutdown(coil_loop *loop);

#endif
