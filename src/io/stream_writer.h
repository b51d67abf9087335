/* Writers, and what connects a reader and a writer to a transport. The public half is <coil/stream.h>.
 *
 *      user --> reader <-----+ strong, for drain
 *                 :          |
 *                 : lent     |
 *                 v          |
 *      user --> writer ------+---> transport
 *                 ^                    |
 *                 +---- its protocol --+
 *
 * The writer is at the same time the `self` of the transport's protocol. So it lives until both its users and the
 * transport have let go of it. */
#ifndef COIL_IO_STREAM_WRITER_H
#define COIL_IO_STREAM_WRITER_H

#include <coil/stream.h>
#include "io/transport.h"
#include "structure/waitlist.h"

struct coil_stream_writer {
    struct coil__object object; /* its users' references */
    coil_transport *transport;  /* one reference; NULL before connection_made */
    coil_stream_reader *reader; /* one reference as long as there are users; then lent; or NULL */
    coil_error *error;          /* of `code`; one reference */
    int code;                   /* what the connection was lost with */
    bool attached;              /* the transport's protocol */
    bool full;                  /* pause_writing was called, and resume_writing not since */
    bool lost;                  /* connection_lost was called */
    bool reads_only; /* no users of its own: the transport is closed when the reader's have gone */
    bool served;     /* made by a server, for a handler: closed without a word when dropped */
    void (*free)(coil_stream_writer *writer); /* gives its memory back */
    struct coil__waitlist drainers, closers;
};

/* A new reader and a writer for a connection that is yet to be made: one reference each, and the writer counts
 * as attached. 0 or COIL_ENOMEM. */
int coil__stream_new(size_t limit, coil_stream_reader **reader_out,
                     coil_stream_writer **writer_out);

/* The same without a reader: where there is nothing to read. */
int coil__stream_new_writer(coil_stream_writer **writer_out);

/* In memory that is all zero. reader: NULL for none. */
void coil__writer_init(coil_stream_writer *writer, coil_stream_reader *reader);

/* Its transport is another one: reading is from that. */
void coil__stream_moved(coil_stream_writer *writer);

/* The functions of the protocol, self being the writer. */
extern const coil_protocol coil__stream_protocol;
int coil__stream_made(void *self, coil_transport *transport);
int coil__stream_data_received(void *self, const void *data, size_t bytes);
int coil__stream_eof_received(void *self);
int coil__stream_lost(void *self, int code);
int coil__stream_pause_writing(void *self);
int coil__stream_resume_writing(void *self);
void coil__stream_destroy(void *self);

#endif
