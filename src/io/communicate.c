/* What moves through a child's pipes: raw, by operations of the backend; or through the streams, once the user has asked
 * for one of them. communicate uses either.
 *
 * A pipe belongs to the backend while an operation of its is under way: it is allocated by itself, so that it
 * can outlive the process object until the kernel lets go of its buffer. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <coil/group.h>
#include <coil/timeout.h>
#include "base/error.h"
#include "io/process.h"
#include "tasks/task.h"

enum {
    FIRST_ROOM = 4096,
    CHUNK_BYTES = 65536, /* written at a time: what a pipe holds */
    ROUNDS_MAX = 16,     /* reads or writes in a row, before others have their turn */
};

/* ---- pipes ----------------------------------------------------------------------------------------- */

/* The result of an operation, once there is one. */
static void take_result(struct coil__pipe *pipe)
{
    coil_process *process = pipe->process;
    int64_t result = pipe->op.result;
    bool readiness = pipe->op.kind == COIL__OP_READABLE || pipe->op.kind == COIL__OP_WRITABLE;
    if (result == -ECANCELED || (readiness && result >= 0))
        return;
    if (result > 0 && pipe->writes)
        process->fed += (size_t)result;
    else if (result > 0)
        pipe->length += (size_t)result;
    else if (result == 0 || (pipe->writes && (result == -EPIPE || result == -ECONNRESET)))
        pipe->over = true; /* the end; or nobody reads what we write, which is no error */
    else
        pipe->error = coil__fail((int)result, "%s a pipe of process %ld",
                                 pipe->writes ? "writing to" : "reading from", (long)process->pid);
}

static void move_on(struct coil__pipe *pipe);

static void pipe_done(struct coil__op *op)
{
    struct coil__pipe *pipe = COIL__CONTAINER(op, struct coil__pipe, op);
    if (!pipe->process) {
        coil__free(pipe->data);
        coil__free(pipe);
        return;
    }
    take_result(pipe);
    if (coil__pipe_streams(pipe))
        coil__pipe_hand_over(pipe); /* a stream was asked for while this was under way */
    else if (pipe->process->communicating)
        move_on(pipe);
}

/* False: it is under way, or has failed. True: take_result has been called. */
static bool operate(struct coil__pipe *pipe, enum coil__op_kind kind, void *data, size_t bytes)
{
    struct coil__backend *backend = pipe->process->loop->backend;
    pipe->op = (struct coil__op){ .kind = (uint8_t)kind, .fd = pipe->fd, .done = pipe_done };
    pipe->op.io.data = data;
    pipe->op.io.bytes = bytes;
    int rc = backend->ops->submit(backend, &pipe->op);
    if (rc == COIL__OP_PENDING)
        return false;
    if (rc < 0)
        pipe->op.result = rc;
    take_result(pipe);
    return true;
}

static int fail_too_long(const coil_process *process, size_t limit)
{
    return coil__fail(-EMSGSIZE, "process %ld has written more than %zu bytes", (long)process->pid,
                      limit);
}

/* Room for at least one byte more, and a zero byte behind it. */
static int make_room(struct coil__pipe *pipe, size_t limit)
{
    if (limit > 0 && pipe->length > limit)
        return fail_too_long(pipe->process, limit);
    if (pipe->length + 1 < pipe->room)
        return 0;
    size_t room = pipe->room ? pipe->room * 2 : FIRST_ROOM;
    char *data = coil__realloc(pipe->data, room);
    if (!data)
        return coil__fail_plain(COIL_ENOMEM);
    pipe->data = data;
    pipe->room = room;
    return 0;
}

/* Both return when an operation is under way, or the pipe is over, or has failed. */
static void read_on(struct coil__pipe *pipe)
{
    size_t limit = pipe->process->limit;
    for (int round = 0; !pipe->over && pipe->error == 0; round++) {
        pipe->error = make_room(pipe, limit);
        if (pipe->error < 0)
            return;
        size_t bytes = pipe->room - pipe->length - 1;
        if (limit > 0 && bytes > limit + 1 - pipe->length)
            bytes = limit + 1 - pipe->length;
        bool others_first = round == ROUNDS_MAX;
        if (!operate(pipe, others_first ? COIL__OP_READABLE : COIL__OP_READ,
                     pipe->data + pipe->length, bytes))
            return;
    }
}

