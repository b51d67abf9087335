/* A stream over a line in memory that delays, portions, cuts and resets as the foreign bytes say. What each end
 * sends is known in advance; so whatever a read gives must be the next bytes of it, an end may come only where the
 * peer has ended, an error only where something was broken; and nothing that was cancelled may lose a byte. */
#include <errno.h>
#include "io/stream_writer.h"
#include "reading.h"

enum {
    SENT_MAX = 200000, /* in one direction, so that a run stays short */
    LARGE = 70000,     /* more than a chunk of the loop's pool */
};

static const double LONG = 1e6; /* seconds: longer than everything on the line takes */

/* The two texts, each as long as may be sent. */
static char incoming[SENT_MAX], outgoing[SENT_MAX];

struct session {
    struct fuzz_input *input;
    coil_testing_link link;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_transport *ends[2]; /* ours, which the streams are upon, and the peer's */
    /* The peer, which is a plain protocol. */
    size_t sent, received;
    bool ended, lost;
    /* What may have happened to the line. */
    bool broken, cut;
    /* Our side. */
    size_t taken, limit;
    coil_task *task;
    struct reading reading;
    bool cancelled;
    coil_task *writing;
    size_t written, write_bytes;
};

/* ---- the peer ------------------------------------------------------------------------------------ */

static int peer_received(void *self_arg, const void *data, size_t bytes)
{
    struct session *self = self_arg;
    FUZZ_CHECK(self->received + bytes <= self->written);
    FUZZ_CHECK(memcmp(outgoing + self->received, data, bytes) == 0);
    self->received += bytes;
    return 0;
}

static int peer_ended(void *self_arg)
{
    (void)self_arg;
    return 1; /* it goes on sending */
}

static int peer_lost(void *self_arg, int code)
{
    struct session *self = self_arg;
    FUZZ_CHECK(code == 0 || self->broken);
    self->lost = true;
    return 0;
}

static const coil_protocol peer_protocol = {
    .size = sizeof(coil_protocol),
    .name = "peer",
    .data_received = peer_received,
    .eof_received = peer_ended,
    .connection_lost = peer_lost,
};

static void peer_send(struct session *self, size_t bytes)
{
    if (self->ended || self->lost || self->sent + bytes > SENT_MAX)
        return;
    FUZZ_CHECK(coil_transport_write(self->ends[1], incoming + self->sent, bytes) == 0);
    self->sent += bytes;
}

/* ---- what a read may give ------------------------------------------------------------------------ */

/* All that the peer has ever sent was read or is shown, and it has ended. */
static bool complete(const struct session *self, size_t bytes)
{
    return self->ended && self->taken + bytes == self->sent;
}

static void check_search(const struct session *self, const struct reading *reading)
{
    size_t left = self->sent - self->taken;
    struct reading_match match = reading_search(reading, incoming + self->taken, left);
    if (reading->rc == COIL_EOVERRUN) {
        FUZZ_CHECK(reading->overrun > self->limit && reading->overrun <= left);
        FUZZ_CHECK(!match.found || match.start >= reading->overrun);
    } else if (reading->rc == COIL_EINCOMPLETE) {
        FUZZ_CHECK(reading->kind == READ_UNTIL && !match.found);
        FUZZ_CHECK(complete(self, reading->partial_bytes));
    } else if (reading->rc >= 0 && match.found && match.end <= reading->data_bytes) {
        FUZZ_CHECK(match.end == reading->data_bytes && match.start <= self->limit);
    } else if (reading->rc >= 0) {
        FUZZ_CHECK(reading->kind == READ_LINE && complete(self, reading->data_bytes));
    } else {
        FUZZ_CHECK(reading->rc == COIL_EINVAL && reading->count == 0);
    }
}

static void check_count(const struct session *self, const struct reading *reading)
{
    size_t left = self->sent - self->taken, bytes = reading->data_bytes;
    switch (reading->kind) {
    case READ:
        FUZZ_CHECK(reading->rc >= 0 && bytes <= reading->bytes);
        FUZZ_CHECK(bytes > 0 || reading->bytes == 0 || complete(self, 0));
        break;
    case READ_CHUNK:
        FUZZ_CHECK(reading->rc > 0 || (reading->rc == 0 && complete(self, 0)));
        break;
    case READ_EXACTLY:
        FUZZ_CHECK(reading->rc == 0 || reading->rc == COIL_EINCOMPLETE);
        if (reading->rc < 0)
            FUZZ_CHECK(reading->partial_bytes < reading->bytes &&
                       complete(self, reading->partial_bytes));
        break;
    case PEEK:
        FUZZ_CHECK(reading->rc >= 0);
        FUZZ_CHECK(bytes >= reading->bytes || complete(self, bytes));
        break;
    case SKIP:
        FUZZ_CHECK(reading->rc == COIL_EINVAL || (reading->rc == 0 && reading->bytes <= left));
        break;
    default:
        FUZZ_CHECK(reading->rc == COIL_EOVERRUN ? left > reading->bytes
                                                : reading->rc == 0 && complete(self, bytes));
        break;
    }
}

