#include "lib/programs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <coil/testing.h>
#include "lib/held.h"
#include "lib/program_pieces.h"
#include "test.h"

enum {
    BULK_BYTES = 300 * 1000, /* more than a socket's buffers take */
    STEPS_MAX = 10000,       /* of a loop that is driven by hand */
};

/* How long to wait for what should come at once: it is over only if something was lost. */
static const double SOON = 0.25;

/* ---- loops -------------------------------------------------------------------------------------- */

static const char *const dropped_on_purpose = "dropped_on_purpose";

static void log_quietly(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop, (void)level, (void)arg;
    if (report->event == COIL_EVENT_NEVER_AWAITED && strcmp(report->name, dropped_on_purpose) != 0)
        test_report_(__FILE__, __LINE__, "%s was never awaited", report->name);
}

static coil_loop *make_loop(bool virtual_clock)
{
    coil_loop *loop = virtual_clock ? coil_testing_virtual_loop(NULL) : coil_new_event_loop();
    if (loop)
        coil_set_logger(loop, log_quietly, NULL);
    return loop;
}

coil_loop *program_loop(const struct program *program)
{
    return make_loop(!(program->traits & PROGRAM_REAL_CLOCK));
}

static coil_loop *virtual_loop(void *arg)
{
    (void)arg;
    return make_loop(true);
}

/* ---- sockets to work on -------------------------------------------------------------------------- */

static int open_pair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno
                                                                                        : 0;
}

static void close_pair(int pair[2])
{
    coil_sock_close(pair[0]);
    coil_sock_close(pair[1]);
}

/* ---- tasks -------------------------------------------------------------------------------------- */

COIL_ASYNC0(tasks_main)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "second";
    coil_task *first = coil_create_task(answer(0.1, 1));
    coil_task *second = first ? coil_create_task_with(NULL, answer(1000, 2), &options) : NULL;
    int rc = second ? 0 : coil_error_last();
    coil_value value;
    if (rc == 0)
        rc = coil_await(first, &value);
    if (rc == 0) {
        EXPECT_INT(token_number(value), 1);
        EXPECT(coil_task_cancel(second, "that is enough"));
        rc = expect_code(coil_await(second, NULL), COIL_ECANCELED);
    }
    if (rc == 0)
        rc = coil_await(answer(0, 3), &value);
    if (rc == 0) {
        EXPECT_INT(token_number(value), 3);
        coil_value_clear(&value);
        rc = coil_spawn(answer(0.1, 4));
    }
    if (rc == 0)
        rc = coil_task_set_name(first, "another name");
    if (rc == 0) /* a deep chain, each awaiting the next on one stack */
        rc = expect_code(coil_await(failing(0.1, -EPIPE), NULL), -EPIPE);
    coil_unref(first);
    coil_unref(second);
    return rc;
}

static int run_tasks(coil_loop *loop)
{
    return coil_run_until_complete(loop, tasks_main(), NULL);
}

/* ---- gather ------------------------------------------------------------------------------------- */

COIL_ASYNC0(gathers_main)
{
    coil_value parts[4];
    COIL_TRY(coil_gather(parts, answer(0.2, 0), answer(0.1, 1), answer(0, 2)));
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(token_number(parts[i]), i);
        coil_value_clear(&parts[i]);
    }
    COIL_TRY(expect_code(coil_gather(NULL, answer(0.2, 1), failing(0.1, COIL_EAPP)), COIL_EAPP));

    coil_future *future = coil_create_future(NULL);
    if (!future)
        return coil_error_last();
    int rc = coil_gather(NULL, failing(0.1, COIL_EAPP), future); /* which nobody completes */
    coil_unref(future);
    COIL_TRY(expect_code(rc, COIL_EAPP));

    future = coil_create_future(NULL);
    if (!future)
        return coil_error_last();
    coil_future_cancel(future, "not wanted");
    rc = coil_gather_collect(parts, answer(0.1, 7), failing(0, COIL_EAPP), future, future);
    coil_unref(future);
    COIL_TRY(rc);
    rc = parts[0].kind == COIL_ERROR ? coil_error_code(parts[0].error) : 0;
    if (rc == 0)
        EXPECT_INT(token_number(parts[0]), 7);
    for (int i = 1; i < 4; i++) {
        EXPECT_INT(parts[i].kind, COIL_ERROR);
        int code = coil_error_code(parts[i].error);
        if (rc == 0)
            rc = expect_code(code, i == 1 ? COIL_EAPP : COIL_ECANCELED);
    }
    for (int i = 0; i < 4; i++)
        coil_value_clear(&parts[i]);
    return rc;
}

static int cancel_it(void *future)
{
    coil_future_cancel(future, NULL);
    return 0;
}

/* A gathering that is cancelled from outside, by a timer. */
COIL_ASYNC0(gathers_cancelled)
{
    void *parts[2] = { answer(1000, 1), cleaning(1000) };
    coil_future *gathering = coil_gather_future(NULL, parts, 2, 0);
    if (!gathering)
        return coil_error_last();
    int rc = coil_call_later(NULL, 1, cancel_it, gathering, NULL);
    if (rc == 0)
        rc = expect_code(coil_await(gathering, NULL), COIL_ECANCELED);
    coil_future_cancel(gathering, NULL);
    if (rc < 0) /* the timer must not find it gone */
        (void)coil_sleep(2);
    coil_unref(gathering);
    return rc;
}

