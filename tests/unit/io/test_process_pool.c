/* Process pools: jobs run elsewhere and come back whole, a crash costs one job, and no process, descriptor or
 * memory is left, whatever happens. */
#include "lib/steps.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <coil/process_pool.h>
#include "io/spawn.h"
#include "io/worker.h"
#include "io/worker_process.h"
#include "lib/held.h"

enum {
    LARGE = 8 * 1024 * 1024,
    MISBEHAVED_STATUS = 9,
};

/* In the environment: makes a worker's main misbehave. */
#define MISBEHAVE "COIL_TEST_MISBEHAVE"

/* ---- what workers do --------------------------------------------------------------------------------- */

COIL_PROCESS_JOB(square, (int64_t, n))
{
    if (n == 3)
        return coil_raise(COIL_EAPP, "three");
    coil_return(n * n);
}

COIL_PROCESS_JOB0(pid)
{
    coil_return(getpid());
}

COIL_PROCESS_JOB(describe, (bool, truth), (double, number), (const char *, text),
                 (const coil_bytes *, data), (coil_value, list), (float, small),
                 (unsigned char, byte))
{
    char line[200];
    (void)snprintf(line, sizeof line, "%d %g %s %.*s %zu %s %g %d", truth, number, text,
                   (int)data->length, (const char *)data->data, coil_list_count(list.list),
                   coil_list_at(list.list, 1).string, (double)small, byte);
    coil_return(coil_string_copy(line));
}

COIL_PROCESS_JOB(same, (coil_value, value))
{
    if (value.kind == COIL_STRING && value.string)
        value = coil_string_copy(value.string);
    else if (value.kind == COIL_BYTES)
        value = coil_bytes_copy(value.bytes->data, value.bytes->length);
    coil_return(value);
}

/* Gives the bytes back turned round, so that both ways are checked. */
COIL_PROCESS_JOB(reverse, (const coil_bytes *, data))
{
    const unsigned char *from = data->data;
    unsigned char *to = malloc(data->length);
    if (!to)
        return COIL_ENOMEM;
    for (size_t i = 0; i < data->length; i++)
        to[i] = from[data->length - 1 - i];
    coil_value result = coil_bytes_copy(to, data->length);
    free(to);
    coil_return(result);
}

COIL_PROCESS_JOB(raise_signal, (int, number))
{
    struct sigaction by_default = { .sa_handler = SIG_DFL }; /* sanitizers have handlers */
    struct rlimit no_core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)sigaction(number, &by_default, NULL);
    (void)raise(number);
    coil_return(0);
}

COIL_PROCESS_JOB(leave, (int, status))
{
    _exit(status);
    coil_return(0);
}

COIL_PROCESS_JOB(fail_with_cause, (int, code))
{
    coil_error *records[2];
    int rc = coil_raise(COIL_EAPP - 1, "the first");
    records[0] = coil_ref(coil_error_current(rc));
    coil_error_set_detail(records[0], 42);
    rc = coil_raise_from(COIL_EAPP - 1, code, "the second");
    records[1] = coil_ref(coil_error_current(rc));
    rc = coil_raise_group(records, 2, "both");
    coil_unref(records[0]);
    coil_unref(records[1]);
    return rc;
}

COIL_PROCESS_JOB0(fail_plainly)
{
    return -EDOM;
}

COIL_PROCESS_JOB0(count_seven)
{
    return 7;
}

COIL_PROCESS_JOB0(return_pointer)
{
    coil_return(coil_pointer(&errno));
}

COIL_PROCESS_JOB(say_through, (int, fd), (const char *, text))
{
    coil_return(write(fd, text, strlen(text)));
}

/* The line of this worker: the one socket that it has. */
COIL_PROCESS_JOB(disturb_line, (const char *, text))
{
    struct stat status;
    for (int fd = 3; fd < 100; fd++)
        if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            (void)send(fd, text, strlen(text), 0);
    coil_return(0);
}

/* Says through a named pipe that it runs, and goes on until it is killed, or the pipe's other end is closed. */
COIL_PROCESS_JOB(stay, (const char *, started), (const char *, gate))
{
    char byte = 'x';
    int fd = open(started, O_WRONLY);
    if (fd < 0 || write(fd, &byte, 1) != 1)
        return -errno;
    (void)close(fd);
    fd = open(gate, O_RDONLY);
    if (fd < 0 || read(fd, &byte, 1) < 0)
        return -errno;
    (void)close(fd);
    coil_return(1);
}

