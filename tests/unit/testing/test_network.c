/* The network in memory: what arrives, when, and what goes wrong on order. */
#include "lib/steps.h"

#include <coil/testing.h>

enum {
    LARGE = 300000,
    NOT_LOST = 1,
};

struct end {
    coil_transport *transport;
    size_t received, portions;
    unsigned sum;
    double last_at;
    bool ended, keeps_half, paused, answers;
    int lost;
};

static void add(struct end *end, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    end->received += bytes;
    end->portions++;
    for (size_t i = 0; i < bytes; i++)
        end->sum = end->sum * 31 + at[i];
}

static int made(void *self, coil_transport *transport)
{
    ((struct end *)self)->transport = transport;
    return 0;
}

static int received(void *self, const void *data, size_t bytes)
{
    struct end *end = self;
    add(end, data, bytes);
    end->last_at = coil_loop_time(NULL);
    return end->answers ? coil_transport_write(end->transport, data, bytes) : 0;
}

static int ended(void *self)
{
    struct end *end = self;
    end->ended = true;
    return end->keeps_half;
}

static int lost(void *self, int code)
{
    ((struct end *)self)->lost = code;
    return 0;
}

static int paused(void *self)
{
    ((struct end *)self)->paused = true;
    return 0;
}

static int resumed(void *self)
{
    ((struct end *)self)->paused = false;
    return 0;
}

static const coil_protocol protocol = {
    .size = sizeof(coil_protocol),
    .name = "notes",
    .connection_made = made,
    .data_received = received,
    .eof_received = ended,
    .connection_lost = lost,
    .pause_writing = paused,
    .resume_writing = resumed,
};

struct two {
    struct end left, right;
    coil_transport *ends[2];
};

static int connect_two(struct two *two, const coil_testing_link *link)
{
    two->left = two->right = (struct end){ .lost = NOT_LOST };
    return coil_testing_connect(link, &protocol, &two->left, &protocol, &two->right, two->ends);
}

static int end_two(struct two *two)
{
    coil_transport_close(two->ends[0]);
    coil_transport_close(two->ends[1]);
    int rc = coil_sleep(1000);
    EXPECT(two->left.lost <= 0);
    EXPECT(two->right.lost <= 0);
    coil_unref(two->ends[0]);
    coil_unref(two->ends[1]);
    return rc;
}

COIL_ASYNC0(talks)
{
    struct two two;
    COIL_TRY(connect_two(&two, NULL));
    two.right.answers = true;
    EXPECT_INT(coil_transport_write(two.ends[0], "hello", 5), 0);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.received, 5);
    EXPECT_INT(two.left.portions, 1);
    coil_transport_close(two.ends[0]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.lost, 0);
    EXPECT(two.right.ended);
    EXPECT_INT(two.right.lost, 0);
    return end_two(&two);
}

/* Without settings it is a plain connection. */
TEST(a_line_without_settings_is_a_plain_connection)
{
    EXPECT_RUN(talks(), 0);
}

COIL_ASYNC(arrives_late, (coil_testing_link *, link), (struct end *, seen))
{
    struct two two;
    static unsigned char data[1000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    COIL_TRY(connect_two(&two, link));
    double began = coil_loop_time(NULL);
    EXPECT_INT(coil_transport_write(two.ends[0], data, sizeof data), 0);
    COIL_TRY(coil_sleep(100));
    EXPECT_INT(two.right.received, sizeof data);
    two.right.last_at -= began;
    *seen = two.right;
    return end_two(&two);
}

/* A stream may be cut anywhere, and programs that forget it must fail in tests; and in the same way again. */
TEST(a_seed_decides_portions_and_delays)
{
    struct end first, again, other;
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.seed = 42;
    link.delay_min = 0.5;
    link.delay_max = 2;
    link.piece_max = 10;
    EXPECT_RUN(arrives_late(&link, &first), 0);
    EXPECT_RUN(arrives_late(&link, &again), 0);
    link.seed = 43;
    EXPECT_RUN(arrives_late(&link, &other), 0);
    EXPECT(first.portions >= 100 && first.portions <= 1000);
    EXPECT(first.last_at >= 0.5 && first.last_at <= 2);
    EXPECT_INT(again.portions, first.portions);
    EXPECT_DOUBLE(again.last_at, first.last_at);
    EXPECT_INT(other.sum, first.sum);
    EXPECT(other.portions != first.portions || other.last_at > first.last_at ||
           other.last_at < first.last_at);
}

COIL_ASYNC0(fills_the_line)
{
    struct two two;
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.room = 1000;
    COIL_TRY(connect_two(&two, &link));
    static char data[LARGE];
    coil_transport_pause_reading(two.ends[1]);
    EXPECT_INT(coil_transport_write(two.ends[0], data, LARGE), 0);
    EXPECT_INT(coil_transport_get_write_buffer_size(two.ends[0]), LARGE - 1000);
    EXPECT(two.left.paused);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.right.received, 0);
    coil_transport_resume_reading(two.ends[1]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.right.received, LARGE);
    EXPECT(!two.left.paused);
    return end_two(&two);
}

/* Flow control is tested against a line that is full. */
TEST(a_full_line_makes_the_writer_keep_the_rest)
{
    EXPECT_RUN(fills_the_line(), 0);
}

