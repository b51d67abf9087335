/* Children driven by callbacks.
 *
 *     coil_subprocess_transport ---> coil_process      its end
 *         struct side, three at most <---> coil_transport      of one pipe
 *
 * As in asyncio what a pipe or the process reports is passed on in the next turn, in the order in which it came; and
 * until connection_made was called it waits in `early`. connection_lost comes when the child has ended and every
 * pipe is lost. */
#include <coil/subprocess.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <coil/sync.h>
#include "base/error.h"
#include "io/creation.h"
#include "io/process.h"
#include "io/transport.h"

/* The pipe of one descriptor: the self of its transport's protocol. */
struct side {
    coil_subprocess_transport *owner; /* one reference while there is a transport */
    coil_transport *transport;        /* one reference; NULL: not connected */
    bool wanted;                      /* there is a pipe */
    bool over;                        /* it is lost, or could not be connected */
    int code;                         /* what it was lost with */
    coil_error *error;
    struct coil__call lost; /* pipe_connection_lost */
};

/* Something that the child has written, on its way to the protocol. */
struct chunk {
    struct coil__call call;
    struct coil__link link; /* in owner->chunks */
    coil_subprocess_transport *owner;
    int fd;
    size_t bytes;
    char data[];
};

struct coil_subprocess_transport {
    struct coil__object object;
    coil_loop *loop;                          /* NULL once lost */
    const coil_subprocess_protocol *protocol; /* NULL once lost */
    void *self;                               /* the protocol's */
    coil_context *context;                    /* of the protocol's calls: one reference */
    coil_process *process;                    /* one reference; NULL once lost */
    struct coil__link all;                    /* in loop->subprocesses until lost */
    pid_t pid;
    int returncode;
    bool known;     /* the returncode is */
    bool connected; /* connection_made is queued, or was called */
    bool closed;    /* close was called */
    bool exited;    /* the process has ended */
    bool finished;  /* connection_lost is queued */
    int code;       /* what connecting the pipes failed with */
    coil_error *error;
    struct side sides[3];
    struct coil__queue early; /* calls that wait for connection_made */
    struct coil__link chunks; /* all of them */
    struct coil__call made, ended, exited_call, lost;
    coil_event settled; /* the pipes are connected, or could not be */
    coil_event over;    /* it is lost */
};

/* ---- calling the protocol ----------------------------------------------------------------------- */

static void called(const coil_subprocess_transport *self, int rc, const char *name)
{
    if (rc == COIL_EEXIT || rc == COIL_EINTERRUPT)
        coil__loop_leave(self->loop, rc, coil_ref(coil_error_current(rc)));
    else if (rc < 0)
        COIL__REPORT(self->loop, .event = COIL_EVENT_PROTOCOL_FAILED,
                     .message = "a protocol's function failed", .code = rc,
                     .error = coil_error_current(rc), .name = name);
}

static void call_made(struct coil__call *call)
{
    coil_subprocess_transport *self = COIL__CONTAINER(call, coil_subprocess_transport, made);
    if (self->protocol->connection_made)
        called(self, self->protocol->connection_made(self->self, self), "connection_made");
}

static void call_data_received(struct coil__call *call)
{
    struct chunk *chunk = COIL__CONTAINER(call, struct chunk, call);
    coil_subprocess_transport *self = chunk->owner;
    if (self->protocol->pipe_data_received)
        called(self,
               self->protocol->pipe_data_received(self->self, chunk->fd, chunk->data, chunk->bytes),
               "pipe_data_received");
    coil__list_remove(&chunk->link);
    coil__free(chunk);
}

static void call_pipe_lost(struct coil__call *call)
{
    struct side *side = COIL__CONTAINER(call, struct side, lost);
    coil_subprocess_transport *self = side->owner;
    if (side->code < 0)
        coil__fail_with(side->code, side->error);
    if (self->protocol->pipe_connection_lost)
        called(
            self,
            self->protocol->pipe_connection_lost(self->self, (int)(side - self->sides), side->code),
            "pipe_connection_lost");
}

static void call_exited(struct coil__call *call)
{
    coil_subprocess_transport *self = COIL__CONTAINER(call, coil_subprocess_transport, exited_call);
    if (self->protocol->process_exited)
        called(self, self->protocol->process_exited(self->self), "process_exited");
}

/* Everything but the calls into the protocol. */
static void leave_loop(coil_subprocess_transport *self)
{
    const coil_subprocess_protocol *protocol = self->protocol;
    self->process->on_end = NULL;
    coil_unref(self->process);
    self->process = NULL;
    while (!coil__list_empty(&self->chunks)) {
        struct chunk *chunk = COIL__CONTAINER(self->chunks.next, struct chunk, link);
        coil__list_remove(&chunk->link);
        coil__free(chunk);
    }
    coil__list_remove(&self->all);
    self->loop = NULL;
    self->protocol = NULL;
    self->closed = true;
    (void)coil_event_set(&self->over); /* we are in the loop's thread */
    if (protocol->destroy)
        protocol->destroy(self->self);
    coil__unref(&self->object);
}

