/* Streams that go over to TLS: reader and writer stay, the transport below them is another one. */
#include <errno.h>
#include "base/error.h"
#include "io/stream_reader.h"
#include "io/stream_writer.h"
#include "io/tls_transport.h"

/* Bytes that were read before TLS came from anybody: who stands between the two ends could have added them, and they
 * must not look as if they had come through TLS. */
static int check(const coil_stream_writer *writer)
{
    const coil_stream_reader *reader = writer->reader;
    size_t bytes = coil__buffer_count(&reader->buffer);
    if (writer->lost)
        return coil__fail(-ECONNRESET, "start_tls: the connection is lost");
    if (reader->waiting)
        return coil__fail(COIL_ERUNTIME, "start_tls while a task waits for bytes in the clear");
    if (bytes > 0)
        return coil__fail(COIL_ETLS, "start_tls: the peer has sent %zu bytes more in the clear",
                          bytes);
    if (reader->eof)
        return coil__fail(-ECONNRESET, "start_tls: the peer has ended the connection");
    return 0;
}

static int drain(coil_stream_writer *writer)
{
    int rc;
    do
        rc = coil_stream_drain(writer);
    while (rc == 0 && writer->full);
    return rc;
}

int coil_stream_start_tls(coil_stream_writer *writer, coil_tls_context *context,
                          const coil_tls_options *options)
{
    coil_transport *transport, *plain;
    int rc = drain(writer);
    if (rc == 0)
        rc = check(writer);
    if (rc == 0)
        rc = coil__tls_start(writer->transport, context, options, &transport);
    if (rc < 0)
        return rc;
    /* At once, so that nobody reads or writes in the clear while hands are shaken. */
    plain = writer->transport;
    writer->transport = coil_ref(transport);
    coil__stream_moved(writer);
    coil_unref(plain);
    coil__ref(&writer->object);
    rc = coil__tls_start_wait(transport);
    coil__unref(&writer->object);
    coil_unref(transport);
    return rc;
}