COIL_PROCESS_JOB0(surroundings)
{
    int open_fds = 0;
    for (int fd = 3; fd < 256; fd++)
        open_fds += fcntl(fd, F_GETFD) >= 0;
    char byte;
    coil_value parts[] = { coil_bool(getpgrp() == getpid()), coil_int(read(0, &byte, 1)),
                           coil_int(open_fds), coil_bool(getenv(COIL__WORKER_VARIABLE) != NULL) };
    coil_return(coil_list_owned(coil_list_new(parts, 4)));
}

static int runs_in_worker; /* stays 0 in the program itself */

COIL_PROCESS_JOB0(count_in_globals)
{
    coil_return(++runs_in_worker);
}

COIL_ASYNC0(inner)
{
    COIL_TRY(coil_sleep(0));
    coil_return(5);
}

COIL_PROCESS_JOB0(run_a_loop)
{
    coil_value value;
    COIL_TRY(coil_run(inner(), &value));
    coil_return(value);
}

COIL_JOB0(thread_job)
{
    coil_return(1);
}

/* ---- what tests need --------------------------------------------------------------------------------- */

static struct coil_executor *make_pool(unsigned workers)
{
    coil_process_pool_options options = COIL_PROCESS_POOL_OPTIONS_INIT;
    options.max_workers = workers;
    coil_executor *pool = coil_process_pool_executor_new(&options);
    EXPECT(pool != NULL);
    return pool;
}

