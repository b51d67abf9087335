/* A loop inside another event loop: the host polls a descriptor and steps. On the real clock and real
 * descriptors, which is what a host has. */
#include "test.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

enum {
    PATIENCE_MS = 20 * 1000,
    ROUNDS = 1000
};

static coil_loop *loop;
static int fd;
static int calls;

static int count(void *arg)
{
    calls++;
    if (arg)
        ++*(int *)arg;
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* False if the backend cannot do it; the test then skips. */
static bool begin(void)
{
    coil__errors_forget_thread();
    calls = 0;
    loop = coil_new_event_loop();
    fd = coil_loop_fd(loop);
    if (fd >= 0)
        return true;
    EXPECT_INT(fd, COIL_ENOTSUP);
    EXPECT_STR(coil_loop_backend(loop), "poll");
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return false;
}

#define BEGIN()                                                                                    \
    do {                                                                                           \
        if (!begin())                                                                              \
            SKIP("the poll backend has no descriptor to offer");                                   \
    } while (0)

static void end(void)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil__errors_forget_thread();
}

static bool readable(int timeout_ms)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, timeout_ms) == 1 && poll_fd.revents == POLLIN;
}

/* What a host does, until a counter has come to what is expected. */
static void host_until(const int *counter, int expected)
{
    for (int round = 0; round < ROUNDS && *counter < expected; round++) {
        if (!EXPECT(readable(PATIENCE_MS)))
            return;
        EXPECT(coil_loop_step(loop, 0) >= 0);
    }
    EXPECT_INT(*counter, expected);
}

/* Steps until nothing is left to do at the moment. A step that finds nothing may be one too many, but
 * the descriptor must not go on asking for them. */
