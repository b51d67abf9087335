/* Steps: how tasks get the processor, hand it on, and end.
 *
 *     loop's stack ----> task ----> task ----> task ----> loop's stack
 *                  step      suspend   suspend     suspend (a callback is next, or the turn is over)
 *
 * A task that suspends looks for what is next itself and switches straight to it. It visits the loop's
 * stack only for a user's callback, which must not run on a task's stack, and to poll. A task gets its
 * stack with its first step, and the stack of one that ends serves the next new task on the spot: a
 * thousand short tasks run on one stack, without a switch. */
#include "tasks/task.h"

#include <assert.h>
#include "base/error.h"
#include "loop/trace.h"
#include "tasks/reason.h"

enum {
    WAITS_AGAIN = 1, /* of a rest, in place of a code */
    UNUSUAL = COIL__TASK_MUST_CANCEL | COIL__TASK_CLOSING | COIL__TASK_RESTS,
};

static void task_main(void *arg, intptr_t value);

/* ---- what is next ------------------------------------------------------------------------------- */

/* The next task of this batch, or of the next one; runs what the library has queued on the way. NULL:
 * only the loop's own stack can go on. */
static inline struct coil__task *next_task(coil_loop *loop)
{
    for (;;) {
        struct coil__ready *entry = loop->batch;
        if (!entry) {
            if (!coil__loop_next_batch(loop))
                return NULL;
            entry = loop->batch;
        }
        if (entry->run == coil__handle_run || entry->run == coil__call_run)
            return NULL;
        loop->batch = entry->next;
        if (COIL_UNLIKELY(entry->run != NULL)) {
            coil__thread.task = NULL;
            entry->run(entry);
            continue;
        }
        return coil__ready_task(entry);
    }
}

/* Ends a task that has no stack, with a code. */
static void end_without_step(struct coil__task *task, int code)
{
    struct coil__task *running = coil__thread.task;
    coil__thread.task = task;
    coil_value none = coil_nil();
    coil__task_finish(task, code, &none);
    coil__thread.task = running;
    coil__unref(&task->future.object);
}

static void report_unguarded(coil_loop *loop)
{
    if (loop->unguarded_reported)
        return;
    loop->unguarded_reported = true;
    coil_report report = { .size = sizeof report,
                           .event = COIL_EVENT_UNGUARDED_STACK,
                           .message =
                               "a stack without a guard: the system has no mapping left for it "
                               "(vm.max_map_count)" };
    coil__log(loop, COIL_LOG_WARNING, &report);
}

/* A stack for a new task's first step. False: there is none, and the task has failed. */
static bool bind_stack(struct coil__task *task)
{
    task->stack = coil__stack_take(&task->future.loop->stacks,
                                   (size_t)COIL__STACK_MIN_BYTES << task->stack_class);
    if (!task->stack) {
        if (task->future.loop->slow & COIL__SLOW_STEPS)
            coil__slow_begin(task->future.loop, &task->future);
        end_without_step(task, COIL_ENOMEM);
        return false;
    }
    if (COIL_UNLIKELY(!task->stack->guarded))
        report_unguarded(task->future.loop);
    task->sp = coil__switch_prepare(task->stack->low, task->stack->bytes, task_main, task);
    return true;
}

/* ---- switching ---------------------------------------------------------------------------------- */

/* What the call that a task waits in is to return: 0, or the cancellation that is due. If what it waited
 * for was itself cancelled, that is the cancellation. */
static __attribute__((noinline)) int deliver(struct coil__task *task)
{
    if (task->flags & COIL__TASK_CLOSING)
        return COIL_ECLOSING;
    if (!(task->flags & COIL__TASK_STARTED))
        return 0; /* task_main sees to it */
    task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;
    struct coil__wait *wait = task->waiting;
    if (wait && wait->future) {
        wait->future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        if (coil__future_ended_cancelled(wait->future))
            return 0;
    }
    if (wait && wait->state == COIL__WAIT_CANCELLED)
        return 0;
    return coil__fail_with(COIL_ECANCELED, task->cancel_error);
}

