/* Plain sockets: what comes and goes, who is served first, and what a cancellation leaves. */
#include "lib/steps.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* ---- making sockets ----------------------------------------------------------------------------- */

static struct sockaddr_in loopback(in_port_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = port,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static const struct sockaddr *generic(const struct sockaddr_in *address)
{
    return (const struct sockaddr *)address;
}

/* A bound socket of this type, and the address it got from the system. */
static int bound(int type, struct sockaddr_in *address_out)
{
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof *address_out;
    *address_out = loopback(0);
    EXPECT(bind(fd, generic(address_out), length) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)address_out, &length) == 0);
    return fd;
}

static int listener(struct sockaddr_in *address_out)
{
    int fd = bound(SOCK_STREAM, address_out);
    EXPECT(listen(fd, 16) == 0);
    return fd;
}

static int stream(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void pair(int ends[2])
{
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
}

static void close_pair(int ends[2])
{
    coil_sock_close(ends[0]);
    coil_sock_close(ends[1]);
}

/* ---- connect and accept ------------------------------------------------------------------------- */

COIL_ASYNC(serves_one, (int, fd))
{
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    char text[16];
    int client;
    ssize_t got;
    COIL_TRY(client = coil_sock_accept(fd, (struct sockaddr *)&peer, &length));
    EXPECT_INT(peer.sin_family, AF_INET);
    EXPECT_INT(length, sizeof peer);
    EXPECT(fcntl(client, F_GETFL) & O_NONBLOCK);
    EXPECT(fcntl(client, F_GETFD) & FD_CLOEXEC);
    COIL_TRY(got = coil_sock_recv(client, text, sizeof text));
    COIL_TRY(coil_sock_sendall(client, text, (size_t)got));
    EXPECT_INT(coil_sock_recv(client, text, sizeof text), 0);
    coil_sock_close(client);
    coil_return(got);
}

COIL_ASYNC0(talks_to_a_server)
{
    struct sockaddr_in address;
    int server = listener(&address), fd = stream();
    coil_task *task = coil_create_task(serves_one(server));
    char text[16] = "";
    coil_value value;
    COIL_TRY(coil_sock_connect(fd, generic(&address), sizeof address));
    COIL_TRY(coil_sock_sendall(fd, "hello", 5));
    EXPECT_INT(coil_sock_recv(fd, text, sizeof text), 5);
    EXPECT_STR(text, "hello");
    coil_sock_close(fd);
    COIL_TRY(coil_await(task, &value));
    EXPECT_INT(value.integer, 5);
    coil_unref(task);
    coil_sock_close(server);
    return 0;
}

TEST(connection_is_made_used_and_ended)
{
    /* connect, accept, both directions, and 0 when the peer has closed its side. */
    EXPECT_RUN_REAL(talks_to_a_server(), 0);
}

COIL_ASYNC0(connects_to_nobody)
{
    struct sockaddr_in address;
    int nobody = bound(SOCK_STREAM, &address), fd = stream();
    EXPECT_INT(coil_sock_connect(fd, generic(&address), sizeof address), -ECONNREFUSED);
    EXPECT(strstr(coil_error_message(coil_error_current(-ECONNREFUSED)), "sock_connect") != NULL);
    coil_sock_close(fd);
    coil_sock_close(nobody);

    int blocking = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_INT(coil_sock_connect(blocking, generic(&address), sizeof address), -EINVAL);
    coil_sock_close(blocking);
    EXPECT_INT(coil_sock_connect(-1, generic(&address), sizeof address), -EBADF);
    return 0;
}

TEST(refused_connection_and_blocking_socket_fail)
{
    /* A blocking socket would stop every task of the loop. */
    EXPECT_RUN_REAL(connects_to_nobody(), 0);
}

COIL_ASYNC(accepts, (int, fd))
{
    int client = coil_sock_accept(fd, NULL, NULL);
    if (client >= 0)
        coil_sock_close(client);
    return client < 0 ? client : 0;
}

COIL_ASYNC0(cancels_accept)
{
    struct sockaddr_in address;
    int server = listener(&address), fd = stream();
    coil_task *task = coil_create_task(accepts(server));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);

    COIL_TRY(coil_sock_connect(fd, generic(&address), sizeof address));
    task = coil_create_task(accepts(server));
    EXPECT_INT(coil_await(task, NULL), 0);
    coil_unref(task);
    coil_sock_close(fd);
    coil_sock_close(server);
    return 0;
}

