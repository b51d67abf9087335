/* Stream servers: for each connection a reader, a writer, and a task that runs the handler.
 *
 * The handler's task is lent the streams. What the server itself holds of them it gives back when the task has
 * ended; so a connection that nobody kept or closed is closed then. */
#include "base/error.h"
#include "io/server.h"
#include "io/stream_reader.h"
#include "io/stream_writer.h"

/* What the connections of one server have in common. */
struct service {
    coil_stream_handler handler;
    void *arg;
    size_t limit;
};

struct served {
    coil_stream_writer writer; /* first: the protocol's self is both */
    coil_stream_handler handler;
    void *arg;
    struct coil__waiter waiter; /* of the handler's task */
    struct coil__ready over;    /* queued when that is done */
    coil_future *task;          /* from then on: one reference */
    bool begun; /* connection_made was called: what follows gives back our references */
};

static void free_served(coil_stream_writer *writer)
{
    coil__block_give(writer, sizeof(struct served));
}

static void give_back(struct served *self)
{
    coil_stream_reader *reader = self->writer.reader;
    coil_unref(&self->writer.object);
    coil_unref(reader);
}

static int create(void *arg, void **self_out)
{
    const struct service *service = arg;
    coil_stream_reader *reader = coil_stream_reader_new(service->limit);
    if (!reader)
        return coil_error_last();
    struct served *self = coil__block_take(sizeof *self);
    if (!self) {
        coil_unref(reader);
        return coil__fail_plain(COIL_ENOMEM);
    }
    memset(self, 0, sizeof *self);
    coil__writer_init(&self->writer, reader);
    self->writer.served = true;
    self->writer.free = free_served;
    self->handler = service->handler;
    self->arg = service->arg;
    *self_out = self;
    return 0;
}

/* ---- the handler's task ------------------------------------------------------------------------- */

static void report_failure(coil_loop *loop, int code, coil_error *error)
{
    COIL__REPORT(loop, .event = COIL_EVENT_CLIENT_FAILED,
                 .message = "the handler of a connection failed", .code = code, .error = error);
}

/* The handler has ended, a turn ago, as for any callback of a task. */
static void handler_is_over(struct coil__ready *ready)
{
    struct served *self = COIL__CONTAINER(ready, struct served, over);
    coil_loop *loop = self->writer.reader->loop;
    coil_future *task = self->task;
    if (coil_future_cancelled(task)) {
        coil_stream_close(&self->writer);
    } else if (task->object.state == COIL__FUTURE_FAILED) {
        task->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        if (!loop->closed)
            report_failure(loop, task->code, task->error);
        coil_stream_close(&self->writer);
    }
    give_back(self);
    coil_unref(task);
}

static void queue_over(struct coil__waiter *waiter, coil_future *task)
{
    struct served *self = COIL__CONTAINER(waiter, struct served, waiter);
    self->task = coil_ref(task);
    self->over.run = handler_is_over;
    coil__loop_push(task->loop, &self->over);
}

static int run_handler(struct served *self)
{
    coil_coro *coro = self->handler(self->writer.reader, &self->writer, self->arg);
    coil_task *task = coro ? coil_create_task(coro) : NULL;
    if (!task)
        return coil_error_last();
    self->waiter.wake = queue_over;
    if (coil_future_done(task)) /* an eager one */
        queue_over(&self->waiter, task);
    else
        coil__future_await(task, &self->waiter);
    coil_unref(task);
    return 0;
}

static int made(void *arg, coil_transport *transport)
{
    struct served *self = arg;
    self->begun = true;
    (void)coil__stream_made(self, transport); /* cannot fail */
    int rc = run_handler(self);
    if (rc < 0) {
        report_failure(transport->loop, rc, coil_error_current(rc));
        give_back(self);
    }
    return 0;
}

static void destroy(void *arg)
{
    struct served *self = arg;
    if (!self->begun)
        give_back(self); /* the connection was never made: nobody else has it */
    coil__stream_destroy(self);
}

static const coil_protocol served_protocol = {
    .size = sizeof(coil_protocol),
    .name = "stream server",
    .create = create,
    .connection_made = made,
    .data_received = coil__stream_data_received,
    .eof_received = coil__stream_eof_received,
    .connection_lost = coil__stream_lost,
    .pause_writing = coil__stream_pause_writing,
    .resume_writing = coil__stream_resume_writing,
    .destroy = destroy,
};

/* ---- starting ----------------------------------------------------------------------------------- */

/* What a call that starts a server has, on its way. */
struct start {
    struct service *service;
    coil_server_options options; /* that do not start it yet: first it must own the service */
    bool serve;
};

static int begin(struct start *self, coil_stream_handler handler, void *arg,
                 const coil_stream_server_options *options)
{
    static const coil_server_options defaults = COIL_SERVER_OPTIONS_INIT;
    self->service = coil__alloc(sizeof *self->service);
    if (!self->service)
        return coil__fail_plain(COIL_ENOMEM);
    *self->service = (struct service){ handler, arg, options ? options->limit : 0 };
    self->options = options && options->server ? *options->server : defaults;
    self->serve = !self->options.no_serving;
    self->options.no_serving = true;
    return 0;
}

/* The server owns the service from now on, if there is one, and may serve. */
static int serve(struct start *self, int rc, coil_server *server)
{
    if (rc < 0) {
        coil__free(self->service);
        return rc;
    }
    coil__server_set_release(server, coil__free);
    return self->serve ? coil_server_start_serving(server) : 0;
}

static int finish(int rc, coil_server *server, coil_server **server_out)
{
    if (rc < 0 && server) {
        coil_server_close(server);
        coil_unref(server);
    } else if (rc == 0) {
        *server_out = server;
    }
    return rc;
}

int coil_start_server(coil_stream_handler handler, void *arg, const char *host, int port,
                      const coil_stream_server_options *options, coil_server **server_out)
{
    struct start start;
    coil_server *server = NULL;
    int rc = begin(&start, handler, arg, options);
    if (rc < 0)
        return rc;
    rc = coil_create_server(&served_protocol, start.service, host, port, &start.options, &server);
    return finish(serve(&start, rc, server), server, server_out);
}

int coil_start_server_sock(coil_stream_handler handler, void *arg, int fd,
                           const coil_stream_server_options *options, coil_server **server_out)
{
    struct start start;
    coil_server *server = NULL;
    int rc = begin(&start, handler, arg, options);
    if (rc < 0)
        return rc;
    rc = coil_create_server_sock(&served_protocol, start.service, fd, &start.options, &server);
    rc = serve(&start, rc, server);
    if (rc < 0 && server) {
        coil__server_abandon(server); /* the descriptor is the caller's again */
        return rc;
    }
    return finish(rc, server, server_out);
}

int coil_start_unix_server(coil_stream_handler handler, void *arg, const char *path,
                           const coil_stream_server_options *options, coil_server **server_out)
{
    struct start start;
    coil_server *server = NULL;
    int rc = begin(&start, handler, arg, options);
    if (rc < 0)
        return rc;
    rc = coil_create_unix_server(&served_protocol, start.service, path, &start.options, &server);
    return finish(serve(&start, rc, server), server, server_out);
}
