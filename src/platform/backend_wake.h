/* An eventfd that ends a backend's wait: what wake() writes to and wait() watches. */
#ifndef COIL_PLATFORM_BACKEND_WAKE_H
#define COIL_PLATFORM_BACKEND_WAKE_H

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The descriptor, or -errno. */
static inline int coil__wake_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Any thread, signal handlers: so errno is left alone. Writing fails only where the counter is
 * full, which is as good as written. */
static inline void coil__wake_send(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof(one));
    errno = saved;
}

/* Takes all that was sent. */
static inline void coil__wake_drain(int fd)
{
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
}

#endif
