/* A line in memory with two transports at its ends.
 *
 * What one end sends becomes pieces in the other's list, each with the time at which it arrives; times never go
 * backwards, so the order is kept. An end is told of arrivals by a timer, or in the next turn if there is no delay,
 * and from there on does what an end with a descriptor does (io/endpoint.h). The line holds `room` bytes that are
 * under way or not yet read; what does not fit waits in the sender's queue. */
#include <coil/testing.h>

#include <errno.h>
#include <string.h>
#include "base/error.h"
#include "io/endpoint.h"
#include "io/write_queue.h"
#include "tasks/task.h"

enum {
    DEFAULT_ROOM = 64 * 1024,
};

enum piece_kind {
    BYTES,
    END,   /* the sender writes no more */
    RESET, /* the connection is gone */
};

struct piece {
    struct piece *next;
    int64_t due_ns;
    enum piece_kind kind;
    size_t bytes, taken;
    char data[];
};

/* What both ends share. */
struct line {
    coil_testing_link settings;
    uint64_t random;
    bool cut;
    int ends; /* that refer to it */
};

struct end {
    coil_transport base;
    struct line *line;
    struct end *peer;    /* NULL: lost, or being made */
    struct piece *first; /* towards this end, in order of arrival */
    struct piece *last;
    int64_t reset_ns; /* when the first reset among them arrives, if one is */
    bool reset_coming;
    size_t unread;     /* bytes in them, and those that were lost on the way */
    size_t sent;       /* by this end, in all */
    bool end_sent;     /* or a reset */
    bool no_reading;   /* the end was read */
    bool pull_waiting; /* by pull: somebody waits */
    bool pushing;      /* by pull, and gone over to push */
    void (*pull_readable)(void *self);
    struct coil__write_queue queue;
    struct coil__call call;
    bool queued;
    coil_handle *timer; /* for the next arrival */
};

static struct end *of(coil_transport *transport)
{
    return COIL__CONTAINER(transport, struct end, base);
}

/* ---- the line ------------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t draw(struct line *line)
{
    uint64_t z = line->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t arrival_ns(struct end *to)
{
    struct line *line = to->line;
    double spread = line->settings.delay_max - line->settings.delay_min;
    double delay = line->settings.delay_min + spread * (double)(draw(line) >> 11) * 0x1p-53;
    int64_t due = coil__loop_now(to->base.loop) + coil__nanoseconds(delay);
    return to->last && to->last->due_ns > due ? to->last->due_ns : due;
}

/* The entry holds no reference: connection_lost is queued behind it, if at all. */
static void wake(struct end *self)
{
    if (self->queued || (self->base.flags & COIL__TRANSPORT_LOSING))
        return;
    self->queued = true;
    coil__loop_push(self->base.loop, &self->call.ready);
}

static int timer_due(void *arg)
{
    struct end *self = arg;
    coil_unref(self->timer);
    self->timer = NULL;
    wake(self);
    return 0;
}

/* Sees to it that the end hears of its next piece. False without memory. */
static bool expect_arrival(struct end *self)
{
    if (self->timer || !self->first)
        return true;
    int64_t delay_ns = self->first->due_ns - coil__loop_now(self->base.loop);
    if (delay_ns <= 0) {
        wake(self);
        return true;
    }
    return coil_call_at(self->base.loop, (double)self->first->due_ns / 1e9, timer_due, self,
                        &self->timer) == 0;
}

/* False without memory. */
static bool send_piece(struct end *to, enum piece_kind kind, const char *data, size_t bytes)
{
    struct piece *piece = coil__alloc(sizeof *piece + bytes);
    if (!piece)
        return false;
    *piece = (struct piece){ .due_ns = arrival_ns(to), .kind = kind, .bytes = bytes };
    if (bytes > 0)
        memcpy(piece->data, data, bytes);
    if (to->last)
        to->last->next = piece;
    else
        to->first = piece;
    to->last = piece;
    to->unread += bytes;
    if (kind == RESET && !to->reset_coming) {
        to->reset_coming = true;
        to->reset_ns = piece->due_ns;
    }
    return expect_arrival(to);
}

/* A reset needs no memory that might be missing: without it, it comes at once. */
static void send_reset(struct end *to)
{
    if (to->base.loop && !send_piece(to, RESET, NULL, 0))
        coil__transport_fatal(&to->base, -ECONNRESET, NULL);
}

