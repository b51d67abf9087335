/* What only the io_uring backend can get wrong: requests that live in the kernel. */
#define _GNU_SOURCE 1
#include "test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <coil/coil.h>

#include "platform/backend.h"
#include "platform/clock.h"

enum {
    PATIENCE_NS = 1000000000,
    PATIENCE_ROUNDS = 20,
};

static struct coil__backend *backend;
static int done_count;

static void on_done(struct coil__op *op)
{
    (void)op;
    done_count++;
}

/* False where this machine has no io_uring; the test then skips. */
static bool begin(int fds[2])
{
    done_count = 0;
    int rc = coil__backend_uring.open(&backend);
    if (rc < 0)
        return false;
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    return true;
}

#define BEGIN(fds)                                                                                 \
    do {                                                                                           \
        if (!begin(fds))                                                                           \
            SKIP(coil__uring_why_not(coil__backend_uring.open(&backend)));                         \
    } while (0)

static void end(const int fds[2])
{
    backend->ops->close(backend);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static struct coil__op recv_op(int fd, void *data, size_t bytes)
{
    struct coil__op op = { .kind = COIL__OP_RECV, .fd = fd, .done = on_done };
    op.io.data = data;
    op.io.bytes = bytes;
    op.io.flags = 0;
    return op;
}

static int submit(struct coil__op *op)
{
    return backend->ops->submit(backend, op);
}

static int look(void)
{
    return backend->ops->wait(backend, 0);
}

static void wait_until_done(const struct coil__op *op)
{
    for (int round = 0; op->pending && round < PATIENCE_ROUNDS; round++)
        EXPECT_INT(backend->ops->wait(backend, PATIENCE_NS), 0);
    EXPECT(!op->pending);
}

/* ---- buffers ----------------------------------------------------------------------------------- */

/* The stack they lie on is somebody else's next. */
TEST(buffer_of_a_cancelled_receive_is_not_written_to)
{
    int fds[2];
    BEGIN(fds);
    char data[8];
    for (int told = 0; told < 2; told++) {
        memset(data, '-', sizeof data);
        struct coil__op op = recv_op(fds[0], data, sizeof data);
        EXPECT_INT(submit(&op), COIL__OP_PENDING);
        if (told)
            EXPECT_INT(look(), 0);            /* the kernel knows of it, */
        EXPECT(write(fds[1], "abc", 3) == 3); /* and has been told that there is data */
        EXPECT_INT(backend->ops->cancel(backend, &op), COIL__OP_GONE);
        for (int round = 0; round < 3; round++)
            EXPECT_INT(look(), 0);
        EXPECT_INT(done_count, 0);
        EXPECT(memcmp(data, "--------", 8) == 0);
        EXPECT(recv(fds[0], data, sizeof data, 0) == 3);
    }
    end(fds);
}

/* A cancelled operation that has received all the same must say so, or the bytes are lost. */
TEST(cancel_that_comes_too_late_gives_the_true_result)
{
    int fds[2], other[2];
    BEGIN(fds);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, other) == 0);
    char data[8], none[8];
    struct coil__op op = recv_op(fds[0], data, sizeof data);
    struct coil__op taken_back = recv_op(other[0], none, sizeof none);
    EXPECT_INT(submit(&op), COIL__OP_PENDING);
    EXPECT_INT(submit(&taken_back), COIL__OP_PENDING);
    EXPECT_INT(look(), 0);
    EXPECT(write(fds[1], "abc", 3) == 3);
    EXPECT_INT(backend->ops->cancel(backend, &taken_back), COIL__OP_GONE);
    backend->ops->forget(backend, other[0]); /* lets the kernel work */
    EXPECT_INT(backend->ops->cancel(backend, &op), COIL__OP_PENDING);
    EXPECT(op.pending);
    wait_until_done(&op);
    EXPECT_INT(op.result, 3);
    EXPECT(memcmp(data, "abc", 3) == 0);
    (void)close(other[0]);
    (void)close(other[1]);
    end(fds);
}

