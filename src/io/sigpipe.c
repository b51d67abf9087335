#include "io/sigpipe.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static sigset_t only_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void coil__sigpipe_block(struct coil__sigpipe *self)
{
    sigset_t set = only_sigpipe(), pending;
    self->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &self->old);
}

void coil__sigpipe_restore(const struct coil__sigpipe *self, bool broken)
{
    int error = errno;
    if (broken && !self->was_pending) {
        sigset_t set = only_sigpipe();
        const struct timespec now = { 0, 0 };
        while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &self->old, NULL);
    errno = error;
}
