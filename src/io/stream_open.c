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

int coil_open_read_pipe(int fd, const coil_stream_options *options, coil_stream_reader **reader_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int rc = coil__stream_new(limit_of(options), &reader, &writer);
    if (rc < 0)
        return rc;
    writer->reads_only = true;
    rc = coil_connect_read_pipe(&coil__stream_protocol, writer, fd, NULL);
    coil_unref(writer); /* from now on it is the transport's alone */
    if (rc < 0) {
        coil_unref(reader);
        return rc;
    }
    *reader_out = reader;
    return 0;
}

int coil_open_write_pipe(int fd, coil_stream_writer **writer_out)
{
    coil_stream_writer *writer;
    int rc = coil__stream_new_writer(&writer);
    if (rc < 0)
        return rc;
    rc = coil_connect_write_pipe(&coil__stream_protocol, writer, fd, NULL);
    if (rc < 0) {
        coil_unref(writer);
        return rc;
    }
    *writer_out = writer;
    return 0;
}
