/* Children driven by callbacks: what is told in which order, and that everything ends, whatever happens. */
#include "lib/steps.h"

#include "io/spawn.h"
#include "lib/held.h"

/* Notes what it is told. */
struct story {
    coil_subprocess_transport *transport; /* lent; NULL once lost */
    coil_event over;
    const char *fails; /* the function that fails */
    bool quiet;
    size_t bytes[3];
    int code;
};

static int told(const struct story *self, const char *call, int fd)
{
    if (!self->quiet && fd >= 0)
        note("%s%d", call, fd);
    else if (!self->quiet)
        note("%s", call);
    return self->fails && strcmp(self->fails, call) == 0 ? coil_raise(COIL_EAPP, "as asked") : 0;
}

static int made(void *arg, coil_subprocess_transport *transport)
{
    struct story *self = arg;
    self->transport = transport;
    return told(self, "made", -1);
}

static int received(void *arg, int fd, COIL_UNUSED const void *data, size_t bytes)
{
    struct story *self = arg;
    bool first = self->bytes[fd] == 0;
    self->bytes[fd] += bytes;
    return first ? told(self, "data", fd) : 0;
}

static int pipe_lost(void *arg, int fd, COIL_UNUSED int code)
{
    return told(arg, "end", fd);
}

static int exited(void *arg)
{
    return told(arg, "exited", -1);
}

static int lost(void *arg, int code)
{
    struct story *self = arg;
    self->code = code;
    self->transport = NULL;
    EXPECT(!coil_event_is_set(&self->over));
    (void)coil_event_set(&self->over);
    return told(self, "lost", -1);
}

static int paused(void *arg)
{
    return told(arg, "pause", -1);
}

static int resumed(void *arg)
{
    return told(arg, "resume", -1);
}

static void destroyed(void *arg)
{
    (void)told(arg, "destroyed", -1);
}

static const coil_subprocess_protocol protocol = {
    .size = sizeof(coil_subprocess_protocol),
    .name = "story",
    .connection_made = made,
    .pipe_data_received = received,
    .pipe_connection_lost = pipe_lost,
    .process_exited = exited,
    .connection_lost = lost,
    .pause_writing = paused,
    .resume_writing = resumed,
    .destroy = destroyed,
};

static int start(struct story *self, const char *script, bool with_input,
                 coil_subprocess_transport **transport_out)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = with_input ? COIL_PIPE : COIL_INHERIT;
    options.out = COIL_PIPE;
    coil_event_init(&self->over);
    return coil_subprocess_shell(&protocol, self, script, &options, transport_out);
}

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

