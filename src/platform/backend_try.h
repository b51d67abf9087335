/* One operation, tried without blocking: the "try" half of try-then-wait, shared by the backends
 * that learn readiness from the kernel and do the work themselves.
 *
 * Descriptors are the user's and may be in blocking mode, which must not block the loop:
 *  - RECV, SEND, RECVMSG and SENDMSG pass MSG_DONTWAIT, and are safe in either mode.
 *  - READ, WRITE and ACCEPT have no such flag. The mode is asked for once per operation, and a
 *    blocking descriptor is looked at with poll() before each attempt. That holds as long as nobody
 *    else takes the data or the connection in between; whoever shares a descriptor with another
 *    process sets O_NONBLOCK. A WRITE to a blocking descriptor is cut to PIPE_BUF bytes unless it
 *    is a file: that much fits into a pipe that polls writable, where a longer write would block
 *    until the last byte is in. A slow terminal, or a socket with a tiny send buffer, can still
 *    block.
 *  - CONNECT on a blocking socket is -EINVAL (asyncio in debug mode: ValueError), as the kernel
 *    offers no way to look first.
 *
 * Some things cannot be waited for. A RECV with MSG_OOB is woken by ordinary data alone. An
 * unconnected AF_UNIX datagram socket polls writable even if its peer is full, and a socket with an
 * unread error queue reports an error all the time: waiting there keeps the loop busy. AF_UNIX
 * connect to a full backlog is no wait at all: its result is -EAGAIN, as in the kernel. */
#ifndef COIL_PLATFORM_BACKEND_TRY_H
#define COIL_PLATFORM_BACKEND_TRY_H

#include <stdbool.h>
#include <sys/types.h>

#include "platform/backend.h"

/* Before the first try: clears what earlier use may have left in the fields that are ours. */
void coil__op_prepare(struct coil__op *op);

/* True if the operation is over, with op->result set; false if it would block. */
bool coil__op_try(struct coil__op *op);

/* As write(2), but without SIGPIPE where nobody reads: -1 and EPIPE only. */
ssize_t coil__write_quietly(int fd, const void *data, size_t bytes);

/* READABLE or WRITABLE: nothing but a question. */
static inline bool coil__op_asks_readiness(const struct coil__op *op)
{
    return op->kind == COIL__OP_READABLE || op->kind == COIL__OP_WRITABLE;
}

#endif
