/* For tests that run coroutines: notes of what happened in which order, a loop that counts what it
 * reports and must not leak, values that count their destructor's calls, and child processes.
 *
 *     COIL_ASYNC(say, (const char *, what))
 *     {
 *         note("%s", what);
 *         return 0;
 *     }
 *
 *     EXPECT_RUN(say("hello"), 0);
 *     EXPECT_NOTES("hello");
 */
#ifndef COIL_TESTS_STEPS_H
#define COIL_TESTS_STEPS_H

#include "test.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "platform/sanitizer.h"

/* ---- notes -------------------------------------------------------------------------------------- */

static char notes_[8192];

/* Writes one note down; a space separates it from the one before. */
__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
    size_t length = strlen(notes_);
    if (length > 0 && length + 1 < sizeof notes_)
        notes_[length++] = ' ';
    va_list args;
    va_start(args, format);
    vsnprintf(notes_ + length, sizeof notes_ - length, format, args);
    va_end(args);
}

/* All notes since the last time, separated by spaces. */
#define EXPECT_NOTES(expected)                                                                     \
    do {                                                                                           \
        EXPECT_STR(notes_, expected);                                                              \
        notes_[0] = '\0';                                                                          \
    } while (0)

static inline int note_callback(void *arg)
{
    note("%s", (const char *)arg);
    return 0;
}

static inline int note_done(coil_future *future, void *arg)
{
    (void)future;
    note("%s", (const char *)arg);
    return 0;
}

/* ---- values whose end is counted ---------------------------------------------------------------- */

static int dropped;

static inline void count_drop(void *pointer)
{
    ++*(int *)pointer;
}

/* An owned value; `dropped` counts the ends. */
static inline coil_value counted(void)
{
    return coil_pointer_owned(&dropped, count_drop);
}

/* ---- running ------------------------------------------------------------------------------------ */

enum {
    STEPS_EVENTS = COIL_EVENT_EXECUTOR_STUCK + 1
};

/* What the loops that steps_loop has made reported, by coil_event_kind. */
static int reports[STEPS_EVENTS];

static inline int reports_total(void)
{
    int total = 0;
    for (int event = 0; event < STEPS_EVENTS; event++)
        total += reports[event];
    return total;
}

static inline void count_report(coil_loop *loop, coil_log_level level, const coil_report *report,
                                void *arg)
{
    (void)loop;
    (void)level;
    (void)arg;
    reports[report->event]++;
}

/* A loop factory; arg: NULL for the virtual clock, anything else for the real one. */
static inline coil_loop *steps_loop(void *arg)
{
    coil_loop *loop = arg ? coil_new_event_loop() : coil_testing_virtual_loop(NULL);
    if (loop)
        coil_set_logger(loop, count_report, NULL);
    memset(reports, 0, sizeof reports);
    return loop;
}

static inline int steps_run(coil_coro *coro, coil_value *value_out, void *real_clock)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = steps_loop;
    options.loop_factory_arg = real_clock;
    return coil_run_with(coro, value_out, &options);
}

/* Blocks that are held, without the records of this thread's errors. */
static inline size_t steps_blocks(void)
{
    coil__errors_forget_thread();
    return coil_testing_alloc_count();
}

/* Runs a coroutine as a program, on the virtual clock: expects this code, no leak and no report. */
#define EXPECT_RUN(coro, code) STEPS_RUN_(coro, code, 0, NULL)
/* The same with so many reports; look at reports[] for which. */
#define EXPECT_RUN_REPORTS(coro, code, count) STEPS_RUN_(coro, code, count, NULL)
/* The same on the real clock: where descriptors are the subject. */
#define EXPECT_RUN_REAL(coro, code)                STEPS_RUN_(coro, code, 0, &dropped)
#define EXPECT_RUN_REPORTS_REAL(coro, code, count) STEPS_RUN_(coro, code, count, &dropped)

#define STEPS_RUN_(coro, code, count, real)                                                        \
    do {                                                                                           \
        size_t blocks_ = steps_blocks();                                                           \
        dropped = 0;                                                                               \
        EXPECT_INT(steps_run(coro, NULL, real), code);                                             \
        EXPECT_INT(reports_total(), count);                                                        \
        EXPECT_INT(steps_blocks(), blocks_);                                                       \
    } while (0)

/* ---- child processes ---------------------------------------------------------------------------- */

struct child_end {
    int status;        /* as of waitpid */
    char words[16384]; /* what it wrote on standard error */
};

/* Runs a function in a child, which exits with what it returns. */
static inline void run_child(int (*body)(void), struct child_end *end)
{
    int words[2];
    memset(end, 0, sizeof *end);
    if (!EXPECT(pipe(words) == 0))
        return;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(words[1], STDERR_FILENO);
        close(words[0]);
        close(words[1]);
        int status = body();
        fflush(NULL);
        _exit(status);
    }
    close(words[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(words[0], end->words + length, sizeof end->words - 1 - length)) > 0)
        length += (size_t)got;
    close(words[0]);
    EXPECT(child > 0 && waitpid(child, &end->status, 0) == child);
}

static inline int exit_status_of(int (*body)(void), struct child_end *end)
{
    run_child(body, end);
    return WIFEXITED(end->status) ? WEXITSTATUS(end->status) : -WTERMSIG(end->status);
}

#endif