#define EXPECT_CHILDREN(coro, code, count)                                                         \
    do {                                                                                           \
        struct held before_ = held_now();                                                          \
        EXPECT_INT(steps_run(coro, NULL, &dropped), code);                                         \
        EXPECT_INT(reports_total(), count);                                                        \
        EXPECT(soon_without_children());                                                           \
        held_expect(before_, #coro);                                                               \
    } while (0)

/* ---- what is told --------------------------------------------------------------------------------- */

COIL_ASYNC0(feeds_a_child)
{
    struct story story = { .quiet = false };
    coil_subprocess_transport *transport;
    coil_transport *in;
    void *self;
    int code = 0;
    COIL_TRY(start(&story, "read word; echo $word; exit 4", true, &transport));
    EXPECT_PTR(transport, story.transport);
    EXPECT_PTR(coil_subprocess_transport_get_protocol(transport, &self), &protocol);
    EXPECT_PTR(self, &story);
    EXPECT(coil_subprocess_transport_get_pid(transport) > 0);
    EXPECT(!coil_subprocess_transport_get_returncode(transport, &code));
    EXPECT(!coil_subprocess_transport_is_closing(transport));
    EXPECT_PTR(coil_subprocess_transport_get_pipe_transport(transport, 2), NULL);
    EXPECT_PTR(coil_subprocess_transport_get_pipe_transport(transport, 3), NULL);
    in = coil_subprocess_transport_get_pipe_transport(transport, 0);
    COIL_TRY(coil_transport_write(in, "hello\n", 6));
    coil_transport_close(in);
    COIL_TRY(coil_event_wait(&story.over));
    EXPECT(coil_subprocess_transport_get_returncode(transport, &code));
    EXPECT_INT(code, 4);
    EXPECT_INT(story.code, 0);
    EXPECT_INT(story.bytes[1], 6);
    EXPECT_INT(coil_subprocess_transport_kill(transport), -ESRCH);
    EXPECT_PTR(coil_subprocess_transport_get_protocol(transport, NULL), NULL);
    coil_subprocess_transport_close(transport);
    coil_unref(transport);
    coil_event_fini(&story.over);
    return 0;
}

TEST(protocol_is_told_of_everything)
{
    /* connection_lost last of all; the rest in the order in which it happens. */
    EXPECT_CHILDREN(feeds_a_child(), 0, 0);
    const char *end = strstr(notes_, "lost destroyed");
    EXPECT(end && strcmp(end, "lost destroyed") == 0);
    EXPECT(strncmp(notes_, "made ", 5) == 0);
    EXPECT(strstr(notes_, "end0") && strstr(notes_, "data1") && strstr(notes_, "exited"));
    EXPECT(strstr(notes_, "data1") < strstr(notes_, "end1"));
    notes_[0] = '\0';
}

static char megabyte[1 << 20];

COIL_ASYNC0(writes_much)
{
    struct story story = { .quiet = false };
    coil_subprocess_transport *transport;
    COIL_TRY(start(&story, "exec head -c 1048576 > /dev/null", true, &transport));
    coil_transport *in = coil_subprocess_transport_get_pipe_transport(transport, 0);
    COIL_TRY(coil_transport_write(in, megabyte, sizeof megabyte));
    coil_transport_close(in);
    COIL_TRY(coil_event_wait(&story.over));
    coil_unref(transport);
    coil_event_fini(&story.over);
    return 0;
}

TEST(protocol_is_told_when_the_child_reads_slowly)
{
    /* Or the buffer grows as long as somebody writes. */
    EXPECT_CHILDREN(writes_much(), 0, 0);
    const char *pause = strstr(notes_,
                               "pause"); /* the end of the output may come between the two */
    EXPECT(pause && strstr(pause, "resume"));
    notes_[0] = '\0';
}

COIL_ASYNC(has_a_failing_function, (const char *, name))
{
    struct story story = { .fails = name, .quiet = true };
    COIL_TRY(start(&story, "echo out", false, NULL));
    COIL_TRY(coil_event_wait(&story.over));
    coil_event_fini(&story.over);
    return 0;
}

TEST(failing_function_is_reported_and_the_child_goes_on)
{
    /* As in asyncio, where each is a callback of the loop. */
    static const char *const names[] = { "made", "data", "end", "exited", "lost" };
    for (int i = 0; i < 5; i++) {
        EXPECT_CHILDREN(has_a_failing_function(names[i]), 0, 1);
        EXPECT_INT(reports[COIL_EVENT_PROTOCOL_FAILED], 1);
    }
}

/* ---- ending --------------------------------------------------------------------------------------- */

COIL_ASYNC0(closes_a_child)
{
    struct story story = { .quiet = false };
    coil_subprocess_transport *transport;
    int code = 0;
    COIL_TRY(start(&story, "exec sleep 1000", false, &transport));
    coil_subprocess_transport_close(transport);
    coil_subprocess_transport_close(transport);
    EXPECT(coil_subprocess_transport_is_closing(transport));
    COIL_TRY(coil_event_wait(&story.over));
    EXPECT(coil_subprocess_transport_get_returncode(transport, &code));
    EXPECT_INT(code, -SIGKILL);
    coil_unref(transport);
    coil_event_fini(&story.over);
    return 0;
}

TEST(close_kills_the_child)
{
    /* And everything is told as if it had ended by itself. */
    EXPECT_CHILDREN(closes_a_child(), 0, 0);
    EXPECT_NOTES("made end1 exited lost destroyed");
}

COIL_ASYNC0(leaves_a_child)
{
    static struct story story; /* it is told after the task's end */
    memset(&story, 0, sizeof story);
    return start(&story, "exec sleep 1000", true, NULL);
}

TEST(child_that_is_left_is_reported_and_killed)
{
    /* Its protocol could not be told of anything any more. */
    EXPECT_CHILDREN(leaves_a_child(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_UNCLOSED_TRANSPORT], 1);
    EXPECT_NOTES("made destroyed");
}

COIL_ASYNC(starts_and_waits, (struct story *, story))
{
    COIL_TRY(start(story, "exec sleep 1000", true, NULL));
    return coil_event_wait(&story->over);
}

COIL_ASYNC(is_cancelled_after, (int, turns))
{
    struct story story = { .quiet = true };
    coil_task *task = coil_create_task(starts_and_waits(&story));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0));
    (void)coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    if (story.transport) {
        coil_subprocess_transport_close(story.transport);
        COIL_TRY(coil_event_wait(&story.over));
    }
    return 0;
}

