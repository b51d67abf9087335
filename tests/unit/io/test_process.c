/* Children: started as asked, fed and read without dead-lock, waited for by whoever asks, and never left
 * behind. */
#include "lib/steps.h"

#include <fcntl.h>
#include <pthread.h>
#include "io/spawn.h"
#include "lib/held.h"
#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define SH(script) COIL_ARGS("sh", "-c", script)

static coil_process *start(const char *const *argv, int in, int out, int err)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = in;
    options.out = out;
    options.err = err;
    coil_process *process = coil_create_subprocess_exec(argv, &options);
    EXPECT(process != NULL);
    return process;
}

static int returncode(const coil_process *process)
{
    int code = 1000;
    (void)coil_process_returncode(process, &code);
    return code;
}

/* True if this process has any child, dead or alive. */
static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* What is reaped in the background may take a moment. */
static bool soon_without_children(void)
{
    for (int i = 0; i < 5000 && has_children(); i++)
        usleep(1000);
    return !has_children();
}

/* Runs a coroutine on the real clock: no child, descriptor or memory is left. */
#define EXPECT_PROCESSES(coro, code)                                                               \
    do {                                                                                           \
        struct held before_ = held_now();                                                          \
        EXPECT_INT(steps_run(coro, NULL, &dropped), code);                                         \
        EXPECT_INT(reports_total(), 0);                                                            \
        EXPECT(soon_without_children());                                                           \
        held_expect(before_, #coro);                                                               \
    } while (0)

/* ---- starting ------------------------------------------------------------------------------------- */

/* Runs a shell's command with options and gives what it writes, or the error's name. */
static int expect_words(coil_process_options *options, const char *script, const char *expected)
{
    coil_output out;
    options->out = COIL_PIPE;
    coil_process *process = coil_create_subprocess_shell(script, options);
    if (!process)
        return coil_error_last();
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, NULL));
    EXPECT_STR(out.data, expected);
    EXPECT_INT(out.length, strlen(expected));
    coil_unref(process);
    return 0;
}

COIL_ASYNC0(starts_in_many_ways)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    COIL_TRY(expect_words(&options, "echo $((6 * 7))", "42\n"));
    options.cwd = "/";
    COIL_TRY(expect_words(&options, "pwd", "/\n"));
    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.env = COIL_ARGS("GREETING=hello", "PATH=/bin:/usr/bin");
    COIL_TRY(expect_words(&options, "echo $GREETING $HOME", "hello\n"));
    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.err = COIL_STDOUT;
    COIL_TRY(expect_words(&options, "echo one; echo two >&2; echo three", "one\ntwo\nthree\n"));
    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.in = COIL_DEVNULL;
    COIL_TRY(expect_words(&options, "cat; echo end", "end\n"));
    options.set_umask = true;
    options.umask = 027;
    COIL_TRY(expect_words(&options, "umask", "0027\n"));
    options.executable = "/bin/echo";
    return expect_words(&options, "as echo", "-c as echo\n");
}

TEST(child_starts_as_asked)
{
    /* Directory, environment, descriptors, mask, another program than its name says. */
    EXPECT_PROCESSES(starts_in_many_ways(), 0);
}

COIL_ASYNC0(gives_descriptors)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    int ends[2], kept = open("/dev/null", O_RDONLY | O_CLOEXEC),
                 shared = open("/dev/null", O_RDONLY);
    char script[200];
    EXPECT(pipe(ends) == 0); /* without close-on-exec, as careless libraries make them */
    COIL_TRY(expect_words(&options, "ls /proc/self/fd | wc -l", "4\n")); /* 0 to 2, and ls's own */
    options.pass_fds = &kept;
    options.pass_fd_count = 1;
    snprintf(script, sizeof script,
             "test -e /proc/self/fd/%d && ! test -e /proc/self/fd/%d && echo so", kept, shared);
    COIL_TRY(expect_words(&options, script, "so\n"));
    EXPECT(fcntl(kept, F_GETFD) == FD_CLOEXEC);

    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.out = ends[1];
    coil_process *process = coil_create_subprocess_shell("echo given", &options);
    EXPECT(process != NULL);
    COIL_TRY(coil_process_wait(process, NULL));
    coil_unref(process);
    char words[8] = "";
    EXPECT(read(ends[0], words, sizeof words) == 6);
    EXPECT_STR(words, "given\n");
    for (int i = 0; i < 2; i++)
        close(ends[i]);
    close(kept);
    close(shared);
    return 0;
}