static int run_gathers(coil_loop *loop)
{
    int rc = coil_run_until_complete(loop, gathers_main(), NULL);
    return rc < 0 ? rc : coil_run_until_complete(loop, gathers_cancelled(), NULL);
}

/* ---- wait --------------------------------------------------------------------------------------- */

static int wait_for_three(coil_future *const *futures)
{
    int done;
    COIL_TRY(done = coil_wait(futures, 3, 1, COIL_FIRST_COMPLETED));
    COIL_TRY(coil_future_result(futures[0], NULL)); /* an error would end the wait as well */
    EXPECT_INT(done, 1);
    COIL_TRY(done = coil_wait(futures, 3, 1, COIL_ALL_COMPLETED));
    EXPECT_INT(done, coil_future_done(futures[1]) ? 2 : 1);
    COIL_TRY(coil_future_set_result(futures[2], token_value(3)));
    COIL_TRY(done = coil_wait(futures, 3, COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION));
    EXPECT(done >= 2);
    return coil_future_result(futures[1], NULL);
}

COIL_ASYNC0(waits_main)
{
    coil_future *futures[3] = { NULL };
    futures[0] = coil_create_task(answer(0.1, 1));
    futures[1] = futures[0] ? coil_create_task(answer(5, 2)) : NULL;
    futures[2] = futures[1] ? coil_create_future(NULL) : NULL;
    int rc = futures[2] ? wait_for_three(futures) : coil_error_last();
    for (int i = 0; i < 3; i++)
        coil_unref(futures[i]);
    return rc;
}

static int run_waits(coil_loop *loop)
{
    return coil_run_until_complete(loop, waits_main(), NULL);
}

/* ---- context variables -------------------------------------------------------------------------- */

COIL_ASYNC(reads_and_sets, (coil_context_var *, var), (int, number))
{
    coil_value value;
    COIL_TRY(coil_context_var_get(var, &value));
    EXPECT_INT(token_number(value), 1);
    coil_context_token token;
    COIL_TRY(coil_context_var_set(var, token_value(number), &token));
    int rc = coil_sleep(0.1);
    if (rc == 0)
        rc = coil_context_var_get(var, &value);
    if (rc == 0) {
        EXPECT_INT(token_number(value), number);
        rc = coil_context_var_reset(var, &token);
    }
    if (rc < 0)
        coil_context_token_fini(&token);
    return rc;
}

static int set_to_nine(void *var)
{
    return coil_context_var_set(var, token_value(9), NULL);
}

COIL_ASYNC(contexts_main, (coil_context_var *, var), (coil_context_var *, other))
{
    COIL_TRY(coil_context_var_set(var, token_value(1), NULL));
    COIL_TRY(coil_context_var_set(other, token_value(2), NULL));
    COIL_TRY(coil_gather(NULL, reads_and_sets(var, 11), reads_and_sets(var, 12)));
    coil_value value;
    COIL_TRY(coil_context_var_get(var, &value));
    EXPECT_INT(token_number(value), 1);

    coil_context *copy = coil_context_copy();
    int rc = copy ? coil_context_run(copy, set_to_nine, var) : coil_error_last();
    if (rc == 0)
        rc = coil_context_get(copy, var, &value);
    if (rc == 0)
        EXPECT_INT(token_number(value), 9);
    coil_unref(copy);
    if (rc == 0 && !coil_task_get_context(coil_current_task()))
        rc = coil_error_last();
    return rc;
}

static int run_contexts(coil_loop *loop)
{
    /* Never freed: what a failure leaves behind may refer to them until the loop is closed. */
    static coil_context_var *var, *other;
    if (!var && !(var = coil_context_var_new("var")))
        return coil_error_last();
    if (!other && !(other = coil_context_var_new_default("other", token_value(0))))
        return coil_error_last();
    return coil_run_until_complete(loop, contexts_main(var, other), NULL);
}

/* ---- callbacks and timers ----------------------------------------------------------------------- */

static int count_done(coil_future *future, void *arg)
{
    (void)future;
    ++*(int *)arg;
    return 0;
}

static int add_callbacks(coil_future *future, int *count)
{
    COIL_TRY(coil_future_add_done_callback(future, count_done, count, NULL));
    COIL_TRY(coil_future_add_done_callback(future, count_done, count, NULL));
    EXPECT_INT(coil_future_remove_done_callback(future, count_done, count), 2);
    COIL_TRY(coil_future_add_done_callback(future, count_done, count, NULL));
    COIL_TRY(coil_future_set_exception(future, coil_raise(COIL_EAPP, "a record to keep")));
    return coil_future_add_done_callback(future, count_done, count, NULL);
}

COIL_ASYNC0(callbacks_main)
{
    int count = 0;
    coil_future *future = coil_create_future(NULL);
    if (!future)
        return coil_error_last();
    int rc = add_callbacks(future, &count);
    (void)coil_sleep(0); /* what was queued runs before count goes */
    if (rc == 0)
        EXPECT_INT(count, 2);
    coil_future_remove_done_callback(future, count_done, &count);
    if (rc == 0)
        rc = expect_code(coil_await(future, NULL), COIL_EAPP);
    coil_unref(future);
    return rc;
}

static int run_callbacks(coil_loop *loop)
{
    return coil_run_until_complete(loop, callbacks_main(), NULL);
}

static int called;

static int call_counted(void *arg)
{
    (void)arg;
    called++;
    return 0;
}