TEST(cancelled_accept_loses_no_connection)
{
    /* The next accept gets it. */
    EXPECT_RUN_REAL(cancels_accept(), 0);
}

COIL_ASYNC(connects_then_closes, (const struct sockaddr_in *, address))
{
    int fd = stream();
    COIL_TRY(coil_sock_connect(fd, generic(address), sizeof *address));
    coil_sock_close(fd);
    return 0;
}

COIL_ASYNC0(accepts_many)
{
    enum {
        COUNT = 10
    };
    struct sockaddr_in address;
    int server = listener(&address);
    void *all[2 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = accepts(server);
        all[COUNT + i] = connects_then_closes(&address);
    }
    COIL_TRY(coil_gather_array(NULL, all, 2 * COUNT, 0));
    coil_sock_close(server);
    return 0;
}

TEST(several_tasks_accept_on_one_listener)
{
    /* Each connection goes to one of them. */
    EXPECT_RUN_REAL(accepts_many(), 0);
}

/* ---- receiving ---------------------------------------------------------------------------------- */

COIL_ASYNC(receives, (int, fd), (const char *, who))
{
    char byte = '-';
    ssize_t got = coil_sock_recv(fd, &byte, 1);
    note("%s:%s%c", who, got < 0 ? coil_error_name((int)got) : "",
         got < 0 ? '!'
         : byte  ? byte
                 : '0');
    return got < 0 ? (int)got : 0;
}

COIL_ASYNC0(shares_a_descriptor)
{
    int ends[2];
    coil_task *tasks[3];
    pair(ends);
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(receives(ends[0], (const char *[]){ "a", "b", "c" }[i]));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[1], NULL);
    COIL_TRY(coil_sock_sendall(ends[1], "xy", 2));
    EXPECT_INT(coil_await(tasks[0], NULL), 0);
    EXPECT_INT(coil_await(tasks[1], NULL), COIL_ECANCELED);
    EXPECT_INT(coil_await(tasks[2], NULL), 0);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    close_pair(ends);
    return 0;
}

TEST(receivers_on_one_descriptor_are_served_in_order)
{
    /* First come, first served; one that was cancelled leaves the line without taking anything. */
    EXPECT_RUN_REAL(shares_a_descriptor(), 0);
    EXPECT_NOTES("b:COIL_ECANCELED! a:x c:y");
}

COIL_ASYNC(receives_then_waits, (int, fd), (bool *, received))
{
    char text[8] = "";
    ssize_t got = coil_sock_recv(fd, text, sizeof text);
    note("recv:%d", (int)got);
    *received = got == 4 && memcmp(text, "data", 4) == 0;
    int rc = coil_sleep(10);
    note("sleep:%s", coil_error_name(rc));
    return rc;
}

/* The receiver, and in how many turns from now to cancel it. */
struct victim {
    coil_task *task;
    int turns;
};

static int cancel_in_turns(void *arg)
{
    struct victim *victim = arg;
    if (victim->turns-- > 0)
        return coil_call_soon(NULL, cancel_in_turns, victim, NULL);
    EXPECT(coil_task_cancel(victim->task, "in the same turn"));
    return 0;
}

static int cancel_when_readable(void *arg)
{
    struct victim *victim = arg;
    if (victim->turns >= 0)
        (void)cancel_in_turns(victim);
    return 0;
}

