/* Task groups, step by step as asyncio's.
 *
 * The user's struct only points to the group, which is a block of its own: a block that is left without
 * exit leaves a dead struct behind, while children that are still running tell the group when they are
 * done. A task knows the groups it is in (task->future.groups), so that those which it forgot are found.
 *
 * When a child is done the group is told by an entry in the ready queue, as asyncio's done callbacks
 * are. What that needs is allocated before the child is made; a child that fails stays with its error in
 * the group's list of failures, and only the record that lists them all, at the end, needs memory. */
#include "structure/group.h"

#include "base/error.h"
#include "structure/timeout.h"
#include "structure/waiters.h"
#include "tasks/reason.h"

struct child {
    struct coil__link link; /* in group->children, then, if it failed, in group->failed */
    struct coil__waiter waiter;
    struct coil__ready ready;
    struct coil__group *group; /* NULL: it is alone now */
    coil_future *task;         /* one reference */
};

/* coil_task_group.coil__code while there is no state: why not, or how enter failed. */
enum {
    NOT_ENTERED = 0,
    OVER = 1
};

/* ---- children ----------------------------------------------------------------------------------- */

static void child_free(struct child *child)
{
    coil_unref(child->task);
    coil__block_give(child, sizeof *child);
}

static bool leaves_loop(int code)
{
    return code == COIL_EEXIT || code == COIL_EINTERRUPT;
}

/* Cancels the children. The reason is consumed. */
static void abort_group(struct coil__group *group, struct coil__reason *reason)
{
    struct coil__reason *outer = coil__thread.reason;
    coil__thread.reason = reason;
    group->aborting = true;
    for (struct coil__link *link = group->children.next; link != &group->children;
         link = link->next) {
        coil_future *task = COIL__CONTAINER(link, struct child, link)->task;
        if (coil__future_pending(task))
            (void)coil__future_cancel(task, NULL);
    }
    coil__thread.reason = outer;
    coil__reason_drop(reason);
}

/* The owner is cancelled in the limits that it was in when it entered the group. The reason is consumed. */
static void cancel_all(struct coil__group *group, struct coil__reason *reason)
{
    struct coil__reason *outer = coil__thread.reason;
    abort_group(group, coil__reason_keep(reason));
    group->owner_cancelled = true;
    coil__thread.reason = reason;
    (void)coil__task_cancel_in(&group->owner->future, NULL, group->limit);
    coil__thread.reason = outer;
    coil__reason_drop(reason);
}

/* Why a group gives up whose block has failed, or was cancelled. */
static struct coil__reason *reason_of_block(const struct coil__group *group, int rc)
{
    return rc == COIL_ECANCELED ? coil__reason_keep(group->owner->reason)
                                : coil__reason_of_failure(group->owner, rc, coil_error_current(rc));
}

/* The child has ended, and is in no list. */
static void child_is_done(struct coil__group *group, struct child *child)
{
    if (group->wait && group->wait->state == COIL__WAIT_PENDING &&
        coil__list_empty(&group->children))
        coil__wait_over(group->wait);
    coil_future *task = child->task;
    if (task->object.state != COIL__FUTURE_FAILED) {
        child_free(child);
        return;
    }
    coil__list_append(&group->failed, &child->link);
    group->failed_count++;
    if (leaves_loop(task->code) && group->leave_code == 0) {
        group->leave_code = task->code;
        group->leave_error = coil_ref(task->error);
    }
    /* In a loop that is being closed every task is told by the loop. */
    if (!group->aborting && !group->owner_cancelled && !task->loop->closed)
        cancel_all(group, coil__reason_of_failure(coil__as_task(task), task->code, task->error));
}

static void run_child_is_done(struct coil__ready *ready)
{
    struct child *child = COIL__CONTAINER(ready, struct child, ready);
    if (!child->group) {
        child_free(child);
        return;
    }
    coil_loop *loop = child->task->loop;
    loop->waker = child->task;
    coil__list_remove(&child->link);
    child_is_done(child->group, child);
    loop->waker = NULL;
}

static void queue_child_is_done(struct coil__waiter *waiter, coil_future *future)
{
    struct child *child = COIL__CONTAINER(waiter, struct child, waiter);
    coil__loop_push(future->loop, &child->ready);
}

const struct coil__waiter_kind coil__waiter_group = {
    queue_child_is_done,
    COIL__AWAITS_AT_EXIT,
    2,
    { COIL__FROM_WAITER(struct child, waiter, group), offsetof(struct coil__group, owner) }
};