static bool reaches(size_t limit, size_t sent)
{
    return limit > 0 && sent >= limit;
}

/* Nothing that this end sends arrives any more. */
static bool is_cut(const struct end *from)
{
    return from->line->cut || reaches(from->line->settings.cut_after, from->sent);
}

/* How many of these bytes go as one piece; 0: there is no room. */
static size_t portion(const struct end *from, size_t bytes)
{
    const coil_testing_link *settings = &from->line->settings;
    size_t room = settings->room > 0 ? settings->room : DEFAULT_ROOM;
    size_t unread = from->peer->unread;
    if (unread >= room)
        return 0;
    if (bytes > room - unread)
        bytes = room - unread;
    if (settings->piece_max > 0 && bytes > 1) {
        size_t most = bytes < settings->piece_max ? bytes : settings->piece_max;
        bytes = 1 + (size_t)(draw(from->line) % most);
    }
    if (settings->cut_after > from->sent && bytes > settings->cut_after - from->sent)
        bytes = settings->cut_after - from->sent;
    if (settings->reset_after > from->sent && bytes > settings->reset_after - from->sent)
        bytes = settings->reset_after - from->sent;
    return bytes;
}

/* Sends what there is room for: a number of bytes, or COIL_ENOMEM. */
static int64_t send_bytes(struct end *from, const char *data, size_t bytes)
{
    const coil_testing_link *settings = &from->line->settings;
    size_t done = 0;
    while (done < bytes) {
        if (!from->peer) {
            send_reset(from); /* nobody is there, and says so */
            return (int64_t)bytes;
        }
        size_t part = portion(from, bytes - done);
        if (part == 0)
            break;
        if (is_cut(from))
            from->peer->unread += part; /* lost, and its room is never free again */
        else if (!send_piece(from->peer, BYTES, data + done, part))
            return coil__fail_plain(COIL_ENOMEM);
        done += part;
        from->sent += part;
        if (reaches(settings->reset_after, from->sent)) {
            send_reset(from->peer);
            send_reset(from);
            return (int64_t)bytes;
        }
    }
    return (int64_t)done;
}

static void send_end(struct end *from)
{
    if (from->end_sent || !from->peer || is_cut(from))
        return;
    from->end_sent = true;
    if (!send_piece(from->peer, END, NULL, 0))
        send_reset(from->peer);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static bool reads(const struct end *self)
{
    return !(self->base.flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_PAUSED)) &&
           (self->base.flags & COIL__TRANSPORT_MADE) && !self->no_reading;
}

static bool has_arrived(const struct end *self)
{
    return self->first && self->first->due_ns <= coil__loop_now(self->base.loop);
}

static bool reset_has_arrived(const struct end *self)
{
    return self->reset_coming && self->reset_ns <= coil__loop_now(self->base.loop);
}

static void drop_first(struct end *self)
{
    struct piece *piece = self->first;
    self->first = piece->next;
    if (!self->first)
        self->last = NULL;
    self->unread -= piece->bytes - piece->taken;
    coil__free(piece);
}

/* As read(2) on a socket: bytes, 0 at the end, -EAGAIN, -ECONNRESET. */
static int64_t take(struct end *self, char *buffer, size_t bytes)
{
    size_t got = 0;
    if (reset_has_arrived(self))
        return -ECONNRESET;
    while (got < bytes && has_arrived(self) && self->first->kind == BYTES) {
        struct piece *piece = self->first;
        size_t rest = piece->bytes - piece->taken;
        size_t part = rest < bytes - got ? rest : bytes - got;
        memcpy(buffer + got, piece->data + piece->taken, part);
        got += part;
        piece->taken += part;
        self->unread -= part;
        if (part == rest)
            drop_first(self);
        if (self->line->settings.piece_max > 0)
            break;
    }
    if (got > 0) {
        if (self->peer)
            wake(self->peer); /* there is room */
        return (int64_t)got;
    }
    return has_arrived(self) ? 0 : -EAGAIN;
}

static void reset_by_peer(struct end *self)
{
    coil__transport_fatal(&self->base, -ECONNRESET,
                          coil__transport_error(&self->base, -ECONNRESET, "reading"));
}