/* One poll sees both: that the receive completes, and what makes a callback cancel it. */
COIL_ASYNC(cancels_receiver, (int, turns), (bool, data_first))
{
    int ends[2], other[2];
    bool received = false;
    char rest[8];
    pair(ends);
    pair(other);
    struct victim victim = { NULL, turns };
    victim.task = coil_create_task(receives_then_waits(ends[0], &received));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_add_reader(NULL, other[0], cancel_when_readable, &victim));
    if (data_first)
        EXPECT(write(ends[1], "data", 4) == 4);
    EXPECT(write(other[1], "!", 1) == 1);
    if (!data_first)
        EXPECT(write(ends[1], "data", 4) == 4);
    while (coil_task_cancelling(victim.task) == 0)
        COIL_TRY(coil_sleep(0.0005));
    coil_remove_reader(NULL, other[0]);
    EXPECT_INT(coil_await(victim.task, NULL), COIL_ECANCELED);
    /* Either the task has the bytes, or they are still there. */
    ssize_t left = recv(ends[0], rest, sizeof rest, MSG_DONTWAIT);
    EXPECT_INT(left, received ? -1 : 4);
    coil_unref(victim.task);
    close_pair(ends);
    close_pair(other);
    coil_return(received);
}

TEST(receive_that_completed_and_was_cancelled_loses_nothing)
{
    /* Bytes that have left the kernel are returned, and the cancellation comes at the next await.
     * Dropping them would tear the stream. */
    for (int turns = 0; turns < 4; turns++) {
        for (int data_first = 0; data_first < 2; data_first++) {
            coil_value value = coil_nil();
            EXPECT_INT(steps_run(cancels_receiver(turns, data_first), &value, &dropped), 0);
            EXPECT_INT(value.integer, 1);
            EXPECT_NOTES("recv:4 sleep:COIL_ECANCELED");
        }
    }
    EXPECT_RUN_REAL(cancels_receiver(0, true), 0);
    EXPECT_NOTES("recv:4 sleep:COIL_ECANCELED");
}

/* ---- sending ------------------------------------------------------------------------------------ */

enum {
    MEGABYTES = 8 << 20
};

COIL_ASYNC(reads_slowly, (int, fd))
{
    static char buffer[100000];
    uint64_t sum = 0;
    size_t total = 0;
    for (;;) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(fd, buffer, sizeof buffer));
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            sum += (unsigned char)buffer[i] * (uint64_t)(total + (size_t)i + 1);
        total += (size_t)got;
        COIL_TRY(coil_sleep(0));
    }
    EXPECT_INT((long long)total, MEGABYTES);
    coil_return((int64_t)sum);
}

COIL_ASYNC0(sends_much)
{
    int ends[2];
    char *data = malloc(MEGABYTES);
    uint64_t sum = 0;
    coil_value value;
    for (int i = 0; i < MEGABYTES; i++) {
        data[i] = (char)(i * 31 + i / 4096);
        sum += (unsigned char)data[i] * (uint64_t)(i + 1);
    }
    pair(ends);
    coil_task *reader = coil_create_task(reads_slowly(ends[0]));
    COIL_TRY(coil_sock_sendall(ends[1], data, MEGABYTES));
    coil_sock_close(ends[1]);
    COIL_TRY(coil_await(reader, &value));
    EXPECT_INT(value.integer, (int64_t)sum);
    coil_unref(reader);
    coil_sock_close(ends[0]);
    free(data);
    return 0;
}

TEST(eight_megabytes_go_through_to_a_slow_reader)
{
    /* sendall waits whenever the buffers are full, and every byte arrives in its place. */
    EXPECT_RUN_REAL(sends_much(), 0);
}

COIL_ASYNC(sends, (int, fd))
{
    static char data[4 << 20];
    return coil_sock_sendall(fd, data, sizeof data);
}