static int end_wait(struct coil__task *task, struct coil__wait *wait, int rc);

/* Runs the rest of the call that a task waits in. */
static inline int run_rest(struct coil__task *task, int code)
{
    struct coil__wait *wait = task->waiting;
    task->flags &= (uint8_t)~COIL__TASK_RESTS;
    if (COIL_UNLIKELY(code != 0 || wait->state != COIL__WAIT_OVER || wait->error))
        return wait->rest(wait, end_wait(task, wait, code));
    task->waiting = NULL;
    return wait->rest(wait, 0);
}

/* Makes a task the running one; gives what its wait is to return, or WAITS_AGAIN, and the step is over. */
static inline int enter(coil_loop *loop, struct coil__task *task)
{
    int code = 0;
    coil__thread.task = task;
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS))
        coil__slow_begin(loop, &task->future);
    if (COIL_UNLIKELY(task->flags & (COIL__TASK_MUST_CANCEL | COIL__TASK_CLOSING)))
        code = deliver(task);
    if (task->flags & COIL__TASK_RESTS)
        code = run_rest(task, code);
    if (COIL_UNLIKELY(code == WAITS_AGAIN && (loop->slow & COIL__SLOW_STEPS)))
        coil__slow_end(loop, &task->future, COIL_STEP_WAITING, NULL);
    return code;
}

/* Leaves an eager first step (or the close of a task): back to whoever began it. */
static int return_to_creator(struct coil__task *task)
{
    struct coil__return *creator = task->creator;
    task->flags &= (uint8_t)~COIL__TASK_NESTED;
    return coil__fiber_switch_code(&task->sp, task->stack, creator->sp, creator->stack, 0, false);
}

/* On to whoever is next. */
static __attribute__((noinline)) int hand_over(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    struct coil__task *next;
    int code = 0;
    do {
        next = next_task(loop);
        if (!next) {
            coil__thread.task = NULL;
            return coil__fiber_switch_code(&task->sp, task->stack, loop->sp, NULL, 0, false);
        }
    } while ((!next->sp && !bind_stack(next)) || (code = enter(loop, next)) == WAITS_AGAIN);
    if (next == task)
        return code;
    return coil__fiber_switch_code(&task->sp, task->stack, next->sp, next->stack, code, false);
}

static __attribute__((noinline)) int suspend_slowly(struct coil__task *task, coil_step_end how)
{
    coil_loop *loop = task->future.loop;
    if (COIL_UNLIKELY(loop->forked))
        return coil__loop_refuse_closed(loop); /* the other tasks are the parent's to run */
    if (loop->slow & COIL__SLOW_STEPS)
        coil__slow_end(loop, &task->future, how, NULL);
    return task->flags & COIL__TASK_NESTED ? return_to_creator(task) : hand_over(task);
}

/* The short way to a task of which something is left to do before the switch. */
static __attribute__((noinline)) int hand_over_to_rest(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    struct coil__task *next = coil__ready_task(loop->batch);
    if (COIL_UNLIKELY((next->flags & UNUSUAL) != COIL__TASK_RESTS))
        return hand_over(task);
    loop->batch = next->ready.next;
    coil__thread.task = next;
    int code = run_rest(next, 0);
    if (COIL_UNLIKELY(code == WAITS_AGAIN))
        return hand_over(task);
    return coil__fiber_switch_code(&task->sp, task->stack, next->sp, next->stack, code, false);
}

/* Suspends the running task, which is queued or will be, and returns what its wait is to return. The
 * short way is for the case that a task which has begun is next; it ends in a tail call, so that no frame
 * of ours lies between the caller's and the switch (see switch_x86_64.S). */
