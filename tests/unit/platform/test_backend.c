/* What every backend promises. All tests run once for each backend, on real descriptors: the kernel
 * is the subject here. */
#define _GNU_SOURCE 1 /* pipe2 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <coil/testing.h>

#include "platform/backend.h"
#include "platform/backend_try.h"
#include "platform/clock.h"

enum {
    MAX_COMPLETIONS = 1024,
    LARGE_BYTES = 16 << 20,   /* more than any socket buffer takes at once */
    MANY = 300,               /* descriptors; more than one batch of events */
    PATIENCE_NS = 1000000000, /* one wait of those that are expected to see something */
    PATIENCE_ROUNDS = 20,
    WATCHDOG_S = 120,
};

static const struct coil__backend_ops *under_test;

/* One per test. */
static struct coil__backend *backend;
static struct coil__op *completed[MAX_COMPLETIONS];
static int completed_count;

/* What a `done` does besides taking notes. */
struct script {
    struct coil__op op; /* first: a script is found by its operation */
    void (*then)(struct script *script);
    struct coil__op *victim;
    int rc;
    int64_t seen;
};

/* ---- helpers --------------------------------------------------------------------------------- */

static int submit(struct coil__op *op)
{
    return backend->ops->submit(backend, op);
}

static int cancel(struct coil__op *op)
{
    return backend->ops->cancel(backend, op);
}

static int wait_ns(int64_t timeout_ns)
{
    return backend->ops->wait(backend, timeout_ns);
}

static size_t pending(void)
{
    return backend->ops->pending(backend);
}

static void note(struct coil__op *op)
{
    assert_false(op->pending);
    assert_in_range(completed_count, 0, MAX_COMPLETIONS - 1);
    completed[completed_count++] = op;
}

static void note_and_then(struct coil__op *op)
{
    struct script *script = (struct script *)op;
    note(op);
    script->then(script);
}

static bool has_completed(const struct coil__op *op)
{
    for (int i = 0; i < completed_count; i++)
        if (completed[i] == op)
            return true;
    return false;
}

/* Waits until the operation is over, and gives its result. */
static int64_t result_of(struct coil__op *op)
{
    for (int round = 0; !has_completed(op) && round < PATIENCE_ROUNDS; round++)
        assert_int_equal(wait_ns(PATIENCE_NS), 0);
    assert_true(has_completed(op));
    return op->result;
}

/* Whatever the backend would complete now, it has completed. */
static void settle(void)
{
    for (int round = 0; round < 3; round++)
        assert_int_equal(wait_ns(0), 0);
}

/* Garbage in the fields that are the backend's: it may not rely on them. */
static struct coil__op blank(uint8_t kind, int fd)
{
    struct coil__op op;
    memset(&op, 0xa5, sizeof(op));
    op.kind = kind;
    op.fd = fd;
    op.pending = true;
    op.started = true;
    op.nonblocking = true;
    op.done = note;
    return op;
}

static struct coil__op io_op(uint8_t kind, int fd, const void *data, size_t bytes)
{
    struct coil__op op = blank(kind, fd);
    op.io.data = (void *)(uintptr_t)data;
    op.io.bytes = bytes;
    op.io.flags = 0;
    return op;
}

static struct coil__op msg_op(uint8_t kind, int fd, struct msghdr *header)
{
    struct coil__op op = blank(kind, fd);
    op.msg.header = header;
    op.msg.flags = 0;
    return op;
}

static struct coil__op accept_op(int fd)
{
    struct coil__op op = blank(COIL__OP_ACCEPT, fd);
    op.accept.address = NULL;
    op.accept.length = NULL;
    return op;
}

