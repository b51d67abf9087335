/* Flows: what a transport hears of its socket. Runs for the backend that the environment names. */
#define _GNU_SOURCE 1
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/backend.h"

enum {
    PATIENCE_NS = 1000000000,
    WHILE_NS = 2000000,
};

struct probe {
    struct coil__flow flow; /* first: a probe is found by its flow */
    int readable, writable;
    bool close_at_once;
};

static struct coil__backend *backend;
static bool ahead; /* what the flows of the test allow */

static void on_readable(struct coil__flow *flow)
{
    struct probe *probe = (struct probe *)flow;
    probe->readable++;
    if (probe->close_at_once)
        backend->ops->flow_close(backend, flow);
}

static void on_writable(struct coil__flow *flow)
{
    ((struct probe *)flow)->writable++;
}

static struct probe probe_of(int fd, enum coil__flow_kind kind)
{
    return (struct probe){ .flow = { .fd = fd,
                                     .kind = (uint8_t)kind,
                                     .ahead = ahead,
                                     .readable = on_readable,
                                     .writable = on_writable } };
}

static void begin(int fds[2])
{
    REQUIRE((coil__backend_open(&backend)) == 0);
    REQUIRE((socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) == 0);
}

static void end(const int fds[2])
{
    backend->ops->close(backend);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void wait_until(const int *count, int least)
{
    for (int round = 0; *count < least && round < 100; round++)
        EXPECT_INT(backend->ops->wait(backend, PATIENCE_NS), 0);
    EXPECT(*count >= least);
}

static void wait_a_while(void)
{
    for (int round = 0; round < 3; round++)
        EXPECT_INT(backend->ops->wait(backend, WHILE_NS), 0);
}

/* A protocol gets its data in portions, and the rest must not be forgotten. */
TEST(readable_is_called_in_each_wait_until_all_is_read)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    REQUIRE((send(fds[1], "abcdef", 6, 0)) == 6);
    wait_until(&probe.readable, 1);
    char buffer[3];
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 3), 3);
    wait_until(&probe.readable, 2);
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 3), 3);
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 3), -EAGAIN);
    int calls = probe.readable;
    wait_a_while();
    EXPECT_INT(probe.readable, calls);
    REQUIRE((send(fds[1], "g", 1, 0)) == 1);
    wait_until(&probe.readable, calls + 1);
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 3), 1);
    backend->ops->flow_close(backend, &probe.flow);
    end(fds);
}

/* Pausing is how a slow reader keeps a fast peer in check. */
TEST(a_flow_that_does_not_read_is_left_alone_and_loses_nothing)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    REQUIRE((send(fds[1], "abc", 3, 0)) == 3);
    wait_a_while();
    EXPECT_INT(probe.readable, 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    wait_until(&probe.readable, 1);
    backend->ops->flow_reading(backend, &probe.flow, false);
    int calls = probe.readable;
    wait_a_while();
    EXPECT_INT(probe.readable, calls);
    char buffer[8];
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 8), 3);
    backend->ops->flow_close(backend, &probe.flow);
    end(fds);
}

/* A transport that does not read must learn all the same that nobody is there any more. */
TEST(the_end_is_read_once_and_a_peer_that_is_gone_is_told_of_without_reading)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    (void)close(fds[1]);
    wait_until(&probe.readable, 1);
    char buffer[8];
    EXPECT_INT(backend->ops->flow_read(backend, &probe.flow, buffer, 8), 0);
    int calls = probe.readable;
    wait_a_while();
    EXPECT_INT(probe.readable, calls);
    backend->ops->flow_close(backend, &probe.flow);
    fds[1] = dup(fds[0]);
    end(fds);
}