COIL_ASYNC0(sends_to_nobody)
{
    int ends[2];
    pair(ends);
    coil_sock_close(ends[1]);
    EXPECT_INT(coil_sock_sendall(ends[0], "x", 1), -EPIPE);
    EXPECT_INT(coil_sock_sendall(ends[0], "", 0), 0);
    coil_sock_close(ends[0]);
    EXPECT_INT(coil_sock_sendall(-1, "x", 1), -EBADF);

    pair(ends);
    coil_task *task = coil_create_task(sends(ends[0]));
    COIL_TRY(coil_sleep(0));
    EXPECT(!coil_future_done(task));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    close_pair(ends);
    return 0;
}

TEST(sending_to_a_closed_peer_is_an_error_and_no_signal)
{
    /* SIGPIPE would end the program. A sender that waits can be cancelled. */
    EXPECT_RUN_REAL(sends_to_nobody(), 0);
}

COIL_ASYNC0(is_reset)
{
    struct sockaddr_in address;
    struct linger at_once = { 1, 0 };
    int server = listener(&address), fd = stream(), client;
    COIL_TRY(coil_sock_connect(fd, generic(&address), sizeof address));
    COIL_TRY(client = coil_sock_accept(server, NULL, NULL));
    coil_task *task = coil_create_task(receives(client, "reset"));
    COIL_TRY(coil_sleep(0));
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    coil_sock_close(fd);
    EXPECT_INT(coil_await(task, NULL), -ECONNRESET);
    coil_unref(task);
    coil_sock_close(client);
    coil_sock_close(server);
    return 0;
}

TEST(reset_by_the_peer_is_an_error)
{
    /* Not an end of the stream. */
    EXPECT_RUN_REAL(is_reset(), 0);
    EXPECT_NOTES("reset:ECONNRESET!");
}

/* ---- datagrams ---------------------------------------------------------------------------------- */

COIL_ASYNC(echoes, (int, fd))
{
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    char text[32];
    ssize_t got;
    COIL_TRY(got = coil_sock_recvfrom(fd, text, sizeof text, (struct sockaddr *)&peer, &length));
    EXPECT_INT(length, sizeof peer);
    COIL_TRY(coil_sock_sendto(fd, text, (size_t)got, generic(&peer), length));
    return 0;
}

COIL_ASYNC0(sends_datagrams)
{
    struct sockaddr_in one, two, from;
    socklen_t length = sizeof from;
    int a = bound(SOCK_DGRAM, &one), b = bound(SOCK_DGRAM, &two);
    char text[4];
    coil_task *task = coil_create_task(echoes(b));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_sock_sendto(a, "datagram", 8, generic(&two), sizeof two), 8);
    EXPECT_INT(coil_sock_recvfrom(a, text, sizeof text, (struct sockaddr *)&from, &length), 4);
    EXPECT_INT(memcmp(text, "data", 4), 0);
    EXPECT_INT(from.sin_port, two.sin_port);
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);

    EXPECT(connect(a, generic(&two), sizeof two) == 0);
    EXPECT_INT(coil_sock_sendto(a, "", 0, NULL, 0), 0);
    EXPECT_INT(coil_sock_recvfrom(b, text, sizeof text, NULL, NULL), 0);
    char *huge = calloc(1, 70000);
    EXPECT_INT(coil_sock_sendto(a, huge, 70000, NULL, 0), -EMSGSIZE);
    free(huge);
    coil_sock_close(a);
    coil_sock_close(b);
    return 0;
}

TEST(datagrams_keep_their_borders)
{
    /* What does not fit is dropped; an empty one is a datagram, too; one that is too large fails. */
    EXPECT_RUN_REAL(sends_datagrams(), 0);
}

COIL_ASYNC(receives_datagram, (int, fd))
{
    char text[8];
    return (int)coil_sock_recvfrom(fd, text, sizeof text, NULL, NULL);
}

COIL_ASYNC0(cancels_recvfrom)
{
    struct sockaddr_in address;
    int fd = bound(SOCK_DGRAM, &address);
    char text[8];
    coil_task *task = coil_create_task(receives_datagram(fd));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_sock_sendto(fd, "kept", 4, generic(&address), sizeof address), 4);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_sock_recvfrom(fd, text, sizeof text, NULL, NULL), 4);
    coil_unref(task);
    coil_sock_close(fd);
    return 0;
}

