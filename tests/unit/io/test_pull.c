/* What streams are built on: reading by pull, and writes that lend their memory. */
#include "lib/held.h"
#include "lib/noter.h"

#include "io/transport.h"
#include "tasks/task.h"

static char megabyte[1 << 20];

/* A noter that pulls, for a task that waits in an event. */
struct puller {
    struct noter noter;
    coil_event readable;
};

static void puller_readable(void *arg)
{
    struct puller *self = arg;
    note("readable");
    coil_event_set(&self->readable);
}

static int starts_pulling(struct noter *noter, const char *call)
{
    if (strcmp(call, "made") == 0)
        coil__transport_pull_start(noter->transport, puller_readable);
    return 0;
}

static void puller_init(struct puller *self)
{
    noter_init(&self->noter, "");
    self->noter.act = starts_pulling;
    coil_event_init(&self->readable);
}

static int connect_noter(struct noter *self, int fd)
{
    return coil_create_connection_sock(&noter_protocol, self, fd, NULL, NULL);
}

static int64_t pull(struct puller *self, char *data, size_t bytes)
{
    int64_t got = coil__transport_pull(self->noter.transport, data, bytes);
    if (got >= 0)
        data[got] = '\0';
    return got;
}

static int wait_readable(struct puller *self)
{
    coil_event_clear(&self->readable);
    coil__transport_pull_wait(self->noter.transport, true);
    return coil_event_wait(&self->readable);
}

/* ---- pull ---------------------------------------------------------------------------------------- */

COIL_ASYNC(pulls, (struct puller *, self))
{
    char data[16];
    int ends[2];
    noter_pair(ends, false);
    COIL_TRY(connect_noter(&self->noter, ends[0]));
    EXPECT_INT(pull(self, data, 8), -EAGAIN);
    EXPECT(send(ends[1], "hello there", 11, 0) == 11);
    COIL_TRY(wait_readable(self));
    EXPECT_INT(pull(self, data, 5), 5);
    EXPECT_STR(data, "hello");
    coil_transport_pause_reading(self->noter.transport);
    EXPECT_INT(pull(self, data, 5), -EAGAIN);
    coil_transport_resume_reading(self->noter.transport);
    EXPECT_INT(pull(self, data, 10), 6);
    EXPECT_STR(data, " there");

    EXPECT(send(ends[1], "more", 4, 0) == 4);
    COIL_TRY(coil_sleep(0.005)); /* nobody waits: nobody is called, and the loop does not spin */
    EXPECT_INT(pull(self, data, 10), 4);

    shutdown(ends[1], SHUT_WR);
    COIL_TRY(wait_readable(self));
    EXPECT_INT(pull(self, data, 10), 0);
    EXPECT_INT(pull(self, data, 10), 0);
    COIL_TRY(coil_transport_write(self->noter.transport, "answer", 6)); /* still open */
    coil_transport_close(self->noter.transport);
    EXPECT_INT(pull(self, data, 10), -EAGAIN);
    EXPECT_INT(noter_drain(ends[1]), 6);
    coil_sock_close(ends[1]);
    return noter_wait(&self->noter);
}

TEST(bytes_are_taken_when_they_are_asked_for)
{
    // an idle connection needs no buffer, and the bytes go where they are wanted
    struct puller self;
    puller_init(&self);
    EXPECT_RUN_REAL(pulls(&self), 0);
    EXPECT_NOTES("made readable readable lost(0) destroyed");
    coil_event_fini(&self.readable);
}

COIL_ASYNC(is_left, (struct puller *, self))
{
    int ends[2];
    noter_pair(ends, false);
    COIL_TRY(connect_noter(&self->noter, ends[0]));
    COIL_TRY(coil_transport_write(self->noter.transport, "unread", 6));
    EXPECT(send(ends[1], "last words", 10, 0) == 10);
    close(ends[1]); /* with unread data: a reset */
    return noter_wait(&self->noter);
}

TEST(a_peer_that_goes_is_noticed_although_nobody_reads)
{
    // a server that computes for its client wants to know; in asyncio it is always reading
    struct puller self;
    puller_init(&self);
    EXPECT_RUN_REAL(is_left(&self), 0);
    char expected[80];
    snprintf(expected, sizeof expected, "made lost(%d) destroyed", -ECONNRESET);
    if (strstr(notes_,
               "data")) /* whether the kernel still hands out what came before, is its affair */
        snprintf(expected, sizeof expected, "made data(last words) lost(%d) destroyed",
                 -ECONNRESET);
    EXPECT_NOTES(expected);
    coil_event_fini(&self.readable);
}

COIL_ASYNC(is_left_politely, (struct puller *, self))
{
    int ends[2];
    noter_pair(ends, false);
    EXPECT(send(ends[1], "last words", 10, 0) == 10);
    close(ends[1]); /* before connection_made even */
    COIL_TRY(connect_noter(&self->noter, ends[0]));
    return noter_wait(&self->noter);
}

TEST(what_a_peer_left_behind_is_pushed)
{
    struct puller self;
    puller_init(&self);
    EXPECT_RUN_REAL(is_left_politely(&self), 0);
    EXPECT_NOTES("made data(last words) eof lost(0) destroyed");
    coil_event_fini(&self.readable);
}

