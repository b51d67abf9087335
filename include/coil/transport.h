/* Transports and protocols: connections driven by callbacks, below streams.
 *
 * A transport moves the bytes; a protocol says what to do with them. The protocol is a struct of functions, and
 * `self`, what they are called with, belongs to one connection:
 *
 *     struct shout {
 *         coil_transport *transport;
 *     };
 *
 *     static int shout_made(void *self, coil_transport *transport)
 *     {
 *         ((struct shout *)self)->transport = transport;
 *         return 0;
 *     }
 *
 *     static int shout_received(void *self, const void *data, size_t bytes)
 *     {
 *         return coil_transport_write(((struct shout *)self)->transport, data, bytes);
 *     }
 *
 *     static const coil_protocol shout = {
 *         .size = sizeof(coil_protocol), .name = "shout",
 *         .connection_made = shout_made, .data_received = shout_received, .destroy = free,
 *     };
 *     ...
 *     struct shout *self = calloc(1, sizeof *self);
 *     COIL_TRY(coil_create_connection_sock(&shout, self, fd, NULL, NULL));
 *
 * Writing never waits: what the system does not take at once is kept and sent later. When too much has piled up
 * the protocol's pause_writing is called, and resume_writing when there is room again.
 *
 * Lifetimes: the loop holds a transport until connection_lost was called, so a connection needs no reference of
 * yours to live on. A reference you hold keeps the object, not the connection: calls on a lost one are harmless. */
#ifndef COIL_TRANSPORT_H
#define COIL_TRANSPORT_H

#include <sys/socket.h>
#include <sys/uio.h>
#include <coil/base.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

/* What a connection does. Borrowed as long as a transport uses it: make it a static. Any function may be NULL.
 *
 * They are called on the loop's thread, outside tasks, in the order of asyncio, and must not suspend. Only
 * pause_writing may be called from inside coil_transport_write, on the stack of whoever writes. Inside each of
 * them everything is allowed: writing, closing, aborting, pausing, another protocol, giving up references.
 *
 * A negative result is an exception: it is reported (COIL_EVENT_PROTOCOL_FAILED). From data_received,
 * eof_received, get_buffer and buffer_updated it is fatal for the connection, which ends with
 * connection_lost(code). COIL_EEXIT and COIL_EINTERRUPT leave the loop. */
typedef struct coil_protocol {
    size_t size;      /* sizeof(coil_protocol) */
    const char *name; /* for people */

    /* The protocol factory: makes self for one connection out of the arg that the call was given. NULL: self is
     * arg itself. */
    int (*create)(void *arg, void **self_out);
    /* The connection stands. The transport is lent until connection_lost; coil_ref to keep it. */
    int (*connection_made)(void *self, coil_transport *transport);
    /* Something came; data is lent for the call. */
    int (*data_received)(void *self, const void *data, size_t bytes);
    /* The peer writes no more. Greater than 0: the connection stays, to be written to; 0: it is closed. */
    int (*eof_received)(void *self);
    /* The last call. 0: it was closed, or aborted, or the peer ended it regularly. Else why, and
     * coil_error_current(code) may know more. */
    int (*connection_lost)(void *self, int code);
    /* The write buffer has grown beyond its high-water mark, and shrunk to the low one: called in turn. */
    int (*pause_writing)(void *self);
    int (*resume_writing)(void *self);
    /* In place of data_received, for protocols with a buffer of their own: gives at least one byte of room
     * (hint: how much would be good, -1: no idea); then, how much of it was filled. */
    int (*get_buffer)(void *self, ptrdiff_t hint, void **buffer_out, size_t *bytes_out);
    int (*buffer_updated)(void *self, size_t bytes);
    /* Of datagram transports: one datagram and its sender, lent for the call; length 0: nobody knows. */
    int (*datagram_received)(void *self, const void *data, size_t bytes,
                             const struct sockaddr *address, socklen_t length);
    /* A datagram could not be sent or received; the transport goes on. */
    int (*error_received)(void *self, int code);
    /* The transport lets go of self: after connection_lost, when another protocol took its place, when the call
     * that was to make the connection failed, or when the loop is closed. Exactly once. */
    void (*destroy)(void *self);
} coil_protocol;

