/* Opening streams: a reader and a writer, and a call that makes the transport below them. */
#include "base/error.h"
#include "io/stream_writer.h"

/* The streams of a connection that is made, or not. */
static int finish(int rc, coil_stream_reader *reader, coil_stream_writer *writer,
                  coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    if (rc < 0) {
        coil_unref(writer);
        coil_unref(reader);
        return rc;
    }
    *reader_out = reader;
    *writer_out = writer;
    return 0;
}

static size_t limit_of(const coil_stream_options *options)
{
    return options ? options->limit : 0;
}

static const coil_connection_options *connection_of(const coil_stream_options *options)
{
    return options ? options->connection : NULL;
}

int coil_open_connection(const char *host, int port, const coil_stream_options *options,
                         coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int rc = coil__stream_new(limit_of(options), &reader, &writer);
    if (rc < 0)
        return rc;
    rc = coil_create_connection(&coil__stream_protocol, writer, host, port, connection_of(options),
                                NULL);
    return finish(rc, reader, writer, reader_out, writer_out);
}

int coil_open_unix_connection(const char *path, const coil_stream_options *options,
                              coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int rc = coil__stream_new(limit_of(options), &reader, &writer);
    if (rc < 0)
        return rc;
    rc = coil_create_unix_connection(&coil__stream_protocol, writer, path, connection_of(options),
                                     NULL);
    return finish(rc, reader, writer, reader_out, writer_out);
}

int coil_open_connection_sock(int fd, const coil_stream_options *options,
                              coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int rc = coil__stream_new(limit_of(options), &reader, &writer);
    if (rc < 0)
        return rc;
    rc = coil_create_connection_sock(&coil__stream_protocol, writer, fd, connection_of(options),
                                     NULL);
    return finish(rc, reader, writer, reader_out, writer_out);
}
