/* The event loop, inside the library. The public half is <coil/loop.h>.
 *
 * `next` holds what is ready; a turn takes all of it as its `batch` and runs that. Tasks hand over to one
 * another inside a batch, and from one batch to the next, without coming back to the loop's own stack;
 * coil__loop_next_batch is where both ways meet. */
#ifndef COIL_LOOP_LOOP_H
#define COIL_LOOP_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <coil/loop.h>
#include <coil/debug.h>
#include <coil/executor.h>
#include <coil/task.h>
#include "base/cache.h"
#include "base/list.h"
#include "base/object.h"
#include "loop/context.h"
#include "loop/inbox.h"
#include "loop/metrics.h"
#include "loop/ready.h"
#include "loop/timer.h"
#include "loop/watchdog.h"
#include "platform/backend.h"
#include "platform/clock.h"
#include "platform/stack.h"

/* Why a turn, or a step, cannot take the short way. */
enum coil__slow {
    COIL__SLOW_TRACE = 1,    /* hooks are attached */
    COIL__SLOW_DEBUG = 2,    /* steps are timed */
    COIL__SLOW_VIRTUAL = 4,  /* the clock is virtual: every turn polls */
    COIL__SLOW_STOP = 8,     /* the turn is the last one */
    COIL__SLOW_SHUFFLE = 16, /* a batch is put into another order before it runs */
};
#define COIL__SLOW_STEPS (COIL__SLOW_TRACE | COIL__SLOW_DEBUG)
#define COIL__SLOW_TURNS (COIL__SLOW_VIRTUAL | COIL__SLOW_STOP | COIL__SLOW_SHUFFLE)

enum {
    /* Turns that may go by before the kernel is asked for news although something is ready, and the
     * time they should take. An empty poll costs as much as forty yields. */
    COIL__TURNS_MAX = 64,
    COIL__TURNS_NS = 50 * 1000,
    /* A wait is not shorter: the default slack of Linux timers (prctl(2), PR_SET_TIMERSLACK). */
    COIL__WAIT_MIN_NS = 50 * 1000,
};

struct coil__signals;
struct coil__threads;
struct coil__watchers;

struct coil_loop {
    struct coil__object object;

    /* What every step touches. */
    struct coil__ready *batch; /* the rest of this turn */
    struct coil__queue next;   /* the next turn */
    unsigned slow;             /* enum coil__slow */
    int turns_left;            /* before the next poll */
    void *sp;                  /* the loop's own stack, while a task runs */
    struct coil__inbox inbox;  /* from other threads */
    atomic_uint holds; /* of its memory: the references' together, and each of coil__loop_hold's */

    struct coil__timer_heap timers;
    struct coil__backend *backend;
    coil_context *callback_context; /* of the callback that is running */

    /* Polling. */
    atomic_bool sleeping; /* a sender must wake the backend */
    int64_t now_ns;       /* at the last poll; of a virtual clock, the time */
    int turns;            /* turns_left starts here: adapts to how long they take */
    int turns_dealt;      /* what turns_left started at */
    struct coil__counters counters;
    int outside; /* virtual clock: work that goes on elsewhere */
    int64_t
        patience_ns; /* virtual clock: how long the system gets to report descriptors, before the
                          * clock moves */
    struct coil__shuffle *shuffle; /* NULL: batches stay as they are */

    /* Life. */
    bool running, closed, debug;
    bool forked;                  /* another process's, of which this one is a copy; closed, too */
    pid_t pid;                    /* of the process that made it */
    struct coil__link registered; /* in the list of all loops, for fork */
    bool has_run;
    unsigned runs; /* counts them: what was meant to stop one must not stop the next */
    bool unguarded_reported;
    bool single;    /* coil_loop_step: a turn must not run into the next */
    int leave_code; /* COIL_EEXIT...: leave at once with it */
    coil_error *leave_error;
    pthread_t thread;      /* the one that runs it, while it runs */
    const void *made_at;   /* return address of the call that made it */
    atomic_bool signalled; /* signals have arrived that no turn has looked at yet */
    atomic_int interrupts; /* among them: such as end the run */
    void (*on_interrupt)(coil_loop *loop, void *arg);
    void *on_interrupt_arg;

    /* Tasks. */
    struct coil__link tasks; /* not done yet, in order of creation */
    uint32_t task_serial;    /* of the latest */
    struct coil__stack_pool stacks;
    size_t default_stack_bytes;
    coil_task_factory task_factory;
    void *task_factory_arg;
    struct coil__link coros;        /* made under this loop, and neither awaited nor closed yet */
    struct coil__link generators;   /* that have begun and not ended */
    struct coil__link operations;   /* tasks that wait for a descriptor */
    struct coil__link children;     /* processes that have not ended yet */
    struct coil__link subprocesses; /* transports of processes that are not lost yet */

