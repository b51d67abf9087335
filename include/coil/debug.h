/* Seeing what a program does: hooks around every step, a text trace, a timeline.
 *
 *     coil_tracer *tracer = coil_trace_timeline(NULL);
 *     ... run ...
 *     coil_timeline_write_svg(tracer, "timeline.svg");
 *     coil_timeline_write_json(tracer, "trace.json");      for ui.perfetto.dev or chrome://tracing
 *     coil_unref(tracer);
 *
 * With no tracer attached a step pays one predictable branch. */
#ifndef COIL_DEBUG_H
#define COIL_DEBUG_H

#include <stdio.h>
#include <coil/future.h>
#include <coil/context.h>

COIL_BEGIN_DECLS

typedef enum coil_step_end {
    COIL_STEP_READY,     /* gave way once: queued again */
    COIL_STEP_WAITING,   /* waits */
    COIL_STEP_DONE,      /* returned */
    COIL_STEP_FAILED,    /* ended with an error */
    COIL_STEP_CANCELLED, /* ended cancelled */
} coil_step_end;

typedef enum coil_wait_kind {
    COIL_WAIT_YIELD,  /* sleep(0) */
    COIL_WAIT_SLEEP,  /* a timer */
    COIL_WAIT_FUTURE, /* a future */
    COIL_WAIT_TASK,   /* another task */
    COIL_WAIT_IO,     /* a descriptor */
    COIL_WAIT_OTHER,  /* a lock, a queue... */
} coil_wait_kind;

/* What a task waits for. */
typedef struct coil_wait_info {
    size_t size;
    coil_wait_kind kind;
    COIL_NULLABLE coil_future *future; /* FUTURE, TASK */
    double when;                       /* SLEEP: the deadline, on the loop's clock */
    int fd;                            /* IO; else -1 */
    const char *operation;             /* "sleep", "sock_recv", "await"... */
} coil_wait_info;

/* Called on the loop's thread, around a step on the stack of its task, which is the current one then; any
 * may be NULL. They must not suspend; they may detach their own tracer, and see the loop's clock through
 * coil_loop_time. Tasks are lent. A
 * task that attaches a tracer is in the middle of a step, of which the tracer sees the end only. */
typedef struct coil_trace_hooks {
    size_t size;
    void (*task_created)(void *arg, coil_task *task);
    void (*step_begin)(void *arg, coil_task *task);
    void (*step_end)(void *arg, coil_task *task, coil_step_end how);
    /* The task is about to suspend (before step_end). */
    void (*task_waits)(void *arg, coil_task *task, const coil_wait_info *info);
    /* A waiting task was queued; by: the task whose step or end did it, NULL for a timer, descriptor or
     * callback. Comes before task_waits when the wait is cancelled as it begins. */
    void (*task_woken)(void *arg, coil_task *task, COIL_NULLABLE coil_task *by);
    /* After step_end. */
    void (*task_done)(void *arg, coil_task *task);
} coil_trace_hooks;

/**
 * Attaches hooks to a loop, beside those that are there.
 *
 * @param loop     NULL: the running one
 * @param hooks    copied
 * @param arg      borrowed until the tracer is detached
 * @param release  called with arg when the tracer goes, not if the call fails; or NULL
 *
 * Returns   one reference; giving it back does not detach: coil_trace_detach, or the loop's end, does.
 *           NULL: COIL_ENOMEM, COIL_ENOLOOP, COIL_ECLOSED, COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    a task factory whose tasks wrap Task.__step
 * Since     0.1
 */
COIL_API COIL_OWNED coil_tracer *coil_trace_attach(COIL_NULLABLE coil_loop *loop,
                                                   const coil_trace_hooks *hooks, void *arg,
                                                   COIL_NULLABLE void (*release)(void *arg));

/**
 * Detaches a tracer: it is called no more. Detaching twice is fine, and so is NULL.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void coil_trace_detach(COIL_NULLABLE coil_tracer *tracer);

/**
 * Attaches a tracer that prints two lines for every step (without memory to count steps, N is "?"):
 *
 *     -> NAME #N @TIME        the N-th step of task NAME begins, at TIME of the loop's clock (%.3f)
 *     <- NAME #N HOW          it has ended: ready, waiting, done, failed or cancelled
 *
 * @param file     open as long as the tracer is attached
 * @param depth    NULL, or a variable that holds an integer: each level indents by four blanks
 * @param origin   subtracted from the times: 0, or the time to count from
 *
 * Returns   as coil_trace_attach
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API COIL_OWNED coil_tracer *coil_trace_text(COIL_NULLABLE coil_loop *loop, FILE *file,
                                                 COIL_NULLABLE coil_context_var *depth,
                                                 double origin);

/**
 * Attaches a tracer that records what happens in memory, to be written out as a timeline. Its times
 * count from now on.
 *
 * Returns   as coil_trace_attach
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API COIL_OWNED coil_tracer *coil_trace_timeline(COIL_NULLABLE coil_loop *loop);

/**
 * Writes what a timeline has recorded: as a picture that a browser shows (one lane per task), or as
 * Chrome trace events, for ui.perfetto.dev.
 *
 * @param tracer  from coil_trace_timeline; attached or not
 * @param path    created or replaced
 *
 * Returns   0, or
 *           COIL_ETYPE   the tracer is not a timeline
 *           COIL_ENOMEM  the recording is incomplete: what could be kept has been written
 *           -errno       the file could not be written
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_timeline_write_svg(coil_tracer *tracer, const char *path);
COIL_API int coil_timeline_write_json(coil_tracer *tracer, const char *path);

/* ---- what blocks the loop ----------------------------------------------------------------------- */

/* A step or callback that has gone on for longer than coil_set_slow_callback_duration allows, and still does. The
 * time in which the thread was ready, and others had the processors, does not count. All is lent for the call. */
typedef struct coil_blocked_report {
    size_t size;
    const char *message;                        /* for people, one line, with what to do */
    bool computes;                              /* it works; false: it waits in a system call */
    COIL_NULLABLE const char *task;             /* its name; NULL: a callback, or nobody knows */
    COIL_NULLABLE const char *coroutine, *file; /* the innermost one, and where it is defined */
    int line;
    double seconds, cpu_seconds;
    void *const *frames; /* return addresses of the thread's stack, innermost first */
    size_t frame_count;  /* 0: the thread could not be asked */
} coil_blocked_report;

/* Runs in a thread of the library's own, while the loop blocks. It must not touch the loop, nor what belongs to it,
 * nor call coil_set_blocked_handler. */
typedef void (*coil_blocked_handler)(const coil_blocked_report *report, void *arg);

/**
 * Sets who is told of steps that block a loop in debug mode, in the whole process. Each step is told of once. NULL:
 * the report is written to standard error, with the stack as FILE+OFFSET for addr2line.
 *
 * To take down the stack the thread is interrupted by a signal (SIGRTMAX - 3, if nobody else uses it). A system call
 * that SA_RESTART does not cover, such as nanosleep, then returns early with EINTR.
 *
 * @param arg  borrowed until replaced
 *
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_set_blocked_handler(COIL_NULLABLE coil_blocked_handler handler,
                                                       COIL_NULLABLE void *arg);

COIL_END_DECLS

#endif
