/* System calls that raise SIGPIPE and have no flag against it: write(2) to a pipe, sendfile(2). The signal is blocked
 * around the call, and taken back if it is ours. */
#ifndef COIL_IO_SIGPIPE_H
#define COIL_IO_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct coil__sigpipe {
    sigset_t old;
    bool was_pending; /* somebody else's, which must stay */
};

void coil__sigpipe_block(struct coil__sigpipe *self);

/* broken: the call said EPIPE. Keeps errno. */
void coil__sigpipe_restore(const struct coil__sigpipe *self, bool broken);

#endif