    /* Connections. */
    struct coil__link transports;   /* that are not lost yet */
    struct coil__link servers;      /* that are not closed yet */
    void *read_buffer;              /* for pushed data, one call at a time; NULL: not needed yet */
    size_t buffered, buffer_budget; /* bytes of the io layer's buffers */

    /* Threads. */
    struct coil__link bridges; /* futures that a thread will complete */
    coil_executor *executor;   /* the default one: one reference; NULL before the first use */
    bool executor_shut;        /* no further one is made */
    coil_executor *resolver;   /* looks names up: one reference; NULL before the first time */
    struct coil__threads
        *threads; /* the loops it runs with, borrowed; NULL: coil_run_threads did not make it */

    /* Around. */
    struct coil__cache cache;
    struct coil__watchers *watchers;
    struct coil__signals *signals; /* NULL until the first handler */
    coil_exception_handler exception_handler;
    void *exception_handler_arg;
    coil_logger logger;
    void *logger_arg;
    double slow_callback_seconds;
    int64_t step_began_ns; /* debug mode */
    struct coil__watched watched;
    struct coil__link tracers;
    coil_task *waker;             /* for tracers: whose end is waking others, while no task runs */
    int embed_fd, embed_timer_fd; /* -1 until coil_loop_fd is called */
};

/* True once loops have run in more than one thread. */
extern atomic_bool coil__loops_in_threads;

/* ---- the running loop --------------------------------------------------------------------------- */

coil_loop *coil__loop_missing(void);

/* The loop that runs in this thread and process. */
static inline coil_loop *coil__loop_running_here(void)
{
    coil_loop *loop = coil__thread.loop;
    return loop && !COIL_UNLIKELY(loop->forked) ? loop : NULL;
}

/* loop, or the running one; NULL (COIL_ENOLOOP is current) if there is neither. */
static inline coil_loop *coil__loop_or_running(coil_loop *loop)
{
    if (!loop)
        loop = coil__thread.loop;
    return COIL_UNLIKELY(!loop) ? coil__loop_missing() : loop;
}

/* 0, or why the loop takes no new work: COIL_ECLOSED, in debug mode COIL_EWRONGTHREAD. */
int coil__loop_check_open(coil_loop *loop);
/* Fails with why a closed loop is closed: COIL_ECLOSED, or COIL_EFORKED. */
int coil__loop_refuse_closed(const coil_loop *loop);

static inline int coil__loop_open_for_work(coil_loop *loop)
{
    return COIL_UNLIKELY(loop->closed || loop->debug) ? coil__loop_check_open(loop) : 0;
}

/* The time, exact, in nanoseconds on the loop's clock. */
int64_t coil__loop_now(const coil_loop *loop);

/* Seconds to nanoseconds, rounded; far times become COIL__FOREVER_NS. */
static inline int64_t coil__nanoseconds(double seconds)
{
    double ns = seconds * 1e9;
    if (COIL_UNLIKELY(ns >= 9.2e18))
        return COIL__FOREVER_NS;
    if (COIL_UNLIKELY(ns <= -9.2e18))
        return INT64_MIN / 2;
    return (int64_t)(ns < 0 ? ns - 0.5 : ns + 0.5);
}
/* A deadline: delay from now, or never. */
int64_t coil__loop_deadline(const coil_loop *loop, double delay);

static inline void coil__loop_push(coil_loop *loop, struct coil__ready *entry)
{
    coil__queue_push(&loop->next, entry);
}

/* For work that was queued while the loop does not run: tells a host that embeds it. */
void coil__loop_kick(coil_loop *loop);

/* Starts the next batch without a poll, if that is allowed: when something is ready, nobody needs the
 * loop's own stack, and the last poll is not too long ago. */
static inline bool coil__loop_next_batch(coil_loop *loop)
{
    if (COIL_UNLIKELY((loop->slow & COIL__SLOW_TURNS) != 0) || !loop->next.head ||
        COIL_UNLIKELY(coil__inbox_pending(&loop->inbox)) || --loop->turns_left <= 0)
        return false;
    loop->batch = coil__queue_take_all(&loop->next);
    return true;
}

/* Leaves the loop at once, with a code and the record that explains it (consumed). */
void coil__loop_leave(coil_loop *loop, int code, coil_error *error);

/* Runs with the loop as the running one, for cleanup: sets the thread's state, gives the old one. */
struct coil__thread coil__loop_enter(coil_loop *loop);
void coil__loop_exit(struct coil__thread old);

/* Keeps a loop's memory, so that any thread may post to it: to no effect, once it is closed. Any thread. */
static inline void coil__loop_hold(coil_loop *loop)
{
    atomic_fetch_add_explicit(&loop->holds, 1, memory_order_relaxed);
}
void coil__loop_let_go(coil_loop *loop);