static struct coil__op connect_op(int fd, const struct sockaddr_in *address)
{
    struct coil__op op = blank(COIL__OP_CONNECT, fd);
    op.connect.address = (const struct sockaddr *)address;
    op.connect.length = sizeof(*address);
    return op;
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void make_pipe(int fds[2], int flags)
{
    assert_int_equal(pipe2(fds, flags | O_CLOEXEC), 0);
}

static void close_both(const int fds[2])
{
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int bound_socket(int type, struct sockaddr_in *address_out)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *address_out = address;
    return fd;
}

static int listener(int flags, int backlog, struct sockaddr_in *address_out)
{
    int fd = bound_socket(SOCK_STREAM | flags, address_out);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static int tcp_socket(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    assert_true(fd >= 0);
    return fd;
}

/* Writes until the descriptor takes no more. */
static void fill(int fd)
{
    static const char chunk[65536];
    while (write(fd, chunk, sizeof(chunk)) > 0 || write(fd, chunk, 1) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
}

static void drain(int fd)
{
    static char chunk[65536];
    while (read(fd, chunk, sizeof(chunk)) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
}

static int ignore_sigpipe(void **state)
{
    (void)state;
    return signal(SIGPIPE, SIG_IGN) == SIG_ERR;
}

static int set_up(void **state)
{
    (void)state;
    completed_count = 0;
    backend = NULL;
    return under_test->open(&backend);
}

static int tear_down(void **state)
{
    (void)state;
    if (pending() > 0)
        return -1; /* the test has failed half-way, and its frame with the operations is gone */
    backend->ops->close(backend);
    return 0;
}

/* ---- a helper thread that acts once its creator is asleep in the kernel ---------------------- */

struct disturber {
    pthread_t thread;
    pthread_t target;
    pid_t target_tid;
    void (*act)(struct disturber *disturber);
    int fd;
};

static char state_of_thread(pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return '?';
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *after_name = strrchr(text, ')');
    return after_name != NULL ? after_name[2] : '?';
}

static void *disturb(void *arg)
{
    struct disturber *disturber = arg;
    struct pollfd nobody = { .fd = -1 };
    while (state_of_thread(disturber->target_tid) != 'S')
        poll(&nobody, 1, 1);
    disturber->act(disturber);
    return NULL;
}

/* Call it last before the wait, as other sleeps would do, too. */
static void disturb_when_asleep(struct disturber *disturber, void (*act)(struct disturber *))
{
    disturber->target = pthread_self();
    disturber->target_tid = (pid_t)syscall(SYS_gettid);
    disturber->act = act;
    assert_int_equal(pthread_create(&disturber->thread, NULL, disturb, disturber), 0);
}

static void act_wake(struct disturber *disturber)
{
    (void)disturber;
    backend->ops->wake(backend);
}

static void act_signal(struct disturber *disturber)
{
    pthread_kill(disturber->target, SIGUSR1);
}

static void act_write(struct disturber *disturber)
{
    ssize_t n = write(disturber->fd, "x", 1);
    (void)n;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The life of most operations: nothing there yet, wait, done. */
static void recv_completes_after_data_arrives(void **state)
{
    (void)state;
    char data[8] = { 0 };
    int fds[2];
    make_pair(fds);

    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_true(op.pending);
    assert_int_equal(pending(), 1);
    settle();
    assert_int_equal(completed_count, 0);

    put(fds[1], "hello");
    assert_int_equal(result_of(&op), 5);
    assert_string_equal(data, "hello");
    assert_int_equal(pending(), 0);
    close_both(fds);
}

static void recv_ends_a_wait_that_sleeps(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);

    struct disturber disturber = { .fd = fds[1] };
    disturb_when_asleep(&disturber, act_write);
    assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    assert_true(has_completed(&op));
    assert_int_equal(op.result, 1);

    pthread_join(disturber.thread, NULL);
    close_both(fds);
}

/* No trip through the loop where none is needed. */
static void recv_of_waiting_data_is_ready_at_once(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    put(fds[1], "abc");

    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_int_equal(op.result, 3);
    assert_false(op.pending);
    assert_int_equal(pending(), 0);
    settle();
    assert_int_equal(completed_count, 0);
    close_both(fds);
}

/* A blocking socket must not hang the loop. */
static void recv_and_send_on_blocking_sockets_do_not_block(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    char *large = calloc(1, LARGE_BYTES);
    assert_non_null(large);

    struct coil__op recv_op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    struct coil__op send_op = io_op(COIL__OP_SEND, fds[0], large, LARGE_BYTES);
    assert_int_equal(submit(&recv_op), COIL__OP_PENDING);
    assert_int_equal(submit(&send_op), COIL__OP_READY);
    assert_in_range(send_op.result, 1, LARGE_BYTES - 1);
    assert_int_equal(cancel(&recv_op), COIL__OP_GONE);

    struct iovec part = { .iov_base = large, .iov_len = LARGE_BYTES };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    struct coil__op recvmsg_op = msg_op(COIL__OP_RECVMSG, fds[0], &header);
    struct coil__op sendmsg_op = msg_op(COIL__OP_SENDMSG, fds[0], &header);
    assert_int_equal(submit(&recvmsg_op), COIL__OP_PENDING);
    assert_int_equal(submit(&sendmsg_op), COIL__OP_PENDING); /* the socket is full */
    settle();
    assert_int_equal(completed_count, 0);
    assert_int_equal(cancel(&recvmsg_op), COIL__OP_GONE);
    assert_int_equal(cancel(&sendmsg_op), COIL__OP_GONE);

    free(large);
    close_both(fds);
}

/* As Python's sock.recv(0): not even an empty read of the socket, which could block. */
static void empty_recv_completes_at_once_and_takes_nothing(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);

    struct coil__op waiting = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    struct coil__op empty = io_op(COIL__OP_RECV, fds[0], data, 0);
    assert_int_equal(submit(&empty), COIL__OP_READY);
    assert_int_equal(empty.result, 0);
    assert_int_equal(submit(&waiting), COIL__OP_PENDING);
    put(fds[1], "one");
    assert_int_equal(submit(&empty), COIL__OP_READY);
    assert_int_equal(empty.result, 0);
    assert_int_equal(result_of(&waiting), 3);
    close_both(fds);
}

/* One message each: whoever came first gets the first. */
static void two_readers_are_served_in_order(void **state)
{
    (void)state;
    char first[8] = { 0 }, second[8] = { 0 };
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);

    struct coil__op a = io_op(COIL__OP_RECV, fds[0], first, sizeof(first));
    struct coil__op b = io_op(COIL__OP_RECV, fds[0], second, sizeof(second));
    assert_int_equal(submit(&a), COIL__OP_PENDING);
    assert_int_equal(submit(&b), COIL__OP_PENDING);
    put(fds[1], "1");
    assert_int_equal(result_of(&a), 1);
    settle();
    assert_false(has_completed(&b));
    put(fds[1], "2");
    assert_int_equal(result_of(&b), 1);
    assert_string_equal(first, "1");
    assert_string_equal(second, "2");
    close_both(fds);
}

/* Data that comes between two submits belongs to the one that already waits. */
static void newcomer_does_not_overtake_who_waits(void **state)
{
    (void)state;
    char first[8] = { 0 }, second[8] = { 0 };
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);

    struct coil__op a = io_op(COIL__OP_RECV, fds[0], first, sizeof(first));
    struct coil__op b = io_op(COIL__OP_RECV, fds[0], second, sizeof(second));
    assert_int_equal(submit(&a), COIL__OP_PENDING);
    put(fds[1], "1");
    put(fds[1], "2");
    assert_int_equal(submit(&b), COIL__OP_PENDING);
    assert_int_equal(result_of(&b), 1);
    assert_int_equal(completed_count, 2);
    assert_ptr_equal(completed[0], &a);
    assert_string_equal(first, "1");
    assert_string_equal(second, "2");
    close_both(fds);
}

/* The end of a stream is 0, also where the kernel says it by EPOLLHUP alone. */
static void hangup_of_a_pipe_wakes_the_reader_with_zero(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pipe(fds, O_NONBLOCK);
    struct coil__op op = io_op(COIL__OP_READ, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(result_of(&op), 0);
    assert_int_equal(close(fds[0]), 0);
}

static void shutdown_of_the_peer_wakes_the_receiver_with_zero(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(result_of(&op), 0);
    close_both(fds);
}

/* Standard input is often a blocking pipe shared with others, whose mode is not ours to change. */
static void read_on_a_blocking_pipe_does_not_block(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pipe(fds, 0);
    struct coil__op op = io_op(COIL__OP_READ, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    settle();
    assert_int_equal(completed_count, 0);
    put(fds[1], "abc");
    assert_int_equal(result_of(&op), 3);
    close_both(fds);
}

/* Files have no readiness, and epoll refuses them. */
static void regular_file_reads_and_writes_at_once(void **state)
{
    (void)state;
    char data[8] = { 0 };
    char path[] = "/tmp/coil-backend-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    char *large = calloc(1, LARGE_BYTES);
    assert_non_null(large);
    memcpy(large, "file", 4);

    struct coil__op write_op = io_op(COIL__OP_WRITE, fd, large, LARGE_BYTES);
    assert_int_equal(submit(&write_op), COIL__OP_READY);
    /* The cut to PIPE_BUF is for blocking pipes, not for files. */
    assert_int_equal(write_op.result, LARGE_BYTES);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct coil__op read_op = io_op(COIL__OP_READ, fd, data, 4);
    assert_int_equal(submit(&read_op), COIL__OP_READY);
    assert_int_equal(read_op.result, 4);
    assert_string_equal(data, "file");

    free(large);
    close(fd);
}

/* ---- readiness ------------------------------------------------------------------------------- */

/* add_reader's callback runs from the loop, never from inside add_reader. */
static void readiness_is_reported_by_wait_only(void **state)
{
    (void)state;
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");

    struct coil__op readable = blank(COIL__OP_READABLE, fds[0]);
    struct coil__op writable = blank(COIL__OP_WRITABLE, fds[0]);
    assert_int_equal(submit(&writable), COIL__OP_PENDING);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(completed_count, 0);
    assert_int_equal(wait_ns(0), 0);
    assert_int_equal(completed_count, 2);
    assert_ptr_equal(completed[0], &readable); /* the read side goes first */
    assert_ptr_equal(completed[1], &writable);
    assert_int_equal(readable.result, 0);
    assert_int_equal(writable.result, 0);
    close_both(fds);
}

static void readable_waits_for_data_and_writable_for_room(void **state)
{
    (void)state;
    int fds[2];
    make_pair(fds);
    fill(fds[0]);
    struct coil__op readable = blank(COIL__OP_READABLE, fds[0]);
    struct coil__op writable = blank(COIL__OP_WRITABLE, fds[0]);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(submit(&writable), COIL__OP_PENDING);
    settle();
    assert_int_equal(completed_count, 0);

    drain(fds[1]);
    assert_int_equal(result_of(&writable), 0);
    assert_false(has_completed(&readable));
    put(fds[1], "x");
    assert_int_equal(result_of(&readable), 0);
    close_both(fds);
}

static void files_are_always_ready_but_say_so_in_wait(void **state)
{
    (void)state;
    char data[8];
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* the higher one: poll goes by number */
    assert_true(fd >= 0 && other >= 0);

    struct coil__op readable = blank(COIL__OP_READABLE, fd);
    struct coil__op behind = io_op(COIL__OP_READ, fd, data, sizeof(data));
    struct coil__op writable = blank(COIL__OP_WRITABLE, other);
    assert_int_equal(submit(&writable), COIL__OP_PENDING);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(submit(&behind), COIL__OP_PENDING); /* first in, first out */
    assert_int_equal(completed_count, 0);
    assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    assert_int_equal(completed_count, 3);
    assert_ptr_equal(completed[0], &writable);
    assert_ptr_equal(completed[1], &readable);
    assert_ptr_equal(completed[2], &behind);
    assert_int_equal(behind.result, 0);
    close(fd);
    close(other);
}

static void cancelled_question_about_a_file_is_not_answered(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct coil__op readable = blank(COIL__OP_READABLE, fd);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(cancel(&readable), COIL__OP_GONE);
    settle();
    assert_int_equal(completed_count, 0);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(result_of(&readable), 0);
    close(fd);
}

static void ask_again(struct script *script)
{
    if (completed_count < 3)
        script->rc = submit(&script->op);
}

/* add_reader asks again from `done`. One answer a wait, or other descriptors starve. */
static void question_asked_again_in_done_is_for_the_next_wait(void **state)
{
    (void)state;
    int files[2] = { -1, open("/dev/null", O_RDWR | O_CLOEXEC) };
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    files[0] = fds[0];

    for (int i = 0; i < 2; i++) {
        struct script script = { .op = blank(COIL__OP_READABLE, files[i]), .then = ask_again };
        script.op.done = note_and_then;
        completed_count = 0;
        assert_int_equal(submit(&script.op), COIL__OP_PENDING);
        for (int expected = 1; expected <= 3; expected++) {
            assert_int_equal(wait_ns(PATIENCE_NS), 0);
            assert_int_equal(completed_count, expected);
            assert_int_equal(script.rc, COIL__OP_PENDING);
        }
        assert_int_equal(pending(), 0);
    }
    close(files[1]);
    close_both(fds);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* What fits goes out; the rest waits for the peer to read. */
static void large_send_is_short_and_then_waits(void **state)
{
    (void)state;
    int fds[2];
    make_pair(fds);
    char *large = calloc(1, LARGE_BYTES);
    assert_non_null(large);

    struct coil__op op = io_op(COIL__OP_SEND, fds[0], large, LARGE_BYTES);
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_in_range(op.result, 1, LARGE_BYTES - 1);
    while (submit(&op) == COIL__OP_READY)
        assert_in_range(op.result, 1, LARGE_BYTES - 1);
    settle();
    assert_int_equal(completed_count, 0);
    drain(fds[1]);
    assert_in_range(result_of(&op), 1, LARGE_BYTES - 1);

    free(large);
    close_both(fds);
}

/* write(2) of more than fits would stay in the kernel until the last byte is in. */
static void large_write_to_a_blocking_pipe_does_not_block(void **state)
{
    (void)state;
    int fds[2];
    make_pipe(fds, 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    char *large = calloc(1, LARGE_BYTES);
    assert_non_null(large);

    struct coil__op op = io_op(COIL__OP_WRITE, fds[1], large, LARGE_BYTES);
    int64_t written = 0;
    while (submit(&op) == COIL__OP_READY) {
        assert_in_range(op.result, 1, PIPE_BUF);
        written += op.result;
    }
    assert_true(op.pending);
    assert_int_equal(written, fcntl(fds[1], F_GETPIPE_SZ));
    drain(fds[0]);
    assert_in_range(result_of(&op), 1, PIPE_BUF);

    free(large);
    close_both(fds);
}

static void write_to_a_nonblocking_pipe_takes_all_that_fits(void **state)
{
    (void)state;
    int fds[2];
    make_pipe(fds, O_NONBLOCK);
    char *large = calloc(1, LARGE_BYTES);
    assert_non_null(large);
    struct coil__op op = io_op(COIL__OP_WRITE, fds[1], large, LARGE_BYTES);
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_int_equal(op.result, fcntl(fds[1], F_GETPIPE_SZ));
    free(large);
    close_both(fds);
}

/* The kernel says it by EPOLLERR alone. */
static void writer_learns_that_the_reader_is_gone(void **state)
{
    (void)state;
    int fds[2];
    make_pipe(fds, O_NONBLOCK);
    fill(fds[1]);
    struct coil__op op = io_op(COIL__OP_WRITE, fds[1], "x", 1);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(result_of(&op), -EPIPE);
    assert_int_equal(close(fds[1]), 0);
}

static atomic_int signals_seen;

static void count_signal(int signal_number)
{
    (void)signal_number;
    signals_seen++;
}

/* A peer that hangs up must not kill the process. */
static void send_to_a_closed_peer_is_epipe_without_a_signal(void **state)
{
    (void)state;
    int fds[2];
    make_pair(fds);
    assert_int_equal(close(fds[1]), 0);
    signals_seen = 0;
    assert_true(signal(SIGPIPE, count_signal) != SIG_ERR);

    struct coil__op op = io_op(COIL__OP_SEND, fds[0], "x", 1);
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_int_equal(op.result, -EPIPE);
    struct iovec part = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    struct coil__op sendmsg_op = msg_op(COIL__OP_SENDMSG, fds[0], &header);
    assert_int_equal(submit(&sendmsg_op), COIL__OP_READY);
    assert_int_equal(sendmsg_op.result, -EPIPE);
    assert_int_equal(signals_seen, 0);

    /* A pipe raises the signal whatever one asks for: it is taken back, and only that. */
    int ends[2];
    make_pipe(ends, O_NONBLOCK);
    assert_int_equal(close(ends[0]), 0);
    struct coil__op write_op = io_op(COIL__OP_WRITE, ends[1], "x", 1);
    assert_int_equal(submit(&write_op), COIL__OP_READY);
    assert_int_equal(write_op.result, -EPIPE);
    assert_int_equal(signals_seen, 0);
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &sigpipe, NULL), 0);
    raise(SIGPIPE);
    assert_int_equal(submit(&write_op), COIL__OP_READY);
    assert_int_equal(write_op.result, -EPIPE);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL), 0);
    assert_int_equal(signals_seen, 1);
    assert_int_equal(close(ends[1]), 0);

    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(close(fds[0]), 0);
}

/* A protocol reads and writes one socket at the same time. */
static void both_directions_wait_on_one_descriptor(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    fill(fds[0]);
    struct coil__op recv_op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    struct coil__op send_op = io_op(COIL__OP_SEND, fds[0], "x", 1);
    assert_int_equal(submit(&recv_op), COIL__OP_PENDING);
    assert_int_equal(submit(&send_op), COIL__OP_PENDING);

    put(fds[1], "abc");
    assert_int_equal(result_of(&recv_op), 3);
    settle();
    assert_false(has_completed(&send_op));
    assert_int_equal(submit(&recv_op), COIL__OP_PENDING);
    drain(fds[1]);
    assert_int_equal(result_of(&send_op), 1);
    assert_true(recv_op.pending); /* the event of the one side leaves the other waiting ... */
    completed_count = 0;
    put(fds[1], "de");
    assert_int_equal(result_of(&recv_op), 2); /* ... and heard */
    close_both(fds);
}

static void datagrams_go_out_and_come_in_with_their_address(void **state)
{
    (void)state;
    struct sockaddr_in here, there, from;
    int receiver = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK, &here);
    int sender = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK, &there);
    char data[16] = { 0 };
    struct iovec in = { .iov_base = data, .iov_len = sizeof(data) };
    struct iovec out[2] = { { .iov_base = (char[]){ "data" }, .iov_len = 4 },
                            { .iov_base = (char[]){ "gram" }, .iov_len = 4 } };
    struct msghdr in_header = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &in, .msg_iovlen = 1
    };
    struct msghdr out_header = {
        .msg_name = &here, .msg_namelen = sizeof(here), .msg_iov = out, .msg_iovlen = 2
    };
    struct coil__op recv_op = msg_op(COIL__OP_RECVMSG, receiver, &in_header);
    struct coil__op send_op = msg_op(COIL__OP_SENDMSG, sender, &out_header);

    assert_int_equal(submit(&recv_op), COIL__OP_PENDING);
    assert_int_equal(submit(&send_op), COIL__OP_READY);
    assert_int_equal(send_op.result, 8);
    assert_int_equal(result_of(&recv_op), 8);
    assert_string_equal(data, "datagram");
    assert_int_equal(in_header.msg_namelen, sizeof(from));
    assert_int_equal(from.sin_port, there.sin_port);
    close(receiver);
    close(sender);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void accept_gives_a_nonblocking_cloexec_descriptor(void **state)
{
    (void)state;
    struct sockaddr_in address, peer = { 0 };
    socklen_t length = sizeof(peer);
    int server = listener(SOCK_NONBLOCK, 8, &address);
    struct coil__op op = accept_op(server);
    op.accept.address = (struct sockaddr *)&peer;
    op.accept.length = &length;
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    settle();
    assert_int_equal(completed_count, 0);

    int client = tcp_socket(0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    int fd = (int)result_of(&op);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    struct sockaddr_in local;
    length = sizeof(local);
    assert_int_equal(getsockname(client, (struct sockaddr *)&local, &length), 0);
    assert_int_equal(peer.sin_port, local.sin_port);
    close(fd);
    close(client);
    close(server);
}

static void accept_on_a_blocking_listener_does_not_block(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int server = listener(0, 8, &address);
    struct coil__op op = accept_op(server);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    int client = tcp_socket(0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    int fd = (int)result_of(&op);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    close(client);
    close(server);
}

static void connect_in_progress_completes(void **state)
{
    (void)state;
    struct sockaddr_in address, peer;
    socklen_t length = sizeof(peer);
    int server = listener(SOCK_NONBLOCK, 8, &address);
    int client = tcp_socket(SOCK_NONBLOCK);
    struct coil__op op = connect_op(client, &address);
    assert_int_equal(submit(&op), COIL__OP_PENDING); /* TCP never connects on the spot */
    assert_int_equal(result_of(&op), 0);
    assert_int_equal(getpeername(client, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(peer.sin_port, address.sin_port);
    close(client);
    close(server);
}

static void connect_without_a_listener_is_refused(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int holder = bound_socket(SOCK_STREAM, &address); /* keeps the port, and does not listen */
    int client = tcp_socket(SOCK_NONBLOCK);
    struct coil__op op = connect_op(client, &address);
    int rc = submit(&op);
    assert_true(rc == COIL__OP_PENDING || rc == COIL__OP_READY);
    assert_int_equal(rc == COIL__OP_READY ? op.result : result_of(&op), -ECONNREFUSED);
    close(client);
    close(holder);
}

/* SO_ERROR is 0 during the handshake, and an event may come for no reason. */
static void unfinished_connect_is_not_taken_for_success(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int server = listener(SOCK_NONBLOCK, 0, &address); /* one connection, and the queue is full */
    int first = tcp_socket(0);
    assert_int_equal(connect(first, (struct sockaddr *)&address, sizeof(address)), 0);

    int client = tcp_socket(SOCK_NONBLOCK);
    struct coil__op op = connect_op(client, &address);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    settle();
    assert_false(coil__op_try(&op));
    assert_int_equal(completed_count, 0);
    assert_int_equal(cancel(&op), COIL__OP_GONE);
    close(client);
    close(first);
    close(server);
}

static void connect_on_a_blocking_socket_is_einval(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int server = listener(SOCK_NONBLOCK, 8, &address);
    int client = tcp_socket(0);
    struct coil__op op = connect_op(client, &address);
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_int_equal(op.result, -EINVAL);
    close(client);
    close(server);
}

/* AF_UNIX has no connection in progress: EAGAIN is the answer, and must not become an endless
 * wait. */
static void unix_connect_to_a_full_backlog_is_eagain(void **state)
{
    (void)state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "coil-backend-%d", (int)getpid());
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server, 0), 0);

    int clients[2];
    int64_t results[2];
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct coil__op op = blank(COIL__OP_CONNECT, clients[i]);
        op.connect.address = (struct sockaddr *)&address;
        op.connect.length = sizeof(address);
        assert_int_equal(submit(&op), COIL__OP_READY);
        results[i] = op.result;
    }
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -EAGAIN);
    close_both(clients);
    close(server);
}