static void check_reading(struct session *self)
{
    struct reading *reading = &self->reading;
    const char *from = incoming + self->taken;
    bool fault = reading->rc == -ECONNRESET || reading->rc == -EPIPE;
    FUZZ_CHECK(reading->rc != COIL_ECANCELED || self->cancelled);
    FUZZ_CHECK(!fault || self->broken);
    if (fault || reading->rc == COIL_ECANCELED)
        return;
    FUZZ_CHECK(self->taken + reading->data_bytes + reading->partial_bytes <= self->sent);
    if (reading->data_bytes > 0)
        FUZZ_CHECK(memcmp(reading->data, from, reading->data_bytes) == 0);
    if (reading->partial_bytes > 0)
        FUZZ_CHECK(memcmp(reading->partial, from, reading->partial_bytes) == 0);
    if (reading_searches(reading))
        check_search(self, reading);
    else
        check_count(self, reading);
    if (reading->kind == SKIP && reading->rc == 0)
        self->taken += reading->bytes;
    else if (reading->kind != PEEK)
        self->taken += reading->data_bytes + reading->partial_bytes;
}

/* ---- our side ------------------------------------------------------------------------------------ */

COIL_ASYNC(reads, (struct session *, self))
{
    reading_run(&self->reading, self->reader);
    check_reading(self);
    return 0;
}

/* A line that is too long is dropped as far as it has come, which cannot be known here: it is asked for with a call
 * that drops nothing. */
static void start(struct session *self)
{
    struct reading *reading = &self->reading;
    *reading = reading_pick(self->input, LARGE);
    if (reading->kind == READ_LINE) {
        size_t ahead = SENT_MAX - self->taken;
        size_t most = self->limit + 1 < ahead ? self->limit + 1 : ahead;
        if (!memchr(incoming + self->taken, '\n', most))
            reading->kind = READ_UNTIL;
    }
    self->cancelled = false;
    self->task = coil_create_task(reads(self));
    FUZZ_CHECK(self->task);
}

static void collect(struct session *self)
{
    if (self->task && coil_future_done(self->task)) {
        reading_fini(&self->reading);
        coil_unref(self->task);
        self->task = NULL;
    }
    if (self->writing && coil_future_done(self->writing)) {
        coil_unref(self->writing);
        self->writing = NULL;
    }
}

/* Whatever comes of it, either all of it arrives in time, or the line is broken. */
COIL_ASYNC(writes, (struct session *, self))
{
    const char *from = outgoing + self->written;
    self->written += self->write_bytes;
    int rc = coil_stream_write(self->writer, from, self->write_bytes);
    FUZZ_CHECK(rc == 0 || rc == COIL_ECANCELED || self->broken);
    return 0;
}

static void start_write(struct session *self)
{
    self->write_bytes = fuzz_size(self->input, LARGE);
    if (self->written + self->write_bytes > SENT_MAX || self->writing)
        return;
    self->writing = coil_create_task(writes(self));
    FUZZ_CHECK(self->writing);
}

static void cancel(struct session *self, coil_task *task)
{
    if (!task || coil_future_done(task))
        return;
    if (task == self->task)
        self->cancelled = true;
    FUZZ_CHECK(coil_task_cancel(task, NULL));
}

/* ---- the run -------------------------------------------------------------------------------------- */

static void disturb(struct session *self, unsigned choice)
{
    switch (choice) {
    case 0:
        self->broken = true;
        coil_testing_reset(self->ends[0]);
        break;
    case 1:
        self->broken = true;
        coil_transport_abort(self->ends[1]);
        break;
    case 2:
        self->cut = true;
        coil_testing_cut(self->ends[1]);
        break;
    default:
        if (self->lost || self->ended)
            break;
        self->ended = true;
        FUZZ_CHECK(coil_transport_write_eof(self->ends[1]) == 0);
        break;
    }
}

