/* Timeouts: a limit on how long a stretch of code may take.
 *
 *     coil_timeout limit;
 *     COIL_TRY(coil_timeout_enter(&limit, 5));
 *     int rc = answer(request);               a function of yours, which waits here and there
 *     rc = coil_timeout_exit(&limit, rc);     COIL_ETIMEDOUT, if that took five seconds
 *
 * The same for a single call in one line, and for one awaitable:
 *
 *     COIL_TRY(COIL_TIMEOUT(5, answer(request)));
 *     COIL_TRY(coil_wait_for(task, 5, &value));          see <coil/wait.h>
 *
 * When time is up the task is cancelled: the call in which it waits returns COIL_ECANCELED, the body
 * cleans up and hands the code to exit, and exit turns it into COIL_ETIMEDOUT. A body that does not wait
 * is not interrupted. A cancellation by somebody else goes through as it is, and wins if both come.
 * Limits may be nested; each takes its own cancellation only.
 *
 * What was entered must be left, on every way: no return and no COIL_TRY in between, or a timer stays
 * behind in memory that is gone (reported as COIL_EVENT_SCOPE_LEFT when the task next enters or leaves a
 * limit or cancel scope, or ends; until then the program writes over it). That is why the body is a function of its own here. There is no macro
 * that opens a block on purpose: it could take the timer down when you return from inside, but not give
 * your caller COIL_ETIMEDOUT. COIL_TIMEOUT takes a call, which cannot return past it. */
#ifndef COIL_TIMEOUT_H
#define COIL_TIMEOUT_H

#include <math.h>
#include <coil/base.h>

COIL_BEGIN_DECLS

#define COIL_NO_TIMEOUT INFINITY

/* A limit, in your memory: usually a local of the function that enters it. All members are private. It
 * stays where it is between enter and exit, and may be entered again afterwards. */
typedef struct coil_timeout {
    uint64_t coil__timer[6];
    void *coil__task; /* the one that entered; borrowed until exit */
    void *coil__link;
    struct coil_timeout *coil__outer; /* entered before it, by the same task */
    const coil_place *coil__place;    /* where the limit was set */
    uintptr_t coil__check;
    int coil__cancels; /* requests that were open when it was entered */
    unsigned char coil__kind;
    unsigned char coil__state;
    bool coil__caught;
} coil_timeout;

/* For a limit that may be asked before it is entered; coil_timeout_enter does not need it. */
#define COIL_TIMEOUT_INIT                                                                          \
    {                                                                                              \
        { 0 }, NULL, NULL, NULL, NULL, 0, 0, 0, 0, false                                           \
    }

/**
 * Begins a stretch of code that may take a while but not longer: so many seconds from now, or until a
 * time of the loop's clock. A limit that is over already cancels at the first wait, not before.
 *
 * @param timeout  uninitialised, or left; borrowed until coil_timeout_exit
 * @param delay    seconds; when: seconds on the clock of coil_loop_time. COIL_NO_TIMEOUT: no limit
 *
 * Returns   0, or
 *           COIL_ENOTASK   not inside a task
 *           COIL_EINVAL    not a number
 *           COIL_ENOMEM    there is no memory for the timer
 *           COIL_ECLOSING  the loop is being closed
 *           After a failure nothing was entered, and coil_timeout_exit is not called
 * Suspends  never
 * Thread    the loop's, in a task
 * Python    async with asyncio.timeout, asyncio.timeout_at
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_timeout_enter(coil_timeout *timeout, double delay);
COIL_API COIL_MUST_USE int coil_timeout_at_enter(coil_timeout *timeout, double when);
COIL_API COIL_MUST_USE int coil__timeout_enter(coil_timeout *timeout, double delay,
                                               COIL_NULLABLE const coil_place *place);
COIL_API COIL_MUST_USE int coil__timeout_at_enter(coil_timeout *timeout, double when,
                                                  COIL_NULLABLE const coil_place *place);
/* These note where they stand, for coil_cancel_reason. */
#define coil_timeout_enter(timeout, delay)   coil__timeout_enter(timeout, delay, COIL_HERE)
#define coil_timeout_at_enter(timeout, when) coil__timeout_at_enter(timeout, when, COIL_HERE)