COIL_ASYNC0(is_cut)
{
    struct two two;
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.cut_after = 10;
    COIL_TRY(connect_two(&two, &link));
    EXPECT_INT(coil_transport_write(two.ends[0], "0123456789abcdef", 16), 0);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.right.received, 10);
    EXPECT_INT(coil_transport_write(two.ends[1], "still", 5), 0);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.received, 5);
    coil_testing_cut(two.ends[0]);
    EXPECT_INT(coil_transport_write(two.ends[1], "gone", 4), 0);
    coil_transport_close(two.ends[0]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.received, 5);
    EXPECT(!two.right.ended);
    EXPECT_INT(two.right.lost, NOT_LOST);
    return end_two(&two);
}

/* A peer whose power fails says nothing. */
TEST(behind_a_cut_nothing_arrives_and_nobody_is_told)
{
    EXPECT_RUN(is_cut(), 0);
}

COIL_ASYNC0(is_reset)
{
    struct two two;
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.reset_after = 10;
    link.delay_max = 1;
    COIL_TRY(connect_two(&two, &link));
    EXPECT_INT(coil_transport_write(two.ends[0], "0123456789abcdef", 16), 0);
    COIL_TRY(coil_sleep(10));
    EXPECT_INT(two.left.lost, -ECONNRESET);
    EXPECT_INT(two.right.lost, -ECONNRESET);
    return end_two(&two);
}

COIL_ASYNC0(is_reset_on_order)
{
    struct two two;
    COIL_TRY(connect_two(&two, NULL));
    EXPECT_INT(coil_transport_write(two.ends[0], "unread", 6), 0);
    coil_testing_reset(two.ends[1]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.lost, -ECONNRESET);
    EXPECT_INT(two.right.lost, -ECONNRESET);
    coil_testing_reset(two.ends[1]); /* harmless */
    return end_two(&two);
}

/* Middleboxes do this. */
TEST(a_reset_reaches_both_ends)
{
    EXPECT_RUN(is_reset(), 0);
    EXPECT_RUN(is_reset_on_order(), 0);
}

COIL_ASYNC0(parts_in_halves)
{
    struct two two;
    COIL_TRY(connect_two(&two, NULL));
    two.right.keeps_half = true;
    EXPECT_INT(coil_transport_write(two.ends[0], "question", 8), 0);
    EXPECT_INT(coil_transport_write_eof(two.ends[0]), 0);
    COIL_TRY(coil_sleep(1));
    EXPECT(two.right.ended);
    EXPECT_INT(two.right.lost, NOT_LOST);
    EXPECT_INT(coil_transport_write(two.ends[1], "answer", 6), 0);
    coil_transport_close(two.ends[1]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.left.received, 6);
    EXPECT_INT(two.left.lost, 0);
    EXPECT_INT(two.right.lost, 0);
    return end_two(&two);
}

/* Protocols that answer after the end of the question. */
TEST(one_side_can_end_before_the_other)
{
    EXPECT_RUN(parts_in_halves(), 0);
}

COIL_ASYNC0(writes_to_nobody)
{
    struct two two;
    COIL_TRY(connect_two(&two, NULL));
    two.left.keeps_half = true;
    coil_transport_abort(two.ends[1]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(two.right.lost, 0);
    EXPECT_INT(two.left.lost, -ECONNRESET);
    return end_two(&two);
}

/* As with sockets: an abort is a reset to the other side. */
TEST(an_abort_is_a_reset_to_the_peer)
{
    EXPECT_RUN(writes_to_nobody(), 0);
}

COIL_ASYNC0(refuses_nonsense)
{
    coil_transport *ends[2];
    struct end end = { .lost = NOT_LOST };
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.delay_min = 1;
    EXPECT_INT(coil_testing_connect(&link, &protocol, &end, &protocol, &end, ends), COIL_EINVAL);
    return 0;
}

/* A test with a wrong setting should say so. */
TEST(impossible_delays_are_refused)
{
    EXPECT_RUN(refuses_nonsense(), 0);
}

COIL_ASYNC0(is_disturbed)
{
    static struct two two; /* told of the loss after we have returned */
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    link.room = 4;
    link.delay_max = 1;
    COIL_TRY(connect_two(&two, &link));
    int rc = coil_transport_write(two.ends[0], "hello world", 11);
    if (rc == 0)
        rc = coil_sleep(100);
    coil_transport_close(two.ends[0]);
    if (rc == 0)
        rc = coil_sleep(100);
    coil_transport_abort(two.ends[0]);
    coil_transport_abort(two.ends[1]);
    coil_unref(two.ends[0]);
    coil_unref(two.ends[1]);
    return rc;
}

static coil_coro *explored(void *arg)
{
    (void)arg;
    return is_disturbed();
}

/* A tool for finding leaks must have none. */
TEST(connecting_leaks_nothing_wherever_it_is_disturbed)
{
    EXPECT_INT(coil_testing_explore(explored, NULL, NULL), 0);
}

TESTS_MAIN(RUN(a_line_without_settings_is_a_plain_connection),
           RUN(a_seed_decides_portions_and_delays), RUN(a_full_line_makes_the_writer_keep_the_rest),
           RUN(behind_a_cut_nothing_arrives_and_nobody_is_told), RUN(a_reset_reaches_both_ends),
           RUN(one_side_can_end_before_the_other), RUN(an_abort_is_a_reset_to_the_peer),
           RUN(impossible_delays_are_refused),
           RUN(connecting_leaks_nothing_wherever_it_is_disturbed))