static inline __attribute__((always_inline)) int suspend(struct coil__task *task, coil_step_end how)
{
    coil_loop *loop = task->future.loop;
    if (COIL_UNLIKELY(loop->slow != 0 || (task->flags & COIL__TASK_NESTED)))
        return suspend_slowly(task, how);
    struct coil__ready *entry = loop->batch;
    if (!entry) {
        if (!loop->next.head || loop->turns_left <= 1 ||
            COIL_UNLIKELY(coil__inbox_pending(&loop->inbox)))
            return hand_over(task);
        loop->turns_left--;
        entry = loop->batch = coil__queue_take_all(&loop->next);
    }
    if (COIL_UNLIKELY(entry->run != NULL))
        return hand_over(task);
    struct coil__task *next = coil__ready_task(entry);
    if (COIL_UNLIKELY(!next->sp || next == task))
        return hand_over(task);
    if (next->flags & UNUSUAL)
        return hand_over_to_rest(task);
    loop->batch = entry->next;
    coil__thread.task = next;
    return coil__fiber_switch_code(&task->sp, task->stack, next->sp, next->stack, 0, false);
}

void coil__task_step_from_loop(coil_loop *loop, struct coil__ready *ready)
{
    struct coil__task *task = coil__ready_task(ready);
    if (!task->sp && !bind_stack(task))
        return;
    int code = enter(loop, task);
    if (code != WAITS_AGAIN)
        (void)coil__fiber_switch_code(&loop->sp, NULL, task->sp, task->stack, code, false);
    coil__thread.task = NULL;
}

/* Runs a task on the spot, on its own stack, until it suspends or ends. */
static void run_nested(struct coil__task *task, int code)
{
    struct coil__thread old = coil__thread;
    struct coil__return here = { .stack = coil__running_stack() };
    void *sp = task->sp;
    task->creator = &here; /* cppcheck-suppress autoVariables ; the way back leads through here */
    task->flags |= COIL__TASK_NESTED;
    coil__thread.driver = NULL;
    coil__thread.task = task;
    if (code == 0)
        code = enter(task->future.loop, task);
    else if (task->flags & COIL__TASK_RESTS)
        code = run_rest(task, code);
    (void)coil__fiber_switch_code(&here.sp, here.stack, sp, task->stack, code, false);
    coil__thread.task = old.task;
    coil__thread.driver = old.driver;
}

void coil__task_run_eagerly(struct coil__task *task)
{
    if (bind_stack(task))
        run_nested(task, 0);
}

/* Ends a task that is being closed and has not begun, or does not want to end. */
static void end_given_up(struct coil__task *task)
{
    if (!coil__future_pending(&task->future))
        return;
    coil__task_give_up_generators(task);
    task->future.limits = NULL; /* they lie on the stack; their timers are gone already */
    if (task->stack)
        coil__stack_give(&task->future.loop->stacks, task->stack);
    task->stack = NULL;
    task->innermost = NULL;
    end_without_step(task, COIL_ECLOSING);
}

void coil__task_close(struct coil__task *task)
{
    coil__ref(&task->future.object);
    task->flags |= COIL__TASK_CLOSING;
    if (task->sp)
        run_nested(task, COIL_ECLOSING);
    end_given_up(task);
    coil__unref(&task->future.object);
}

void coil__task_run_closing(coil_loop *loop, coil_coro *coro)
{
    loop->closed = false; /* which refuses tasks */
    coil_task *future = coil_task_new(loop, coro, NULL);
    loop->closed = true;
    if (!future)
        return;
    coil__loop_drop_ready(loop); /* it runs here and now */
    struct coil__task *task = coil__as_task(future);
    task->flags |= COIL__TASK_CLOSING;
    coil__task_run_eagerly(task);
    end_given_up(task);
    coil_unref(future);
}

static int refuse_to_wait(struct coil__task *task, struct coil__wait *wait);

/* ---- waiting ------------------------------------------------------------------------------------ */

void coil__task_tell_woken(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    coil__trace_woken(loop, &task->future,
                      coil__thread.task ? &coil__thread.task->future : loop->waker);
}

