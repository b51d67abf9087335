/* Plain sockets: operations of the backend, with a task waiting for each. */
#include <coil/sock.h>

#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "tasks/task.h"

/* One operation that a task waits for, on the task's stack. */
struct operation {
    struct coil__wait wait;
    struct coil__op op;
    struct coil__ready ready; /* queued when the operation is done */
    struct coil__link link;   /* in loop->operations */
    bool closed;              /* ended by coil_sock_close */
};

/* The cancellation came too late to take the operation back: it is due at the next await. */
static void cancel_later(struct coil__wait *wait)
{
    struct coil__task *task = wait->task;
    if (wait->refused)
        return; /* by a scope, which says so again */
    coil_error *old = task->cancel_error;
    task->cancel_error = coil_ref(wait->error);
    coil_unref(old);
    task->flags |= COIL__TASK_MUST_CANCEL;
}

static void operation_over(struct coil__ready *ready)
{
    struct operation *self = COIL__CONTAINER(ready, struct operation, ready);
    if (self->wait.state != COIL__WAIT_PENDING && self->wait.state != COIL__WAIT_CANCELLING)
        return;
    bool asked = self->wait.state == COIL__WAIT_CANCELLING;
    bool taken_back = asked && self->op.result < 0;
    if (asked && !taken_back && !self->closed)
        cancel_later(&self->wait);
    coil__wait_over(&self->wait);
    if (taken_back && !self->closed)
        self->wait.state = COIL__WAIT_CANCELLED;
    self->closed &= taken_back; /* what came before the close is not lost */
}

/* As in asyncio the descriptor's callback comes first and queues the task for the next turn. */
static void operation_done(struct coil__op *op)
{
    struct operation *self = COIL__CONTAINER(op, struct operation, op);
    coil__loop_push(self->wait.task->future.loop, &self->ready);
}

static bool take_back(struct coil__wait *wait)
{
    struct operation *self = COIL__CONTAINER(wait, struct operation, wait);
    if (!self->op.pending)
        return false; /* it has completed; its entry is queued, and what it brought counts */
    struct coil__backend *backend = wait->task->future.loop->backend;
    return backend->ops->cancel(backend, &self->op) == COIL__OP_GONE;
}

/* Nothing is queued: the entry would lie on a stack that goes. */
static void operation_gone(struct coil__op *op)
{
    COIL__CONTAINER(op, struct operation, op)->wait.state = COIL__WAIT_OVER;
}

/* The loop is being closed: the kernel must let go of the buffer before the stack goes, whatever else it
 * refuses. */
static void wait_until_gone(struct operation *self)
{
    struct coil__backend *backend = self->wait.task->future.loop->backend;
    self->op.done = operation_gone;
    while (self->op.pending)
        (void)backend->ops->wait(backend, COIL__FOREVER_NS);
}

/* Waits for a submitted operation. Gives its result, or the code of the cancellation. */
static int64_t await_operation(struct coil__task *task, struct operation *self)
{
    coil__list_append(&task->future.loop->operations, &self->link);
    int rc = coil__task_wait(task, &self->wait);
    coil__list_remove(&self->link);
    if (rc == COIL_ECLOSING)
        wait_until_gone(self);
    if (self->closed)
        return coil__fail(COIL_ECLOSED, "the descriptor was closed by coil_sock_close");
    if ((rc == COIL_ECANCELED || rc == COIL_ECLOSING) && self->wait.state == COIL__WAIT_OVER &&
        self->op.result >= 0) {
        /* It happened, and then came the cancellation, or the end of the loop: nothing is lost, and the
         * next await sees it. */
        if (rc == COIL_ECANCELED)
            task->flags |= COIL__TASK_MUST_CANCEL;
        rc = 0;
    }
    return rc < 0 ? rc : self->op.result;
}

