/* Streams over sockets: bytes both ways, ends, resets, slow peers, cancellations, and who lets go of what. Each
 * test counts the library's memory, and the descriptors. */
#include "lib/steps.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include "io/stream_reader.h"
#include "io/stream_writer.h"
#include "lib/held.h"

/* ---- connections -------------------------------------------------------------------------------- */

/* Both ends of a connection, as streams. */
struct ends {
    coil_stream_reader *reader[2];
    coil_stream_writer *writer[2];
};

static int unix_pair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno
                                                                                        : 0;
}

/* A connection over the loopback interface, made before any loop looks at it. */
static int tcp_pair(int pair[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[1] = -1;
    if (bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(pair[0], (struct sockaddr *)&address, length) == 0)
        pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int rc = pair[1] < 0 ? -errno : 0;
    close(listener);
    if (rc < 0)
        close(pair[0]);
    return rc;
}

static int open_ends(const int pair[2], struct ends *ends, size_t limit)
{
    coil_stream_options options = COIL_STREAM_OPTIONS_INIT;
    options.limit = limit;
    memset(ends, 0, sizeof *ends);
    for (int i = 0; i < 2; i++) {
        int rc = coil_open_connection_sock(pair[i], &options, &ends->reader[i], &ends->writer[i]);
        if (rc < 0) {
            for (int j = i; j < 2; j++)
                close(pair[j]);
            return rc;
        }
    }
    return 0;
}

/* An end that is plain: descriptor pair[1] stays the test's. */
static int open_end(const int pair[2], coil_stream_reader **reader, coil_stream_writer **writer)
{
    int rc = coil_open_connection_sock(pair[0], NULL, reader, writer);
    if (rc < 0) {
        close(pair[0]);
        close(pair[1]);
    }
    return rc;
}

static void release(coil_stream_reader *reader, coil_stream_writer *writer)
{
    if (writer)
        coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
}

static void release_ends(struct ends *ends)
{
    for (int i = 0; i < 2; i++)
        release(ends->reader[i], ends->writer[i]);
}

/* Closing resets the connection. */
static void reset(int fd)
{
    struct linger linger = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    coil_sock_close(fd);
}

#define EXPECT_STREAMS(coro)                                                                       \
    do {                                                                                           \
        int descriptors_ = held_now().descriptors;                                                 \
        EXPECT_RUN_REAL(coro, 0);                                                                  \
        EXPECT_INT(held_now().descriptors, descriptors_);                                          \
    } while (0)

/* ---- bytes both ways ---------------------------------------------------------------------------- */

COIL_ASYNC(echoes, (coil_stream_reader *, reader), (coil_stream_writer *, writer))
{
    char *data;
    ssize_t bytes;
    int rc = 0;
    while (rc == 0 && (bytes = coil_stream_read_chunk(reader, &data)) != 0)
        rc = bytes < 0 ? (int)bytes : coil_stream_write(writer, data, (size_t)bytes);
    coil_stream_close(writer);
    return rc;
}

static char pattern_at(size_t i)
{
    return (char)(i * 7 + i / 251);
}

COIL_ASYNC(sends_pattern, (coil_stream_writer *, writer), (size_t, bytes))
{
    char *data = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        data[i] = pattern_at(i);
    int rc = coil_stream_write(writer, data, bytes);
    memset(data, 0, bytes); /* ours again */
    free(data);
    if (rc == 0)
        rc = coil_stream_write_eof(writer);
    return rc;
}

static bool has_pattern(const char *data, size_t from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != pattern_at(from + i))
            return false;
    return true;
}

enum {
    MUCH = 700 * 1000
};