static void write_on(struct coil__pipe *pipe)
{
    coil_process *process = pipe->process;
    for (int round = 0; !pipe->over && pipe->error == 0; round++) {
        size_t bytes = process->input_bytes - process->fed;
        if (process->fed >= process->input_bytes) {
            pipe->over = true;
            return;
        }
        if (bytes > pipe->room)
            bytes = pipe->room;
        /* Copied: the caller's memory may go while the backend still has the operation. */
        memcpy(pipe->data, process->input + process->fed, bytes);
        bool others_first = round == ROUNDS_MAX;
        if (!operate(pipe, others_first ? COIL__OP_WRITABLE : COIL__OP_WRITE, pipe->data, bytes))
            return;
    }
}

static void move_on(struct coil__pipe *pipe)
{
    if (pipe->writes)
        write_on(pipe);
    else
        read_on(pipe);
    if (pipe->over) {
        coil__process_close_descriptor(pipe->process->loop, pipe->fd);
        pipe->fd = -1;
    }
    if (pipe->over || pipe->error < 0)
        (void)coil_event_set(&pipe->process->progress); /* we are in the loop's thread */
}

/* Takes back what is under way; where that takes time, the result is kept when it comes. */
static void stop(struct coil__pipe *pipe)
{
    coil_loop *loop = pipe->process->loop;
    if (pipe->op.pending && loop->backend)
        (void)loop->backend->ops->cancel(loop->backend, &pipe->op);
}

void coil__pipe_close(coil_process *process, int which)
{
    struct coil__pipe *pipe = process->pipes[which];
    if (!pipe)
        return;
    stop(pipe);
    pipe->over = true;
    if (pipe->writer)
        coil_stream_close(pipe->writer);
    if (pipe->op.pending && pipe->fd >= 0)
        (void)close(pipe->fd); /* the backend has not let go: nothing to forget yet */
    else
        coil__process_close_descriptor(process->loop, pipe->fd);
    pipe->fd = -1;
}

void coil__pipe_drop(coil_process *process, int which)
{
    struct coil__pipe *pipe = process->pipes[which];
    if (!pipe)
        return;
    coil__pipe_close(process, which);
    process->pipes[which] = NULL;
    pipe->process = NULL;
    coil_unref(pipe->writer);
    coil_unref(pipe->reader);
    pipe->writer = NULL;
    pipe->reader = NULL;
    if (pipe->op.pending)
        return; /* pipe_done frees it */
    coil__free(pipe->data);
    coil__free(pipe);
}

/* ---- communicate ----------------------------------------------------------------------------------- */

static int begin_feeding(coil_process *process, const coil_communicate_options *options)
{
    struct coil__pipe *pipe = process->pipes[0];
    process->input = options->input;
    process->input_bytes = options->input ? options->input_bytes : 0;
    process->limit = options->limit;
    if (!pipe && process->input_bytes > 0)
        return coil__fail(COIL_EINVAL, "input for process %ld, whose input is no pipe",
                          (long)process->pid);
    if (!pipe || pipe->over || pipe->data || process->input_bytes == 0 ||
        coil__process_streams(process))
        return 0;
    pipe->data = coil__alloc(CHUNK_BYTES);
    if (!pipe->data)
        return coil__fail_plain(COIL_ENOMEM);
    pipe->room = CHUNK_BYTES;
    return 0;
}

/* 0 while something is under way, 1 when nothing is, or the first error. */
static int pipes_state(coil_process *process)
{
    int state = 1;
    for (int which = 0; which < 3; which++) {
        struct coil__pipe *pipe = process->pipes[which];
        if (pipe && pipe->error < 0)
            return pipe->error;
        if (pipe && !pipe->over)
            state = 0;
    }
    return state;
}

static int run_pipes(coil_process *process)
{
    int state;
    for (int which = 0; which < 3; which++) {
        struct coil__pipe *pipe = process->pipes[which];
        if (!pipe)
            continue;
        pipe->error = 0;
        if (!pipe->over && !pipe->op.pending)
            move_on(pipe);
    }
    while ((state = pipes_state(process)) == 0) {
        coil_event_clear(&process->progress);
        int rc = coil_event_wait(&process->progress);
        if (rc < 0)
            return rc;
    }
    return state < 0 ? state : 0;
}

static void give_output(const struct coil__pipe *pipe, coil_output *out)
{
    if (!out)
        return;
    *out = (coil_output){ NULL, 0 };
    if (pipe) {
        *out = (coil_output){ pipe->data ? pipe->data : "", pipe->length };
        if (pipe->data)
            pipe->data[pipe->length] = '\0';
    }
}

/* ---- the same through the streams ------------------------------------------------------------------ */

/* A communicate that is under way: its task waits for one task for each pipe. */
struct talk {
    coil_process *process;
    coil_task_group group;
    int code; /* the first failure */
    coil_error *error;
};

