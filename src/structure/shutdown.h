/* The end of a run. */
#ifndef COIL_STRUCTURE_SHUTDOWN_H
#define COIL_STRUCTURE_SHUTDOWN_H

#include <coil/run.h>

/* Cancels the tasks of a loop that does not run, waits for them, and closes its generators. */
int coil__run_shutdown(coil_loop *loop);
/* In a turn of a runner's loop: cancels its main task, if it is not over, as SIGINT does. */
void coil__runner_cancel(coil_runner *runner);
/* The exit status for what a run ended with; prints an error that needs words. */
int coil__run_status(int code);

#endif
