/* Stream readers where something goes wrong: what they say afterwards, and two tasks at one reader. */
#include "lib/steps.h"

#include "io/stream_reader.h"

static int feed(coil_stream_reader *reader, const char *text)
{
    return coil_stream_feed_data(reader, text, strlen(text));
}

COIL_ASYNC(waits_for_separator, (coil_stream_reader *, reader))
{
    char *data;
    return (int)coil_stream_readuntil(reader, ";", &data);
}

COIL_ASYNC0(is_cancelled_in_search)
{
    coil_stream_reader *reader = coil_stream_reader_new(0);
    EXPECT_INT(feed(reader, "abc"), 0);
    coil_task *task = coil_create_task(waits_for_separator(reader));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_cancel(task, NULL));
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_stream_overrun(reader), 0);
    coil_unref(task);
    coil_unref(reader);
    return 0;
}

/* Whoever asks after a failure must not take it for another one. */
TEST(a_cancelled_search_is_no_overrun)
{
    EXPECT_RUN(is_cancelled_in_search(), 0);
}

COIL_ASYNC0(ends_early)
{
    char *data;
    coil_stream_reader *reader = coil_stream_reader_new(0);
    EXPECT_INT(feed(reader, "abc"), 0);
    coil_stream_feed_eof(reader);
    EXPECT_INT(coil_stream_readuntil(reader, ";", &data), COIL_EINCOMPLETE);
    EXPECT_INT(coil_stream_partial(reader, &data), 3);
    EXPECT_INT(coil_stream_readuntil_any(reader, NULL, 0, &data), COIL_EINVAL);
    EXPECT_INT(coil_stream_partial(reader, &data), 0);
    EXPECT_INT(coil_stream_readuntil(reader, ";", &data), COIL_EINCOMPLETE);
    EXPECT_INT(coil_stream_skip(reader, 0), 0);
    EXPECT_INT(coil_stream_partial(reader, &data), 0);
    EXPECT_PTR(data, NULL);
    coil_unref(reader);
    return 0;
}

/* What is lent ends with the next call, whichever it is: a pointer to it would dangle. */
TEST(every_call_forgets_the_part_before_an_early_end)
{
    EXPECT_RUN(ends_early(), 0);
}

COIL_ASYNC(wants_five, (coil_stream_reader *, reader))
{
    char five[5];
    COIL_TRY(coil_stream_readexactly(reader, five, sizeof five));
    note("%.5s", five);
    return 0;
}

COIL_ASYNC0(reads_beside)
{
    char *line;
    coil_stream_reader *reader = coil_stream_reader_new(0);
    EXPECT_INT(feed(reader, "a\nbc"), 0);
    coil_task *task = coil_create_task(wants_five(reader));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_stream_readline(reader, &line), 2);
    EXPECT_STR(line, "a\n");
    EXPECT_INT(feed(reader, "d"), 0);
    COIL_TRY(coil_sleep(0)); /* woken, and not content */
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(feed(reader, "ef"), 0);
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_unref(reader);
    return 0;
}

/* As in asyncio a read that need not wait is possible while another task waits. The zero byte behind its view lies
 * where the other's next byte is. */
TEST(a_view_for_one_task_changes_nothing_for_the_one_that_waits)
{
    EXPECT_RUN(reads_beside(), 0);
    EXPECT_NOTES("bcdef");
}

TESTS_MAIN(RUN(a_cancelled_search_is_no_overrun),
           RUN(every_call_forgets_the_part_before_an_early_end),
           RUN(a_view_for_one_task_changes_nothing_for_the_one_that_waits))
