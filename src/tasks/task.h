/* Tasks and coroutines, inside the library. The public halves are <coil/task.h> and <coil/coro.h>.
 *
 * A task is queued, runs, and waits, in turn. While it waits, `waiting` points to a struct coil__wait
 * on its own stack, which says for what, and how to stop waiting. */
#ifndef COIL_TASKS_TASK_H
#define COIL_TASKS_TASK_H

#include <coil/task.h>
#include "platform/fiber.h"
#include "tasks/future.h"

/* ---- coroutine objects -------------------------------------------------------------------------- */

struct coil_coro {
    struct coil__object object; /* .state: enum coro_state of coro.c */
    const coil_coro_type *type;
    union {
        struct coil__link unused; /* CREATED: in loop->coros, if there was a loop */
        struct {
            coil_coro *caller; /* who awaits it, inline; NULL: a task or a driver */
            void *owner;       /* the task or driver in which it runs */
        };
    };
    uint32_t arg_bytes;
    _Alignas(16) char args[];
};

enum coil__coro_state {
    COIL__CORO_CREATED,
    COIL__CORO_STARTED,
    COIL__CORO_CLOSED
};

enum coil__coro_flag {
    COIL__CORO_RAN = 1,    /* its body has begun: it cares for its arguments */
    COIL__CORO_DRIVEN = 2, /* by hand: owner is a driver of its own, also when it has ended */
    COIL__CORO_PLACED = 4, /* made in debug mode: where, stands behind the arguments */
};

static inline int coil__coro_call(coil_coro *coro, coil_value *value_out)
{
    coro->object.flags |= COIL__CORO_RAN;
    int rc = coro->type->entry(coro->args, value_out);
    if (COIL_UNLIKELY(rc > 0) && value_out->kind == COIL_NIL)
        *value_out = coil_int(rc); /* `return n;` of a count: as coil_return(n) */
    return rc;
}

int coil__coro_refuse(coil_coro *coro);

/* CREATED to STARTED, off the list of unused ones. 0, or COIL_EREUSED. */
static inline int coil__coro_start(coil_coro *coro)
{
    if (COIL_UNLIKELY(coro->object.state != COIL__CORO_CREATED))
        return coil__coro_refuse(coro);
    if (coil__list_linked(&coro->unused))
        coil__list_remove(&coro->unused);
    coro->object.state = COIL__CORO_STARTED;
    coro->caller = NULL;
    coro->owner = NULL;
    return 0;
}

void coil__coro_end_unrun(coil_coro *coro);

/* Ends a coroutine that was started, or never will be, without a report. */
static inline void coil__coro_end(coil_coro *coro)
{
    if (COIL_UNLIKELY(!(coro->object.flags & COIL__CORO_RAN)))
        coil__coro_end_unrun(coro);
    coro->object.state = COIL__CORO_CLOSED;
    coro->caller = NULL;
    if (!(coro->object.flags & COIL__CORO_DRIVEN))
        coro->owner = NULL;
}
/* At the end of a loop: reports those that were made in it and never used. */
void coil__coros_report_unused(coil_loop *loop);

/* ---- what a task waits for ---------------------------------------------------------------------- */

enum coil__wait_state {
    COIL__WAIT_PENDING,
    COIL__WAIT_OVER,       /* happened: the task is queued */
    COIL__WAIT_CANCELLED,  /* taken back: the task is queued */
    COIL__WAIT_CANCELLING, /* asked to end; will be OVER or CANCELLED when the backend says so */
};

struct coil__wait {
    coil_wait_kind kind;
    uint8_t state;       /* enum coil__wait_state; with a future, CANCELLED only: out of a circle */
    bool refused;        /* asked to end by a scope that is cancelled: the next wait will be, too */
    coil_future *future; /* FUTURE, TASK */
    /* Stops waiting: takes the wait off whatever list or heap it is in. False: cannot be done at once.
     * Called while PENDING only. */
    bool (*detach)(struct coil__wait *self);
    int (*rest)(struct coil__wait *self, int rc); /* see coil__task_wait_last */
    struct coil__task *task;
    coil_error *error; /* CANCELLED: the message, owned */
    const char *operation;
    double when;
    int fd;
};

