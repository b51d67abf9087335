/* await, sleep. */
#include "tasks/task.h"

#include <math.h>
#include "base/error.h"

/* ---- coroutines: run here, on this stack -------------------------------------------------------- */

static int await_coro(coil_coro *coro, coil_value *value_out)
{
    struct coil__driver *driver = coil__thread.driver;
    struct coil__task *task = coil__thread.task;
    if (COIL_UNLIKELY(!driver && !task)) {
        (void)coil_coro_close(coro); /* consumed, and not to be reported as forgotten */
        return coil__fail(COIL_ENOTASK, "a coroutine was awaited outside a task");
    }
    int rc = coil__coro_start(coro);
    if (COIL_UNLIKELY(rc < 0)) {
        coil__unref(&coro->object);
        return rc;
    }
    coil_coro **innermost = driver ? &driver->innermost : &task->innermost;
    coro->caller = *innermost;
    coro->owner = driver ? (void *)driver : (void *)task;
    *innermost = coro;
    coil_value value = coil_nil();
    rc = coil__coro_call(coro, &value);
    *innermost = coro->caller;
    coil__coro_end(coro);
    coil__unref(&coro->object);

    if (COIL_UNLIKELY(rc < 0 || !value_out))
        coil_value_clear(&value);
    else
        *value_out = value;
    return rc < 0 ? rc : 0;
}

/* ---- futures: suspend until done ---------------------------------------------------------------- */

struct future_wait {
    struct coil__wait wait;
    struct coil__waiter waiter;
};

static void wake_task(struct coil__waiter *waiter, coil_future *future)
{
    (void)future;
    coil__task_push(COIL__CONTAINER(waiter, struct future_wait, waiter)->wait.task);
}

const struct coil__waiter_kind coil__waiter_await = {
    wake_task, COIL__AWAITS, 1, { COIL__FROM_WAITER(struct future_wait, waiter, wait.task) }
};

static bool detach_from_future(struct coil__wait *wait)
{
    struct future_wait *self = COIL__CONTAINER(wait, struct future_wait, wait);
    coil__list_remove(&self->waiter.link);
    return true;
}

/* What can never be awaited fails one turn later, as in asyncio: the error comes from the loop. */
static int refuse_await(struct coil__task *task, int code, const char *why)
{
    int rc = coil__task_yield(task);
    return rc < 0 ? rc : coil__fail(code, "%s", why);
}

static int refuse_foreign(struct coil__task *task, const coil_future *future)
{
    char text[COIL__PLACE_BYTES + 64], place[COIL__PLACE_BYTES];
    const char *made = coil__future_place(future, place);
    snprintf(text, sizeof text, "the future%s%s belongs to another loop", made ? ", made at " : "",
             made ? made : "");
    return refuse_await(task, COIL_EWRONGLOOP, text);
}

static int await_in_driver(struct coil__driver *driver, coil_future *future, coil_value *value_out)
{
    int rc = coil__driver_suspend(driver, future);
    if (rc < 0)
        return rc;
    if (coil__future_pending(future))
        return coil__fail(COIL_EBADAWAIT, "resumed before the future was done");
    return coil__future_outcome(future, value_out);
}

static int await_future(coil_future *future, coil_value *value_out)
{
    struct coil__task *task = coil__thread.task;
    if (!coil__future_pending(future))
        return coil__future_outcome(future, value_out);
    if (COIL_UNLIKELY(coil__thread.driver != NULL))
        return await_in_driver(coil__thread.driver, future, value_out);
    if (COIL_UNLIKELY(!task))
        return coil__fail(COIL_ENOTASK, "a future was awaited outside a task");
    if (COIL_UNLIKELY(future == &task->future))
        return refuse_await(task, COIL_ESELFWAIT, "a task awaits itself");
    if (COIL_UNLIKELY(future->loop != task->future.loop))
        return refuse_foreign(task, future);

    bool is_task = future->object.type == &coil__task_type;
    bool gathering = future->object.flags & COIL__FUTURE_GATHERING;
    struct future_wait self = {
        .wait = COIL__WAIT_INIT(is_task ? COIL_WAIT_TASK : COIL_WAIT_FUTURE,
                                gathering ? "gather" : "await", detach_from_future),
        .waiter.wake = wake_task,
    };
    self.wait.future = future;
    coil__ref(&future->object);
    coil__future_await(future, &self.waiter);
    int rc = coil__task_wait(task, &self.wait);
    if (rc == 0)
        rc = coil__future_outcome(future, value_out);
    coil__unref(&future->object);
    return rc;
}