COIL_ASYNC(fails_while_it_pulls, (struct puller *, self))
{
    char data[16];
    int ends[2];
    noter_pair(ends, false);
    COIL_TRY(connect_noter(&self->noter, ends[0]));
    COIL_TRY(coil_transport_write(self->noter.transport, "unread", 6));
    coil_event_clear(&self->readable);
    coil__transport_pull_wait(self->noter.transport, true);
    close(ends[1]);
    COIL_TRY(coil_event_wait(&self->readable));
    EXPECT_INT(pull(self, data, 10), -ECONNRESET);
    EXPECT(self->noter.transport->lost_error != NULL); /* for connection_lost */
    EXPECT_INT(pull(self, data, 10), -EAGAIN);
    return noter_wait(&self->noter);
}

TEST(a_failure_met_by_pull_ends_the_connection)
{
    struct puller self;
    puller_init(&self);
    EXPECT_RUN_REAL(fails_while_it_pulls(&self), 0);
    char expected[80];
    snprintf(expected, sizeof expected, "made readable lost(%d) destroyed", -ECONNRESET);
    EXPECT_NOTES(expected);
    coil_event_fini(&self.readable);
}

/* ---- lent writes --------------------------------------------------------------------------------- */

struct lender {
    struct coil__lent_write write;
    coil_event done;
    int code;
};

static void lender_done(struct coil__lent_write *write, int code)
{
    struct lender *self = COIL__CONTAINER(write, struct lender, write);
    note("done(%d)", code);
    self->code = code;
    coil_event_set(&self->done);
}

static void lender_init(struct lender *self, const void *data, size_t bytes)
{
    memset(self, 0, sizeof *self);
    self->write.piece.data = data;
    self->write.piece.bytes = bytes;
    self->write.done = lender_done;
    coil_event_init(&self->done);
}

COIL_ASYNC(lends, (struct noter *, self))
{
    int ends[2];
    struct lender small, large, taken_back;
    noter_pair(ends, true);
    COIL_TRY(connect_noter(self, ends[0]));
    lender_init(&small, megabyte, 20000);
    EXPECT_INT(coil__transport_write_lent(self->transport, &small.write), 0); /* copied */
    lender_init(&large, megabyte, sizeof megabyte);
    EXPECT_INT(coil__transport_write_lent(self->transport, &large.write), 1);
    EXPECT(coil_get_running_loop()->buffered < 30000);
    lender_init(&taken_back, megabyte, 300000);
    EXPECT_INT(coil__transport_write_lent(self->transport, &taken_back.write), 1);
    EXPECT_INT(coil__transport_withdraw(self->transport, &taken_back.write), 0);
    memset(&taken_back, 0xff, sizeof taken_back); /* not needed any more */
    COIL_TRY(coil_transport_write(self->transport, "end", 3));
    size_t kept = coil_transport_get_write_buffer_size(self->transport);
    EXPECT(kept > sizeof megabyte + 300003);
    coil_transport_close(self->transport);
    EXPECT_INT(noter_drain(ends[1]), 20000 + sizeof megabyte + 300003);
    EXPECT(coil_event_is_set(&large.done));
    coil_event_fini(&large.done);
    coil_event_fini(&small.done);
    coil_sock_close(ends[1]);
    return noter_wait(self);
}

TEST(memory_is_lent_while_the_peer_is_slow)
{
    // a large response need not be copied to wait for its client
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(lends(&self), 0);
    EXPECT_NOTES("made pause done(0) resume lost(0) destroyed");
}

static int aborts_when_full(struct noter *self, const char *call)
{
    if (strcmp(call, "pause") == 0)
        coil_transport_abort(self->transport);
    return 0;
}

COIL_ASYNC(lends_in_vain, (struct noter *, self))
{
    int ends[2];
    struct lender lender;
    noter_pair(ends, true);
    COIL_TRY(connect_noter(self, ends[0]));
    lender_init(&lender, megabyte, sizeof megabyte);
    int rc = coil__transport_write_lent(self->transport, &lender.write);
    if (!self->act) {
        EXPECT_INT(rc, 1);
        coil_transport_abort(self->transport);
    } else {
        EXPECT_INT(rc, 0);
    }
    COIL_TRY(noter_wait(self));
    coil_event_fini(&lender.done);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(what_was_lent_comes_back_when_the_connection_is_aborted)
{
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(lends_in_vain(&self), 0);
    EXPECT_NOTES("made pause done(0) lost(0) destroyed");
    noter_init(&self, "");
    self.act = aborts_when_full;
    EXPECT_RUN_REAL(lends_in_vain(&self), 0);
    EXPECT_NOTES("made pause done(0) lost(0) destroyed");
}

COIL_ASYNC(cannot_copy, (struct noter *, self))
{
    int ends[2];
    struct lender lender;
    noter_pair(ends, true);
    COIL_TRY(connect_noter(self, ends[0]));
    lender_init(&lender, megabyte, sizeof megabyte);
    EXPECT_INT(coil__transport_write_lent(self->transport, &lender.write), 1);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil__transport_withdraw(self->transport, &lender.write), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    COIL_TRY(noter_wait(self));
    coil_event_fini(&lender.done);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(a_message_that_cannot_be_finished_ends_the_connection)
{
    // the peer must not take the next message for the rest of this one
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(cannot_copy(&self), 0);
    char expected[80];
    snprintf(expected, sizeof expected, "made pause lost(%d) destroyed", COIL_ENOMEM);
    EXPECT_NOTES(expected);
}

TESTS_MAIN(RUN(bytes_are_taken_when_they_are_asked_for),
           RUN(a_peer_that_goes_is_noticed_although_nobody_reads),
           RUN(what_a_peer_left_behind_is_pushed), RUN(a_failure_met_by_pull_ends_the_connection),
           RUN(memory_is_lent_while_the_peer_is_slow),
           RUN(what_was_lent_comes_back_when_the_connection_is_aborted),
           RUN(a_message_that_cannot_be_finished_ends_the_connection))