static int call_failing(void *arg)
{
    (void)arg;
    called++;
    return coil_raise(COIL_EAPP, "nobody catches this");
}

/* Calls with a token, which is given back by the call or, if there is none, here. */
static int call_with_token(double delay, coil_callback fn, coil_handle **handle_out)
{
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.release = token_drop;
    void *token = token_new(0);
    int rc = delay < 0 ? coil_call_soon_with(NULL, fn, token, &options, handle_out)
                       : coil_call_later_with(NULL, delay, fn, token, &options, handle_out);
    if (rc < 0)
        token_drop(token);
    return rc;
}

COIL_ASYNC0(timers_main)
{
    coil_handle *handle;
    called = 0;
    COIL_TRY(call_with_token(-1, call_counted, NULL));
    COIL_TRY(call_with_token(0.2, call_counted, NULL));
    COIL_TRY(call_with_token(0.1, call_failing, NULL));
    COIL_TRY(call_with_token(0.3, call_counted, &handle));
    coil_handle_cancel(handle);
    coil_unref(handle);
    COIL_TRY(call_with_token(-1, call_counted, &handle));
    coil_handle_cancel(handle);
    coil_unref(handle);
    COIL_TRY(coil_call_at(NULL, coil_loop_time(NULL) + 0.4, call_counted, NULL, &handle));
    bool visible = coil_handle_get_context(handle) != NULL;
    coil_unref(handle);
    if (!visible)
        return coil_error_last();
    for (int i = 0; i < 100; i++) /* the heap grows */
        COIL_TRY(coil_call_later(NULL, 0.5, call_counted, NULL, NULL));
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(called, 104);
    return 0;
}

static int run_timers(coil_loop *loop)
{
    return coil_run_until_complete(loop, timers_main(), NULL);
}

/* ---- descriptors -------------------------------------------------------------------------------- */

struct watch {
    int fd;
    coil_future *got;
};

/* May be called although nothing is there. */
static int on_readable(void *arg)
{
    struct watch *watch = arg;
    char byte;
    if (read(watch->fd, &byte, 1) == 1 && !coil_future_done(watch->got))
        return coil_future_set_result(watch->got, coil_int(byte));
    return 0;
}

static int on_writable(void *arg)
{
    struct watch *watch = arg;
    if (write(watch->fd, "w", 1) != 1)
        return 0;
    coil_remove_writer(NULL, watch->fd);
    return 0;
}

/* Both ends are watched; the byte that one writes, the other reads. */
static int watch_both(struct watch *reader, struct watch *writer)
{
    coil_value value;
    COIL_TRY(coil_add_reader(NULL, reader->fd, on_readable, reader));
    COIL_TRY(coil_add_reader(NULL, reader->fd, on_readable, reader));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_add_writer(NULL, writer->fd, on_writable, writer));
    int done;
    COIL_TRY(done = coil_wait(&reader->got, 1, SOON, COIL_ALL_COMPLETED));
    if (done == 0)
        return coil_raise(COIL_ETIMEDOUT, "nothing came");
    COIL_TRY(coil_future_result(reader->got, &value));
    EXPECT_INT(value.integer, 'w');
    return 0;
}

COIL_ASYNC0(watchers_main)
{
    int pair[2];
    COIL_TRY(open_pair(pair));
    struct watch reader = { pair[0], coil_create_future(NULL) }, writer = { pair[1], NULL };
    int rc = reader.got ? watch_both(&reader, &writer) : coil_error_last();
    coil_remove_reader(NULL, pair[0]);
    coil_remove_writer(NULL, pair[1]);
    close_pair(pair);
    coil_unref(reader.got);
    return rc;
}

static int run_watchers(coil_loop *loop)
{
    return coil_run_until_complete(loop, watchers_main(), NULL);
}

/* ---- sockets ------------------------------------------------------------------------------------ */

COIL_ASYNC(echo, (int, fd))
{
    char buffer[4096];
    for (;;) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(fd, buffer, sizeof buffer));
        if (got == 0)
            break;
        COIL_TRY(coil_sock_sendall(fd, buffer, (size_t)got));
    }
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static char bulk_byte(size_t index)
{
    return (char)(index * 7 + index / 251);
}

COIL_ASYNC(send_bulk, (int, fd), (size_t, bytes))
{
    static char bulk[BULK_BYTES];
    for (size_t i = 0; i < bytes; i++)
        bulk[i] = bulk_byte(i);
    COIL_TRY(coil_sock_sendall(fd, bulk, bytes));
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

COIL_ASYNC(recv_bulk, (int, fd), (size_t, bytes))
{
    char buffer[5000];
    size_t count = 0;
    for (;;) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(fd, buffer, sizeof buffer));
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            if (buffer[i] != bulk_byte(count++))
                return coil_raise(COIL_EAPP, "byte %zu is wrong", count - 1);
    }
    return count == bytes ? 0 : coil_raise(COIL_EAPP, "%zu bytes came back", count);
}

/* Gathers coroutines that use descriptors. If one fails the others may still wait for theirs: closing the
 * descriptors ends them. One that is NULL could not be made. */
static int run_together(void **coros, size_t count)
{
    coil_future *gathering = coil_gather_future(NULL, coros, count, 0);
    int rc = gathering ? coil_await(gathering, NULL) : coil_error_last();
    coil_unref(gathering);
    return rc;
}

