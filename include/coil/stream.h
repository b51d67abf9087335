/* Streams: connections that are read and written as one thinks of them, from top to bottom.
 *
 *     COIL_ASYNC(echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
 *     {
 *         char *line;
 *         ssize_t length;
 *         while ((length = coil_stream_readline(reader, &line)) > 0)
 *             COIL_TRY(coil_stream_write(writer, line, (size_t)length));
 *         return (int)length;
 *     }
 *
 *     coil_server *server;
 *     COIL_TRY(coil_start_server(echo, NULL, "127.0.0.1", 8888, NULL, &server));
 *
 * A connection is a reader and a writer. A reader collects what comes in, and the calls that read suspend until
 * what they need is there. Those that find out themselves where to stop lend their result: the memory is the
 * reader's and good until your next call on it, and a zero byte follows the last byte, so that a line can be
 * used as a text. One task at a time may wait on a reader. A cancelled read loses nothing: all that had come stays
 * there. The limit given at creation says how long a line may become, and what is kept of a peer that sends faster
 * than you read.
 *
 * coil_stream_write waits while the peer is slower than you, so that memory stays bounded; coil_stream_write_nowait
 * never waits, and takes all you have. A cancelled write is sent all the same: no message is ever cut in half.
 *
 * Reader and writer are objects of their own, one reference each. Close the writer (coil_stream_close) before you
 * give it back: one that is dropped open is closed, and reported. The calls borrow the object: hold your reference
 * until they return. */
#ifndef COIL_STREAM_H
#define COIL_STREAM_H

#include <sys/types.h>
#include <sys/uio.h>
#include <coil/base.h>
#include <coil/server.h>

COIL_BEGIN_DECLS

/* The limit of a reader that was given none. */
#define COIL_STREAM_LIMIT 65536

/* ---- reading ------------------------------------------------------------------------------------ */

