/* Timeouts, inside the library. The public half is <coil/timeout.h>.
 *
 * A coil_timeout is also the first part of a coil_cancel_scope: both are limits. Those that a task has entered
 * form a chain, the latest first. */
#ifndef COIL_STRUCTURE_TIMEOUT_H
#define COIL_STRUCTURE_TIMEOUT_H

#include <coil/timeout.h>
#include "platform/stack.h"
#include "tasks/task.h"

/* coil_timeout.coil__state */
enum coil__limit_state {
    COIL__LIMIT_CREATED, /* as in memory full of zeros */
    COIL__LIMIT_ENTERED,
    COIL__LIMIT_EXPIRING, /* has cancelled the task or scope, which is still inside */
    COIL__LIMIT_EXPIRED,
    COIL__LIMIT_EXITED,
};

/* coil_timeout.coil__kind */
enum coil__limit_kind {
    COIL__LIMIT_TIMEOUT,
    COIL__LIMIT_SCOPE
};

/* Takes the record of the cancellation that has just been returned out of the chain: it is dealt with. */
coil_error *coil__take_cancellation(void);

/* Raises COIL_ETIMEDOUT, with the cancellation that has just been returned as its cause. */
int coil__timed_out(void);

/* The part of enter and exit that timeouts and scopes share. here: an address in the frame of the public call;
 * what was entered and lies below has been left behind. */
int coil__limit_enter(coil_timeout *limit, double delay, COIL_NULLABLE const coil_place *place,
                      uintptr_t here);
void coil__limit_leave(coil_timeout *limit, uintptr_t here);

/* Another place where the limit was set. */
void coil__limit_set_place(coil_timeout *limit, COIL_NULLABLE const coil_place *place);

/* Takes the timer of an entered limit down: it never comes. */
void coil__limit_disarm(coil_timeout *limit, coil_loop *loop);

/* The stack that the task runs on will not be used any more: reports what was entered on it and not left. */
void coil__limits_forsake_stack(struct coil__task *task);

/* A generator's body is left for its consumer's: takes the timeouts that it has entered out of the task's chain.
 * False: there is a cancel scope among them. */
bool coil__limits_left_on(struct coil__task *task, const struct coil__stack *stack);

/* ---- what the chain of scopes makes of it (cancel_scope.c) ---- */

/* Time is up for a scope; coil__thread.reason says so. */
void coil__cancel_scope_expired(coil_timeout *limit);

/* A scope was left without exit: gives up what it holds. */
void coil__cancel_scope_forsake(struct coil__task *task, coil_timeout *limit);

/* The chain has changed: finds out whether the task is in a cancelled scope. */
void coil__task_look_at_scopes(struct coil__task *task);

int coil__task_requests_seen(const struct coil__task *task);

/* Open requests to cancel the task, without those that a shielded section keeps for later. */
static inline int coil__task_requests(const struct coil__task *task)
{
    return COIL_UNLIKELY(task->future.limits != NULL) ? coil__task_requests_seen(task)
                                                      : task->cancels;
}

#endif