#define COIL__WAIT_INIT(kind_, operation_, detach_)                                                \
    {                                                                                              \
        .kind = (kind_), .operation = (operation_), .detach = (detach_), .fd = -1,                 \
        .task = coil__thread.task                                                                  \
    }

/* Suspends the running task until the wait is over. Returns 0 (look at what was waited for), or
 *   COIL_ECANCELED  and the wait is detached (a future's own cancellation is not told here), or, if
 *                   wait->state is COIL__WAIT_OVER, it had happened before the cancellation came
 *   COIL_ECLOSING   and the wait is detached
 * The caller has linked the wait to what will end it. */
int coil__task_wait(struct coil__task *task, struct coil__wait *wait);

/* Cancels what is waited for. False: that was over already. */
bool coil__wait_cancel(struct coil__wait *wait, coil_error *message);

static inline bool coil__wait_pending(const struct coil__wait *wait)
{
    return wait->state == COIL__WAIT_PENDING &&
           (!wait->future || coil__future_pending(wait->future));
}

/* The same for a call whose frame is gone: it ends with this, as a tail call, and what is left of it to do
 * is wait->rest. That gets what coil__task_wait would return, and gives what the call is to return, or
 * coil__task_wait_again(...), to wait once more. It runs as the task, when its next step begins, but on the
 * stack that is being left for it: no user's code, and no deep calls. So the step begins behind the user's
 * call, with no return of ours in between, which the processor would predict wrong if the tasks wait in
 * different calls (see switch_x86_64.S).
 *
 * The wait lies in coil__task_room, and is gone when rest returns. */
int coil__task_wait_last(struct coil__task *task, struct coil__wait *wait);
COIL_MUST_USE int coil__task_wait_again(struct coil__task *task, struct coil__wait *wait);

/* Room on the running task's stack that outlives the frames of its calls: for one wait, and what it is
 * part of. */
struct coil__room {
    _Alignas(16) char bytes[160];
};

/* A coroutine that ignores so many times that it is being closed is given up. */
enum {
    COIL__CLOSING_AWAITS_MAX = 1000
};

/* ---- tasks -------------------------------------------------------------------------------------- */

enum coil__task_flag {
    COIL__TASK_MUST_CANCEL = 1, /* a cancellation is to be delivered at the next step */
    COIL__TASK_CLOSING = 2,     /* every await fails */
    COIL__TASK_STARTED = 4,     /* its body has begun */
    COIL__TASK_DRIVING = 8,     /* a coroutine driven by hand runs in its step */
    COIL__TASK_VISITED = 16,    /* by a cancellation on its way down */
    COIL__TASK_NESTED = 32,     /* runs on the spot: an eager first step, or a close */
    COIL__TASK_RESTS = 64,      /* waits in a call whose rest is waiting->rest */
    COIL__TASK_SCOPED =
        128, /* in a cancelled scope: every wait is refused, unless it is `patient` */
};

/* A stack to go back to. */
struct coil__return {
    void *sp;
    struct coil__stack *stack; /* NULL: the thread's own */
};

struct coil__task {
    coil_future future;
    struct coil__ready ready; /* .run is NULL */
    union {
        void *sp;                     /* while suspended; NULL before the first step */
        struct coil__return *creator; /* while it runs NESTED: to go back to */
    };
    uint8_t flags;             /* enum coil__task_flag */
    uint8_t stack_class;       /* 16 KiB times two to the power of this */
    uint16_t cancels;          /* open requests; stays at the greatest number */
    uint32_t id;               /* 0: it was named at creation */
    struct coil__stack *stack; /* NULL before the first step, and after the last */
    struct coil__wait *waiting;
    coil_coro *innermost;        /* the coroutine that runs; ->caller leads out to coro */
    coil_coro *coro;             /* owned until the task is done */
    coil_context *context;       /* NULL: empty */
    coil_error *errors;          /* newest first */
    coil_error *cancel_error;    /* the message of the latest request */
    struct coil__reason *reason; /* of the latest cancellation; NULL: there was none */
    struct coil__group *home;    /* the group it belongs to, whose scopes hold for it; NULL: none */
    bool patient;                /* its wait must be waited to the end, also in a cancelled scope */
    uint32_t serial;             /* in its loop: tells it from others at its address */
    struct coil__link all;       /* in loop->tasks until done */
    char *name;                  /* NULL: made of the id when asked for */
};