/**
 * Reads what is there, up to a number of bytes, and waits only if nothing is.
 *
 * @param buffer  receives the bytes
 * @param bytes   its size; 0 reads nothing
 *
 * Returns   the number of bytes, 0 at the end, or
 *           COIL_ECANCELED  the task was cancelled while it waited
 *           COIL_ERUNTIME   another task waits on this reader
 *           COIL_ENOTASK, COIL_EWRONGLOOP  it would have to wait, and this is no task, or another loop's
 *           COIL_ENOMEM
 *           the code of what broke the connection (-ECONNRESET...), now and from now on, even if
 *           there are bytes left
 * Suspends  while nothing is there
 * Cancel    loses nothing
 * Thread    the loop's, in a task
 * Python    StreamReader.read(n)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_read(coil_stream_reader *reader,
                                                                 void *buffer, size_t bytes);

/**
 * Reads that many bytes.
 *
 * @param buffer  receives the bytes
 * @param bytes   how many; the reader's limit does not matter
 *
 * Returns   0, or
 *           COIL_EINCOMPLETE  the end came first: coil_stream_partial gives what came, which is read now,
 *                             and lies at the beginning of the buffer
 *           else as coil_stream_read
 * Suspends  until all of it is there
 * Cancel    loses nothing: what had come is read by the next call, whatever the buffer holds
 * Thread    the loop's, in a task
 * Python    StreamReader.readexactly
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_stream_readexactly(coil_stream_reader *reader,
                                                                    void *buffer, size_t bytes);

/**
 * Reads a line, with its "\n". The last one may lack it.
 *
 * @param line_out  receives the line: lent until the next call on the reader, and yours to write to
 *                  meanwhile; a zero byte follows it
 *
 * Returns   the number of bytes, 0 at the end, or
 *           COIL_EINVAL  the line is longer than the limit, and was dropped as far as it had come
 *           else as coil_stream_read
 * Suspends  until there is a line
 * Cancel    loses nothing
 * Thread    the loop's, in a task
 * Python    StreamReader.readline, async for line in reader
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_readline(coil_stream_reader *reader,
                                                                     char **line_out);

/**
 * Reads up to a separator, and the separator.
 *
 * @param separator   a text, not empty
 * @param separators  several, none of them empty: the one that ends first wins
 * @param data_out    receives the bytes: lent until the next call on the reader, and yours to write to
 *                    meanwhile; a zero byte follows them
 *
 * Returns   the number of bytes, or
 *           COIL_EINCOMPLETE  the end came first: coil_stream_partial gives what came, which is read now
 *           COIL_EOVERRUN     more than the limit came before the separator; all of it is still to be
 *                             read, and coil_stream_overrun says how much of it is free of separators
 *           COIL_EINVAL       no separator, or an empty one
 *           else as coil_stream_read
 * Suspends  until there is a separator
 * Cancel    loses nothing
 * Thread    the loop's, in a task
 * Python    StreamReader.readuntil
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_readuntil(coil_stream_reader *reader,
                                                                      const char *separator,
                                                                      char **data_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_readuntil_any(
    coil_stream_reader *reader, const struct iovec *separators, size_t count, char **data_out);

/**
 * Reads whatever is there, without a copy.
 *
 * @param data_out  receives the bytes: lent until the next call on the reader, and yours to write to
 *                  meanwhile; a zero byte follows them
 *
 * Returns   the number of bytes, 0 at the end, or as coil_stream_read
 * Suspends  while nothing is there
 * Cancel    loses nothing
 * Thread    the loop's, in a task
 * Python    none (Trio: ReceiveStream.receive_some without a size)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_read_chunk(coil_stream_reader *reader,
                                                                       char **data_out);

/**
 * Looks at what is there and leaves it to be read: for parsers, together with coil_stream_skip.
 *
 * @param least     waits until that many bytes are there, or the end has come; the reader's limit does not
 *                  matter. 0 never waits
 * @param data_out  receives the bytes: lent until the next call on the reader; a zero byte follows them
 *
 * Returns   the number of bytes, fewer than least only at the end, or as coil_stream_read
 * Suspends  while fewer are there
 * Cancel    loses nothing
 * Thread    the loop's, in a task
 * Python    none (C++: std::istream::peek)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE ssize_t coil_stream_peek(coil_stream_reader *reader,
                                                                 size_t least,
                                                                 const char **data_out);

/**
 * Counts bytes as read that coil_stream_peek has shown.
 *
 * @param bytes  how many
 *
 * Returns   0, or
 *           COIL_EINVAL  so many are not there; none was skipped
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_stream_skip(coil_stream_reader *reader, size_t bytes);

/**
 * Reads to the end.
 *
 * @param bytes_max  how much is too much
 * @param data_out   receives the bytes, followed by a zero byte: yours, to give back by coil_free
 * @param bytes_out  receives their number
 *
 * Returns   0, or
 *           COIL_EOVERRUN  there is more; all of it is still to be read
 *           else as coil_stream_read
 * Suspends  until the end
 * Cancel    loses nothing: all that had come is still to be read
 * Thread    the loop's, in a task
 * Python    StreamReader.read()
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_stream_read_all(coil_stream_reader *reader,
                                                                 size_t bytes_max, char **data_out,
                                                                 size_t *bytes_out);

/**
 * What came, after a call that failed with COIL_EINCOMPLETE.
 *
 * @param data_out  receives the bytes: lent until the next call on the reader, or the caller's own buffer
 *                  after coil_stream_readexactly
 *
 * Returns   their number; 0 after any other call
 * Suspends  never
 * Thread    the loop's
 * Python    IncompleteReadError.partial
 * Since     0.1
 */
COIL_API size_t coil_stream_partial(const coil_stream_reader *reader, char **data_out);

/**
 * How many bytes are surely before the separator, after a call that failed with COIL_EOVERRUN. The record of
 * the error has the same number (coil_error_detail).
 *
 * Returns   the number of bytes; 0 after any other call
 * Suspends  never
 * Thread    the loop's
 * Python    LimitOverrunError.consumed
 * Since     0.1
 */
COIL_API size_t coil_stream_overrun(const coil_stream_reader *reader);

/**
 * Whether everything has been read, and no more will come.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    StreamReader.at_eof
 * Since     0.1
 */
COIL_API bool coil_stream_at_eof(coil_stream_reader *reader);

