#include "io/transport.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/error.h"
#include "io/server.h"
#include "tasks/task.h"

enum {
    DEFAULT_HIGH = 64 * 1024,
    WRITES_LOST_BEFORE_WARNING = 5,
    PIECES_AT_ONCE = 64, /* of coil_transport_writelines, for one call of the system's */
};

/* ---- calling the protocol ----------------------------------------------------------------------- */

static void destroy_self(const coil_protocol *protocol, void *self)
{
    if (protocol->destroy)
        protocol->destroy(self);
}

static void begin_call(coil_transport *transport, struct coil__protocol_call *call)
{
    call->protocol = transport->protocol;
    call->self = transport->self;
    call->let_go = false;
    call->outer = transport->calls;
    transport->calls = call;
}

/* Reports a failure, and gives what the call is worth. */
static int end_call(coil_transport *transport, struct coil__protocol_call *call, int rc,
                    const char *name)
{
    transport->calls = call->outer;
    if (COIL_UNLIKELY(rc == COIL_EEXIT || rc == COIL_EINTERRUPT)) {
        coil__loop_leave(transport->loop, rc, coil_ref(coil_error_current(rc)));
        rc = 0;
    } else if (COIL_UNLIKELY(rc < 0)) {
        COIL__REPORT(transport->loop, .event = COIL_EVENT_PROTOCOL_FAILED,
                     .message = "a protocol's function failed", .code = rc,
                     .error = coil_error_current(rc), .name = name);
    }
    if (COIL_UNLIKELY(call->let_go))
        destroy_self(call->protocol, call->self);
    return rc;
}

/* A call whose failure is fatal for the connection. */
static int end_fatal_call(coil_transport *transport, struct coil__protocol_call *call, int rc,
                          const char *name)
{
    rc = end_call(transport, call, rc, name);
    if (COIL_UNLIKELY(rc < 0))
        coil__transport_fatal(transport, rc, coil_ref(coil_error_current(rc)));
    return rc;
}

int coil__protocol_data_received(coil_transport *transport, const void *data, size_t bytes)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->data_received ? call.protocol->data_received(call.self, data, bytes)
                                          : 0;
    return end_fatal_call(transport, &call, rc, "data_received");
}

int coil__protocol_eof_received(coil_transport *transport)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->eof_received ? call.protocol->eof_received(call.self) : 0;
    return end_fatal_call(transport, &call, rc, "eof_received");
}

int coil__protocol_get_buffer(coil_transport *transport, void **buffer_out, size_t *bytes_out)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    *bytes_out = 0;
    int rc = call.protocol->get_buffer(call.self, -1, buffer_out, bytes_out);
    if (rc >= 0 && *bytes_out == 0)
        rc = coil__fail(COIL_ERUNTIME, "get_buffer gave an empty buffer");
    return end_fatal_call(transport, &call, rc, "get_buffer");
}

int coil__protocol_buffer_updated(coil_transport *transport, size_t bytes)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->buffer_updated ? call.protocol->buffer_updated(call.self, bytes) : 0;
    return end_fatal_call(transport, &call, rc, "buffer_updated");
}

int coil__protocol_datagram_received(coil_transport *transport, const void *data, size_t bytes,
                                     const struct sockaddr *address, socklen_t length)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->datagram_received
                 ? call.protocol->datagram_received(call.self, data, bytes, address, length)
                 : 0;
    return end_call(transport, &call, rc, "datagram_received");
}

int coil__protocol_error_received(coil_transport *transport, int code)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->error_received ? call.protocol->error_received(call.self, code) : 0;
    return end_call(transport, &call, rc, "error_received");
}

static void call_connection_lost(coil_transport *transport, int code)
{
    struct coil__protocol_call call;
    if (!transport->protocol->connection_lost)
        return;
    if (transport->lost_error)
        coil__fail_with(code, transport->lost_error);
    begin_call(transport, &call);
    int rc = call.protocol->connection_lost(call.self, code);
    (void)end_call(transport, &call, rc, "connection_lost"); /* reported, and there is no more */
}

/* A failure has been reported, and the connection goes on without its brake, as in asyncio. */
static void call_pause_writing(coil_transport *transport)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->pause_writing ? call.protocol->pause_writing(call.self) : 0;
    (void)end_call(transport, &call, rc, "pause_writing");
}

static void call_resume_writing(coil_transport *transport)
{
    struct coil__protocol_call call;
    begin_call(transport, &call);
    int rc = call.protocol->resume_writing ? call.protocol->resume_writing(call.self) : 0;
    (void)end_call(transport, &call, rc, "resume_writing");
}

