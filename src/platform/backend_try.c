#include "platform/backend_try.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Not -EAGAIN: connect on an AF_UNIX socket gives that as its result. */
#define WOULD_BLOCK INT64_MIN

_Static_assert(EAGAIN == EWOULDBLOCK, "one comparison covers both");

static int64_t attempt(struct coil__op *op);
static int64_t attempt_read(struct coil__op *op);
static int64_t attempt_write(struct coil__op *op);
static int64_t attempt_accept(struct coil__op *op);
static int64_t attempt_connect(struct coil__op *op);
static int64_t start_connect(struct coil__op *op);
static int64_t look(int fd, short events);
static int64_t look_if_blocking(struct coil__op *op, short events);
static int64_t outcome(ssize_t rc);

void coil__op_prepare(struct coil__op *op)
{
    op->result = 0;
    op->pending = false;
    op->started = false;
    op->nonblocking = false;
    op->polls = false;
    op->next = NULL;
    op->link = NULL;
}

bool coil__op_try(struct coil__op *op)
{
    int64_t result;
    do
        result = attempt(op);
    while (result == -EINTR);

    if (result == WOULD_BLOCK)
        return false;
    op->result = result;
    return true;
}

static int64_t attempt(struct coil__op *op)
{
    switch ((enum coil__op_kind)op->kind) {
    case COIL__OP_READABLE:
        return look(op->fd, POLLIN);
    case COIL__OP_WRITABLE:
        return look(op->fd, POLLOUT);
    case COIL__OP_READ:
        return attempt_read(op);
    case COIL__OP_WRITE:
        return attempt_write(op);
    case COIL__OP_RECV:
        /* The kernel would wait for data, or eat a datagram, to fill nothing. */
        if (op->io.bytes == 0)
            return 0;
        return outcome(recv(op->fd, op->io.data, op->io.bytes, op->io.flags | MSG_DONTWAIT));
    case COIL__OP_SEND:
        return outcome(
            send(op->fd, op->io.data, op->io.bytes, op->io.flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    case COIL__OP_RECVMSG:
        return outcome(recvmsg(op->fd, op->msg.header, op->msg.flags | MSG_DONTWAIT));
    case COIL__OP_SENDMSG:
        return outcome(
            sendmsg(op->fd, op->msg.header, op->msg.flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    case COIL__OP_ACCEPT:
        return attempt_accept(op);
    case COIL__OP_CONNECT:
        return attempt_connect(op);
    }
    assert(!"unknown kind of operation");
    return -EINVAL;
}

static int64_t attempt_read(struct coil__op *op)
{
    int64_t rc = look_if_blocking(op, POLLIN);
    if (rc < 0)
        return rc;
    return outcome(read(op->fd, op->io.data, op->io.bytes));
}

static int64_t attempt_write(struct coil__op *op)
{
    int64_t rc = look_if_blocking(op, POLLOUT);
    if (rc < 0)
        return rc;

    size_t bytes = op->io.bytes;
    if (!op->nonblocking && bytes > PIPE_BUF) {
        struct stat file;
        if (fstat(op->fd, &file) < 0)
            return -errno;
        if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
            bytes = PIPE_BUF;
    }
    return outcome(coil__write_quietly(op->fd, op->io.data, bytes));
}

/* A pipe has no MSG_NOSIGNAL. The kernel sends SIGPIPE to the thread that writes, so it can be kept waiting
 * there and taken back, without a change for other threads or for what the program does about the signal.
 * One that was waiting before stays. */
ssize_t coil__write_quietly(int fd, const void *data, size_t bytes)
{
    static const struct timespec at_once;
    sigset_t sigpipe, before, waiting;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    bool was_waiting = sigismember(&before, SIGPIPE) && sigpending(&waiting) == 0 &&
                       sigismember(&waiting, SIGPIPE);
    ssize_t n = write(fd, data, bytes);
    int error = errno;
    /* Also if the reader went in the middle of it. */
    bool raised = n < 0 ? error == EPIPE : (size_t)n < bytes;
    while (raised && !was_waiting && sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR)
        continue;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

static int64_t attempt_accept(struct coil__op *op)
{
    int64_t rc = look_if_blocking(op, POLLIN);
    if (rc < 0)
        return rc;
    return outcome(
        accept4(op->fd, op->accept.address, op->accept.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static int64_t attempt_connect(struct coil__op *op)
{
    if (!op->started)
        return start_connect(op);

    /* SO_ERROR is 0 while the handshake is under way, too: only a writable socket may be asked. */
    int64_t rc = look(op->fd, POLLOUT);
    if (rc != 0)
        return rc;
    int error;
    socklen_t length = sizeof(error);
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return -error;
}

static int64_t start_connect(struct coil__op *op)
{
    int flags = fcntl(op->fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if (!(flags & O_NONBLOCK))
        return -EINVAL;

    if (connect(op->fd, op->connect.address, op->connect.length) == 0)
        return 0;
    /* Interrupted or not, the handshake goes on; a second connect would be told EALREADY. */
    if (errno != EINPROGRESS && errno != EINTR)
        return -errno;
    op->started = true;
    return WOULD_BLOCK;
}

/* 0 if the descriptor is ready for the events, or has an error or a hang-up to report. */
static int64_t look(int fd, short events)
{
    struct pollfd one = { .fd = fd, .events = events };
    int n = poll(&one, 1, 0);
    if (n < 0)
        return -errno;
    if (n == 0)
        return WOULD_BLOCK;
    return (one.revents & POLLNVAL) ? -EBADF : 0;
}

/* 0 if the system call may be made: the descriptor is ready, or in non-blocking mode. */
static int64_t look_if_blocking(struct coil__op *op, short events)
{
    if (op->nonblocking)
        return 0;
    int flags = fcntl(op->fd, F_GETFL);
    if (flags < 0)
        return -errno;
    op->nonblocking = (flags & O_NONBLOCK) != 0;
    return op->nonblocking ? 0 : look(op->fd, events);
}

static int64_t outcome(ssize_t rc)
{
    if (rc >= 0)
        return rc;
    return errno == EAGAIN ? WOULD_BLOCK : -errno;
}
