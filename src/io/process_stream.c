/* A child's pipes as streams.
 *
 * A stream is made when it is asked for. Its transport is usable at once, without the turn in which connection_made
 * would be called: the streams are told beforehand. */
#include <errno.h>
#include <unistd.h>
#include "base/error.h"
#include "io/pipe_transport.h"
#include "io/process.h"
#include "io/stream_reader.h"
#include "io/stream_writer.h"

static const coil_protocol pipe_protocol = {
    .size = sizeof(coil_protocol),
    .name = "process stream",
    .data_received = coil__stream_data_received,
    .eof_received = coil__stream_eof_received,
    .connection_lost = coil__stream_lost,
    .pause_writing = coil__stream_pause_writing,
    .resume_writing = coil__stream_resume_writing,
    .destroy = coil__stream_destroy,
};

void coil__pipe_hand_over(struct coil__pipe *pipe)
{
    int rc = 0;
    if (pipe->writes) {
        (void)coil_event_set(&pipe->process->progress); /* we are in the loop's thread */
    } else if (pipe->length > 0) {
        rc = coil_stream_feed_data(pipe->reader, pipe->data, pipe->length);
        pipe->length = 0;
    }
    if (rc < 0)
        coil__reader_break(pipe->reader, rc, coil_error_current(rc));
    coil__free(pipe->data);
    pipe->data = NULL;
    pipe->room = 0;
    pipe->over = false; /* an end that was seen is seen again, by the stream */
}

static int connect_streams(struct coil__pipe *pipe, coil_stream_reader *reader,
                           coil_stream_writer *writer)
{
    coil_loop *loop = pipe->process->loop;
    coil_transport *transport;
    int rc = 0;
    if (pipe->length > 0 && !pipe->op.pending) /* what a communicate that was cut short has read */
        rc = coil_stream_feed_data(reader, pipe->data, pipe->length);
    if (rc == 0)
        rc = coil__pipe_transport_begin(loop, &pipe_protocol, writer, pipe->fd, pipe->writes,
                                        &transport);
    if (rc < 0)
        return rc;
    (void)coil__stream_made(writer, transport); /* cannot fail */
    return 0;
}

int coil__pipe_take_stream(struct coil__pipe *pipe, int which)
{
    coil_process *process = pipe->process;
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer;
    if (coil__pipe_streams(pipe))
        return 0;
    int rc = coil__loop_open_for_work(process->loop);
    if (rc == 0 && (pipe->fd < 0 || pipe->over))
        rc = coil__fail(COIL_ECLOSED, "descriptor %d of process %ld is closed", which,
                        (long)process->pid);
    if (rc == 0)
        rc = pipe->writes ? coil__stream_new_writer(&writer)
                          : coil__stream_new(process->stream_limit, &reader, &writer);
    if (rc < 0)
        return rc;
    writer->served = true; /* the process object closes it without a word */
    rc = connect_streams(pipe, reader, writer);
    if (rc < 0) {
        coil_error *error = coil_ref(coil_error_current(rc));
        coil_unref(writer);
        coil_unref(reader);
        coil__stream_destroy(writer);
        coil__fail_with(rc, error); /* cleaning up does not hide it */
        coil_unref(error);
        return rc;
    }
    pipe->fd = -1; /* the transport's */
    pipe->reader = reader;
    pipe->writer = writer;
    if (!pipe->op.pending) {
        pipe->length = 0;
        coil__pipe_hand_over(pipe);
    }
    return 0;
}

bool coil__process_streams(const coil_process *process)
{
    for (int which = 0; which < 3; which++)
        if (process->pipes[which] && coil__pipe_streams(process->pipes[which]))
            return true;
    return false;
}

bool coil__process_has_streams(const coil_process *process)
{
    for (int which = 0; which < 3; which++) {
        const struct coil__pipe *pipe = process->pipes[which];
        if (pipe && pipe->writer && !coil_stream_is_closing(pipe->writer))
            return true;
    }
    return false;
}

static struct coil__pipe *take(coil_process *process, int which)
{
    struct coil__pipe *pipe = process->pipes[which];
    int rc;
    if (!pipe)
        rc = coil__fail(COIL_EINVAL, "descriptor %d of process %ld is no pipe", which,
                        (long)process->pid);
    else if (process->communicating && !coil__pipe_streams(pipe))
        rc = coil__fail(COIL_ERUNTIME, "a task communicates with the process");
    else
        rc = coil__pipe_take_stream(pipe, which);
    return rc == 0 ? pipe : NULL;
}

coil_stream_writer *coil_process_stdin(coil_process *process)
{
    const struct coil__pipe *pipe = take(process, STDIN_FILENO);
    return pipe ? pipe->writer : NULL;
}

coil_stream_reader *coil_process_stdout(coil_process *process)
{
    const struct coil__pipe *pipe = take(process, STDOUT_FILENO);
    return pipe ? pipe->reader : NULL;
}

coil_stream_reader *coil_process_stderr(coil_process *process)
{
    const struct coil__pipe *pipe = take(process, STDERR_FILENO);
    return pipe ? pipe->reader : NULL;
}