/* ---- files ------------------------------------------------------------------------------------- */

/* A request holds on to its file; the peer must see the end when the descriptor is closed, not later. */
TEST(closing_after_forget_really_closes)
{
    int fds[2];
    BEGIN(fds);
    char data[8];
    struct coil__op op = recv_op(fds[0], data, sizeof data);
    EXPECT_INT(submit(&op), COIL__OP_PENDING);
    EXPECT_INT(look(), 0);
    EXPECT_INT(backend->ops->cancel(backend, &op), COIL__OP_GONE);
    backend->ops->forget(backend, fds[0]);
    EXPECT(close(fds[0]) == 0);
    EXPECT_INT(recv(fds[1], data, sizeof data, MSG_DONTWAIT), 0);
    fds[0] = dup(fds[1]);
    end(fds);
}

/* ---- too much at once -------------------------------------------------------------------------- */

/* More completions than the ring holds, and nobody takes them out. */
static void overflow(int fd)
{
    char data[8];
    for (int i = 0; i < 6000; i++) {
        struct coil__op op = recv_op(fd, data, sizeof data);
        EXPECT_INT(submit(&op), COIL__OP_PENDING);
        EXPECT_INT(backend->ops->cancel(backend, &op), COIL__OP_GONE);
    }
}

TEST(completions_beyond_what_the_ring_holds_are_not_lost)
{
    int fds[2], other[2];
    BEGIN(fds);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, other) == 0);
    char data[8];
    struct coil__op op = recv_op(fds[0], data, sizeof data);
    EXPECT_INT(submit(&op), COIL__OP_PENDING);
    EXPECT_INT(look(), 0);
    overflow(other[0]);
    EXPECT(write(fds[1], "abc", 3) == 3);
    wait_until_done(&op);
    EXPECT_INT(op.result, 3);
    (void)close(other[0]);
    (void)close(other[1]);
    end(fds);
}

/* The request that listens for wake() may end in an overflow. */
TEST(wake_works_after_an_overflow)
{
    int fds[2];
    BEGIN(fds);
    EXPECT_INT(look(), 0);
    overflow(fds[0]);
    for (int i = 0; i < 3; i++) {
        backend->ops->wake(backend);
        EXPECT_INT(backend->ops->wait(backend, COIL__FOREVER_NS), 0);
    }
    for (int round = 0; round < 5; round++)
        EXPECT_INT(look(), 0);
    backend->ops->wake(backend);
    EXPECT_INT(backend->ops->wait(backend, COIL__FOREVER_NS), 0);
    end(fds);
}

/* ---- threads ----------------------------------------------------------------------------------- */

struct stage {
    struct coil__op *ops[2];
    int rcs[2];
};

static void *submit_and_look(void *arg)
{
    struct stage *stage = arg;
    for (int i = 0; i < 2; i++)
        stage->rcs[i] = submit(stage->ops[i]);
    EXPECT_INT(look(), 0);
    return NULL;
}

static void *wait_for_both(void *arg)
{
    struct stage *stage = arg;
    for (int i = 0; i < 2; i++)
        wait_until_done(stage->ops[i]);
    return NULL;
}

static void in_a_thread(void *(*run)(void *arg), struct stage *stage)
{
    pthread_t thread;
    if (EXPECT(pthread_create(&thread, NULL, run, stage) == 0))
        pthread_join(thread, NULL);
}

