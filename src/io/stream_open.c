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

int coil_open_connection_sock(int fd, const coil_stream_options *options,
                              coil_stream_reader **reader_out, coil_stream_writer **writer_out)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    int rc = coil__stream_new(options ? options->limit : 0, &reader, &writer);
    if (rc < 0)
        return rc;
    rc = coil_create_connection_sock(&coil__stream_protocol, writer, fd,
                                     options ? options->connection : NULL, NULL);
    return finish(rc, reader, writer, reader_out, writer_out);
}