static void end_pool(coil_executor *pool)
{
    EXPECT_INT(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false), 0);
    coil_unref(pool);
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Runs a coroutine: no child, descriptor or memory is left. */
#define EXPECT_POOL(coro)                                                                          \
    do {                                                                                           \
        struct held before_ = held_now();                                                          \
        EXPECT_INT(steps_run(coro, NULL, &dropped), 0);                                            \
        EXPECT_INT(reports_total(), 0);                                                            \
        EXPECT(!has_children());                                                                   \
        held_expect(before_, #coro);                                                               \
    } while (0)

static int64_t run_for_int(coil_executor *pool, coil_job *job)
{
    coil_value value = coil_nil();
    EXPECT_INT(coil_run_in_process_pool(pool, job, &value), 0);
    EXPECT_INT(value.kind, COIL_INT);
    return value.integer;
}

static bool message_has(int code, const char *part)
{
    const char *message = coil_error_message(coil_error_current(code));
    bool has = strstr(message, part) != NULL;
    return has || test_report_(__FILE__, __LINE__, "'%s' is not in '%s'", part, message);
}

/* Two named pipes: a job says through one that it runs, and waits for the other. */
struct gate {
    char directory[32], started[48], gate[48];
    int started_fd, gate_fd;
};

static void gate_open(struct gate *gate)
{
    strcpy(gate->directory, "/tmp/coil-test-XXXXXX");
    EXPECT(mkdtemp(gate->directory) != NULL);
    (void)snprintf(gate->started, sizeof gate->started, "%s/started", gate->directory);
    (void)snprintf(gate->gate, sizeof gate->gate, "%s/gate", gate->directory);
    EXPECT_INT(mkfifo(gate->started, 0600), 0);
    EXPECT_INT(mkfifo(gate->gate, 0600), 0);
    gate->started_fd = open(gate->started, O_RDWR | O_CLOEXEC);
    gate->gate_fd = open(gate->gate, O_RDWR | O_CLOEXEC);
}

static void gate_wait_started(const struct gate *gate)
{
    char byte;
    EXPECT_INT(read(gate->started_fd, &byte, 1), 1);
}

static void gate_let_one_go(const struct gate *gate)
{
    EXPECT_INT(write(gate->gate_fd, "x", 1), 1);
}

static void gate_close(struct gate *gate)
{
    (void)close(gate->started_fd);
    (void)close(gate->gate_fd);
    (void)unlink(gate->started);
    (void)unlink(gate->gate);
    (void)rmdir(gate->directory);
}

/* ---- jobs and results -------------------------------------------------------------------------------- */

COIL_ASYNC0(run_several)
{
    coil_executor *pool = make_pool(2);
    void *futures[5];
    coil_value values[5];
    for (int n = 0; n < 5; n++)
        futures[n] = coil_run_in_executor(NULL, pool, square(n));
    EXPECT_INT(coil_gather_array(values, futures, 5, COIL_GATHER_COLLECT), 0);
    for (int n = 0; n < 5; n++) {
        if (n == 3) {
            EXPECT_INT(values[n].kind, COIL_ERROR);
            EXPECT_INT(coil_error_code(values[n].error), COIL_EAPP);
            EXPECT_STR(coil_error_message(values[n].error), "three");
        } else {
            EXPECT_INT(values[n].integer, n * n);
        }
        coil_value_clear(&values[n]);
        coil_unref(futures[n]);
    }
    EXPECT(run_for_int(pool, pid()) != getpid());
    end_pool(pool);
    return 0;
}

TEST(results_and_errors_come_back_from_other_processes)
{
    // The point of it all.
    EXPECT_POOL(run_several());
}

COIL_ASYNC0(run_kinds)
{
    coil_executor *pool = make_pool(1);
    coil_value parts[] = { coil_int(1), coil_string("two"), coil_nil() }, value;
    coil_bytes data = { "bytes", 5 };
    coil_list *list = coil_list_new(parts, 3);
    coil_value list_view = { .list = list, .kind = COIL_LIST };
    EXPECT_INT(coil_run_in_process_pool(
                   pool, describe(true, 2.5, "text", &data, list_view, 0.5f, 200), &value),
               0);
    EXPECT_STR(value.string, "1 2.5 text bytes 3 two 0.5 200");
    coil_value_clear(&value);
    coil_unref(list);
    EXPECT_INT(run_for_int(pool, count_seven()), 7);
    EXPECT_INT(run_for_int(pool, same(coil_int(INT64_MIN))), INT64_MIN);
    EXPECT_INT(coil_run_in_process_pool(pool, same(coil_string(NULL)), &value), 0);
    EXPECT(value.kind == COIL_STRING && value.string == NULL);
    EXPECT_INT(coil_run_in_process_pool(pool, same(coil_nil()), &value), 0);
    EXPECT_INT(value.kind, COIL_NIL);
    EXPECT_INT(coil_run_in_process_pool(pool, same(coil_v(&data)), &value), 0);
    EXPECT(value.kind == COIL_BYTES && value.bytes->length == 5 &&
           memcmp(value.bytes->data, "bytes", 5) == 0);
    coil_value_clear(&value);
    EXPECT_INT(run_for_int(pool, run_a_loop()), 5);
    end_pool(pool);
    return 0;
}

TEST(every_kind_of_argument_arrives)
{
    // Each is packed by a path of its own.
    EXPECT_POOL(run_kinds());
}

COIL_ASYNC0(run_errors)
{
    coil_executor *pool = make_pool(1);
    EXPECT_INT(coil_run_in_process_pool(pool, fail_with_cause(-EPIPE), NULL), COIL_EGROUP);
    const coil_error *group = coil_error_current(COIL_EGROUP);
    EXPECT_STR(coil_error_message(group), "both");
    EXPECT_INT(coil_error_count(group), 2);
    EXPECT_INT(coil_error_detail(coil_error_at(group, 0)), 42);
    EXPECT_INT(coil_error_code(coil_error_at(group, 1)), -EPIPE);
    EXPECT_STR(coil_error_message(coil_error_cause(coil_error_at(group, 1))), "the first");
    EXPECT_INT(coil_run_in_process_pool(pool, fail_plainly(), NULL), -EDOM);
    EXPECT(coil_error_current(-EDOM) == NULL ||
           *coil_error_message(coil_error_current(-EDOM)) == '\0');
    /* Several errors in a row: none explains the next. */
    EXPECT_INT(coil_run_in_process_pool(pool, square(3), NULL), COIL_EAPP);
    EXPECT(message_has(COIL_EAPP, "three"));
    end_pool(pool);
    return 0;
}

TEST(error_records_come_back_whole)
{
    // The code alone does not say which file was missing.
    EXPECT_POOL(run_errors());
}

COIL_ASYNC0(run_wrong_types)
{
    coil_executor *pool = make_pool(1);
    coil_executor *threads = coil_thread_pool_executor_new(NULL);
    EXPECT_INT(coil_run_in_process_pool(pool, same(coil_pointer(pool)), NULL), COIL_ETYPE);
    EXPECT_INT(coil_run_in_process_pool(pool, return_pointer(), NULL), COIL_ETYPE);
    EXPECT(message_has(COIL_ETYPE, "the result of return_pointer"));
    EXPECT_INT(coil_run_in_process_pool(pool, thread_job(), NULL), COIL_ETYPE);
    EXPECT(message_has(COIL_ETYPE, "COIL_PROCESS_JOB"));
    EXPECT_INT(coil_run_in_process_pool(threads, square(1), NULL), COIL_ETYPE);
    EXPECT_INT(coil_process_pool_kill_workers(threads), COIL_ETYPE);
    EXPECT_INT(coil_run_in_process_pool(pool, NULL, NULL), COIL_ENOMEM);
    coil_value deep = coil_int(1);
    for (int i = 0; i < 200; i++)
        deep = coil_list_owned(coil_list_new(&deep, 1));
    EXPECT_INT(coil_run_in_process_pool(pool, same(coil_value_view(deep)), NULL), -EMSGSIZE);
    coil_value_clear(&deep);
    EXPECT_INT(run_for_int(pool, square(2)), 4);
    end_pool(pool);
    end_pool(threads);
    return 0;
}

TEST(what_cannot_be_sent_is_refused)
{
    // A pointer means nothing in another process: better an error than a crash there.
    EXPECT_POOL(run_wrong_types());
}

static coil_process_function unknown = { "unknown", NULL, "nowhere.c", 1, 0, NULL };

COIL_ASYNC0(run_unknown)
{
    coil_executor *pool = make_pool(1);
    EXPECT_INT(coil_run_in_process_pool(pool, coil_process_job_new(&unknown, NULL), NULL),
               COIL_ELOOKUP);
    EXPECT(message_has(COIL_ELOOKUP, "unknown"));
    end_pool(pool);
    return 0;
}

TEST(a_job_that_the_worker_does_not_know_says_so)
{
    // Plugins that are loaded later exist in the program only.
    EXPECT_POOL(run_unknown());
}

COIL_ASYNC0(look_around)
{
    coil_executor *pool = make_pool(1);
    coil_value value;
    EXPECT_INT(coil_run_in_process_pool(pool, surroundings(), &value), 0);
    EXPECT(coil_list_at(value.list, 0).boolean);        /* a group of its own: no Ctrl-C */
    EXPECT_INT(coil_list_at(value.list, 1).integer, 0); /* its input is empty */
    EXPECT_INT(coil_list_at(value.list, 2).integer, 1); /* the line */
    EXPECT(!coil_list_at(value.list, 3).boolean); /* no child of its takes itself for a worker */
    coil_value_clear(&value);
    end_pool(pool);
    return 0;
}

TEST(a_worker_has_nothing_of_the_programs)
{
    // What it inherits it would keep open, and a worker killed by Ctrl-C loses its job before anybody decides.
    int kept = dup(STDERR_FILENO);
    EXPECT_POOL(look_around());
    (void)close(kept);
}

/* ---- large ------------------------------------------------------------------------------------------- */

static void check_reversed(coil_future *future, const unsigned char *data)
{
    coil_value value = coil_nil();
    EXPECT_INT(coil_await(future, NULL), 0);
    EXPECT_INT(coil_future_take_result(future, &value), 0);
    if (EXPECT_INT(value.kind, COIL_BYTES) && EXPECT_INT(value.bytes->length, LARGE)) {
        const unsigned char *got = value.bytes->data;
        size_t wrong = 0;
        for (size_t i = 0; i < LARGE; i++)
            wrong += got[i] != data[LARGE - 1 - i];
        EXPECT_INT(wrong, 0);
    }
    coil_value_clear(&value);
    coil_unref(future);
}

COIL_ASYNC0(run_large)
{
    coil_executor *pool = make_pool(3);
    unsigned char *data = malloc(LARGE);
    coil_future *futures[6];
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (unsigned char)(i * 31 + i / 257);
    coil_bytes bytes = { data, LARGE };
    for (int i = 0; i < 6; i++)
        futures[i] = coil_run_in_executor(NULL, pool, reverse(&bytes));
    for (int i = 0; i < 6; i++)
        check_reversed(futures[i], data);
    free(data);
    end_pool(pool);
    return 0;
}

TEST(large_jobs_go_both_ways_at_once)
{
    // More than any socket's buffer: two sides that only write would wait for one another.
    EXPECT_POOL(run_large());
}

/* ---- crashes ----------------------------------------------------------------------------------------- */

static void expect_lost(coil_executor *pool, coil_job *job, int status, const char *how)
{
    EXPECT_INT(coil_run_in_process_pool(pool, job, NULL), COIL_EWORKER);
    EXPECT(message_has(COIL_EWORKER, how));
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EWORKER)), status);
}