COIL_ASYNC0(echo_main)
{
    int pair[2];
    COIL_TRY(open_pair(pair));
    void *parts[3] = { echo(pair[0]), send_bulk(pair[1], BULK_BYTES),
                       recv_bulk(pair[1], BULK_BYTES) };
    int rc = run_together(parts, 3);
    close_pair(pair);
    return rc;
}

static int run_echo(coil_loop *loop)
{
    return coil_run_until_complete(loop, echo_main(), NULL);
}

static struct sockaddr_in local_address(in_port_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = port,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* A socket with a port of its own. */
static int open_bound(int type, struct sockaddr_in *address_out)
{
    socklen_t length = sizeof *address_out;
    *address_out = local_address(0);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)(void *)address_out, length) < 0 ||
        getsockname(fd, (struct sockaddr *)(void *)address_out, &length) < 0 ||
        (type == SOCK_STREAM && listen(fd, 8) < 0)) {
        int code = -errno;
        (void)close(fd);
        return code;
    }
    return fd;
}

COIL_ASYNC(accept_and_echo, (int, listener))
{
    int fd;
    COIL_TRY(fd = coil_sock_accept(listener, NULL, NULL));
    int rc = coil_await(echo(fd), NULL);
    coil_sock_close(fd);
    return rc;
}

COIL_ASYNC(connect_and_talk, (struct sockaddr_in, address))
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = coil_sock_connect(fd, (struct sockaddr *)(void *)&address, sizeof address);
    if (rc == 0) {
        void *parts[2] = { send_bulk(fd, 1000), recv_bulk(fd, 1000) };
        rc = run_together(parts, 2);
    }
    coil_sock_close(fd);
    return rc;
}

COIL_ASYNC0(connections_main)
{
    struct sockaddr_in address;
    int listener;
    COIL_TRY(listener = open_bound(SOCK_STREAM, &address));
    void *parts[2] = { accept_and_echo(listener), connect_and_talk(address) };
    int rc = run_together(parts, 2);
    coil_sock_close(listener);
    return rc;
}

static int run_connections(coil_loop *loop)
{
    return coil_run_until_complete(loop, connections_main(), NULL);
}

COIL_ASYNC(take_datagram, (int, fd))
{
    char text[16];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got;
    COIL_TRY(
        got = coil_sock_recvfrom(fd, text, sizeof text, (struct sockaddr *)(void *)&from, &length));
    EXPECT_INT(got, 5);
    EXPECT_INT(length, sizeof from);
    return 0;
}

COIL_ASYNC(give_datagram, (int, fd), (struct sockaddr_in, address))
{
    ssize_t sent;
    COIL_TRY(coil_sleep(0)); /* the other one waits by then */
    COIL_TRY(sent = coil_sock_sendto(fd, "hello", 5, (struct sockaddr *)(void *)&address,
                                     sizeof address));
    EXPECT_INT(sent, 5);
    return 0;
}

COIL_ASYNC0(datagrams_main)
{
    struct sockaddr_in address;
    int fd;
    COIL_TRY(fd = open_bound(SOCK_DGRAM, &address));
    void *parts[2] = { take_datagram(fd), give_datagram(fd, address) };
    int rc = run_together(parts, 2);
    coil_sock_close(fd);
    return rc;
}

