/* A reader fed by hand against a model that keeps all bytes in a row: each call must give exactly what the model
 * says, and wait exactly while the model says so. The foreign bytes pick the feeding, its portions, the calls, their
 * limits and separators, cancellations, errors, and allocations that fail. */
#include "reading.h"

enum {
    FED_MAX = 400000, /* in one run, so that it stays short */
    LARGE = 90000,    /* more than a chunk of the loop's pool */
};

/* What must come of a reading. */
struct expected {
    bool waits;
    int64_t rc;
    size_t data_bytes, takes, partial_bytes, overrun;
};

/* What the waiting call was woken by. */
enum news {
    NONE,
    NEW,    /* its task has not run yet */
    CHANGE, /* bytes, or the end */
    BROKEN,
};

struct session {
    struct fuzz_input *input;
    coil_stream_reader *reader;
    /* The model. */
    char *fed;
    size_t fed_bytes, taken, limit;
    bool eof;
    int code;
    /* One call under way in a task of its own. */
    coil_task *task;
    struct reading reading;
    enum news news;
    bool cancelled, returned;
    /* What the last call has lent, and what must stay there. */
    const char *view;
    char *view_copy;
    size_t view_bytes;
};

/* ---- the model ---------------------------------------------------------------------------------- */

static size_t unread(const struct session *self)
{
    return self->fed_bytes - self->taken;
}

static struct expected fails(int code)
{
    return (struct expected){ .rc = code };
}

static struct expected gives(size_t bytes)
{
    return (struct expected){ .rc = (int64_t)bytes, .data_bytes = bytes, .takes = bytes };
}

static struct expected ends_early(size_t bytes)
{
    return (struct expected){ .rc = COIL_EINCOMPLETE, .takes = bytes, .partial_bytes = bytes };
}

/* Separators: found, or surely not in the first bytes, which may be too many. */
static struct expected expect_search(const struct session *self, const struct reading *reading)
{
    size_t there = unread(self);
    bool line = reading->kind == READ_LINE;
    struct reading_match match = reading_search(reading, self->fed + self->taken, there);
    size_t clear = match.found ? match.start : 0;
    if (!match.found && there >= match.longest)
        clear = there + 1 - match.longest;
    if (clear > self->limit && line)
        return (struct expected){ .rc = COIL_EINVAL, .takes = match.found ? match.end : there };
    if (clear > self->limit)
        return (struct expected){ .rc = COIL_EOVERRUN, .overrun = clear };
    if (match.found)
        return gives(match.end);
    if (self->eof)
        return line ? gives(there) : ends_early(there);
    return (struct expected){ .waits = true };
}

static struct expected expect_count(const struct session *self, const struct reading *reading)
{
    size_t there = unread(self), wanted = reading->bytes;
    struct expected expected = { .waits = true };
    switch (reading->kind) {
    case READ:
    case READ_CHUNK:
        if (there > 0 || self->eof)
            return gives(reading->kind == READ && wanted < there ? wanted : there);
        return expected;
    case READ_EXACTLY:
        if (there >= wanted) {
            expected = gives(wanted);
            expected.rc = 0;
        } else if (self->eof) {
            expected = ends_early(there);
        }
        return expected;
    case PEEK:
        if (there >= wanted || self->eof)
            return (struct expected){ .rc = (int64_t)there, .data_bytes = there };
        return expected;
    default:
        if (there > wanted)
            return fails(COIL_EOVERRUN);
        return self->eof ? (struct expected){ .data_bytes = there, .takes = there } : expected;
    }
}

/* begins: the call is yet to be made, so an error comes first. */
static struct expected expect(const struct session *self, const struct reading *reading,
                              bool begins)
{
    if (reading->kind == SKIP)
        return reading->bytes > unread(self) ? fails(COIL_EINVAL)
                                             : (struct expected){ .takes = reading->bytes };
    if (reading->kind == READ_UNTIL && reading->count == 0)
        return fails(COIL_EINVAL);
    if (begins && self->code < 0)
        return fails(self->code);
    if (begins && reading->bytes == 0 && (reading->kind == READ || reading->kind == READ_EXACTLY))
        return (struct expected){ .rc = 0 };
    return reading_searches(reading) ? expect_search(self, reading) : expect_count(self, reading);
}

/* ---- comparing ---------------------------------------------------------------------------------- */