/**
 * The error that every read gives from now on.
 *
 * Returns   its code, which coil_error_current explains; 0 if there is none
 * Suspends  never
 * Thread    the loop's
 * Python    StreamReader.exception
 * Since     0.1
 */
COIL_API int coil_stream_exception(const coil_stream_reader *reader);

/* ---- writing ------------------------------------------------------------------------------------ */

/**
 * Writes, and waits while the peer is slower: while more than the transport's high-water mark (64 KiB, see
 * coil_transport_set_write_buffer_limits) is kept to be sent. Bytes that would exceed the mark are not copied but
 * sent from your memory while the call waits.
 *
 * @param data   borrowed for the call
 * @param parts  borrowed for the call, with what they point to
 *
 * Returns   0: everything was sent, or is kept and will be; or
 *           COIL_ECANCELED  the task was cancelled while it waited; everything is sent all the same
 *           COIL_ENOTASK    it would have to wait, and this is no task; everything is sent all the same
 *           COIL_ERUNTIME   after coil_stream_write_eof
 *           COIL_ENOMEM     nothing was sent; or, if some of it was sent, the connection is aborted
 *           the code of what broke the connection; -ECONNRESET if it is closed
 * Suspends  while the peer is slower, and once if the connection is being closed
 * Cancel    what is not sent yet is copied and sent later; without memory for that the connection is aborted
 * Thread    the loop's, in a task
 * Python    StreamWriter.write and drain, StreamWriter.writelines and drain
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_stream_write(coil_stream_writer *writer,
                                                              const void *data, size_t bytes);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_stream_writelines(coil_stream_writer *writer, const struct iovec *parts, size_t count);

/**
 * Writes and never waits: what cannot be sent at once is copied, however much that is. Let coil_stream_drain follow
 * now and then.
 *
 * @param data   borrowed for the call
 * @param parts  borrowed for the call, with what they point to
 *
 * Returns   as coil_transport_write: a connection that failed is told by the next call that waits
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.write, StreamWriter.writelines
 * Since     0.1
 */
COIL_API int coil_stream_write_nowait(coil_stream_writer *writer, const void *data, size_t bytes);
COIL_API int coil_stream_writelines_nowait(coil_stream_writer *writer, const struct iovec *parts,
                                           size_t count);

/**
 * Waits until there is room in the write buffer: at once while it is below its high-water mark, else until it has
 * shrunk to the low one. Several tasks may.
 *
 * Returns   0, or
 *           COIL_ECANCELED
 *           COIL_ENOTASK  it would have to wait, and this is no task
 *           the code of what broke the connection, also in reading; -ECONNRESET if it is closed
 * Suspends  while the buffer is too full, and once if the connection is being closed
 * Cancel    nothing is lost
 * Thread    the loop's, in a task
 * Python    StreamWriter.drain
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_stream_drain(coil_stream_writer *writer);

/**
 * Says that no more will be written: the peer's reader comes to its end, and this side can still be read.
 *
 * Returns   0, or
 *           COIL_ENOTSUP  this connection cannot do it (TLS)
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.write_eof
 * Since     0.1
 */
COIL_API int coil_stream_write_eof(coil_stream_writer *writer);

/**
 * Whether coil_stream_write_eof is possible.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.can_write_eof
 * Since     0.1
 */
COIL_API bool coil_stream_can_write_eof(const coil_stream_writer *writer);

/**
 * Closes the connection, both ways, once what was written has been sent. A reader that waits comes to its end.
 * Closing twice is fine.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.close
 * Since     0.1
 */
COIL_API void coil_stream_close(coil_stream_writer *writer);

/**
 * Waits until the connection is closed: everything was sent, and the descriptor is gone.
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK
 *           the code of what broke the connection
 * Suspends  until then
 * Cancel    the connection goes on closing, and others go on waiting
 * Thread    the loop's, in a task
 * Python    StreamWriter.wait_closed
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_stream_wait_closed(coil_stream_writer *writer);

/**
 * Whether the connection is closed, or being closed.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.is_closing
 * Since     0.1
 */
COIL_API bool coil_stream_is_closing(const coil_stream_writer *writer);