COIL_ASYNC(sends_through_an_echo, (bool, tcp))
{
    int pair[2];
    struct ends ends;
    COIL_TRY(tcp ? tcp_pair(pair) : unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    coil_task *echo = coil_create_task(echoes(ends.reader[1], ends.writer[1]));
    coil_task *sender = coil_create_task(sends_pattern(ends.writer[0], MUCH));
    static char exactly[MUCH];
    char *data;
    size_t bytes, done = 0;
    EXPECT_INT(coil_stream_readexactly(ends.reader[0], exactly, 5), 0);
    EXPECT_INT(coil_stream_readexactly(ends.reader[0], exactly + 5, 300000), 0);
    EXPECT(coil_stream_read(ends.reader[0], exactly + 300005, 100) > 0);
    done = 300005;
    EXPECT(has_pattern(exactly, 0, done));
    EXPECT_INT(coil_stream_read_all(ends.reader[0], SIZE_MAX, &data, &bytes), 0);
    EXPECT(bytes <= MUCH - 300006 && bytes >= MUCH - 300105);
    EXPECT(has_pattern(data, MUCH - bytes, bytes));
    coil_free(data);
    COIL_TRY(coil_await(sender, NULL));
    COIL_TRY(coil_await(echo, NULL));
    coil_unref(sender);
    coil_unref(echo);
    coil_stream_close(ends.writer[0]);
    EXPECT_INT(coil_stream_wait_closed(ends.writer[0]), 0);
    EXPECT_INT(coil_stream_wait_closed(ends.writer[1]), 0);
    release_ends(&ends);
    return 0;
}

TEST(much_goes_through_an_echo_unchanged)
{
    /* Lent writes, direct reads, chunks, half-close: each byte must be in its place. */
    EXPECT_STREAMS(sends_through_an_echo(true));
    EXPECT_STREAMS(sends_through_an_echo(false));
}

COIL_ASYNC0(half_closes)
{
    int pair[2];
    struct ends ends;
    char *line;
    COIL_TRY(tcp_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    /* One way... */
    COIL_TRY(coil_stream_write(ends.writer[0], "question", 8));
    EXPECT(coil_stream_can_write_eof(ends.writer[0]));
    COIL_TRY(coil_stream_write_eof(ends.writer[0]));
    EXPECT_INT(coil_stream_write(ends.writer[0], "x", 1), COIL_ERUNTIME);
    EXPECT_INT(coil_stream_readline(ends.reader[1], &line), 8);
    EXPECT_STR(line, "question");
    EXPECT(coil_stream_at_eof(ends.reader[1]));
    EXPECT(!coil_stream_at_eof(ends.reader[0]));
    /* ...and after that the other. */
    COIL_TRY(coil_stream_write(ends.writer[1], "answer\n", 7));
    EXPECT_INT(coil_stream_readline(ends.reader[0], &line), 7);
    COIL_TRY(coil_stream_write_eof(ends.writer[1]));
    EXPECT_INT(coil_stream_readline(ends.reader[0], &line), 0);
    EXPECT(!coil_stream_is_closing(ends.writer[0]));
    coil_stream_close(ends.writer[0]);
    coil_stream_close(ends.writer[1]);
    EXPECT_INT(coil_stream_wait_closed(ends.writer[0]), 0);
    EXPECT_INT(coil_stream_wait_closed(ends.writer[1]), 0);
    release_ends(&ends);
    return 0;
}

TEST(each_side_can_end_alone)
{
    EXPECT_STREAMS(half_closes());
}

/* ---- resets ------------------------------------------------------------------------------------- */

enum await_point {
    AT_READ,
    AT_EXACTLY,
    AT_EXACTLY_MUCH,
    AT_UNTIL,
    AT_PEEK,
    AT_ALL,
    AT_WRITE,
    AT_DRAIN,
    AT_CLOSED,
    AWAIT_POINTS
};

/* Waits at this point, for something that never comes. */
static int wait_at(enum await_point point, coil_stream_reader *reader, coil_stream_writer *writer)
{
    static char much[4000000];
    const char *shown;
    char *data;
    size_t bytes;
    int rc = 0;
    switch (point) {
    case AT_READ:
        while ((rc = (int)coil_stream_read(reader, much, 1000)) > 0)
            continue;
        return rc;
    case AT_EXACTLY:
        return coil_stream_readexactly(reader, much, 1000);
    case AT_EXACTLY_MUCH:
        return coil_stream_readexactly(reader, much, sizeof much);
    case AT_UNTIL:
        return (int)coil_stream_readuntil(reader, ";", &data);
    case AT_PEEK:
        return (int)coil_stream_peek(reader, 1000, &shown);
    case AT_ALL:
        rc = coil_stream_read_all(reader, SIZE_MAX, &data, &bytes);
        EXPECT(rc < 0);
        return rc;
    case AT_WRITE:
        return coil_stream_write(writer, much, sizeof much);
    case AT_DRAIN:
        COIL_TRY(coil_stream_write_nowait(writer, much, sizeof much));
        return coil_stream_drain(writer);
    default:
        return coil_stream_wait_closed(writer);
    }
}

COIL_ASYNC(waits_at, (int, point), (coil_stream_reader *, reader), (coil_stream_writer *, writer))
{
    return wait_at((enum await_point)point, reader, writer);
}

COIL_ASYNC(is_reset_at, (int, point))
{
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    COIL_TRY(tcp_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    EXPECT(write(pair[1], "abc", 3) == 3);
    coil_task *task = coil_create_task(waits_at(point, reader, writer));
    COIL_TRY(coil_sleep(0.01));
    EXPECT(!coil_future_done(task));
    reset(pair[1]);
    EXPECT_INT(coil_await(task, NULL), -ECONNRESET);
    coil_unref(task);
    /* And from now on, to everybody. */
    char byte;
    EXPECT_INT(coil_stream_read(reader, &byte, 1), -ECONNRESET);
    EXPECT_INT(coil_stream_exception(reader), -ECONNRESET);
    EXPECT_INT(coil_stream_write(writer, "x", 1), -ECONNRESET);
    EXPECT_INT(coil_stream_drain(writer), -ECONNRESET);
    EXPECT_INT(coil_stream_wait_closed(writer), -ECONNRESET);
    release(reader, writer);
    return 0;
}

TEST(reset_reaches_every_await)
{
    for (int point = 0; point < AWAIT_POINTS; point++)
        EXPECT_STREAMS(is_reset_at(point));
}

COIL_ASYNC0(writes_to_nobody)
{
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    coil_sock_close(pair[1]);
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = coil_stream_write(writer, "x", 1);
    EXPECT(rc == -EPIPE || rc == -ECONNRESET);
    EXPECT_INT(coil_stream_wait_closed(writer), -EPIPE);
    release(reader, writer);
    return 0;
}

TEST(writing_to_a_peer_that_is_gone_fails_soon)
{
    EXPECT_STREAMS(writes_to_nobody());
}

COIL_ASYNC0(reads_what_a_dead_peer_left)
{
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    static char much[150000];
    char *data;
    size_t bytes;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    EXPECT(write(pair[1], much, sizeof much) == (ssize_t)sizeof much);
    coil_sock_close(pair[1]);
    COIL_TRY(coil_sleep(0.01)); /* nobody reads, and the peer is gone */
    EXPECT_INT(coil_stream_read_all(reader, SIZE_MAX, &data, &bytes), 0);
    EXPECT_INT(bytes, sizeof much);
    coil_free(data);
    release(reader, writer);
    return 0;
}

TEST(what_a_peer_sent_before_it_went_is_read)
{
    EXPECT_STREAMS(reads_what_a_dead_peer_left());
}

/* ---- slow peers --------------------------------------------------------------------------------- */

COIL_ASYNC(writes_forever, (coil_stream_writer *, writer), (const char *, data), (size_t, bytes))
{
    for (;;)
        COIL_TRY(coil_stream_write(writer, data, bytes));
}

COIL_ASYNC0(writes_to_a_peer_that_never_reads)
{
    enum {
        WRITERS = 4
    };
    static char data[300000];
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_task *tasks[WRITERS];
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    size_t blocks = steps_blocks();
    for (int i = 0; i < WRITERS; i++)
        tasks[i] = coil_create_task(writes_forever(writer, data, sizeof data));
    COIL_TRY(coil_sleep(0.02));
    EXPECT(steps_blocks() < blocks + 4 * WRITERS); /* tasks, and next to nothing else */
    EXPECT(coil_get_running_loop()->buffered < 64 * 1024);
    for (int i = 0; i < WRITERS; i++)
        EXPECT(!coil_future_done(tasks[i]));
    coil_transport_abort(coil_stream_transport(writer));
    for (int i = 0; i < WRITERS; i++) {
        EXPECT_INT(coil_await(tasks[i], NULL), -ECONNRESET);
        coil_unref(tasks[i]);
    }
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    release(reader, writer);
    coil_sock_close(pair[1]);
    return 0;
}

TEST(peer_that_never_reads_costs_no_memory)
{
    EXPECT_STREAMS(writes_to_a_peer_that_never_reads());
}

COIL_ASYNC0(cancels_writes)
{
    enum {
        MESSAGE = 400000,
        MESSAGES = 3
    };
    int pair[2];
    struct ends ends;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    char *message = malloc(MESSAGE);
    for (size_t i = 0; i < MESSAGE; i++)
        message[i] = pattern_at(i);
    for (int i = 0; i < MESSAGES; i++) {
        coil_task *task = coil_create_task(writes_forever(ends.writer[0], message, MESSAGE));
        COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, NULL);
        EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
        coil_unref(task);
    }
    free(message); /* nobody reads there any more */
    coil_stream_close(ends.writer[0]);
    char *data;
    size_t bytes;
    EXPECT_INT(coil_stream_read_all(ends.reader[1], SIZE_MAX, &data, &bytes), 0);
    EXPECT_INT(bytes, MESSAGES * MESSAGE);
    for (size_t i = 0; i < bytes / MESSAGE; i++)
        EXPECT(has_pattern(data + i * MESSAGE, 0, MESSAGE));
    coil_free(data);
    release_ends(&ends);
    return 0;
}

TEST(cancelled_write_is_sent_whole)
{
    /* Half a message would make nonsense of all that follows. */
    EXPECT_STREAMS(cancels_writes());
}

COIL_ASYNC0(cancels_reads)
{
    int pair[2];
    struct ends ends;
    static char all[MUCH], part[MUCH];
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    for (size_t i = 0; i < MUCH; i++)
        all[i] = pattern_at(i);
    for (size_t sent = 0; sent < 100000; sent += 20000) {
        coil_task *task = coil_create_task(waits_at((sent / 20000) % 2 ? AT_EXACTLY_MUCH : AT_UNTIL,
                                                    ends.reader[1], ends.writer[1]));
        COIL_TRY(coil_stream_write(ends.writer[0], all + sent, 20000));
        for (int i = 0; i < 4; i++)
            COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, NULL);
        int rc = coil_await(task, NULL);
        EXPECT(rc == COIL_ECANCELED || rc == COIL_EOVERRUN);
        coil_unref(task);
    }
    EXPECT_INT(coil_stream_readexactly(ends.reader[1], part, 100000), 0);
    EXPECT(has_pattern(part, 0, 100000));
    release_ends(&ends);
    return 0;
}

TEST(cancelled_reads_of_much_lose_nothing)
{
    /* They receive into the caller's memory, and have to give it back. */
    EXPECT_STREAMS(cancels_reads());
}

/* ---- memory ------------------------------------------------------------------------------------- */

COIL_ASYNC0(idles)
{
    int pair[2];
    struct ends ends;
    char *line;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    coil_task *task = coil_create_task(waits_at(AT_UNTIL, ends.reader[1], ends.writer[1]));
    COIL_TRY(coil_stream_write(ends.writer[0], "half", 4));
    COIL_TRY(coil_sleep(0.01));
    EXPECT(ends.reader[1]->buffer.room < 1024); /* a little rest */
    COIL_TRY(coil_stream_write(ends.writer[0], ";", 1));
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    task = coil_create_task(waits_at(AT_UNTIL, ends.reader[1], ends.writer[1]));
    COIL_TRY(coil_sleep(0));
    EXPECT(ends.reader[1]->buffer.memory == NULL); /* nothing at all */
    coil_stream_close(ends.writer[0]);
    EXPECT_INT(coil_await(task, NULL), COIL_EINCOMPLETE);
    coil_unref(task);
    EXPECT_INT(coil_stream_readline(ends.reader[1], &line), 0);
    release_ends(&ends);
    return 0;
}

TEST(idle_connection_holds_no_buffer)
{
    EXPECT_STREAMS(idles());
}

COIL_ASYNC0(counts_what_readers_hold)
{
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    const coil_loop *loop = coil_get_running_loop();
    static char much[200000];
    char *line;
    const char *shown;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    EXPECT_INT(loop->buffered, 0);
    EXPECT(write(pair[1], "line\nrest", 9) == 9);
    COIL_TRY(coil_stream_readline(reader, &line));
    EXPECT_INT(loop->buffered, COIL__CHUNK_BYTES);
    coil_task *task = coil_create_task(waits_at(AT_UNTIL, reader, writer));
    COIL_TRY(coil_sleep(0.01));
    EXPECT(loop->buffered > 0 && loop->buffered < 1024); /* it waits with the rest */
    EXPECT(write(pair[1], much, 100000) == 100000);
    EXPECT(write(pair[1], ";", 1) == 1);
    EXPECT_INT(coil_await(task, NULL), COIL_EOVERRUN);
    coil_unref(task);
    COIL_TRY(coil_stream_peek(reader, 100005, &shown));
    EXPECT(loop->buffered >= 100005);
    EXPECT_INT(coil_stream_readexactly(reader, much, 100005), 0);
    task = coil_create_task(waits_at(AT_READ, reader, writer));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(loop->buffered, 0);
    coil_sock_close(pair[1]);
    EXPECT_INT(coil_await(task, NULL), 0);
    coil_unref(task);
    release(reader, writer);
    return 0;
}

COIL_ASYNC(feeds_over_budget, (size_t, budget), (size_t, expected))
{
    int pair[2];
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    static char bytes[1000];
    coil_loop_set_buffer_budget(NULL, budget);
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_end(pair, &reader, &writer));
    size_t fed = 0;
    while (coil_transport_is_reading(coil_stream_transport(writer))) {
        COIL_TRY(coil_stream_feed_data(reader, bytes, sizeof bytes));
        fed += sizeof bytes;
    }
    EXPECT_INT(fed, expected);
    EXPECT(coil_get_running_loop()->buffered >= fed);
    release(reader, writer);
    coil_sock_close(pair[1]);
    (void)coil_sleep(0);
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    return 0;
}

