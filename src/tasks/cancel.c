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
#include "tasks/reason.h"

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

static void count_request(struct coil__task *task)
{
    task->cancels += task->cancels < UINT16_MAX;
}

/* Whether a shielded section of the task keeps the request for later; see coil__task_shielded. */
static bool kept_for_later(struct coil__task *task, const coil_timeout *limit, coil_error *message)
{
    if (!COIL_UNLIKELY(task->future.limits != NULL) || !coil__task_shielded(task, limit, message))
        return false;
    count_request(task);
    return true;
}

/* From task to task, down to one that awaits no other, or one that the walk has come by, or (*kept_out) one
 * that keeps it for later. request: a scope's cancellation is none to the first, but to those it awaits. */
static struct coil__task *go_down(struct coil__task *task, coil_error *message, bool request,
                                  bool *kept_out)
{
    for (;; request = true) {
        if (request)
            count_request(task);
        coil__reason_set(&task->reason, coil__reason_current());
        task->flags |= COIL__TASK_VISITED;
        struct coil__task *inner = awaited_task(task);
        if (!inner || inner->flags & COIL__TASK_VISITED)
            return task;
        *kept_out = kept_for_later(inner, NULL, message);
        if (*kept_out)
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
                                             struct coil__cancelling *above, bool request)
{
    bool kept = false;
    struct coil__task *last = go_down(first, message, request, &kept);
    struct coil__wait *wait = last->waiting;
    bool by_scope = !request && last == first;
    if (wait && wait->state == COIL__WAIT_PENDING)
        wait->refused = by_scope;
    bool circle = awaited_task(last) != NULL;
    if (leads_into_gathering(wait)) {
        if (!coil__gathering_place(wait->future)->gathering) {
            struct coil__cancelling *place = go_into(wait->future, above, first, last);
            place->by_scope = by_scope;
            return place;
        }
        circle = true; /* the walk goes through it already */
    }
    bool asked = kept ||
                 (circle ? leave_circle(wait, message) : wait && coil__wait_cancel(wait, message));
    come_back(first, last, asked || by_scope, message);
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
    else if (!kept_for_later(coil__as_task(future), NULL, message))
        return cancel_tasks(coil__as_task(future), message, above, true);
    return NULL;
}

/* All children of a gathering have been asked. Whether that was of any use; a task always is. */
static bool leave_gathering(struct coil__cancelling *place, coil_error *message)
{
    if (place->asked)
        coil__gathering_was_cancelled(place->gathering);
    if (place->last)
        come_back(place->first, place->last, place->asked || place->by_scope, message);
    place->gathering = NULL;
    return place->asked || place->last;
}

/* Through all that a place leads to, and back up. */
static bool walk_gatherings(struct coil__cancelling *at, coil_error *message)
{
    for (;;) {
        bool asked;
        coil_future *future = coil__gathering_child(at->gathering, at->next);
        if (!future) {
            asked = leave_gathering(at, message);
            at = at->up;
            if (!at)
                return asked;
            at->asked |= asked;
            continue;
        }
        at->next++;
        struct coil__cancelling *deeper = cancel_one(future, message, at, &asked);
        if (deeper)
            at = deeper;
        else
            at->asked |= asked;
    }
}

bool coil__future_cancel(coil_future *future, coil_error *message)
{
    bool asked;
    struct coil__cancelling *at = cancel_one(future, message, NULL, &asked);
    return at ? walk_gatherings(at, message) : asked;
}

bool coil__task_cancel_in(coil_future *future, coil_error *message, const coil_timeout *limit)
{
    if (!coil__future_pending(future))
        return false;
    if (kept_for_later(coil__as_task(future), limit, message))
        return true;
    struct coil__cancelling *at = cancel_tasks(coil__as_task(future), message, NULL, true);
    return at ? walk_gatherings(at, message) : true;
}

void coil__task_interrupt(struct coil__task *task, coil_error *message)
{
    struct coil__cancelling *at = cancel_tasks(task, message, NULL, false);
    if (at)
        (void)walk_gatherings(at, message);
}
