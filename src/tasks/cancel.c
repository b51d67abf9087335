/* Cancelling: from what is asked to stop down to what is waited for innermost.
 *
 *     task ---> task ---> gathering ---> task ---> sleep
 *                              \-----> future
 *
 * The way may be long, and it branches at gatherings, so it is walked in a loop: the place in each gathering
 * on the way is kept in the gathering itself. A circle (tasks that await one another, or a gathering they are
 * children of) ends where the walk meets itself. */
#include "tasks/task.h"

#include "base/error.h"

bool coil__wait_cancel(struct coil__wait *wait, coil_error *message)
{
    if (wait->state != COIL__WAIT_PENDING)
        return false;
    if (wait->future)
        return coil__future_cancel(wait->future, message);
    wait->error = coil_ref(message);
    if (wait->detach(wait)) {
        wait->state = COIL__WAIT_CANCELLED;
        coil__task_push(wait->task);
    } else {
        wait->state = COIL__WAIT_CANCELLING;
    }
    return true;
}

/* Takes a task out of its wait for a future that goes on: the last one of a circle, which nothing else
 * would ever wake. */
static bool leave_circle(struct coil__wait *wait, coil_error *message)
{
    if (!coil__wait_pending(wait))
        return false;
    (void)wait->detach(wait);
    wait->state = COIL__WAIT_CANCELLED;
    wait->error = coil_ref(message);
    coil__task_push(wait->task);
    return true;
}

/* The pending task that a task awaits, or NULL. */
static struct coil__task *awaited_task(const struct coil__task *task)
{
    coil_future *inner = task->waiting ? task->waiting->future : NULL;
    bool is = inner && inner->object.type == &coil__task_type && coil__future_pending(inner);
    return is ? coil__as_task(inner) : NULL;
}

/* From task to task, down to one that awaits no other, or one that the walk has come by. */
static struct coil__task *go_down(struct coil__task *task)
{
    for (;;) {
        task->cancels += task->cancels < UINT16_MAX;
        task->flags |= COIL__TASK_VISITED;
        struct coil__task *inner = awaited_task(task);
        if (!inner || inner->flags & COIL__TASK_VISITED)
            return task;
        task = inner;
    }
}

/* The end of the walk through tasks that await one another. If there was nothing to cancel below the last
 * one, its next wait is. */
static void come_back(struct coil__task *first, struct coil__task *last, bool asked,
                      coil_error *message)
{
    if (!asked) {
        last->flags |= COIL__TASK_MUST_CANCEL;
        coil_error *old = last->cancel_error;
        last->cancel_error = coil_ref(message);
        coil_unref(old);
    }
    for (struct coil__task *task = first;; task = coil__as_task(task->waiting->future)) {
        task->flags &= (uint8_t)~COIL__TASK_VISITED;
        if (task == last)
            return;
    }
}

/* Whether a wait is for a gathering that is to be walked through. */
static bool leads_into_gathering(const struct coil__wait *wait)
{
    return wait && wait->state == COIL__WAIT_PENDING && wait->future &&
           (wait->future->object.flags & COIL__FUTURE_GATHERING) &&
           coil__future_pending(wait->future);
}

/* Goes into a gathering below a place. */
static struct coil__cancelling *go_into(coil_future *gathering, struct coil__cancelling *above,
                                        struct coil__task *first, struct coil__task *last)
{
    struct coil__cancelling *place = coil__gathering_place(gathering);
    *place = (struct coil__cancelling){
        .up = above, .gathering = gathering, .first = first, .last = last
    };
    return place;
}

/* Cancels a task and those that it awaits. Gives the place in the gathering that the last one awaits, which
 * is to be walked through before come_back; NULL: all is done. */
static struct coil__cancelling *cancel_tasks(struct coil__task *first, coil_error *message,
                                             struct coil__cancelling *above)
{
    struct coil__task *last = go_down(first);
    struct coil__wait *wait = last->waiting;
    bool circle = awaited_task(last) != NULL;
    if (leads_into_gathering(wait)) {
        if (!coil__gathering_place(wait->future)->gathering)
            return go_into(wait->future, above, first, last);
        circle = true; /* the walk goes through it already */
    }
    bool asked = circle ? leave_circle(wait, message) : wait && coil__wait_cancel(wait, message);
    come_back(first, last, asked, message);
    return NULL;
}

/* Cancels one future. Gives the place in a gathering whose children come next; NULL: *asked_out says
 * whether it was pending. */
static struct coil__cancelling *cancel_one(coil_future *future, coil_error *message,
                                           struct coil__cancelling *above, bool *asked_out)
{
    bool gathering = future->object.flags & COIL__FUTURE_GATHERING;
    *asked_out = coil__future_pending(future);
    if (!*asked_out) {
        if (!gathering) /* which asyncio leaves to be reported */
            future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        return NULL;
    }
    if (gathering)
        return go_into(future, above, NULL, NULL);
    if (future->object.type->kind != COIL__KIND_TASK)
        coil__future_finish_cancelled(future, coil_ref(message));
    else if (coil__as_task(future)->flags & COIL__TASK_VISITED)
        *asked_out = leave_circle(coil__as_task(future)->waiting, message);
    else
        return cancel_tasks(coil__as_task(future), message, above);
    return NULL;
}

/* All children of a gathering have been asked. Whether that was of any use; a task always is. */
static bool leave_gathering(struct coil__cancelling *place, coil_error *message)
{
    if (place->asked)
        coil__gathering_was_cancelled(place->gathering);
    if (place->last)
        come_back(place->first, place->last, place->asked, message);
    place->gathering = NULL;
    return place->asked || place->last;
}

bool coil__future_cancel(coil_future *future, coil_error *message)
{
    struct coil__cancelling *at = NULL;
    for (;;) {
        bool asked;
        struct coil__cancelling *deeper = cancel_one(future, message, at, &asked);
        if (deeper)
            at = deeper;
        else if (at)
            at->asked |= asked;
        else
            return asked;
        while (!(future = coil__gathering_child(at->gathering, at->next))) {
            asked = leave_gathering(at, message);
            at = at->up;
            if (!at)
                return asked;
            at->asked |= asked;
        }
        at->next++;
    }
}