/* A transport's buffer is emptied by these calls, and by nothing else. */
TEST(a_refused_write_is_followed_by_one_call_of_writable)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    static char block[65536];
    struct iovec parts[2] = { { block, sizeof block }, { block, sizeof block } };
    int64_t sent, all = 0;
    while ((sent = backend->ops->flow_write(backend, &probe.flow, parts, 2)) > 0)
        all += sent;
    EXPECT_INT(sent, -EAGAIN);
    wait_a_while();
    EXPECT_INT(probe.writable, 0);
    while (all > 0) {
        ssize_t got = recv(fds[1], block, sizeof block, 0);
        if (got <= 0)
            break;
        all -= got;
    }
    EXPECT_INT(all, 0);
    wait_until(&probe.writable, 1);
    wait_a_while();
    EXPECT_INT(probe.writable, 1);
    EXPECT_INT(backend->ops->flow_write(backend, &probe.flow, parts, 1) > 0, 1);
    (void)close(fds[1]);
    EXPECT_INT(backend->ops->flow_write(backend, &probe.flow, parts, 1), -EPIPE);
    backend->ops->flow_close(backend, &probe.flow);
    fds[1] = dup(fds[0]);
    end(fds);
}

/* A protocol may abort in data_received, and the next connection gets the same descriptor. */
TEST(a_flow_may_be_closed_in_its_own_call_and_its_number_used_again)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
    probe.close_at_once = true;
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    REQUIRE((send(fds[1], "abc", 3, 0)) == 3);
    wait_until(&probe.readable, 1);
    wait_a_while();
    EXPECT_INT(probe.readable, 1);
    struct probe next = probe_of(fds[0], COIL__FLOW_STREAM);
    REQUIRE((backend->ops->flow_open(backend, &next.flow)) == 0);
    backend->ops->flow_reading(backend, &next.flow, true);
    wait_until(&next.readable, 1);
    backend->ops->flow_close(backend, &next.flow);
    end(fds);
}

/* Servers are built on it. */
TEST(a_listener_gives_its_connections_one_by_one)
{
    int fds[2];
    begin(fds);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    REQUIRE((bind(listener, (void *)&address, length)) == 0);
    REQUIRE((listen(listener, 8)) == 0);
    REQUIRE((getsockname(listener, (void *)&address, &length)) == 0);
    struct probe probe = probe_of(listener, COIL__FLOW_LISTENER);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    int clients[3], accepted[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE((connect(clients[i], (void *)&address, length)) == 0);
    }
    for (int n = 0, fd; n < 3;) {
        wait_until(&probe.readable, 1);
        probe.readable = 0;
        while (n < 3 && (fd = backend->ops->flow_accept(backend, &probe.flow)) >= 0) {
            EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
            EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            accepted[n++] = fd;
        }
    }
    EXPECT_INT(backend->ops->flow_accept(backend, &probe.flow), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        (void)close(clients[i]);
        (void)close(accepted[i]);
    }
    backend->ops->flow_close(backend, &probe.flow);
    (void)close(listener);
    end(fds);
}

/* Two readers of one stream would tear it apart. */
TEST(a_descriptor_belongs_to_one_flow_and_to_no_operation_beside_it)
{
    int fds[2];
    begin(fds);
    struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM), other = probe;
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    EXPECT_INT(backend->ops->flow_open(backend, &other.flow), -EBUSY);
    struct coil__op op = { .kind = COIL__OP_READABLE, .fd = fds[0] };
    EXPECT_INT(backend->ops->submit(backend, &op), -EBUSY);
    backend->ops->flow_close(backend, &probe.flow);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    other = probe_of(file, COIL__FLOW_POLLED);
    EXPECT_INT(backend->ops->flow_open(backend, &other.flow), -EPERM);
    (void)close(file);
    end(fds);
}