/* ---- cancelling, and what a `done` may do ---------------------------------------------------- */

/* The data stays for the next reader. */
static void cancel_takes_the_operation_back(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_int_equal(cancel(&op), COIL__OP_GONE);
    assert_false(op.pending);
    assert_int_equal(pending(), 0);
    put(fds[1], "abc");
    settle();
    assert_int_equal(completed_count, 0);
    assert_int_equal(submit(&op), COIL__OP_READY);
    assert_int_equal(op.result, 3);
    close_both(fds);
}

/* First, middle and last of a queue. */
static void cancel_leaves_the_rest_of_the_queue_in_order(void **state)
{
    (void)state;
    enum {
        READERS = 5
    };
    char data[READERS][8];
    struct coil__op ops[READERS];
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < READERS; i++) {
        ops[i] = io_op(COIL__OP_RECV, fds[0], data[i], sizeof(data[i]));
        assert_int_equal(submit(&ops[i]), COIL__OP_PENDING);
    }
    assert_int_equal(cancel(&ops[4]), COIL__OP_GONE);
    assert_int_equal(cancel(&ops[0]), COIL__OP_GONE);
    assert_int_equal(cancel(&ops[2]), COIL__OP_GONE);
    assert_int_equal(submit(&ops[0]), COIL__OP_PENDING);
    assert_int_equal(pending(), 3);
    for (int i = 0; i < 3; i++)
        put(fds[1], "x");
    result_of(&ops[0]);
    assert_int_equal(completed_count, 3);
    assert_ptr_equal(completed[0], &ops[1]);
    assert_ptr_equal(completed[1], &ops[3]);
    assert_ptr_equal(completed[2], &ops[0]);
    close_both(fds);
}

