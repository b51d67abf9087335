/* Backends: what talks to the kernel. Completion-shaped: an operation is submitted, and later the
 * backend says that it has completed, with its result. epoll and poll do it by try-then-wait,
 * io_uring natively; nothing above this interface knows which one runs.
 *
 * Rules for every backend
 *  - The memory of an operation and the buffers it names belong to the backend from submit until
 *    `done` is called or cancel returned COIL__OP_GONE. They live in the submitter's frame.
 *  - `done` is called only from inside wait(), in the order in which completions arrived; never from
 *    submit or cancel. It may submit and cancel operations, its own included.
 *  - Several operations may be pending on one descriptor, in the same direction too; they complete
 *    first in, first out.
 *  - EINTR is never a result. A short count is.
 *  - Only wake() may be called from another thread. */
#ifndef COIL_PLATFORM_BACKEND_H
#define COIL_PLATFORM_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"

enum coil__op_kind {
    COIL__OP_READABLE, /* completes when reading would not block (or: error, hang-up); result 0 */
    COIL__OP_WRITABLE,
    COIL__OP_READ, /* read(2); result: bytes, 0 at the end */
    COIL__OP_WRITE, /* write(2), but where nobody reads any more the result is -EPIPE only: no SIGPIPE */
    COIL__OP_RECV, /* recv(2) with io.flags; zero-length buffers complete at once with 0 */
    COIL__OP_SEND, /* send(2) with io.flags | MSG_NOSIGNAL */
    COIL__OP_RECVMSG,
    COIL__OP_SENDMSG, /* flags | MSG_NOSIGNAL */
    COIL__OP_ACCEPT,  /* accept4(SOCK_NONBLOCK | SOCK_CLOEXEC); result: the new descriptor */
    COIL__OP_CONNECT, /* connect(2) and, if in progress, SO_ERROR when writable; result 0.
                           -EINVAL if the socket is in blocking mode. One that was cancelled goes on
                           in the kernel until the socket is closed */
};

struct coil__op {
    /* Filled in by the submitter. */
    uint8_t kind;
    int fd;
    union {
        struct {
            void *data;
            size_t bytes;
            int flags;
        } io; /* READ..SEND */
        struct {
            struct msghdr *header;
            int flags;
        } msg;
        struct {
            struct sockaddr *address;
            socklen_t *length;
        } accept; /* both may be NULL */
        struct {
            const struct sockaddr *address;
            socklen_t length;
        } connect;
    };
    void (*done)(struct coil__op *op);

    /* The backend's. */
    int64_t result;                /* valid once done: count, descriptor, 0, or -errno */
    bool pending;                  /* between submit and done */
    bool started;                  /* CONNECT: the first connect(2) has been made */
    bool nonblocking;              /* READ, WRITE, ACCEPT: O_NONBLOCK was found set */
    bool polls;                    /* io_uring: the kernel has refused to wait in the call itself */
    struct coil__op *next, **link; /* *link == op while queued */
};

enum {
    COIL__OP_PENDING = 0, /* submit: done will be called. cancel: not gone yet, done will be called
                              with -ECANCELED or, if it was too late, with the true result */
    COIL__OP_READY = 1,   /* submit: completed on the spot; result is set, done is not called */
    COIL__OP_GONE = 2,    /* cancel: taken back; done will not be called */
};

/* ---- flows -----------------------------------------------------------------------------------------
 *
 * What a transport keeps open for long. An operation asks once; a flow is told to the kernel once, when it
 * begins, and reports each time that something can be read or written again. So a request and its answer
 * cost one call each, and none for waiting.
 *
 * Rules
 *  - `readable` and `writable` are called only from inside wait(), readable first. They may read, write,
 *    open and close flows, their own included; they may not block.
 *  - `readable` is called while `reading` is set and there is, or may be, something to read: once per
 *    wait(), again in each wait() until it has been read to -EAGAIN (or a short read has shown that
 *    nothing is left). And once, whatever `reading` says, when the peer is gone altogether.
 *  - `writable` is called once after a write was refused or cut short, when it is worth another try.
 *  - Both may be called for nothing. EINTR is never a result.
 *  - After flow_close no callback comes, and the memory is the owner's again, who then closes the
 *    descriptor; the peer sees the end as soon as that happens. */
enum coil__flow_kind {
    COIL__FLOW_STREAM,   /* a connected stream socket: flow_read, flow_write */
    COIL__FLOW_LISTENER, /* flow_accept */
    COIL__FLOW_POLLED, /* a datagram socket, a pipe's end...: its owner makes the calls, until one says
                              EAGAIN, and reports that by flow_blocked */
};

struct coil__flow {
    /* The owner's. */
    int fd; /* non-blocking */
    uint8_t kind;
    /* STREAM, LISTENER: nobody will read from the descriptor, or accept, once flow_close was called. So the
     * backend may receive and accept before it is asked to; what was not fetched goes with the flow. */
    bool ahead;
    bool tcp; /* a short read means that nothing is left, which does not hold for Unix sockets */
    void (*readable)(struct coil__flow *flow);
    void (*writable)(struct coil__flow *flow);