static void end_received(struct end *self)
{
    self->no_reading = true;
    int rc = coil__protocol_eof_received(&self->base);
    if (rc == 0)
        coil_transport_close(&self->base);
}

static void push_once(struct end *self)
{
    char small[4096];
    size_t bytes;
    void *buffer = NULL;
    bool lends = self->base.protocol->get_buffer != NULL;
    if (!lends)
        buffer = coil__endpoint_read_buffer(self->base.loop, small, sizeof small, &bytes);
    else if (coil__protocol_get_buffer(&self->base, &buffer, &bytes) < 0 || !reads(self))
        return;
    int64_t got = take(self, buffer, bytes);
    if (got > 0 && lends)
        (void)coil__protocol_buffer_updated(&self->base, (size_t)got); /* it sees to it */
    else if (got > 0)
        (void)coil__protocol_data_received(&self->base, buffer, (size_t)got); /* the same */
    else if (got == 0)
        end_received(self);
    else if (got == -ECONNRESET)
        reset_by_peer(self);
}

static void read_ready(struct end *self)
{
    if (self->no_reading && reset_has_arrived(self)) {
        reset_by_peer(self); /* half of the connection was still open */
        return;
    }
    if (!reads(self) || !has_arrived(self))
        return;
    if (!self->pull_readable || self->pushing) {
        push_once(self);
    } else if (self->pull_waiting) {
        self->pull_waiting = false;
        self->pull_readable(self->base.self);
    } else if (reset_has_arrived(self)) {
        self->pushing = true;
        push_once(self);
    }
    if (self->base.loop && reads(self) && has_arrived(self) &&
        (!self->pull_readable || self->pushing))
        wake(self); /* the rest comes in the next turn */
}

static void pull_start(coil_transport *transport, void (*readable)(void *self))
{
    of(transport)->pull_readable = readable;
    of(transport)->pull_waiting = false;
}

static int64_t pull(coil_transport *transport, void *buffer, size_t bytes)
{
    struct end *self = of(transport);
    if (self->pushing)
        return -EAGAIN;
    if (self->no_reading)
        return 0;
    int64_t got = take(self, buffer, bytes);
    if (got == 0)
        self->no_reading = true;
    if (got == -ECONNRESET) {
        reset_by_peer(self);
        return coil__fail_with(-ECONNRESET, transport->lost_error);
    }
    return got;
}

static void pull_wait(coil_transport *transport, bool waiting)
{
    struct end *self = of(transport);
    self->pull_waiting = waiting;
    /* What has been pulled since the last arrival was told may have been all but what is still under way. */
    if (waiting && !expect_arrival(self))
        coil__transport_fatal(&self->base, COIL_ENOMEM, NULL);
}

static void reading(coil_transport *transport)
{
    struct end *self = of(transport);
    if (reads(self) && has_arrived(self))
        wake(self);
}

/* ---- writing -------------------------------------------------------------------------------------- */

static int write_parts(coil_transport *transport, const struct iovec *parts, int count,
                       size_t total, struct coil__lent_write *lent)
{
    struct end *self = of(transport);
    size_t done = 0;
    for (int i = 0; i < count && coil__write_queue_empty(&self->queue); i++) {
        int64_t sent = send_bytes(self, parts[i].iov_base, parts[i].iov_len);
        if (sent < 0) {
            if (done > 0)
                coil__transport_fatal(transport, (int)sent, NULL);
            return (int)sent;
        }
        done += (size_t)sent;
        if ((size_t)sent < parts[i].iov_len)
            break;
    }
    return done < total
               ? coil__transport_keep(transport, &self->queue, parts, count, total, done, lent)
               : 0;
}

static int withdraw(coil_transport *transport, struct coil__lent_write *lent)
{
    return coil__transport_take_back(transport, &of(transport)->queue, lent);
}