static void cancel_victim(struct script *script)
{
    if (script->victim->pending)
        script->rc = cancel(script->victim);
}

/* The kernel has reported both already: the stale report must not reach the cancelled one. Where it has
 * received for both already, it is too late, and nothing may be lost. */
static void done_may_cancel_another_operation_of_the_same_batch(void **state)
{
    (void)state;
    char data[2][8];
    struct script scripts[2];
    int fds[2][2];
    for (int i = 0; i < 2; i++) {
        make_pair(fds[i]);
        scripts[i] = (struct script){ .op = io_op(COIL__OP_RECV, fds[i][0], data[i], 8),
                                      .then = cancel_victim,
                                      .victim = &scripts[1 - i].op,
                                      .rc = -1 };
        scripts[i].op.done = note_and_then;
        assert_int_equal(submit(&scripts[i].op), COIL__OP_PENDING);
    }
    put(fds[0][1], "x");
    put(fds[1][1], "y");
    settle();
    struct script *winner = (struct script *)completed[0];
    if (under_test == &coil__backend_uring) {
        assert_int_equal(winner->rc, COIL__OP_PENDING);
        assert_int_equal(completed_count, 2);
        assert_int_equal(winner->victim->result, 1);
    } else {
        assert_int_equal(winner->rc, COIL__OP_GONE);
        assert_int_equal(completed_count, 1);
    }
    assert_int_equal(pending(), 0);
    close_both(fds[0]);
    close_both(fds[1]);
}