TEST(what_readers_hold_is_in_the_budget)
{
    /* A peer that sends faster than it is read costs no less memory than one that does not read. */
    EXPECT_STREAMS(counts_what_readers_hold());
    EXPECT_STREAMS(feeds_over_budget(SIZE_MAX, 132000));
    EXPECT_STREAMS(feeds_over_budget(1, 66000));
}

/* ---- letting go --------------------------------------------------------------------------------- */

COIL_ASYNC0(drops_an_open_writer)
{
    int pair[2];
    struct ends ends;
    char *line;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    COIL_TRY(coil_stream_write(ends.writer[0], "last words", 10));
    coil_unref(ends.writer[0]);
    EXPECT_INT(coil_stream_readline(ends.reader[1], &line), 10);
    EXPECT_STR(line, "last words");
    EXPECT_INT(coil_stream_readline(ends.reader[0], &line), 0); /* its reader is still good */
    coil_unref(ends.reader[0]);
    coil_unref(ends.reader[1]);
    coil_stream_close(ends.writer[1]); /* its reader has been dropped */
    EXPECT_INT(coil_stream_wait_closed(ends.writer[1]), 0);
    coil_unref(ends.writer[1]);
    return 0;
}

TEST(writer_that_is_dropped_open_is_closed_and_reported)
{
    int descriptors = held_now().descriptors;
    STEPS_RUN_(drops_an_open_writer(), 0, 1, &dropped);
    EXPECT_INT(reports[COIL_EVENT_UNCLOSED_TRANSPORT], 1);
    EXPECT_INT(held_now().descriptors, descriptors);
}