COIL_ASYNC0(run_crashes)
{
    coil_executor *pool = make_pool(1);
    int64_t first = run_for_int(pool, pid());
    EXPECT_INT(run_for_int(pool, pid()), first);
    expect_lost(pool, raise_signal(SIGSEGV), -SIGSEGV, "SIGSEGV");
    EXPECT(message_has(COIL_EWORKER, "raise_signal"));
    EXPECT(run_for_int(pool, pid()) != first);
    expect_lost(pool, raise_signal(SIGKILL), -SIGKILL, "SIGKILL");
    expect_lost(pool, leave(3), 3, "exited with status 3");
    expect_lost(pool, leave(0), 0, "exited with status 0");
    EXPECT_INT(run_for_int(pool, square(4)), 16);
    end_pool(pool);
    return 0;
}

TEST(a_crash_fails_its_job_and_the_worker_is_replaced)
{
    // In Python one crash breaks the whole pool.
    EXPECT_POOL(run_crashes());
}

TEST(a_crash_is_seen_without_pidfds)
{
    // Older systems have none, and some sandboxes forbid them.
    coil__spawn_no_pidfd = true;
    EXPECT_POOL(run_crashes());
    coil__spawn_no_pidfd = false;
}

COIL_ASYNC0(run_idle_death)
{
    coil_executor *pool = make_pool(1);
    int64_t first = run_for_int(pool, pid());
    siginfo_t info;
    EXPECT_INT(kill((pid_t)first, SIGKILL), 0);
    EXPECT_INT(waitid(P_PID, (id_t)first, &info, WEXITED | WNOWAIT), 0);
    EXPECT(run_for_int(pool, pid()) != first);
    end_pool(pool);
    return 0;
}

