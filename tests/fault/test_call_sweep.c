/* System calls that fail: every program once for each time it makes each call, with that one failing, in
 * every way that the manual allows. What the kernel says to be tried again is never seen; whatever else
 * it says comes back as an error code, and the loop goes on working. */
#include <errno.h>
#include <unistd.h>
#include "lib/failing_calls.h"
#include "lib/held.h"
#include "lib/programs.h"
#include "test.h"

enum {
    SECONDS_MAX = 120, /* for one sort of failure: else something hangs */
    NTH_MAX = 12,      /* later calls of one sort are like earlier ones */
};

enum failure_trait {
    INVISIBLE = 1, /* the program must succeed all the same */
    ALL = 2,       /* from the nth call on, every one fails */
};

struct failure {
    enum wrapped_call call;
    int error;
    unsigned traits; /* enum failure_trait */
};

static const struct failure failures[] = {
    { CALL_EPOLL_CREATE1, EMFILE, ALL },
    { CALL_EPOLL_CREATE1, ENOMEM, 0 },
    { CALL_EVENTFD, EMFILE, 0 },
    { CALL_TIMERFD_CREATE, EMFILE, 0 },
    { CALL_EPOLL_CTL, ENOMEM, 0 },
    { CALL_EPOLL_CTL, ENOSPC, ALL },
    { CALL_EPOLL_WAIT, EINTR, INVISIBLE },
    { CALL_EPOLL_WAIT, EBADF, 0 },
    { CALL_EPOLL_PWAIT2, EINTR, INVISIBLE },
    { CALL_EPOLL_PWAIT2, ENOSYS, INVISIBLE | ALL },
    { CALL_EPOLL_PWAIT2, EPERM, INVISIBLE },
    { CALL_POLL, EINTR, INVISIBLE },
    { CALL_POLL, ENOMEM, 0 },
    { CALL_PPOLL, EINTR, INVISIBLE },
    { CALL_PPOLL, ENOMEM, 0 },
    { CALL_MMAP, ENOMEM, INVISIBLE }, /* less will do */
    { CALL_MMAP, ENOMEM, ALL },
    { CALL_MADVISE, EINVAL, INVISIBLE | ALL },
    { CALL_MADVISE, ENOMEM, INVISIBLE },
    { CALL_MPROTECT, ENOMEM, INVISIBLE | ALL }, /* goes on without a guard */
    { CALL_MINCORE, EAGAIN, INVISIBLE },
    { CALL_OPEN, EMFILE, INVISIBLE },
    { CALL_RECV, EINTR, INVISIBLE },
    { CALL_RECV, EAGAIN, INVISIBLE },
    { CALL_RECV, ECONNRESET, 0 },
    { CALL_RECV, ENOMEM, 0 },
    { CALL_SEND, EINTR, INVISIBLE },
    { CALL_SEND, EAGAIN, INVISIBLE },
    { CALL_SEND, EPIPE, 0 },
    { CALL_SEND, ENOBUFS, 0 },
    { CALL_RECVMSG, EINTR, INVISIBLE },
    { CALL_RECVMSG, EAGAIN, INVISIBLE },
    { CALL_RECVMSG, ENOMEM, 0 },
    { CALL_SENDMSG, EINTR, INVISIBLE },
    { CALL_SENDMSG, EAGAIN, INVISIBLE },
    { CALL_SENDMSG, ENETUNREACH, 0 },
    { CALL_ACCEPT4, EINTR, INVISIBLE },
    { CALL_ACCEPT4, EAGAIN, INVISIBLE },
    { CALL_ACCEPT4, EMFILE, 0 },
    { CALL_ACCEPT4, ECONNABORTED, 0 },
    { CALL_CONNECT, EINTR, INVISIBLE },
    { CALL_CONNECT, ECONNREFUSED, 0 },
    { CALL_CONNECT, EADDRNOTAVAIL, 0 },
    { CALL_GETSOCKOPT, ENOBUFS, 0 },
    { CALL_FCNTL, EBADF, 0 },
    { CALL_SIGACTION, EINVAL, INVISIBLE | ALL },
    { CALL_PTHREAD_CREATE, EAGAIN, 0 },
    { CALL_SIGALTSTACK, ENOMEM, INVISIBLE },
    { CALL_SIGALTSTACK, EPERM, INVISIBLE | ALL },
    { CALL_URING_SETUP, EPERM, INVISIBLE | ALL }, /* epoll steps in */
    { CALL_URING_SETUP, ENOMEM, INVISIBLE },
    { CALL_URING_SETUP, EMFILE, 0 },
    { CALL_URING_ENTER, EINTR, INVISIBLE },
    { CALL_URING_ENTER, EBUSY, INVISIBLE },
    { CALL_URING_ENTER, EAGAIN, 0 },
    { CALL_URING_ENTER, ENOMEM, 0 },
};