/* The same, where both wait on one descriptor and side. */
static void done_may_cancel_its_successor_in_the_queue(void **state)
{
    (void)state;
    char data[3][8];
    struct script script;
    struct coil__op second, third;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    script = (struct script){ .op = io_op(COIL__OP_RECV, fds[0], data[0], 8),
                              .then = cancel_victim,
                              .victim = &second };
    script.op.done = note_and_then;
    second = io_op(COIL__OP_RECV, fds[0], data[1], 8);
    third = io_op(COIL__OP_RECV, fds[0], data[2], 8);
    assert_int_equal(submit(&script.op), COIL__OP_PENDING);
    assert_int_equal(submit(&second), COIL__OP_PENDING);
    assert_int_equal(submit(&third), COIL__OP_PENDING);
    put(fds[1], "1");
    put(fds[1], "2");
    result_of(&third);
    assert_int_equal(completed_count, 2);
    assert_ptr_equal(completed[0], &script.op);
    assert_memory_equal(data[2], "2", 1);
    close_both(fds);
}

static void replace_descriptor(struct script *script)
{
    /* Closes the other descriptor, already reported, and puts an idle pair in its place. */
    int idle[2];
    int number = script->victim->fd;
    if (!script->victim->pending)
        return;
    cancel(script->victim);
    make_pair(idle);
    script->seen = idle[1];
    assert_int_equal(close(number), 0);
    assert_int_equal(dup2(idle[0], number), number);
    assert_int_equal(close(idle[0]), 0);
    script->rc = submit(script->victim);
}

/* The report about the old file must not complete what waits for the new one. */
static void report_for_a_number_that_was_reused_in_the_batch_is_harmless(void **state)
{
    (void)state;
    char data[2][8];
    struct script scripts[2];
    int fds[2][2];
    for (int i = 0; i < 2; i++) {
        make_pair(fds[i]);
        /* Not a RECV, which io_uring may have done already. */
        scripts[i] = (struct script){ .op = io_op(COIL__OP_READ, fds[i][0], data[i], 8),
                                      .then = replace_descriptor,
                                      .victim = &scripts[1 - i].op,
                                      .rc = -1,
                                      .seen = -1 };
        scripts[i].op.done = note_and_then;
        assert_int_equal(submit(&scripts[i].op), COIL__OP_PENDING);
    }
    put(fds[0][1], "x");
    put(fds[1][1], "y");
    settle();
    assert_int_equal(completed_count, 1);
    struct script *winner = (struct script *)completed[0];
    assert_int_equal(winner->rc, COIL__OP_PENDING);
    put((int)winner->seen, "new");
    assert_int_equal(result_of(winner->victim), 3);

    close((int)winner->seen);
    close_both(fds[0]);
    close_both(fds[1]);
}

static void submit_far_away(struct script *script)
{
    script->rc = submit(script->victim);
}

/* The table of descriptors grows, and moves, while one of its queues is being run. */
static void done_may_submit_for_a_descriptor_never_seen(void **state)
{
    (void)state;
    enum {
        FAR = 900
    };
    char data[3][8];
    int fds[2], far_fds[2];
    make_pair(fds);
    make_pair(far_fds);
    assert_int_equal(dup2(far_fds[0], FAR), FAR);

    struct coil__op far_op = io_op(COIL__OP_RECV, FAR, data[0], 8);
    struct script script = { .op = io_op(COIL__OP_RECV, fds[0], data[1], 8),
                             .then = submit_far_away,
                             .victim = &far_op,
                             .rc = -1 };
    script.op.done = note_and_then;
    struct coil__op next = io_op(COIL__OP_RECV, fds[0], data[2], 8);
    assert_int_equal(submit(&script.op), COIL__OP_PENDING);
    assert_int_equal(submit(&next), COIL__OP_PENDING);

    put(fds[1], "x");
    settle();
    assert_int_equal(completed_count, 1);
    assert_int_equal(script.rc, COIL__OP_PENDING);
    assert_true(next.pending);
    assert_int_equal(cancel(&next), COIL__OP_GONE);
    assert_int_equal(submit(&next), COIL__OP_PENDING);
    put(fds[1], "y");
    assert_int_equal(result_of(&next), 1);
    put(far_fds[1], "far");
    assert_int_equal(result_of(&far_op), 3);
    close(FAR);
    close_both(far_fds);
    close_both(fds);
}

static void count_pending(struct script *script)
{
    script->seen = (int64_t)pending();
}

static void pending_counts_what_is_not_done(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct script script = { .op = io_op(COIL__OP_RECV, fds[0], data, 8), .then = count_pending };
    script.op.done = note_and_then;
    struct coil__op other = blank(COIL__OP_READABLE, fds[1]);
    assert_int_equal(pending(), 0);
    assert_int_equal(submit(&script.op), COIL__OP_PENDING);
    assert_int_equal(submit(&other), COIL__OP_PENDING);
    assert_int_equal(pending(), 2);
    put(fds[1], "x");
    result_of(&script.op);
    assert_int_equal(script.seen, 1); /* its own is done by the time it is told so */
    assert_int_equal(cancel(&other), COIL__OP_GONE);
    assert_int_equal(pending(), 0);
    close_both(fds);
}

/* ---- descriptors that come and go ------------------------------------------------------------ */

/* epoll forgets a closed file by itself, and nobody told us. */
static void closed_and_reopened_number_still_works(void **state)
{
    (void)state;
    char data[8];
    for (int round = 0; round < 3; round++) {
        int fds[2];
        make_pair(fds);
        assert_int_equal(dup2(fds[0], 500), 500);
        assert_int_equal(close(fds[0]), 0);
        struct coil__op op = io_op(COIL__OP_RECV, 500, data, sizeof(data));
        assert_int_equal(submit(&op), COIL__OP_PENDING);
        put(fds[1], "x");
        completed_count = 0;
        assert_int_equal(result_of(&op), 1);
        assert_int_equal(close(500), 0);
        assert_int_equal(close(fds[1]), 0);
    }
}

static void forgotten_descriptor_still_works(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    backend->ops->forget(backend, fds[0]); /* never seen */
    backend->ops->forget(backend, 100000);
    for (int round = 0; round < 3; round++) {
        struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
        completed_count = 0;
        assert_int_equal(submit(&op), COIL__OP_PENDING);
        put(fds[1], "x");
        assert_int_equal(result_of(&op), 1);
        backend->ops->forget(backend, fds[0]);
        backend->ops->forget(backend, fds[0]);
    }
    close_both(fds);
    backend->ops->forget(backend, fds[0]); /* too late, and harmless */
}

/* A duplicate keeps the old file alive, and epoll reports it under the number it was added as. */
static void old_file_behind_a_reused_number_completes_nothing(void **state)
{
    (void)state;
    char data[8];
    int old[2], new[2];
    make_pair(old);
    make_pair(new);
    int number = old[0];
    int duplicate = dup(number);
    struct coil__op op = io_op(COIL__OP_RECV, number, data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_int_equal(cancel(&op), COIL__OP_GONE);
    assert_int_equal(dup2(new[0], number), number);

    struct coil__op readable = blank(COIL__OP_READABLE, number);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    put(old[1], "old");
    settle();
    assert_int_equal(completed_count, 0);
    put(new[1], "new!");
    assert_int_equal(result_of(&op), 4);
    assert_true(has_completed(&readable));
    assert_memory_equal(data, "new!", 4);

    close(duplicate);
    close_both(old);
    close_both(new);
}

/* Two numbers, one file: each has its own operations. */
static void duplicates_wait_side_by_side(void **state)
{
    (void)state;
    char data[2][8];
    int fds[2];
    make_pair(fds);
    int duplicate = dup(fds[0]);
    struct coil__op a = io_op(COIL__OP_RECV, fds[0], data[0], 1);
    struct coil__op b = io_op(COIL__OP_RECV, duplicate, data[1], 1);
    assert_int_equal(submit(&a), COIL__OP_PENDING);
    assert_int_equal(submit(&b), COIL__OP_PENDING);
    put(fds[1], "1");
    settle();
    assert_int_equal(completed_count, 1);
    put(fds[1], "2");
    result_of(&a);
    result_of(&b);
    close(duplicate);
    close_both(fds);
}

static void bad_descriptor_is_ebadf(void **state)
{
    (void)state;
    char data[8] = { 0 };
    int fds[2];
    make_pair(fds);
    const int bad[] = { -1, INT_MAX, 1 << 20, fds[0] };
    struct coil__op known = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&known), COIL__OP_PENDING); /* fds[0] has a slot */
    assert_int_equal(cancel(&known), COIL__OP_GONE);
    close_both(fds);

    for (uint8_t kind = COIL__OP_READABLE; kind <= COIL__OP_CONNECT; kind++) {
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            struct sockaddr_in nowhere = { .sin_family = AF_INET };
            struct msghdr header = { 0 };
            struct coil__op op = io_op(kind, bad[i], data, sizeof(data));
            if (kind == COIL__OP_RECVMSG || kind == COIL__OP_SENDMSG)
                op = msg_op(kind, bad[i], &header);
            else if (kind == COIL__OP_ACCEPT)
                op = accept_op(bad[i]);
            else if (kind == COIL__OP_CONNECT)
                op = connect_op(bad[i], &nowhere);

            completed_count = 0;
            int rc = submit(&op);
            if (rc == COIL__OP_READY)
                rc = (int)op.result;
            else if (rc == COIL__OP_PENDING)
                rc = (int)result_of(&op);
            assert_int_equal(rc, -EBADF);
        }
    }
    assert_int_equal(pending(), 0);
}