static void settle(void)
{
    for (int round = 0; round < 5 && readable(0); round++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT(!readable(0));
}

/* ---- the descriptor -------------------------------------------------------------------------- */

TEST(descriptor_is_one_and_the_same_and_quiet_while_idle)
{
    BEGIN();
    EXPECT_INT(coil_loop_fd(loop), fd);
    settle();
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT(!readable(0));
    EXPECT_INT(coil_loop_fd(loop), fd);
    end();
}

TEST(backend_without_a_descriptor_says_so)
{
    char *old = getenv("COIL_BACKEND");
    char *kept = old ? strdup(old) : NULL;
    setenv("COIL_BACKEND", "poll", 1);
    EXPECT(!begin());
    if (kept)
        setenv("COIL_BACKEND", kept, 1);
    else
        unsetenv("COIL_BACKEND");
    free(kept);
    EXPECT(strstr(coil_error_message(coil_error_current(COIL_ENOTSUP)), "poll") != NULL);
}

TEST(work_that_was_there_before_is_seen)
{
    coil_loop *earlier = loop = coil_new_event_loop();
    calls = 0;
    EXPECT_INT(coil_call_soon(loop, count, NULL, NULL), 0);
    fd = coil_loop_fd(loop);
    if (fd >= 0)
        host_until(&calls, 1);
    else
        EXPECT_INT(fd, COIL_ENOTSUP);
    EXPECT_PTR(loop, earlier);
    end();
}

/* ---- what the host queues between steps ---------------------------------------------------------
 * The trap of such descriptors: the host computes what to wait for after a step, then queues something,
 * and sleeps on what it computed. */

TEST(callback_from_the_host_is_seen)
{
    BEGIN();
    settle();
    EXPECT_INT(coil_call_soon(loop, count, NULL, NULL), 0);
    EXPECT(readable(0));
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(calls, 1);
    settle();
    end();
}

TEST(timer_from_the_host_is_seen)
{
    BEGIN();
    EXPECT_INT(coil_call_later(loop, 3600, nothing, NULL, NULL), 0);
    settle();
    double begun = coil_loop_time(loop);
    EXPECT_INT(coil_call_later(loop, 0.003, count, NULL, NULL), 0);
    host_until(&calls, 1);
    EXPECT(coil_loop_time(loop) - begun >= 0.003);
    settle();
    end();
}

TEST(timer_that_is_due_already_is_seen)
{
    BEGIN();
    settle();
    EXPECT_INT(coil_call_later(loop, -1, count, NULL, NULL), 0);
    EXPECT(readable(0));
    host_until(&calls, 1);
    EXPECT_INT(coil_call_at(loop, -INFINITY, count, NULL, NULL), 0);
    EXPECT(readable(0));
    host_until(&calls, 2);
    EXPECT_INT(coil_call_later(loop, INFINITY, count, NULL, NULL), 0);
    settle();
    end();
}

TEST(cancelled_timer_does_not_keep_the_host_awake)
{
    BEGIN();
    coil_handle *handle;
    EXPECT_INT(coil_call_later(loop, -1, count, NULL, &handle), 0);
    coil_handle_cancel(handle);
    coil_unref(handle);
    settle();
    EXPECT_INT(calls, 0);
    end();
}

COIL_ASYNC(counts_itself, (int *, counter))
{
    ++*counter;
    COIL_TRY(coil_sleep(0));
    ++*counter;
    COIL_TRY(coil_sleep(0.001));
    ++*counter;
    coil_return(0);
}

TEST(task_from_the_host_is_seen_through)
{
    BEGIN();
    settle();
    int counter = 0;
    coil_task *task = coil_create_task_with(loop, counts_itself(&counter), NULL);
    REQUIRE(task);
    EXPECT(readable(0));
    EXPECT_INT(coil_loop_step(loop, 0), 1);
    EXPECT_INT(counter, 1);
    EXPECT(readable(0));
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(counter, 2);
    host_until(&counter, 3);
    EXPECT(coil_future_done(task));
    coil_unref(task);
    settle();
    end();
}

COIL_ASYNC(waits_for, (coil_future *, future), (int *, counter))
{
    int rc = future ? coil_await(future, NULL) : coil_sleep(3600);
    ++*counter;
    COIL_TRY(rc);
    coil_return(0);
}

TEST(future_that_the_host_completes_is_seen)
{
    BEGIN();
    int counter = 0;
    coil_future *future = coil_create_future(loop);
    coil_task *task = coil_create_task_with(loop, waits_for(future, &counter), NULL);
    settle();
    EXPECT_INT(counter, 0);
    EXPECT_INT(coil_future_set_result(future, coil_int(1)), 0);
    EXPECT(readable(0));
    host_until(&counter, 1);
    coil_unref(task);
    coil_unref(future);
    settle();
    end();
}

TEST(task_that_the_host_cancels_is_seen)
{
    BEGIN();
    int counter = 0;
    coil_future *future = coil_create_future(loop);
    for (int i = 0; i < 2; i++) {
        coil_task *task = coil_create_task_with(loop, waits_for(i ? future : NULL, &counter), NULL);
        settle();
        EXPECT_INT(counter, i);
        EXPECT(coil_task_cancel(task, NULL));
        EXPECT(readable(0));
        host_until(&counter, i + 1);
        settle();
        EXPECT(coil_future_cancelled(task));
        coil_unref(task);
    }
    coil_unref(future);
    end();
}

static int on_done(coil_future *future, void *arg)
{
    (void)future;
    return count(arg);
}

TEST(done_callback_that_the_host_adds_late_is_seen)
{
    BEGIN();
    coil_future *future = coil_create_future(loop);
    EXPECT_INT(coil_future_set_result(future, coil_int(1)), 0);
    settle();
    EXPECT_INT(coil_future_add_done_callback(future, on_done, NULL, NULL), 0);
    EXPECT(readable(0));
    host_until(&calls, 1);
    coil_unref(future);
    settle();
    end();
}

TEST(stop_from_the_host_is_seen_and_over_after_a_step)
{
    BEGIN();
    settle();
    coil_loop_stop(loop);
    EXPECT(readable(0));
    EXPECT_INT(coil_loop_step(loop, -1), 0);
    settle();
    end();
}

TEST(reader_from_the_host_is_seen)
{
    BEGIN();
    int sockets[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
    settle();
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, NULL), 0);
    settle();
    EXPECT_INT(write(sockets[1], "x", 1), 1);
    EXPECT(readable(0));
    host_until(&calls, 1);
    EXPECT(readable(0)); /* nobody has read it */
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 1);
    settle();
    EXPECT_INT(coil_add_writer(loop, sockets[0], count, NULL), 0);
    EXPECT(readable(0));
    host_until(&calls, 2);
    EXPECT_INT(coil_remove_writer(loop, sockets[0]), 1);
    settle();
    close(sockets[0]);
    close(sockets[1]);
    end();
}

/* ---- other threads --------------------------------------------------------------------------- */