/* An edge-triggered kernel says once that there is something, and that holds until a call has said EAGAIN, or has
 * done less than it was asked for. Where such an answer is invented nothing ever comes after it, and no program
 * can tell. */
static bool can_happen(const struct program *program, const struct failure *failure)
{
    bool flows = failure->call == CALL_RECV || failure->call == CALL_SEND ||
                 failure->call == CALL_SENDMSG || failure->call == CALL_ACCEPT4;
    return !(flows && failure->error == EAGAIN && program->traits & PROGRAM_CONNECTIONS);
}

static bool acceptable(const struct program *program, const struct failure *failure, int rc)
{
    if (rc == 0)
        return true;
    if (failure->traits & INVISIBLE || !call_has_failed())
        return false;
    /* No stack is no memory. A descriptor that can no longer be watched shows as a time limit. */
    return rc == -failure->error || (failure->call == CALL_MMAP && rc == COIL_ENOMEM) ||
           rc == COIL_ETIMEDOUT || (rc == -ECONNRESET && program->traits & PROGRAM_CONNECTIONS);
}

/* One run in which the nth call fails. False if there were fewer. */
static bool run_once(const struct program *program, const struct failure *failure, long nth)
{
    char what[120];
    snprintf(what, sizeof what, "%s, %s %ld: %s%s", program->name,
             wrapped_call_names[failure->call], nth, strerrorname_np(failure->error),
             failure->traits & ALL ? ", and all after it" : "");
    struct held before = held_now();
    fail_call(failure->call, nth, failure->error, failure->traits & ALL);
    coil_loop *loop = program_loop(program);
    int rc = loop ? program->run(loop) : coil_error_last();
    if (!acceptable(program, failure, rc))
        test_report_(__FILE__, __LINE__, "%s: %s", what, coil_error_name(rc));
    bool failed = call_has_failed();
    fail_call(CALL_NONE, 0, 0, false);

    if (!loop)
        loop = program_loop(program);
    if (EXPECT(loop != NULL)) {
        if (program_follow_up(loop) != 0)
            test_report_(__FILE__, __LINE__, "%s: nothing works afterwards", what);
        EXPECT_INT(coil_loop_close(loop), 0);
    }
    coil_unref(loop);
    held_expect(before, what);
    return failed;
}

/* What is made once and kept, is made. */
static void warm_up(void)
{
    for (size_t i = 0; i < program_count; i++) {
        coil_loop *loop = program_loop(&programs[i]);
        if (!EXPECT(loop != NULL))
            return;
        EXPECT_INT(programs[i].run(loop), 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
    }
}

TEST(programs_survive_every_failed_call)
{
    bool happened[CALLS] = { false };
    warm_up();
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        alarm(SECONDS_MAX);
        for (size_t j = 0; j < program_count; j++) {
            long nth = 1;
            if (!can_happen(&programs[j], &failures[i]))
                continue;
            while (nth <= NTH_MAX && run_once(&programs[j], &failures[i], nth))
                nth++;
            if (nth > 1)
                happened[failures[i].call] = true;
        }
    }
    alarm(0);
    /* Which are made at all depends on the backend and the kernel; some are by all. */
    static const enum wrapped_call by_all[] = { CALL_EVENTFD, CALL_POLL,    CALL_MMAP,
                                                CALL_RECV,    CALL_SEND,    CALL_RECVMSG,
                                                CALL_SENDMSG, CALL_ACCEPT4, CALL_CONNECT };
    for (size_t i = 0; i < sizeof by_all / sizeof by_all[0]; i++)
        if (!happened[by_all[i]])
            test_report_(__FILE__, __LINE__, "no program calls %s: is it wrapped?",
                         wrapped_call_names[by_all[i]]);
    const char *backend = getenv("COIL_BACKEND");
    if (backend && strcmp(backend, "io_uring") == 0)
        EXPECT(happened[CALL_URING_SETUP] && happened[CALL_URING_ENTER]);
}