TEST(child_gets_only_the_descriptors_that_it_is_given)
{
    /* Or it keeps connections open that its parent has closed. */
    EXPECT_PROCESSES(gives_descriptors(), 0);
}

static int expect_refused(const char *const *argv, coil_process_options *options, int code,
                          const char *word)
{
    EXPECT_PTR(coil_create_subprocess_exec(argv, options), NULL);
    EXPECT_INT(coil_error_last(), code);
    const char *message = coil_error_message(coil_error_current(code));
    EXPECT(word == NULL || (message && strstr(message, word)));
    return 0;
}

COIL_ASYNC0(starts_what_cannot_be)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.out = options.in = options.err = COIL_PIPE;
    expect_refused(COIL_ARGS("no-such-program-anywhere"), &options, -ENOENT, "no-such-program");
    expect_refused(COIL_ARGS("/etc/passwd"), &options, -EACCES, "/etc/passwd");
    expect_refused(COIL_ARGS("/bin/sh/x"), &options, -ENOTDIR, NULL);
    options.cwd = "/no/such/directory";
    expect_refused(COIL_ARGS("true"), &options, -ENOENT, "/no/such/directory");
    options.cwd = NULL;
    options.env = COIL_ARGS("PATH=/etc:/nowhere");
    expect_refused(COIL_ARGS("passwd"), &options, -EACCES, "passwd"); /* found, but no program */
    expect_refused(COIL_ARGS("true"), &options, -ENOENT, "true");
    options.in = 999;
    expect_refused(COIL_ARGS("true"), &options, -EBADF, "999");
    options.in = COIL_STDOUT;
    expect_refused(COIL_ARGS("true"), &options, COIL_EINVAL, NULL);
    expect_refused((const char *const[]){ NULL }, NULL, COIL_EINVAL, NULL);
    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.pass_fds = &(int){ 998 };
    options.pass_fd_count = 1;
    expect_refused(COIL_ARGS("true"), &options, -EBADF, "998");
    EXPECT(!has_children());
    return 0;
}