static void write_ready(struct end *self)
{
    coil_transport *transport = &self->base;
    size_t freed = 0;
    if (coil__write_queue_empty(&self->queue))
        return;
    while (!coil__write_queue_empty(&self->queue)) {
        int64_t sent = send_bytes(self, self->queue.first->data, self->queue.first->bytes);
        if (sent <= 0) {
            if (sent < 0)
                coil__transport_fatal(transport, (int)sent, NULL);
            break;
        }
        freed += coil__write_queue_sent(&self->queue, (size_t)sent);
        transport->kept -= (size_t)sent;
    }
    if (transport->flags & COIL__TRANSPORT_LOSING) {
        coil__loop_buffered(transport->loop, -(ptrdiff_t)freed);
        return;
    }
    coil__transport_kept(transport, transport->kept, -(ptrdiff_t)freed);
    if (!coil__write_queue_empty(&self->queue) || (transport->flags & COIL__TRANSPORT_LOSING))
        return;
    if (transport->flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_EOF_WRITTEN))
        send_end(self);
    if ((transport->flags & COIL__TRANSPORT_CLOSING) && !self->queued)
        coil__transport_lose_now(transport, 0);
    else if (transport->flags & COIL__TRANSPORT_CLOSING)
        coil__transport_lose(transport, 0); /* behind the entry that is queued */
}

static void write_eof(coil_transport *transport)
{
    if (coil__write_queue_empty(&of(transport)->queue))
        send_end(of(transport));
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* Runs on the loop's own stack: the first time the connection is made, then whenever something has come. */
static void run(struct coil__call *call)
{
    struct end *self = COIL__CONTAINER(call, struct end, call);
    self->queued = false;
    coil__ref(&self->base.object);
    if (self->base.loop && !(self->base.flags & COIL__TRANSPORT_LOSING)) {
        if (!(self->base.flags & COIL__TRANSPORT_MADE))
            coil__transport_made(&self->base);
        if (self->base.loop && !(self->base.flags & COIL__TRANSPORT_LOSING))
            read_ready(self);
        if (self->base.loop && !(self->base.flags & COIL__TRANSPORT_LOSING))
            write_ready(self);
        if (self->base.loop && !has_arrived(self) && !expect_arrival(self))
            coil__transport_fatal(&self->base, COIL_ENOMEM, NULL);
    }
    coil__unref(&self->base.object);
}

static void close_end(coil_transport *transport)
{
    struct end *self = of(transport);
    if (!coil__write_queue_empty(&self->queue))
        return;
    send_end(self);
    coil__transport_lose(transport, 0);
}

static void abort_end(coil_transport *transport, int code)
{
    struct end *self = of(transport);
    coil__transport_drop_kept(transport, &self->queue, code);
    if (self->peer && !self->end_sent && !is_cut(self)) {
        self->end_sent = true;
        send_reset(self->peer);
    }
    coil__transport_lose(transport, code);
}

static void end_lost(coil_transport *transport)
{
    struct end *self = of(transport);
    coil__transport_drop_kept(transport, &self->queue, transport->lost_code);
    if (self->timer) {
        coil_handle_cancel(self->timer);
        coil_unref(self->timer);
        self->timer = NULL;
    }
    if (self->peer) {
        self->peer->peer = NULL;
        if (!coil__write_queue_empty(&self->peer->queue))
            wake(self->peer); /* it waits for room, and will find nobody there */
    }
    self->peer = NULL;
}

static void line_release(struct line *line)
{
    if (line && --line->ends == 0)
        coil__free(line);
}

static void destroy_end(coil_transport *transport)
{
    struct end *self = of(transport);
    while (self->first)
        drop_first(self);
    line_release(self->line);
    coil__free(self);
}

static coil_value extra_info(coil_transport *transport, const char *name)
{
    (void)transport;
    return strcmp(name, "peername") == 0 || strcmp(name, "sockname") == 0 ? coil_string("memory")
                                                                          : coil_nil();
}

static int no_fd(const coil_transport *transport)
{
    (void)transport;
    return COIL_ENOTSUP;
}

static const struct coil__transport_ops end_ops = {
    .name = "memory",
    .write = write_parts,
    .withdraw = withdraw,
    .write_eof = write_eof,
    .close = close_end,
    .abort = abort_end,
    .reading = reading,
    .lost = end_lost,
    .destroy = destroy_end,
    .pull_start = pull_start,
    .pull = pull,
    .pull_wait = pull_wait,
    .extra_info = extra_info,
    .fd = no_fd,
};

/* ---- making --------------------------------------------------------------------------------------- */

static int check(const coil_testing_link *link, coil_loop **loop_out)
{
    struct coil__task *task = coil__thread.task;
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "coil_testing_connect outside a task");
    if (!(link->delay_min >= 0 && link->delay_max >= link->delay_min))
        return coil__fail(COIL_EINVAL, "delays of %g to %g seconds", link->delay_min,
                          link->delay_max);
    *loop_out = task->future.loop;
    return coil__loop_open_for_work(*loop_out);
}

