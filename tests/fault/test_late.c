/* Events that come at the worst moment: what a task waited for happens, and before it hears of it, it is
 * cancelled or the loop is closed. What the kernel has given away must not be lost. */
#include <netinet/in.h>
#include <unistd.h>
#include <coil/coil.h>
#include "lib/failing_calls.h"
#include "lib/held.h"
#include "test.h"

static int open_pair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno
                                                                                        : 0;
}

static void swallow_log(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop, (void)level, (void)report, (void)arg;
}

static coil_loop *quiet_loop(void)
{
    coil_loop *loop = coil_new_event_loop();
    if (loop)
        coil_set_logger(loop, swallow_log, NULL);
    return loop;
}

static int cancel_task(void *task)
{
    coil_task_cancel(task, "too late");
    return 0;
}

/* ---- cancelled just after ----------------------------------------------------------------------- */

static ssize_t received;
static char message_seen[32];

COIL_ASYNC(receives_then_sleeps, (int, fd))
{
    char byte;
    received = coil_sock_recv(fd, &byte, 1);
    int rc = coil_sleep(1000);
    coil_error *error = coil_error_current(rc);
    snprintf(message_seen, sizeof message_seen, "%s", error ? coil_error_message(error) : "none");
    return rc;
}

TEST(cancellation_after_the_bytes_comes_at_the_next_await)
{
    /* The callback is ahead of the news in the same turn: it cancels a task whose bytes are there. */
    struct held before = held_now();
    int pair[2];
    REQUIRE(open_pair(pair) == 0);
    coil_loop *loop = quiet_loop();
    REQUIRE(loop != NULL);
    received = -1;
    coil_task *task = coil_create_task_with(loop, receives_then_sleeps(pair[0]), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(write(pair[1], "x", 1), 1);
    EXPECT_INT(coil_call_soon(loop, cancel_task, task, NULL), 0);
    for (int steps = 0; steps < 10 && !coil_future_done(task); steps++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(received, 1);
    EXPECT(coil_future_cancelled(task));
    EXPECT_STR(message_seen, "too late");
    EXPECT_INT(coil_task_cancelling(task), 1);
    coil_unref(task);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    (void)close(pair[0]);
    (void)close(pair[1]);
    held_expect(before, "cancelled late");
}

/* ---- closed just after -------------------------------------------------------------------------- */

static int accepted, next_rc;

COIL_ASYNC(accepts, (int, listener))
{
    accepted = coil_sock_accept(listener, NULL, NULL);
    next_rc = coil_sleep(0);
    if (accepted >= 0)
        (void)close(accepted);
    return next_rc;
}

TEST(connection_accepted_as_the_loop_closes_is_not_lost)
{
    struct held before = held_now();
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(listener >= 0 && client >= 0);
    REQUIRE(bind(listener, (struct sockaddr *)(void *)&address, length) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)(void *)&address, &length) == 0);
    REQUIRE(listen(listener, 1) == 0);
    coil_loop *loop = quiet_loop();
    REQUIRE(loop != NULL);
    accepted = -1;
    coil_task *task = coil_create_task_with(loop, accepts(listener), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(connect(client, (struct sockaddr *)(void *)&address, length), 0);
    EXPECT_INT(coil_loop_step(loop, 1),
               1); /* accepted; the task is to hear of it in the next turn */
    EXPECT_INT(accepted, -1);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT(accepted >= 0);
    EXPECT_INT(next_rc, COIL_ECLOSING);
    coil_unref(task);
    coil_unref(loop);
    (void)close(client);
    (void)close(listener);
    held_expect(before, "closed late");
}

/* ---- a watch that is lost ----------------------------------------------------------------------- */

struct lost {
    int reports;
    int code;
};

static int count_reports(coil_loop *loop, const coil_report *report, void *arg)
{
    struct lost *lost = arg;
    (void)loop;
    lost->reports++;
    lost->code = report->code;
    return 0;
}

static int ignore(void *arg)
{
    (void)arg;
    return 0;
}

static void lose_both(coil_loop *loop)
{
    int pair[2];
    struct lost lost = { 0, 0 };
    if (!EXPECT(open_pair(pair) == 0))
        return;
    coil_set_exception_handler(loop, count_reports, &lost);
    EXPECT_INT(coil_add_reader(loop, pair[0], ignore, NULL), 0);
    EXPECT_INT(coil_add_writer(loop, pair[0], ignore, NULL), 0);
    fail_call(CALL_EPOLL_CTL, 1, ENOMEM, true);
    for (int steps = 0; steps < 3; steps++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    fail_call(CALL_NONE, 0, 0, false);
    EXPECT_INT(lost.reports, 2);
    EXPECT_INT(lost.code, -ENOMEM);
    EXPECT_INT(coil_remove_reader(loop, pair[0]), 1);
    EXPECT_INT(coil_remove_writer(loop, pair[0]), 1);
    coil_set_exception_handler(loop, NULL, NULL);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

TEST(reader_that_the_kernel_forgets_is_reported)
{
    /* A reader and a writer on one descriptor: when the writer's event has come, epoll must be asked for
     * both again, and refuses. Neither is ever called again, which nobody would know. */
    struct held before = held_now();
    coil_loop *loop = quiet_loop();
    REQUIRE(loop != NULL);
    bool keeps_registrations = strcmp(coil_loop_backend(loop), "epoll") == 0;
    if (keeps_registrations)
        lose_both(loop);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    held_expect(before, "a lost watch");
    if (!keeps_registrations)
        SKIP("this backend registers nothing");
}

TESTS_MAIN(RUN(cancellation_after_the_bytes_comes_at_the_next_await),
           RUN(connection_accepted_as_the_loop_closes_is_not_lost),
           RUN(reader_that_the_kernel_forgets_is_reported))
