/* Children driven by callbacks: a protocol is told what comes through each pipe, when the child ends, and when all is
 * over. For bridges and for protocols that exist already; else <coil/process.h> is easier.
 *
 *     static int received(void *self, int fd, const void *data, size_t bytes)
 *     {
 *         fwrite(data, 1, bytes, fd == 2 ? stderr : stdout);
 *         return 0;
 *     }
 *
 *     static const coil_subprocess_protocol show = {
 *         .size = sizeof(coil_subprocess_protocol), .name = "show", .pipe_data_received = received,
 *     };
 *     ...
 *     COIL_TRY(coil_subprocess_exec(&show, NULL, COIL_ARGS("ls", "-l"), NULL, NULL));
 *
 * The loop holds a transport until connection_lost was called, so a child needs no reference of yours. A reference
 * you hold keeps the object, not the child. */
#ifndef COIL_SUBPROCESS_H
#define COIL_SUBPROCESS_H

#include <coil/process.h>
#include <coil/transport.h>

COIL_BEGIN_DECLS

/* What is done about a child. Borrowed as long as a transport uses it: make it a static. Any function may be NULL.
 *
 * They are called on the loop's thread, outside tasks, and must not suspend. A negative result is an exception: it is
 * reported (COIL_EVENT_PROTOCOL_FAILED), and the child goes on. COIL_EEXIT and COIL_EINTERRUPT leave the loop. */
typedef struct coil_subprocess_protocol {
    size_t size;      /* sizeof(coil_subprocess_protocol) */
    const char *name; /* for people */

    /* Makes self for one child out of the arg that the call was given. NULL: self is arg itself. */
    int (*create)(void *arg, void **self_out);
    /* The child runs and its pipes stand. The transport is lent until connection_lost. */
    int (*connection_made)(void *self, coil_subprocess_transport *transport);
    /* The child has written to its descriptor 1 or 2; data is lent for the call. */
    int (*pipe_data_received)(void *self, int fd, const void *data, size_t bytes);
    /* The pipe of descriptor 0, 1 or 2 is closed. 0: regularly; else why. */
    int (*pipe_connection_lost)(void *self, int fd, int code);
    /* The child has ended. What it has written may still come. */
    int (*process_exited)(void *self);
    /* The last call: the child has ended, and all pipes are closed. 0; or -ECHILD: somebody else has reaped the child,
     * and nobody knows how it ended. */
    int (*connection_lost)(void *self, int code);
    /* What is to be written to the child has grown beyond its high-water mark, and shrunk to the low one. */
    int (*pause_writing)(void *self);
    int (*resume_writing)(void *self);
    /* The transport lets go of self: after connection_lost, when the call that was to start the child failed, or when
     * the loop is closed. Exactly once. */
    void (*destroy)(void *self);
} coil_subprocess_protocol;

/**
 * Starts a program, or has /bin/sh run a command, with a protocol.
 *
 * @param protocol       borrowed as long as the transport uses it
 * @param arg            for protocol->create; or self: then it is given up, whatever the call returns
 * @param argv           as for coil_create_subprocess_exec
 * @param options        borrowed for the call; NULL: input, output and errors are pipes. The limit does not matter
 * @param transport_out  NULL, or receives one reference
 *
 * Returns   0, or
 *           COIL_ECANCELED  the child is killed and reaped
 *           COIL_ENOTASK, what protocol->create returned, or as coil_create_subprocess_exec
 * Suspends  until connection_made was called; after a failure, until the child has ended
 * Cancel    kills the child, and waits for its end; a second one does not wait
 * Thread    the loop's, in a task
 * Python    loop.subprocess_exec, loop.subprocess_shell
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_subprocess_exec(const coil_subprocess_protocol *protocol, void *arg, const char *const *argv,
                     COIL_NULLABLE const coil_process_options *options,
                     COIL_NULLABLE coil_subprocess_transport **transport_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_subprocess_shell(const coil_subprocess_protocol *protocol, void *arg, const char *command,
                      COIL_NULLABLE const coil_process_options *options,
                      COIL_NULLABLE coil_subprocess_transport **transport_out);

/**
 * The number of the process.
 *
 * Returns   the number, also when it has ended
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.get_pid
 * Since     0.1
 */
COIL_API pid_t coil_subprocess_transport_get_pid(const coil_subprocess_transport *transport);

/**
 * How the child has ended.
 *
 * @param returncode_out  NULL, or receives the exit status, or minus the number of the signal; untouched while it
 *                        runs
 *
 * Returns   true if it has ended and its status is known
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.get_returncode (not None)
 * Since     0.1
 */
COIL_API bool coil_subprocess_transport_get_returncode(const coil_subprocess_transport *transport,
                                                       COIL_NULLABLE int *returncode_out);

/**
 * The transport of a pipe: to write to (0), or to pause (1 and 2).
 *
 * @param fd  0, 1 or 2, as the child sees it
 *
 * Returns   the transport, lent as long as this one is there; NULL if that descriptor is no pipe
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.get_pipe_transport
 * Since     0.1
 */
COIL_API COIL_NULLABLE coil_transport *
coil_subprocess_transport_get_pipe_transport(const coil_subprocess_transport *transport, int fd);

/**
 * The protocol, and its self.
 *
 * @param self_out  NULL, or receives it: lent until connection_lost
 *
 * Returns   the protocol; NULL after connection_lost
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.get_protocol
 * Since     0.1
 */
COIL_API COIL_NULLABLE const coil_subprocess_protocol *
coil_subprocess_transport_get_protocol(const coil_subprocess_transport *transport,
                                       COIL_NULLABLE void **self_out);

/**
 * Sends a signal to the child; SIGTERM; SIGKILL. To a child that has ended it does nothing.
 *
 * Returns   0, or
 *           -ESRCH  connection_lost was called
 *           -EPERM, COIL_EINVAL
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.send_signal, SubprocessTransport.terminate, SubprocessTransport.kill
 * Since     0.1
 */
COIL_API int coil_subprocess_transport_send_signal(coil_subprocess_transport *transport,
                                                   int number);
COIL_API int coil_subprocess_transport_terminate(coil_subprocess_transport *transport);
COIL_API int coil_subprocess_transport_kill(coil_subprocess_transport *transport);

/**
 * Closes the pipes, and kills the child if it still runs. What was written to the child is sent first, if it reads.
 * connection_lost follows. Twice is fine.
 *
 * A transport that is left when its loop is closed is reported (COIL_EVENT_UNCLOSED_TRANSPORT) and its child killed.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.close
 * Since     0.1
 */
COIL_API void coil_subprocess_transport_close(coil_subprocess_transport *transport);

/**
 * Whether coil_subprocess_transport_close was called.
 *
 * Returns   true if it was, or connection_lost was called
 * Suspends  never
 * Thread    the loop's
 * Python    SubprocessTransport.is_closing
 * Since     0.1
 */
COIL_API bool coil_subprocess_transport_is_closing(const coil_subprocess_transport *transport);

COIL_END_DECLS

#endif
