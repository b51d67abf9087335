/* Transports over sockets: what the protocol is told and when, whatever it does in its calls, and what is kept when
 * the peer is slow. The order of a connection's life is in conformance/transport_*. */
#include "lib/held.h"
#include "lib/noter.h"

#include "io/transport.h"

static char megabyte[1 << 20];

static int connect_noter(struct noter *self, int fd, coil_transport **transport_out)
{
    return coil_create_connection_sock(&noter_protocol, self, fd, NULL, transport_out);
}

/* ---- anything in any call ------------------------------------------------------------------------ */

static const char *const calls[] = { "made", "data", "eof", "pause", "resume", "lost" };

static int acts_close(struct noter *self, const char *call)
{
    if (strcmp(call, self->act_on) == 0)
        coil_transport_close(self->transport);
    return 0;
}

static int acts_abort(struct noter *self, const char *call)
{
    if (strcmp(call, self->act_on) == 0)
        coil_transport_abort(self->transport);
    return 0;
}

static int acts_write(struct noter *self, const char *call)
{
    return strcmp(call, self->act_on) == 0 ? coil_transport_write(self->transport, "more", 4) : 0;
}

static int acts_fail(struct noter *self, const char *call)
{
    return strcmp(call, self->act_on) == 0 ? coil_raise(COIL_EAPP, "in %s", call) : 0;
}

static int acts_pause_resume(struct noter *self, const char *call)
{
    if (strcmp(call, self->act_on) == 0) {
        coil_transport_pause_reading(self->transport);
        coil_transport_resume_reading(self->transport);
    }
    return 0;
}

static struct noter heir;

static int acts_hand_over(struct noter *self, const char *call)
{
    if (strcmp(call, self->act_on) == 0)
        coil_transport_set_protocol(self->transport, &noter_protocol, &heir);
    return 0;
}

/* A connection that goes through every call: data, pause, resume, end. */
COIL_ASYNC(lives, (struct noter *, self), (struct noter *, last))
{
    int ends[2];
    noter_pair(ends, true);
    EXPECT(send(ends[1], "hello", 5, 0) == 5);
    coil_transport *transport;
    COIL_TRY(connect_noter(self, ends[0], &transport));
    COIL_TRY(coil_sleep(0.001));
    (void)coil_transport_write(transport, megabyte, 100000);
    shutdown(ends[1], SHUT_WR);
    ssize_t got = noter_drain(ends[1]);
    EXPECT(got >= 0 || got == -ECONNRESET); /* if it closed without having read "hello" */
    COIL_TRY(coil_event_wait(&last->lost));
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_sleep(0));
    coil_sock_close(ends[1]);
    EXPECT(coil_transport_is_closing(transport));
    EXPECT_INT(coil_transport_fd(transport), COIL_ECLOSED);
    EXPECT_PTR(coil_transport_get_protocol(transport, NULL), NULL);
    EXPECT_INT(coil_transport_get_write_buffer_size(transport), 0);
    coil_transport_close(transport);
    coil_transport_abort(transport);
    coil_transport_resume_reading(transport);
    coil_unref(transport);
    return 0;
}

static void live_with(int (*act)(struct noter *, const char *), bool fails)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct noter self;
        noter_init(&self, "");
        self.quiet = true;
        self.act = act;
        self.act_on = calls[i];
        noter_init(&heir, "heir ");
        heir.quiet = true;
        bool handed_over = act == acts_hand_over && strcmp(calls[i], "lost") != 0;
        struct held before = held_now();
        EXPECT_RUN_REPORTS_REAL(lives(&self, handed_over ? &heir : &self), 0, fails ? 1 : 0);
        held_expect(before, calls[i]);
        EXPECT_INT(self.destroyed, 1);
        EXPECT_INT(heir.destroyed, act == acts_hand_over);
    }
}

TEST(any_call_may_close)
{
    // protocols end connections wherever they find a reason to
    live_with(acts_close, false);
}

TEST(any_call_may_abort)
{
    live_with(acts_abort, false);
}