/* Runs one operation to its end: a count, a descriptor, 0, or a negative code with its record. */
static int64_t perform(struct coil__op op, const char *name)
{
    struct coil__task *task = coil__thread.task;
    if (COIL_UNLIKELY(!task || coil__thread.driver))
        return coil__fail(COIL_ENOTASK, "%s outside a task", name);
    struct operation self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_IO, name, take_back),
        .op = op,
        .ready.run = operation_over,
    };
    self.wait.fd = op.fd;
    self.op.done = operation_done;
    struct coil__backend *backend = task->future.loop->backend;
    int64_t result;
    int rc = backend->ops->submit(backend, &self.op);
    if (rc == COIL__OP_PENDING)
        result = await_operation(task, &self);
    else
        result = rc == COIL__OP_READY ? self.op.result : rc;
    if (COIL_UNLIKELY(result < 0 && result > -4096))
        coil__fail((int)result, "%s on descriptor %d", name, op.fd);
    return result;
}

int coil_sock_accept(int fd, struct sockaddr *address_out, socklen_t *length_in_out)
{
    struct coil__op op = { .kind = COIL__OP_ACCEPT, .fd = fd };
    op.accept.address = address_out;
    op.accept.length = length_in_out;
    return (int)perform(op, "sock_accept");
}

int coil_sock_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct coil__op op = { .kind = COIL__OP_CONNECT, .fd = fd };
    op.connect.address = address;
    op.connect.length = length;
    return (int)perform(op, "sock_connect");
}

ssize_t coil_sock_recv(int fd, void *buffer, size_t bytes)
{
    struct coil__op op = { .kind = COIL__OP_RECV, .fd = fd };
    op.io.data = buffer;
    op.io.bytes = bytes;
    return (ssize_t)perform(op, "sock_recv");
}

int coil_sock_sendall(int fd, const void *data, size_t bytes)
{
    const char *rest = data;
    while (bytes > 0) {
        struct coil__op op = { .kind = COIL__OP_SEND, .fd = fd };
        op.io.data = (void *)(uintptr_t)rest;
        op.io.bytes = bytes;
        int64_t sent = perform(op, "sock_sendall");
        if (sent < 0)
            return (int)sent;
        rest += sent;
        bytes -= (size_t)sent;
    }
    return 0;
}

ssize_t coil_sock_recvfrom(int fd, void *buffer, size_t bytes, struct sockaddr *address_out,
                           socklen_t *length_in_out)
{
    struct iovec part = { buffer, bytes };
    struct msghdr header;
    memset(&header, 0, sizeof header);
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_name = address_out;
    header.msg_namelen = address_out && length_in_out ? *length_in_out : 0;
    struct coil__op op = { .kind = COIL__OP_RECVMSG, .fd = fd };
    op.msg.header = &header;
    ssize_t got = (ssize_t)perform(op, "sock_recvfrom");
    if (got >= 0 && length_in_out)
        *length_in_out = header.msg_namelen;
    return got;
}

ssize_t coil_sock_sendto(int fd, const void *data, size_t bytes, const struct sockaddr *address,
                         socklen_t length)
{
    struct iovec part = { (void *)(uintptr_t)data, bytes };
    struct msghdr header;
    memset(&header, 0, sizeof header);
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_name = (void *)(uintptr_t)address;
    header.msg_namelen = address ? length : 0;
    struct coil__op op = { .kind = COIL__OP_SENDMSG, .fd = fd };
    op.msg.header = &header;
    return (ssize_t)perform(op, "sock_sendto");
}

int coil_wait_readable(int fd)
{
    return (int)perform((struct coil__op){ .kind = COIL__OP_READABLE, .fd = fd }, "wait_readable");
}

int coil_wait_writable(int fd)
{
    return (int)perform((struct coil__op){ .kind = COIL__OP_WRITABLE, .fd = fd }, "wait_writable");
}

void coil_sock_close(int fd)
{
    if (fd < 0)
        return;
    coil_loop *loop = coil__thread.loop;
    if (loop && loop->backend) {
        for (struct coil__link *link = loop->operations.next; link != &loop->operations;
             link = link->next) {
            struct operation *self = COIL__CONTAINER(link, struct operation, link);
            if (self->op.fd != fd || self->wait.state != COIL__WAIT_PENDING || !self->op.pending)
                continue;
            self->closed = true;
            if (take_back(&self->wait))
                coil__wait_over(&self->wait);
            else
                self->wait.state = COIL__WAIT_CANCELLING;
        }
        loop->backend->ops->forget(loop->backend, fd);
    }
    (void)close(fd); /* EINTR or EIO: the descriptor is gone either way, and nobody can retry */
}