static void call_lost(struct coil__call *call)
{
    coil_subprocess_transport *self = COIL__CONTAINER(call, coil_subprocess_transport, lost);
    int code = self->known ? 0 : -ECHILD;
    if (code < 0)
        coil__fail(code, "process %ld has ended, and somebody else has reaped it", (long)self->pid);
    if (self->connected && self->protocol->connection_lost)
        called(self, self->protocol->connection_lost(self->self, code), "connection_lost");
    leave_loop(self);
}

/* ---- what is reported --------------------------------------------------------------------------- */

static void init_call(coil_subprocess_transport *self, struct coil__call *call,
                      void (*fn)(struct coil__call *call))
{
    *call = (struct coil__call){
        .ready.run = coil__call_run, .fn = fn, .loop = self->loop, .context = self->context
    };
}

/* Has a function of the protocol called in the next turn, or after connection_made. */
static void call_later(coil_subprocess_transport *self, struct coil__call *call)
{
    if (self->connected)
        coil__loop_push(self->loop, &call->ready);
    else
        coil__queue_push(&self->early, &call->ready);
}

static void finish_if_over(coil_subprocess_transport *self)
{
    if (!self->exited || self->finished)
        return;
    for (int fd = 0; fd < 3; fd++)
        if (self->sides[fd].wanted && !self->sides[fd].over)
            return;
    self->finished = true;
    if (self->code < 0)
        coil__loop_push(self->loop, &self->lost.ready); /* the protocol has heard of nothing */
    else
        call_later(self, &self->lost);
}

/* The process has said so a turn ago. */
static void process_ended(struct coil__call *call)
{
    coil_subprocess_transport *self = COIL__CONTAINER(call, coil_subprocess_transport, ended);
    self->exited = true;
    self->known = coil_process_returncode(self->process, &self->returncode);
    call_later(self, &self->exited_call);
    finish_if_over(self);
}

static void on_end(void *arg)
{
    coil_subprocess_transport *self = arg;
    if (!self->loop->closed)
        coil__loop_push(self->loop, &self->ended.ready);
}

/* ---- the pipes ---------------------------------------------------------------------------------- */

static int side_made(void *arg, coil_transport *transport)
{
    ((struct side *)arg)->transport = coil_ref(transport);
    return 0;
}

static int side_received(void *arg, const void *data, size_t bytes)
{
    struct side *side = arg;
    coil_subprocess_transport *self = side->owner;
    struct chunk *chunk = coil__alloc(sizeof *chunk + bytes);
    if (!chunk)
        return coil__fail_plain(COIL_ENOMEM);
    init_call(self, &chunk->call, call_data_received);
    chunk->owner = self;
    chunk->fd = (int)(side - self->sides);
    chunk->bytes = bytes;
    memcpy(chunk->data, data, bytes);
    coil__list_append(&self->chunks, &chunk->link);
    call_later(self, &chunk->call);
    return 0;
}

static int side_lost(void *arg, int code)
{
    struct side *side = arg;
    side->over = true;
    side->code = code;
    side->error = code < 0 ? coil_ref(coil_error_current(code)) : NULL;
    call_later(side->owner, &side->lost);
    finish_if_over(side->owner);
    return 0;
}

static int side_pause_writing(void *arg)
{
    const coil_subprocess_transport *self = ((struct side *)arg)->owner;
    return self->protocol->pause_writing ? self->protocol->pause_writing(self->self) : 0;
}

static int side_resume_writing(void *arg)
{
    const coil_subprocess_transport *self = ((struct side *)arg)->owner;
    return self->protocol->resume_writing ? self->protocol->resume_writing(self->self) : 0;
}

static void side_destroy(void *arg)
{
    struct side *side = arg;
    side->over = true;
    coil__unref(&side->owner->object);
}

static const coil_protocol side_protocol = {
    .size = sizeof(coil_protocol),
    .name = "subprocess pipe",
    .connection_made = side_made,
    .data_received = side_received,
    .connection_lost = side_lost,
    .pause_writing = side_pause_writing,
    .resume_writing = side_resume_writing,
    .destroy = side_destroy,
};

static int connect_side(coil_subprocess_transport *self, int fd)
{
    struct side *side = &self->sides[fd];
    struct coil__pipe *pipe = self->process->pipes[fd];
    coil__ref(&self->object);
    int rc = fd == STDIN_FILENO ? coil_connect_write_pipe(&side_protocol, side, pipe->fd, NULL)
                                : coil_connect_read_pipe(&side_protocol, side, pipe->fd, NULL);
    if (rc < 0)
        return rc;
    pipe->fd = -1; /* the transport's */
    if (self->closed)
        coil_transport_close(side->transport);
    return 0;
}

