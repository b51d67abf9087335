/* A child's pipes as streams: conversations, back-pressure, and what becomes of them when somebody dies. */
#include "lib/steps.h"

#include "lib/held.h"

static coil_process *start_with(const char *script, bool errors, size_t limit)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_PIPE;
    options.err = errors ? COIL_PIPE : COIL_INHERIT;
    options.limit = limit;
    return coil_create_subprocess_shell(script, &options);
}

static coil_process *start(const char *script)
{
    coil_process *process = start_with(script, false, 0);
    EXPECT(process != NULL);
    return process;
}

/* What is reaped in the background may take a moment. */
static bool soon_without_children(void)
{
    siginfo_t info;
    for (int i = 0; i < 5000; i++) {
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return true;
        usleep(1000);
    }
    return false;
}

#define EXPECT_PROCESSES(coro, code, count)                                                        \
    do {                                                                                           \
        struct held before_ = held_now();                                                          \
        EXPECT_INT(steps_run(coro, NULL, &dropped), code);                                         \
        EXPECT_INT(reports_total(), count);                                                        \
        EXPECT(soon_without_children());                                                           \
        held_expect(before_, #coro);                                                               \
    } while (0)

static int expect_line(coil_stream_reader *reader, const char *expected)
{
    char *line;
    ssize_t length = coil_stream_readline(reader, &line);
    if (length < 0)
        return (int)length;
    EXPECT_STR(length > 0 ? line : "", expected);
    return 0;
}

/* ---- conversations -------------------------------------------------------------------------------- */

COIL_ASYNC0(talks_to_a_child)
{
    coil_process *process = start_with(
        "while read w; do echo \"<$w>\"; echo \"[$w]\" >&2; done; exit 3", true, 0);
    coil_stream_writer *in = coil_process_stdin(process);
    coil_stream_reader *out = coil_process_stdout(process), *err = coil_process_stderr(process);
    EXPECT_PTR(coil_process_stdin(process), in);
    EXPECT_PTR(coil_process_stdout(process), out);
    for (int which = 0; which < 3; which++)
        EXPECT_INT(coil_process_fd(process, which), -1);
    COIL_TRY(coil_stream_write(in, "one\n", 4));
    COIL_TRY(expect_line(out, "<one>\n"));
    COIL_TRY(coil_stream_write(in, "two\n", 4));
    COIL_TRY(expect_line(out, "<two>\n"));
    coil_stream_close(in);
    COIL_TRY(coil_stream_wait_closed(in));
    COIL_TRY(expect_line(out, ""));
    COIL_TRY(expect_line(err, "[one]\n"));
    COIL_TRY(expect_line(err, "[two]\n"));
    COIL_TRY(expect_line(err, ""));
    int code;
    COIL_TRY(coil_process_wait(process, &code));
    EXPECT_INT(code, 3);
    coil_unref(process);
    return 0;
}

TEST(a_child_is_talked_to_line_by_line)
{
    /* What the streams are for; and nothing is left behind. */
    EXPECT_PROCESSES(talks_to_a_child(), 0, 0);
}

COIL_ASYNC0(asks_for_what_is_not_there)
{
    coil_process *process = coil_create_subprocess_shell("exit 0", NULL);
    EXPECT_PTR(coil_process_stdin(process), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    EXPECT_PTR(coil_process_stderr(process), NULL);
    COIL_TRY(coil_process_wait(process, NULL));
    coil_unref(process);
    process = start("exit 0");
    coil_process_close_fd(process, 1);
    EXPECT_PTR(coil_process_stdout(process), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    COIL_TRY(coil_process_communicate(process, NULL, 0, NULL, NULL));
    EXPECT_PTR(coil_process_stdin(process), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    coil_unref(process);
    return 0;
}

TEST(what_is_no_pipe_or_closed_has_no_stream)
{
    /* And says why: the call gives NULL for several reasons. */
    EXPECT_PROCESSES(asks_for_what_is_not_there(), 0, 0);
}

/* ---- communicate ---------------------------------------------------------------------------------- */

COIL_ASYNC0(communicates_after_talking)
{
    coil_output out, err;
    coil_process *process = start_with("head -n1; echo two >&2; cat", true, 0);
    COIL_TRY(coil_stream_write(coil_process_stdin(process), "one\n", 4));
    COIL_TRY(expect_line(coil_process_stdout(process), "one\n"));
    COIL_TRY(coil_process_communicate(process, "three", 5, &out, &err));
    EXPECT_STR(out.data, "three");
    EXPECT_INT(out.length, 5);
    EXPECT_STR(err.data, "two\n");
    EXPECT(coil_stream_at_eof(coil_process_stdout(process)));
    /* Once more: nothing is left to do. */
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, NULL));
    EXPECT_STR(out.data, "three");
    coil_unref(process);
    return 0;
}

TEST(communicate_goes_on_where_the_streams_are)
{
    /* As in asyncio, where it reads by the streams. */
    EXPECT_PROCESSES(communicates_after_talking(), 0, 0);
}

static char megabyte[1 << 20];

/* Cuts communicate short, before or after a stream was asked for. */
COIL_ASYNC(is_cut_short, (bool, streams_first))
{
    coil_communicate_options options = COIL_COMMUNICATE_OPTIONS_INIT;
    coil_output out = { NULL, 0 };
    options.input = megabyte;
    options.input_bytes = sizeof megabyte;
    options.timeout = 0.05;
    coil_process *process = start("head -c 1000; read go < /dev/null; sleep 0.2; cat");
    if (streams_first)
        EXPECT(coil_process_stdout(process) != NULL);
    EXPECT_INT(coil_process_communicate_with(process, &options, &out, NULL), COIL_ETIMEDOUT);
    EXPECT(coil_process_stdout(process) != NULL);
    char some[100];
    EXPECT_INT(coil_stream_read(coil_process_stdout(process), some, sizeof some), sizeof some);
    options.timeout = 0;
    COIL_TRY(coil_process_communicate_with(process, &options, &out, NULL));
    EXPECT_INT(out.length, sizeof megabyte - sizeof some);
    coil_unref(process);
    return 0;
}

TEST(communicate_cut_short_loses_nothing_of_the_streams)
{
    /* What it had read can be read from the stream, and what it had written is not written twice. */
    EXPECT_PROCESSES(is_cut_short(true), 0, 0);
    EXPECT_PROCESSES(is_cut_short(false), 0, 0);
}

COIL_ASYNC0(meets_a_limit)
{
    coil_communicate_options options = COIL_COMMUNICATE_OPTIONS_INIT;
    coil_output out;
    coil_process *process = start_with("head -c 5000 /dev/zero; echo >&2; cat", true, 0);
    coil_stream_reader *reader = coil_process_stdout(process);
    options.limit = 4999;
    EXPECT_INT(coil_process_communicate_with(process, &options, &out, NULL), -EMSGSIZE);
    options.limit = 5000;
    COIL_TRY(coil_process_communicate_with(process, &options, &out, NULL));
    EXPECT_INT(out.length, 5000);
    EXPECT(coil_stream_at_eof(reader));
    coil_unref(process);
    return 0;
}

TEST(communicate_by_streams_keeps_to_its_limit)
{
    /* A failure of one side ends the others' waiting, and loses nothing. */
    EXPECT_PROCESSES(meets_a_limit(), 0, 0);
}

/* ---- back-pressure -------------------------------------------------------------------------------- */

COIL_ASYNC0(reads_slowly)
{
    coil_process *process = start_with("head -c 20000000 /dev/zero", false, 1000);
    coil_stream_reader *out = coil_process_stdout(process);
    char some[1000];
    size_t total = 0;
    ssize_t got;
    const char *data;
    COIL_TRY(coil_sleep(0.05));
    while ((got = coil_stream_peek(out, 1, &data)) > 0) {
        EXPECT(got <= 2 * 1000 + 256 * 1024);
        got = coil_stream_read(out, some, sizeof some);
        total += (size_t)got;
    }
    EXPECT_INT(got, 0);
    EXPECT_INT(total, 20000000);
    coil_unref(process);
    return 0;
}

TEST(slow_reader_holds_the_child_back)
{
    /* Memory is bounded by the limit, and what one read takes, not by what the child writes. */
    EXPECT_PROCESSES(reads_slowly(), 0, 0);
}

/* ---- bad luck ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

COIL_ASYNC0(writes_to_the_dead)
{
    coil_process *process = start("exec 0<&-; exit 0");
    coil_stream_writer *in = coil_process_stdin(process);
    int rc = 0;
    COIL_TRY(coil_process_wait(process, NULL));
    for (int i = 0; rc == 0 && i < 10; i++)
        rc = coil_stream_write(in, megabyte, sizeof megabyte);
    EXPECT(rc == -EPIPE || rc == -ECONNRESET);
    coil_output out;
    COIL_TRY(coil_process_communicate(process, "ignored", 7, &out, NULL)); /* no error, as ever */
    coil_unref(process);
    /* It dies while we wait for room. */
    process = start("read line; exit 0");
    in = coil_process_stdin(process);
    COIL_TRY(coil_stream_write(in, "go\n", 3));
    rc = coil_stream_write(in, megabyte, sizeof megabyte);
    EXPECT(rc == -EPIPE || rc == -ECONNRESET);
    COIL_TRY(coil_process_wait(process, NULL));
    coil_unref(process);
    return 0;
}

TEST(child_that_dies_while_we_write_is_an_error_and_no_signal)
{
    /* The usual way for a child to end a conversation must not end us. */
    struct sigaction before, handler = { .sa_handler = count_signal };
    sigaction(SIGPIPE, &handler, &before);
    signals = 0;
    EXPECT_PROCESSES(writes_to_the_dead(), 0, 0);
    EXPECT_INT(signals, 0);
    sigaction(SIGPIPE, &before, NULL);
}

COIL_ASYNC0(outlived_by_a_grandchild)
{
    char *line, byte;
    coil_process *process = start("sleep 1000 & echo $!; exit 5");
    coil_stream_reader *out = coil_process_stdout(process);
    ssize_t length = coil_stream_readline(out, &line);
    EXPECT(length > 0);
    pid_t grandchild = (pid_t)atoi(line);
    int code = 0;
    COIL_TRY(coil_process_wait(process, &code));
    EXPECT_INT(code, 5);
    EXPECT_INT(COIL_TIMEOUT(0.02, (int)coil_stream_read(out, &byte, 1)), COIL_ETIMEDOUT);
    EXPECT(kill(grandchild, SIGKILL) == 0);
    EXPECT_INT(coil_stream_read(out, &byte, 1), 0);
    coil_unref(process);
    return 0;
}

TEST(grandchild_with_the_pipe_keeps_the_stream_open)
{
    /* But it delays nobody who waits for the child. */
    EXPECT_PROCESSES(outlived_by_a_grandchild(), 0, 0);
}

static coil_stream_reader *kept;

COIL_ASYNC0(reads_what_is_kept)
{
    char byte;
    int rc = (int)coil_stream_read(kept, &byte, 1);
    note("read %d", rc);
    return 0;
}

COIL_ASYNC0(drops_with_open_streams)
{
    coil_process *process = start("cat");
    kept = coil_ref(coil_process_stdout(process));
    EXPECT(coil_process_stdin(process) != NULL);
    coil_task *task = coil_create_task(reads_what_is_kept());
    COIL_TRY(coil_sleep(0));
    coil_unref(process);
    COIL_TRY(coil_await(task, NULL));
    coil_unref(task);
    coil_unref(kept);
    process = start("cat");
    coil_stream_close(coil_process_stdin(process)); /* nothing is open: let go on purpose */
    coil_unref(process);
    return 0;
}

TEST(process_dropped_with_open_streams_is_reported)
{
    /* The streams end, whoever waits is told, and the child is reaped. */
    EXPECT_PROCESSES(drops_with_open_streams(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_UNCLOSED_PROCESS], 1);
    EXPECT_NOTES("read 0");
}

/* ---- cancelled, and without memory ---------------------------------------------------------------- */

COIL_ASYNC(reads_lines, (coil_process *, process))
{
    COIL_TRY(coil_stream_write(coil_process_stdin(process), "one\ntwo\n", 8));
    COIL_TRY(expect_line(coil_process_stdout(process), "one\n"));
    COIL_TRY(expect_line(coil_process_stdout(process), "two\n"));
    return 0;
}

COIL_ASYNC0(converses)
{
    coil_process *process = start_with("cat", false, 0);
    if (!process)
        return coil_error_last();
    coil_stream_writer *in = coil_process_stdin(process);
    coil_stream_reader *out = in ? coil_process_stdout(process) : NULL;
    coil_output rest;
    int rc = out ? coil_stream_write(in, "one\ntwo\n", 8) : coil_error_last();
    if (rc == 0)
        rc = expect_line(out, "one\n");
    if (rc == 0)
        rc = coil_process_communicate(process, "three\n", 6, &rest, NULL);
    EXPECT(rc < 0 || strcmp(rest.data, "two\nthree\n") == 0);
    coil_process_close_fd(process, 0);
    coil_process_close_fd(process, 1);
    coil_unref(process);
    return rc;
}

TEST(conversation_survives_every_failed_allocation)
{
    /* What failed can be told from the code, nothing leaks, and the child is reaped. */
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        struct held before = held_now();
        coil_loop *loop = steps_loop(&dropped);
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, converses(), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || rc == COIL_ENOMEM || rc == -ECONNRESET || rc == -ENOMEM);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT(soon_without_children());
        held_expect(before, "a conversation without memory");
    }
}