TEST(cancelled_recvfrom_leaves_the_datagram)
{
    /* It was not received: the next one gets it. */
    EXPECT_RUN_REAL(cancels_recvfrom(), 0);
}

/* ---- closing ------------------------------------------------------------------------------------ */

COIL_ASYNC0(closes_under_waiters)
{
    int ends[2];
    struct sockaddr_in address;
    int server = listener(&address);
    pair(ends);
    coil_task *tasks[] = { coil_create_task(receives(ends[0], "one")),
                           coil_create_task(receives(ends[0], "two")),
                           coil_create_task(sends(ends[0])), coil_create_task(accepts(server)),
                           coil_create_task(receives(ends[1], "other")) };
    COIL_TRY(coil_sleep(0));
    coil_sock_close(ends[0]);
    coil_sock_close(server);
    coil_sock_close(-1);
    for (int i = 0; i < 4; i++) {
        EXPECT_INT(coil_await(tasks[i], NULL), COIL_ECLOSED);
        EXPECT_INT(coil_task_cancelling(tasks[i]), 0);
    }
    EXPECT(fcntl(ends[0], F_GETFD) < 0);
    (void)coil_wait(&tasks[4], 1, 1, COIL_ALL_COMPLETED);
    EXPECT(coil_future_done(tasks[4]));
    (void)coil_future_result(tasks[4], NULL);
    for (int i = 0; i < 5; i++)
        coil_unref(tasks[i]);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(close_ends_the_calls_that_wait_on_the_descriptor)
{
    /* All of them, in both directions; none is cancelled, none hangs. */
    EXPECT_RUN_REAL(closes_under_waiters(), 0);
    EXPECT(strstr(notes_, "one:COIL_ECLOSED! two:COIL_ECLOSED!") != NULL);
    notes_[0] = '\0';
}

COIL_ASYNC(reuses_a_number, (bool, plainly))
{
    int ends[2], again[2];
    for (int i = 0; i < 20; i++) {
        pair(ends);
        int number = ends[0];
        coil_task *task = coil_create_task(receives(number, "r"));
        COIL_TRY(coil_sleep(0));
        coil_task_cancel(task, NULL);
        EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
        coil_unref(task);
        if (plainly) { /* allowed: no call waits on them */
            close(ends[0]);
            close(ends[1]);
        } else {
            close_pair(ends);
        }

        pair(again);
        EXPECT_INT(again[0], number);
        task = coil_create_task(receives(again[0], "r"));
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_sock_sendall(again[1], "z", 1));
        EXPECT_INT(coil_await(task, NULL), 0);
        coil_unref(task);
        close_pair(again);
        EXPECT_NOTES("r:COIL_ECANCELED! r:z");
    }
    return 0;
}

TEST(number_that_is_used_again_is_a_new_descriptor)
{
    /* What the backend remembered of the old one must not matter, however it was closed. */
    EXPECT_RUN_REAL(reuses_a_number(false), 0);
    EXPECT_RUN_REAL(reuses_a_number(true), 0);
}

/* A descriptor with a receive that was just taken back is closed: with io_uring the kernel works then, and
 * what another call waits for may happen on the way, before anything can take that back. */
static int let_the_kernel_work(void)
{
    int ends[2];
    pair(ends);
    coil_task *task = coil_create_task(receives(ends[0], "-"));
    COIL_TRY(coil_sleep(0.001));
    coil_task_cancel(task, NULL);
    coil_sock_close(ends[0]);
    int rc = coil_await(task, NULL);
    EXPECT_INT(rc, COIL_ECANCELED);
    coil_unref(task);
    coil_sock_close(ends[1]);
    notes_[0] = '\0';
    return 0;
}

COIL_ASYNC(accepts_or_is_closed, (int, fd))
{
    int client = coil_sock_accept(fd, NULL, NULL);
    if (client < 0)
        return client;
    coil_sock_close(client);
    return 0;
}

