/* Cancel scopes: code that is cancelled as a whole and stays cancelled until it is left; cleanup that a
 * cancellation does not reach; and the reason of a cancellation.
 *
 *     coil_cancel_scope session;
 *     COIL_TRY(coil_cancel_scope_enter(&session));
 *     server->session = &session;                 so that others can coil_cancel_scope_cancel it
 *     int rc = talk(client);
 *     COIL_SHIELDED(2, say_goodbye(client));      two seconds at most, cancelled or not
 *     rc = coil_cancel_scope_exit(&session, rc);  0 if somebody did
 *     char why[200];
 *     if (coil_cancel_scope_caught(&session))
 *         log_line("session ended early", coil_cancel_reason_text(NULL, why, sizeof why));
 *     return rc;
 *
 * A task that is cancelled by coil_task_cancel is told once: the next wait works again. In a cancelled
 * scope every call that would have to wait returns COIL_ECANCELED, after one turn, until the scope is
 * left. So code that overlooks one cancellation runs into the next. What need not wait succeeds.
 *
 * A scope holds for the task that entered it, and for the tasks of task groups that were entered in it.
 * Scopes nest, with timeouts and groups, too; exit gives the code back unless the cancellation was the scope's
 * own. docs/decisions/0004-cancel-scopes.md says how this goes together with asyncio's requests to cancel.
 *
 * What was entered must be left, on every way, by the same task, before the struct goes: no return and no
 * COIL_TRY in between. One that is forgotten is reported (COIL_EVENT_SCOPE_LEFT). Either make the body a
 * function of its own, as above, or declare the scope with COIL_SCOPED. */
#ifndef COIL_CANCEL_H
#define COIL_CANCEL_H

#include <coil/timeout.h>

COIL_BEGIN_DECLS

/* A scope, in your memory: usually a local, or part of what others end by it. All members are private. It
 * stays where it is between enter and exit, and may be entered again afterwards. */
typedef struct coil_cancel_scope {
    coil_timeout coil__limit;
    struct coil__reason *coil__reason; /* cancelled: why */
    struct coil__reason *coil__held;   /* of the latest request that waits for the end */
    unsigned short coil__requests;     /* how many do */
    bool coil__cancelled;
    bool coil__shielded;
} coil_cancel_scope;

/* For a scope that other code may cancel before it is entered, which then does nothing, and for
 * COIL_SCOPED; coil_cancel_scope_enter does not need it. */
#define COIL_CANCEL_SCOPE_INIT                                                                     \
    {                                                                                              \
        COIL_TIMEOUT_INIT, NULL, NULL, 0, false, false                                             \
    }

/**
 * Begins a scope; with _after, one that is cancelled by itself so many seconds later.
 *
 * @param scope  uninitialised, or left; borrowed until coil_cancel_scope_exit
 * @param delay  seconds; COIL_NO_TIMEOUT: no limit
 *
 * Returns   0, or
 *           COIL_ENOTASK   not inside a task
 *           COIL_EINVAL    not a number
 *           COIL_ENOMEM    there is no memory for the timer
 *           COIL_ECLOSING  the loop is being closed
 *           After a failure nothing was entered, and coil_cancel_scope_exit is not called
 * Suspends  never
 * Thread    the loop's, in a task
 * Python    none (Trio: with CancelScope)
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_cancel_scope_enter(coil_cancel_scope *scope);
COIL_API COIL_MUST_USE int coil_cancel_scope_enter_after(coil_cancel_scope *scope, double delay);

/**
 * Begins a section of cleanup: waits in it work although a scope around it is cancelled, and a request to
 * cancel the task comes after it. coil_cancel_scope_exit ends it. It has a limit, after which it is
 * itself a cancelled scope: cleanup may take a while, but not for ever.
 *
 * A request that comes meanwhile (or was due, but not delivered) counts at once, and is delivered by the
 * first wait after the section. Timeouts and groups inside work as ever. Closing the loop is not held up:
 * COIL_ECLOSING comes through.
 *
 * @param scope  as for coil_cancel_scope_enter
 * @param limit  seconds; COIL_NO_TIMEOUT if you must, and what cannot end will not
 *
 * Returns   as coil_cancel_scope_enter
 * Suspends  never
 * Thread    the loop's, in a task
 * Python    none (Trio: CancelScope(shield=True))
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_cancel_scope_enter_shielded(coil_cancel_scope *scope, double limit);

COIL_API COIL_MUST_USE int coil__cancel_scope_enter(coil_cancel_scope *scope, double delay,
                                                    bool shielded,
                                                    COIL_NULLABLE const coil_place *place);
/* These note where they stand, for coil_cancel_reason. */
#define coil_cancel_scope_enter(scope)                                                             \
    coil__cancel_scope_enter(scope, COIL_NO_TIMEOUT, false, COIL_HERE)