/* ---- making connections ------------------------------------------------------------------------- */

/* Options of the calls that make a connection. */
typedef struct coil_connection_options {
    size_t size;                          /* sizeof(coil_connection_options) */
    int family;                           /* AF_INET, AF_INET6; 0: both */
    COIL_NULLABLE const char *local_host; /* where to connect from; NULL: the system's choice */
    int local_port;                       /* with local_host; 0: the system's choice */
    double
        happy_eyeballs_delay; /* of a host with several addresses: seconds after which the next one is tried beside
                                  * the first; 0: a quarter of a second (RFC 8305); negative: only when that failed */
    COIL_NULLABLE coil_tls_context
        *tls; /* a client's, or an accepted socket's server's; NULL: no TLS */
    COIL_NULLABLE const char *server_hostname; /* whose certificate it must be; NULL: the host's */
    double tls_handshake_timeout;              /* seconds; 0: 60 */
    double tls_shutdown_timeout;               /* seconds; 0: 30 */
} coil_connection_options;
#define COIL_CONNECTION_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(coil_connection_options), 0, NULL, 0, 0, NULL, NULL, 0, 0                           \
    }

/**
 * Connects to a host by TCP. Names are looked up as coil_getaddrinfo does; where a host has several addresses they are
 * tried in turn, IPv6 and IPv4 alternating, and the first that answers is kept (RFC 8305, "Happy Eyeballs").
 *
 * With options->tls the connection is one of TLS, and the handshake is over when the call returns.
 *
 * @param protocol       borrowed as long as the connection stands
 * @param arg            for protocol->create; or self: then it is given up, whatever the call returns
 *                       (protocol->destroy is called once nobody needs it)
 * @param host           a name or a numeric address; NULL or "": this machine
 * @param options        NULL: the defaults
 * @param transport_out  NULL, or receives one reference
 *
 * Returns   0, or
 *           COIL_EINVAL     the port is out of range, or no local address goes with the host's
 *           COIL_EGAI_NONAME, COIL_EGAI_AGAIN...  as coil_getaddrinfo
 *           -ECONNREFUSED, -EHOSTUNREACH, COIL_ETIMEDOUT...  as the first address failed; the record tells of all
 *           COIL_ECERT, COIL_ETLS  the handshake failed
 *           COIL_ECANCELED  and the connection, if it was begun, is being closed
 *           COIL_ENOTASK, COIL_ENOMEM, -EMFILE, what protocol->create returned
 * Suspends  until connection_made was called
 * Cancel    connection_lost is called in the next turn, if connection_made has been or will be
 * Thread    the loop's, in a task
 * Python    loop.create_connection
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_connection(const coil_protocol *protocol, void *arg, COIL_NULLABLE const char *host,
                       int port, COIL_NULLABLE const coil_connection_options *options,
                       COIL_NULLABLE coil_transport **transport_out);

/**
 * The same to a Unix socket.
 *
 * @param path  of the socket's file; "@name": in Linux's abstract namespace
 *
 * Returns   as coil_create_connection; -ENOENT: there is no such file; COIL_EINVAL: the path is too long
 * Suspends  until connection_made was called
 * Cancel    as coil_create_connection
 * Thread    the loop's, in a task
 * Python    loop.create_unix_connection
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_unix_connection(const coil_protocol *protocol, void *arg, const char *path,
                            COIL_NULLABLE const coil_connection_options *options,
                            COIL_NULLABLE coil_transport **transport_out);

/**
 * Makes a transport of a socket that is connected already.
 *
 * @param protocol       borrowed as long as the connection stands
 * @param arg            for protocol->create, or self: then it is given up, whatever the call returns
 *                       (protocol->destroy is called once nobody needs it)
 * @param fd             a connected stream socket; becomes the transport's, and non-blocking
 * @param options        NULL: the defaults
 * @param transport_out  NULL, or receives one reference
 *
 * Returns   0, or
 *           COIL_EINVAL     not a stream socket
 *           COIL_ECANCELED  and the connection, if it was begun, is being closed
 *           COIL_ENOTASK, COIL_ENOMEM, -EBADF, -ENOSPC, what protocol->create returned
 * Owns      the descriptor is the transport's when the call succeeds, and stays the caller's if it fails
 * Suspends  until connection_made was called
 * Cancel    connection_lost is called in the next turn, if connection_made has been or will be
 * Thread    the loop's, in a task
 * Python    loop.create_connection(protocol_factory, sock=sock)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_connection_sock(const coil_protocol *protocol, void *arg, int fd,
                            COIL_NULLABLE const coil_connection_options *options,
                            COIL_NULLABLE coil_transport **transport_out);

/**
 * The same of a socket that was accepted elsewhere: by coil_sock_accept, or in another process.
 *
 * Returns   as coil_create_connection_sock
 * Owns      as coil_create_connection_sock
 * Suspends  until connection_made was called
 * Cancel    as coil_create_connection_sock
 * Thread    the loop's, in a task
 * Python    loop.connect_accepted_socket
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_connect_accepted_socket(const coil_protocol *protocol, void *arg, int fd,
                             COIL_NULLABLE const coil_connection_options *options,
                             COIL_NULLABLE coil_transport **transport_out);

/**
 * Makes a transport of one end of a pipe: for reading, or for writing. A terminal or a socket will do, too. The
 * reading end calls eof_received when the last writer has closed, and is closed then; the writing end has
 * connection_lost called when nobody reads any more.
 *
 * @param arg            for protocol->create; or self: then it is given up, whatever the call returns
 * @param fd             becomes the transport's, and non-blocking
 * @param transport_out  NULL, or receives one reference
 *
 * Returns   0, or
 *           COIL_EINVAL  no pipe, socket or character device
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, -EBADF, what protocol->create returned
 * Owns      the descriptor is the transport's when the call succeeds, and stays the caller's if it fails
 * Suspends  until connection_made was called
 * Cancel    connection_lost is called in the next turn, if connection_made has been or will be
 * Thread    the loop's, in a task
 * Python    loop.connect_read_pipe, loop.connect_write_pipe
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_connect_read_pipe(const coil_protocol *protocol, void *arg, int fd,
                       COIL_NULLABLE coil_transport **transport_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_connect_write_pipe(const coil_protocol *protocol, void *arg, int fd,
                        COIL_NULLABLE coil_transport **transport_out);

/* ---- datagrams ---------------------------------------------------------------------------------- */