TEST(any_call_may_write)
{
    live_with(acts_write, false);
}

TEST(any_call_may_pause_and_resume)
{
    live_with(acts_pause_resume, false);
}

TEST(any_call_may_hand_over_to_another_protocol)
{
    // and the old one's self must not go while its function still runs: ASan would see it
    live_with(acts_hand_over, false);
}

TEST(any_call_may_fail_and_is_reported)
{
    live_with(acts_fail, true);
}

/* ---- beginning ----------------------------------------------------------------------------------- */

COIL_ASYNC(begins, (struct noter *, self), (int, fd))
{
    return connect_noter(self, fd, NULL);
}

COIL_ASYNC(cancels_the_beginning, (struct noter *, self), (int, turns))
{
    int ends[2];
    noter_pair(ends, false);
    coil_task *task = coil_create_task(begins(self, ends[0]));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    COIL_TRY(coil_sleep(0));
    coil_unref(task);
    EXPECT(fcntl(ends[0], F_GETFD) >= 0); /* still the caller's */
    EXPECT(send(ends[1], "x", 1, 0) == 1);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST(a_cancelled_beginning_gives_the_descriptor_back)
{
    // who owns the descriptor must not depend on when the cancellation came
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(cancels_the_beginning(&self, 1), 0);
    EXPECT_NOTES("made lost(0) destroyed");
    noter_init(&self, "");
    EXPECT_RUN_REAL(cancels_the_beginning(&self, 2), 0);
    EXPECT_NOTES("made lost(0) destroyed");
}

static int refuses(void *arg, void **self_out)
{
    (void)arg;
    (void)self_out;
    return coil_raise(COIL_EAPP, "not today");
}

COIL_ASYNC0(begins_in_vain)
{
    int ends[2], regular = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct noter self;
    noter_init(&self, "");
    noter_pair(ends, false);
    EXPECT_INT(connect_noter(&self, regular, NULL), -ENOTSOCK);
    EXPECT_INT(self.destroyed, 1); /* given up in any case */
    EXPECT_INT(connect_noter(&self, -1, NULL), -EBADF);
    coil_protocol refusing = noter_protocol;
    refusing.create = refuses;
    EXPECT_INT(coil_create_connection_sock(&refusing, &self, ends[0], NULL, NULL), COIL_EAPP);
    EXPECT_INT(self.destroyed, 2); /* create made nothing */
    int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT_INT(connect_noter(&self, datagram, NULL), COIL_EINVAL);
    close(datagram);
    close(regular);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST(what_is_no_stream_socket_is_refused)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(begins_in_vain(), 0);
    held_expect(before, "refused");
    EXPECT_NOTES("destroyed destroyed destroyed");
    struct noter self;
    noter_init(&self, "");
    EXPECT_INT(connect_noter(&self, 0, NULL), COIL_ENOTASK);
    EXPECT_NOTES("destroyed");
}

COIL_ASYNC(stays_open, (struct noter *, self), (int, fd))
{
    COIL_TRY(connect_noter(self, fd, NULL));
    return coil_transport_write(self->transport, megabyte, 100000);
}

TEST(what_is_left_open_is_reported_and_ended)
{
    // a leaked connection keeps a socket, and is hard to find by other means
    int ends[2];
    struct noter self;
    struct held before = held_now();
    noter_pair(ends, true);
    noter_init(&self, "");
    EXPECT_RUN_REPORTS_REAL(stays_open(&self, ends[0]), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_UNCLOSED_TRANSPORT], 1);
    EXPECT_NOTES("made pause destroyed");
    close(ends[1]);
    held_expect(before, "left open");
}

/* ---- a peer that is slow, or gone ----------------------------------------------------------------- */