struct posts {
    coil_loop *loop;
    int count, counter;
};

static void *post(void *arg)
{
    struct posts *posts = arg;
    for (int i = 0; i < posts->count; i++)
        EXPECT_INT(coil_call_soon_threadsafe(posts->loop, count, &posts->counter), 0);
    return NULL;
}

TEST(call_from_another_thread_wakes_the_host)
{
    BEGIN();
    for (int round = 0; round < 20; round++) {
        settle();
        struct posts posts = { loop, 1, 0 };
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, post, &posts) == 0);
        host_until(&posts.counter, 1);
        pthread_join(thread, NULL);
        settle();
    }
    end();
}

TEST(many_calls_from_another_thread_all_reach_a_host)
{
    BEGIN();
    struct posts posts = { loop, 20000, 0 };
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, post, &posts) == 0);
    while (posts.counter < posts.count) {
        if (!EXPECT(readable(PATIENCE_MS)))
            break;
        EXPECT(coil_loop_step(loop, 0) >= 0);
    }
    pthread_join(thread, NULL);
    EXPECT_INT(posts.counter, posts.count);
    settle();
    end();
}

static int post_from_inside(void *arg)
{
    return coil_call_soon_threadsafe(coil_get_running_loop(), count, arg);
}

TEST(call_that_a_step_posts_to_itself_is_seen)
{
    BEGIN();
    settle();
    EXPECT_INT(coil_call_soon(loop, post_from_inside, NULL, NULL), 0);
    EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(calls, 0);
    EXPECT(readable(0));
    host_until(&calls, 1);
    settle();
    end();
}

/* ---- sockets, in a host that is an epoll itself ---------------------------------------------- */

COIL_ASYNC(echoes, (int, socket))
{
    char buffer[256];
    for (;;) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(socket, buffer, sizeof buffer));
        if (got == 0)
            break;
        COIL_TRY(coil_sock_sendall(socket, buffer, (size_t)got));
    }
    coil_return(0);
}

static void talk(int host, int socket)
{
    struct epoll_event event;
    char got[8] = "";
    EXPECT_INT(write(socket, "hello", 6), 6);
    ssize_t length = -1;
    for (int round = 0; round < ROUNDS && length < 0; round++) {
        if (!EXPECT(epoll_wait(host, &event, 1, PATIENCE_MS) == 1))
            return;
        EXPECT(coil_loop_step(loop, 0) >= 0);
        length = read(socket, got, sizeof got);
    }
    EXPECT_INT(length, 6);
    EXPECT_STR(got, "hello");
}

