/* A bridge leads from a concurrent future, which any thread completes, to a future of a loop. */
#ifndef COIL_IO_BRIDGE_H
#define COIL_IO_BRIDGE_H

#include "io/concurrent.h"

/* A future of the loop that is completed as this one is, in the loop's thread; cancelled, it cancels this
 * one. `whole`: nobody else looks at the concurrent future, so its error record moves. NULL: no memory. */
coil_future *coil__bridge(coil_concurrent_future *source, coil_loop *loop, bool whole);

/* Lets go of all bridges to a loop that is being closed. */
void coil__loop_close_bridges(coil_loop *loop);

#endif