TEST(failing_to_start_is_an_error_that_says_why)
{
    /* Not an exit status; and nothing is left of the attempt. */
    EXPECT_PROCESSES(starts_what_cannot_be(), 0);
    EXPECT_PTR(coil_create_subprocess_exec(COIL_ARGS("true"), NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
}

static void handle_nothing(int number)
{
    (void)number;
}

COIL_ASYNC0(starts_with_odd_signals)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    sigset_t blocked, before;
    sigfillset(&blocked);
    struct sigaction handler = { .sa_handler = handle_nothing };
    sigaction(SIGUSR1, &handler, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int rc = expect_words(
        &options,
        /* 1 to 16: whoever started us may ignore others, which is no affair of ours. */
        "while read name value; do case $name in SigBlk:|SigIgn:) "
        "echo ${value#????????????};; esac; done </proc/self/status",
        "0000\n0001\n");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    EXPECT(now.sa_handler == handle_nothing); /* the child's doings are not ours */
    signal(SIGUSR1, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    return rc;
}

TEST(child_has_no_blocked_signals_and_no_foreign_actions)
{
    /* What its parent blocks or handles is the parent's; what nohup ignores stays ignored. */
    EXPECT_PROCESSES(starts_with_odd_signals(), 0);
}

COIL_ASYNC0(starts_apart)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = COIL_PIPE;
    for (int i = 0; i < 2; i++) {
        options.new_group = i == 0;
        options.new_session = i == 1;
        coil_process *process = coil_create_subprocess_exec(COIL_ARGS("cat"), &options);
        EXPECT(process != NULL);
        pid_t pid = coil_process_pid(process);
        EXPECT_INT(getpgid(pid), pid);
        EXPECT_INT(getsid(pid), i == 1 ? pid : getsid(0));
        COIL_TRY(coil_process_communicate(process, NULL, 0, NULL, NULL));
        coil_unref(process);
    }
    return 0;
}

TEST(child_may_have_a_group_or_session_of_its_own)
{
    /* Ctrl-C goes to the terminal's group. */
    EXPECT_PROCESSES(starts_apart(), 0);
}

/* ---- waiting and signals -------------------------------------------------------------------------- */

COIL_ASYNC0(waits_for_codes)
{
    static const int codes[] = { 0, 7, 255 };
    for (int i = 0; i < 3; i++) {
        char script[20];
        int code = -1;
        snprintf(script, sizeof script, "exit %d", codes[i]);
        coil_process *process = start(SH(script), 0, 0, 0);
        COIL_TRY(coil_process_wait(process, &code));
        EXPECT_INT(code, codes[i]);
        EXPECT_INT(returncode(process), codes[i]);
        COIL_TRY(coil_process_wait(process, NULL)); /* at once */
        EXPECT_INT(coil_process_kill(process), -ESRCH);
        coil_unref(process);
    }
    static const int numbers[] = { SIGTERM, SIGKILL, SIGUSR1 };
    for (int i = 0; i < 3; i++) {
        int code = 0;
        coil_process *process = start(COIL_ARGS("sleep", "1000"), 0, 0, 0);
        EXPECT(!coil_process_returncode(process, NULL));
        COIL_TRY(coil_process_send_signal(process, numbers[i]));
        COIL_TRY(coil_process_wait(process, &code));
        EXPECT_INT(code, -numbers[i]);
        coil_unref(process);
    }
    return 0;
}

TEST(returncode_is_the_status_or_minus_the_signal)
{
    /* Supervisors decide by it. */
    EXPECT_PROCESSES(waits_for_codes(), 0);
}

static int read_line(coil_process *process)
{
    char byte = 0;
    while (byte != '\n') {
        COIL_TRY(coil_wait_readable(coil_process_fd(process, 1)));
        if (read(coil_process_fd(process, 1), &byte, 1) == 0)
            return coil_raise(COIL_EINCOMPLETE, "no line");
    }
    return 0;
}

COIL_ASYNC0(meets_a_stubborn_child)
{
    int code = 0;
    coil_process *process = start(SH("trap '' TERM; echo ready; exec sleep 1000"), 0, COIL_PIPE, 0);
    COIL_TRY(read_line(process));
    COIL_TRY(coil_process_terminate(process));
    EXPECT_INT(COIL_TIMEOUT(0.05, coil_process_wait(process, NULL)), COIL_ETIMEDOUT);
    EXPECT(!coil_process_returncode(process, NULL));
    /* Stopped, it does not end; killed, it does, stopped or not. */
    COIL_TRY(coil_process_send_signal(process, SIGSTOP));
    EXPECT_INT(COIL_TIMEOUT(0.02, coil_process_wait(process, NULL)), COIL_ETIMEDOUT);
    COIL_TRY(coil_process_send_signal(process, SIGCONT));
    EXPECT_INT(COIL_TIMEOUT(0.02, coil_process_wait(process, NULL)), COIL_ETIMEDOUT);
    EXPECT_INT(coil_process_send_signal(process, 1000), COIL_EINVAL);
    COIL_TRY(coil_process_send_signal(process, SIGSTOP));
    COIL_TRY(coil_process_kill(process));
    COIL_TRY(coil_process_wait(process, &code));
    EXPECT_INT(code, -SIGKILL);
    coil_unref(process);
    return 0;
}

TEST(limit_on_waiting_is_no_limit_on_living)
{
    /* A child that ignores SIGTERM, or is stopped, goes on until it is killed. */
    EXPECT_PROCESSES(meets_a_stubborn_child(), 0);
}

COIL_ASYNC0(leaves_a_grandchild)
{
    int code = -1;
    coil_output out;
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.out = COIL_PIPE;
    options.new_group = true;
    coil_process *process = coil_create_subprocess_shell("sleep 1000 & echo child", &options);
    EXPECT(process != NULL);
    COIL_TRY(coil_process_wait(process, &code)); /* although sleep has the pipe */
    EXPECT_INT(code, 0);
    EXPECT_INT(COIL_TIMEOUT(0.02, coil_process_communicate(process, NULL, 0, &out, NULL)),
               COIL_ETIMEDOUT); /* which this waits for */
    EXPECT_INT(kill(-coil_process_pid(process), SIGKILL), 0);
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, NULL));
    EXPECT_STR(out.data, "child\n");
    coil_unref(process);
    return 0;
}