TEST(an_idle_worker_that_died_costs_no_job)
{
    // The system kills what uses much memory; the next job has done nothing wrong.
    EXPECT_POOL(run_idle_death());
}

COIL_ASYNC0(run_garbage)
{
    coil_executor *pool = make_pool(1);
    /* A whole message's worth of it, and less, after which the answer follows. */
    expect_lost(pool, disturb_line("0123456789abcdef"), 0, "what is no answer");
    expect_lost(pool, disturb_line("x"), 0, "what is no answer");
    /* The mark of an answer, and a code that is none. */
    expect_lost(pool, disturb_line("ALOC\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"), 0,
                "what is no answer");
    EXPECT_INT(run_for_int(pool, square(5)), 25);
    end_pool(pool);
    return 0;
}

TEST(garbage_on_the_line_is_an_error)
{
    // A job with a wild descriptor must not make the program believe what it wrote.
    EXPECT_POOL(run_garbage());
}

/* ---- cancelling, and ending while jobs run ------------------------------------------------------------ */

COIL_ASYNC(run_cancelled, (struct gate *, gate))
{
    coil_executor *pool = make_pool(1);
    coil_future *running = coil_run_in_executor(NULL, pool, stay(gate->started, gate->gate));
    coil_future *queued = coil_run_in_executor(NULL, pool, square(2));
    coil_future *last = coil_run_in_executor(NULL, pool, count_in_globals());
    gate_wait_started(gate);
    EXPECT(coil_future_cancel(running, NULL));
    EXPECT(coil_future_cancel(queued, NULL));
    EXPECT_INT(coil_await(running, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_await(queued, NULL), COIL_ECANCELED);
    gate_let_one_go(gate);
    coil_value value = coil_nil();
    EXPECT_INT(coil_await(last, &value), 0); /* by the same worker, which was not harmed */
    EXPECT_INT(value.integer, 1);
    coil_unref(running);
    coil_unref(queued);
    coil_unref(last);
    end_pool(pool);
    return 0;
}

TEST(a_cancelled_await_returns_at_once)
{
    // As with threads, and as in Python: what runs is left to end by itself.
    struct gate gate;
    gate_open(&gate);
    EXPECT_POOL(run_cancelled(&gate));
    EXPECT_INT(runs_in_worker, 0);
    gate_close(&gate);
}

COIL_ASYNC(run_killed, (struct gate *, gate))
{
    coil_executor *pool = make_pool(2);
    coil_future *running[2], *queued;
    for (int i = 0; i < 2; i++)
        running[i] = coil_run_in_executor(NULL, pool, stay(gate->started, gate->gate));
    queued = coil_run_in_executor(NULL, pool, square(2));
    for (int i = 0; i < 2; i++)
        gate_wait_started(gate);
    EXPECT_INT(coil_process_pool_kill_workers(pool), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(coil_await(running[i], NULL), COIL_EWORKER);
        EXPECT(message_has(COIL_EWORKER, "SIGKILL"));
        coil_unref(running[i]);
    }
    EXPECT_INT(coil_await(queued, NULL), COIL_ECANCELED);
    coil_unref(queued);
    EXPECT_INT(coil_run_in_process_pool(pool, square(1), NULL), COIL_ERUNTIME);
    end_pool(pool);
    return 0;
}

TEST(a_pool_can_be_killed_with_jobs_that_run)
{
    // What never ends by itself must be endable: the advantage over threads.
    struct gate gate;
    gate_open(&gate);
    EXPECT_POOL(run_killed(&gate));
    gate_close(&gate);
}

COIL_ASYNC(run_shut_down, (struct gate *, gate))
{
    coil_executor *pool = make_pool(1);
    coil_future *running = coil_run_in_executor(NULL, pool, stay(gate->started, gate->gate));
    coil_future *queued = coil_run_in_executor(NULL, pool, square(6));
    gate_wait_started(gate);
    EXPECT_INT(coil_executor_shutdown(pool, 0, false), 0);
    EXPECT(coil_run_in_executor(NULL, pool, square(1)) == NULL);
    EXPECT_INT(coil_error_last(), COIL_ERUNTIME);
    gate_let_one_go(gate);
    coil_value value = coil_nil();
    EXPECT_INT(coil_await(running, NULL), 0);
    EXPECT_INT(coil_await(queued, &value), 0);
    EXPECT_INT(value.integer, 36);
    coil_unref(running);
    coil_unref(queued);
    end_pool(pool);
    return 0;
}

TEST(shutdown_lets_what_it_has_be_done)
{
    // Nothing that was accepted is lost.
    struct gate gate;
    gate_open(&gate);
    EXPECT_POOL(run_shut_down(&gate));
    gate_close(&gate);
}

/* The program's end, in a process of its own: it says which worker it has, and then is no more. */
static void leave_with_worker(int report_fd, const struct gate *gate)
{
    coil_executor *pool = make_pool(1);
    coil_concurrent_future *future = coil_executor_submit(pool, pid());
    coil_value value = coil_nil();
    (void)coil_concurrent_future_result(future, 60, &value);
    EXPECT_INT(write(report_fd, &value.integer, sizeof value.integer), sizeof value.integer);
    coil_unref(future);
    future = coil_executor_submit(pool, stay(gate->started, gate->gate));
    gate_wait_started(gate);
    (void)kill(getpid(), SIGKILL);
}

TEST(workers_end_with_a_program_that_is_killed)
{
    // Else they would compute for nobody, for ever.
#ifdef COIL__TSAN
    SKIP("ThreadSanitizer starts no threads after fork");
#endif
    struct gate gate;
    gate_open(&gate);
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        leave_with_worker(ends[1], &gate);
        _exit(1);
    }
    (void)close(ends[1]);
    int64_t worker = 0;
    EXPECT_INT(read(ends[0], &worker, sizeof worker), sizeof worker);
    EXPECT_INT(waitpid(child, NULL, 0), child);
    bool gone = false;
    for (int i = 0; i < 10000 && !gone;
         i++) { /* it is reaped by init, or a zombie of it for good */
        char path[64], text[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)worker);
        FILE *file = fopen(path, "r");
        gone = !file || !fgets(text, sizeof text, file) || strstr(text, ") Z ") != NULL;
        if (file)
            (void)fclose(file);
        if (!gone)
            (void)usleep(1000);
    }
    EXPECT(worker > 0 && gone);
    (void)close(ends[0]);
    gate_close(&gate);
}

