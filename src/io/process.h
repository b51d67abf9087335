/* Processes, inside the library. The public half is <coil/process.h>.
 *
 * A pipe to the child is used in one of two ways: raw, by operations of the backend and by the user's own system
 * calls, as long as nobody has asked for its stream; then by that stream's transport, which owns the descriptor. */
#ifndef COIL_IO_PROCESS_H
#define COIL_IO_PROCESS_H

#include <coil/process.h>
#include <coil/stream.h>
#include <coil/sync.h>
#include "loop/loop.h"

struct coil__child;

enum coil__process_state {
    COIL__PROCESS_RUNNING,
    COIL__PROCESS_ENDED,
    COIL__PROCESS_LOST,     /* somebody else has reaped it */
    COIL__PROCESS_FORSAKEN, /* its loop was closed */
};

struct coil__pipe {
    coil_process *process; /* NULL: it is gone; whoever ends the operation frees the pipe */
    int fd;                /* -1: closed, or the stream's */
    bool writes;           /* the child's input */
    bool over;             /* it has come to its end */
    int error;             /* what stopped the call that is under way */
    struct coil__op op;
    char *data; /* what was read; or the chunk that is being written */
    size_t length, room;
    /* Streams: one reference each; NULL: none were asked for. Of an output the writer is only the protocol. */
    coil_stream_reader *reader;
    coil_stream_writer *writer;
};

struct coil_process {
    struct coil__object object; /* .state: enum coil__process_state */
    coil_loop *loop;            /* one reference */
    struct coil__child *child;  /* NULL once it is no longer RUNNING */
    pid_t pid;
    int returncode;
    coil_event ended;
    void (*on_end)(void *arg); /* called when it is no longer RUNNING; NULL: nobody else cares */
    void *on_end_arg;
    struct coil__pipe *pipes[3]; /* NULL: none */
    size_t stream_limit;         /* 0: the default */

    /* communicate */
    bool communicating;
    coil_event progress;
    const char *input; /* borrowed while it goes on */
    size_t input_bytes, fed, limit;
};

/* Closes a descriptor that the backend may know. -1 is fine. */
void coil__process_close_descriptor(coil_loop *loop, int fd);

/* Our end of a pipe, or its stream, if there is one. */
void coil__pipe_close(coil_process *process, int which);
/* The same, and the pipe goes. */
void coil__pipe_drop(coil_process *process, int which);

static inline bool coil__pipe_streams(const struct coil__pipe *pipe)
{
    return pipe->writer != NULL;
}

/* Whether a stream was asked for. */
bool coil__process_streams(const coil_process *process);
/* Whether one of them is open. */
bool coil__process_has_streams(const coil_process *process);

/* Makes the streams of a pipe that is not over, unless they are there. 0, or a code, and the pipe is as before. */
int coil__pipe_take_stream(struct coil__pipe *pipe, int which);
/* An operation that was under way then is over: gives what it has read to the stream. */
void coil__pipe_hand_over(struct coil__pipe *pipe);

#endif