int coil__protocol_create(const coil_protocol *protocol, void *arg, void **self_out)
{
    *self_out = arg;
    return protocol->create ? protocol->create(arg, self_out) : 0;
}

void coil__protocol_destroy(const coil_protocol *protocol, void *self)
{
    destroy_self(protocol, self);
}

/* ---- which protocol ----------------------------------------------------------------------------- */

void coil__transport_swap_protocol(coil_transport *transport, const coil_protocol *protocol,
                                   void *self, const coil_protocol **protocol_out, void **self_out)
{
    *protocol_out = transport->protocol;
    *self_out = transport->self;
    transport->protocol = protocol;
    transport->self = self;
}

/* Destroys a protocol's self, when its functions are not running any more. */
static void let_go(coil_transport *transport, const coil_protocol *protocol, void *self)
{
    struct coil__protocol_call *outermost = NULL;
    for (struct coil__protocol_call *call = transport->calls; call; call = call->outer)
        if (call->protocol == protocol && call->self == self)
            outermost = call;
    if (outermost)
        outermost->let_go = true;
    else
        destroy_self(protocol, self);
}

void coil_transport_set_protocol(coil_transport *transport, const coil_protocol *protocol,
                                 void *self)
{
    if (!transport->loop) {
        destroy_self(protocol, self);
        return;
    }
    const coil_protocol *old_protocol;
    void *old_self;
    coil__transport_swap_protocol(transport, protocol, self, &old_protocol, &old_self);
    if (old_protocol != protocol || old_self != self)
        let_go(transport, old_protocol, old_self);
}

const coil_protocol *coil_transport_get_protocol(const coil_transport *transport, void **self_out)
{
    if (self_out)
        *self_out = transport->self;
    return transport->protocol;
}

/* ---- life --------------------------------------------------------------------------------------- */

static void transport_destroy(void *object)
{
    coil_transport *transport = object;
    assert(!transport->loop);
    coil_unref(transport->lost_error);
    transport->ops->destroy(transport);
}

static const struct coil__type transport_type = { COIL__KIND_TRANSPORT, "transport",
                                                  transport_destroy };

static void lost_later(struct coil__call *call);

int coil__transport_init(coil_transport *transport, const struct coil__transport_ops *ops,
                         coil_loop *loop, const coil_protocol *protocol, void *self)
{
    coil_context *context;
    int rc = coil__context_inherit(&context);
    if (rc < 0)
        return rc;
    memset(transport, 0, sizeof *transport);
    coil__object_init(&transport->object, &transport_type);
    transport->ops = ops;
    transport->loop = loop;
    transport->protocol = protocol;
    transport->self = self;
    transport->high = DEFAULT_HIGH;
    transport->low = DEFAULT_HIGH / 4;
    transport->lost_call = (struct coil__call){
        .ready.run = coil__call_run, .fn = lost_later, .loop = loop, .context = context
    };
    coil__list_append(&loop->transports, &transport->all);
    return 0;
}

void coil__transport_wake_made(coil_transport *transport)
{
    if (!transport->made_wait)
        return;
    coil__wait_over(transport->made_wait);
    transport->made_wait = NULL;
}

void coil__transport_made(coil_transport *transport)
{
    struct coil__protocol_call call;
    transport->flags |= COIL__TRANSPORT_MADE;
    begin_call(transport, &call);
    int rc = call.protocol->connection_made ? call.protocol->connection_made(call.self, transport)
                                            : 0;
    (void)end_call(transport, &call, rc, "connection_made"); /* not fatal, as in asyncio */
    coil__transport_wake_made(transport);
}

static void wake_room(coil_transport *transport)
{
    if (!transport->room_wait)
        return;
    coil__wait_over(transport->room_wait);
    transport->room_wait = NULL;
}

struct room_wait {
    struct coil__wait wait;
    coil_transport *transport;
};

static bool give_up_room(struct coil__wait *wait)
{
    COIL__CONTAINER(wait, struct room_wait, wait)->transport->room_wait = NULL;
    return true;
}

int coil__transport_wait_room(coil_transport *transport)
{
    struct room_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_IO, "sendfile", give_up_room),
        .transport = transport,
    };
    if (transport->room_wait)
        return coil__fail(COIL_ERUNTIME, "a file is being sent");
    transport->room_wait = &self.wait;
    int rc = coil__task_wait(coil__thread.task, &self.wait);
    if (rc == 0 && !transport->loop)
        rc = coil__fail(COIL_ECLOSED, "the connection was lost while a file was sent");
    return rc;
}