TEST(grandchild_with_the_pipe_delays_no_wait)
{
    /* A daemon that was started from a shell keeps its output open for ever. */
    EXPECT_PROCESSES(leaves_a_grandchild(), 0);
}

COIL_ASYNC(waits, (coil_process *, process))
{
    int code = 0;
    COIL_TRY(coil_process_wait(process, &code));
    note("%d", code);
    return 0;
}

COIL_ASYNC0(has_several_waiters)
{
    coil_process *process = start(COIL_ARGS("sleep", "1000"), 0, 0, 0);
    coil_task *cancelled = coil_create_task(waits(process));
    COIL_TRY(coil_spawn(waits(process)));
    COIL_TRY(coil_spawn(waits(process)));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(cancelled, NULL);
    EXPECT_INT(coil_await(cancelled, NULL), COIL_ECANCELED);
    coil_unref(cancelled);
    COIL_TRY(coil_process_kill(process));
    COIL_TRY(coil_process_wait(process, NULL));
    coil_unref(process);
    return coil_sleep(0);
}

TEST(all_who_wait_are_told)
{
    /* A cancelled one takes nothing away from the others. */
    EXPECT_PROCESSES(has_several_waiters(), 0);
    EXPECT_NOTES("-9 -9");
}

COIL_ASYNC0(talks_by_itself)
{
    char words[8] = "";
    int code = -1;
    coil_process *process = start(COIL_ARGS("cat"), COIL_PIPE, COIL_PIPE, 0);
    EXPECT_INT(write(coil_process_fd(process, 0), "ping\n", 5), 5);
    COIL_TRY(coil_wait_readable(coil_process_fd(process, 1)));
    EXPECT_INT(read(coil_process_fd(process, 1), words, sizeof words), 5);
    EXPECT_STR(words, "ping\n");
    for (int i = 0; i < 2; i++)
        coil_process_close_fd(process, 0);
    EXPECT_INT(coil_process_fd(process, 0), -1);
    EXPECT_INT(coil_process_fd(process, 2), -1);
    EXPECT_INT(coil_process_fd(process, 3), -1);
    COIL_TRY(coil_process_wait(process, &code));
    EXPECT_INT(code, 0);
    coil_unref(process);
    return 0;
}

TEST(pipes_can_be_used_directly)
{
    /* For conversations, and for descriptors that something else is to read. */
    EXPECT_PROCESSES(talks_by_itself(), 0);
}

/* ---- not left behind ------------------------------------------------------------------------------ */

COIL_ASYNC0(drops_its_children)
{
    for (int i = 0; i < 5; i++)
        coil_unref(start(COIL_ARGS("true"), 0, 0, 0));
    coil_unref(
        start(COIL_ARGS("cat"), COIL_PIPE, COIL_PIPE, 0)); /* its input ends with the object */
    while (has_children())
        COIL_TRY(coil_sleep(0.001));
    return 0;
}

TEST(dropped_child_is_reaped_by_the_loop)
{
    /* Fire and forget leaves no zombie. */
    EXPECT_PROCESSES(drops_its_children(), 0);
}

static coil_process *outliving;

COIL_ASYNC0(ends_before_its_children)
{
    outliving = start(COIL_ARGS("cat"), COIL_PIPE, 0, 0); /* ends when this pipe does */
    coil_unref(start(COIL_ARGS("sleep", "0.05"), 0, 0, 0));
    return 0;
}

TEST(child_that_outlives_its_loop_is_reaped_by_a_thread)
{
    /* Nobody else would; and whoever still asks is told. */
    struct held before = held_now();
    EXPECT_INT(steps_run(ends_before_its_children(), NULL, &dropped), 0);
    EXPECT(!coil_process_returncode(outliving, NULL));
    EXPECT_INT(coil_process_kill(outliving), -ESRCH);
    EXPECT_INT(steps_run(waits(outliving), NULL, &dropped), COIL_ECLOSED);
    EXPECT(has_children());
    coil_unref(outliving);
    EXPECT(soon_without_children());
    held_expect(before, "children that outlive their loop");
}