static int run_datagrams(coil_loop *loop)
{
    return coil_run_until_complete(loop, datagrams_main(), NULL);
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct from_thread {
    coil_loop *loop;
    coil_future *told;
    double delay;
    int rc;
};

static int tell(void *arg)
{
    struct from_thread *self = arg;
    return coil_future_done(self->told) ? 0 : coil_future_set_result(self->told, coil_nil());
}

static void *call_from_thread(void *arg)
{
    struct from_thread *self = arg;
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.release = token_drop;
    struct timespec delay = { 0, (long)(self->delay * 1e9) };
    nanosleep(&delay, NULL);
    void *token = token_new(0);
    self->rc = coil_call_soon_threadsafe_with(self->loop, call_counted, token, &options);
    if (self->rc < 0)
        token_drop(token);
    else
        self->rc = coil_call_soon_threadsafe(self->loop, tell, self);
    return NULL;
}

/* sleeps: the loop does, until the thread wakes it; else the thread has ended before the loop looks. */
COIL_ASYNC(threads_main, (bool, sleeps))
{
    pthread_t thread;
    struct from_thread self = { .loop = coil_get_running_loop(), .delay = sleeps ? 0.002 : 0 };
    self.told = coil_create_future(NULL);
    if (!self.told)
        return coil_error_last();
    coil_testing_outside(NULL, 1);
    int rc = -pthread_create(&thread, NULL, call_from_thread, &self);
    if (rc == 0) {
        if (sleeps)
            rc = coil_await(self.told, NULL);
        pthread_join(thread, NULL);
        if (rc == 0)
            rc = self.rc;
        if (rc == 0)
            rc = coil_await(self.told, NULL);
    }
    coil_testing_outside(NULL, -1);
    coil_unref(self.told);
    return rc;
}

static int run_joined_thread(coil_loop *loop)
{
    return coil_run_until_complete(loop, threads_main(false), NULL);
}

static int run_thread_wakes(coil_loop *loop)
{
    return coil_run_until_complete(loop, threads_main(true), NULL);
}

/* ---- run and runner ----------------------------------------------------------------------------- */

COIL_ASYNC0(leaves_tasks)
{
    COIL_TRY(coil_spawn(answer(1000, 1)));
    COIL_TRY(coil_spawn(cleaning(1000)));
    COIL_TRY(coil_spawn(failing(0.005, COIL_EAPP)));
    COIL_TRY(coil_spawn(answer(0, 2)));
    COIL_TRY(coil_sleep(0));
    coil_return(token_value(42));
}

static int run_with_leftovers(coil_loop *loop)
{
    (void)loop;
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = virtual_loop;
    coil_value value;
    int rc = coil_run_with(leaves_tasks(), &value, &options);
    if (rc < 0)
        return rc;
    EXPECT_INT(token_number(value), 42);
    coil_value_clear(&value);
    return 0;
}

COIL_ASYNC0(asks_to_exit)
{
    COIL_TRY(coil_spawn(cleaning(1000)));
    return coil_exit(3);
}

static int run_runner(coil_loop *loop)
{
    (void)loop;
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = virtual_loop;
    coil_runner *runner = coil_runner_new(&options);
    if (!runner)
        return coil_error_last();
    coil_value value;
    int rc = coil_runner_run(runner, leaves_tasks(), NULL, &value);
    if (rc == 0)
        coil_value_clear(&value);
    if (rc == 0)
        rc = expect_code(coil_runner_run(runner, failing(0.1, -EPIPE), NULL, NULL), -EPIPE);
    if (rc == 0)
        rc = expect_code(coil_runner_run(runner, asks_to_exit(), NULL, NULL), COIL_EEXIT);
    int closed = coil_runner_close(runner);
    coil_unref(runner);
    return rc < 0 ? rc : closed;
}

static int cleanup_rc;

COIL_ASYNC0(notes_cleanup)
{
    int rc = coil_sleep(1000);
    cleanup_rc = rc == COIL_ECANCELED ? coil_sleep(0.01) : rc;
    return rc;
}

COIL_ASYNC0(exits)
{
    return coil_exit(3);
}

/* Ends just before another task leaves the loop: what was to stop the loop for this one stays queued, and
 * must not stop the run in which the others clean up. */
COIL_ASYNC0(ends_beside_exit)
{
    COIL_TRY(coil_spawn(notes_cleanup()));
    COIL_TRY(coil_sleep(0));
    return coil_spawn(exits());
}

static int run_exit(coil_loop *loop)
{
    (void)loop;
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = virtual_loop;
    coil_runner *runner = coil_runner_new(&options);
    if (!runner)
        return coil_error_last();
    cleanup_rc = COIL_EAPP;
    int rc = expect_code(coil_runner_run(runner, ends_beside_exit(), NULL, NULL), COIL_EEXIT);
    int closed = coil_runner_close(runner);
    coil_unref(runner);
    rc = rc < 0 ? rc : closed;
    return rc < 0 ? rc : cleanup_rc;
}

/* ---- debug mode and tracers --------------------------------------------------------------------- */

static int run_nothing(void *args, coil_value *result)
{
    (void)args, (void)result;
    return 0;
}

COIL_ASYNC0(debug_main)
{
    static const coil_coro_type type = { "dropped_on_purpose", run_nothing, __FILE__, __LINE__,
                                         NULL };
    coil_unref(coil_coro_new(&type, NULL, 0));
    COIL_TRY(coil_testing_advance(NULL, 1)); /* a slow step */
    COIL_TRY(coil_sleep(0.1));
    EXPECT(coil_task_stack_used(coil_current_task(), NULL) > 0);
    COIL_TRY(coil_gather(NULL, answer(0.1, 1), answer(0.2, 2)));
    coil_coro *used = coil_ref(answer(0, 1));
    if (!used)
        return coil_error_last();
    int rc = coil_await(used, NULL);
    if (rc == 0)
        rc = expect_code(coil_await(coil_ref(used), NULL), COIL_EREUSED);
    coil_unref(used);
    return rc;
}

static int run_debug(coil_loop *loop)
{
    coil_set_debug(loop, true);
    int rc = coil_run_until_complete(loop, debug_main(), NULL);
    coil_set_debug(loop, false);
    return rc;
}

static int run_traced(coil_loop *loop)
{
    FILE *null = fopen("/dev/null", "we");
    if (!null)
        return -errno;
    coil_tracer *text = coil_trace_text(loop, null, NULL, 0);
    coil_tracer *timeline = text ? coil_trace_timeline(loop) : NULL;
    int rc = timeline ? 0 : coil_error_last();
    if (rc == 0)
        rc = coil_run_until_complete(loop, gathers_main(), NULL);
    if (rc == 0)
        rc = coil_run_until_complete(loop, tasks_main(), NULL);
    if (rc == 0)
        rc = coil_timeline_write_svg(timeline, "/dev/null");
    if (rc == 0)
        rc = coil_timeline_write_json(timeline, "/dev/null");
    if (text)
        coil_trace_detach(text);
    if (timeline)
        coil_trace_detach(timeline);
    coil_unref(text);
    coil_unref(timeline);
    fclose(null);
    return rc;
}

/* ---- eager tasks, and none ---------------------------------------------------------------------- */

COIL_ASYNC(at_once, (int, number))
{
    coil_return(token_value(number));
}

COIL_ASYNC0(eager_main)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    coil_value parts[3];
    int rc = coil_gather(parts, at_once(1), answer(0.1, 2), at_once(3));
    for (int i = 0; i < 3 && rc == 0; i++) {
        EXPECT_INT(token_number(parts[i]), i + 1);
        coil_value_clear(&parts[i]);
    }
    coil_task *task = rc == 0 ? coil_create_task(cleaning(1000)) : NULL;
    coil_set_task_factory(NULL, NULL, NULL);
    if (rc < 0)
        return rc;
    if (!task)
        return coil_error_last();
    coil_task_cancel(task, NULL);
    rc = expect_code(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return rc;
}

static int run_eager(coil_loop *loop)
{
    return coil_run_until_complete(loop, eager_main(), NULL);
}

COIL_ASYNC(driven, (coil_future *, future))
{
    COIL_TRY(coil_sleep(0));
    coil_value value;
    COIL_TRY(coil_await(future, &value));
    EXPECT_INT(value.integer, 5);
    COIL_TRY(coil_await(at_once(1), NULL));
    int rc = coil_sleep(0);
    if (rc < 0)
        return rc;
    coil_return(token_value(6));
}

static int drive(coil_coro *coro, coil_future *future)
{
    coil_value value;
    int rc;
    COIL_TRY(rc = coil_coro_send(coro, NULL));
    EXPECT_INT(rc, 1);
    COIL_TRY(rc = coil_coro_send(coro, NULL));
    EXPECT_PTR(coil_coro_awaits(coro), future);
    COIL_TRY(coil_future_set_result(future, coil_int(5)));
    COIL_TRY(rc = coil_coro_send(coro, NULL));
    EXPECT_INT(rc, 1);
    COIL_TRY(coil_coro_send(coro, &value));
    EXPECT_INT(token_number(value), 6);
    coil_value_clear(&value);
    return 0;
}

static int run_driven(coil_loop *loop)
{
    coil_future *future = coil_create_future(loop);
    coil_coro *coro = future ? driven(future) : NULL;
    int rc = coro ? drive(coro, future) : coil_error_last();
    if (coro)
        coil_coro_close(coro);
    coil_coro *thrown = rc == 0 ? driven(future) : NULL;
    if (rc == 0 && !thrown)
        rc = coil_error_last();
    if (rc == 0)
        rc = coil_coro_send(thrown, NULL);
    if (rc == 1)
        rc = expect_code(coil_coro_throw(thrown, COIL_EAPP, NULL), COIL_EAPP);
    coil_coro_close(thrown);
    coil_unref(future);
    return rc;
}

/* ---- inside another loop ------------------------------------------------------------------------ */

COIL_ASYNC0(embedded_main)
{
    COIL_TRY(coil_sleep(0.001));
    return coil_gather(NULL, answer(0.001, 1), answer(0.002, 2));
}

static int run_embedded(coil_loop *loop)
{
    int fd = coil_loop_fd(loop);
    if (fd < 0 && fd != COIL_ENOTSUP) /* which the poll backend says */
        return fd;
    coil_task *task = coil_create_task_with(loop, embedded_main(), NULL);
    if (!task)
        return coil_error_last();
    int rc = 0;
    for (int steps = 0; rc >= 0 && !coil_future_done(task); steps++) {
        if (!EXPECT(steps < STEPS_MAX))
            break;
        struct pollfd host = { .fd = fd, .events = POLLIN };
        (void)poll(&host, 1, 1);
        rc = coil_loop_step(loop, 0);
    }
    if (rc >= 0)
        rc = coil_future_result(task, NULL);
    coil_unref(task);
    return rc;
}

/* ---- errors ------------------------------------------------------------------------------------- */

COIL_ASYNC0(raises_group)
{
    coil_error *errors[2];
    int rc = coil_await(failing(0.1, COIL_EAPP), NULL);
    COIL_TRY(expect_code(rc, COIL_EAPP));
    errors[0] = coil_error_current(COIL_EAPP);
    if (!errors[0]) /* there was no memory for it */
        return COIL_ENOMEM;
    (void)coil_raise_from(COIL_EAPP, COIL_EAPP - 1, "because of that");
    errors[1] = coil_error_current(COIL_EAPP - 1);
    if (!errors[1])
        return COIL_ENOMEM;
    return coil_raise_group(errors, 2, "two at once");
}

COIL_ASYNC0(errors_main)
{
    int rc = coil_await(raises_group(), NULL);
    coil_error *group = coil_ref(coil_error_current(rc));
    rc = expect_code(rc, COIL_EGROUP);
    if (rc == 0 && group) {
        rc = expect_code(coil_reraise(group), COIL_EGROUP);
        EXPECT_INT(coil_error_count(group), 2);
    }
    coil_unref(group);
    return rc;
}

static int run_errors(coil_loop *loop)
{
    int rc = coil_run_until_complete(loop, errors_main(), NULL);
    FILE *null = fopen("/dev/null", "we");
    if (null) {
        coil_error_print(null, coil_run_until_complete(loop, raises_group(), NULL));
        fclose(null);
    }
    return rc;
}

/* ---- other awaitables --------------------------------------------------------------------------- */

struct turnstile {
    coil_awaitable awaitable;
    int turns;
};

static int turnstile_wait(coil_awaitable *self, coil_value *value_out)
{
    struct turnstile *turnstile = (struct turnstile *)(void *)self;
    while (turnstile->turns-- > 0)
        COIL_TRY(coil_sleep(0));
    *value_out = token_value(8);
    return 0;
}

COIL_ASYNC(awaitables_main, (coil_awaitable *, awaitable))
{
    coil_value value;
    COIL_TRY(coil_await(awaitable, &value));
    EXPECT_INT(token_number(value), 8);
    coil_value_clear(&value);
    coil_future *future = coil_ensure_future(NULL, awaitable);
    if (!future)
        return coil_error_last();
    int rc = coil_await(future, NULL);
    coil_unref(future);
    COIL_TRY(rc);
    coil_task *task = coil_create_task(coil_sleep_coro(0.1, token_value(1)));
    if (!task)
        return coil_error_last();
    coil_task_cancel(task, NULL); /* before it has begun: the value is not lost */
    rc = expect_code(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    COIL_TRY(rc);
    COIL_TRY(coil_await(coil_sleep_coro(0.1, token_value(2)), &value));
    EXPECT_INT(token_number(value), 2);
    coil_value_clear(&value);
    return coil_coro_close(coil_sleep_coro(1, token_value(3)));
}

static int run_awaitables(coil_loop *loop)
{
    static struct turnstile turnstile = { COIL_AWAITABLE_INIT(turnstile_wait), 0 };
    turnstile.turns = 3;
    return coil_run_until_complete(loop, awaitables_main(&turnstile.awaitable), NULL);
}

/* ---- closing -------------------------------------------------------------------------------------- */

/* Three ways to wait for a future. The coroutine has a reference, also if it never begins. */
static int wait_by_await(coil_future *future)
{
    return coil_await(future, NULL);
}

static int wait_by_wait(coil_future *future)
{
    int rc = coil_wait(&future, 1, 500, COIL_ALL_COMPLETED);
    return rc < 0 ? rc : 0;
}

static int wait_by_gather(coil_future *future)
{
    return coil_gather(NULL, answer(1000, 1), future);
}

struct waiter {
    int (*wait)(coil_future *future);
    coil_future *future;
};

static void drop_waiter(void *args)
{
    coil_unref(((struct waiter *)args)->future);
}

static int run_waiter(void *args, coil_value *result)
{
    struct waiter *self = args;
    (void)result;
    int rc = self->wait(self->future);
    drop_waiter(self);
    return rc;
}

static int spawn_waiter(int (*wait)(coil_future *future), coil_future *future)
{
    static const coil_coro_type type = { "waiter", run_waiter, __FILE__, __LINE__, drop_waiter };
    struct waiter args = { wait, coil_ref(future) };
    coil_coro *coro = coil_coro_new(&type, &args, sizeof args);
    if (!coro)
        drop_waiter(&args);
    return coil_spawn(coro);
}

COIL_ASYNC0(receives)
{
    int pair[2];
    char byte;
    COIL_TRY(open_pair(pair));
    ssize_t got = coil_sock_recv(pair[0], &byte, 1);
    close_pair(pair);
    return got < 0 ? (int)got : 0;
}

/* Leaves tasks behind that wait in every way there is, on one that ends first and on one that ends
 * last. */
COIL_ASYNC0(leaves_all)
{
    static int (*const ways[])(coil_future *) = { wait_by_await, wait_by_wait, wait_by_gather };
    coil_task *first = coil_create_task(cleaning(1000));
    if (!first)
        return coil_error_last();
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = spawn_waiter(ways[i], first);
    coil_future *last = rc == 0 ? coil_create_future(NULL) : NULL;
    for (int i = 0; i < 3 && last && rc == 0; i++)
        rc = spawn_waiter(ways[i], last);
    if (last && rc == 0)
        rc = coil_spawn(receives());
    if (last && rc == 0)
        rc = coil_future_add_done_callback(first, count_done, &called, NULL);
    if (last && rc == 0)
        rc = coil_spawn(answer(0.2, 1));
    if (rc == 0 && !last)
        rc = coil_error_last();
    if (rc == 0)
        rc = coil_sleep(0.1);
    if (last && rc == 0)
        coil_future_set_result(last, token_value(1)); /* those it wakes find the loop closed */
    coil_unref(first);
    coil_unref(last);
    return rc;
}

static int run_closed(coil_loop *loop)
{
    (void)loop;
    coil_loop *own = virtual_loop(NULL);
    if (!own)
        return coil_error_last();
    int rc = coil_run_until_complete(own, leaves_all(), NULL);
    if (rc == 0)
        rc = coil_call_later(own, 1, call_counted, NULL, NULL);
    int closed = coil_loop_close(own);
    coil_unref(own);
    return rc < 0 ? rc : closed;
}

/* ---- all of them -------------------------------------------------------------------------------- */

/* ---- threads that work for the loop --------------------------------------------------------------- */

static int give_token(void *arg, coil_value *result_out)
{
    *result_out = token_value(token_number(coil_pointer(arg)));
    return 0;
}

COIL_JOB(failing_job, (int, code))
{
    return coil_raise(code, "in a thread");
}

static coil_job *token_job(int number)
{
    return coil_job_call(give_token, token_new(number), token_drop);
}

COIL_ASYNC0(in_the_default_executor)
{
    coil_value value;
    COIL_TRY(coil_to_thread(token_job(1), &value));
    EXPECT_INT(token_number(value), 1);
    coil_value_clear(&value);
    COIL_TRY(expect_code(coil_to_thread(failing_job(-EPIPE), NULL), -EPIPE));
    COIL_TRY(coil_await(coil_to_thread_coro(token_job(2)), NULL));
    return coil_shutdown_default_executor(COIL_NO_TIMEOUT);
}

COIL_ASYNC(in_a_pool, (coil_executor *, pool))
{
    coil_future *future = coil_run_in_executor(NULL, pool, token_job(3));
    int rc = coil_await(future, NULL);
    coil_unref(future);
    coil_concurrent_future *source = rc == 0 ? coil_executor_submit(pool, token_job(4)) : NULL;
    future = source ? coil_wrap_future(source, NULL) : NULL;
    rc = future ? coil_await(future, NULL) : coil_error_last();
    coil_unref(future);
    coil_unref(source);
    return rc;
}

COIL_ASYNC0(executors_main)
{
    COIL_TRY(coil_await(in_the_default_executor(), NULL));
    coil_executor *pool = coil_thread_pool_executor_new(NULL);
    if (!pool)
        return coil_error_last();
    int rc = coil_await(in_a_pool(pool), NULL);
    int shut = coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false);
    coil_unref(pool);
    return rc < 0 ? rc : shut;
}

static int run_executors(coil_loop *loop)
{
    return coil_run_until_complete(loop, executors_main(), NULL);
}

/* ---- scopes ------------------------------------------------------------------------------------- */

/* Says goodbye for a while; without memory for the section, or in a loop that closes, not to the end. */
COIL_ASYNC(parting, (double, delay))
{
    int rc = coil_sleep(delay);
    int goodbye = COIL_SHIELDED(1, coil_sleep(0.1));
    return rc < 0 ? rc : goodbye;
}

static int tell_reason(int code)
{
    char text[200];
    coil_cancel_info info = COIL_CANCEL_INFO_INIT;
    EXPECT(code != COIL_ECANCELED || coil_cancel_reason(NULL, &info));
    EXPECT(strlen(coil_cancel_reason_text(NULL, text, sizeof text)) > 0);
    return code;
}

COIL_ASYNC0(scopes_main)
{
    coil_cancel_scope outer, inner;
    coil_task_group tg;
    COIL_TRY(coil_cancel_scope_enter_after(&outer, 1));
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, parting(0.1));
    if (rc == 0)
        rc = coil_task_group_spawn(&tg, parting(100));
    int entered = rc == 0 ? coil_cancel_scope_enter(&inner) : rc;
    if (entered == 0) {
        coil_cancel_scope_cancel(&inner, "that is enough");
        rc = tell_reason(coil_cancel_scope_exit(&inner, coil_sleep(5)));
    } else {
        rc = entered;
    }
    rc = coil_task_group_exit(&tg, rc);
    rc = coil_cancel_scope_exit(&outer, tell_reason(rc));
    coil_error *caught;
    rc = coil_error_catch(rc, COIL_ENOMEM, &caught); /* a task's */
    bool short_of_memory = caught;
    coil_unref(caught);
    return rc == 0 && short_of_memory ? COIL_ENOMEM : rc;
}

