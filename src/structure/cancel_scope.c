/* Cancel scopes. docs/decisions/0004-cancel-scopes.md says what they are for asyncio's requests to cancel.
 *
 *     task --limits--> latest limit --outer--> ... --outer--> first limit
 *       `----home----> its group --> the owner's limits, from the one in which the group was entered on
 *
 * Whether a task is in a cancelled scope is found by going outward along these, up to a shielded section.
 * The answer is kept in its flags (COIL__TASK_SCOPED), which every wait looks at, and found again when
 * something is entered, left or cancelled. */
#include <coil/cancel.h>

#include "base/error.h"
#include "platform/sanitizer.h"
#include "structure/group.h"
#include "structure/timeout.h"
#include "tasks/reason.h"

static inline coil_cancel_scope *scope_of(const coil_timeout *limit)
{
    return (coil_cancel_scope *)(uintptr_t)limit;
}

static inline struct coil__task *task_of(const coil_cancel_scope *scope)
{
    return scope->coil__limit.coil__task;
}

static bool is_entered(const coil_cancel_scope *scope)
{
    return scope->coil__limit.coil__state == COIL__LIMIT_ENTERED ||
           scope->coil__limit.coil__state == COIL__LIMIT_EXPIRING;
}

/* ---- who is cancelled --------------------------------------------------------------------------- */

/* The outermost cancelled scope that is to be seen from a limit of the task; NULL if there is none. One that was
 * left without exit may be in the way until it is noticed: coil__task tells. */
static coil_cancel_scope *seen_from(const struct coil__task *task, const coil_timeout *limit)
{
    coil_cancel_scope *found = NULL;
    for (;;) {
        for (; limit && limit->coil__task == task; limit = limit->coil__outer) {
            if (limit->coil__kind != COIL__LIMIT_SCOPE)
                continue;
            if (scope_of(limit)->coil__cancelled)
                found = scope_of(limit);
            if (scope_of(limit)->coil__shielded)
                return found;
        }
        if (!task->home)
            return found;
        limit = task->home->limit;
        task = task->home->owner;
    }
}

void coil__task_look_at_scopes(struct coil__task *task)
{
    if (seen_from(task, task->future.limits))
        task->flags |= COIL__TASK_SCOPED;
    else
        task->flags &= (uint8_t)~COIL__TASK_SCOPED;
}

static void tell(struct coil__task *task, const coil_cancel_scope *scope)
{
    struct coil__reason *outer = coil__thread.reason;
    coil__thread.reason = scope->coil__reason;
    coil__task_interrupt(task, scope->coil__reason->message);
    coil__thread.reason = outer;
}

void coil__task_refuse(struct coil__task *task)
{
    const coil_cancel_scope *scope = seen_from(task, task->future.limits);
    if (scope)
        tell(task, scope);
}

/* A scope has been cancelled that may hold for the task: tells it, and the tasks of its groups. */
void coil__task_reach(struct coil__task *task)
{
    const coil_cancel_scope *scope = seen_from(task, task->future.limits);
    if (scope && !(task->flags & COIL__TASK_SCOPED)) {
        task->flags |= COIL__TASK_SCOPED;
        tell(task, scope);
    }
    for (struct coil__group *group = task->future.groups; group; group = group->outer)
        if (seen_from(task, group->limit))
            coil__group_reach_children(group);
}

/* The reason becomes the scope's. */
static void cancel(coil_cancel_scope *scope, struct coil__reason *reason)
{
    scope->coil__cancelled = true;
    scope->coil__reason = reason;
    coil__task_reach(task_of(scope));
}

void coil__cancel_scope_expired(coil_timeout *limit)
{
    cancel(scope_of(limit), coil__reason_keep(coil__thread.reason));
}

/* ---- requests, and shielded sections ------------------------------------------------------------ */

bool coil__task_shielded(struct coil__task *task, const coil_timeout *limit, coil_error *message)
{
    coil_cancel_scope *section = NULL;
    coil_timeout *at = task->future.limits;
    for (; at && at != limit && at->coil__task == task; at = at->coil__outer)
        if (at->coil__kind == COIL__LIMIT_SCOPE && scope_of(at)->coil__shielded)
            section = scope_of(at);
    if (!section)
        return false;
    section->coil__requests += section->coil__requests < UINT16_MAX;
    coil__reason_set(&section->coil__held, coil__reason_current());
    coil_error *old = task->cancel_error;
    task->cancel_error = coil_ref(message);
    coil_unref(old);
    return true;
}

int coil__task_requests_seen(const struct coil__task *task)
{
    int open = task->cancels;
    const coil_timeout *limit = task->future.limits;
    for (; limit && limit->coil__task == task; limit = limit->coil__outer)
        if (limit->coil__kind == COIL__LIMIT_SCOPE)
            open -= scope_of(limit)->coil__requests;
    return open > 0 ? open : 0;
}

/* A request that is due belongs to what is around the scope. */
static void put_off_due_request(struct coil__task *task, coil_cancel_scope *scope)
{
    if (!(task->flags & COIL__TASK_MUST_CANCEL))
        return;
    if (!scope->coil__shielded) {
        scope->coil__limit.coil__cancels--;
        return;
    }
    task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;
    scope->coil__requests = 1;
    scope->coil__held = coil__reason_keep(task->reason);
    scope->coil__limit.coil__cancels = coil__task_requests(task);
}

/* The section is over: what came meanwhile is due, unless it was taken back. */
static void deliver_requests(struct coil__task *task, coil_cancel_scope *section)
{
    if (section->coil__requests > 0 && task->cancels > 0) {
        task->flags |= COIL__TASK_MUST_CANCEL;
        coil__reason_set(&task->reason, section->coil__held);
    }
    section->coil__requests = 0;
    coil__reason_drop(section->coil__held);
    section->coil__held = NULL;
}