static void connected(coil_subprocess_transport *self)
{
    struct coil__ready *entry = coil__queue_take_all(&self->early);
    self->connected = true;
    coil__loop_push(self->loop, &self->made.ready);
    while (entry) {
        struct coil__ready *next = entry->next;
        coil__loop_push(self->loop, entry);
        entry = next;
    }
}

/* A pipe that cannot be connected is closed. Those that are there already are closed by whoever started it. */
static void give_up_sides(coil_subprocess_transport *self, int rc)
{
    self->code = rc;
    self->error = coil_ref(coil_error_current(rc));
    for (int fd = 0; fd < 3; fd++) {
        if (!self->sides[fd].wanted || self->process->pipes[fd]->fd < 0)
            continue;
        coil_process_close_fd(self->process, fd);
        self->sides[fd].over = true;
    }
    finish_if_over(self);
}

/* The task of the next was cancelled before it began. */
static void never_connect(coil_subprocess_transport *self)
{
    give_up_sides(self, COIL_ECANCELED);
    (void)coil_event_set(&self->settled); /* we are in the loop's thread */
}

/* In a task of its own, as in asyncio. */
COIL_ASYNC_DROP(connect_pipes, never_connect(self), (coil_subprocess_transport *, self))
{
    int rc = 0;
    for (int fd = 0; rc == 0 && fd < 3; fd++)
        if (self->sides[fd].wanted)
            rc = connect_side(self, fd);
    if (rc == COIL_ECLOSING)
        return rc; /* the loop ends it all */
    if (rc < 0)
        give_up_sides(self, rc);
    else
        connected(self);
    (void)coil_event_set(&self->settled); /* we are in the loop's thread */
    return 0;
}

/* ---- starting ----------------------------------------------------------------------------------- */

static void transport_destroy(void *object)
{
    coil_subprocess_transport *self = object;
    for (int fd = 0; fd < 3; fd++) {
        coil_unref(self->sides[fd].transport);
        coil_unref(self->sides[fd].error);
    }
    coil_unref(self->error);
    coil_unref(self->context);
    coil_event_fini(&self->settled);
    coil_event_fini(&self->over);
    coil__free(self);
}

static const struct coil__type transport_type = { COIL__KIND_PROCESS, "subprocess transport",
                                                  transport_destroy };

/* A transport of a child that runs: one reference, which is the loop's. */
static int begin(coil_loop *loop, coil_process *process, coil_subprocess_transport **self_out)
{
    coil_context *context;
    int rc = coil__context_inherit(&context);
    if (rc < 0)
        return rc;
    coil_subprocess_transport *self = coil__alloc_zero(sizeof *self);
    if (!self) {
        coil_unref(context);
        return coil__fail_plain(COIL_ENOMEM);
    }
    coil__object_init(&self->object, &transport_type);
    self->loop = loop;
    self->context = context;
    self->process = process;
    self->pid = process->pid;
    coil_event_init(&self->settled);
    coil_event_init(&self->over);
    coil__queue_init(&self->early);
    coil__list_init(&self->chunks);
    init_call(self, &self->made, call_made);
    init_call(self, &self->ended, process_ended);
    init_call(self, &self->exited_call, call_exited);
    init_call(self, &self->lost, call_lost);
    for (int fd = 0; fd < 3; fd++) {
        self->sides[fd].owner = self;
        self->sides[fd].wanted = process->pipes[fd] != NULL;
        init_call(self, &self->sides[fd].lost, call_pipe_lost);
    }
    coil__list_append(&loop->subprocesses, &self->all);
    process->on_end = on_end;
    process->on_end_arg = self;
    *self_out = self;
    return 0;
}

/* Starts the child and its transport; the protocol's self is the transport's when that succeeds. */
static int launch(coil_loop *loop, const char *const *argv, const coil_process_options *options,
                  coil_subprocess_transport **self_out)
{
    coil_process_options pipes = COIL_PROCESS_OPTIONS_INIT;
    pipes.in = pipes.out = pipes.err = COIL_PIPE;
    coil_process *process = coil_create_subprocess_exec(argv, options ? options : &pipes);
    if (!process)
        return coil_error_last();
    int rc = begin(loop, process, self_out);
    if (rc < 0) {
        (void)coil_process_kill(process); /* nobody would hear of it */
        coil_unref(process);
    }
    return rc;
}