static void forget_view(struct session *self)
{
    free(self->view_copy);
    self->view = self->view_copy = NULL;
}

static void check_view(const struct session *self)
{
    if (!self->view)
        return;
    FUZZ_CHECK(memcmp(self->view, self->view_copy, self->view_bytes) == 0);
    FUZZ_CHECK(self->view[self->view_bytes] == '\0');
}

/* It must outlast whatever is fed; and what its owner writes to it must harm nothing. */
static void keep_view(struct session *self, char *view, size_t bytes, bool scribble)
{
    forget_view(self);
    if (scribble)
        memset(view, '\n', bytes);
    self->view = view;
    self->view_bytes = bytes;
    self->view_copy = malloc(bytes + 1);
    FUZZ_CHECK(self->view_copy);
    memcpy(self->view_copy, view, bytes);
}

static void compare(struct session *self, struct reading *reading, struct expected expected)
{
    const char *from = self->fed + self->taken;
    FUZZ_CHECK(reading->rc == expected.rc);
    FUZZ_CHECK(reading->data_bytes == expected.data_bytes);
    FUZZ_CHECK(reading->partial_bytes == expected.partial_bytes);
    FUZZ_CHECK(reading->overrun == expected.overrun);
    if (expected.data_bytes > 0)
        FUZZ_CHECK(memcmp(reading->data, from, expected.data_bytes) == 0);
    if (expected.partial_bytes > 0)
        FUZZ_CHECK(memcmp(reading->partial, from, expected.partial_bytes) == 0);
    self->taken += expected.takes;
}

/* ---- calls --------------------------------------------------------------------------------------- */

COIL_ASYNC(reads, (struct session *, self))
{
    reading_run(&self->reading, self->reader);
    self->returned = true;
    return 0;
}

static void start(struct session *self)
{
    forget_view(self);
    self->reading = reading_pick(self->input, LARGE);
    self->returned = self->cancelled = false;
    self->news = NEW;
    self->task = coil_create_task(reads(self));
    FUZZ_CHECK(self->task);
}

/* The task has run: what came of it must be what the model says. */
static void finish(struct session *self, struct expected expected)
{
    struct reading *reading = &self->reading;
    bool never_ran = self->cancelled && self->news == NEW;
    FUZZ_CHECK(self->returned == !never_ran);
    if (self->returned) {
        compare(self, reading, expected);
        bool lent = reading->rc > 0 && (reading_searches(reading) || reading->kind == READ_CHUNK);
        if (lent)
            keep_view(self, reading->data, reading->data_bytes, reading->rc % 3 == 0);
        else if (reading->kind == PEEK && reading->rc > 0)
            keep_view(self, reading->data, reading->data_bytes, false);
    }
    reading_fini(reading);
    coil_unref(self->task);
    self->task = NULL;
}

/* Lets the task run as far as it can. */
static int settle(struct session *self)
{
    for (int turn = 0; turn < 3; turn++)
        COIL_TRY(coil_sleep(0));
    if (!self->task)
        return 0;
    struct expected expected = { .waits = true };
    if (self->cancelled)
        expected = fails(COIL_ECANCELED);
    else if (self->news == BROKEN)
        expected = fails(self->code);
    else if (self->news != NONE)
        expected = expect(self, &self->reading, self->news == NEW);
    if (expected.waits && self->news == CHANGE && self->code < 0)
        expected = fails(self->code);
    FUZZ_CHECK(coil_future_done(self->task) == !expected.waits);
    if (expected.waits)
        self->news = NONE;
    else
        finish(self, expected);
    return 0;
}

/* While a task waits, another one may take what is there, but not wait as well. */
static int read_beside(struct session *self)
{
    COIL_TRY(settle(self));
    struct reading reading = reading_pick(self->input, LARGE);
    struct expected expected = expect(self, &reading, true);
    if (!self->task || (reading_searches(&self->reading) && expected.takes > 0))
        return 0;
    reading_run(&reading, self->reader);
    compare(self, &reading, expected.waits ? fails(COIL_ERUNTIME) : expected);
    reading_fini(&reading);
    return 0;
}

static void tell(struct session *self, enum news news)
{
    if (self->task && self->news == NONE)
        self->news = news;
}

