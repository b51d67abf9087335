/* The buffer of a stream reader: views that stay where they are, memory that comes and goes. A view that moved
 * or lost its zero byte would be somebody else's data in a program that did nothing wrong. */
#include "test.h"

#include <coil/testing.h>
#include "io/buffer.h"

static struct coil__buffer buffer;

static bool add(const char *data, size_t bytes)
{
    size_t room;
    char *space = coil__buffer_space(&buffer, bytes, &room);
    if (!space)
        return false;
    EXPECT(room >= bytes);
    memcpy(space, data, bytes);
    coil__buffer_added(&buffer, bytes);
    return true;
}

static bool add_text(const char *text)
{
    return add(text, strlen(text));
}

static void expect_unread(const char *text)
{
    char *unread = coil__buffer_unread(&buffer);
    size_t bytes = coil__buffer_count(&buffer);
    EXPECT_INT(bytes, strlen(text));
    if (bytes > 0)
        EXPECT(memcmp(unread, text, bytes) == 0);
}

static void fini(void)
{
    coil__buffer_fini(&buffer);
    memset(&buffer, 0, sizeof buffer);
}

TEST(view_ends_with_a_zero_and_gives_the_byte_back)
{
    EXPECT(add_text("onetwo"));
    (void)coil__buffer_unread(&buffer);
    char *view = coil__buffer_lend(&buffer, 3);
    EXPECT_STR(view, "one");
    expect_unread("two");
    EXPECT_STR(coil__buffer_lend(&buffer, 3), "two");
    expect_unread("");
    EXPECT_STR(coil__buffer_lend(&buffer, 0), "");
    fini();
}

TEST(view_stays_while_more_comes_in)
{
    /* With something behind it; at the very end, where its zero byte must not be overwritten; and when the
     * memory is full. */
    EXPECT(add_text("onetwo"));
    (void)coil__buffer_unread(&buffer);
    char *view = coil__buffer_lend(&buffer, 3);
    EXPECT(add_text("three"));
    EXPECT_STR(view, "one");
    expect_unread("twothree");

    view = coil__buffer_lend(&buffer, 8);
    EXPECT(add_text("four"));
    EXPECT(add_text("five"));
    EXPECT_STR(view, "twothree");
    expect_unread("fourfive");

    static char much[COIL__CHUNK_BYTES];
    memset(much, 'x', sizeof much);
    view = coil__buffer_lend(&buffer, 4);
    EXPECT(add(much, sizeof much));
    EXPECT(add(much, sizeof much));
    EXPECT_STR(view, "four");
    char *unread = coil__buffer_unread(&buffer);
    EXPECT_INT(coil__buffer_count(&buffer), 4 + 2 * sizeof much);
    EXPECT(memcmp(unread, "fivex", 5) == 0);
    EXPECT_INT(unread[4 + 2 * sizeof much - 1], 'x');
    fini();
}

TEST(what_is_shown_stays_too_and_is_still_unread)
{
    EXPECT(add_text("half"));
    (void)coil__buffer_unread(&buffer);
    char *view = coil__buffer_show(&buffer);
    EXPECT(add_text(" a line"));
    EXPECT_STR(view, "half");
    EXPECT(add_text(" more"));
    EXPECT_STR(view, "half");
    expect_unread("half a line more");
    fini();
}

TEST(empty_buffer_holds_nothing_and_a_little_rest_holds_little)
{
    /* Ten thousand idle connections must not hold ten thousand chunks. */
    size_t before = coil_testing_alloc_count();
    EXPECT(add_text("0123456789"));
    EXPECT_INT(buffer.room, COIL__CHUNK_BYTES);
    (void)coil__buffer_unread(&buffer);
    coil__buffer_rest(&buffer);
    EXPECT(buffer.room < 1024);
    expect_unread("0123456789");
    EXPECT(add_text("more"));
    EXPECT(buffer.room < 1024);
    expect_unread("0123456789more");
    (void)coil__buffer_lend(&buffer, 14);
    (void)coil__buffer_unread(&buffer);
    coil__buffer_rest(&buffer);
    EXPECT(buffer.memory == NULL);
    EXPECT_INT(coil_testing_alloc_count(), before);
    fini();
}