/* Why a group takes no task now: 0, or a code. */
static int check_open(const coil_task_group *tg)
{
    const struct coil__group *group = tg->coil__state;
    if (!group && tg->coil__code < 0)
        return coil__fail(tg->coil__code, "the task group could not be entered");
    if (!group && tg->coil__code == NOT_ENTERED)
        return coil__fail(COIL_ERUNTIME, "the task group has not been entered");
    if (!group || (group->exiting && coil__list_empty(&group->children)))
        return coil__fail(COIL_ERUNTIME, "the task group is over");
    if (group->aborting)
        return coil__fail(COIL_ERUNTIME, "the task group is being cancelled");
    return 0;
}

/* The scopes that the group is in hold for the child, too. */
static void take_in(struct coil__group *group, struct coil__task *child)
{
    child->home = group;
    if (COIL_UNLIKELY(group->limit || group->owner->home))
        coil__task_reach(child);
}

/* Makes a child; the reference stays the group's, except where the caller takes one. */
static coil_task *make_child(coil_task_group *tg, coil_coro *coro, const coil_task_options *options,
                             bool keep)
{
    if (!coro)
        return coil__fail_null(COIL_ENOMEM);
    bool open = check_open(tg) == 0;
    struct child *child = open ? coil__block_take(sizeof *child) : NULL;
    if (COIL_UNLIKELY(!child)) {
        (void)coil_coro_close(coro); /* it never ran: nothing to hear */
        return open ? coil__fail_null(COIL_ENOMEM) : NULL;
    }
    struct coil__group *group = tg->coil__state;
    coil_task *task = coil_create_task_with(group->owner->future.loop, coro, options);
    if (COIL_UNLIKELY(!task)) {
        coil__block_give(child, sizeof *child);
        return NULL;
    }
    child->group = group;
    child->task = task;
    if (keep)
        coil__ref(&task->object);
    if (coil__future_pending(task)) {
        take_in(group, coil__as_task(task));
        child->waiter.wake = queue_child_is_done;
        child->ready.run = run_child_is_done;
        coil__list_append(&group->children, &child->link);
        coil__future_await(task, &child->waiter);
    } else {
        child_is_done(group, child); /* an eager one: no turn is spent on it */
    }
    return task;
}

coil_task *coil_task_group_create_task_with(coil_task_group *tg, coil_coro *coro,
                                            const coil_task_options *options)
{
    return make_child(tg, coro, options, true);
}

coil_task *coil_task_group_create_task(coil_task_group *tg, coil_coro *coro)
{
    return make_child(tg, coro, NULL, true);
}

coil_task *coil_task_group_create_task_named(coil_task_group *tg, coil_coro *coro, const char *name)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    return make_child(tg, coro, &options, true);
}

int coil_task_group_spawn(coil_task_group *tg, coil_coro *coro)
{
    return make_child(tg, coro, NULL, false) ? 0 : coil_error_last();
}

bool coil__task_group_cancel_here(coil_task_group *tg, const coil_place *place)
{
    struct coil__group *group = tg->coil__state;
    if (!group || (group->exiting && coil__list_empty(&group->children)))
        return false;
    if (!group->aborting)
        cancel_all(group, coil__reason_new(COIL_CANCEL_EXPLICIT, coil__thread.task, place, NULL));
    return true;
}

bool(coil_task_group_cancel)(coil_task_group *tg)
{
    return coil__task_group_cancel_here(tg, NULL);
}

/* ---- in scopes ---------------------------------------------------------------------------------- */

void coil__groups_outlive(struct coil__task *owner, const coil_timeout *limit, coil_timeout *outer)
{
    for (struct coil__group *group = owner->future.groups; group; group = group->outer)
        if (group->limit == limit)
            group->limit = outer;
}

void coil__group_reach_children(struct coil__group *group)
{
    for (struct coil__link *link = group->children.next; link != &group->children;
         link = link->next) {
        coil_future *task = COIL__CONTAINER(link, struct child, link)->task;
        if (coil__future_pending(task))
            coil__task_reach(coil__as_task(task));
    }
}

/* ---- entering, and being forgotten -------------------------------------------------------------- */

/* The owner's scopes hold no longer. */
static void let_go(struct coil__task *child)
{
    child->home = NULL;
    if (coil__future_pending(&child->future))
        coil__task_look_at_scopes(child);
}

