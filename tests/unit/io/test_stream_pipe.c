/* Streams over the ends of pipes: how they carry, how each end learns of the other, and who closes what. */
#include "lib/steps.h"

#include <fcntl.h>
#include "io/stream_reader.h"
#include "lib/held.h"

#define EXPECT_PIPES(coro)                                                                         \
    do {                                                                                           \
        struct held before_ = held_now();                                                          \
        EXPECT_RUN_REAL(coro, 0);                                                                  \
        held_expect(before_, #coro);                                                               \
    } while (0)

/* A pipe with a stream at each end. */
static int open_both(coil_stream_reader **reader, coil_stream_writer **writer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int rc = coil_open_read_pipe(ends[0], NULL, reader);
    if (rc < 0)
        close(ends[0]);
    if (rc == 0) {
        rc = coil_open_write_pipe(ends[1], writer);
        if (rc < 0) {
            coil_unref(*reader);
            *reader = NULL;
        }
    }
    if (rc < 0)
        close(ends[1]);
    return rc;
}

COIL_ASYNC(writes_and_ends, (coil_stream_writer *, writer), (const char *, data), (size_t, bytes))
{
    COIL_TRY(coil_stream_write(writer, data, bytes));
    COIL_TRY(coil_stream_write_eof(writer)); /* closes it */
    EXPECT(coil_stream_is_closing(writer));
    return coil_stream_wait_closed(writer);
}

COIL_ASYNC0(carries_much)
{
    static char sent[1000001], *got;
    size_t bytes;
    char *line;
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    COIL_TRY(open_both(&reader, &writer));
    memset(sent, 'x', sizeof sent);
    memcpy(sent, "line\n", 5);
    coil_task *task = coil_create_task(writes_and_ends(writer, sent, sizeof sent));
    EXPECT_INT(coil_stream_readline(reader, &line), 5);
    EXPECT_STR(line, "line\n");
    COIL_TRY(coil_sleep(0.01)); /* nobody reads: the reader keeps no more than its limit allows */
    EXPECT(coil__buffer_count(&reader->buffer) <= 2 * COIL_STREAM_LIMIT + COIL__CHUNK_BYTES);
    EXPECT(!coil_future_done(task));
    EXPECT_INT(coil_stream_read_all(reader, SIZE_MAX, &got, &bytes), 0);
    EXPECT_INT(bytes, sizeof sent - 5);
    EXPECT(memcmp(got, sent + 5, bytes) == 0);
    EXPECT(coil_stream_at_eof(reader));
    coil_free(got);
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_unref(writer);
    coil_unref(reader);
    return 0;
}

TEST(pipe_carries_more_than_it_holds_and_ends)
{
    /* The slower side sets the pace, and the end comes after all the rest. */
    EXPECT_PIPES(carries_much());
}

COIL_ASYNC(reads_a_line, (coil_stream_reader *, reader))
{
    char *line;
    return (int)coil_stream_readline(reader, &line);
}

COIL_ASYNC0(loses_the_reader)
{
    static char much[300000];
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    COIL_TRY(open_both(&reader, &writer));
    coil_unref(reader);
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = coil_stream_write(writer, much, sizeof much);
    EXPECT(rc == -EPIPE || rc == -ECONNRESET);
    (void)coil_stream_wait_closed(writer);
    coil_stream_close(writer);
    coil_unref(writer);
    return 0;
}

COIL_ASYNC0(drops_a_reader_that_waits)
{
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    COIL_TRY(open_both(&reader, &writer));
    coil_task *task = coil_create_task(reads_a_line(reader));
    COIL_TRY(coil_sleep(0));
    coil_unref(reader);
    coil_stream_close(writer);
    EXPECT_INT(coil_await(task, NULL), COIL_ECLOSED);
    coil_unref(task);
    coil_unref(writer);
    return coil_sleep(0);
}

TEST(reader_that_is_released_closes_its_end)
{
    /* There is no other way to close it: the writer must hear of it, and no signal come. */
    EXPECT_PIPES(loses_the_reader());
    EXPECT_PIPES(drops_a_reader_that_waits());
}

COIL_ASYNC0(drops_an_open_writer)
{
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    char *line;
    COIL_TRY(open_both(&reader, &writer));
    COIL_TRY(coil_stream_write(writer, "last words", 10));
    coil_unref(writer);
    EXPECT_INT(coil_stream_readline(reader, &line), 10);
    EXPECT_INT(coil_stream_readline(reader, &line), 0);
    coil_unref(reader);
    return 0;
}

TEST(writer_that_is_dropped_open_is_closed_and_reported)
{
    int descriptors = held_now().descriptors;
    STEPS_RUN_(drops_an_open_writer(), 0, 1, NULL);
    EXPECT_INT(reports[COIL_EVENT_UNCLOSED_TRANSPORT], 1);
    EXPECT_INT(held_now().descriptors, descriptors);
}

COIL_ASYNC0(is_refused)
{
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    int regular = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT_INT(coil_open_read_pipe(regular, NULL, &reader), COIL_EINVAL);
    EXPECT_INT(coil_open_write_pipe(-1, &writer), -EBADF);
    EXPECT(!reader && !writer);
    close(regular); /* still ours */
    return 0;
}

TEST(what_is_no_pipe_is_refused)
{
    EXPECT_PIPES(is_refused());
}

COIL_ASYNC(session, (bool, ends_first))
{
    coil_stream_reader *reader = NULL;
    coil_stream_writer *writer = NULL;
    int rc = open_both(&reader, &writer);
    char *line;
    if (rc == 0)
        rc = coil_stream_write(writer, "one\ntwo", 7);
    if (rc == 0)
        rc = coil_stream_readline(reader, &line) < 0 ? coil_error_last() : 0;
    if (rc == 0 && ends_first) {
        rc = coil_stream_write_eof(writer);
        if (rc == 0)
            rc = coil_stream_readline(reader, &line) < 0 ? coil_error_last() : 0;
    }
    if (writer)
        coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    (void)coil_sleep(0); /* they are closed a turn later */
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
    int yes;
    EXPECT_INT(coil_testing_explore(make_session, NULL, NULL), 0);
    EXPECT_INT(coil_testing_explore(make_session, &yes, NULL), 0);
}

TESTS_MAIN(RUN(pipe_carries_more_than_it_holds_and_ends),
           RUN(reader_that_is_released_closes_its_end),
           RUN(writer_that_is_dropped_open_is_closed_and_reported), RUN(what_is_no_pipe_is_refused),
           RUN(session_survives_a_disturbance_at_each_point))