/* Options of coil_create_datagram_endpoint: where it is bound to, and whom it talks to. Hosts, or paths. */
typedef struct coil_datagram_options {
    size_t size;                           /* sizeof(coil_datagram_options) */
    COIL_NULLABLE const char *local_host;  /* where to receive; "": all interfaces */
    int local_port;                        /* 0: one that is free */
    COIL_NULLABLE const char *remote_host; /* the only one to talk to */
    int remote_port;
    int family;                           /* AF_INET, AF_INET6; needed if there is no host */
    COIL_NULLABLE const char *local_path; /* a Unix socket's file; "@name": abstract */
    COIL_NULLABLE const char *remote_path;
    bool reuse_port;      /* SO_REUSEPORT */
    bool allow_broadcast; /* SO_BROADCAST; the socket is not connected then */
} coil_datagram_options;
#define COIL_DATAGRAM_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(coil_datagram_options), NULL, 0, NULL, 0, 0, NULL, NULL, false, false               \
    }

/**
 * Makes a transport for datagrams: datagram_received is called for each that comes, coil_transport_sendto sends.
 *
 * @param arg            for protocol->create; or self: then it is given up, whatever the call returns
 * @param options        at least a host, a path or a family
 * @param transport_out  NULL, or receives one reference
 *
 * Returns   0, or
 *           COIL_EINVAL  neither address nor family
 *           COIL_EGAI_NONAME...  as coil_getaddrinfo
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, -EADDRINUSE, -EMFILE..., what protocol->create returned
 * Suspends  until connection_made was called
 * Cancel    connection_lost is called in the next turn, if connection_made has been or will be
 * Thread    the loop's, in a task
 * Python    loop.create_datagram_endpoint
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_datagram_endpoint(const coil_protocol *protocol, void *arg,
                              const coil_datagram_options *options,
                              COIL_NULLABLE coil_transport **transport_out);

/**
 * The same on a datagram socket that is there already.
 *
 * Returns   as coil_create_datagram_endpoint
 * Owns      the descriptor is the transport's when the call succeeds, and stays the caller's if it fails
 * Suspends  until connection_made was called
 * Cancel    as coil_create_datagram_endpoint
 * Thread    the loop's, in a task
 * Python    loop.create_datagram_endpoint(protocol_factory, sock=sock)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_create_datagram_endpoint_sock(const coil_protocol *protocol, void *arg, int fd,
                                   COIL_NULLABLE coil_transport **transport_out);

/**
 * Sends one datagram, or keeps it, to be sent when the system takes it. What goes wrong with one that is sent comes
 * through error_received. After the loss of the transport it does nothing, but for the warning of
 * coil_transport_write.
 *
 * @param data     borrowed for the call
 * @param bytes    0 is a datagram, too
 * @param address  borrowed for the call; NULL: the remote one of the transport
 *
 * Returns   0, or
 *           COIL_EINVAL   an address although the transport has another, or none and it has none
 *           COIL_ENOMEM   it could not be kept, and is lost
 *           COIL_ENOTSUP  not a datagram transport
 * Suspends  never; may call the protocol's pause_writing or error_received
 * Thread    the loop's
 * Python    DatagramTransport.sendto
 * Since     0.1
 */