COIL_ASYNC(resets_while_paused, (struct noter *, self))
{
    int ends[2];
    noter_pair(ends, false);
    COIL_TRY(connect_noter(self, ends[0], NULL));
    coil_transport *transport = self->transport;
    coil_transport_pause_reading(transport);
    COIL_TRY(coil_transport_write(transport, "unread", 6));
    close(ends[1]); /* with unread data: a reset */
    COIL_TRY(coil_sleep(0.01));
    note("paused");
    coil_transport_resume_reading(transport);
    return noter_wait(self);
}

TEST(reset_while_paused_is_told_after_resume)
{
    // asyncio does not look at a paused connection, and what came before the reset may still be wanted
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(resets_while_paused(&self), 0);
    char expected[80];
    snprintf(expected, sizeof expected, "made paused lost(%d) destroyed", -ECONNRESET);
    EXPECT_NOTES(expected);
}

COIL_ASYNC(writes_to_nobody, (struct noter *, self))
{
    int ends[2];
    noter_pair(ends, true);
    COIL_TRY(connect_noter(self, ends[0], NULL));
    coil_transport *transport = self->transport;
    COIL_TRY(coil_transport_set_write_buffer_limits(transport, 10000, 5000));
    for (int i = 0; i < 1000; i++)
        COIL_TRY(coil_transport_write(transport, megabyte, 100));
    EXPECT(coil_transport_get_write_buffer_size(transport) > 80000);
    coil_transport_close(transport);
    COIL_TRY(coil_sleep(0.01));
    note("waits");
    coil_transport_abort(transport);
    COIL_TRY(noter_wait(self));
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(a_peer_that_never_reads_is_counted_and_told_once)
{
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(writes_to_nobody(&self), 0);
    EXPECT_NOTES("made pause waits lost(0) destroyed");
}

COIL_ASYNC(writes_over_budget, (struct noter *, first), (struct noter *, second))
{
    int ends[2][2];
    coil_loop_set_buffer_budget(NULL, 50000);
    noter_pair(ends[0], true);
    noter_pair(ends[1], true);
    COIL_TRY(connect_noter(first, ends[0][0], NULL));
    COIL_TRY(connect_noter(second, ends[1][0], NULL));
    COIL_TRY(coil_transport_write(first->transport, megabyte, 60000)); /* below 64 KiB */
    COIL_TRY(coil_transport_write(second->transport, megabyte, 12000));
    coil_transport_close(first->transport);
    coil_transport_close(second->transport);
    EXPECT_INT(noter_drain(ends[0][1]), 60000);
    EXPECT_INT(noter_drain(ends[1][1]), 12000);
    COIL_TRY(noter_wait(first));
    COIL_TRY(noter_wait(second));
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    coil_sock_close(ends[0][1]);
    coil_sock_close(ends[1][1]);
    return 0;
}

TEST(a_loops_budget_bounds_what_all_keep)
{
    // ten thousand slow clients with 64 KiB each are 640 MB
    struct noter first, second;
    noter_init(&first, "1:");
    noter_init(&second, "2:");
    EXPECT_RUN_REAL(writes_over_budget(&first, &second), 0);
    EXPECT(strstr(notes_, "1:pause 2:pause") != NULL);
    EXPECT(strstr(notes_, "1:resume") != NULL && strstr(notes_, "2:resume") != NULL);
    notes_[0] = '\0';
}

COIL_ASYNC(writes_in_pieces, (struct noter *, self))
{
    enum {
        PIECES = 200
    };
    int ends[2];
    struct iovec parts[PIECES];
    noter_pair(ends, true);
    COIL_TRY(connect_noter(self, ends[0], NULL));
    for (int i = 0; i < PIECES; i++)
        parts[i] = (struct iovec){ megabyte, (size_t)(i % 7) * 1000 };
    size_t total = 0;
    for (int i = 0; i < PIECES; i++)
        total += parts[i].iov_len;
    COIL_TRY(coil_transport_writelines(self->transport, parts, PIECES));
    COIL_TRY(coil_transport_writelines(self->transport, parts, 0));
    COIL_TRY(coil_transport_write_eof(self->transport)); /* after all that */
    EXPECT_INT(coil_transport_writelines(self->transport, parts, 1), COIL_ERUNTIME);
    EXPECT_INT(noter_drain(ends[1]), total);
    coil_sock_close(ends[1]);
    return noter_wait(self);
}

TEST(pieces_arrive_as_one)
{
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(writes_in_pieces(&self), 0);
    EXPECT_NOTES("made pause resume eof lost(0) destroyed");
}

/* ---- names ---------------------------------------------------------------------------------------- */

COIL_ASYNC(asks_for_names, (struct noter *, self))
{
    int ends[2];
    coil_transport *transport;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    noter_pair(ends, false);
    COIL_TRY(connect_noter(self, ends[0], &transport));
    EXPECT_INT(coil_transport_get_extra_info(transport, "socket").integer, ends[0]);
    EXPECT_INT(coil_transport_fd(transport), ends[0]);
    EXPECT_STR(coil_transport_get_extra_info(transport, "peername").string, "");
    EXPECT_INT(coil_transport_get_extra_info(transport, "colour").kind, COIL_NIL);
    EXPECT_INT(coil_transport_sockname(transport, (struct sockaddr *)&address, &length), 0);
    EXPECT_INT(address.ss_family, AF_UNIX);
    close(ends[1]);
    COIL_TRY(noter_wait(self));
    EXPECT_STR(coil_transport_get_extra_info(transport, "peername").string, ""); /* kept */
    EXPECT_INT(coil_transport_get_extra_info(transport, "sockname").kind, COIL_NIL);
    EXPECT_INT(coil_transport_get_extra_info(transport, "socket").kind, COIL_NIL);
    coil_unref(transport);
    return 0;
}

TEST(names_are_kept_once_they_were_asked_for)
{
    // who it was is wanted when the connection is gone
    struct noter self;
    noter_init(&self, "");
    EXPECT_RUN_REAL(asks_for_names(&self), 0);
    EXPECT_NOTES("made eof lost(0) destroyed");
}

/* ---- memory --------------------------------------------------------------------------------------- */

COIL_ASYNC(tries_to_live, (struct noter *, self), (int *, ends))
{
    int rc = connect_noter(self, ends[0], NULL);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    rc = coil_transport_write(self->transport, megabyte, 100000);
    coil_transport_close(self->transport);
    ssize_t got = noter_drain(ends[1]);
    EXPECT(rc < 0 || self->code < 0 || got < 0 || got == 100000);
    if (self->destroyed == 0)
        COIL_TRY(coil_event_wait(&self->lost));
    return rc;
}

TEST(every_allocation_may_fail)
{
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        int ends[2];
        struct noter self;
        struct held before = held_now();
        noter_pair(ends, true);
        noter_init(&self, "");
        self.quiet = true;
        coil_loop *loop = steps_loop(&self);
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, tries_to_live(&self, ends), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || (failed && rc == COIL_ENOMEM));
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        close(ends[1]);
        EXPECT_INT(self.destroyed, rc == COIL_ENOMEM && self.destroyed == 0 ? 0 : 1);
        if (self.destroyed == 0)
            close(ends[0]); /* the task could not even be made */
        held_expect(before, "failed allocation");
        if (nth > 100)
            break;
    }
}

TESTS_MAIN(RUN(any_call_may_close), RUN(any_call_may_abort), RUN(any_call_may_write),
           RUN(any_call_may_pause_and_resume), RUN(any_call_may_hand_over_to_another_protocol),
           RUN(any_call_may_fail_and_is_reported),
           RUN(a_cancelled_beginning_gives_the_descriptor_back),
           RUN(what_is_no_stream_socket_is_refused), RUN(what_is_left_open_is_reported_and_ended),
           RUN(reset_while_paused_is_told_after_resume),
           RUN(a_peer_that_never_reads_is_counted_and_told_once),
           RUN(a_loops_budget_bounds_what_all_keep), RUN(pieces_arrive_as_one),
           RUN(names_are_kept_once_they_were_asked_for), RUN(every_allocation_may_fail))