/* Pipes and datagram sockets are read by their owner. */
TEST(a_polled_flow_is_called_again_once_its_owner_was_refused)
{
    int fds[2], pipe_fds[2];
    begin(fds);
    REQUIRE((pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC)) == 0);
    struct probe probe = probe_of(pipe_fds[0], COIL__FLOW_POLLED);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    REQUIRE((write(pipe_fds[1], "x", 1)) == 1);
    wait_until(&probe.readable, 1);
    char buffer[8];
    EXPECT_INT(read(pipe_fds[0], buffer, 8), 1);
    EXPECT_INT(read(pipe_fds[0], buffer, 8), -1);
    backend->ops->flow_blocked(backend, &probe.flow, COIL__FLOW_IN);
    int calls = probe.readable;
    wait_a_while();
    EXPECT_INT(probe.readable, calls);
    (void)close(pipe_fds[1]);
    wait_until(&probe.readable, calls + 1);
    EXPECT_INT(read(pipe_fds[0], buffer, 8), 0);
    backend->ops->flow_close(backend, &probe.flow);
    (void)close(pipe_fds[0]);
    end(fds);
}

/* A backend that receives ahead of its owner keeps every promise. */
TEST(flows_that_may_be_ahead_behave_alike)
{
    ahead = true;
    test_body_readable_is_called_in_each_wait_until_all_is_read();
    test_body_a_flow_that_does_not_read_is_left_alone_and_loses_nothing();
    test_body_the_end_is_read_once_and_a_peer_that_is_gone_is_told_of_without_reading();
    test_body_a_refused_write_is_followed_by_one_call_of_writable();
    test_body_a_listener_gives_its_connections_one_by_one();
    test_body_a_descriptor_belongs_to_one_flow_and_to_no_operation_beside_it();
    test_body_a_polled_flow_is_called_again_once_its_owner_was_refused();
    ahead = false;
}

static unsigned char nth_byte(size_t n)
{
    return (unsigned char)(n * 31 + n / 4099);
}

/* Sends what fits, reads what has come in pieces of changing size, and pauses now and then. */
static void stream_through(int sender, struct probe *probe, size_t total)
{
    size_t sent = 0, got = 0;
    unsigned char block[5000];
    for (int round = 0; got < total && round < 100000; round++) {
        while (sent < total) {
            size_t part = total - sent < sizeof block ? total - sent : sizeof block;
            for (size_t i = 0; i < part; i++)
                block[i] = nth_byte(sent + i);
            ssize_t n = send(sender, block, part, MSG_DONTWAIT);
            if (n <= 0)
                break;
            sent += (size_t)n;
        }
        backend->ops->flow_reading(backend, &probe->flow, round % 7 != 3);
        EXPECT_INT(backend->ops->wait(backend, round % 7 == 3 ? 0 : PATIENCE_NS), 0);
        int64_t n = backend->ops->flow_read(backend, &probe->flow, block,
                                            (size_t)(round % 4999 + 1));
        for (int64_t i = 0; i < n; i++)
            if (block[i] != nth_byte(got + (size_t)i) && !EXPECT(!"a byte is in the wrong place"))
                return;
        got += n > 0 ? (size_t)n : 0;
    }
    EXPECT_INT((intmax_t)got, (intmax_t)total);
}

/* Order is all that a stream promises, and pausing is when it is easily lost. */
TEST(a_stream_that_is_paused_now_and_then_arrives_in_order)
{
    for (int i = 0; i < 2; i++) {
        int fds[2];
        ahead = i == 1;
        begin(fds);
        struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
        REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
        stream_through(fds[1], &probe, 3 << 20);
        backend->ops->flow_close(backend, &probe.flow);
        end(fds);
    }
    ahead = false;
}