COIL_API int coil_transport_sendto(coil_transport *transport, const void *data, size_t bytes,
                                   COIL_NULLABLE const struct sockaddr *address, socklen_t length);

/* ---- writing ------------------------------------------------------------------------------------ */

/**
 * Sends bytes, and keeps what the system does not take at once, to be sent later. On a connection that is lost
 * it does nothing; from the fifth time on a warning is logged (COIL_EVENT_WRITE_AFTER_LOSS).
 *
 * @param data   borrowed for the call
 * @param bytes  0 is fine
 *
 * Returns   0, or
 *           COIL_ERUNTIME  after coil_transport_write_eof, or while a file is being sent
 *           COIL_ENOMEM    nothing was sent; or, if some of it was sent, the connection is aborted
 *           COIL_ENOTSUP   the transport is not for writing
 *           A failure of the connection itself comes through connection_lost.
 * Suspends  never; may call the protocol's pause_writing
 * Thread    the loop's
 * Python    WriteTransport.write
 * Since     0.1
 */
COIL_API int coil_transport_write(coil_transport *transport, const void *data, size_t bytes);

/**
 * The same for several pieces, as one.
 *
 * @param parts  borrowed for the call
 * @param count  0 is fine
 *
 * Returns   as coil_transport_write
 * Suspends  never; may call the protocol's pause_writing
 * Thread    the loop's
 * Python    WriteTransport.writelines
 * Since     0.1
 */
COIL_API int coil_transport_writelines(coil_transport *transport, const struct iovec *parts,
                                       size_t count);

/**
 * Ends this side of the connection, once what was written has been sent; the other side stays open. A second time,
 * and after close, it does nothing.
 *
 * Returns   0, or
 *           COIL_ENOTSUP  this kind of transport cannot do it (coil_transport_can_write_eof)
 * Suspends  never
 * Thread    the loop's
 * Python    WriteTransport.write_eof
 * Since     0.1
 */
COIL_API int coil_transport_write_eof(coil_transport *transport);

/**
 * Whether coil_transport_write_eof is possible.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    WriteTransport.can_write_eof
 * Since     0.1
 */