#define coil_cancel_scope_enter_after(scope, delay)                                                \
    coil__cancel_scope_enter(scope, delay, false, COIL_HERE)
#define coil_cancel_scope_enter_shielded(scope, limit)                                             \
    coil__cancel_scope_enter(scope, limit, true, COIL_HERE)

/* Evaluates a call of cleanup in a shielded section: what it returns, or COIL_ETIMEDOUT if the limit ended
 * it. The call is made in any case: unshielded if there is no memory, or outside tasks. */
#define COIL_SHIELDED(limit, call)                                                                 \
    __extension__({                                                                                \
        coil_cancel_scope coil_shielded_;                                                          \
        bool coil_is_shielded_ = coil_cancel_scope_enter_shielded(&coil_shielded_, limit) == 0;    \
        int coil_shielded_rc_ = (int)(call);                                                       \
        coil_is_shielded_ ? coil_cancel_scope_exit(&coil_shielded_, coil_shielded_rc_)             \
                          : coil_shielded_rc_;                                                     \
    })

/**
 * Cancels a scope: from now on every wait in it fails, what waits now is taken back, until it is left.
 * What had ended already keeps its result. Not counted by coil_task_cancelling.
 *
 * @param scope    entered, or COIL_CANCEL_SCOPE_INIT, or left
 * @param message  copied; goes with the error, and with the reason; NULL: none
 *
 * Returns   true; false if the scope is not entered, or was cancelled before, whose reason it keeps
 * Suspends  never
 * Thread    the loop's; any task or callback
 * Python    none (Trio: CancelScope.cancel)
 * Since     0.1
 */
COIL_API bool coil_cancel_scope_cancel(coil_cancel_scope *scope, COIL_NULLABLE const char *message);
COIL_API bool coil__cancel_scope_cancel(coil_cancel_scope *scope, COIL_NULLABLE const char *message,
                                        COIL_NULLABLE const coil_place *place);
#define coil_cancel_scope_cancel(scope, message)                                                   \
    coil__cancel_scope_cancel(scope, message, COIL_HERE)

/**
 * Moves the limit of a scope or section, either way, or removes it, before it is cancelled.
 *
 * @param when  seconds on the clock of coil_loop_time; in the past: at the next wait; COIL_NO_TIMEOUT:
 *              no limit any more
 *
 * Returns   0, or
 *           COIL_ERUNTIME  it is not entered, or is cancelled
 *           COIL_EINVAL    not a number
 *           COIL_ENOMEM    the limit is where it was
 * Suspends  never
 * Thread    the loop's
 * Python    none (Trio: CancelScope.deadline)
 * Since     0.1
 */
COIL_API int coil_cancel_scope_reschedule(coil_cancel_scope *scope, double when);
COIL_API int coil__cancel_scope_reschedule(coil_cancel_scope *scope, double when,
                                           COIL_NULLABLE const coil_place *place);
#define coil_cancel_scope_reschedule(scope, when)                                                  \
    coil__cancel_scope_reschedule(scope, when, COIL_HERE)

/**
 * Ends a scope or section.
 *
 * @param rc  what the body ended with
 *
 * Returns   rc, but
 *           0               in place of a COIL_ECANCELED that was this scope's own: the scope is cancelled,
 *                           none around it is, and nobody has asked for the task to be cancelled since it was
 *                           entered. coil_cancel_scope_caught says so
 *           COIL_ETIMEDOUT  the same for a shielded section, whatever is around it: its limit, or a call
 *                           of coil_cancel_scope_cancel, has ended the cleanup
 *           COIL_ERUNTIME   in place of 0 or a count: it was not entered, or has been left
 * Suspends  never
 * Thread    the loop's, in the task that entered it
 * Python    none (Trio: CancelScope.__exit__)
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_cancel_scope_exit(coil_cancel_scope *scope, int rc);

/**
 * cancelled: whether the scope was cancelled, by its limit or by a call, though its body need not have
 * noticed. caught: whether exit took a cancellation away, so that what the body should have done is not done.
 *
 * Returns   the answer; of caught, after coil_cancel_scope_exit
 * Suspends  never
 * Thread    the loop's
 * Python    none (Trio: CancelScope.cancel_called, cancelled_caught)
 * Since     0.1
 */
