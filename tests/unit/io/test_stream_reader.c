/* Stream readers, fed by hand: what each call waits for, what a cancellation leaves, and that hostile input
 * costs neither memory nor time. conformance/streams_* has what asyncio does, too. */
#include "lib/steps.h"

#include "io/stream_reader.h"

/* ---- helpers ------------------------------------------------------------------------------------ */

static int feed(coil_stream_reader *reader, const char *text)
{
    return coil_stream_feed_data(reader, text, strlen(text));
}

static coil_stream_reader *filled(const char *text)
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    EXPECT_INT(feed(reader, text), 0);
    return reader;
}

/* Reads a line and notes it. */
COIL_ASYNC(notes_line, (coil_stream_reader *, reader))
{
    char *line;
    ssize_t length = coil_stream_readline(reader, &line);
    if (length < 0)
        note("%s", coil_error_name((int)length));
    else
        note("'%.*s'", (int)strcspn(line, "\n"), line);
    return length < 0 ? (int)length : 0;
}

/* ---- views -------------------------------------------------------------------------------------- */

COIL_ASYNC0(reads_texts)
{
    coil_stream_reader *reader = filled("one\ntwo\nGET /;");
    char *line, *data;
    EXPECT_INT(coil_stream_readline(reader, &line), 4);
    EXPECT_STR(line, "one\n");
    line[3] = '\0'; /* lent, but ours to write to */
    EXPECT_INT(feed(reader, "more"), 0);
    EXPECT_STR(line, "one");
    EXPECT_INT(coil_stream_readuntil(reader, "\n", &line), 4);
    EXPECT_STR(line, "two\n");
    EXPECT_INT(coil_stream_readuntil(reader, ";", &data), 6);
    EXPECT_STR(data, "GET /;");
    EXPECT_INT(coil_stream_read_chunk(reader, &data), 4);
    EXPECT_STR(data, "more");
    coil_stream_feed_eof(reader);
    EXPECT_STR(data, "more");
    EXPECT_INT(coil_stream_read_chunk(reader, &data), 0);
    EXPECT_INT(coil_stream_readline(reader, &line), 0);
    EXPECT_STR(line, "");
    coil_unref(reader);
    return 0;
}

TEST(what_is_lent_is_a_text_until_the_next_call)
{
    /* Parsing a line as a C text is what everybody does first. */
    EXPECT_RUN(reads_texts(), 0);
}

COIL_ASYNC0(peeks_and_skips)
{
    coil_stream_reader *reader = filled("abcd");
    const char *data;
    char *chunk;
    EXPECT_INT(coil_stream_peek(reader, 0, &data), 4);
    EXPECT_STR(data, "abcd");
    EXPECT_INT(feed(reader, "ef"), 0);
    EXPECT_STR(data, "abcd");
    EXPECT_INT(coil_stream_peek(reader, 5, &data), 6);
    EXPECT_STR(data, "abcdef");
    EXPECT_INT(coil_stream_skip(reader, 7), COIL_EINVAL);
    EXPECT_INT(coil_stream_skip(reader, 2), 0);
    coil_stream_feed_eof(reader);
    EXPECT_INT(coil_stream_peek(reader, 100, &data), 4); /* the end: no more will come */
    EXPECT_STR(data, "cdef");
    EXPECT_INT(coil_stream_read_chunk(reader, &chunk), 4);
    EXPECT_INT(coil_stream_peek(reader, 1, &data), 0);
    EXPECT_STR(data, "");
    EXPECT_INT(coil_stream_skip(reader, 0), 0);
    coil_unref(reader);
    return 0;
}

TEST(peek_leaves_what_it_shows)
{
    EXPECT_RUN(peeks_and_skips(), 0);
}

/* ---- the end, and too much ---------------------------------------------------------------------- */