/* ---- the hook ---------------------------------------------------------------------------------------- */

TEST(a_forgotten_hook_is_named)
{
    // Otherwise each worker would do what main does: open ports, write files, and start workers.
    coil__process_pool_main_called = false;
    EXPECT(coil_process_pool_executor_new(NULL) == NULL);
    EXPECT_INT(coil_error_last(), COIL_ERUNTIME);
    EXPECT(message_has(COIL_ERUNTIME, "coil_process_pool_main"));
    coil__process_pool_main_called = true;
    coil_error_clear(COIL_ERUNTIME);
}

COIL_ASYNC(run_misbehaved, (int, status))
{
    coil_executor *pool = make_pool(1);
    EXPECT_INT(coil_run_in_process_pool(pool, square(1), NULL), COIL_EWORKER);
    EXPECT(message_has(COIL_EWORKER, "coil_process_pool_main"));
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EWORKER)), status);
    end_pool(pool);
    return 0;
}

TEST(a_main_that_does_not_come_to_the_hook_is_noticed)
{
    // It may end before, or serve customers instead.
    (void)setenv(MISBEHAVE, "exit", 1);
    EXPECT_POOL(run_misbehaved(MISBEHAVED_STATUS));
    coil__worker_hello_ms = 50;
    (void)setenv(MISBEHAVE, "stay", 1);
    EXPECT_POOL(run_misbehaved(0));
    coil__worker_hello_ms = 60 * 1000;
    (void)unsetenv(MISBEHAVE);
}

