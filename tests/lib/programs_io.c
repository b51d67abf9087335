/* Programs of streams and servers. */
#include <errno.h>
#include <string.h>
#include "lib/program_pieces.h"
#include "test.h"

enum {
    BULK_BYTES = 300 * 1000 /* more than a socket's buffers take */
};

/* How long to wait for what should come: a server that could not accept rests for a second. Over only if something
 * was lost. */
static const double LIMIT = 3;

static char bulk[BULK_BYTES];

/* The other side has gone, for reasons of its own. */
static int dropped(void)
{
    return coil_raise(-ECONNRESET, "the connection was dropped");
}

COIL_ASYNC(echoes, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *data;
    ssize_t bytes;
    while ((bytes = coil_stream_read_chunk(reader, &data)) > 0)
        COIL_TRY(coil_stream_write(writer, data, (size_t)bytes));
    return (int)bytes;
}

COIL_ASYNC(sends_bulk, (coil_stream_writer *, writer))
{
    COIL_TRY(coil_stream_write(writer, bulk, sizeof bulk));
    return coil_stream_write_eof(writer);
}

static int receive_bulk(coil_stream_reader *reader)
{
    char *data;
    size_t bytes;
    COIL_TRY(coil_stream_read_all(reader, SIZE_MAX, &data, &bytes));
    bool same = bytes == sizeof bulk && memcmp(data, bulk, bytes) == 0;
    coil_free(data);
    if (bytes < sizeof bulk)
        return dropped();
    EXPECT(same);
    return 0;
}

static int exchange_bulk(coil_stream_reader *reader, coil_stream_writer *writer)
{
    for (size_t i = 0; i < sizeof bulk; i++)
        bulk[i] = (char)(i * 7 + i / 251);
    coil_task *sender = coil_create_task(sends_bulk(writer));
    int rc = sender ? receive_bulk(reader) : coil_error_last();
    if (rc < 0 && sender)
        coil_task_cancel(sender, NULL);
    int sent = sender ? coil_await(sender, NULL) : 0;
    coil_unref(sender);
    return rc < 0 ? rc : sent;
}

static int exchange_lines(coil_stream_reader *reader, coil_stream_writer *writer)
{
    char *line;
    ssize_t bytes;
    for (int i = 0; i < 2; i++) {
        COIL_TRY(coil_stream_write_nowait(writer, "one line", 8));
        COIL_TRY(coil_stream_write(writer, "\n", 1));
        COIL_TRY(bytes = coil_stream_readline(reader, &line));
        if (bytes < 9)
            return dropped();
        EXPECT_STR(line, "one line\n");
    }
    return 0;
}

static int talk(int port)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    COIL_TRY(coil_open_connection("127.0.0.1", port, NULL, &reader, &writer));
    int rc = exchange_lines(reader, writer);
    if (rc == 0)
        rc = exchange_bulk(reader, writer);
    coil_stream_close(writer);
    int closed = coil_stream_wait_closed(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc < 0 ? rc : closed;
}

COIL_ASYNC0(streams_main)
{
    coil_server *server;
    COIL_TRY(coil_start_server(echoes, NULL, "127.0.0.1", 0, NULL, &server));
    int rc = COIL_TIMEOUT(LIMIT, talk(coil_server_port(server)));
    int down = coil_server_shutdown(server, LIMIT);
    coil_unref(server);
    return rc < 0 ? rc : down < 0 ? down : 0;
}

int run_streams(coil_loop *loop)
{
    return coil_run_until_complete(loop, streams_main(), NULL);
}