COIL_ASYNC0(reads_to_the_end)
{
    coil_stream_reader *reader = filled("0123456789");
    char *data, buffer[20];
    size_t bytes = 77;
    EXPECT_INT(coil_stream_read_all(reader, 9, &data, &bytes), COIL_EOVERRUN);
    EXPECT_INT(bytes, 77);
    coil_stream_feed_eof(reader);
    EXPECT_INT(feed(reader, "x"), COIL_ERUNTIME);
    EXPECT_INT(coil_stream_read_all(reader, 10, &data, &bytes), 0);
    EXPECT_INT(bytes, 10);
    EXPECT_STR(data, "0123456789");
    coil_free(data);
    EXPECT(coil_stream_at_eof(reader));
    EXPECT_INT(coil_stream_read_all(reader, 0, &data, &bytes), 0);
    EXPECT_INT(bytes, 0);
    coil_free(data);
    EXPECT_INT(coil_stream_readexactly(reader, buffer, 1), COIL_EINCOMPLETE);
    coil_unref(reader);
    return 0;
}

TEST(read_all_has_a_bound_and_loses_nothing_beyond_it)
{
    EXPECT_RUN(reads_to_the_end(), 0);
}

COIL_ASYNC0(tells_what_came)
{
    coil_stream_reader *reader = filled("half");
    char buffer[8], *data;
    coil_stream_feed_eof(reader);
    EXPECT_INT(coil_stream_readexactly(reader, buffer, 8), COIL_EINCOMPLETE);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EINCOMPLETE)), 4);
    EXPECT_INT(coil_stream_partial(reader, &data), 4);
    EXPECT_PTR(data, buffer);
    EXPECT_INT(coil_stream_read(reader, buffer, 8), 0);
    EXPECT_INT(coil_stream_partial(reader, &data), 0);
    coil_unref(reader);

    reader = coil_stream_reader_new(4);
    EXPECT_INT(feed(reader, "0123456789;x"), 0);
    EXPECT_INT(coil_stream_readuntil(reader, ";", &data), COIL_EOVERRUN);
    EXPECT_INT(coil_stream_overrun(reader), 10);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EOVERRUN)), 10);
    EXPECT_INT(coil_stream_skip(reader, coil_stream_overrun(reader)), 0);
    EXPECT_INT(coil_stream_readuntil(reader, ";", &data), 1); /* the caller has recovered */
    EXPECT_INT(coil_stream_overrun(reader), 0);
    coil_unref(reader);
    return 0;
}

TEST(caller_learns_what_came_and_what_is_too_long)
{
    EXPECT_RUN(tells_what_came(), 0);
}

/* ---- separators --------------------------------------------------------------------------------- */

static struct iovec bytes_of(const char *text)
{
    return (struct iovec){ (void *)(uintptr_t)text, strlen(text) };
}

/* The first match by looking at each place for each separator: the one that ends first. */
static size_t match_naively(const char *text, const struct iovec *separators, size_t count)
{
    for (size_t end = 1; end <= strlen(text); end++)
        for (size_t i = 0; i < count; i++)
            if (separators[i].iov_len <= end &&
                memcmp(text + end - separators[i].iov_len, separators[i].iov_base,
                       separators[i].iov_len) == 0)
                return end;
    return 0;
}

COIL_ASYNC0(compares_searches)
{
    static const char *const sets[][3] = { { "ab", "b", "aab" },
                                           { "aa", "aaa", "ba" },
                                           { "abab", "ba", "bb" },
                                           { "bbbbbb", "aaaa", "abba" } };
    unsigned state = 12345;
    for (int round = 0; round < 2000; round++) {
        char text[900];
        size_t length = (state = state * 1103515245 + 12345) >> 16;
        length = 1 + length % (round % 10 == 0 ? 890 : 20);
        bool sparse = round % 10 == 0; /* far beyond the first window */
        for (size_t i = 0; i < length; i++) {
            state = state * 1103515245 + 12345;
            text[i] = sparse && (state >> 16) % 300 != 0 ? 'c' : (state >> 20) & 1 ? 'a' : 'b';
        }
        text[length] = '\0';
        struct iovec separators[3];
        for (int i = 0; i < 3; i++)
            separators[i] = bytes_of(sets[round % 4][i]);
        size_t expected = match_naively(text, separators, 3);
        coil_stream_reader *reader = filled(text);
        coil_stream_feed_eof(reader);
        char *data;
        ssize_t got = coil_stream_readuntil_any(reader, separators, 3, &data);
        if (!EXPECT_INT(got, expected > 0 ? (ssize_t)expected : COIL_EINCOMPLETE))
            note("in %s", text);
        coil_unref(reader);
    }
    return 0;
}

