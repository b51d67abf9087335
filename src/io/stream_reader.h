/* Readers, inside the library. The public half is <coil/stream.h>. */
#ifndef COIL_IO_STREAM_READER_H
#define COIL_IO_STREAM_READER_H

#include <coil/stream.h>
#include "io/buffer.h"
#include "io/transport.h"
#include "tasks/task.h"

struct coil__reader_wait;

struct coil_stream_reader {
    /* What every read touches comes first: with many connections each line of it is a miss. */
    struct coil__object object;
    struct coil__reader_wait *waiting; /* of the one task that may wait, in its frame */
    coil_transport *transport;         /* to read from, lent; NULL: none, or not any more */
    int code;                          /* every read fails with it; 0: none */
    bool eof;
    bool pulls;  /* the transport is asked for bytes; else it feeds them */
    bool paused; /* the transport, by us: it has fed more than twice the limit */
    bool told;   /* partial or overrun below are set */
    struct coil__buffer buffer;
    size_t counted;  /* of the buffer's memory, in the loop's budget */
    coil_loop *loop; /* one reference */
    size_t limit;
    coil_stream_writer *writer; /* that lends the transport; NULL: none, or not any more */
    coil_error *error;          /* of `code`; one reference */
    /* After COIL_EINCOMPLETE and COIL_EOVERRUN, until the next call. */
    char *partial;
    size_t partial_bytes, overrun;
};

/* Wakes the task that waits: there may be something to pull. */
void coil__reader_wake(coil_stream_reader *reader);

/* Breaks the stream; the record (NULL: none) is borrowed. */
void coil__reader_break(coil_stream_reader *reader, int code, coil_error *error);

#endif