COIL_ASYNC(interferes_late, (int, how))
{
    int ends[2], clients[2] = { stream(), stream() };
    struct sockaddr_in address;
    int server = listener(&address);
    bool received = false;
    char rest[8];
    pair(ends);
    coil_task *receiver = coil_create_task(receives_then_waits(ends[0], &received));
    coil_task *acceptor = coil_create_task(accepts_or_is_closed(server));
    COIL_TRY(coil_sleep(0.001));
    COIL_TRY(coil_sock_sendall(ends[1], "data", 4));
    EXPECT(connect(clients[0], generic(&address), sizeof address) < 0 && errno == EINPROGRESS);
    COIL_TRY(let_the_kernel_work());
    if (how == 0)
        coil_sock_close(server);
    else
        coil_task_cancel(acceptor, NULL);
    coil_task_cancel(receiver, NULL);
    int rc = coil_await(acceptor, NULL);
    EXPECT(rc == 0 || rc == (how == 0 ? COIL_ECLOSED : COIL_ECANCELED));
    EXPECT_INT(coil_await(receiver, NULL), COIL_ECANCELED);
    EXPECT_INT(recv(ends[0], rest, sizeof rest, MSG_DONTWAIT), received ? -1 : 4);
    notes_[0] = '\0';
    coil_unref(receiver);
    coil_unref(acceptor);
    close_pair(ends);
    close_pair(clients);
    if (how != 0)
        coil_sock_close(server);
    return 0;
}

TEST(what_happens_before_it_can_be_taken_back_is_not_lost)
{
    /* Neither bytes nor descriptors, whoever takes back: a cancellation or a close. */
    int before = dup(0);
    EXPECT_RUN_REAL(interferes_late(0), 0);
    EXPECT_RUN_REAL(interferes_late(1), 0);
    int after = dup(0);
    (void)close(before);
    (void)close(after);
    EXPECT_INT(after, before + 1);
}

/* ---- outside tasks ------------------------------------------------------------------------------ */

TEST(waiting_calls_need_a_task)
{
    /* Before anything is read or sent. */
    int ends[2];
    char byte;
    struct sockaddr_in address = loopback(htons(9));
    pair(ends);
    EXPECT(write(ends[1], "x", 1) == 1);
    EXPECT_INT(coil_sock_recv(ends[0], &byte, 1), COIL_ENOTASK);
    EXPECT_INT(coil_sock_recvfrom(ends[0], &byte, 1, NULL, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_sock_sendall(ends[0], "x", 1), COIL_ENOTASK);
    EXPECT_INT(coil_sock_sendto(ends[0], "x", 1, NULL, 0), COIL_ENOTASK);
    EXPECT_INT(coil_sock_accept(ends[0], NULL, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_sock_connect(ends[0], generic(&address), sizeof address), COIL_ENOTASK);
    EXPECT(read(ends[0], &byte, 1) == 1);
    close_pair(ends); /* works without a loop, too */
    EXPECT(fcntl(ends[0], F_GETFD) < 0);
}

TESTS_MAIN(RUN(connection_is_made_used_and_ended), RUN(refused_connection_and_blocking_socket_fail),
           RUN(cancelled_accept_loses_no_connection), RUN(several_tasks_accept_on_one_listener),
           RUN(receivers_on_one_descriptor_are_served_in_order),
           RUN(receive_that_completed_and_was_cancelled_loses_nothing),
           RUN(eight_megabytes_go_through_to_a_slow_reader),
           RUN(sending_to_a_closed_peer_is_an_error_and_no_signal),
           RUN(reset_by_the_peer_is_an_error), RUN(datagrams_keep_their_borders),
           RUN(cancelled_recvfrom_leaves_the_datagram),
           RUN(close_ends_the_calls_that_wait_on_the_descriptor),
           RUN(number_that_is_used_again_is_a_new_descriptor),
           RUN(what_happens_before_it_can_be_taken_back_is_not_lost),
           RUN(waiting_calls_need_a_task))