/* Lets the children go that are still running, and gives everything back. */
static void group_free(struct coil__group *group)
{
    while (!coil__list_empty(&group->children)) {
        struct child *child = COIL__CONTAINER(group->children.next, struct child, link);
        coil__list_remove(&child->link);
        child->group = NULL;
        let_go(coil__as_task(child->task));
        if (coil__list_linked(&child->waiter.link)) {
            coil__list_remove(&child->waiter.link);
            child_free(child);
        } /* else it is queued, and frees itself when it runs */
    }
    while (!coil__list_empty(&group->failed)) {
        struct child *child = COIL__CONTAINER(group->failed.next, struct child, link);
        coil__list_remove(&child->link);
        child_free(child);
    }
    coil_unref(group->leave_error);
    coil__block_give(group, sizeof *group);
}

static void unlink_group(struct coil__group *group)
{
    struct coil__group **link = &group->owner->future.groups;
    while (*link != group)
        link = &(*link)->outer;
    *link = group->outer;
}

/* A block was left without exit. Its children, and errors that they have ended with, are on their own. */
static void forsake(struct coil__group *group)
{
    struct coil__task *owner = group->owner;
    unlink_group(group);
    if (group->owner_cancelled)
        (void)coil_task_uncancel(&owner->future);
    COIL__REPORT(owner->future.loop, .event = COIL_EVENT_GROUP_LEFT,
                 .message = "a task group was left without coil_task_group_exit in",
                 .future = &owner->future, .name = group->entered_in->name);
    group_free(group);
}

void coil__task_forsake_groups(struct coil__task *task)
{
    while (task->future.groups)
        forsake(task->future.groups);
}

/* Finds the groups whose block was left: their structs lie on the task's stack below `frame`, that of
 * the call which the task makes into this file, where its own code has nothing any more. */
static void forsake_dead_groups(struct coil__task *task, const void *frame)
{
    uintptr_t low = (uintptr_t)task->stack->low, high = low + task->stack->bytes;
    uintptr_t here = (uintptr_t)frame;
    if (here < low || here >= high)
        return; /* a coroutine on a stack of its own */
    struct coil__group *group = task->future.groups, *outer;
    for (; group; group = outer) {
        outer = group->outer;
        uintptr_t there = (uintptr_t)group->handle;
        if (there >= low && there < here)
            forsake(group);
    }
}

/* Looks for a group that the task is in under this very address. */
static struct coil__group *find_group(const struct coil__task *task, const coil_task_group *tg)
{
    struct coil__group *group = task->future.groups;
    while (group && group->handle != tg)
        group = group->outer;
    return group;
}

static int enter_failed(coil_task_group *tg, int code)
{
    tg->coil__state = NULL;
    tg->coil__code = code;
    return code;
}

/* Not inlined, nor is exit: the frame must be this function's, with all locals of its caller above it. */
__attribute__((noinline)) int coil_task_group_enter(coil_task_group *tg)
{
    struct coil__task *task = coil__thread.task;
    if (!task || coil__thread.driver)
        return enter_failed(tg, coil__fail(COIL_ENOTASK, "a task group outside a task"));
    if (task->future.groups) {
        struct coil__group *known = find_group(task, tg);
        if (known && tg->coil__state == known)
            return coil__fail(COIL_ERUNTIME,
                              "the task group has been entered already, or was left without "
                              "coil_task_group_exit");
        if (known)
            forsake(known); /* its struct has been written over: another one lies there now */
        forsake_dead_groups(task, __builtin_frame_address(0));
    }
    struct coil__group *group = coil__block_take(sizeof *group);
    if (!group)
        return enter_failed(tg, coil__fail_plain(COIL_ENOMEM));
    *group = (struct coil__group){ .outer = task->future.groups,
                                   .handle = tg,
                                   .owner = task,
                                   .limit = task->future.limits,
                                   .entered_in = task->innermost->type };
    coil__list_init(&group->children);
    coil__list_init(&group->failed);
    task->future.groups = group;
    tg->coil__state = group;
    tg->coil__code = NOT_ENTERED;
    return 0;
}

/* ---- leaving ------------------------------------------------------------------------------------ */

/* How a block ended: its code, and the record, taken out of the task's chain (owned). */
struct outcome {
    int code;
    coil_error *error;
};

static bool stop_waiting(struct coil__wait *wait)
{
    (void)wait; /* the group looks at its state */
    return true;
}