COIL_ASYNC0(loses_a_child)
{
    coil_process *process = start(COIL_ARGS("true"), 0, 0, 0);
    siginfo_t info;
    EXPECT(waitid(P_PID, (id_t)coil_process_pid(process), &info, WEXITED) == 0);
    EXPECT_INT(coil_process_wait(process, NULL), -ECHILD);
    EXPECT_INT(coil_process_kill(process), -ESRCH);
    coil_unref(process);

    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    process = start(COIL_ARGS("true"), 0, 0, 0);
    EXPECT_INT(coil_process_wait(process, NULL), -ECHILD);
    coil_unref(process);
    signal(SIGCHLD, SIG_DFL);
    return 0;
}

TEST(child_that_somebody_else_reaps_ends_the_wait_with_an_error)
{
    /* It must not hang, and its status is not made up. */
    EXPECT_PROCESSES(loses_a_child(), 0);
}

/* ---- communicate ---------------------------------------------------------------------------------- */

enum {
    MUCH = 1 << 20
};

static char *much(void)
{
    char *data = malloc(MUCH);
    for (int i = 0; i < MUCH; i++)
        data[i] = (char)(i * 7 + i / 251);
    return data;
}

COIL_ASYNC0(feeds_and_reads)
{
    coil_output out, err;
    char *data = much();
    coil_process *process = start(SH("read line; echo out: $line; echo err: $line >&2; cat"),
                                  COIL_PIPE, COIL_PIPE, COIL_PIPE);
    COIL_TRY(coil_process_communicate(process, "first\nsecond\n", 13, &out, &err));
    EXPECT_STR(out.data, "out: first\nsecond\n");
    EXPECT_STR(err.data, "err: first\n");
    coil_unref(process);

    process = start(COIL_ARGS("cat"), COIL_PIPE, COIL_PIPE, 0);
    COIL_TRY(coil_process_communicate(process, data, MUCH, &out, &err));
    EXPECT(out.length == MUCH && memcmp(out.data, data, MUCH) == 0);
    EXPECT_PTR(err.data, NULL);
    coil_unref(process);

    process = start(SH("exec <&-; echo no thanks"), COIL_PIPE, COIL_PIPE, 0);
    COIL_TRY(coil_process_communicate(process, data, MUCH, &out, NULL));
    EXPECT_STR(out.data, "no thanks\n");
    EXPECT_INT(returncode(process), 0);
    coil_unref(process);

    process = start(SH("cat >/dev/null; echo a >&2"), COIL_PIPE, 0, COIL_PIPE);
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, &err));
    EXPECT_PTR(out.data, NULL);
    EXPECT_STR(err.data, "a\n");
    coil_unref(process);

    process = start(COIL_ARGS("true"), COIL_DEVNULL, 0, 0);
    EXPECT_INT(coil_process_communicate(process, "x", 1, NULL, NULL), COIL_EINVAL);
    COIL_TRY(coil_process_communicate(process, NULL, 0, NULL, NULL));
    coil_unref(process);
    free(data);
    return 0;
}

TEST(communicate_feeds_and_reads_at_once)
{
    /* One after the other would dead-lock on a full pipe; a child that does not read is no error, and
     * raises no SIGPIPE. */
    EXPECT_PROCESSES(feeds_and_reads(), 0);
}

COIL_ASYNC0(communicates_in_parts)
{
    coil_output out;
    char *data = much();
    coil_process *process = start(SH("head -c 100000; sleep 0.05; cat"), COIL_PIPE, COIL_PIPE, 0);
    int tries = 0, rc;
    coil_communicate_options options = COIL_COMMUNICATE_OPTIONS_INIT;
    options.input = data;
    options.input_bytes = MUCH;
    options.timeout = 0.005;
    while ((rc = coil_process_communicate_with(process, &options, &out, NULL)) == COIL_ETIMEDOUT)
        tries++;
    EXPECT_INT(rc, 0);
    EXPECT(tries > 0);
    EXPECT(out.length == MUCH && memcmp(out.data, data, MUCH) == 0);
    coil_unref(process);
    free(data);
    return 0;
}

