#include "lib/failing_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#ifdef COIL_TEST_URING
#include <liburing.h>
#endif

const char *const wrapped_call_names[CALLS] = {
    [CALL_NONE] = "no call",
    [CALL_EPOLL_CREATE1] = "epoll_create1",
    [CALL_EPOLL_CTL] = "epoll_ctl",
    [CALL_EPOLL_WAIT] = "epoll_wait",
    [CALL_EPOLL_PWAIT2] = "epoll_pwait2",
    [CALL_EVENTFD] = "eventfd",
    [CALL_TIMERFD_CREATE] = "timerfd_create",
    [CALL_POLL] = "poll",
    [CALL_PPOLL] = "ppoll",
    [CALL_MMAP] = "mmap",
    [CALL_MADVISE] = "madvise",
    [CALL_MPROTECT] = "mprotect",
    [CALL_MINCORE] = "mincore",
    [CALL_OPEN] = "open",
    [CALL_RECV] = "recv",
    [CALL_SEND] = "send",
    [CALL_RECVMSG] = "recvmsg",
    [CALL_SENDMSG] = "sendmsg",
    [CALL_ACCEPT4] = "accept4",
    [CALL_CONNECT] = "connect",
    [CALL_GETSOCKOPT] = "getsockopt",
    [CALL_FCNTL] = "fcntl",
    [CALL_SIGACTION] = "sigaction",
    [CALL_SIGALTSTACK] = "sigaltstack",
    [CALL_PTHREAD_CREATE] = "pthread_create",
    [CALL_URING_SETUP] = "io_uring_setup",
    [CALL_URING_ENTER] = "io_uring_enter",
};

/* ---- orders ------------------------------------------------------------------------------------- */

static atomic_int failing_call;
static atomic_long countdown;
static atomic_int failing_error;
static atomic_bool failing_all, has_failed;
static atomic_long short_calls;

void fail_call(enum wrapped_call call, long nth, int error, bool all)
{
    atomic_store(&failing_call, CALL_NONE);
    atomic_store(&countdown, nth);
    atomic_store(&failing_error, error);
    atomic_store(&failing_all, all);
    atomic_store(&has_failed, false);
    atomic_store(&failing_call, (int)call);
}

bool call_has_failed(void)
{
    return atomic_load(&has_failed);
}

void shorten_calls(long times)
{
    atomic_store(&short_calls, times);
}

/* True, with errno set, if this call is one to fail. */
static bool fails(enum wrapped_call call)
{
    if (atomic_load(&failing_call) != (int)call)
        return false;
    long left = atomic_fetch_sub(&countdown, 1) - 1;
    if (left > 0 || (left < 0 && !atomic_load(&failing_all)))
        return false;
    atomic_store(&has_failed, true);
    errno = atomic_load(&failing_error);
    return true;
}

static size_t shortened(size_t bytes)
{
    return bytes > 1 && atomic_load(&short_calls) > 0 && atomic_fetch_sub(&short_calls, 1) > 0
               ? 1
               : bytes;
}

/* ---- the calls ---------------------------------------------------------------------------------- */

/* The linker makes __real_x the x that would have been called, and sends calls of x to __wrap_x. */
#define WRAP(result, name, call, params, args)                                                     \
    result __real_##name params;                                                                   \
    result __wrap_##name params;                                                                   \
    result __wrap_##name params                                                                    \
    {                                                                                              \
        return fails(call) ? (result)-1 : __real_##name args;                                      \
    }

WRAP(int, epoll_create1, CALL_EPOLL_CREATE1, (int flags), (flags))
WRAP(int, epoll_ctl, CALL_EPOLL_CTL, (int epfd, int op, int fd, struct epoll_event *event),
     (epfd, op, fd, event))
WRAP(int, epoll_wait, CALL_EPOLL_WAIT, (int epfd, struct epoll_event *events, int max, int timeout),
     (epfd, events, max, timeout))
