/* The network in memory, where a line ends or is cut: it must not hang where a real one would not, nor end where a
 * real one would hang. */
#include "lib/steps.h"

#include "io/stream_writer.h"

enum {
    NOT_LOST = 1
};

struct peer {
    coil_transport *transport;
    bool ended;
    int lost;
};

static int ended(void *self)
{
    ((struct peer *)self)->ended = true;
    return 1;
}

static int lost(void *self, int code)
{
    ((struct peer *)self)->lost = code;
    return 0;
}

static const coil_protocol notes_end = {
    .size = sizeof(coil_protocol),
    .name = "notes",
    .eof_received = ended,
    .connection_lost = lost,
};

static void close_all(coil_transport *ends[2])
{
    for (int i = 0; i < 2; i++) {
        coil_transport_abort(ends[i]);
        coil_unref(ends[i]);
    }
}

COIL_ASYNC0(pulls_before_the_end)
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_transport *ends[2];
    struct peer peer = { .lost = NOT_LOST };
    char bytes[600];
    link.delay_min = 1;
    link.delay_max = 2;
    link.room = 4;
    COIL_TRY(coil__stream_new(0, &reader, &writer));
    COIL_TRY(coil_testing_connect(&link, &coil__stream_protocol, writer, &notes_end, &peer, ends));
    EXPECT_INT(coil_transport_write(ends[1], "hello there", 11), 0);
    EXPECT_INT(coil_transport_write_eof(ends[1]), 0);
    EXPECT_INT(coil_stream_readexactly(reader, bytes, 11), 0);
    COIL_TRY(coil_sleep(0.5));
    EXPECT_INT(coil_stream_read(reader, bytes, sizeof bytes), 0);
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    close_all(ends);
    return coil_sleep(1000);
}

/* What is still under way when all that has come was pulled has nobody else to tell of it. */
TEST(what_comes_after_a_pull_is_heard_of)
{
    EXPECT_RUN(pulls_before_the_end(), 0);
}

static int connect_peers(coil_testing_link *link, struct peer peers[2], coil_transport *ends[2])
{
    peers[0] = peers[1] = (struct peer){ .lost = NOT_LOST };
    return coil_testing_connect(link, &notes_end, &peers[0], &notes_end, &peers[1], ends);
}

COIL_ASYNC0(leaves_a_writer_behind)
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_transport *ends[2];
    struct peer peers[2];
    link.room = 4;
    COIL_TRY(connect_peers(&link, peers, ends));
    coil_transport_pause_reading(ends[0]);
    EXPECT_INT(coil_transport_write(ends[1], "hello there", 11), 0);
    COIL_TRY(coil_sleep(1));
    coil_transport_close(ends[0]);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(peers[0].lost, 0);
    EXPECT_INT(peers[1].lost, -ECONNRESET);
    close_all(ends);
    return coil_sleep(1);
}

/* Who waits for room must hear that there will be none. */
TEST(a_peer_that_goes_resets_who_waits_to_send)
{
    EXPECT_RUN(leaves_a_writer_behind(), 0);
}

COIL_ASYNC0(ends_behind_the_cut)
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_transport *ends[2];
    struct peer peers[2];
    link.cut_after = 4;
    COIL_TRY(connect_peers(&link, peers, ends));
    EXPECT_INT(coil_transport_write(ends[1], "hello", 5), 0);
    EXPECT_INT(coil_transport_write_eof(ends[1]), 0);
    COIL_TRY(coil_sleep(1));
    EXPECT(!peers[0].ended);
    close_all(ends);
    return coil_sleep(1);
}

/* An end that overtakes lost bytes would look like a complete message. */
TEST(behind_a_cut_no_end_arrives_either)
{
    EXPECT_RUN(ends_behind_the_cut(), 0);
}

TESTS_MAIN(RUN(what_comes_after_a_pull_is_heard_of), RUN(a_peer_that_goes_resets_who_waits_to_send),
           RUN(behind_a_cut_no_end_arrives_either))
