/* wait_for: an awaitable under a timeout. */
#include <coil/wait.h>

#include <math.h>
#include "base/error.h"
#include "structure/ensure.h"
#include "structure/timeout.h"
#include "structure/waiters.h"
#include "tasks/task.h"

/* ---- without any time --------------------------------------------------------------------------- */

/* Waits until a future that was cancelled has ended. As in asyncio a callback of the future wakes the
 * task: one turn later than awaiting it would, and whatever it ends with. */
struct ending {
    struct coil__wait wait;
    struct coil__waiter waiter;
    struct coil__ready ready;
};

static void run_has_ended(struct coil__ready *ready)
{
    struct ending *ending = COIL__CONTAINER(ready, struct ending, ready);
    if (ending->wait.state == COIL__WAIT_PENDING)
        coil__wait_over(&ending->wait);
}

static void queue_has_ended(struct coil__waiter *waiter, coil_future *future)
{
    coil__loop_push(future->loop, &COIL__CONTAINER(waiter, struct ending, waiter)->ready);
}

const struct coil__waiter_kind coil__waiter_wait_for = {
    queue_has_ended, COIL__AWAITS, 1, { COIL__FROM_WAITER(struct ending, waiter, wait.task) }
};

static bool stop_waiting(struct coil__wait *wait)
{
    struct ending *ending = COIL__CONTAINER(wait, struct ending, wait);
    if (coil__list_linked(&ending->waiter.link))
        coil__list_remove(&ending->waiter.link);
    return true; /* what is queued already runs before the task does */
}

static int cancel_and_wait(struct coil__task *task, coil_future *future)
{
    struct ending ending = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "wait_for", stop_waiting),
        .waiter.wake = queue_has_ended,
        .ready.run = run_has_ended,
    };
    coil__future_await(future, &ending.waiter);
    (void)coil__future_cancel(future, NULL);
    return coil__task_wait(task, &ending.wait);
}

static int check_place(struct coil__task *task, const void *awaitable)
{
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "wait_for outside a task");
    if (task->flags & COIL__TASK_CLOSING)
        return coil__task_wait(task, NULL);
    if (coil_is_future(awaitable) &&
        coil_future_get_loop((coil_future *)(uintptr_t)awaitable) != task->future.loop)
        return coil__fail(COIL_EWRONGLOOP, "the future belongs to another loop");
    return 0;
}

/* What is done already counts; nothing else is begun. */
static int wait_for_no_time(void *awaitable, coil_value *value_out)
{
    struct coil__task *task = coil__thread.task;
    int rc = check_place(task, awaitable);
    if (rc < 0) {
        coil__awaitable_drop(awaitable);
        return rc;
    }
    bool created = !coil_is_future(awaitable);
    coil_future *future = coil_ensure_future(task->future.loop, awaitable);
    if (!future)
        return coil_error_last();
    bool in_time = coil_future_done(future);
    if (!in_time)
        rc = cancel_and_wait(task, future);
    if (rc == 0) {
        rc = created && value_out ? coil_future_take_result(future, value_out)
                                  : coil_future_result(future, value_out);
        if (rc == COIL_ECANCELED && !in_time)
            rc = coil__timed_out();
    }
    coil__unref(&future->object);
    return rc;
}

/* ---- with a limit ------------------------------------------------------------------------------- */

#undef coil_wait_for
int coil_wait_for(void *awaitable, double timeout, coil_value *value_out)
{
    if (!awaitable)
        return coil_error_last();
    if (timeout <= 0)
        return wait_for_no_time(awaitable, value_out);
    coil_timeout limit;
    int rc = coil_timeout_enter(&limit, timeout);
    if (rc < 0) {
        coil__awaitable_drop(awaitable);
        return rc;
    }
    rc = coil_await(awaitable, value_out);
    return coil_timeout_exit(&limit, rc);
}