COIL_API bool coil_transport_can_write_eof(const coil_transport *transport);

/**
 * How many bytes are kept, to be sent.
 *
 * Returns   bytes
 * Suspends  never
 * Thread    the loop's
 * Python    WriteTransport.get_write_buffer_size
 * Since     0.1
 */
COIL_API size_t coil_transport_get_write_buffer_size(const coil_transport *transport);

/* For coil_transport_set_write_buffer_limits: what asyncio derives from the other mark. */
#define COIL_DEFAULT_LIMIT PTRDIFF_MIN

/**
 * The marks of the write buffer. pause_writing is called when it grows beyond the high one (at first 64 KiB),
 * resume_writing when it has shrunk to the low one.
 *
 * @param high  bytes, or COIL_DEFAULT_LIMIT: four times low, or 64 KiB
 * @param low   bytes, or COIL_DEFAULT_LIMIT: a quarter of high
 *
 * Returns   0, or
 *           COIL_EINVAL  low is greater than high, or one of them is negative
 * Suspends  never; may call the protocol's pause_writing
 * Thread    the loop's
 * Python    WriteTransport.set_write_buffer_limits
 * Since     0.1
 */
COIL_API int coil_transport_set_write_buffer_limits(coil_transport *transport, ptrdiff_t high,
                                                    ptrdiff_t low);

/**
 * The marks as they are.
 *
 * @param low_out   NULL, or receives the low mark
 * @param high_out  NULL, or receives the high mark
 *
 * Suspends  never
 * Thread    the loop's
 * Python    WriteTransport.get_write_buffer_limits
 * Since     0.1
 */
COIL_API void coil_transport_get_write_buffer_limits(const coil_transport *transport,
                                                     COIL_NULLABLE size_t *low_out,
                                                     COIL_NULLABLE size_t *high_out);

/**
 * Bounds what all transports and stream readers of a loop may keep together. Beyond it each transport has the
 * high-water mark 0: whoever respects pause_writing (as streams do) waits until what it has written is sent; and a
 * peer that sends faster than it is read is stopped at the reader's limit, instead of twice that. So one budget bounds
 * the memory of ten thousand slow clients. A reader counts with all the memory it holds: 64 KiB while its task deals
 * with what came, next to nothing while it waits.
 *
 * @param loop   NULL: the running one
 * @param bytes  at first SIZE_MAX, no limit
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void coil_loop_set_buffer_budget(COIL_NULLABLE coil_loop *loop, size_t bytes);

/**
 * Sends a file, or a part of it, behind what was written before. The system does it by itself where it can; reading the
 * file may take the disk's time either way. Meanwhile nobody else may write, and reading is paused.
 *
 * @param file      open for reading; its position afterwards is behind what was sent
 * @param offset    where to begin
 * @param count     how many bytes; 0: up to the end
 * @param fallback  read and write piece by piece if the system cannot do it by itself
 *
 * Returns   how many bytes were sent, less than count if the file is shorter; or
 *           COIL_ERUNTIME  the transport is closing, or sends another file
 *           COIL_ENOTSUP   the system cannot do it by itself, and there is to be no fallback
 *           COIL_ECLOSED   the connection was closed, or lost, meanwhile
 *           COIL_ECANCELED, COIL_EINVAL, COIL_ENOMEM, COIL_ENOTASK, -EPIPE, -EIO...
 * Suspends  until all is handed to the system
 * Cancel    a part may have been sent: the file's position says how much
 * Thread    the loop's, in a task
 * Python    loop.sendfile
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int64_t coil_sendfile(coil_transport *transport, int file,
                                                              int64_t offset, int64_t count,
                                                              bool fallback);

/* ---- ending ------------------------------------------------------------------------------------- */

/**
 * Closes the connection: nothing more is read, what was written is still sent, and then connection_lost(0) is
 * called, in the next turn at the earliest. Closing twice is fine.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    BaseTransport.close
 * Since     0.1
 */
COIL_API void coil_transport_close(coil_transport *transport);