WRAP(int, eventfd, CALL_EVENTFD, (unsigned count, int flags), (count, flags))
WRAP(int, timerfd_create, CALL_TIMERFD_CREATE, (clockid_t clock, int flags), (clock, flags))
WRAP(int, poll, CALL_POLL, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, ppoll, CALL_PPOLL,
     (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
     (fds, count, timeout, mask))
WRAP(void *, mmap, CALL_MMAP,
     (void *address, size_t bytes, int protection, int flags, int fd, off_t offset),
     (address, bytes, protection, flags, fd, offset))
WRAP(int, madvise, CALL_MADVISE, (void *address, size_t bytes, int advice),
     (address, bytes, advice))
WRAP(int, mprotect, CALL_MPROTECT, (void *address, size_t bytes, int protection),
     (address, bytes, protection))
WRAP(int, mincore, CALL_MINCORE, (void *address, size_t bytes, unsigned char *pages),
     (address, bytes, pages))
WRAP(int, accept4, CALL_ACCEPT4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
     (fd, address, length, flags))
WRAP(int, getsockopt, CALL_GETSOCKOPT,
     (int fd, int level, int name, void *value, socklen_t *length),
     (fd, level, name, value, length))
WRAP(int, sigaction, CALL_SIGACTION,
     (int number, const struct sigaction *action, struct sigaction *old), (number, action, old))
WRAP(int, sigaltstack, CALL_SIGALTSTACK, (const stack_t *stack, stack_t *old), (stack, old))
WRAP(ssize_t, recv, CALL_RECV, (int fd, void *data, size_t bytes, int flags),
     (fd, data, shortened(bytes), flags))
WRAP(ssize_t, send, CALL_SEND, (int fd, const void *data, size_t bytes, int flags),
     (fd, data, shortened(bytes), flags))
/* A short datagram is a lost one, so these are left whole. */
WRAP(ssize_t, recvmsg, CALL_RECVMSG, (int fd, struct msghdr *header, int flags),
     (fd, header, flags))
WRAP(ssize_t, sendmsg, CALL_SENDMSG, (int fd, const struct msghdr *header, int flags),
     (fd, header, flags))

#ifdef COIL_TEST_URING
/* liburing's calls give the error as their result. */
#define WRAP_URING(name, call, params, args)                                                       \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        return fails(call) ? -errno : __real_##name args;                                          \
    }

WRAP_URING(io_uring_queue_init_params, CALL_URING_SETUP,
           (unsigned entries, struct io_uring *ring, struct io_uring_params *params),
           (entries, ring, params))
WRAP_URING(io_uring_submit, CALL_URING_ENTER, (struct io_uring * ring), (ring))
WRAP_URING(io_uring_submit_and_get_events, CALL_URING_ENTER, (struct io_uring * ring), (ring))
WRAP_URING(io_uring_submit_and_wait, CALL_URING_ENTER, (struct io_uring * ring, unsigned count),
           (ring, count))
WRAP_URING(io_uring_submit_and_wait_timeout, CALL_URING_ENTER,
           (struct io_uring * ring, struct io_uring_cqe **cqe, unsigned count,
            struct __kernel_timespec *timeout, sigset_t *mask),
           (ring, cqe, count, timeout, mask))
#endif

int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (!fails(CALL_CONNECT))
        return __real_connect(fd, address, length);
    int error = errno;
    if (error == EINTR && __real_connect(fd, address, length) < 0 && errno != EINPROGRESS)
        return -1;
    errno = error;
    return -1;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    long argument = va_arg(args, long);
    va_end(args);
    return fails(CALL_FCNTL) ? -1 : __real_fcntl(fd, command, argument);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    enum {
        ARGUMENTS = 6
    };
    long a[ARGUMENTS];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < ARGUMENTS; i++)
        a[i] = va_arg(args, long);
    va_end(args);
#ifdef SYS_epoll_pwait2
    if (number == SYS_epoll_pwait2 && fails(CALL_EPOLL_PWAIT2))
        return -1;
#endif
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg)
{
    return fails(CALL_PTHREAD_CREATE) ? errno
                                      : __real_pthread_create(thread, attributes, body, arg);
}