/* Gives way in a cancelled scope. A request that is due goes first, and says the same. */
static int yield_in_vain(struct coil__task *task)
{
    coil__loop_push(task->future.loop, &task->ready);
    int rc = suspend_slowly(task, COIL_STEP_READY);
    if (rc < 0)
        return rc;
    coil__task_refuse(task); /* it does not wait: only tells the reason */
    return coil__fail_with(COIL_ECANCELED, task->reason ? task->reason->message : NULL);
}

static __attribute__((noinline)) int yield_slowly(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    if (task->flags & COIL__TASK_CLOSING)
        return refuse_to_wait(task, NULL);
    if (COIL_UNLIKELY(loop->forked))
        return coil__loop_refuse_closed(loop);
    if (loop->slow & COIL__SLOW_TRACE)
        coil__trace_waits(loop, &task->future,
                          &(coil_wait_info){ .size = sizeof(coil_wait_info),
                                             .kind = COIL_WAIT_YIELD,
                                             .fd = -1,
                                             .operation = "sleep" });
    if (task->flags & COIL__TASK_SCOPED)
        return yield_in_vain(task);
    coil__loop_push(loop, &task->ready);
    return suspend_slowly(task, COIL_STEP_READY);
}

/* The hottest path of all. It must need no frame of its own, or its end is no tail call. */
int coil__task_yield(struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    if (COIL_UNLIKELY(loop->slow != 0 || (task->flags & (COIL__TASK_CLOSING | COIL__TASK_SCOPED))))
        return yield_slowly(task);
    coil__loop_push(loop, &task->ready);
    return suspend(task, COIL_STEP_READY);
}

/* An await of a task that is being closed. */
static int refuse_to_wait(struct coil__task *task, struct coil__wait *wait)
{
    if (wait && coil__wait_pending(wait))
        (void)wait->detach(wait);
    /* Nobody counts requests to cancel any more: the count serves for this. */
    if (++task->cancels < COIL__CLOSING_AWAITS_MAX)
        return coil__fail_plain(COIL_ECLOSING);
    if (task->cancels == COIL__CLOSING_AWAITS_MAX)
        COIL__REPORT(task->future.loop, .event = COIL_EVENT_CLOSE_IGNORED,
                     .message = "a task that is being closed goes on awaiting; it is given up",
                     .future = &task->future);
    /* Its stack is never continued: what it owns is lost, and the report above says so. coil__task_close
     * ends the task. */
    (void)return_to_creator(task);
    __builtin_unreachable();
}

static __attribute__((noinline)) void trace_wait(struct coil__task *task,
                                                 const struct coil__wait *wait)
{
    coil_wait_info info = { .size = sizeof info,
                            .kind = wait->kind,
                            .future = wait->future,
                            .when = wait->when,
                            .fd = wait->fd,
                            .operation = wait->operation };
    coil__trace_waits(task->future.loop, &task->future, &info);
}

/* A wait that is to be cancelled as it begins: by a request, which is used up, or by a scope. */
static __attribute__((noinline)) void begin_cancelled(struct coil__task *task,
                                                      struct coil__wait *wait)
{
    if (task->flags & COIL__TASK_MUST_CANCEL) {
        task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;
        if (!coil__wait_cancel(wait, task->cancel_error))
            task->flags |= COIL__TASK_MUST_CANCEL;
    } else if (!task->patient) {
        coil__task_refuse(task);
    }
}

static inline void begin_wait(struct coil__task *task, struct coil__wait *wait)
{
    task->waiting = wait;
    if (COIL_UNLIKELY(task->flags & (COIL__TASK_MUST_CANCEL | COIL__TASK_SCOPED)))
        begin_cancelled(task, wait);
    if (COIL_UNLIKELY(task->future.loop->slow & COIL__SLOW_TRACE))
        trace_wait(task, wait);
}

/* rc: what the step that follows the wait began with. */
static int end_wait(struct coil__task *task, struct coil__wait *wait, int rc)
{
    task->waiting = NULL;
    if (COIL_UNLIKELY(rc == COIL_ECLOSING || rc == COIL_EFORKED) && coil__wait_pending(wait))
        (void)wait->detach(wait);
    if (COIL_UNLIKELY(wait->state == COIL__WAIT_CANCELLED && rc == 0))
        rc = coil__fail_with(COIL_ECANCELED, wait->error);
    if (COIL_UNLIKELY(wait->error != NULL))
        coil_unref(wait->error);
    return rc;
}