extern const struct coil__type coil__task_type;

static inline struct coil__task *coil__as_task(coil_future *future)
{
    return (struct coil__task *)(void *)future;
}

static inline struct coil__task *coil__ready_task(struct coil__ready *ready)
{
    return COIL__CONTAINER(ready, struct coil__task, ready);
}

static inline struct coil__room *coil__task_room(const struct coil__task *task)
{
    return task->stack->room;
}

void coil__task_tell_woken(struct coil__task *task);
/* Spends the number of a task that asyncio would make here, and we need not. */
void coil__task_skip_number(void);

/* Queues a task that waited. */
static inline void coil__task_push(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    coil__loop_push(loop, &task->ready);
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_TRACE))
        coil__task_tell_woken(task);
}

/* Ends a wait: queues its task. */
static inline void coil__wait_over(struct coil__wait *wait)
{
    wait->state = COIL__WAIT_OVER;
    coil__task_push(wait->task);
}

/* Gives way once. Returns 0, COIL_ECANCELED or COIL_ECLOSING. */
int coil__task_yield(struct coil__task *task);

/* Runs a new task at once, until it first suspends. */
void coil__task_run_eagerly(struct coil__task *task);

/* Completes a task whose coroutine has ended, or cannot begin. *value is consumed. */
void coil__task_finish(struct coil__task *task, int rc, coil_value *value);

/* For a task that ends inside task groups: reports and ends these. Implemented by the structure layer. */
void coil__task_forsake_groups(struct coil__task *task);

/* For a task that ends inside timeouts or cancel scopes: reports and ends these. Implemented by the structure
 * layer. */
void coil__task_forsake_limits(struct coil__task *task);

/* Whether a request to cancel the task is kept for later by a shielded section that it is in. limit: in which the
 * request was made; NULL: none of the task's. Implemented by the structure layer. */
bool coil__task_shielded(struct coil__task *task, const coil_timeout *limit, coil_error *message);

/* Tells a task that is in a cancelled scope, and begins to wait. Implemented by the structure layer. */
void coil__task_refuse(struct coil__task *task);

/* Takes the task out of its wait, if it is in one, for a cancelled scope: counts no request. */
void coil__task_interrupt(struct coil__task *task, coil_error *message);

/* coil__task_cancel for one of the task's own limits: a shielded section around that does not hold it up. */
bool coil__task_cancel_in(coil_future *task, coil_error *message, const coil_timeout *limit);

/* For a task that is never continued: ends the generators it is in, and gives `stack` back its own.
 * Implemented by the structure layer. */
void coil__task_give_up_generators(struct coil__task *task);

/* Ends one suspended task: every await in it fails from now on. */
void coil__task_close(struct coil__task *task);

/* The same at the end of its loop, with a report. Nothing is in the ready queue. */
void coil__task_close_lost(struct coil__task *task);

/* Runs a coroutine (consumed) to its end in a task in which every await fails, for a loop that is being
 * closed. Without memory nothing runs. */
void coil__task_run_closing(coil_loop *loop, coil_coro *coro);

/* ---- coroutines driven by hand ------------------------------------------------------------------ */

struct coil__driver {
    coil_coro *coro;
    coil_coro *innermost;
    struct coil__stack_pool *pool;
    struct coil__stack *stack;
    void *sp;                    /* of the coroutine, while suspended */
    struct coil__return resumer; /* while it runs */
    coil_future *awaits;         /* owned; NULL: gave way */
    int rc;                      /* what it ended with */
    coil_value value;
    bool running, ended, closing;
    int thrown;  /* what its wait is to return; 0: nothing */
    int refused; /* awaits since it is being closed */
};

/* The stack that runs: a driver's, a task's, or NULL, the thread's own. */
static inline struct coil__stack *coil__running_stack(void)
{
    if (coil__thread.driver)
        return coil__thread.driver->stack;
    return coil__thread.task ? coil__thread.task->stack : NULL;
}

/* Suspends the running driver; future is what it waits for, or NULL. Returns 0 or what was thrown in. */
int coil__driver_suspend(struct coil__driver *driver, coil_future *future);

#endif