TEST(separator_that_ends_first_wins_wherever_it_is)
{
    /* Against a search that looks everywhere. */
    EXPECT_RUN(compares_searches(), 0);
    EXPECT_NOTES("");
}

COIL_ASYNC(trickles, (coil_stream_reader *, reader), (size_t, bytes))
{
    for (size_t i = 0; i < bytes; i++) {
        EXPECT_INT(feed(reader, "x"), 0);
        COIL_TRY(coil_sleep(0));
    }
    EXPECT_INT(feed(reader, "\r\n"), 0);
    return 0;
}

COIL_ASYNC0(reads_a_trickle)
{
    enum {
        BYTES = 200000 /* beyond a chunk: the buffer grows on the way */
    };
    coil_stream_reader *reader = coil_stream_reader_new(BYTES);
    coil_task *task = coil_create_task(trickles(reader, BYTES));
    char *line;
    EXPECT_INT(coil_stream_readuntil(reader, "\r\n", &line), BYTES + 2);
    EXPECT_INT(strspn(line, "x"), BYTES);
    EXPECT_STR(line + BYTES, "\r\n");
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_unref(reader);
    return 0;
}

TEST(line_may_trickle_in_byte_by_byte)
{
    /* The slowest of peers: each byte is looked at, and moved, a few times at most. */
    EXPECT_RUN(reads_a_trickle(), 0);
}

/* ---- cancelling --------------------------------------------------------------------------------- */

COIL_ASYNC(read_all_to_note, (coil_stream_reader *, reader))
{
    char *data;
    size_t bytes;
    COIL_TRY(coil_stream_read_all(reader, 100, &data, &bytes));
    note("%s", data);
    coil_free(data);
    return 0;
}

COIL_ASYNC(exactly_to_note, (coil_stream_reader *, reader))
{
    char data[7] = "";
    COIL_TRY(coil_stream_readexactly(reader, data, 6));
    note("%s", data);
    return 0;
}

COIL_ASYNC(peek_to_note, (coil_stream_reader *, reader))
{
    const char *data;
    ssize_t bytes;
    COIL_TRY(bytes = coil_stream_peek(reader, 6, &data));
    note("%s", data);
    return coil_stream_skip(reader, (size_t)bytes);
}

typedef coil_coro *(*reading)(coil_stream_reader *reader);

COIL_ASYNC(cancels, (reading, make))
{
    /* Cancelled while it waits, and again when it was woken by bytes in the same turn. */
    coil_stream_reader *reader = filled("ab");
    for (int round = 0; round < 2; round++) {
        coil_task *task = coil_create_task(make(reader));
        COIL_TRY(coil_sleep(0));
        if (round == 1)
            EXPECT_INT(feed(reader, "cd"), 0);
        coil_task_cancel(task, NULL);
        EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
        coil_unref(task);
    }
    EXPECT_INT(feed(reader, "ef"), 0);
    coil_stream_feed_eof(reader);
    COIL_TRY(coil_await(make(reader), NULL));
    coil_unref(reader);
    return 0;
}

TEST(cancelled_read_loses_nothing)
{
    static const reading ways[] = { read_all_to_note, exactly_to_note, peek_to_note };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        EXPECT_RUN(cancels(ways[i]), 0);
        EXPECT_NOTES("abcdef");
    }
}

/* ---- who waits ---------------------------------------------------------------------------------- */

COIL_ASYNC0(wakes)
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    coil_task *task = coil_create_task(notes_line(reader));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_await(notes_line(reader), NULL), COIL_ERUNTIME);
    EXPECT_INT(feed(reader, "a\n"), 0);
    note("fed");
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);

    task = coil_create_task(notes_line(reader));
    COIL_TRY(coil_sleep(0));
    coil_raise(-EIO, "broken");
    EXPECT_INT(coil_stream_set_exception(reader, -EIO), 0);
    EXPECT_INT(coil_await(task, NULL), -EIO);
    EXPECT_STR(coil_error_message(coil_error_current(-EIO)), "broken");
    coil_unref(task);
    EXPECT_INT(coil_stream_exception(reader), -EIO);
    EXPECT_INT(coil_stream_set_exception(reader, 0), COIL_EINVAL);
    EXPECT_INT(coil_stream_set_exception(reader, COIL_ECANCELED), COIL_EINVAL);
    coil_unref(reader);
    return 0;
}