/* A ring is one thread's. A loop may be run by another one later, and what waits must go on waiting. */
TEST(what_waits_survives_a_change_of_threads)
{
    int fds[2];
    BEGIN(fds);
    char data[8], byte;
    struct coil__op first = recv_op(fds[0], data, 1), second = recv_op(fds[1], &byte, 1);
    struct stage stage = { { &first, &second }, { -1, -1 } };
    in_a_thread(submit_and_look, &stage); /* it ends, and with it what it asked the kernel */
    EXPECT_INT(stage.rcs[0], COIL__OP_PENDING);
    EXPECT_INT(stage.rcs[1], COIL__OP_PENDING);
    EXPECT_INT(look(), 0);
    EXPECT_INT(done_count, 0);
    EXPECT(write(fds[1], "x", 1) == 1);
    wait_until_done(&first);
    EXPECT_INT(first.result, 1);
    EXPECT(write(fds[0], "y", 1) == 1);
    in_a_thread(wait_for_both, &stage);
    EXPECT_INT(second.result, 1);
    EXPECT_INT(done_count, 2);

    backend->ops->wake(backend);
    EXPECT_INT(backend->ops->wait(backend, COIL__FOREVER_NS), 0);
    end(fds);
}

TEST(another_thread_may_cancel_and_close)
{
    int fds[2];
    BEGIN(fds);
    char data[8], byte;
    struct coil__op first = recv_op(fds[0], data, 1), second = recv_op(fds[1], &byte, 1);
    struct stage stage = { { &first, &second }, { -1, -1 } };
    in_a_thread(submit_and_look, &stage);
    EXPECT_INT(backend->ops->cancel(backend, &first), COIL__OP_GONE);
    EXPECT_INT(backend->ops->cancel(backend, &second), COIL__OP_GONE);
    EXPECT_INT((intmax_t)backend->ops->pending(backend), 0);
    end(fds);
}

static int readable_calls;

static void on_readable(struct coil__flow *flow)
{
    (void)flow;
    readable_calls++;
}

static void wait_until_readable(void)
{
    for (int round = 0; readable_calls == 0 && round < PATIENCE_ROUNDS; round++)
        EXPECT_INT(backend->ops->wait(backend, PATIENCE_NS), 0);
    EXPECT(readable_calls > 0);
    readable_calls = 0;
}

static void *receive_once(void *arg)
{
    char data[8];
    wait_until_readable();
    EXPECT_INT(backend->ops->flow_read(backend, arg, data, 1), 1);
    return NULL;
}

/* A flow, and what it has received and nobody has read, goes on in the new ring. */
TEST(flows_survive_a_change_of_threads)
{
    for (int ahead = 0; ahead < 2; ahead++) {
        int fds[2];
        char data[8] = "";
        BEGIN(fds);
        struct coil__flow flow = {
            .fd = fds[0], .kind = COIL__FLOW_STREAM, .ahead = ahead != 0, .readable = on_readable
        };
        EXPECT_INT(backend->ops->flow_open(backend, &flow), 0);
        backend->ops->flow_reading(backend, &flow, true);
        for (int i = 0; i < 3; i++) {
            pthread_t thread;
            EXPECT(write(fds[1], "ab", 2) == 2);
            if (EXPECT(pthread_create(&thread, NULL, receive_once, &flow) == 0))
                pthread_join(thread, NULL);
            wait_until_readable();
            EXPECT_INT(backend->ops->flow_read(backend, &flow, data, 8), 1);
            EXPECT(data[0] == 'b');
        }
        backend->ops->flow_close(backend, &flow);
        end(fds);
    }
}

static bool polls_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    return poll(&one, 1, 0) == 1;
}