/**
 * The same without sending what is kept.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    WriteTransport.abort
 * Since     0.1
 */
COIL_API void coil_transport_abort(coil_transport *transport);

/**
 * Whether the transport is closed, or being closed.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    BaseTransport.is_closing
 * Since     0.1
 */
COIL_API bool coil_transport_is_closing(const coil_transport *transport);

/* ---- reading ------------------------------------------------------------------------------------ */

/**
 * Stops reading: data_received and eof_received are not called until coil_transport_resume_reading, and the peer
 * has to wait when the system's buffers are full. Nothing is lost. Twice is fine.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    ReadTransport.pause_reading
 * Since     0.1
 */
COIL_API void coil_transport_pause_reading(coil_transport *transport);

/**
 * Reads again. Without a pause before it does nothing.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    ReadTransport.resume_reading
 * Since     0.1
 */
COIL_API void coil_transport_resume_reading(coil_transport *transport);

/**
 * Whether the transport reads: neither paused nor closing.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    ReadTransport.is_reading
 * Since     0.1
 */
COIL_API bool coil_transport_is_reading(const coil_transport *transport);

/* ---- protocol, and what lies below ---------------------------------------------------------------- */

/**
 * Puts another protocol on a live connection: it gets what comes from now on, connection_lost included, but not
 * connection_made. The old one is let go of (destroy), when it is not running any more.
 *
 * @param protocol  borrowed as long as the connection stands; its create is not called
 * @param self      given up
 *
 * Suspends  never
 * Thread    the loop's
 * Python    BaseTransport.set_protocol
 * Since     0.1
 */
COIL_API void coil_transport_set_protocol(coil_transport *transport, const coil_protocol *protocol,
                                          void *self);

/**
 * The protocol.
 *
 * @param self_out  NULL, or receives what it is called with
 *
 * Returns   lent; NULL once the connection is lost
 * Suspends  never
 * Thread    the loop's
 * Python    BaseTransport.get_protocol
 * Since     0.1
 */
COIL_API const coil_protocol *coil_transport_get_protocol(const coil_transport *transport,
                                                          COIL_NULLABLE void **self_out);

/**
 * What else is known about a connection:
 *
 *     "socket"    the descriptor, an integer
 *     "sockname"  this side's address, a text: "127.0.0.1:80", "[::1]:80", "/path/of/a/unix/socket"
 *     "peername"  the other side's
 *     "pipe"      of pipes: the descriptor
 *
 * The addresses are asked of the system the first time, and kept: ask while the connection stands.
 *
 * Returns   a view, good as long as the transport; nil if there is no such thing, or no more
 * Suspends  never
 * Thread    the loop's
 * Python    BaseTransport.get_extra_info
 * Since     0.1
 */
COIL_API coil_value coil_transport_get_extra_info(coil_transport *transport, const char *name);

/**
 * The descriptor below. Closing it, or changing its mode, is the transport's business.
 *
 * Returns   the descriptor; COIL_ECLOSED once the connection is lost, COIL_ENOTSUP if there is none
 * Suspends  never
 * Thread    the loop's
 * Python    transport.get_extra_info("socket").fileno()
 * Since     0.1
 */
COIL_API int coil_transport_fd(const coil_transport *transport);

/**
 * The addresses of both sides, as getsockname(2) and getpeername(2) give them.
 *
 * @param address_out    receives as much as fits
 * @param length_in_out  the room; receives the true length
 *
 * Returns   0, or
 *           COIL_ECLOSED, COIL_ENOTSUP, -ENOTCONN...
 * Suspends  never
 * Thread    the loop's
 * Python    transport.get_extra_info("sockname"), transport.get_extra_info("peername")
 * Since     0.1
 */
COIL_API int coil_transport_sockname(const coil_transport *transport, struct sockaddr *address_out,
                                     socklen_t *length_in_out);
COIL_API int coil_transport_peername(const coil_transport *transport, struct sockaddr *address_out,
                                     socklen_t *length_in_out);

COIL_END_DECLS

#endif