COIL_ASYNC(owns_an_echo, (coil_stream_reader *, reader), (coil_stream_writer *, writer))
{
    int rc = coil_await(echoes(reader, writer), NULL);
    release(reader, writer);
    return rc;
}

COIL_ASYNC0(leaves_everything_open)
{
    int pair[2];
    struct ends ends;
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    COIL_TRY(coil_spawn(owns_an_echo(ends.reader[1], ends.writer[1])));
    COIL_TRY(coil_sleep(0));
    release(ends.reader[0], ends.writer[0]); /* closed, but nobody waits for it */
    return 0;
}

COIL_ASYNC0(releases_under_a_task)
{
    int pair[2];
    struct ends ends;
    coil_task *tasks[3];
    static char much[1000000];
    COIL_TRY(unix_pair(pair));
    COIL_TRY(open_ends(pair, &ends, 0));
    tasks[0] = coil_create_task(waits_at(AT_UNTIL, ends.reader[1], ends.writer[1]));
    tasks[1] = coil_create_task(writes_forever(ends.writer[0], much, sizeof much));
    tasks[2] = coil_create_task(waits_at(AT_CLOSED, ends.reader[0], ends.writer[0]));
    COIL_TRY(coil_sleep(0));
    coil_stream_close(ends.writer[1]);
    coil_unref(ends.writer[1]);
    coil_unref(ends.reader[1]);
    coil_unref(ends.writer[0]);
    coil_unref(ends.reader[0]);
    EXPECT_INT(coil_await(tasks[0], NULL), COIL_ECLOSED);
    EXPECT(coil_await(tasks[1], NULL) < 0);
    (void)coil_await(tasks[2], NULL);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    return 0;
}