/* More connections with something unread than a backend has buffers of its own. */
TEST(many_unread_flows_keep_none_of_the_others_waiting)
{
    enum {
        FLOWS = 100
    };
    static struct probe probes[FLOWS];
    static int ends[FLOWS][2];
    int fds[2];
    ahead = true;
    begin(fds);
    for (int i = 0; i < FLOWS; i++) {
        REQUIRE((socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends[i])) == 0);
        probes[i] = probe_of(ends[i][0], COIL__FLOW_STREAM);
        REQUIRE((backend->ops->flow_open(backend, &probes[i].flow)) == 0);
        backend->ops->flow_reading(backend, &probes[i].flow, true);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FLOWS; i++) {
            probes[i].readable = 0;
            REQUIRE((send(ends[i][1], "abc", 3, 0)) == 3);
        }
        for (int i = 0; i < FLOWS; i++)
            wait_until(&probes[i].readable, 1);
        for (int i = FLOWS - 1; i >= 0; i--) {
            char buffer[8];
            EXPECT_INT(backend->ops->flow_read(backend, &probes[i].flow, buffer, 8), 3);
            EXPECT_INT(backend->ops->flow_read(backend, &probes[i].flow, buffer, 8), -EAGAIN);
        }
    }
    for (int i = 0; i < FLOWS; i++) {
        backend->ops->flow_close(backend, &probes[i].flow);
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
    end(fds);
    ahead = false;
}

/* What a connection leaves behind must not be missing later. */
TEST(flows_closed_with_something_unread_leave_nothing_behind)
{
    int fds[2];
    ahead = true;
    begin(fds);
    for (int i = 0; i < 200; i++) {
        struct probe probe = probe_of(fds[0], COIL__FLOW_STREAM);
        REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
        backend->ops->flow_reading(backend, &probe.flow, true);
        REQUIRE((send(fds[1], "abc", 3, 0)) == 3);
        if (i % 2 == 0)
            wait_until(&probe.readable, 1);
        else if (i % 4 == 1)
            EXPECT_INT(backend->ops->wait(backend, 0), 0);
        backend->ops->flow_close(backend, &probe.flow);
    }
    end(fds);
    ahead = false;
}

/* Connections that came before they were asked for, and then nobody asks. */
TEST(a_listener_that_closes_closes_what_nobody_fetched)
{
    int fds[2], before = dup(0);
    (void)close(before);
    ahead = true;
    begin(fds);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    REQUIRE((bind(listener, (void *)&address, length)) == 0);
    REQUIRE((listen(listener, 64)) == 0);
    REQUIRE((getsockname(listener, (void *)&address, &length)) == 0);
    struct probe probe = probe_of(listener, COIL__FLOW_LISTENER);
    REQUIRE((backend->ops->flow_open(backend, &probe.flow)) == 0);
    backend->ops->flow_reading(backend, &probe.flow, true);
    int clients[40];
    for (int i = 0; i < 40; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE((connect(clients[i], (void *)&address, length)) == 0);
    }
    wait_until(&probe.readable, 1);
    int fd = backend->ops->flow_accept(backend, &probe.flow);
    EXPECT(fd >= 0);
    (void)close(fd);
    backend->ops->flow_close(backend, &probe.flow);
    (void)close(listener);
    for (int i = 0; i < 40; i++)
        (void)close(clients[i]);
    end(fds);
    ahead = false;
    int after = dup(0);
    (void)close(after);
    EXPECT_INT(after, before);
}

TESTS_MAIN(RUN(readable_is_called_in_each_wait_until_all_is_read),
           RUN(a_flow_that_does_not_read_is_left_alone_and_loses_nothing),
           RUN(the_end_is_read_once_and_a_peer_that_is_gone_is_told_of_without_reading),
           RUN(a_refused_write_is_followed_by_one_call_of_writable),
           RUN(a_flow_may_be_closed_in_its_own_call_and_its_number_used_again),
           RUN(a_listener_gives_its_connections_one_by_one),
           RUN(a_descriptor_belongs_to_one_flow_and_to_no_operation_beside_it),
           RUN(a_polled_flow_is_called_again_once_its_owner_was_refused),
           RUN(flows_that_may_be_ahead_behave_alike),
           RUN(a_stream_that_is_paused_now_and_then_arrives_in_order),
           RUN(many_unread_flows_keep_none_of_the_others_waiting),
           RUN(flows_closed_with_something_unread_leave_nothing_behind),
           RUN(a_listener_that_closes_closes_what_nobody_fetched))