struct made_wait {
    struct coil__wait wait;
    coil_transport *transport;
};

static bool give_up_waiting(struct coil__wait *wait)
{
    COIL__CONTAINER(wait, struct made_wait, wait)->transport->made_wait = NULL;
    return true;
}

int coil__transport_wait_made(coil_transport *transport)
{
    struct made_wait self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_IO, "connection_made", give_up_waiting),
        .transport = transport,
    };
    transport->made_wait = &self.wait;
    int rc = coil__task_wait(coil__thread.task, &self.wait);
    if (rc == 0 && !(transport->flags & COIL__TRANSPORT_MADE)) {
        rc = transport->lost_code < 0 ? transport->lost_code : COIL_ECLOSED;
        coil__fail_with(rc, transport->lost_error);
    }
    return rc;
}

/* Everything but the calls into the protocol. */
static void leave_loop(coil_transport *transport)
{
    const coil_protocol *protocol = transport->protocol;
    void *self = transport->self;
    assert(!transport->calls);
    transport->ops->lost(transport);
    coil__list_remove(&transport->all);
    transport->loop = NULL;
    transport->protocol = NULL;
    transport->self = NULL;
    coil_unref(transport->lost_call.context);
    transport->lost_call.context = NULL;
    if (transport->left_server)
        transport->left_server(transport);
    coil__transport_wake_made(transport);
    wake_room(transport);
    destroy_self(protocol, self);
    coil__unref(&transport->object);
}

static void lost_later(struct coil__call *self)
{
    coil_transport *transport = COIL__CONTAINER(self, coil_transport, lost_call);
    if (transport->flags & COIL__TRANSPORT_MADE)
        call_connection_lost(transport, transport->lost_code);
    leave_loop(transport);
}

static bool begin_losing(coil_transport *transport, int code)
{
    if (transport->flags & COIL__TRANSPORT_LOSING)
        return false;
    transport->flags |= COIL__TRANSPORT_LOSING | COIL__TRANSPORT_CLOSING;
    transport->writes_lost = 1;
    transport->lost_code = code;
    return true;
}

void coil__transport_lose(coil_transport *transport, int code)
{
    if (begin_losing(transport, code)) {
        coil__loop_push(transport->loop, &transport->lost_call.ready);
        if (COIL_UNLIKELY(!transport->loop->running))
            coil__loop_kick(transport->loop);
    }
}

void coil__transport_lose_now(coil_transport *transport, int code)
{
    if (begin_losing(transport, code))
        lost_later(&transport->lost_call);
}

void coil__transport_drop(coil_transport *transport)
{
    transport->flags |= COIL__TRANSPORT_LOSING | COIL__TRANSPORT_CLOSING;
    leave_loop(transport);
}

void coil__transport_fatal(coil_transport *transport, int code, coil_error *error)
{
    if (transport->flags & COIL__TRANSPORT_LOSING) {
        coil_unref(error);
        return;
    }
    coil_unref(transport->lost_error);
    transport->lost_error = error;
    transport->flags |= COIL__TRANSPORT_CLOSING;
    transport->ops->abort(transport, code);
}

coil_error *coil__transport_error(const coil_transport *transport, int code, const char *operation)
{
    char text[64];
    snprintf(text, sizeof text, "%s on a %s transport", operation, transport->ops->name);
    return coil__error_new(code, text);
}

void coil__loop_close_transports(coil_loop *loop)
{
    coil__loop_close_servers(loop);
    while (!coil__list_empty(&loop->transports)) {
        coil_transport *transport = COIL__CONTAINER(loop->transports.next, coil_transport, all);
        if (!(transport->flags & COIL__TRANSPORT_CLOSING) || transport->kept > 0)
            COIL__REPORT(loop, .event = COIL_EVENT_UNCLOSED_TRANSPORT,
                         .message = "a transport was not closed before its loop",
                         .name = transport->ops->name);
        coil__transport_drop(transport);
    }
    coil__free(loop->read_buffer);
    loop->read_buffer = NULL;
}

/* ---- ending ------------------------------------------------------------------------------------- */

void coil_transport_close(coil_transport *transport)
{
    if (transport->flags & COIL__TRANSPORT_CLOSING)
        return;
    transport->flags |= COIL__TRANSPORT_CLOSING;
    transport->ops->close(transport);
}