COIL_ASYNC0(run_stubborn)
{
    coil_executor *pool = make_pool(1);
    EXPECT_INT(run_for_int(pool, square(1)), 1);
    end_pool(pool);
    return 0;
}

TEST(a_worker_that_does_not_end_is_killed)
{
    // A function of atexit may hang; shutting down may not.
    (void)setenv(MISBEHAVE, "linger", 1);
    coil__worker_end_ms = 50;
    EXPECT_POOL(run_stubborn());
    coil__spawn_no_pidfd = true;
    EXPECT_POOL(run_stubborn());
    coil__spawn_no_pidfd = false;
    coil__worker_end_ms = 5000;
    (void)unsetenv(MISBEHAVE);
}

/* ---- options, lack ------------------------------------------------------------------------------------ */

COIL_ASYNC0(run_used_up)
{
    coil_process_pool_options options = COIL_PROCESS_POOL_OPTIONS_INIT;
    options.max_workers = 1;
    options.max_jobs_per_worker = 2;
    coil_executor *pool = coil_process_pool_executor_new(&options);
    int64_t pids[4];
    for (int i = 0; i < 4; i++)
        pids[i] = run_for_int(pool, pid());
    EXPECT(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3]);
    end_pool(pool);
    return 0;
}

TEST(a_used_up_worker_is_replaced)
{
    // For jobs that leak.
    EXPECT_POOL(run_used_up());
}

COIL_ASYNC0(run_without_descriptors)
{
    coil_executor *pool = make_pool(1);
    struct rlimit before, lower;
    int lowest = dup(STDERR_FILENO);
    (void)close(lowest);
    EXPECT_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    /* One more each time: each of them is the last that could be opened, until a worker starts. */
    int rc = -EMFILE;
    for (int more = 0; rc == -EMFILE && more < 20; more++) {
        lower = before;
        lower.rlim_cur = (rlim_t)(lowest + more);
        EXPECT_INT(setrlimit(RLIMIT_NOFILE, &lower), 0);
        rc = coil_run_in_process_pool(pool, square(2), NULL);
        EXPECT_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
        EXPECT(rc == 0 || rc == -EMFILE);
        EXPECT(more > 0 || rc == -EMFILE);
    }
    EXPECT_INT(rc, 0);
    end_pool(pool);
    return 0;
}

TEST(no_descriptors_fail_a_job_and_nothing_is_left)
{
    // Each of the descriptors in turn is the one too many.
    EXPECT_POOL(run_without_descriptors());
}