static int act(struct session *self, unsigned choice)
{
    switch (choice % 16) {
    case 0:
        disturb(self, choice >> 4 & 7);
        return 0;
    case 1:
        cancel(self, self->task);
        return 0;
    case 2:
        cancel(self, self->writing);
        return 0;
    case 3:
        coil_transport_pause_reading(self->ends[choice >> 7]);
        return 0;
    case 4:
        coil_transport_resume_reading(self->ends[choice >> 7]);
        return 0;
    case 5:
        return coil_sleep(fuzz_byte(self->input) / 16.0);
    case 6:
    case 7:
        start_write(self);
        return 0;
    case 8:
    case 9:
    case 10:
        peer_send(self, fuzz_size(self->input, LARGE));
        return 0;
    default:
        if (!self->task)
            start(self);
        return 0;
    }
}

static void pick_link(struct session *self)
{
    unsigned how = fuzz_byte(self->input);
    self->link = (coil_testing_link)COIL_TESTING_LINK_INIT;
    self->link.seed = fuzz_byte(self->input);
    self->link.delay_max = how & 1 ? 3 : 0;
    self->link.piece_max = how & 2 ? 1 + fuzz_size(self->input, 5000) : 0;
    self->link.room = how & 4 ? 1 + fuzz_size(self->input, LARGE) : 0;
    self->link.cut_after = (how & 0x18) == 0x18 ? 1 + fuzz_size(self->input, LARGE) : 0;
    self->link.reset_after = (how & 0x60) == 0x60 ? 1 + fuzz_size(self->input, LARGE) : 0;
    self->cut = self->link.cut_after > 0;
    self->broken = self->link.reset_after > 0;
}

/* Everybody may go on, and the peer ends: what was sent arrives, unless the line does not stand any more. */
static int come_to_the_end(struct session *self)
{
    bool whole = !self->cut && !self->broken;
    for (int i = 0; i < 2; i++)
        coil_transport_resume_reading(self->ends[i]);
    disturb(self, 7);
    char rest[5000];
    ssize_t got = 1;
    COIL_TRY(coil_sleep(LONG));
    FUZZ_CHECK(!self->task || !whole || coil_future_done(self->task));
    FUZZ_CHECK(!self->writing || !whole || coil_future_done(self->writing));
    cancel(self, self->task);
    cancel(self, self->writing);
    COIL_TRY(coil_sleep(0));
    collect(self);
    FUZZ_CHECK(!self->task && !self->writing);
    while (whole && got > 0) {
        got = coil_stream_read(self->reader, rest, sizeof rest);
        FUZZ_CHECK(got >= 0 && self->taken + (size_t)got <= self->sent);
        FUZZ_CHECK(memcmp(rest, incoming + self->taken, (size_t)got) == 0);
        self->taken += (size_t)got;
    }
    FUZZ_CHECK(!whole || self->taken == self->sent);
    COIL_TRY(coil_sleep(LONG));
    FUZZ_CHECK(!whole || self->received == self->written);
    return 0;
}

COIL_ASYNC(drives, (struct session *, self))
{
    pick_link(self);
    self->limit = 1 + fuzz_size(self->input, LARGE);
    COIL_TRY(coil__stream_new(self->limit, &self->reader, &self->writer));
    COIL_TRY(coil_testing_connect(&self->link, &coil__stream_protocol, self->writer, &peer_protocol,
                                  self, self->ends));
    while (self->input->left > 0) {
        unsigned choice = fuzz_byte(self->input);
        COIL_TRY(act(self, choice));
        if (choice % 3 > 0)
            COIL_TRY(coil_sleep(0));
        collect(self);
    }
    COIL_TRY(come_to_the_end(self));
    coil_stream_close(self->writer);
    coil_transport_close(self->ends[1]);
    COIL_TRY(coil_sleep(LONG));
    if (self->cut) { /* a line without an end never tells that it has got rid of what was kept */
        coil_transport_abort(self->ends[0]);
        coil_transport_abort(self->ends[1]);
        self->broken = true;
        COIL_TRY(coil_sleep(LONG));
    }
    FUZZ_CHECK(self->lost);
    coil_unref(self->writer);
    coil_unref(self->reader);
    coil_unref(self->ends[0]);
    coil_unref(self->ends[1]);
    return 0;
}

/* Mostly what separators are made of. */
static void make_texts(void)
{
    static const char letters[] = "aaaabbb;xyz\r\n";
    uint32_t random = 1;
    for (size_t i = 0; i < SENT_MAX; i++) {
        random = random * 1664525 + 1013904223;
        bool dull = i % 4096 > 700; /* so that there are long stretches without any */
        incoming[i] = dull ? (char)('A' + i % 23) : letters[(random >> 16) % (sizeof letters - 1)];
        outgoing[i] = (char)(i * 7 + i / 251);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = { data, bytes };
    struct session self = { .input = &input };
    if (!incoming[0])
        make_texts();
    fuzz_run(drives(&self));
    return 0;
}