TEST(tasks_and_sockets_work_inside_an_epoll_host)
{
    BEGIN();
    int sockets[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
    int host = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    EXPECT_INT(epoll_ctl(host, EPOLL_CTL_ADD, fd, &event), 0);
    coil_task *task = coil_create_task_with(loop, echoes(sockets[0]), NULL);
    for (int i = 0; i < 50; i++)
        talk(host, sockets[1]);
    settle();
    EXPECT_INT(epoll_wait(host, &event, 1, 0), 0);
    close(sockets[1]);
    for (int round = 0; round < ROUNDS && !coil_future_done(task); round++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(coil_future_result(task, NULL), 0);
    coil_unref(task);
    close(sockets[0]);
    close(host);
    end();
}

/* ---- step, which every backend has ----------------------------------------------------------- */

static int queue_count(void *arg)
{
    calls++;
    return coil_call_soon(NULL, count, arg, NULL);
}

TEST(step_is_one_turn_and_says_whether_more_is_ready)
{
    loop = coil_new_event_loop();
    calls = 0;
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(coil_call_soon(loop, queue_count, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, queue_count, NULL, NULL), 0);
    EXPECT_INT(coil_loop_step(loop, 1000), 1);
    EXPECT_INT(calls, 2);
    EXPECT_INT(coil_loop_step(loop, 1000), 0);
    EXPECT_INT(calls, 4);
    EXPECT(!coil_loop_is_running(loop));
    EXPECT_PTR(coil_get_running_loop(), NULL);
    end();
}

COIL_ASYNC(yields, (int *, counter))
{
    for (int i = 0; i < 10; i++) {
        ++*counter;
        COIL_TRY(coil_sleep(0));
    }
    coil_return(0);
}

TEST(step_does_not_run_into_the_next_turn_with_tasks)
{
    /* Tasks hand over to one another from turn to turn; a step has to end that. */
    loop = coil_new_event_loop();
    int counter = 0;
    coil_task *tasks[2];
    for (int i = 0; i < 2; i++)
        tasks[i] = coil_create_task_with(loop, yields(&counter), NULL);
    for (int turn = 1; turn <= 10; turn++) {
        EXPECT_INT(coil_loop_step(loop, 0), 1);
        EXPECT_INT(counter, 2 * turn);
    }
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT(coil_future_done(tasks[i]));
        coil_unref(tasks[i]);
    }
    end();
}

TEST(step_waits_no_longer_than_it_is_told)
{
    loop = coil_new_event_loop();
    calls = 0;
    EXPECT_INT(coil_call_later(loop, 3600, count, NULL, NULL), 0);
    double begun = coil_loop_time(loop);
    EXPECT_INT(coil_loop_step(loop, 0.002), 0);
    EXPECT(coil_loop_time(loop) - begun >= 0.002);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(calls, 0);
    end();
}

TEST(step_without_a_limit_waits_for_a_timer)
{
    static const double limits[] = { -1, -INFINITY, INFINITY, 1e300 };
    loop = coil_new_event_loop();
    for (int i = 0; i < 4; i++) {
        calls = 0;
        EXPECT_INT(coil_call_later(loop, 0.001, count, NULL, NULL), 0);
        for (int round = 0; round < ROUNDS && calls == 0; round++)
            EXPECT_INT(coil_loop_step(loop, limits[i]), 0);
        EXPECT_INT(calls, 1);
    }
    end();
}

TEST(step_refuses_what_is_no_number)
{
    loop = coil_new_event_loop();
    calls = 0;
    EXPECT_INT(coil_call_soon(loop, count, NULL, NULL), 0);
    EXPECT_INT(coil_loop_step(loop, NAN), COIL_EINVAL);
    EXPECT_INT(calls, 0);
    end();
}

COIL_ASYNC0(exits)
{
    return coil_exit(4);
}

TEST(step_passes_on_that_a_task_wants_out)
{
    loop = coil_new_event_loop();
    coil_task *task = coil_create_task_with(loop, exits(), NULL);
    EXPECT_INT(coil_loop_step(loop, 0), COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 4);
    EXPECT_INT(coil_future_result(task, NULL), COIL_EEXIT);
    coil_unref(task);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    end();
}

TEST(step_and_run_may_alternate)
{
    loop = coil_new_event_loop();
    calls = 0;
    for (int i = 1; i <= 5; i++) {
        EXPECT_INT(coil_call_soon(loop, count, NULL, NULL), 0);
        EXPECT_INT(coil_loop_step(loop, 0), 0);
        EXPECT_INT(calls, 2 * i - 1);
        EXPECT_INT(coil_call_soon(loop, count, NULL, NULL), 0);
        coil_loop_stop(loop);
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(calls, 2 * i);
    }
    end();
}

TESTS_MAIN(
    RUN(descriptor_is_one_and_the_same_and_quiet_while_idle),
    RUN(backend_without_a_descriptor_says_so), RUN(work_that_was_there_before_is_seen),
    RUN(callback_from_the_host_is_seen), RUN(timer_from_the_host_is_seen),
    RUN(timer_that_is_due_already_is_seen), RUN(cancelled_timer_does_not_keep_the_host_awake),
    RUN(task_from_the_host_is_seen_through), RUN(future_that_the_host_completes_is_seen),
    RUN(task_that_the_host_cancels_is_seen), RUN(done_callback_that_the_host_adds_late_is_seen),
    RUN(stop_from_the_host_is_seen_and_over_after_a_step), RUN(reader_from_the_host_is_seen),
    RUN(call_from_another_thread_wakes_the_host),
    RUN(many_calls_from_another_thread_all_reach_a_host),
    RUN(call_that_a_step_posts_to_itself_is_seen), RUN(tasks_and_sockets_work_inside_an_epoll_host),
    RUN(step_is_one_turn_and_says_whether_more_is_ready),
    RUN(step_does_not_run_into_the_next_turn_with_tasks), RUN(step_waits_no_longer_than_it_is_told),
    RUN(step_without_a_limit_waits_for_a_timer), RUN(step_refuses_what_is_no_number),
    RUN(step_passes_on_that_a_task_wants_out), RUN(step_and_run_may_alternate))