TEST(communicate_that_was_cut_short_goes_on_where_it_was)
{
    /* No byte is lost, in either direction, however often the limit expires. */
    EXPECT_PROCESSES(communicates_in_parts(), 0);
}

COIL_ASYNC0(limits_the_output)
{
    coil_communicate_options options = COIL_COMMUNICATE_OPTIONS_INIT;
    coil_output out;
    coil_process *process = start(SH("yes | head -c 10000"), 0, COIL_PIPE, 0);
    options.limit = 9999;
    EXPECT_INT(coil_process_communicate_with(process, &options, &out, NULL), -EMSGSIZE);
    options.limit = 10000;
    COIL_TRY(coil_process_communicate_with(process, &options, &out, NULL));
    EXPECT_INT(out.length, 10000);
    coil_unref(process);

    process = start(COIL_ARGS("yes"), 0, COIL_PIPE, 0);
    options.limit = 1 << 20;
    EXPECT_INT(coil_process_communicate_with(process, &options, &out, NULL), -EMSGSIZE);
    COIL_TRY(coil_process_kill(process));
    COIL_TRY(coil_process_wait(process, NULL));
    EXPECT_INT(returncode(process), -SIGKILL);
    coil_unref(process);
    return 0;
}

TEST(communicate_keeps_to_its_limit)
{
    /* A child that writes for ever must not take all memory. */
    EXPECT_PROCESSES(limits_the_output(), 0);
}

COIL_ASYNC(communicates, (coil_process *, process))
{
    return coil_process_communicate(process, NULL, 0, NULL, NULL);
}

COIL_ASYNC0(communicates_twice_at_once)
{
    coil_process *process = start(COIL_ARGS("sleep", "1000"), 0, COIL_PIPE, COIL_PIPE);
    coil_task *task = coil_create_task(communicates(process));
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_process_communicate(process, NULL, 0, NULL, NULL), COIL_ERUNTIME);
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT(!coil_process_returncode(process, NULL)); /* cancelling is not killing */
    coil_unref(task);
    task = coil_create_task(communicates(process));
    COIL_TRY(coil_sleep(0));
    coil_unref(task);
    COIL_TRY(coil_process_kill(process));
    coil_unref(process); /* the task has one, too; it is cancelled when the run ends */
    return 0;
}

TEST(communicate_is_one_tasks_at_a_time_and_can_be_cancelled)
{
    /* The child goes on, and whoever cancelled says what becomes of it. */
    EXPECT_PROCESSES(communicates_twice_at_once(), 0);
}

/* ---- many ----------------------------------------------------------------------------------------- */

static int soak(int fast, int full)
{
    return getenv("COIL_SOAK") ? full : fast;
}

COIL_ASYNC0(runs_many_in_a_row)
{
    int code = -1;
    for (int left = soak(100, 10000); left > 0; left--) {
        coil_process *process = coil_create_subprocess_exec(COIL_ARGS("true"), NULL);
        if (!process)
            return coil_error_last();
        COIL_TRY(coil_process_wait(process, &code));
        EXPECT_INT(code, 0);
        coil_unref(process);
    }
    return 0;
}

COIL_ASYNC(runs_one, (int, number))
{
    char script[40];
    coil_output out;
    snprintf(script, sizeof script, "echo %d; exit %d", number, number % 100);
    coil_process *process = start(SH(script), 0, COIL_PIPE, 0);
    if (!process)
        return coil_error_last();
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, NULL));
    EXPECT_INT(atoi(out.data), number);
    EXPECT_INT(returncode(process), number % 100);
    coil_unref(process);
    return 0;
}

COIL_ASYNC0(runs_many_at_once)
{
    int count = soak(50, 500);
    coil_task *tasks[500];
    for (int i = 0; i < count; i++)
        tasks[i] = coil_create_task(runs_one(i));
    for (int i = 0; i < count; i++) {
        EXPECT_INT(coil_await(tasks[i], NULL), 0);
        coil_unref(tasks[i]);
    }
    return 0;
}