/* A mistake, but not to be paid for with silence where the kernel lets us know. */
static void closing_under_a_waiting_operation_is_ebadf_where_seen(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    close_both(fds);
    settle();
    if (under_test != &coil__backend_epoll) {
        assert_true(has_completed(&op));
        assert_int_equal(op.result, -EBADF);
    } else {
        assert_false(has_completed(&op)); /* epoll drops it silently */
        assert_int_equal(cancel(&op), COIL__OP_GONE);
    }
}

/* ... and the number's next user must not be stuck behind it. */
static void reused_number_revives_what_waited_for_the_old_file(void **state)
{
    (void)state;
    char data[2][8];
    int fds[2], new[2];
    make_pair(fds);
    make_pair(new);
    struct coil__op lost = io_op(COIL__OP_RECV, fds[0], data[0], 1);
    assert_int_equal(submit(&lost), COIL__OP_PENDING);
    assert_int_equal(dup2(new[0], fds[0]), fds[0]);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data[1], 1);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    put(new[1], "12");
    assert_int_equal(result_of(&op), 1);
    assert_ptr_equal(completed[0], &lost);
    close_both(fds);
    close_both(new);
}

/* More than the backend takes from the kernel at once. */
static void hundreds_of_descriptors_complete(void **state)
{
    (void)state;
    static int fds[MANY][2];
    static struct coil__op ops[MANY];
    static char data[MANY];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 64) {
        print_message("needs %d descriptors\n", 2 * MANY + 64);
        skip();
    }
    for (int i = 0; i < MANY; i++) {
        make_pair(fds[i]);
        ops[i] = io_op(COIL__OP_RECV, fds[i][0], &data[i], 1);
        assert_int_equal(submit(&ops[i]), COIL__OP_PENDING);
    }
    assert_int_equal(pending(), MANY);
    for (int i = 0; i < MANY; i++)
        put(fds[i][1], "x");
    for (int i = 0; i < MANY; i++)
        assert_int_equal(result_of(&ops[i]), 1);
    assert_int_equal(completed_count, MANY);
    for (int i = 0; i < MANY; i++)
        close_both(fds[i]);
}

/* ---- waiting and waking ---------------------------------------------------------------------- */

static void wake_from_another_thread_ends_the_wait(void **state)
{
    (void)state;
    struct disturber disturber = { 0 };
    disturb_when_asleep(&disturber, act_wake);
    assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    pthread_join(disturber.thread, NULL);
    assert_int_equal(completed_count, 0);
}

static void wake_before_the_wait_is_not_lost(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        backend->ops->wake(backend);
        backend->ops->wake(backend);
        assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    }
}

static int64_t timed_wait_ns(int64_t timeout_ns)
{
    int64_t start = coil__clock_ns();
    assert_int_equal(wait_ns(timeout_ns), 0);
    return coil__clock_ns() - start;
}

/* Woken twice, it looks once: the wakes are not owed to later waits. */
static void wakes_are_used_up_by_one_wait(void **state)
{
    (void)state;
    enum {
        TIMEOUT_NS = 3000000
    };
    for (int i = 0; i < 5; i++)
        backend->ops->wake(backend);
    assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    assert_true(timed_wait_ns(TIMEOUT_NS) >= TIMEOUT_NS);
}

/* Data that nobody has asked for, or no longer, must not keep the loop busy. */
static void unasked_data_does_not_end_waits(void **state)
{
    (void)state;
    enum {
        TIMEOUT_NS = 3000000
    };
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, 1);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    put(fds[1], "two");
    assert_int_equal(result_of(&op), 1);
    assert_true(timed_wait_ns(TIMEOUT_NS) >= TIMEOUT_NS);

    struct coil__op readable = blank(COIL__OP_READABLE, fds[0]);
    settle();
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_int_equal(cancel(&readable), COIL__OP_GONE);
    settle(); /* a last echo of the question is fine */
    assert_true(timed_wait_ns(TIMEOUT_NS) >= TIMEOUT_NS);
    drain(fds[0]);

    assert_int_equal(submit(&op), COIL__OP_PENDING);
    settle();
    assert_int_equal(cancel(&op), COIL__OP_GONE);
    close_both(fds);
    settle();
    assert_true(timed_wait_ns(TIMEOUT_NS) >= TIMEOUT_NS);
}

static void wake_in_a_signal_handler_keeps_errno(void **state)
{
    (void)state;
    errno = EDOM;
    for (int i = 0; i < 3; i++)
        backend->ops->wake(backend);
    assert_int_equal(errno, EDOM);
    assert_int_equal(wait_ns(0), 0);
}

/* A timer that fires before its time is a wrong timer; one that fires late is only a slow one. */
static void wait_never_ends_before_its_timeout(void **state)
{
    (void)state;
    static const int64_t timeouts[] = { 1, 1000, 100000, 999999, 1000000, 1500000, 10000001 };
    for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++)
        assert_true(timed_wait_ns(timeouts[i]) >= timeouts[i]);
}

static void wait_without_a_timeout_only_looks(void **state)
{
    (void)state;
    struct disturber disturber = { 0 };
    assert_int_equal(wait_ns(0), 0);
    assert_int_equal(wait_ns(-1), 0);
    /* As far as the kernel's clock reaches, and not wrapped around to nothing. */
    disturb_when_asleep(&disturber, act_wake);
    assert_int_equal(wait_ns(COIL__FOREVER_NS - 1), 0);
    pthread_join(disturber.thread, NULL);
}

static void signal_during_the_wait_is_harmless(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    struct sigaction action = { .sa_handler = count_signal }; /* no SA_RESTART */
    struct sigaction before;
    make_pair(fds);
    signals_seen = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);

    struct disturber disturber = { 0 };
    disturb_when_asleep(&disturber, act_signal);
    while (signals_seen == 0)
        assert_int_equal(wait_ns(COIL__FOREVER_NS), 0);
    pthread_join(disturber.thread, NULL);
    assert_true(op.pending);
    put(fds[1], "x");
    assert_int_equal(result_of(&op), 1);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    close_both(fds);
}

static bool polls_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    return poll(&one, 1, 0) == 1;
}

