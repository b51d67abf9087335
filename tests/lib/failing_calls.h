/* System calls that fail on order. The programs that use this are linked with --wrap for each of the calls
 * below (tests/CMakeLists.txt), so that the library's calls come through here, and the C library's own, a
 * sanitizer's and the loader's do not. That works in one process, under every sanitizer and launcher,
 * where a preloaded library would have to come before a sanitizer's runtime and could not. */
#ifndef COIL_TESTS_LIB_FAILING_CALLS_H
#define COIL_TESTS_LIB_FAILING_CALLS_H

#include <stdbool.h>

enum wrapped_call {
    CALL_NONE,
    CALL_EPOLL_CREATE1,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_EPOLL_PWAIT2, /* through syscall(2) */
    CALL_EVENTFD,
    CALL_TIMERFD_CREATE,
    CALL_POLL,
    CALL_PPOLL,
    CALL_MMAP,
    CALL_MADVISE,
    CALL_MPROTECT,
    CALL_MINCORE,
    CALL_OPEN,
    CALL_RECV,
    CALL_SEND,
    CALL_RECVMSG,
    CALL_SENDMSG,
    CALL_ACCEPT4,
    CALL_CONNECT,
    CALL_GETSOCKOPT,
    CALL_FCNTL,
    CALL_SIGACTION,
    CALL_SIGALTSTACK,
    CALL_PTHREAD_CREATE,
    CALL_URING_SETUP, /* these as liburing has them */
    CALL_URING_ENTER,
    CALLS
};

extern const char *const wrapped_call_names[CALLS];

/* The nth call from now on fails with this errno, and, if all is true, every later one; CALL_NONE switches
 * it off. An interrupted connect is made, as it is in the kernel: the handshake goes on. */
void fail_call(enum wrapped_call call, long nth, int error, bool all);

/* Whether the failure that was ordered last has happened. */
bool call_has_failed(void);

/* From now on recv and send (and their msg relatives) are cut short to one byte, so many times; 0 switches
 * it off. */
void shorten_calls(long times);

#endif