/* Waits until connection_made was called. */
static int wait_until_made(coil_subprocess_transport *self)
{
    coil_task *task = coil_create_task(connect_pipes(self));
    int rc = task ? coil_event_wait(&self->settled) : coil_error_last();
    coil_unref(task);
    if (rc == 0 && self->code < 0)
        rc = coil__fail_with(self->code, self->error);
    if (rc == 0 || rc == COIL_ECLOSING)
        return rc;
    coil_error *error = coil_ref(coil_error_current(rc));
    coil_subprocess_transport_close(self);
    int waited = coil_event_wait(&self->over);
    if (waited < 0)
        rc = waited;
    else
        coil__fail_with(rc, error);
    coil_unref(error);
    return rc;
}

int coil_subprocess_exec(const coil_subprocess_protocol *protocol, void *arg,
                         const char *const *argv, const coil_process_options *options,
                         coil_subprocess_transport **transport_out)
{
    coil_loop *loop;
    coil_subprocess_transport *self = NULL;
    void *made = arg;
    int rc = coil__creation_loop("subprocess_exec", &loop);
    if (rc < 0 && protocol->create)
        return rc;
    if (rc == 0 && protocol->create) {
        rc = protocol->create(arg, &made);
        if (rc < 0)
            return rc;
    }
    if (rc == 0)
        rc = launch(loop, argv, options, &self);
    if (rc < 0) {
        if (protocol->destroy)
            protocol->destroy(made);
        return rc;
    }
    self->protocol = protocol;
    self->self = made;
    coil__ref(&self->object);
    rc = wait_until_made(self);
    if (rc == 0 && transport_out)
        *transport_out = self;
    else
        coil__unref(&self->object);
    return rc;
}

int coil_subprocess_shell(const coil_subprocess_protocol *protocol, void *arg, const char *command,
                          const coil_process_options *options,
                          coil_subprocess_transport **transport_out)
{
    return coil_subprocess_exec(protocol, arg, COIL_ARGS("/bin/sh", "-c", command), options,
                                transport_out);
}

/* ---- ending, and asking ------------------------------------------------------------------------- */

void coil_subprocess_transport_close(coil_subprocess_transport *self)
{
    if (self->closed)
        return;
    self->closed = true;
    for (int fd = 0; fd < 3; fd++)
        if (self->sides[fd].transport)
            coil_transport_close(self->sides[fd].transport);
    if (!self->exited)
        (void)coil_process_kill(self->process); /* it may have ended already */
}

bool coil_subprocess_transport_is_closing(const coil_subprocess_transport *self)
{
    return self->closed;
}

void coil__loop_close_subprocesses(coil_loop *loop)
{
    while (!coil__list_empty(&loop->subprocesses)) {
        coil_subprocess_transport *self = COIL__CONTAINER(loop->subprocesses.next,
                                                          coil_subprocess_transport, all);
        if (!self->closed)
            COIL__REPORT(loop, .event = COIL_EVENT_UNCLOSED_TRANSPORT,
                         .message = "a transport was not closed before its loop",
                         .name = "subprocess");
        self->closed = true;
        (void)coil_process_kill(self->process); /* it may have ended already */
        for (int fd = 0; fd < 3; fd++) {
            coil_transport *pipe = self->sides[fd].transport;
            if (pipe && pipe->loop)
                coil__transport_drop(pipe);
        }
        leave_loop(self);
    }
}

int coil_subprocess_transport_send_signal(coil_subprocess_transport *self, int number)
{
    if (!self->process)
        return coil__fail(-ESRCH, "process %ld has ended", (long)self->pid);
    if (!self->process->child)
        return 0; /* as in asyncio: nobody has been told yet */
    int rc = coil_process_send_signal(self->process, number);
    return rc == -ESRCH ? 0 : rc;
}

int coil_subprocess_transport_terminate(coil_subprocess_transport *self)
{
    return coil_subprocess_transport_send_signal(self, SIGTERM);
}

int coil_subprocess_transport_kill(coil_subprocess_transport *self)
{
    return coil_subprocess_transport_send_signal(self, SIGKILL);
}

pid_t coil_subprocess_transport_get_pid(const coil_subprocess_transport *self)
{
    return self->pid;
}

bool coil_subprocess_transport_get_returncode(const coil_subprocess_transport *self,
                                              int *returncode_out)
{
    if (self->known && returncode_out)
        *returncode_out = self->returncode;
    return self->known;
}

coil_transport *coil_subprocess_transport_get_pipe_transport(const coil_subprocess_transport *self,
                                                             int fd)
{
    return fd >= 0 && fd < 3 ? self->sides[fd].transport : NULL;
}

const coil_subprocess_protocol *
coil_subprocess_transport_get_protocol(const coil_subprocess_transport *self, void **self_out)
{
    if (self_out && self->protocol)
        *self_out = self->self;
    return self->protocol;
}