TEST(short_counts_are_made_up_for)
{
    warm_up();
    alarm(SECONDS_MAX);
    for (size_t i = 0; i < program_count; i++) {
        if (programs[i].traits & PROGRAM_CONNECTIONS)
            continue; /* see can_happen */
        struct held before = held_now();
        coil_loop *loop = program_loop(&programs[i]);
        REQUIRE(loop != NULL);
        shorten_calls(20000);
        EXPECT_INT(programs[i].run(loop), 0);
        shorten_calls(0);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        held_expect(before, programs[i].name);
    }
    alarm(0);
}

COIL_ASYNC(sleeps_a_little, (double, delay))
{
    return coil_sleep(delay);
}

/* Tasks whose stacks are of a size that no task had before: they need a mapping. */
static int run_tasks_with_stacks(int tasks, int expected)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.stack_size = 1024 * 1024;
    for (int i = 0; i < tasks; i++) {
        coil_task *task = coil_create_task_with(NULL, sleeps_a_little(0.001), &options);
        if (!task)
            return coil_error_last();
        EXPECT_INT(coil_await(task, NULL), expected);
        coil_unref(task);
    }
    options.eager = true;
    coil_task *task = coil_create_task_with(NULL, sleeps_a_little(0.001), &options);
    if (!task)
        return coil_error_last();
    EXPECT_INT(coil_await(task, NULL), expected);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(stacks_run_out)
{
    fail_call(CALL_MMAP, 1, ENOMEM, true);
    int rc = run_tasks_with_stacks(10, COIL_ENOMEM);
    coil_coro *driven = sleeps_a_little(0);
    if (driven)
        EXPECT_INT(coil_coro_send(driven, NULL), COIL_ENOMEM);
    coil_coro_close(driven);
    fail_call(CALL_NONE, 0, 0, false);
    COIL_TRY(rc);
    return run_tasks_with_stacks(10, 0);
}

/* A task for which there is no stack fails with its first step; those that have one go on, and so does
 * the next one when there is memory again. */
TEST(tasks_without_a_stack_fail)
{
    struct held before = held_now();
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    EXPECT_INT(coil_run_until_complete(loop, stacks_run_out(), NULL), 0);
    EXPECT_INT(program_follow_up(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    held_expect(before, "tasks without stacks");
}

/* A kernel, or a filter, without epoll: the loop waits with what there is. Not so when there is merely no
 * descriptor left, or when a backend was asked for by name. */
TEST(loop_does_without_epoll)
{
    const char *named = getenv("COIL_BACKEND");
    char *wanted = named ? strdup(named) : NULL;
    struct held before = held_now();
    unsetenv("COIL_BACKEND");
    static const int missing[] = { ENOSYS, EPERM };
    for (int i = 0; i < 2; i++) {
        fail_call(CALL_EPOLL_CREATE1, 1, missing[i], true);
        coil_loop *loop = coil_new_event_loop();
        fail_call(CALL_NONE, 0, 0, false);
        if (!EXPECT(loop != NULL))
            continue;
        EXPECT_STR(coil_loop_backend(loop), "poll");
        EXPECT_INT(program_follow_up(loop), 0);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
    }
    fail_call(CALL_EPOLL_CREATE1, 1, EMFILE, false);
    EXPECT_PTR(coil_new_event_loop(), NULL);
    EXPECT_INT(coil_error_last(), -EMFILE);
    setenv("COIL_BACKEND", "epoll", 1);
    fail_call(CALL_EPOLL_CREATE1, 1, ENOSYS, true);
    EXPECT_PTR(coil_new_event_loop(), NULL);
    EXPECT_INT(coil_error_last(), -ENOSYS);
    fail_call(CALL_NONE, 0, 0, false);
    if (wanted)
        setenv("COIL_BACKEND", wanted, 1);
    else
        unsetenv("COIL_BACKEND");
    free(wanted);
    held_expect(before, "loops without epoll");
}

TESTS_MAIN(RUN(programs_survive_every_failed_call), RUN(short_counts_are_made_up_for),
           RUN(tasks_without_a_stack_fail), RUN(loop_does_without_epoll))