    /* The backend's. */
    uint8_t state;
    bool reading;          /* flow_reading sets it */
    struct coil__link hot; /* while readable is to be called again without news from the kernel */
    void *backing;         /* what else a backend needs */
};

struct iovec;

struct coil__backend;

struct coil__backend_ops {
    const char *name; /* as in COIL_BACKEND= */

    /* Returns 0 or -errno. */
    int (*open)(struct coil__backend **backend_out);
    /* No operation may be pending. */
    void (*close)(struct coil__backend *backend);

    /* COIL__OP_READY, COIL__OP_PENDING, or -errno if the backend cannot take it (the operation was
     * not started: ENOMEM, ENOSPC (epoll watches)...). A failing system call of the operation itself
     * is COIL__OP_READY with a negative result. A bad descriptor is -EBADF either way. */
    int (*submit)(struct coil__backend *backend, struct coil__op *op);

    /* Only for a pending operation. COIL__OP_GONE or COIL__OP_PENDING. */
    int (*cancel)(struct coil__backend *backend, struct coil__op *op);

    /* Waits until something completed, wake() was called, or timeout_ns has gone by (0: only look;
     * COIL__FOREVER_NS: no limit), and calls done for what completed. Returns 0, or -errno where
     * the kernel refused (EINTR is not an error). May return 0 early with nothing done: after a
     * signal, or where the kernel reported what turned out to be nothing. Not to be called from a
     * done. */
    int (*wait)(struct coil__backend *backend, int64_t timeout_ns);

    /* Makes the current or next wait return at once. Any thread, signal handlers. */
    void (*wake)(struct coil__backend *backend);

    /* The caller is about to close the descriptor: forget what is remembered about it. No operation
     * may be pending on it, but those that were cancelled and are not gone yet. Calling it is optional: a descriptor that was closed behind the
     * backend's back and came back under the same number must work, too. */
    void (*forget)(struct coil__backend *backend, int fd);

    /* In a child of fork: gives up what is shared with the parent, who must not notice: by close and munmap,
     * and nothing else. Called between fork and exec, so without allocating or freeing; the backend is not
     * used again, and its memory stays. */
    void (*abandon)(struct coil__backend *backend);

    /* A descriptor that polls readable when wait() has something to do; -ENOTSUP if there is none. */
    int (*poll_fd)(struct coil__backend *backend);

    /* Operations submitted and not yet done. Flows do not count. */
    size_t (*pending)(struct coil__backend *backend);

    /* Begins a flow that does not read yet. 0, or -errno: -EPERM if the descriptor cannot be waited for (a
     * regular file), -EBUSY while it has operations or a flow. */
    int (*flow_open)(struct coil__backend *backend, struct coil__flow *flow);
    void (*flow_close)(struct coil__backend *backend, struct coil__flow *flow);

    /* Whether readable is wanted. */
    void (*flow_reading)(struct coil__backend *backend, struct coil__flow *flow, bool reading);

    /* STREAM. The number of bytes, 0 at the end, -EAGAIN if there is nothing now, or -errno. */
    int64_t (*flow_read)(struct coil__backend *backend, struct coil__flow *flow, void *buffer,
                         size_t bytes);

    /* STREAM. How many bytes went out, -EAGAIN for none, or -errno; no SIGPIPE. After anything less than
     * all of it, writable will be called. */
    int64_t (*flow_write)(struct coil__backend *backend, struct coil__flow *flow,
                          const struct iovec *parts, int count);

    /* LISTENER. A connection's descriptor, non-blocking and close-on-exec, -EAGAIN, or -errno. */
    int (*flow_accept)(struct coil__backend *backend, struct coil__flow *flow);

    /* POLLED. The owner's call said EAGAIN on this side (enum coil__flow_side). STREAM: on the way out, after a
     * sendfile(2). */
    void (*flow_blocked)(struct coil__backend *backend, struct coil__flow *flow, int side);
};

enum coil__flow_side {
    COIL__FLOW_IN,
    COIL__FLOW_OUT,
};

/* Every backend begins with this. */
struct coil__backend {
    const struct coil__backend_ops *ops;
    const char *why; /* why not the one that was asked for; NULL: it is the one */
};

extern const struct coil__backend_ops coil__backend_epoll;
extern const struct coil__backend_ops coil__backend_poll;
extern const struct coil__backend_ops coil__backend_uring;

/* What stands in for an abandoned one: refuses with COIL_EFORKED, and makes no system call. */
extern struct coil__backend coil__backend_forked;

/* Opens the one named by the environment variable COIL_BACKEND, or else the best that works here.
 * io_uring is forbidden in many places: where it is named and cannot be had, the best of the others is
 * opened, and says why. -ENOTSUP if the name is unknown. */
int coil__backend_open(struct coil__backend **backend_out);

/* What open() of io_uring failed with, in words. A static text. */
const char *coil__uring_why_not(int rc);

#endif