/**
 * Ends the stretch of code. The timer is gone when this returns.
 *
 * @param rc  what the body ended with
 *
 * Returns   rc, but
 *           COIL_ETIMEDOUT  in place of a COIL_ECANCELED that this limit is the only cause of; the record
 *                           has the cancellation as its cause
 *           COIL_ERUNTIME   in place of 0 or a count: it was not entered, or has been left
 *           A body that expired and ended with 0 or another error all the same keeps that
 * Suspends  never
 * Thread    the loop's, in the task that entered it
 * Python    asyncio.Timeout.__aexit__
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_timeout_exit(coil_timeout *timeout, int rc);

/* A call with a limit: what it returns, or COIL_ETIMEDOUT, or why the limit could not be entered. The
 * call is not made in that last case.
 *
 *     COIL_TRY(COIL_TIMEOUT(0.5, coil_sock_connect(fd, address, length)));
 */
#define COIL_TIMEOUT(delay, call)          COIL__TIMEOUT(delay, call, __COUNTER__)
#define COIL__TIMEOUT(delay, call, number) COIL__TIMEOUT_AS(delay, call, number)
/* The names are numbered, because the call may be a COIL_TIMEOUT itself, and -Wshadow would complain. */
#define COIL__TIMEOUT_AS(delay, call, number)                                                      \
    __extension__({                                                                                \
        coil_timeout coil_timeout_##number;                                                        \
        int coil_timeout_rc_##number = coil_timeout_enter(&coil_timeout_##number, delay);          \
        if (coil_timeout_rc_##number == 0)                                                         \
            coil_timeout_rc_##number = coil_timeout_exit(&coil_timeout_##number, (int)(call));     \
        coil_timeout_rc_##number;                                                                  \
    })

/**
 * A limit that is no error: what is not done in time is left undone.
 *
 *     coil_timeout limit;
 *     bool cut_short;
 *     COIL_TRY(coil_move_on_after_enter(&limit, 0.2));
 *     int rc = look_for_updates();
 *     COIL_TRY(coil_move_on_after_exit(&limit, rc, &cut_short));
 *
 * @param timeout  as for coil_timeout_enter; one entered with coil_timeout_at_enter may be left this way,
 *                 too
 * @param delay    seconds; COIL_NO_TIMEOUT: no limit
 * @param rc       what the body ended with
 * @param cut_out  NULL, or receives whether the limit cut the body short
 *
 * Returns   enter: as coil_timeout_enter. exit: 0 where coil_timeout_exit says COIL_ETIMEDOUT; everything
 *           else as it does
 * Suspends  never
 * Thread    the loop's, in a task
 * Python    none (Trio: move_on_after)
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_move_on_after_enter(coil_timeout *timeout, double delay);
#define coil_move_on_after_enter(timeout, delay) coil__timeout_enter(timeout, delay, COIL_HERE)
COIL_API COIL_MUST_USE int coil_move_on_after_exit(coil_timeout *timeout, int rc,
                                                   COIL_NULLABLE bool *cut_out);

/**
 * When the limit is, or was, reached.
 *
 * Returns   seconds on the loop's clock; COIL_NO_TIMEOUT if there is no limit
 * Suspends  never
 * Thread    the loop's
 * Python    Timeout.when
 * Since     0.1
 */
COIL_API double coil_timeout_when(const coil_timeout *timeout);

/**
 * Moves the limit, either way, or removes it. Only between enter and exit, and before it expires.
 *
 * @param when  seconds on the clock of coil_loop_time; in the past: expires at the next wait;
 *              COIL_NO_TIMEOUT: no limit any more
 *
 * Returns   0, or
 *           COIL_ERUNTIME  it was not entered, has expired, or has been left
 *           COIL_EINVAL    not a number
 *           COIL_ENOMEM    the limit is where it was
 * Suspends  never
 * Thread    the loop's
 * Python    Timeout.reschedule
 * Since     0.1
 */
COIL_API int coil_timeout_reschedule(coil_timeout *timeout, double when);

/**
 * expired: whether time was up before the body had ended. caught: whether the COIL_ETIMEDOUT of
 * coil_timeout_exit was this limit's own, not one that came from inside.
 *
 * Returns   the answer; of caught, after coil_timeout_exit or coil_move_on_after_exit
 * Suspends  never
 * Thread    the loop's
 * Python    Timeout.expired (Trio: CancelScope.cancelled_caught)
 * Since     0.1
 */
COIL_API bool coil_timeout_expired(const coil_timeout *timeout);
COIL_API bool coil_timeout_caught(const coil_timeout *timeout);

COIL_END_DECLS

#endif
