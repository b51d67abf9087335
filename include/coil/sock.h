/* Plain sockets: the system calls, waiting in the loop instead of in the kernel.
 *
 *     int client;
 *     COIL_TRY(client = coil_sock_accept(listener, NULL, NULL));
 *     char line[512];
 *     ssize_t got;
 *     COIL_TRY(got = coil_sock_recv(client, line, sizeof line));
 *     COIL_TRY(coil_sock_sendall(client, line, (size_t)got));
 *     coil_sock_close(client);
 *
 * Descriptors stay yours. Several tasks may wait on one; they are served first come, first served. Use
 * non-blocking sockets (SOCK_NONBLOCK); coil_sock_accept gives such. */
#ifndef COIL_SOCK_H
#define COIL_SOCK_H

#include <sys/socket.h>
#include <sys/types.h>
#include <coil/base.h>

COIL_BEGIN_DECLS

/**
 * Accepts a connection.
 *
 * @param fd           a listening socket
 * @param address_out  NULL, or receives the peer's address, and length_in_out its length
 *
 * Returns   the new descriptor, non-blocking and close-on-exec, yours to close, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno as of accept(2) (-EMFILE...)
 * Suspends  until there is a connection
 * Cancel    no connection is lost: it stays in the listener's queue, or is returned all the same and
 *           the cancellation comes at the next await
 * Thread    the loop's, in a task
 * Python    loop.sock_accept
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_sock_accept(int fd, COIL_NULLABLE struct sockaddr *address_out,
                 COIL_NULLABLE socklen_t *length_in_out);

/**
 * Connects a non-blocking socket.
 *
 * @param address  borrowed for the call
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno (-ECONNREFUSED...)
 * Suspends  until the connection stands or failed
 * Cancel    the socket is in between: close it
 * Thread    the loop's, in a task
 * Python    loop.sock_connect
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_sock_connect(int fd, const struct sockaddr *address, socklen_t length);

/**
 * Receives what is there, up to a limit.
 *
 * @param buffer  the loop's until the call returns
 *
 * Returns   the number of bytes, 0 when the peer has closed its side, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno (-ECONNRESET...)
 * Suspends  while nothing is there
 * Cancel    loses nothing: bytes that were received are returned, and the cancellation comes at the
 *           next await
 * Thread    the loop's, in a task
 * Python    loop.sock_recv, loop.sock_recv_into
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_sock_recv(int fd, void *buffer, size_t bytes);

/**
 * Sends everything.
 *
 * @param data  borrowed until the call returns
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno (-EPIPE, -ECONNRESET...; no SIGPIPE)
 * Suspends  while the peer, or the network, is slower
 * Cancel    some of it may have been sent; how much cannot be told
 * Thread    the loop's, in a task
 * Python    loop.sock_sendall
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_sock_sendall(int fd, const void *data,
                                                              size_t bytes);

/**
 * Sends a file, or a part of it. The system does it by itself where it can.
 *
 * @param file      open for reading; its position afterwards is behind what was sent
 * @param offset    where to begin
 * @param count     how many bytes; 0: up to the end
 * @param fallback  read and send piece by piece if the system cannot do it by itself
 *
 * Returns   how many bytes were sent, less than count if the file is shorter; or
 *           COIL_ENOTSUP   the system cannot do it by itself, and there is to be no fallback
 *           COIL_ECANCELED, COIL_EINVAL, COIL_ENOMEM, COIL_ENOTASK, -EPIPE...
 * Suspends  while the peer, or the network, is slower
 * Cancel    a part may have been sent: the file's position says how much
 * Thread    the loop's, in a task
 * Python    loop.sock_sendfile
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int64_t coil_sock_sendfile(int fd, int file, int64_t offset,
                                                                   int64_t count, bool fallback);

/**
 * Receives one datagram. What does not fit is dropped, as recvfrom(2) does.
 *
 * @param buffer       the loop's until the call returns
 * @param address_out  NULL, or receives the sender's address, and length_in_out its length
 *
 * Returns   the number of bytes, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno
 * Suspends  while there is none
 * Cancel    loses nothing: a datagram that was received is returned, and the cancellation comes at the
 *           next await
 * Thread    the loop's, in a task
 * Python    loop.sock_recvfrom, loop.sock_recvfrom_into
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t
coil_sock_recvfrom(int fd, void *buffer, size_t bytes, COIL_NULLABLE struct sockaddr *address_out,
                   COIL_NULLABLE socklen_t *length_in_out);

/**
 * Sends one datagram.
 *
 * @param data     borrowed until the call returns
 * @param address  borrowed for the call; NULL for a connected socket
 *
 * Returns   the number of bytes, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno (-EMSGSIZE...)
 * Suspends  while the system's buffer is full
 * Cancel    it was not sent
 * Thread    the loop's, in a task
 * Python    loop.sock_sendto
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t
coil_sock_sendto(int fd, const void *data, size_t bytes,
                 COIL_NULLABLE const struct sockaddr *address, socklen_t length);

/**
 * Waits until any descriptor that can be polled (a pipe, a terminal, a timerfd, another library's socket) is
 * readable, or writable, or has failed.
 *
 * @param fd  stays yours
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, or -errno (-EBADF...)
 * Suspends  at least until the next turn
 * Cancel    nothing has been read or written
 * Thread    the loop's, in a task
 * Python    none (Trio: lowlevel.wait_readable, wait_writable)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_wait_readable(int fd);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_wait_writable(int fd);

/**
 * Closes a descriptor that was used with the loop. Plain close(2) is allowed, too, once no call waits on
 * the descriptor; this also ends such calls, with COIL_ECLOSED.
 *
 * @param fd  given up; a negative one is ignored
 *
 * Suspends  never
 * Thread    the loop's
 * Python    socket.close
 * Since     0.1
 */
COIL_API void coil_sock_close(int fd);

COIL_END_DECLS

#endif