COIL_ASYNC(cancelled_after, (int, turns), (bool *, again))
{
    coil_process *process = start("cat");
    coil_task *task = coil_create_task(reads_lines(process));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0.0001));
    *again = !coil_future_done(task);
    (void)coil_task_cancel(task, NULL);
    int rc = coil_await(task, NULL);
    EXPECT(rc == 0 || rc == COIL_ECANCELED);
    /* Whatever was read of it, the rest is there. */
    coil_output out;
    COIL_TRY(coil_process_communicate(process, "three\n", 6, &out, NULL));
    EXPECT(out.length >= 6 && strcmp(out.data + out.length - 6, "three\n") == 0);
    EXPECT(rc == 0 ? out.length == 6 : out.length == 6 || out.length == 10 || out.length == 14);
    coil_unref(task);
    coil_unref(process);
    return 0;
}

TEST(cancelled_reader_leaves_a_stream_that_can_be_read)
{
    /* At whatever moment it is: what the child has said is still to be read. */
    bool again = true;
    for (int turns = 0; again && turns < 1000; turns++)
        EXPECT_PROCESSES(cancelled_after(turns, &again), 0, 0);
}

/* A child that has said everything, and ended: so a virtual clock finds the same each time. */
static coil_process *start_ended(void)
{
    siginfo_t info;
    coil_process *process = start_with("echo one; echo two; echo three", false, 0);
    if (process)
        (void)waitid(P_PID, (id_t)coil_process_pid(process), &info, WEXITED | WNOWAIT);
    return process;
}