static void cancel(struct session *self)
{
    if (self->task && !coil_future_done(self->task)) {
        self->cancelled = true;
        FUZZ_CHECK(coil_task_cancel(self->task, NULL));
    }
}

/* ---- feeding ------------------------------------------------------------------------------------ */

static void feed(struct session *self, const char *data, size_t bytes)
{
    bool starved = fuzz_byte(self->input) == 0xff;
    coil_testing_fail_alloc(starved ? 1 : 0);
    int rc = coil_stream_feed_data(self->reader, data, bytes);
    starved = starved && coil_testing_alloc_failed();
    coil_testing_fail_alloc(0);
    if (rc == COIL_ENOMEM) {
        FUZZ_CHECK(starved);
        return;
    }
    FUZZ_CHECK(rc == (self->eof ? COIL_ERUNTIME : 0));
    if (rc < 0 || bytes == 0)
        return;
    memcpy(self->fed + self->fed_bytes, data, bytes);
    self->fed_bytes += bytes;
    tell(self, CHANGE);
}

/* A handful of the foreign bytes themselves. */
static void feed_few(struct session *self)
{
    size_t bytes = fuzz_byte(self->input) % 20;
    if (bytes > self->input->left)
        bytes = self->input->left;
    const char *data = (const char *)self->input->at;
    self->input->at += bytes;
    self->input->left -= bytes;
    if (self->fed_bytes + bytes <= FED_MAX)
        feed(self, data, bytes);
}

/* One byte again and again, and a few of separators behind it. */
static void feed_many(struct session *self)
{
    static const char tails[][5] = { "", "\n", "\r\n", "aba", "\r\r\n" };
    size_t bytes = fuzz_size(self->input, LARGE);
    const char *tail = tails[fuzz_byte(self->input) % 5];
    size_t length = strlen(tail);
    if (self->fed_bytes + bytes + length > FED_MAX)
        return;
    char *data = malloc(bytes + length + 1);
    FUZZ_CHECK(data);
    memset(data, (int)fuzz_byte(self->input), bytes);
    memcpy(data + bytes, tail, length);
    feed(self, data, bytes + length);
    free(data);
}

static void break_stream(struct session *self)
{
    static const int codes[] = { -ECONNRESET, COIL_ETIMEDOUT, COIL_ECANCELED, 0 };
    int code = codes[fuzz_byte(self->input) % 4];
    bool good = code < 0 && code != COIL_ECANCELED;
    FUZZ_CHECK(coil_stream_set_exception(self->reader, code) == (good ? 0 : COIL_EINVAL));
    if (!good)
        return;
    self->code = code;
    tell(self, BROKEN);
}

/* ---- the run ------------------------------------------------------------------------------------ */

static int act(struct session *self, unsigned choice)
{
    switch (choice) {
    case 0:
        coil_stream_feed_eof(self->reader);
        self->eof = true;
        tell(self, CHANGE);
        return 0;
    case 1:
        break_stream(self);
        return 0;
    case 2:
        cancel(self);
        return 0;
    case 3:
        return read_beside(self);
    case 4:
    case 5:
        feed_many(self);
        return 0;
    case 6:
    case 7:
    case 8:
        feed_few(self);
        return 0;
    default:
        if (!self->task)
            start(self);
        return 0;
    }
}

static void check_state(struct session *self)
{
    check_view(self);
    FUZZ_CHECK(coil_stream_at_eof(self->reader) == (self->eof && unread(self) == 0));
    FUZZ_CHECK(coil_stream_exception(self->reader) == self->code);
}

COIL_ASYNC(drives, (struct session *, self))
{
    self->limit = 1 + fuzz_size(self->input, LARGE);
    self->reader = coil_stream_reader_new(self->limit);
    FUZZ_CHECK(self->reader);
    while (self->input->left > 0) {
        unsigned choice = fuzz_byte(self->input);
        COIL_TRY(act(self, choice % 14));
        if (choice < 0xc0)
            COIL_TRY(settle(self));
        check_state(self);
    }
    cancel(self);
    COIL_TRY(settle(self));
    FUZZ_CHECK(!self->task);
    coil_unref(self->reader);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input input = { data, bytes };
    struct session self = { .input = &input, .fed = malloc(FED_MAX + 1) };
    FUZZ_CHECK(self.fed);
    fuzz_run(drives(&self));
    forget_view(&self);
    free(self.fed);
    return 0;
}