TEST(streams_released_under_a_task_that_waits_end_its_wait)
{
    /* A handler that returns while a task it has started still reads: wrong, but no reason to crash. */
    EXPECT_STREAMS(releases_under_a_task());
}

TEST(loop_that_ends_gives_everything_back)
{
    int descriptors = held_now().descriptors;
    STEPS_RUN_(leaves_everything_open(), 0, reports_total(), &dropped);
    EXPECT_INT(held_now().descriptors, descriptors);
}

COIL_ASYNC0(opens_what_cannot_be)
{
    int pipes[2];
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    EXPECT_INT(coil_open_connection_sock(-1, NULL, &reader, &writer), -EBADF);
    EXPECT(pipe(pipes) == 0);
    EXPECT_INT(coil_open_connection_sock(pipes[0], NULL, &reader, &writer), -ENOTSOCK);
    EXPECT(!reader && !writer);
    close(pipes[0]); /* still ours */
    close(pipes[1]);
    return 0;
}

TEST(what_is_no_socket_is_refused)
{
    EXPECT_STREAMS(opens_what_cannot_be());
}

/* ---- everywhere --------------------------------------------------------------------------------- */

/* A conversation with all kinds of awaits; closes what it opened, whatever happens. */
static int talk(struct ends *ends)
{
    char *line, four[4];
    const char *shown;
    COIL_TRY(coil_stream_write(ends->writer[0], "one\ntwo!3456", 12));
    COIL_TRY(coil_stream_readline(ends->reader[0], &line));
    EXPECT_STR(line, "one\n");
    COIL_TRY(coil_stream_readexactly(ends->reader[0], four, 4));
    COIL_TRY(coil_stream_peek(ends->reader[0], 4, &shown));
    EXPECT_STR(shown, "3456");
    COIL_TRY(coil_stream_write_eof(ends->writer[0]));
    char *data;
    size_t bytes;
    COIL_TRY(coil_stream_read_all(ends->reader[0], 100, &data, &bytes));
    EXPECT_STR(data, "3456");
    coil_free(data);
    coil_stream_close(ends->writer[0]);
    return coil_stream_wait_closed(ends->writer[0]);
}