static long next_to_fail;
static bool allocation_failed;

COIL_ASYNC0(run_with_failing_allocation)
{
    coil_executor *pool = make_pool(1);
    coil_bytes data = { "bytes", 5 };
    coil_testing_fail_alloc(next_to_fail);
    coil_value value = coil_nil();
    int rc = coil_run_in_process_pool(pool, same(coil_v(&data)), &value);
    EXPECT(rc == COIL_ENOMEM || (rc == 0 && value.kind == COIL_BYTES));
    coil_value_clear(&value);
    rc = coil_run_in_process_pool(pool, square(3), NULL);
    EXPECT(rc == COIL_ENOMEM || rc == COIL_EAPP);
    allocation_failed = coil_testing_alloc_failed();
    coil_testing_fail_alloc(0);
    EXPECT_INT(run_for_int(pool, square(2)), 4); /* it works again */
    end_pool(pool);
    return 0;
}

TEST(every_allocation_may_fail)
{
    // Without memory a job fails, and the pool goes on.
    allocation_failed = true;
    for (next_to_fail = 1; allocation_failed && next_to_fail < 200; next_to_fail++)
        EXPECT_POOL(run_with_failing_allocation());
    EXPECT(!allocation_failed && next_to_fail > 10);
}

TEST(an_abandoned_pool_ends_by_itself)
{
    // The last reference waits for nobody; the threads see to their workers.
    coil_executor *pool = make_pool(2);
    coil_concurrent_future *future = coil_executor_submit(pool, square(7));
    coil_value value = coil_nil();
    coil_unref(pool);
    EXPECT_INT(coil_concurrent_future_result(future, 60, &value), 0);
    EXPECT_INT(value.integer, 49);
    coil_unref(future);
    for (int i = 0; i < 10000 && has_children(); i++)
        (void)usleep(1000);
    EXPECT(!has_children());
}

TEST(a_call_outside_a_task_is_refused)
{
    // It would have to wait, and there is nothing to wait in.
    coil_executor *pool = make_pool(1);
    EXPECT_INT(coil_run_in_process_pool(pool, square(1), NULL), COIL_ENOTASK);
    end_pool(pool);
}

/* ---- main -------------------------------------------------------------------------------------------- */

static void linger(void)
{
    (void)pause();
}

/* In a worker: does what a main does that knows nothing of workers. */
static void misbehave(const char *how)
{
    if (strcmp(how, "exit") == 0)
        _exit(MISBEHAVED_STATUS);
    if (strcmp(how, "linger") == 0)
        (void)atexit(linger);
    while (strcmp(how, "stay") == 0)
        (void)pause();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(results_and_errors_come_back_from_other_processes),
        RUN(every_kind_of_argument_arrives),
        RUN(error_records_come_back_whole),
        RUN(what_cannot_be_sent_is_refused),
        RUN(a_job_that_the_worker_does_not_know_says_so),
        RUN(a_worker_has_nothing_of_the_programs),
        RUN(large_jobs_go_both_ways_at_once),
        RUN(a_crash_fails_its_job_and_the_worker_is_replaced),
        RUN(a_crash_is_seen_without_pidfds),
        RUN(an_idle_worker_that_died_costs_no_job),
        RUN(garbage_on_the_line_is_an_error),
        RUN(a_cancelled_await_returns_at_once),
        RUN(a_pool_can_be_killed_with_jobs_that_run),
        RUN(shutdown_lets_what_it_has_be_done),
        RUN(workers_end_with_a_program_that_is_killed),
        RUN(a_forgotten_hook_is_named),
        RUN(a_main_that_does_not_come_to_the_hook_is_noticed),
        RUN(a_worker_that_does_not_end_is_killed),
        RUN(a_used_up_worker_is_replaced),
        RUN(no_descriptors_fail_a_job_and_nothing_is_left),
        RUN(every_allocation_may_fail),
        RUN(an_abandoned_pool_ends_by_itself),
        RUN(a_call_outside_a_task_is_refused),
    };
    const char *how = getenv(MISBEHAVE);
    if (how && getenv(COIL__WORKER_VARIABLE))
        misbehave(how);
    coil_process_pool_main();
    return test_main_(__FILE__, tests, sizeof tests / sizeof tests[0], argc, argv);
}