COIL_API bool coil_cancel_scope_cancelled(const coil_cancel_scope *scope);
COIL_API bool coil_cancel_scope_caught(const coil_cancel_scope *scope);

/* ---- reasons ------------------------------------------------------------------------------------ */

typedef enum coil_cancel_kind {
    COIL_CANCEL_NONE,      /* not cancelled, or nobody knows */
    COIL_CANCEL_EXPLICIT,  /* by a call: of coil_task_cancel, coil_cancel_scope_cancel... */
    COIL_CANCEL_DEADLINE,  /* a limit was reached */
    COIL_CANCEL_GROUP,     /* a task of its group failed, or the group's block did */
    COIL_CANCEL_SHUTDOWN,  /* run cancels what is left */
    COIL_CANCEL_INTERRUPT, /* SIGINT, SIGTERM */
    COIL_CANCEL_CLOSING,   /* the loop is being closed: COIL_ECLOSING */
} coil_cancel_kind;

/* Why something was cancelled. The texts are lent until it is cancelled again, or goes. */
typedef struct coil_cancel_info {
    size_t size; /* sizeof(coil_cancel_info) */
    coil_cancel_kind kind;
    const char *who;  /* the task that asked, that set the limit, or that failed; "": none */
    const char *file; /* where: the call, the limit, the failure; "": unknown */
    int line;
    const char *message; /* "": none */
    int code;            /* GROUP: the error */
} coil_cancel_info;
#define COIL_CANCEL_INFO_INIT                                                                      \
    {                                                                                              \
        sizeof(coil_cancel_info), COIL_CANCEL_NONE, "", "", 0, "", 0                               \
    }

/**
 * Why the latest cancellation came: ask when a call has returned COIL_ECANCELED. Of a future or task, also
 * when it is done. Without memory at the time, the kind is all that is known.
 *
 * @param future    NULL: the running task
 * @param info_out  COIL_CANCEL_INFO_INIT; receives as much as its size says
 *
 * Returns   true; false if there was no cancellation: kind is COIL_CANCEL_NONE
 * Suspends  never
 * Thread    the loop's
 * Python    none (Trio: the reason of Cancelled)
 * Since     0.1
 */
COIL_API bool coil_cancel_reason(COIL_NULLABLE const coil_future *future,
                                 coil_cancel_info *info_out);

/**
 * The same in words, such as "cancelled by sweeper at pool.c:120: idle for too long".
 *
 * @param text  receives the text, cut off if need be
 * @param room  bytes of it, at least 1
 *
 * Returns   text
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API const char *coil_cancel_reason_text(COIL_NULLABLE const coil_future *future, char *text,
                                             size_t room);

/* ---- leaving on return -------------------------------------------------------------------------- */

/* Declares a coil_cancel_scope, coil_timeout or coil_task_group that is left when its name goes out of
 * scope, also by return and COIL_TRY:
 *
 *     COIL_SCOPED(coil_cancel_scope) scope = COIL_CANCEL_SCOPE_INIT;
 *     COIL_TRY(coil_cancel_scope_enter_after(&scope, 5));
 *     COIL_TRY(step_one());
 *     COIL_TRY(step_two());
 *     return coil_cancel_scope_exit(&scope, 0);
 *
 * C cannot change the value that a return gives. So on an early one nothing is translated: a COIL_ECANCELED
 * that was the scope's own, or a timeout's, goes to the caller as it is, not as 0 or COIL_ETIMEDOUT. The
 * tasks of a group are cancelled and waited for, and what they fail with goes to the exception handler.
 * Where the caller has to tell these apart, pass the code through exit. It must be initialised, and does not
 * hold across longjmp. In C++ a destructor is the better way. */
#define COIL_SCOPED(type) __attribute__((cleanup(type##_leave))) type

/**
 * What COIL_SCOPED calls: exit without a code to pass on. Does nothing to what is not entered.
 *
 * Suspends  never
 * Thread    the loop's, in the task that entered
 * Python    none
 * Since     0.1
 */
COIL_API void coil_cancel_scope_leave(coil_cancel_scope *scope);
COIL_API void coil_timeout_leave(coil_timeout *timeout);

COIL_END_DECLS

#endif
