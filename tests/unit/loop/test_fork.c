/* fork: the child has no loop, is told so, and can do its parent no harm. */
#include "lib/steps.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* In a child: leaves with the line of the first expectation that does not hold. */
#define CHILD_EXPECT(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 250 + 1);                                                             \
    } while (0)

#define EXPECT_CHILD_CONTENT(child)                                                                    \
    do {                                                                                               \
        int status_ = -1;                                                                              \
        EXPECT((child) > 0 && waitpid(child, &status_, 0) == (child));                                 \
        /* Valgrind has a child that ends tell what it leaves behind, which is all of its parent's. */ \
        EXPECT(status_ == 0 ||                                                                         \
               (RUNNING_ON_VALGRIND && WIFEXITED(status_) && WEXITSTATUS(status_) == 99));             \
    } while (0)

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += is_open(fd);
    return count;
}

static int answer(void *arg)
{
    note("answer");
    (void)arg;
    return 0;
}

COIL_ASYNC(returns, (int, number))
{
    coil_return(number);
}

/* ---- in a task ----------------------------------------------------------------------------------- */

COIL_ASYNC0(sleeps_a_little)
{
    return coil_sleep(0.001);
}

static void child_tries_everything(coil_loop *loop, int fd)
{
    char byte;
    CHILD_EXPECT(coil_get_running_loop() == NULL);
    CHILD_EXPECT(!coil_loop_is_running(loop));
    CHILD_EXPECT(coil_sleep(0) == COIL_EFORKED);
    CHILD_EXPECT(coil_sleep(1) == COIL_EFORKED);
    CHILD_EXPECT(coil_sock_recv(fd, &byte, 1) == COIL_EFORKED);
    CHILD_EXPECT(coil_await(sleeps_a_little(), NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_create_task(sleeps_a_little()) == NULL);
    CHILD_EXPECT(coil_error_last() == COIL_EFORKED);
    CHILD_EXPECT(coil_gather(NULL, sleeps_a_little(), sleeps_a_little()) == COIL_EFORKED);
    CHILD_EXPECT(coil_call_soon(loop, answer, NULL, NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_call_soon(NULL, answer, NULL, NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_call_soon_threadsafe(loop, answer, NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_add_reader(loop, fd, answer, NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_add_signal_handler(loop, SIGUSR1, answer, NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_run_forever(loop) == COIL_EFORKED);
    CHILD_EXPECT(coil_loop_step(loop, 0) == COIL_EFORKED);
    CHILD_EXPECT(coil_run_until_complete(loop, sleeps_a_little(), NULL) == COIL_EFORKED);
    CHILD_EXPECT(coil_loop_fd(loop) == COIL_EFORKED);
    CHILD_EXPECT(coil_loop_close(loop) == 0);
    _exit(0);
}

COIL_ASYNC(reads, (int, fd))
{
    char byte = 0;
    for (int i = 0; i < 3; i++) {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(fd, &byte, 1));
        note("%c", byte);
    }
    return 0;
}

/* Forks while another task waits for a socket, and then has that task hear from it. */
typedef void (*child_body)(coil_loop *loop, int fd);

COIL_ASYNC(forks, (child_body, child_does))
{
    int ends[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    coil_task *task = coil_create_task(reads(ends[0]));
    COIL_TRY(coil_sleep(0.001));
    for (int i = 0; i < 3; i++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            child_does(coil_get_running_loop() ? NULL : coil__thread.loop, ends[0]);
        EXPECT_CHILD_CONTENT(child);
        EXPECT(write(ends[1], &"abc"[i], 1) == 1);
        COIL_TRY(coil_sleep(0.001));
    }
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_sock_close(ends[0]);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(child_of_a_task_is_refused_everywhere)
{
    /* Each call says why; none hangs, takes the parent's events away, or deletes what it waits for. */
    EXPECT_RUN_REAL(forks(child_tries_everything), 0);
    EXPECT_NOTES("a b c");
}

static void child_runs_its_own(coil_loop *loop, int fd)
{
    coil_value value = coil_nil();
    (void)fd;
    CHILD_EXPECT(coil_run(returns(7), &value) == 0 && value.integer == 7);
    CHILD_EXPECT(coil_run(sleeps_a_little(), NULL) == 0);
    CHILD_EXPECT(coil_sleep(0) == COIL_EFORKED); /* the parent's task still is none */
    CHILD_EXPECT(coil_loop_close(loop) == 0);
    _exit(0);
}

TEST(child_can_run_a_loop_of_its_own)
{
    /* Where it was made, in the middle of the parent's task even. */
    EXPECT_RUN_REAL(forks(child_runs_its_own), 0);
    EXPECT_NOTES("a b c");
}

COIL_ASYNC0(forks_and_returns)
{
    COIL_TRY(coil_spawn(sleeps_a_little()));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        coil_return(1); /* as if it were the parent */
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    COIL_TRY(coil_sleep(0.001));
    coil_return(WEXITSTATUS(status) == EXIT_FAILURE ? 0 : 2);
}

COIL_ASYNC0(runs_in_the_parent_only)
{
    COIL_TRY(coil_sleep(0));
    fputs("other task\n", stderr);
    return 0;
}

COIL_ASYNC0(forks_beside_a_task)
{
    COIL_TRY(coil_spawn(runs_in_the_parent_only()));
    return coil_await(forks_and_returns(), coil_result);
}

static int main_that_forks(void)
{
    return coil_main(forks_beside_a_task());
}

TEST(child_that_goes_on_leaves_the_loop_with_an_error)
{
    /* Its tasks are the parent's to run: run ends in the child, without shutting anything down. */
    static struct child_end end;
#ifdef COIL__TSAN
    SKIP("ThreadSanitizer does not follow a fiber into a child of fork");
#endif
    if (RUNNING_ON_VALGRIND)
        SKIP("valgrind writes what the child leaves behind between its words");
    EXPECT_INT(exit_status_of(main_that_forks, &end), 0);
    const char *first = strstr(end.words, "other task");
    EXPECT(first != NULL);
    EXPECT(first && strstr(first + 1, "other task") == NULL);
    EXPECT(strstr(end.words, "COIL_EFORKED") != NULL);
}

COIL_ASYNC0(forks_in_an_eager_task)
{
    pid_t child = fork();
    if (child == 0)
        return COIL_EAPP; /* on to the creator */
    EXPECT_CHILD_CONTENT(child);
    return 0;
}

COIL_ASYNC0(creates_eagerly)
{
    pid_t parent = getpid();
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.eager = true;
    coil_task *task = coil_create_task_with(NULL, forks_in_an_eager_task(), &options);
    if (getpid() != parent) {
        CHILD_EXPECT(coil_get_running_loop() == NULL);
        CHILD_EXPECT(coil_sleep(0) == COIL_EFORKED);
        CHILD_EXPECT(coil_sleep(1) == COIL_EFORKED);
        _exit(0);
    }
    int rc = coil_await(task, NULL);
    coil_unref(task);
    return rc;
}

TEST(child_of_an_eager_task_is_refused_in_the_creator)
{
    /* Another task than the one that forked. */
    EXPECT_RUN_REAL(creates_eagerly(), 0);
}

/* ---- descriptors --------------------------------------------------------------------------------- */

TEST(child_shares_no_descriptor_of_the_loop)
{
    /* Neither the epoll set nor what wakes it, nor what a host polls. */
    int before = descriptors();
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    int fd = coil_loop_fd(loop);
    pid_t child = fork();
    if (child == 0) {
        CHILD_EXPECT(fd < 0 || !is_open(fd));
        CHILD_EXPECT(descriptors() == before);
        CHILD_EXPECT(coil_loop_close(loop) == 0);
        coil_unref(loop);
        _exit(0);
    }
    EXPECT_CHILD_CONTENT(child);
    EXPECT(fd < 0 || is_open(fd));
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(descriptors(), before);
}

TEST(process_made_without_the_handlers_is_found_out)
{
    /* clone(2) and _Fork run none; running or closing a loop looks at the process's number. */
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        CHILD_EXPECT(coil_run_forever(loop) == COIL_EFORKED);
        CHILD_EXPECT(coil_loop_close(loop) == 0);
        CHILD_EXPECT(coil_run(sleeps_a_little(), NULL) == 0);
        _exit(0);
    }
    EXPECT_CHILD_CONTENT(child);
    EXPECT_INT(coil_run_until_complete(loop, sleeps_a_little(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- threads and signals ------------------------------------------------------------------------- */

static _Atomic(coil_loop *) other_loop;
static atomic_bool over;

COIL_ASYNC0(runs_until_over)
{
    atomic_store(&other_loop, coil_get_running_loop());
    while (!atomic_load(&over))
        COIL_TRY(coil_sleep(0.0001));
    return 0;
}

static void *run_other(void *arg)
{
    if (!EXPECT_INT(coil_run(runs_until_over(), NULL), 0))
        atomic_store(&over, true);
    return arg;
}

TEST(loop_of_another_thread_does_not_run_in_the_child)
{
    /* Its thread is not there, and a lock that it held is not waited for. */
    pthread_t thread;
    atomic_store(&over, false);
    REQUIRE(pthread_create(&thread, NULL, run_other, NULL) == 0);
    while (!atomic_load(&other_loop) && !atomic_load(&over))
        usleep(100);
    for (int i = 0; i < 20 && !atomic_load(&over); i++) {
        pid_t child = fork();
        if (child == 0) {
            coil_loop *loop = atomic_load(&other_loop);
            alarm(20);
            CHILD_EXPECT(!coil_loop_is_running(loop));
            CHILD_EXPECT(coil_call_soon_threadsafe(loop, answer, NULL) == COIL_EFORKED);
            CHILD_EXPECT(coil_run_forever(loop) == COIL_EFORKED);
            CHILD_EXPECT(coil_run(sleeps_a_little(), NULL) == 0);
            _exit(0);
        }
        EXPECT_CHILD_CONTENT(child);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
}

COIL_ASYNC0(forks_with_handlers)
{
    COIL_TRY(coil_add_signal_handler(NULL, SIGTERM, answer, NULL));
    pid_t child = fork();
    if (child == 0) {
        struct sigaction action;
        sigaction(SIGINT, NULL, &action);
        CHILD_EXPECT(action.sa_handler == SIG_DFL);
        raise(SIGTERM);
        _exit(1);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    kill(getpid(), SIGTERM);
    return coil_sleep(0.001);
}

TEST(signals_have_their_former_actions_in_the_child)
{
    /* Or nobody could end it: no loop would ever look at what arrived. */
    EXPECT_RUN_REAL(forks_with_handlers(), 0);
    EXPECT_NOTES("answer");
}

TESTS_MAIN(RUN(child_of_a_task_is_refused_everywhere), RUN(child_can_run_a_loop_of_its_own),
           RUN(child_that_goes_on_leaves_the_loop_with_an_error),
           RUN(child_of_an_eager_task_is_refused_in_the_creator),
           RUN(child_shares_no_descriptor_of_the_loop),
           RUN(process_made_without_the_handlers_is_found_out),
           RUN(loop_of_another_thread_does_not_run_in_the_child),
           RUN(signals_have_their_former_actions_in_the_child))