TEST(many_children_leave_nothing_behind)
{
    /* No zombie and no descriptor, one after the other or all at once. COIL_SOAK: 10,000 and 500. */
    EXPECT_PROCESSES(runs_many_in_a_row(), 0);
    EXPECT_PROCESSES(runs_many_at_once(), 0);
}

TEST(without_pidfds_a_thread_waits)
{
    /* Older kernels, and filters that do not know the call. */
    coil__spawn_no_pidfd = true;
    EXPECT_PROCESSES(waits_for_codes(), 0);
    EXPECT_PROCESSES(meets_a_stubborn_child(), 0);
    EXPECT_PROCESSES(drops_its_children(), 0);
    EXPECT_PROCESSES(runs_many_at_once(), 0);
    EXPECT_INT(steps_run(ends_before_its_children(), NULL, &dropped), 0);
    coil_unref(outliving);
    EXPECT(soon_without_children());
    coil__spawn_no_pidfd = false;
}

/* ---- bad luck ------------------------------------------------------------------------------------- */

COIL_ASYNC0(has_few_descriptors)
{
    struct rlimit before, few;
    int started = 0;
    getrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t most = 3; started == 0 && most < 200; most++) {
        few = (struct rlimit){ most, before.rlim_max };
        setrlimit(RLIMIT_NOFILE, &few);
        coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
        options.in = options.out = options.err = COIL_PIPE;
        coil_process *process = coil_create_subprocess_exec(COIL_ARGS("cat"), &options);
        int code = process ? 0 : coil_error_last();
        setrlimit(RLIMIT_NOFILE, &before);
        EXPECT(process || code == -EMFILE);
        if (!process)
            continue;
        COIL_TRY(coil_process_communicate(process, "x", 1, NULL, NULL));
        coil_unref(process);
        started++;
    }
    EXPECT_INT(started, 1);
    return 0;
}

TEST(lack_of_descriptors_is_an_error_at_every_step)
{
    /* However few there are, nothing is left open and no child is left. */
    if (RUNNING_ON_VALGRIND)
        SKIP("valgrind itself runs out of descriptors");
    EXPECT_PROCESSES(has_few_descriptors(), 0);
}

COIL_ASYNC0(feeds_once)
{
    coil_output out;
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_PIPE;
    coil_process *process = coil_create_subprocess_exec(COIL_ARGS("cat"), &options);
    if (!process)
        return coil_error_last();
    int rc = coil_process_communicate(process, "abc", 3, &out, NULL);
    EXPECT(rc < 0 || strcmp(out.data, "abc") == 0);
    coil_unref(process);
    return rc;
}

TEST(children_survive_every_failed_allocation)
{
    /* The child that was started is still reaped. */
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        struct held before = held_now();
        coil_loop *loop = steps_loop(&dropped);
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, feeds_once(), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || rc == COIL_ENOMEM);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT(soon_without_children());
        held_expect(before, "a child without memory");
    }
}

TESTS_MAIN(RUN(child_starts_as_asked), RUN(child_gets_only_the_descriptors_that_it_is_given),
           RUN(failing_to_start_is_an_error_that_says_why),
           RUN(child_has_no_blocked_signals_and_no_foreign_actions),
           RUN(child_may_have_a_group_or_session_of_its_own),
           RUN(returncode_is_the_status_or_minus_the_signal),
           RUN(limit_on_waiting_is_no_limit_on_living),
           RUN(grandchild_with_the_pipe_delays_no_wait), RUN(all_who_wait_are_told),
           RUN(pipes_can_be_used_directly), RUN(dropped_child_is_reaped_by_the_loop),
           RUN(child_that_outlives_its_loop_is_reaped_by_a_thread),
           RUN(child_that_somebody_else_reaps_ends_the_wait_with_an_error),
           RUN(communicate_feeds_and_reads_at_once),
           RUN(communicate_that_was_cut_short_goes_on_where_it_was),
           RUN(communicate_keeps_to_its_limit),
           RUN(communicate_is_one_tasks_at_a_time_and_can_be_cancelled),
           RUN(many_children_leave_nothing_behind), RUN(without_pidfds_a_thread_waits),
           RUN(lack_of_descriptors_is_an_error_at_every_step),
           RUN(children_survive_every_failed_allocation))