/* Between two steps the host sleeps: what a flow needs must be in the kernel by then. */
TEST(flows_ring_for_a_host)
{
    for (int ahead = 0; ahead < 2; ahead++) {
        int fds[2];
        char data[8];
        BEGIN(fds);
        int outside = backend->ops->poll_fd(backend);
        EXPECT(outside >= 0);
        struct coil__flow flow = {
            .fd = fds[0], .kind = COIL__FLOW_STREAM, .ahead = ahead != 0, .readable = on_readable
        };
        EXPECT_INT(backend->ops->flow_open(backend, &flow), 0);
        backend->ops->flow_reading(backend, &flow, true);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 3; i++)
                EXPECT_INT(look(), 0);
            EXPECT(!polls_readable(outside));
            readable_calls = 0;
            EXPECT(write(fds[1], "abc", 3) == 3);
            EXPECT(polls_readable(outside));
            wait_until_readable();
            EXPECT_INT(backend->ops->flow_read(backend, &flow, data, 8), 3);
            EXPECT_INT(backend->ops->flow_read(backend, &flow, data, 8), -EAGAIN);
            backend->ops->flow_reading(backend, &flow, false);
            backend->ops->flow_reading(backend, &flow, true);
        }
        backend->ops->flow_close(backend, &flow);
        end(fds);
    }
}

/* ---- where it is forbidden --------------------------------------------------------------------- */

struct refusal {
    long call;
    int error;
    bool unavailable;
    const char *name, *why; /* of the loop's backend; static texts */
};

static bool refuse(long call, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *make_a_loop(void *arg)
{
    struct refusal *refusal = arg;
    refusal->unavailable = !refuse(refusal->call, refusal->error);
    coil_loop *loop = coil_new_event_loop();
    if (!EXPECT(loop != NULL))
        return NULL;
    refusal->name = coil_loop_backend(loop);
    refusal->why = coil_loop_backend_reason(loop);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_PTR(coil_loop_backend_reason(loop), NULL);
    coil_unref(loop);
    return NULL;
}

/* A program that names io_uring must run in a container that forbids it, and be able to say why. */
TEST(epoll_steps_in_where_io_uring_is_forbidden)
{
    static const struct {
        long call;
        int error;
        const char *word;
    } cases[] = { { SYS_io_uring_setup, EPERM, "forbidden" },
                  { SYS_io_uring_setup, ENOSYS, "has no io_uring" },
                  { SYS_io_uring_setup, EINVAL, "6.1" },
                  { SYS_io_uring_setup, ENOMEM, "memory" },
                  { SYS_io_uring_enter, EPERM, "forbidden" } };
    int fds[2];
    BEGIN(fds);
    end(fds);
    const char *named = getenv("COIL_BACKEND");
    char *old = named ? strdup(named) : NULL;
    setenv("COIL_BACKEND", "io_uring", 1);
    bool unavailable = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct refusal refusal = { cases[i].call, cases[i].error, false, "none", NULL };
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, make_a_loop, &refusal) == 0);
        pthread_join(thread, NULL);
        unavailable |= refusal.unavailable;
        if (refusal.unavailable)
            continue;
        EXPECT_STR(refusal.name, "epoll");
        if (EXPECT(refusal.why != NULL) && !EXPECT(strstr(refusal.why, cases[i].word) != NULL))
            fprintf(stderr, "it says: %s\n", refusal.why);
    }
    coil_loop *loop = coil_new_event_loop();
    if (EXPECT(loop != NULL)) {
        EXPECT_STR(coil_loop_backend(loop), "io_uring");
        EXPECT_PTR(coil_loop_backend_reason(loop), NULL);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
    }
    if (old)
        setenv("COIL_BACKEND", old, 1);
    else
        unsetenv("COIL_BACKEND");
    free(old);
    if (unavailable)
        SKIP("no seccomp filters here");
}

TESTS_MAIN(RUN(buffer_of_a_cancelled_receive_is_not_written_to),
           RUN(cancel_that_comes_too_late_gives_the_true_result),
           RUN(closing_after_forget_really_closes),
           RUN(completions_beyond_what_the_ring_holds_are_not_lost),
           RUN(wake_works_after_an_overflow), RUN(what_waits_survives_a_change_of_threads),
           RUN(another_thread_may_cancel_and_close), RUN(flows_survive_a_change_of_threads),
           RUN(flows_ring_for_a_host), RUN(epoll_steps_in_where_io_uring_is_forbidden))