/* One side has failed: the others need not go on, and lose nothing. */
static int give_up(struct talk *talk, int rc)
{
    if (talk->code == 0) {
        talk->code = rc;
        talk->error = coil_ref(coil_error_current(rc));
        (void)coil_task_group_cancel(&talk->group);
    }
    return 0;
}

COIL_ASYNC(feed, (struct talk *, talk))
{
    coil_process *process = talk->process;
    struct coil__pipe *pipe = process->pipes[STDIN_FILENO];
    size_t from = process->fed;
    int rc;
    /* What a write was given is sent, also if we are cancelled: the next call must not send it again. */
    process->fed = process->input_bytes > from ? process->input_bytes : from;
    if (process->fed > from)
        rc = coil_stream_write(pipe->writer, process->input + from, process->fed - from);
    else
        rc = coil_stream_drain(pipe->writer);
    if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET)
        return rc == COIL_ECANCELED || rc == COIL_ECLOSING ? rc : give_up(talk, rc);
    coil_stream_close(pipe->writer);
    pipe->over = true;
    return 0;
}

COIL_ASYNC(collect, (struct talk *, talk), (int, which))
{
    coil_process *process = talk->process;
    struct coil__pipe *pipe = process->pipes[which];
    char *data;
    size_t bytes;
    int rc = coil_stream_read_all(pipe->reader, process->limit > 0 ? process->limit : SIZE_MAX,
                                  &data, &bytes);
    if (rc == COIL_ECANCELED || rc == COIL_ECLOSING)
        return rc;
    if (rc == COIL_EOVERRUN)
        rc = fail_too_long(process, process->limit);
    if (rc < 0)
        return give_up(talk, rc);
    coil__free(pipe->data);
    pipe->data = data;
    pipe->length = bytes;
    pipe->room = bytes + 1;
    pipe->over = true;
    return 0;
}

/* An operation of a communicate without streams may not be over yet: how much has it written? */
static int settle_feeding(coil_process *process)
{
    struct coil__pipe *pipe = process->pipes[STDIN_FILENO];
    while (pipe && pipe->op.pending) {
        coil_event_clear(&process->progress);
        int rc = coil_event_wait(&process->progress);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int start_talk(struct talk *talk)
{
    int rc = settle_feeding(talk->process);
    for (int which = 0; rc == 0 && which < 3; which++) {
        struct coil__pipe *pipe = talk->process->pipes[which];
        if (!pipe || pipe->over)
            continue;
        rc = coil__pipe_take_stream(pipe, which);
        if (rc == 0)
            rc = coil_task_group_spawn(&talk->group,
                                       which == STDIN_FILENO ? feed(talk) : collect(talk, which));
    }
    return rc;
}

static int talk_by_streams(coil_process *process)
{
    struct talk talk = { .process = process, .group = COIL_TASK_GROUP_INIT };
    int rc = coil_task_group_enter(&talk.group);
    if (rc < 0)
        return rc;
    rc = start_talk(&talk);
    if (rc < 0 && rc != COIL_ECANCELED && rc != COIL_ECLOSING)
        rc = give_up(&talk, rc);
    rc = coil_task_group_exit(&talk.group, rc);
    if (rc == 0 && talk.code < 0)
        rc = coil__fail_with(talk.code, talk.error);
    coil_unref(talk.error);
    return rc;
}

static int communicate(coil_process *process, const coil_communicate_options *options)
{
    int rc = begin_feeding(process, options);
    process->communicating = true;
    if (rc == 0)
        rc = coil__process_streams(process) ? talk_by_streams(process) : run_pipes(process);
    process->communicating = false;
    for (int which = 0; which < 3; which++)
        if (process->pipes[which])
            stop(process->pipes[which]);
    process->input = NULL;
    return rc < 0 ? rc : coil_process_wait(process, NULL);
}

int coil_process_communicate_with(coil_process *process, const coil_communicate_options *options,
                                  coil_output *out, coil_output *err)
{
    if (!coil__thread.task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "communicate outside a task");
    if (process->communicating)
        return coil__fail(COIL_ERUNTIME, "another task communicates with the process");
    coil_ref(process);
    int rc = COIL_TIMEOUT(options->timeout > 0 ? options->timeout : COIL_NO_TIMEOUT,
                          communicate(process, options));
    if (rc == 0) {
        give_output(process->pipes[1], out);
        give_output(process->pipes[2], err);
    }
    coil_unref(process);
    return rc;
}

int coil_process_communicate(coil_process *process, const void *input, size_t input_bytes,
                             coil_output *out, coil_output *err)
{
    coil_communicate_options options = COIL_COMMUNICATE_OPTIONS_INIT;
    options.input = input;
    options.input_bytes = input_bytes;
    return coil_process_communicate_with(process, &options, out, err);
}