/* Open requests to cancel the owner that are not ours, nor kept for later by a shielded section. */
static int foreign_requests(const struct coil__group *group)
{
    return coil__task_requests(group->owner) - group->owner_cancelled;
}

/* A scope that is cancelled tells it once: the children have to be waited for. */
static int wait_for_child(struct coil__group *group, struct coil__wait *wait)
{
    struct coil__task *owner = group->owner;
    if (group->aborting)
        owner->patient = true;
    group->wait = wait;
    int rc = coil__task_wait(owner, wait);
    group->wait = NULL;
    owner->patient = false;
    return rc;
}

/* The loop is being closed: the children end here and now, since what they use of the owner's goes when the
 * owner leaves. Nothing that is queued would run any more; dropping it tells of those that have ended. */
static void close_children(struct coil__group *group)
{
    coil_loop *loop = group->owner->future.loop;
    coil__loop_drop_ready(loop);
    while (!coil__list_empty(&group->children)) {
        struct child *child = COIL__CONTAINER(group->children.next, struct child, link);
        coil__task_close_lost(coil__as_task(child->task));
        coil__loop_drop_ready(loop);
    }
}

/* Waits until all children have been heard of. A cancellation that comes meanwhile is kept for the end.
 * Returns 0, or COIL_ECLOSING: unless the loop is being closed, some have not ended. */
static int wait_for_children(struct coil__group *group, struct outcome *cancellation)
{
    while (!coil__list_empty(&group->children)) {
        struct coil__wait wait = COIL__WAIT_INIT(COIL_WAIT_OTHER, "task group", stop_waiting);
        int rc = wait_for_child(group, &wait);
        if (rc == COIL_ECLOSING) {
            if (group->owner->future.loop->closed)
                close_children(group);
            return rc;
        }
        if (rc == COIL_ECANCELED && cancellation->code == 0) {
            coil_unref(cancellation->error);
            cancellation->error = coil__errors_take(&group->owner->errors, rc);
        }
        if (rc == COIL_ECANCELED && !group->aborting) {
            cancellation->code = rc;
            abort_group(group, reason_of_block(group, rc));
        }
    }
    return 0;
}

/* The record of an error, one reference. NULL without memory. */
static coil_error *record_of(int code, coil_error *error)
{
    return error ? coil_ref(error) : coil__error_new(code, NULL);
}

/* The record that lists all errors. NULL without memory. */
static coil_error *list_errors(struct coil__group *group, const struct outcome *failure)
{
    coil_error *list = coil__error_group_new(group->failed_count + (failure->code < 0),
                                             "unhandled errors in a task group");
    if (!list)
        return NULL;
    bool good = true;
    size_t count = 0;
    for (struct coil__link *link = group->failed.next; link != &group->failed; link = link->next) {
        coil_future *task = COIL__CONTAINER(link, struct child, link)->task;
        list->errors[count] = record_of(task->code, task->error);
        good = good && list->errors[count++];
    }
    if (failure->code < 0) {
        list->errors[count] = record_of(failure->code, failure->error);
        good = good && list->errors[count];
    }
    if (good)
        return list;
    coil_unref(list);
    return NULL;
}

/* The errors of the children have been passed on: nobody needs to be told of them. */
static void mark_read(struct coil__group *group)
{
    for (struct coil__link *link = group->failed.next; link != &group->failed; link = link->next)
        COIL__CONTAINER(link, struct child, link)->task->object.flags &=
            (uint8_t)~COIL__FUTURE_UNREAD;
}

static int fail_with_list(struct coil__group *group, const struct outcome *failure)
{
    coil_task *owner = &group->owner->future;
    if (coil__task_requests(group->owner) > 0) {
        /* Somebody else wants the owner to stop: it is told at its next await, and the count stays. */
        (void)coil_task_uncancel(owner);
        (void)coil__future_cancel(owner, NULL);
    }
    coil_error *list = list_errors(group, failure);
    if (list) {
        mark_read(group);
        return coil__fail_own(list);
    }
    if (failure->code < 0)
        return coil__fail_with(failure->code, failure->error);
    return coil__fail_plain(COIL_ENOMEM);
}

/* Takes our request back. True if it was the only one that the owner can have been told of. */
static bool take_request_back(struct coil__task *owner)
{
    (void)coil_task_uncancel(&owner->future);
    return coil__task_requests(owner) == 0;
}