void coil_transport_abort(coil_transport *transport)
{
    coil__transport_fatal(transport, 0, NULL);
}

bool coil_transport_is_closing(const coil_transport *transport)
{
    return transport->flags & COIL__TRANSPORT_CLOSING;
}

/* ---- reading ------------------------------------------------------------------------------------ */

bool coil_transport_is_reading(const coil_transport *transport)
{
    return !(transport->flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_PAUSED));
}

void coil_transport_pause_reading(coil_transport *transport)
{
    if (!coil_transport_is_reading(transport) || !transport->ops->reading)
        return;
    transport->flags |= COIL__TRANSPORT_PAUSED;
    transport->ops->reading(transport);
}

void coil_transport_resume_reading(coil_transport *transport)
{
    if ((transport->flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_PAUSED)) !=
        COIL__TRANSPORT_PAUSED)
        return;
    transport->flags &= (uint16_t)~COIL__TRANSPORT_PAUSED;
    transport->ops->reading(transport);
}

void coil__transport_pull_start(coil_transport *transport, void (*readable)(void *self))
{
    transport->ops->pull_start(transport, readable);
}

int64_t coil__transport_pull(coil_transport *transport, void *buffer, size_t bytes)
{
    if (COIL_UNLIKELY(!coil_transport_is_reading(transport)))
        return -EAGAIN;
    return transport->ops->pull(transport, buffer, bytes);
}

void coil__transport_pull_wait(coil_transport *transport, bool waiting)
{
    if (!(transport->flags & COIL__TRANSPORT_LOSING))
        transport->ops->pull_wait(transport, waiting);
}

/* ---- the write buffer --------------------------------------------------------------------------- */

void coil__transport_kept(coil_transport *transport, size_t kept, ptrdiff_t copied)
{
    coil_loop *loop = transport->loop;
    transport->kept = kept;
    coil__loop_buffered(loop, copied);
    bool full = transport->flags & COIL__TRANSPORT_FULL;
    if (COIL_UNLIKELY(!full && kept > 0 &&
                      (kept > transport->high || coil__loop_over_budget(loop)))) {
        transport->flags |= COIL__TRANSPORT_FULL;
        call_pause_writing(transport);
    } else if (COIL_UNLIKELY(full && kept <= transport->low &&
                             (kept == 0 || !coil__loop_over_budget(loop)))) {
        transport->flags &= (uint16_t)~COIL__TRANSPORT_FULL;
        wake_room(transport);
        call_resume_writing(transport);
    }
}

int coil_transport_set_write_buffer_limits(coil_transport *transport, ptrdiff_t high, ptrdiff_t low)
{
    if (high == COIL_DEFAULT_LIMIT)
        high = low == COIL_DEFAULT_LIMIT ? DEFAULT_HIGH
               : low <= PTRDIFF_MAX / 4  ? 4 * low
                                         : PTRDIFF_MAX;
    if (low == COIL_DEFAULT_LIMIT)
        low = high < 0 ? high : high / 4;
    if (low < 0 || high < low)
        return coil__fail(COIL_EINVAL, "the marks of a write buffer: high %td, low %td", high, low);
    transport->high = (size_t)high;
    transport->low = (size_t)low;
    if (transport->loop && transport->kept > transport->high)
        coil__transport_kept(transport, transport->kept, 0);
    return 0;
}

void coil_transport_get_write_buffer_limits(const coil_transport *transport, size_t *low_out,
                                            size_t *high_out)
{
    if (low_out)
        *low_out = transport->low;
    if (high_out)
        *high_out = transport->high;
}

size_t coil_transport_get_write_buffer_size(const coil_transport *transport)
{
    return transport->kept;
}

void coil_loop_set_buffer_budget(coil_loop *loop, size_t bytes)
{
    loop = coil__loop_or_running(loop);
    if (loop)
        loop->buffer_budget = bytes;
}

/* ---- writing ------------------------------------------------------------------------------------ */

void coil__transport_write_after_loss(coil_transport *transport)
{
    if (transport->writes_lost >= WRITES_LOST_BEFORE_WARNING) {
        coil_report report = { .size = sizeof report,
                               .event = COIL_EVENT_WRITE_AFTER_LOSS,
                               .message = "writing goes on although the connection is lost",
                               .name = transport->ops->name };
        coil__log(transport->loop ? transport->loop : coil__thread.loop, COIL_LOG_WARNING, &report);
    }
    if (transport->writes_lost < UINT16_MAX)
        transport->writes_lost++;
}