/**
 * What else is known about the connection: see coil_transport_get_extra_info.
 *
 * Returns   a view, good as long as the writer; nil if there is no such thing
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.get_extra_info
 * Since     0.1
 */
COIL_API coil_value coil_stream_get_extra_info(coil_stream_writer *writer, const char *name);

/**
 * The transport below: for its limits, addresses, abort.
 *
 * Returns   lent
 * Suspends  never
 * Thread    the loop's
 * Python    StreamWriter.transport
 * Since     0.1
 */
COIL_API coil_transport *coil_stream_transport(const coil_stream_writer *writer);

/* ---- connecting --------------------------------------------------------------------------------- */

/* Options of the calls that open streams. */
typedef struct coil_stream_options {
    size_t size;  /* sizeof(coil_stream_options) */
    size_t limit; /* of the reader; 0: COIL_STREAM_LIMIT */
    COIL_NULLABLE const coil_connection_options *connection; /* NULL: the defaults */
} coil_stream_options;
#define COIL_STREAM_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(coil_stream_options), 0, NULL                                                       \
    }

/**
 * Connects to a host by TCP, or to a Unix socket.
 *
 * @param host        as for coil_create_connection
 * @param path        as for coil_create_unix_connection
 * @param options     NULL: the defaults
 * @param reader_out  receives one reference
 * @param writer_out  receives one reference
 *
 * Returns   0, or as coil_create_connection (-ECONNREFUSED...), coil_create_unix_connection (-ENOENT...)
 * Suspends  until the connection stands
 * Cancel    the connection, if it was begun, is closed
 * Thread    the loop's, in a task
 * Python    asyncio.open_connection, asyncio.open_unix_connection
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_open_connection(COIL_NULLABLE const char *host, int port,
                     COIL_NULLABLE const coil_stream_options *options,
                     coil_stream_reader **reader_out, coil_stream_writer **writer_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_open_unix_connection(const char *path, COIL_NULLABLE const coil_stream_options *options,
                          coil_stream_reader **reader_out, coil_stream_writer **writer_out);

/**
 * Makes streams of a socket that is connected already.
 *
 * @param fd          a connected stream socket
 * @param options     NULL: the defaults
 * @param reader_out  receives one reference
 * @param writer_out  receives one reference
 *
 * Returns   0, or as coil_create_connection_sock
 * Owns      the descriptor is the connection's when the call succeeds, and stays the caller's if it fails
 * Suspends  until the connection is set up: for two turns
 * Cancel    the descriptor stays the caller's
 * Thread    the loop's, in a task
 * Python    asyncio.open_connection(sock=sock)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_open_connection_sock(int fd, COIL_NULLABLE const coil_stream_options *options,
                          coil_stream_reader **reader_out, coil_stream_writer **writer_out);

/**
 * Makes a reader of the reading end of a pipe, or a writer of the writing end: for standard input and output, named
 * pipes, terminals. A regular file is refused, since it never makes anybody wait: use read(2) and write(2), in a thread
 * if it may be slow (coil_to_thread).
 *
 *     coil_stream_reader *in;
 *     coil_stream_writer *out;
 *     COIL_TRY(coil_open_read_pipe(dup(STDIN_FILENO), NULL, &in));
 *     COIL_TRY(coil_open_write_pipe(dup(STDOUT_FILENO), &out));
 *
 * The reading end is closed at its end, and when the last reference of the reader is released. The writing end is
 * closed by coil_stream_close, or coil_stream_write_eof, which is the same here; writing fails with -EPIPE or
 * -ECONNRESET when nobody reads any more, and no signal comes.
 *
 * @param fd          becomes non-blocking, also for those who share what it refers to: a duplicate, the shell whose
 *                    terminal it is
 * @param options     NULL: the defaults; connection does not matter
 * @param reader_out  receives one reference
 * @param writer_out  receives one reference
 *
 * Returns   0, or as coil_connect_read_pipe (COIL_EINVAL: no pipe, socket or character device)
 * Owns      the descriptor is the stream's when the call succeeds, and stays the caller's if it fails
 * Suspends  until the stream is set up: for two turns
 * Cancel    the descriptor stays the caller's
 * Thread    the loop's, in a task
 * Python    loop.connect_read_pipe with a StreamReaderProtocol, loop.connect_write_pipe with a StreamWriter
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_open_read_pipe(int fd, COIL_NULLABLE const coil_stream_options *options,
                    coil_stream_reader **reader_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_open_write_pipe(int fd,
                                                                 coil_stream_writer **writer_out);

/* ---- serving ------------------------------------------------------------------------------------ */