int coil__task_wait(struct coil__task *task, struct coil__wait *wait)
{
    if (COIL_UNLIKELY(task->flags & COIL__TASK_CLOSING))
        return refuse_to_wait(task, wait);
    begin_wait(task, wait);
    return end_wait(task, wait, suspend(task, COIL_STEP_WAITING));
}

static __attribute__((noinline)) int wait_last_slowly(struct coil__task *task,
                                                      struct coil__wait *wait)
{
    if (task->flags & COIL__TASK_CLOSING)
        return wait->rest(wait, refuse_to_wait(task, wait));
    begin_wait(task, wait);
    task->flags |= COIL__TASK_RESTS;
    return suspend_slowly(task, COIL_STEP_WAITING);
}

/* Like coil__task_yield without a frame of its own. */
int coil__task_wait_last(struct coil__task *task, struct coil__wait *wait)
{
    if (COIL_UNLIKELY(task->flags & UNUSUAL || task->future.loop->slow != 0))
        return wait_last_slowly(task, wait);
    task->waiting = wait;
    task->flags |= COIL__TASK_RESTS;
    return suspend(task, COIL_STEP_WAITING);
}

int coil__task_wait_again(struct coil__task *task, struct coil__wait *wait)
{
    begin_wait(task, wait);
    task->flags |= COIL__TASK_RESTS;
    return WAITS_AGAIN;
}

/* ---- beginning and ending ----------------------------------------------------------------------- */

static void run_body(struct coil__task *task)
{
    coil_value value = coil_nil();
    int rc;
    if (COIL_UNLIKELY(task->flags & COIL__TASK_MUST_CANCEL)) {
        task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;
        rc = coil__fail_with(COIL_ECANCELED, task->cancel_error);
    } else {
        task->flags |= COIL__TASK_STARTED;
        task->innermost = task->coro;
        rc = coil__coro_call(task->coro, &value);
        task->innermost = NULL;
    }
    coil__task_finish(task, rc, &value);
}

/* On the task's own stack, from its first step on; and on, for the tasks that inherit the stack. */
static void task_main(void *arg, intptr_t value)
{
    struct coil__task *task = arg;
    struct coil__room room;
    (void)value; /* a cancellation before the first step is found by run_body */
    coil__fiber_entered(task->stack);
    task->stack->room = &room; /* cppcheck-suppress autoVariables ; the stack dies in here */
    for (;;) {
        coil_loop *loop = task->future.loop;
        struct coil__stack *stack = task->stack;
        run_body(task);
        struct coil__return *creator = task->flags & COIL__TASK_NESTED ? task->creator : NULL;
        task->flags &= (uint8_t)~COIL__TASK_NESTED;
        task->stack = NULL;
        coil__unref(&task->future.object); /* the loop's; it may be the last */

        struct coil__task *next = NULL;
        int code = 0;
        if (!creator && loop->leave_code == 0) {
            do {
                next = next_task(loop);
                if (next && !next->sp && next->stack_class == stack->size_class)
                    break;
            } while (next && ((!next->sp && !bind_stack(next)) ||
                              (code = enter(loop, next)) == WAITS_AGAIN));
        }
        if (next && !next->sp) {
            next->stack = stack;
            next->sp = stack; /* anything but NULL: it has begun */
            (void)enter(loop, next);
            task = next;
            continue;
        }

        coil__stack_give(&loop->stacks, stack);
        if (creator)
            coil__fiber_leave(stack, creator->sp, creator->stack, 0);
        if (next)
            coil__fiber_leave(stack, next->sp, next->stack, code);
        coil__thread.task = NULL;
        coil__fiber_leave(stack, loop->sp, NULL, 0);
    }
}