static struct line *line_new(const coil_testing_link *link)
{
    struct line *line = coil__alloc_zero(sizeof *line);
    if (!line) {
        coil__fail_plain(COIL_ENOMEM);
        return NULL;
    }
    line->settings = *link;
    line->random = link->seed;
    line->ends = 1; /* the maker's */
    return line;
}

/* arg is given up, whatever happens. */
static int end_new(coil_loop *loop, struct line *line, const coil_protocol *protocol, void *arg,
                   struct end **end_out)
{
    void *self_arg = arg;
    struct end *self = coil__alloc_zero(sizeof *self);
    int rc = self ? coil__protocol_create(protocol, arg, &self_arg) : coil__fail_plain(COIL_ENOMEM);
    if (rc < 0) {
        if (!protocol->create)
            coil__protocol_destroy(protocol, arg);
        coil__free(self);
        return rc;
    }
    rc = coil__transport_init(&self->base, &end_ops, loop, protocol, self_arg);
    if (rc < 0) {
        coil__protocol_destroy(protocol, self_arg);
        coil__free(self);
        return rc;
    }
    self->call = (struct coil__call){ .ready.run = coil__call_run,
                                      .fn = run,
                                      .loop = loop,
                                      .context = self->base.lost_call.context };
    self->line = line;
    line->ends++;
    *end_out = self;
    return 0;
}

/* Waits for both; the second may be made before anybody asks. */
static int wait_made(struct end *ends[2])
{
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++)
        if (!(ends[i]->base.flags & COIL__TRANSPORT_MADE))
            rc = coil__transport_wait_made(&ends[i]->base);
    return rc;
}

static int connect_ends(struct end *ends[2], coil_transport *ends_out[2])
{
    ends[0]->peer = ends[1];
    ends[1]->peer = ends[0];
    for (int i = 0; i < 2; i++) {
        coil__ref(&ends[i]->base.object); /* the caller's */
        wake(ends[i]);
    }
    int rc = wait_made(ends);
    for (int i = 0; i < 2; i++) {
        if (rc == 0) {
            ends_out[i] = &ends[i]->base;
            continue;
        }
        if (ends[i]->base.loop)
            coil_transport_abort(&ends[i]->base);
        coil__unref(&ends[i]->base.object);
    }
    return rc;
}

int coil_testing_connect(const coil_testing_link *link, const coil_protocol *protocol_a,
                         void *arg_a, const coil_protocol *protocol_b, void *arg_b,
                         coil_transport *ends_out[2])
{
    static const coil_testing_link plain = COIL_TESTING_LINK_INIT;
    coil_loop *loop = NULL;
    struct line *line = NULL;
    struct end *ends[2] = { NULL, NULL };
    if (!link)
        link = &plain;
    int rc = check(link, &loop);
    if (rc == 0 && !(line = line_new(link)))
        rc = COIL_ENOMEM;
    if (rc == 0) {
        rc = end_new(loop, line, protocol_a, arg_a, &ends[0]);
    } else if (!protocol_a->create) {
        coil__protocol_destroy(protocol_a, arg_a);
    }
    if (rc == 0) {
        rc = end_new(loop, line, protocol_b, arg_b, &ends[1]);
    } else if (!protocol_b->create) {
        coil__protocol_destroy(protocol_b, arg_b);
    }
    if (rc == 0)
        rc = connect_ends(ends, ends_out);
    else if (ends[0])
        coil__transport_drop(&ends[0]->base);
    line_release(line);
    return rc;
}

/* NULL: none of ours, or lost. */
static struct end *live_end(coil_transport *transport)
{
    return transport->ops == &end_ops && transport->loop ? of(transport) : NULL;
}

void coil_testing_cut(coil_transport *transport)
{
    struct end *end = live_end(transport);
    if (end)
        end->line->cut = true;
}

void coil_testing_reset(coil_transport *transport)
{
    struct end *end = live_end(transport);
    if (!end)
        return;
    if (end->peer)
        send_reset(end->peer);
    send_reset(end);
}