/* What a server does with a connection: makes the coroutine that handles it, which a task of its own runs. A
 * coroutine function with these three parameters is one. NULL: failed (coil_error_last).
 *
 * Reader and writer are lent until that task has ended; coil_ref both to keep them longer. Then the connection is
 * closed, if nobody keeps the writer. If the task fails it is closed in any case, and the error is reported
 * (COIL_EVENT_CLIENT_FAILED). */
typedef coil_coro *(*coil_stream_handler)(coil_stream_reader *reader, coil_stream_writer *writer,
                                          void *arg);

/* Options of the calls that start a server of streams. */
typedef struct coil_stream_server_options {
    size_t size;                                     /* sizeof(coil_stream_server_options) */
    size_t limit;                                    /* of the readers; 0: COIL_STREAM_LIMIT */
    COIL_NULLABLE const coil_server_options *server; /* NULL: the defaults */
} coil_stream_server_options;
#define COIL_STREAM_SERVER_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(coil_stream_server_options), 0, NULL                                                \
    }

/**
 * Starts a server: on a port, on a Unix socket, on a socket that is bound already.
 *
 * @param handler     called for each connection
 * @param arg         for handler; borrowed until the server and its connections are gone
 * @param host        as for coil_create_server; port, path, fd likewise
 * @param options     NULL: the defaults
 * @param server_out  receives one reference
 *
 * Returns   0, or as coil_create_server, coil_create_unix_server, coil_create_server_sock
 * Suspends  once, unless options->server->no_serving
 * Cancel    nothing is left listening
 * Thread    the loop's, in a task
 * Python    asyncio.start_server, asyncio.start_unix_server
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_start_server(coil_stream_handler handler, void *arg, COIL_NULLABLE const char *host, int port,
                  COIL_NULLABLE const coil_stream_server_options *options,
                  coil_server **server_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_start_unix_server(coil_stream_handler handler, void *arg, const char *path,
                       COIL_NULLABLE const coil_stream_server_options *options,
                       coil_server **server_out);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_start_server_sock(coil_stream_handler handler, void *arg, int fd,
                       COIL_NULLABLE const coil_stream_server_options *options,
                       coil_server **server_out);

/* ---- a reader of your own ----------------------------------------------------------------------- */

/**
 * Makes a reader that is fed by hand: for a protocol of your own, or a test.
 *
 * @param limit  in bytes, see above; 0: COIL_STREAM_LIMIT
 *
 * Returns   one reference; NULL when there is no memory, or no running loop
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.StreamReader
 * Since     0.1
 */
COIL_API COIL_OWNED coil_stream_reader *coil_stream_reader_new(size_t limit);

/**
 * Adds bytes to what is to be read, and wakes the task that waits.
 *
 * @param data  copied
 *
 * Returns   0, or
 *           COIL_ENOMEM    nothing was added
 *           COIL_ERUNTIME  the end has been fed
 * Suspends  never
 * Thread    the loop's
 * Python    StreamReader.feed_data
 * Since     0.1
 */
COIL_API int coil_stream_feed_data(coil_stream_reader *reader, const void *data, size_t bytes);

/**
 * Says that no more will come, and wakes the task that waits.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    StreamReader.feed_eof
 * Since     0.1
 */
COIL_API void coil_stream_feed_eof(coil_stream_reader *reader);

/**
 * Breaks the stream: the read that waits, and every later one, gives this error.
 *
 * @param code  of the error; its current record goes with it
 *
 * Returns   0, or
 *           COIL_EINVAL  code is not negative, or COIL_ECANCELED
 * Suspends  never
 * Thread    the loop's
 * Python    StreamReader.set_exception
 * Since     0.1
 */
COIL_API int coil_stream_set_exception(coil_stream_reader *reader, int code);

COIL_END_DECLS

#endif
