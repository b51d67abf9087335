/* Ending a task, and being sure that it has ended. */
#include <coil/wait.h>

#include "base/error.h"
#include "structure/waiters.h"
#include "tasks/task.h"

struct ending {
    struct coil__wait wait;
    struct coil__waiter waiter;
};

static void wake(struct coil__waiter *waiter, coil_future *future)
{
    (void)future;
    coil__wait_over(&COIL__CONTAINER(waiter, struct ending, waiter)->wait);
}

const struct coil__waiter_kind coil__waiter_cancel_and_wait = {
    wake, COIL__AWAITS, 1, { COIL__FROM_WAITER(struct ending, waiter, wait.task) }
};

static bool stop_waiting(struct coil__wait *wait)
{
    coil__list_remove(&COIL__CONTAINER(wait, struct ending, wait)->waiter.link);
    return true;
}

/* Waits once, without passing on a cancellation: the task has been asked already, and its cleanup is not to
 * be disturbed. */
static int wait_for_end(struct coil__task *self, coil_future *task)
{
    struct ending ending = {
        .wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "cancel_and_wait", stop_waiting),
        .waiter.wake = wake,
    };
    coil__future_await(task, &ending.waiter);
    return coil__task_wait(self, &ending.wait);
}

/* Until the task has ended. 0, or that we were cancelled meanwhile (*record_out has why), or are closed. */
static int wait_patiently(struct coil__task *self, coil_future *task, coil_error **record_out)
{
    int cancelled = 0;
    while (coil__future_pending(task)) {
        int rc = wait_for_end(self, task);
        if (rc == COIL_ECLOSING)
            return rc;
        if (rc < 0) {
            cancelled = rc;
            coil_unref(*record_out);
            *record_out = coil_ref(coil_error_current(rc));
            self->patient = true; /* a cancelled scope has said so once */
        }
    }
    self->patient = false;
    return cancelled;
}

int coil_cancel_and_wait(coil_task *task, const char *message)
{
    struct coil__task *self = coil__thread.task;
    if (!task)
        return 0;
    if (!self || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "cancel_and_wait outside a task");
    if (task == &self->future)
        return coil__fail(COIL_ESELFWAIT, "a task waits for its own end");
    if (task->loop != self->future.loop)
        return coil__fail(COIL_EWRONGLOOP, "the task belongs to another loop");
    coil__ref(&task->object);
    (void)(coil_future_cancel)(task, message); /* false: it has ended already */
    coil_error *record = NULL;
    int rc = wait_patiently(self, task, &record);
    if (rc < 0)
        coil__fail_with(rc, record);
    else if (task->object.state == COIL__FUTURE_FAILED && task->code != COIL_ECANCELED)
        rc = coil__future_outcome(task, NULL);
    coil_unref(record);
    coil__unref(&task->object);
    return rc;
}