/* What embeds Coil into another loop watches this descriptor. */
static void poll_fd_says_when_wait_has_something_to_do(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    int fd = backend->ops->poll_fd(backend);
    if (under_test == &coil__backend_poll) {
        assert_int_equal(fd, -ENOTSUP);
        return;
    }
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    assert_false(polls_readable(fd));
    put(fds[1], "x");
    assert_true(polls_readable(fd));
    result_of(&op);
    assert_false(polls_readable(fd));

    backend->ops->wake(backend);
    assert_true(polls_readable(fd));
    settle();
    assert_false(polls_readable(fd));

    int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* not known to the kernel's list, and yet */
    struct coil__op readable = blank(COIL__OP_READABLE, null);
    assert_int_equal(submit(&readable), COIL__OP_PENDING);
    assert_true(polls_readable(fd));
    result_of(&readable);
    settle();
    assert_false(polls_readable(fd));
    close(null);
    close_both(fds);
}

/* ---- failures of the system ------------------------------------------------------------------ */

static void failed_allocations_leave_the_backend_usable(void **state)
{
    (void)state;
    enum {
        FAR = 700
    };
    char data[8];
    int fds[2];
    make_pair(fds);
    assert_int_equal(dup2(fds[0], FAR), FAR);
    struct coil__op near = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    struct coil__op far_op = io_op(COIL__OP_RECV, FAR, data, sizeof(data));
    struct coil__op *ops[] = { &near, &far_op };
    int failures = 0;
    assert_int_equal(submit(&near), COIL__OP_PENDING);

    for (long nth = 1; nth <= 3; nth++) {
        coil_testing_fail_alloc(nth);
        int rc = submit(&far_op);
        coil_testing_fail_alloc(0);
        if (rc == COIL__OP_PENDING) {
            assert_int_equal(cancel(&far_op), COIL__OP_GONE);
            break;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_int_equal(pending(), 1);
        assert_int_equal(wait_ns(0), 0);
        failures++;
    }
    assert_in_range(failures, 1, 2);
    assert_int_equal(submit(&far_op), COIL__OP_PENDING);
    for (int i = 0; i < 2; i++) {
        put(fds[1], "x");
        settle();
    }
    assert_int_equal(completed_count, 2);
    assert_int_equal(result_of(ops[0]), 1);
    assert_int_equal(result_of(ops[1]), 1);
    close(FAR);
    close_both(fds);
}

static int count_open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void failed_open_leaves_nothing_behind(void **state)
{
    (void)state;
    int before = count_open_descriptors();
    size_t blocks = coil_testing_alloc_count();
    int failures = 0;
    for (long nth = 1;; nth++) {
        struct coil__backend *other = NULL;
        coil_testing_fail_alloc(nth);
        int rc = under_test->open(&other);
        coil_testing_fail_alloc(0);
        if (rc == 0) {
            other->ops->close(other);
            break;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_null(other);
        failures++;
    }
    assert_true(failures >= 1);
    assert_int_equal(count_open_descriptors(), before);
    assert_int_equal(coil_testing_alloc_count(), blocks);
}

static void open_without_descriptors_to_spare_is_emfile(void **state)
{
    (void)state;
    struct rlimit limit, tight;
    int before = count_open_descriptors();
    int holder = dup(0);
    assert_true(holder >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int needed = under_test == &coil__backend_poll ? 1 : 2;
    for (int spare = 0; spare < needed; spare++) {
        struct coil__backend *other = NULL;
        tight = (struct rlimit){ (rlim_t)(holder + 1 + spare), limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        int rc = under_test->open(&other);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(rc, -EMFILE);
        assert_null(other);
    }
    close(holder);
    assert_int_equal(count_open_descriptors(), before);
}

/* A thread in which the kernel refuses one system call, as an old kernel or a container would. */
struct refusal {
    long call;
    int error;
    void (*run)(struct refusal *refusal);
    bool unavailable;
    struct coil__op *op;
    int64_t results[4];
};

static bool refuse(long call, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *run_refused(void *arg)
{
    struct refusal *refusal = arg;
    refusal->unavailable = !refuse(refusal->call, refusal->error);
    if (!refusal->unavailable)
        refusal->run(refusal);
    return NULL;
}

static void with_refusal(struct refusal *refusal)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_refused, refusal), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (refusal->unavailable) {
        print_message("no seccomp filters here\n");
        skip();
    }
}

static void submit_refused(struct refusal *refusal)
{
    refusal->results[0] = submit(refusal->op);
    refusal->results[1] = (int64_t)pending();
}

/* Too many watches: the operation is refused, and nothing is left of it. */
static void refused_watch_is_an_error_of_submit(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op op = io_op(COIL__OP_RECV, fds[0], data, sizeof(data));
    struct refusal refusal = {
        .call = SYS_epoll_ctl, .error = ENOSPC, .run = submit_refused, .op = &op
    };
    with_refusal(&refusal);
    assert_int_equal(refusal.results[0], -ENOSPC);
    assert_int_equal(refusal.results[1], 0);
    assert_int_equal(submit(&op), COIL__OP_PENDING);
    put(fds[1], "x");
    assert_int_equal(result_of(&op), 1);
    close_both(fds);
}

static void steal_then_wait_refused(struct refusal *refusal)
{
    /* The event finds nothing, as somebody else was quicker, and arming again is refused. */
    refusal->results[0] = wait_ns(PATIENCE_NS);
    refusal->results[1] = completed_count;
}

/* An operation that can no longer be waited for must end, not hang. */
static void watch_refused_while_waiting_ends_the_operations(void **state)
{
    (void)state;
    char data[8];
    int fds[2];
    make_pair(fds);
    struct coil__op ops[3];
    for (int i = 0; i < 3; i++) {
        ops[i] = io_op(COIL__OP_RECV, fds[0], data, 1);
        assert_int_equal(submit(&ops[i]), COIL__OP_PENDING);
    }
    put(fds[1], "x");
    struct refusal refusal = { .call = SYS_epoll_ctl,
                               .error = ENOMEM,
                               .run = steal_then_wait_refused };
    with_refusal(&refusal);
    assert_int_equal(refusal.results[0], 0);
    assert_int_equal(refusal.results[1], 3);
    assert_int_equal(ops[0].result, 1);
    assert_int_equal(ops[1].result, -ENOMEM);
    assert_int_equal(ops[2].result, -ENOMEM);
    assert_int_equal(pending(), 0);

    completed_count = 0;
    assert_int_equal(submit(&ops[0]), COIL__OP_PENDING);
    put(fds[1], "x");
    assert_int_equal(result_of(&ops[0]), 1);
    close_both(fds);
}

static void open_epoll_refused(struct refusal *refusal)
{
    struct coil__backend *other = NULL;
    refusal->results[0] = coil__backend_epoll.open(&other);
    refusal->results[1] = other != NULL;
}

static void refused_watch_of_the_wakeup_fails_open_without_a_leak(void **state)
{
    (void)state;
    struct refusal refusal = { .call = SYS_epoll_ctl, .error = ENOMEM, .run = open_epoll_refused };
    int descriptors = count_open_descriptors();
    size_t blocks = coil_testing_alloc_count();
    with_refusal(&refusal);
    assert_int_equal(refusal.results[0], -ENOMEM);
    assert_int_equal(refusal.results[1], 0);
    assert_int_equal(count_open_descriptors(), descriptors);
    assert_int_equal(coil_testing_alloc_count(), blocks);
}

static void time_waits(struct refusal *refusal)
{
    static const int64_t timeouts[] = { 1, 100000, 1000000, 2500000 };
    for (int i = 0; i < 4; i++) {
        int64_t start = coil__clock_ns();
        int rc = wait_ns(timeouts[i]);
        refusal->results[i] = rc < 0 ? rc : coil__clock_ns() - start - timeouts[i];
    }
}

/* Kernels before 5.11 count in milliseconds: late by up to one, but never early. */
static void wait_does_without_epoll_pwait2(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct refusal refusal = { .call = SYS_epoll_pwait2,
                                   .error = i == 0 ? ENOSYS : EPERM,
                                   .run = time_waits };
        with_refusal(&refusal);
        for (int k = 0; k < 4; k++)
            assert_true(refusal.results[k] >= 0);
        tear_down(NULL);
        set_up(NULL);
    }
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void choose(const char *name, int expected_rc, const struct coil__backend_ops *expected)
{
    struct coil__backend *chosen = NULL;
    if (name != NULL)
        assert_int_equal(setenv("COIL_BACKEND", name, 1), 0);
    else
        assert_int_equal(unsetenv("COIL_BACKEND"), 0);
    int rc = coil__backend_open(&chosen);
    assert_int_equal(unsetenv("COIL_BACKEND"), 0);
    assert_int_equal(rc, expected_rc);
    if (rc < 0) {
        assert_null(chosen);
        return;
    }
    assert_ptr_equal(chosen->ops, expected);
    chosen->ops->close(chosen);
}

static void environment_chooses_the_backend(void **state)
{
    (void)state;
    choose(NULL, 0, &coil__backend_epoll);
    choose("", 0, &coil__backend_epoll);
    choose("epoll", 0, &coil__backend_epoll);
    choose("poll", 0, &coil__backend_poll);
    choose("kqueue", -ENOTSUP, NULL);
    choose("epol", -ENOTSUP, NULL);
}

static void open_refused(struct refusal *refusal)
{
    struct coil__backend *chosen = NULL;
    refusal->results[0] = coil__backend_open(&chosen);
    refusal->results[1] = chosen != NULL && chosen->ops == &coil__backend_poll;
    if (chosen != NULL)
        chosen->ops->close(chosen);
}

static void poll_steps_in_where_epoll_is_not_to_be_had(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("COIL_BACKEND"), 0);
    struct refusal refusal = { .call = SYS_epoll_create1, .error = ENOSYS, .run = open_refused };
    with_refusal(&refusal);
    assert_int_equal(refusal.results[0], 0);
    assert_true(refusal.results[1]);

    refusal.error = ENFILE; /* passes, and is no reason to be slow for ever */
    with_refusal(&refusal);
    assert_int_equal(refusal.results[0], -ENFILE);
}

/* ---------------------------------------------------------------------------------------------- */

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest of_each_backend[] = {
    CLAIM(recv_completes_after_data_arrives),
    CLAIM(recv_ends_a_wait_that_sleeps),
    CLAIM(recv_of_waiting_data_is_ready_at_once),
    CLAIM(recv_and_send_on_blocking_sockets_do_not_block),
    CLAIM(empty_recv_completes_at_once_and_takes_nothing),
    CLAIM(two_readers_are_served_in_order),
    CLAIM(newcomer_does_not_overtake_who_waits),
    CLAIM(hangup_of_a_pipe_wakes_the_reader_with_zero),
    CLAIM(shutdown_of_the_peer_wakes_the_receiver_with_zero),
    CLAIM(read_on_a_blocking_pipe_does_not_block),
    CLAIM(regular_file_reads_and_writes_at_once),
    CLAIM(readiness_is_reported_by_wait_only),
    CLAIM(readable_waits_for_data_and_writable_for_room),
    CLAIM(files_are_always_ready_but_say_so_in_wait),
    CLAIM(cancelled_question_about_a_file_is_not_answered),
    CLAIM(question_asked_again_in_done_is_for_the_next_wait),
    CLAIM(large_send_is_short_and_then_waits),
    CLAIM(large_write_to_a_blocking_pipe_does_not_block),
    CLAIM(write_to_a_nonblocking_pipe_takes_all_that_fits),
    CLAIM(writer_learns_that_the_reader_is_gone),
    CLAIM(send_to_a_closed_peer_is_epipe_without_a_signal),
    CLAIM(both_directions_wait_on_one_descriptor),
    CLAIM(datagrams_go_out_and_come_in_with_their_address),
    CLAIM(accept_gives_a_nonblocking_cloexec_descriptor),
    CLAIM(accept_on_a_blocking_listener_does_not_block),
    CLAIM(connect_in_progress_completes),
    CLAIM(connect_without_a_listener_is_refused),
    CLAIM(unfinished_connect_is_not_taken_for_success),
    CLAIM(connect_on_a_blocking_socket_is_einval),
    CLAIM(unix_connect_to_a_full_backlog_is_eagain),
    CLAIM(cancel_takes_the_operation_back),
    CLAIM(cancel_leaves_the_rest_of_the_queue_in_order),
    CLAIM(done_may_cancel_another_operation_of_the_same_batch),
    CLAIM(done_may_cancel_its_successor_in_the_queue),
    CLAIM(report_for_a_number_that_was_reused_in_the_batch_is_harmless),
    CLAIM(done_may_submit_for_a_descriptor_never_seen),
    CLAIM(pending_counts_what_is_not_done),
    CLAIM(closed_and_reopened_number_still_works),
    CLAIM(forgotten_descriptor_still_works),
    CLAIM(old_file_behind_a_reused_number_completes_nothing),
    CLAIM(duplicates_wait_side_by_side),
    CLAIM(bad_descriptor_is_ebadf),
    CLAIM(closing_under_a_waiting_operation_is_ebadf_where_seen),
    CLAIM(reused_number_revives_what_waited_for_the_old_file),
    CLAIM(hundreds_of_descriptors_complete),
    CLAIM(wake_from_another_thread_ends_the_wait),
    CLAIM(wake_before_the_wait_is_not_lost),
    CLAIM(wakes_are_used_up_by_one_wait),
    CLAIM(unasked_data_does_not_end_waits),
    CLAIM(wake_in_a_signal_handler_keeps_errno),
    CLAIM(wait_never_ends_before_its_timeout),
    CLAIM(wait_without_a_timeout_only_looks),
    CLAIM(signal_during_the_wait_is_harmless),
    CLAIM(poll_fd_says_when_wait_has_something_to_do),
    CLAIM(failed_allocations_leave_the_backend_usable),
    CLAIM(failed_open_leaves_nothing_behind),
    CLAIM(open_without_descriptors_to_spare_is_emfile),
};

static const struct CMUnitTest of_epoll[] = {
    CLAIM(refused_watch_is_an_error_of_submit),
    CLAIM(watch_refused_while_waiting_ends_the_operations),
    CLAIM(refused_watch_of_the_wakeup_fails_open_without_a_leak),
    CLAIM(wait_does_without_epoll_pwait2),
};

static const struct CMUnitTest of_the_choice[] = {
    cmocka_unit_test(environment_chooses_the_backend),
    cmocka_unit_test(poll_steps_in_where_epoll_is_not_to_be_had),
};

/* io_uring is forbidden in many places, and not built everywhere. */
static bool can_be_had(void)
{
    struct coil__backend *probe;
    if (under_test != &coil__backend_uring)
        return true;
    int rc = under_test->open(&probe);
    if (rc == 0)
        probe->ops->close(probe);
    else
        print_message("skipped: %s: %s\n", under_test->name, coil__uring_why_not(rc));
    return rc == 0;
}

int main(int argc, char **argv)
{
    static const struct coil__backend_ops *const all[] = { &coil__backend_epoll,
                                                           &coil__backend_poll,
                                                           &coil__backend_uring };
    int failed = 0;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    alarm(WATCHDOG_S); /* a lost wakeup shows as a hang; do not let it hang the suite, too */
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        under_test = all[i];
        if (!can_be_had())
            continue;
        failed += cmocka_run_group_tests_name(under_test->name, of_each_backend, ignore_sigpipe,
                                              NULL);
    }
    under_test = &coil__backend_epoll;
    failed += cmocka_run_group_tests_name("epoll without", of_epoll, NULL, NULL);
    failed += cmocka_run_group_tests_name("choice", of_the_choice, NULL, NULL);
    return failed != 0;
}