static int run_scopes(coil_loop *loop)
{
    return coil_run_until_complete(loop, scopes_main(), NULL);
}

const struct program programs[] = {
    { "tasks", run_tasks, 0 },
    { "gathers", run_gathers, 0 },
    { "waits", run_waits, 0 },
    { "contexts", run_contexts, 0 },
    { "callbacks", run_callbacks, 0 },
    { "timers", run_timers, 0 },
    { "watchers", run_watchers, PROGRAM_REAL_CLOCK },
    { "echo", run_echo, PROGRAM_REAL_CLOCK },
    { "connections", run_connections, PROGRAM_REAL_CLOCK },
    { "datagrams", run_datagrams, PROGRAM_REAL_CLOCK },
    { "joined thread", run_joined_thread, 0 },
    { "thread wakes", run_thread_wakes, PROGRAM_REAL_CLOCK | PROGRAM_THREADS },
    { "executors", run_executors, 0 },
    { "run with leftovers", run_with_leftovers, 0 },
    { "runner", run_runner, 0 },
    { "exit", run_exit, 0 },
    { "debug", run_debug, 0 },
    { "traced", run_traced, 0 },
    { "eager", run_eager, 0 },
    { "driven", run_driven, 0 },
    { "embedded", run_embedded, PROGRAM_REAL_CLOCK },
    { "errors", run_errors, 0 },
    { "awaitables", run_awaitables, 0 },
    { "closed", run_closed, 0 },
    { "limits", run_limits, 0 },
    { "groups", run_groups, 0 },
    { "locks", run_locks, 0 },
    { "queues", run_queues, 0 },
    { "generators", run_generators, 0 },
    { "scopes", run_scopes, 0 },
    { "streams", run_streams, PROGRAM_REAL_CLOCK | PROGRAM_CONNECTIONS },
};
const size_t program_count = sizeof programs / sizeof programs[0];

COIL_ASYNC0(follow_up_main)
{
    coil_value parts[2];
    int pair[2];
    char byte = 0;
    COIL_TRY(coil_gather(parts, answer(0.001, 1), answer(0, 2)));
    coil_value_clear(&parts[0]);
    coil_value_clear(&parts[1]);
    COIL_TRY(open_pair(pair));
    ssize_t got = 0;
    coil_task *sender = coil_create_task(send_bulk(pair[0], 1));
    int rc = sender ? 0 : coil_error_last();
    if (rc == 0)
        got = coil_sock_recv(pair[1], &byte, 1);
    if (got < 0)
        rc = (int)got;
    if (rc == 0)
        rc = coil_await(sender, NULL);
    EXPECT_INT(byte, bulk_byte(0));
    coil_unref(sender);
    close_pair(pair);
    return rc;
}

int program_follow_up(coil_loop *loop)
{
    return coil_run_until_complete(loop, follow_up_main(), NULL);
}