#undef coil_await
int coil_await(void *awaitable, coil_value *value_out)
{
    if (COIL_UNLIKELY(!awaitable))
        return coil_error_last();
    switch (coil__kind_of(awaitable)) {
    case COIL__KIND_CORO:
        return await_coro(awaitable, value_out);
    case COIL__KIND_FUTURE:
    case COIL__KIND_TASK:
        return await_future(awaitable, value_out);
    case COIL__KIND_AWAITABLE: {
        coil_awaitable *own = awaitable;
        coil_value value = coil_nil();
        int rc = own->wait(own, &value);
        if (rc < 0 || !value_out)
            coil_value_clear(&value);
        else
            *value_out = value;
        return rc < 0 ? rc : 0;
    }
    default:
        return coil__fail(COIL_EBADAWAIT, "the object cannot be awaited");
    }
}

/* ---- sleep -------------------------------------------------------------------------------------- */

struct sleeper {
    struct coil__wait wait;
    struct coil__timer timer;
};

/* The timer is due. As in asyncio the task is queued by this, for the next turn. A sleeper that was
 * cancelled in between has been queued already. */
static void wake_sleeper(struct coil__ready *ready)
{
    struct sleeper *self = COIL__CONTAINER(ready, struct sleeper, timer.ready);
    if (self->wait.state == COIL__WAIT_PENDING)
        coil__wait_over(&self->wait);
}

static bool stop_sleeping(struct coil__wait *wait)
{
    struct sleeper *self = COIL__CONTAINER(wait, struct sleeper, wait);
    coil__timer_disarm(&wait->task->future.loop->timers, &self->timer);
    return true;
}

static int sleep_in_task(struct coil__task *task, double delay)
{
    coil_loop *loop = task->future.loop;
    struct sleeper self = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_SLEEP, "sleep", stop_sleeping),
        .timer = { .ready = { .run = wake_sleeper }, .heap_index = COIL__TIMER_IDLE },
    };
    self.timer.due_ns = coil__loop_deadline(loop, delay);
    self.wait.when = (double)self.timer.due_ns / 1e9;
    int rc = coil__timer_arm(&loop->timers, &self.timer);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    return coil__task_wait(task, &self.wait);
}

static __attribute__((noinline)) int sleep_slowly(double delay)
{
    struct coil__task *task = coil__thread.task;
    if (COIL_UNLIKELY(coil__thread.driver != NULL)) {
        if (delay <= 0)
            return coil__driver_suspend(coil__thread.driver, NULL);
        return coil__fail(COIL_ENOTASK, "a coroutine driven by hand has no timers");
    }
    if (COIL_UNLIKELY(!task))
        return coil__fail(COIL_ENOTASK, "sleep outside a task");
    if (COIL_UNLIKELY(isnan(delay)))
        return coil__fail(COIL_EINVAL, "the delay is not a number");
    return sleep_in_task(task, delay);
}

/* Giving way must end in a tail call (see coil__task_yield), so all that needs a frame is elsewhere. */
int coil_sleep(double delay)
{
    struct coil__task *task = coil__thread.task;
    if (delay <= 0 && !COIL_UNLIKELY(!task || coil__thread.driver))
        return coil__task_yield(task);
    return sleep_slowly(delay);
}

struct sleep_args {
    double delay;
    coil_value value;
};

static int run_sleep(void *args, coil_value *coil_result)
{
    struct sleep_args *self = args;
    int rc = coil_sleep(self->delay);
    if (rc < 0) {
        coil_value_clear(&self->value);
        return rc;
    }
    *coil_result = self->value;
    return 0;
}

static void drop_sleep(void *args)
{
    coil_value_clear(&((struct sleep_args *)args)->value);
}

static const coil_coro_type sleep_type = { "sleep", run_sleep, __FILE__, __LINE__, drop_sleep };

coil_coro *coil_sleep_coro(double delay, coil_value value)
{
    struct sleep_args args = { delay, value };
    coil_coro *coro = coil_coro_new(&sleep_type, &args, sizeof args);
    if (!coro)
        coil_value_clear(&value);
    return coro;
}