static int refuse_write(const coil_transport *transport)
{
    if (transport->flags & COIL__TRANSPORT_FILE)
        return coil__fail(COIL_ERUNTIME, "a file is being sent");
    if (transport->flags & COIL__TRANSPORT_EOF_WRITTEN)
        return coil__fail(COIL_ERUNTIME, "writing after write_eof");
    return coil__fail(COIL_ENOTSUP, "a %s transport is not for writing", transport->ops->name);
}

/* Whether a write is to be made: 1; 0 or a code if there is nothing more to do. */
static inline int may_write(coil_transport *transport, size_t bytes)
{
    if (COIL_UNLIKELY((transport->flags & (COIL__TRANSPORT_EOF_WRITTEN | COIL__TRANSPORT_FILE)) !=
                          0 ||
                      !transport->ops->write))
        return refuse_write(transport);
    if (bytes == 0)
        return 0;
    if (COIL_UNLIKELY(transport->flags & COIL__TRANSPORT_LOSING)) {
        coil__transport_write_after_loss(transport);
        return 0;
    }
    return 1;
}

int coil_transport_write(coil_transport *transport, const void *data, size_t bytes)
{
    int rc = may_write(transport, bytes);
    if (rc <= 0)
        return rc;
    struct iovec part = { (void *)(uintptr_t)data, bytes };
    return transport->ops->write(transport, &part, 1, bytes, NULL);
}

int coil_transport_writelines(coil_transport *transport, const struct iovec *parts, size_t count)
{
    int rc = may_write(transport, count);
    while (rc > 0 && count > 0) {
        int some = count < PIECES_AT_ONCE ? (int)count : PIECES_AT_ONCE;
        size_t total = 0;
        for (int i = 0; i < some; i++)
            total += parts[i].iov_len;
        rc = total > 0 ? transport->ops->write(transport, parts, some, total, NULL) : 0;
        if (rc == 0 && !(transport->flags & COIL__TRANSPORT_LOSING))
            rc = 1;
        parts += some;
        count -= (size_t)some;
    }
    return rc < 0 ? rc : 0;
}

int coil__transport_write_lent(coil_transport *transport, struct coil__lent_write *lent)
{
    int rc = may_write(transport, lent->piece.bytes);
    if (rc <= 0)
        return rc;
    struct iovec part = { (void *)(uintptr_t)lent->piece.data, lent->piece.bytes };
    return transport->ops->write(transport, &part, 1, lent->piece.bytes, lent);
}

int coil__transport_withdraw(coil_transport *transport, struct coil__lent_write *lent)
{
    return transport->ops->withdraw(transport, lent);
}

bool coil_transport_can_write_eof(const coil_transport *transport)
{
    return transport->ops->write_eof != NULL;
}

int coil_transport_write_eof(coil_transport *transport)
{
    if (!transport->ops->write_eof)
        return coil__fail(COIL_ENOTSUP, "a %s transport cannot end one side only",
                          transport->ops->name);
    if (transport->flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_EOF_WRITTEN))
        return 0;
    transport->flags |= COIL__TRANSPORT_EOF_WRITTEN;
    transport->ops->write_eof(transport);
    return 0;
}

/* ---- what lies below ---------------------------------------------------------------------------- */

coil_value coil_transport_get_extra_info(coil_transport *transport, const char *name)
{
    return transport->ops->extra_info(transport, name);
}

int coil_transport_fd(const coil_transport *transport)
{
    if (!transport->loop)
        return coil__fail(COIL_ECLOSED, "the connection is lost");
    int fd = transport->ops->fd ? transport->ops->fd(transport) : COIL_ENOTSUP;
    if (fd == COIL_ENOTSUP)
        return coil__fail(fd, "a %s transport has no descriptor", transport->ops->name);
    return fd >= 0 ? fd : coil__fail(COIL_ECLOSED, "the descriptor was given back");
}

int coil_transport_sockname(const coil_transport *transport, struct sockaddr *address_out,
                            socklen_t *length_in_out)
{
    int fd = coil_transport_fd(transport);
    if (fd < 0)
        return fd;
    return getsockname(fd, address_out, length_in_out) < 0 ? coil__fail(-errno, "getsockname") : 0;
}

int coil_transport_peername(const coil_transport *transport, struct sockaddr *address_out,
                            socklen_t *length_in_out)
{
    int fd = coil_transport_fd(transport);
    if (fd < 0)
        return fd;
    return getpeername(fd, address_out, length_in_out) < 0 ? coil__fail(-errno, "getpeername") : 0;
}