TEST(large_memory_is_not_kept_for_a_small_rest)
{
    static char much[5 * COIL__CHUNK_BYTES];
    EXPECT(add(much, sizeof much));
    (void)coil__buffer_unread(&buffer);
    (void)coil__buffer_lend(&buffer, sizeof much - 6000);
    (void)coil__buffer_unread(&buffer);
    coil__buffer_rest(&buffer);
    EXPECT_INT(coil__buffer_count(&buffer), 6000);
    EXPECT(buffer.room < COIL__CHUNK_BYTES);
    fini();
}

TEST(bytes_are_put_back_in_front)
{
    EXPECT(add_text("abcdef"));
    (void)coil__buffer_unread(&buffer);
    buffer.start += 4;
    EXPECT(coil__buffer_put_back(&buffer, "CD", 2));
    expect_unread("CDef");
    EXPECT(coil__buffer_put_back(&buffer, "1234567890", 10));
    expect_unread("1234567890CDef");
    fini();
    EXPECT(coil__buffer_put_back(&buffer, "alone", 5));
    expect_unread("alone");
    fini();
}

TEST(everything_is_handed_over_with_a_zero_behind_it)
{
    static const size_t sizes[] = { 0, 5, COIL__CHUNK_BYTES, 3 * COIL__CHUNK_BYTES };
    static char much[3 * COIL__CHUNK_BYTES];
    memset(much, 'y', sizeof much);
    size_t before = coil_testing_alloc_count();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] > 0)
            EXPECT(add(much, sizes[i]));
        (void)coil__buffer_unread(&buffer);
        char *data = coil__buffer_take(&buffer);
        REQUIRE(data);
        EXPECT_INT(strlen(data), sizes[i]);
        EXPECT_INT(coil__buffer_count(&buffer), 0);
        coil_free(data);
    }
    fini();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

/* Everything that allocates, with a view that lasts. False if an allocation failed. */
static bool use_everything(void)
{
    static char much[COIL__CHUNK_BYTES];
    memset(much, 'z', sizeof much);
    if (!add_text("abc"))
        return false;
    (void)coil__buffer_unread(&buffer);
    char *view = coil__buffer_lend(&buffer, 2);
    bool added = add(much, sizeof much);
    EXPECT_STR(view, "ab");
    (void)coil__buffer_unread(&buffer);
    EXPECT_INT(coil__buffer_count(&buffer), added ? 1 + sizeof much : 1);
    buffer.start = buffer.end - 1;
    coil__buffer_rest(&buffer);
    EXPECT_INT(coil__buffer_count(&buffer), 1);
    if (!added || !coil__buffer_put_back(&buffer, much, 1000))
        return false;
    char *data = coil__buffer_take(&buffer);
    if (!data)
        return false;
    coil_free(data);
    return true;
}

TEST(buffer_survives_every_failed_allocation)
{
    size_t before = coil_testing_alloc_count();
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        coil_testing_fail_alloc(nth);
        bool done = use_everything();
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(done || failed);
        fini();
        EXPECT_INT(coil_testing_alloc_count(), before);
    }
}

TESTS_MAIN(RUN(view_ends_with_a_zero_and_gives_the_byte_back), RUN(view_stays_while_more_comes_in),
           RUN(what_is_shown_stays_too_and_is_still_unread),
           RUN(empty_buffer_holds_nothing_and_a_little_rest_holds_little),
           RUN(large_memory_is_not_kept_for_a_small_rest), RUN(bytes_are_put_back_in_front),
           RUN(everything_is_handed_over_with_a_zero_behind_it),
           RUN(buffer_survives_every_failed_allocation))