/* What the group comes to. `cancellation` is how the block or the wait was ended from outside, `failure`
 * an error of the block; of either the code is 0 if there was none. */
static int settle(struct coil__group *group, struct outcome *cancellation,
                  const struct outcome *failure)
{
    if (group->leave_code < 0) {
        mark_read(group);
        return coil__fail_with(group->leave_code, group->leave_error);
    }
    struct coil__task *owner = group->owner;
    if (group->owner_cancelled && take_request_back(owner) &&
        cancellation->code == COIL_ECANCELED && !(owner->flags & COIL__TASK_SCOPED))
        cancellation->code = 0; /* that was us */
    if (group->failed_count > 0 || failure->code < 0)
        return fail_with_list(group, failure);
    if (cancellation->code < 0)
        return coil__fail_with(cancellation->code, cancellation->error);
    return 0;
}

/* Sorts the block's error: one of the two gets it. */
static void take_block_error(struct coil__group *group, int rc, struct outcome *cancellation,
                             struct outcome *failure)
{
    if (rc >= 0)
        return;
    coil_error *error = coil__errors_take(&group->owner->errors, rc);
    if (leaves_loop(rc) && group->leave_code == 0) {
        group->leave_code = rc;
        group->leave_error = coil_ref(error);
    }
    struct outcome *which = rc == COIL_ECANCELED || rc == COIL_ECLOSING ? cancellation : failure;
    which->code = rc;
    which->error = error;
}

static int leave(struct coil__group *group, int rc)
{
    struct outcome cancellation = { 0 }, failure = { 0 };
    struct coil__reason *why = rc < 0 ? reason_of_block(group, rc) : NULL;
    group->exiting = true;
    take_block_error(group, rc, &cancellation, &failure);
    if (rc < 0 && !group->aborting && !(group->owner->flags & COIL__TASK_CLOSING))
        abort_group(group, why);
    else
        coil__reason_drop(why);
    int requests = foreign_requests(group);
    if (wait_for_children(group, &cancellation) < 0)
        cancellation.code = COIL_ECLOSING;
    else if (cancellation.code == 0 && foreign_requests(group) > requests)
        cancellation.code = COIL_ECANCELED; /* it came while we were cancelling the group anyway */
    int outcome = settle(group, &cancellation, &failure);
    coil_unref(cancellation.error);
    coil_unref(failure.error);
    return outcome == 0 && rc > 0 ? rc : outcome;
}

static int exit_without_group(coil_task_group *tg, int rc)
{
    int entering = tg->coil__code;
    tg->coil__code = OVER;
    if (entering < 0)
        return rc < 0 ? rc : coil__fail(entering, "the task group could not be entered");
    return coil__fail(COIL_ERUNTIME, entering == OVER ? "the task group is over"
                                                      : "the task group has not been entered");
}

__attribute__((noinline)) int coil_task_group_exit(coil_task_group *tg, int rc)
{
    struct coil__group *group = tg->coil__state;
    if (!group)
        return exit_without_group(tg, rc);
    struct coil__task *task = coil__thread.task;
    if (!task || task != group->owner || coil__thread.driver)
        return coil__fail(COIL_ERUNTIME, "a task group is left by the task that entered it");
    if (group->outer || task->future.groups != group)
        forsake_dead_groups(task, __builtin_frame_address(0));
    rc = leave(group, rc);
    unlink_group(group);
    tg->coil__state = NULL;
    tg->coil__code = OVER;
    group_free(group);
    return rc;
}

/* The errors of tasks whose handles nobody keeps are reported as they go. */
void coil_task_group_leave(coil_task_group *tg)
{
    struct coil__group *group = tg->coil__state;
    struct coil__task *task = coil__thread.task;
    if (!group || !task || task != group->owner || coil__thread.driver)
        return;
    struct outcome cancellation = { 0 };
    group->exiting = true;
    if (!group->aborting && !(task->flags & COIL__TASK_CLOSING))
        abort_group(group, coil__reason_new(COIL_CANCEL_GROUP, task, NULL, NULL));
    (void)wait_for_children(group, &cancellation);
    bool ours = group->owner_cancelled && take_request_back(task);
    if (cancellation.code == COIL_ECANCELED && !ours)
        task->flags |= COIL__TASK_MUST_CANCEL; /* it was for what comes after the group */
    coil_unref(cancellation.error);
    unlink_group(group);
    tg->coil__state = NULL;
    tg->coil__code = OVER;
    group_free(group);
}
