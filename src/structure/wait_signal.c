/* Waiting for a signal. */
#include <coil/signal.h>

#include "base/error.h"
#include "loop/signal.h"
#include "structure/waitlist.h"

/* One call: as many listeners as it waits for numbers, and the place of its task. */
struct signal_wait {
    struct coil__waitlist line;
    int first; /* the number that came first; 0: none yet */
};

struct signal_listener {
    struct coil__listener listener;
    struct signal_wait *wait;
};

static void arrived(struct coil__listener *listener, int number)
{
    struct signal_wait *wait = COIL__CONTAINER(listener, struct signal_listener, listener)->wait;
    if (wait->first == 0)
        wait->first = number;
    coil__waitlist_wake_all(&wait->line);
}

static int wait_for_first(struct signal_wait *wait)
{
    struct coil__task *task = coil__thread.task;
    struct coil__parked place;
    int rc = coil__park(&place, &wait->line, NULL, "wait_signal");
    if (rc == COIL_ECANCELED && wait->first > 0) {
        /* It has arrived, and whoever cancels finds out at the next await. */
        coil_error *old = task->cancel_error;
        task->cancel_error = coil__errors_take(&task->errors, COIL_ECANCELED);
        task->flags |= COIL__TASK_MUST_CANCEL;
        coil_unref(old);
        rc = 0;
    }
    return rc < 0 ? rc : wait->first;
}

int coil_wait_signals(const int *numbers, size_t count)
{
    struct signal_wait wait = { .first = 0 };
    struct signal_listener listeners[_NSIG];
    if (!coil__thread.task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "wait_signal outside a task");
    if (count == 0 || count > _NSIG)
        return coil__fail(COIL_EINVAL, "a wait for %zu signals", count);
    coil_loop *loop = coil__thread.loop;
    int rc = 0;
    size_t listening = 0;
    while (rc == 0 && listening < count) {
        listeners[listening].listener.arrived = arrived;
        listeners[listening].wait = &wait;
        rc = coil__signal_listen(loop, numbers[listening], &listeners[listening].listener);
        listening += rc == 0;
    }
    if (rc == 0)
        rc = wait_for_first(&wait);
    while (listening > 0) {
        listening--;
        coil__signal_unlisten(loop, numbers[listening], &listeners[listening].listener);
    }
    return rc;
}