TEST(cancelled_start_leaves_no_child)
{
    /* At each step of the start; after it the child is its owner's to end. */
    for (int turns = 0; turns < 20; turns++)
        EXPECT_CHILDREN(is_cancelled_after(turns), 0, 0);
}

COIL_ASYNC0(starts_what_cannot_be)
{
    struct story story = { .quiet = false };
    EXPECT_INT(
        coil_subprocess_exec(&protocol, &story, COIL_ARGS("no-such-program-anywhere"), NULL, NULL),
        -ENOENT);
    return 0;
}

TEST(program_that_cannot_be_started_is_an_error)
{
    /* And what the protocol has is given up. */
    EXPECT_CHILDREN(starts_what_cannot_be(), 0, 0);
    EXPECT_NOTES("destroyed");
}

/* ---- bad luck ------------------------------------------------------------------------------------- */

COIL_ASYNC0(runs_one)
{
    struct story story = { .quiet = true };
    int rc = start(&story, "echo out", true, NULL);
    if (rc == 0) {
        rc = coil_event_wait(&story.over);
        coil_event_fini(&story.over);
    }
    return rc;
}

TEST(low_level_children_survive_every_failed_allocation)
{
    /* The start fails, or a pipe ends with the error; connection_lost comes all the same. */
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        struct held before = held_now();
        coil_loop *loop = steps_loop(&dropped);
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, runs_one(), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || rc == COIL_ENOMEM);
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT(soon_without_children());
        held_expect(before, "a low-level child without memory");
    }
}

COIL_ASYNC0(has_few_descriptors)
{
    struct rlimit before, few;
    int started = 0;
    getrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t most = 3; started == 0 && most < 200; most++) {
        struct story story = { .quiet = true };
        few = (struct rlimit){ most, before.rlim_max };
        setrlimit(RLIMIT_NOFILE, &few);
        int rc = start(&story, "exit 0", true, NULL);
        setrlimit(RLIMIT_NOFILE, &before);
        EXPECT(rc == 0 || rc == -EMFILE);
        if (rc == 0) {
            COIL_TRY(coil_event_wait(&story.over));
            started++;
        }
        coil_event_fini(&story.over);
    }
    EXPECT_INT(started, 1);
    return 0;
}

TEST(lack_of_descriptors_ends_the_start)
{
    /* However few there are, nothing is left open and no child is left. */
    EXPECT_CHILDREN(has_few_descriptors(), 0, 0);
}

TESTS_MAIN(RUN(protocol_is_told_of_everything), RUN(protocol_is_told_when_the_child_reads_slowly),
           RUN(failing_function_is_reported_and_the_child_goes_on), RUN(close_kills_the_child),
           RUN(child_that_is_left_is_reported_and_killed), RUN(cancelled_start_leaves_no_child),
           RUN(program_that_cannot_be_started_is_an_error),
           RUN(low_level_children_survive_every_failed_allocation),
           RUN(lack_of_descriptors_ends_the_start))