/* ---- implemented by the tasks layer ------------------------------------------------------------- */

/* Runs a task's step, from the loop's own stack, and those it hands over to. */
void coil__task_step_from_loop(coil_loop *loop, struct coil__ready *ready);
/* For overflow.h: names the task whose stack ran over. */
bool coil__task_describe_overflow(const void *fault_address);
/* Ends every task and unused coroutine of a loop that is being closed. */
void coil__loop_close_tasks(coil_loop *loop);

/* ---- implemented by the structure layer --------------------------------------------------------- */

/* Ends every generator that is left, once no task is. */
void coil__loop_close_generators(coil_loop *loop);

/* ---- implemented by the io layer ---------------------------------------------------------------- */

/* Reports and ends every server and transport that is left, once no task is. */
void coil__loop_close_transports(coil_loop *loop);
/* Reports and ends every transport of a process that is left. */
void coil__loop_close_subprocesses(coil_loop *loop);
/* Leaves the processes that still run to threads of their own. */
void coil__loop_close_processes(coil_loop *loop);

/* Shuts down the running loop's default executor, as run does at its end. Suspends. */
int coil__loop_shut_down_executor(void);
/* Lets go of all that threads still do for a loop that is being closed. */
void coil__loop_close_threads(coil_loop *loop);

/* ---- fork --------------------------------------------------------------------------------------- */

/* Every loop is registered from its beginning to its end. 0 or COIL_ENOMEM. */
int coil__fork_register(coil_loop *loop);
void coil__fork_unregister(coil_loop *loop);
/* For processes that were made without fork's handlers: finds out whether the loop is a parent's, and if so
 * closes it. It makes a system call: not for every step. */
void coil__fork_notice(const coil_loop *loop);

/* ---- implemented by the trace layer ------------------------------------------------------------- */

/* A loop begins, and ends: the debugger's view of the process has it in between. Any thread. */
void coil__inspect_loop_opened(coil_loop *loop);
void coil__inspect_loop_closed(coil_loop *loop);

/* ---- handles ------------------------------------------------------------------------------------ */

enum coil__handle_flag {
    COIL__HANDLE_CANCELLED = 1,
    COIL__HANDLE_TIMER = 2,
    COIL__HANDLE_QUEUED = 4,  /* in the ready queue or the heap, which hold a reference */
    COIL__HANDLE_WATCHER = 8, /* of a descriptor: runs many times */
};

struct coil_handle {
    struct coil__object object;
    struct coil__timer timer; /* its ready entry serves call_soon as well */
    coil_loop *loop;          /* borrowed: not touched once the handle is idle */
    coil_callback fn;
    void *arg;
    void (*release)(void *arg);
    coil_context *context; /* NULL: empty */
};

extern const struct coil__type coil__handle_type;
void coil__handle_run(struct coil__ready *ready);

/* The context a callback is to run in: the one in the options, or a copy of the current one. */
int coil__context_for(const coil_call_options *options, coil_context **context_out);
/* Work of the library's that runs user code which may do anything, and so needs the loop's own stack: a
 * protocol's calls. It is entered like a handle, without being an object. */
struct coil__call {
    struct coil__ready ready; /* .run: coil__call_run */
    void (*fn)(struct coil__call *call);
    coil_loop *loop; /* borrowed */
    coil_context
        *context; /* the one to run in; one reference, given back by the owner; NULL: empty */
};

void coil__call_run(struct coil__ready *ready);

/* Initialises a handle in the caller's memory: one reference, idle. */
void coil__handle_init(coil_handle *handle, const struct coil__type *type, coil_loop *loop,
                       coil_callback fn, void *arg, coil_context *context);
/* Gives back what a handle owns, not its memory. */
void coil__handle_fini(coil_handle *handle);
/* Queues an idle handle, or one that has run; the queue takes a reference. */
void coil__handle_push(coil_handle *handle);
/* Drops a chain of entries of a loop that is being closed. */
void coil__handles_drop(struct coil__ready *chain);
/* Drops all that is queued, and what that queues. */
void coil__loop_drop_ready(coil_loop *loop);

/* ---- other parts of the loop -------------------------------------------------------------------- */

/* Lets tasks of the batch change places. Called only if loop->slow says so. */
void coil__shuffle_batch(coil_loop *loop);

void coil__watchers_close(coil_loop *loop);

void coil__embed_update(coil_loop *loop);
void coil__embed_close(coil_loop *loop);

/* Reports to the exception handler, or logs. */
void coil__report(coil_loop *loop, coil_report report);
#define COIL__REPORT(loop, ...)                                                                    \
    coil__report(loop, (coil_report){ .size = sizeof(coil_report), __VA_ARGS__ })
/* Logs, whatever the handler. loop may be NULL. */
void coil__log(coil_loop *loop, coil_log_level level, const coil_report *report);

#endif