COIL_ASYNC(session, (bool, tcp))
{
    int pair[2];
    struct ends ends;
    COIL_TRY(tcp ? tcp_pair(pair) : unix_pair(pair));
    int rc = open_ends(pair, &ends, 0);
    coil_task *echo = NULL;
    if (rc == 0) {
        echo = coil_create_task(echoes(ends.reader[1], ends.writer[1]));
        rc = echo ? talk(&ends) : coil_error_last();
    }
    if (echo) {
        coil_task_cancel(echo, NULL);
        int end = coil_wait(&echo, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
        rc = rc == 0 && end < 0 ? end : rc;
        int code;
        (void)coil_future_exception(echo, &code, NULL);
        coil_unref(echo);
    }
    release_ends(&ends);
    (void)coil_sleep(0); /* the connections are closed a turn later */
    (void)coil_sleep(0);
    return rc;
}

static coil_coro *make_session(void *arg)
{
    return session(arg != NULL);
}

TEST(session_survives_a_disturbance_at_each_point)
{
    /* Cancelled at each await, before and after it was over; timed out; out of memory; its loop ended. */
    EXPECT_INT(coil_testing_explore(make_session, NULL, NULL), 0);
    EXPECT_INT(coil_testing_explore(make_session, &dropped, NULL), 0);
}

TESTS_MAIN(RUN(much_goes_through_an_echo_unchanged), RUN(each_side_can_end_alone),
           RUN(reset_reaches_every_await), RUN(writing_to_a_peer_that_is_gone_fails_soon),
           RUN(what_a_peer_sent_before_it_went_is_read), RUN(peer_that_never_reads_costs_no_memory),
           RUN(cancelled_write_is_sent_whole), RUN(cancelled_reads_of_much_lose_nothing),
           RUN(idle_connection_holds_no_buffer), RUN(what_readers_hold_is_in_the_budget),
           RUN(writer_that_is_dropped_open_is_closed_and_reported),
           RUN(streams_released_under_a_task_that_waits_end_its_wait),
           RUN(loop_that_ends_gives_everything_back), RUN(what_is_no_socket_is_refused),
           RUN(session_survives_a_disturbance_at_each_point))