COIL_ASYNC0(reads_and_communicates)
{
    coil_process *process = start_ended();
    if (!process)
        return coil_error_last();
    coil_stream_reader *out = coil_process_stdout(process);
    coil_output rest;
    int rc = out ? expect_line(out, "one\n") : coil_error_last();
    if (rc == 0)
        rc = expect_line(out, "two\n");
    if (rc == 0)
        rc = coil_process_communicate(process, NULL, 0, &rest, NULL);
    EXPECT(rc < 0 || strcmp(rest.data, "three\n") == 0);
    for (int which = 0; which < 3; which++)
        coil_process_close_fd(process, which);
    coil_unref(process);
    return rc;
}

static coil_coro *make_reader(COIL_UNUSED void *arg)
{
    return reads_and_communicates();
}

TEST(reading_a_child_can_be_cut_short_anywhere)
{
    /* Cancelled, by a time limit, by the end of the loop. Failing allocations have a test of their own: without
     * memory a thread may wait for the child, and a virtual clock does not know of it. */
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = COIL_EXPLORE_ALL & ~(unsigned)COIL_EXPLORE_ALLOC;
    options.as_run = true;
    EXPECT_INT(coil_testing_explore(make_reader, NULL, &options), 0);
    EXPECT(soon_without_children());
}

TESTS_MAIN(RUN(a_child_is_talked_to_line_by_line), RUN(what_is_no_pipe_or_closed_has_no_stream),
           RUN(communicate_goes_on_where_the_streams_are),
           RUN(communicate_cut_short_loses_nothing_of_the_streams),
           RUN(communicate_by_streams_keeps_to_its_limit), RUN(slow_reader_holds_the_child_back),
           RUN(child_that_dies_while_we_write_is_an_error_and_no_signal),
           RUN(grandchild_with_the_pipe_keeps_the_stream_open),
           RUN(process_dropped_with_open_streams_is_reported),
           RUN(conversation_survives_every_failed_allocation),
           RUN(cancelled_reader_leaves_a_stream_that_can_be_read),
           RUN(reading_a_child_can_be_cut_short_anywhere))