/* ---- enter, cancel ------------------------------------------------------------------------------ */

static int enter(coil_cancel_scope *scope, double delay, bool shielded, const coil_place *place,
                 uintptr_t here)
{
    scope->coil__reason = scope->coil__held = NULL;
    scope->coil__requests = 0;
    scope->coil__cancelled = false;
    scope->coil__shielded = shielded;
    int rc = coil__limit_enter(&scope->coil__limit, delay, place, here);
    if (rc < 0)
        return rc;
    scope->coil__limit.coil__kind = COIL__LIMIT_SCOPE;
    struct coil__task *task = task_of(scope);
    put_off_due_request(task, scope);
    coil__task_look_at_scopes(task);
    return 0;
}

int coil__cancel_scope_enter(coil_cancel_scope *scope, double delay, bool shielded,
                             const coil_place *place)
{
    return enter(scope, delay, shielded, place, (uintptr_t)__builtin_frame_address(0));
}

int(coil_cancel_scope_enter)(coil_cancel_scope *scope)
{
    return coil__cancel_scope_enter(scope, COIL_NO_TIMEOUT, false, NULL);
}

int(coil_cancel_scope_enter_after)(coil_cancel_scope *scope, double delay)
{
    return coil__cancel_scope_enter(scope, delay, false, NULL);
}

int(coil_cancel_scope_enter_shielded)(coil_cancel_scope *scope, double limit)
{
    return coil__cancel_scope_enter(scope, limit, true, NULL);
}

bool coil__cancel_scope_cancel(coil_cancel_scope *scope, const char *message,
                               const coil_place *place)
{
    if (!is_entered(scope) || scope->coil__cancelled)
        return false;
    coil_loop *loop = task_of(scope)->future.loop;
    coil_error *record = coil__cancel_record(message);
    coil__limit_disarm(&scope->coil__limit, loop);
    cancel(scope, coil__reason_new(COIL_CANCEL_EXPLICIT, coil__thread.task, place, record));
    coil_unref(record);
    coil__loop_kick(loop);
    return true;
}

bool(coil_cancel_scope_cancel)(coil_cancel_scope *scope, const char *message)
{
    return coil__cancel_scope_cancel(scope, message, NULL);
}

int coil__cancel_scope_reschedule(coil_cancel_scope *scope, double when, const coil_place *place)
{
    if (!is_entered(scope) || scope->coil__cancelled)
        return coil__fail(COIL_ERUNTIME, "the cancel scope is %s",
                          is_entered(scope) ? "cancelled" : "not entered");
    int rc = coil_timeout_reschedule(&scope->coil__limit, when);
    if (rc == 0)
        coil__limit_set_place(&scope->coil__limit, place);
    return rc;
}

int(coil_cancel_scope_reschedule)(coil_cancel_scope *scope, double when)
{
    return coil__cancel_scope_reschedule(scope, when, NULL);
}

/* ---- exit --------------------------------------------------------------------------------------- */

/* A COIL_ECANCELED of which the scope is the only cause. */
static int catch_cancellation(coil_cancel_scope *scope)
{
    scope->coil__limit.coil__caught = true;
    if (scope->coil__shielded)
        return coil__timed_out();
    coil_unref(coil__take_cancellation());
    return 0;
}

static int leave(coil_cancel_scope *scope, int rc, uintptr_t here)
{
    struct coil__task *task = task_of(scope);
    bool asked = coil__task_requests(task) > scope->coil__limit.coil__cancels;
    coil__limit_leave(&scope->coil__limit, here);
    coil__task_look_at_scopes(task);
    if (COIL_UNLIKELY(scope->coil__held != NULL))
        deliver_requests(task, scope);
    bool outer = task->flags & COIL__TASK_SCOPED && !scope->coil__shielded;
    if (rc == COIL_ECANCELED && scope->coil__cancelled && !asked && !outer)
        rc = catch_cancellation(scope);
    coil__reason_drop(scope->coil__reason);
    scope->coil__reason = NULL;
    return rc;
}

int coil_cancel_scope_exit(coil_cancel_scope *scope, int rc)
{
    if (!is_entered(scope))
        return rc < 0 ? rc : coil__fail(COIL_ERUNTIME, "the cancel scope is not entered");
    if (task_of(scope) != coil__thread.task || coil__thread.driver)
        return rc < 0 ? rc
                      : coil__fail(COIL_ERUNTIME,
                                   "a cancel scope is left by the task that entered it");
    return leave(scope, rc, (uintptr_t)__builtin_frame_address(0));
}

void coil_cancel_scope_leave(coil_cancel_scope *scope)
{
    if (is_entered(scope) && task_of(scope) == coil__thread.task && !coil__thread.driver)
        (void)leave(scope, 0, (uintptr_t)__builtin_frame_address(0)); /* translates no code */
}

COIL__NO_ASAN void coil__cancel_scope_forsake(struct coil__task *task, coil_timeout *limit)
{
    /* What else the struct says may have been written over: a reason in it stays behind. */
    if (scope_of(limit)->coil__requests > 0 && task->cancels > 0)
        task->flags |= COIL__TASK_MUST_CANCEL;
}

/* ---- asking ------------------------------------------------------------------------------------- */

bool coil_cancel_scope_cancelled(const coil_cancel_scope *scope)
{
    return scope->coil__cancelled;
}

bool coil_cancel_scope_caught(const coil_cancel_scope *scope)
{
    return scope->coil__limit.coil__caught;
}