TEST(one_task_waits_and_is_woken_by_bytes_the_end_or_an_error)
{
    EXPECT_RUN(wakes(), 0);
    EXPECT_NOTES("COIL_ERUNTIME fed 'a' EIO");
}

TEST(reader_outside_tasks_and_loops)
{
    EXPECT(coil_stream_reader_new(0) == NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
}

static int read_in_callback(void *reader)
{
    char data[8], *line;
    EXPECT_INT(coil_stream_readline(reader, &line), 3); /* is there: need not wait */
    EXPECT_INT(coil_stream_read(reader, data, 8), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC0(reads_in_a_callback)
{
    coil_stream_reader *reader = filled("ab\n");
    COIL_TRY(coil_call_soon(NULL, read_in_callback, reader, NULL));
    COIL_TRY(coil_sleep(0));
    coil_unref(reader);
    return 0;
}

TEST(callback_may_read_what_is_there_but_not_wait)
{
    EXPECT_RUN(reads_in_a_callback(), 0);
}

static coil_stream_reader *left;

COIL_ASYNC(waits_for_ever, (coil_stream_reader *, reader))
{
    left = reader;
    int rc = coil_await(notes_line(reader), NULL);
    coil_unref(reader);
    left = NULL;
    return rc;
}

COIL_ASYNC0(stops_early)
{
    COIL_TRY(coil_spawn(waits_for_ever(filled("half"))));
    COIL_TRY(coil_sleep(0));
    EXPECT(left != NULL);
    return coil_exit(3);
}

TEST(loop_that_ends_takes_the_waiting_task_with_it)
{
    EXPECT_RUN_REPORTS(stops_early(), COIL_EEXIT, reports_total());
    EXPECT(left == NULL);
    notes_[0] = '\0';
}

/* ---- memory ------------------------------------------------------------------------------------- */

COIL_ASYNC0(reads_without_memory)
{
    for (long nth = 1;; nth++) {
        coil_testing_fail_alloc(nth);
        coil_stream_reader *reader = coil_stream_reader_new(0);
        char *data, *all;
        size_t bytes;
        int rc = reader ? feed(reader, "one\ntwo") : coil_error_last();
        ssize_t length = rc == 0 ? coil_stream_readline(reader, &data) : rc;
        if (rc == 0 && length > 0) {
            coil_stream_feed_eof(reader);
            rc = coil_stream_read_all(reader, 100, &all, &bytes);
            if (rc == 0)
                coil_free(all);
        }
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
        if (reader && rc == COIL_ENOMEM && length == 4) { /* and nothing is lost */
            EXPECT_INT(coil_stream_read_all(reader, 100, &all, &bytes), 0);
            EXPECT_STR(all, "two");
            coil_free(all);
        }
        coil_unref(reader);
        if (!failed)
            return 0;
    }
}

TEST(reader_survives_every_failed_allocation)
{
    EXPECT_RUN(reads_without_memory(), 0);
}

TESTS_MAIN(RUN(what_is_lent_is_a_text_until_the_next_call), RUN(peek_leaves_what_it_shows),
           RUN(read_all_has_a_bound_and_loses_nothing_beyond_it),
           RUN(caller_learns_what_came_and_what_is_too_long),
           RUN(separator_that_ends_first_wins_wherever_it_is),
           RUN(line_may_trickle_in_byte_by_byte), RUN(cancelled_read_loses_nothing),
           RUN(one_task_waits_and_is_woken_by_bytes_the_end_or_an_error),
           RUN(reader_outside_tasks_and_loops), RUN(callback_may_read_what_is_there_but_not_wait),
           RUN(loop_that_ends_takes_the_waiting_task_with_it),
           RUN(reader_survives_every_failed_allocation))
