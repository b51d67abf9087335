#include "structure/waitlist.h"

#include "base/error.h"

/* The wait is over: on to where the place belongs until its task has run. */
static void move_on(struct coil__parked *place)
{
    if (place->then == place->list)
        return;
    coil__parked_leave(place);
    if (place->then)
        coil__waitlist_append(place->then, place);
}

/* Cancelled. A task that is being closed leaves for good: it may never come back to its place. */
bool coil__parked_stop(struct coil__wait *wait)
{
    struct coil__parked *place = COIL__CONTAINER(wait, struct coil__parked, wait);
    if (COIL_UNLIKELY(wait->task->flags & COIL__TASK_CLOSING))
        coil__parked_leave(place);
    else
        move_on(place);
    return true;
}

int coil__parked_wake(struct coil__parked *place)
{
    coil_loop *loop = place->wait.task->future.loop;
    move_on(place);
    coil__wait_over(&place->wait);
    if (COIL_UNLIKELY(!loop->running) && !loop->closed)
        coil__loop_kick(loop);
    return 0;
}

int coil__waitlist_check_thread_slowly(coil_loop *loop)
{
    return loop->closed ? 0 : coil__loop_check_open(loop);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

int coil__park_refuse(const char *operation)
{
    if (!coil__thread.task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "%s would have to wait, outside a task", operation);
    return coil__fail(COIL_EWRONGLOOP, "%s: tasks of another loop wait for it", operation);
}

/* The primitive is gone. That has to be told, whatever else happened, since the caller must not touch it
 * again; a cancellation comes at the next await. */
int coil__parked_tell_of_end(struct coil__parked *place, int rc)
{
    struct coil__task *task = place->wait.task;
    if (rc == COIL_ECANCELED && !place->wait.refused) {
        coil_error *old = task->cancel_error;
        task->cancel_error = coil__errors_take(&task->errors, COIL_ECANCELED);
        task->flags |= COIL__TASK_MUST_CANCEL;
        coil_unref(old);
    }
    return coil__fail(COIL_ECLOSED, "%s: it was destroyed", place->wait.operation);
}

int coil__park_and_stay(struct coil__parked *place, struct coil__waitlist *list,
                        struct coil__waitlist *then, const char *operation)
{
    if (!coil__park_allowed(list, then))
        return coil__park_refuse(operation);
    coil__parked_line_up(place, list, then, operation);
    int rc = coil__task_wait(place->wait.task, &place->wait);
    return COIL_UNLIKELY(place->destroyed) ? coil__parked_tell_of_end(place, rc) : rc;
}

int coil__park(struct coil__parked *place, struct coil__waitlist *list, struct coil__waitlist *then,
               const char *operation)
{
    int rc = coil__park_and_stay(place, list, then, operation);
    if (coil__park_happened(rc))
        coil__parked_leave(place);
    return rc;
}

/* ---- the end of a primitive --------------------------------------------------------------------- */

void coil__waitlists_end(struct coil__waitlist *const *lists, size_t count, const char *message)
{
    coil_task *waited = NULL;
    for (size_t i = 0; i < count; i++) {
        struct coil__parked *place;
        while ((place = lists[i]->first)) {
            waited = waited ? waited : &place->wait.task->future;
            coil__parked_leave(place);
            place->then = NULL;
            place->destroyed = true;
            if (place->wait.state == COIL__WAIT_PENDING)
                (void)coil__parked_wake(place);
        }
    }
    if (waited)
        COIL__REPORT(waited->loop, .event = COIL_EVENT_DESTROYED_IN_USE, .message = message,
                     .future = waited);
}
