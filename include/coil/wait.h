/* Waiting for several things, or not for long: gather, wait, as_completed, wait_for, shield.
 *
 *     coil_value parts[2];
 *     COIL_TRY(coil_gather(parts, query("a"), query("b")));
 *
 *     coil_value answer;
 *     COIL_TRY(coil_wait_for(query("c"), 2.5, &answer));
 *     ...
 *     coil_value_clear(&answer);
 *
 * gather fails with the first error and lets the others run on, so what the others were given pointers to must
 * outlive them, not just this call: a task group (<coil/group.h>) ends with all its children. coil_gather_collect waits for all and
 * puts errors among the results. coil_wait raises nothing and cancels nothing. as_completed hands over
 * what is done as soon as it is. wait_for gives up after a time, and shield keeps what it waits for from
 * being given up with it. */
#ifndef COIL_WAIT_H
#define COIL_WAIT_H

#include <coil/coro.h>
#include <coil/future.h>
#include <coil/timeout.h>

COIL_BEGIN_DECLS

/* An array of awaitables, as a parameter takes it: of coroutines, of tasks or futures, or of void pointers
 * to any of them. In C++ it is the last of these, and a macro converts the others. */
#ifdef __cplusplus
typedef void *const *coil_awaitables;
#else
typedef union coil_awaitables {
    void *const *any;
    coil_future *const *futures;
    coil_coro *const *coroutines;
} __attribute__((transparent_union)) coil_awaitables;
#endif

/* ---- gather ------------------------------------------------------------------------------------- */

enum {
    COIL_GATHER_COLLECT = 1, /* errors become results of kind COIL_ERROR (return_exceptions=True) */
};

/**
 * Runs awaitables side by side and waits for all of them. Coroutines become tasks, in the order of the
 * arguments. The same object may be given twice.
 *
 *     COIL_TRY(coil_gather(results, a, b, c));              fails with the first error
 *     COIL_TRY(coil_gather_collect(results, a, b, c));      collects errors as results
 *
 * @param results  NULL, or as many values as there are awaitables, filled in their order on success.
 *                 Results of coroutines given here, and collected errors, are yours; those of
 *                 futures are views. Clearing every one of them is always right
 * @param ...      coroutines are consumed, also on failure; futures, tasks and coil_awaitables are
 *                 borrowed. NULL fails with COIL_ENOMEM. At most ten; for more, coil_gather_array
 * @param awaitables  coroutines, tasks or futures, or void pointers to any of them
 * @param count    0: done at once
 *
 * Returns   0, the first error of any (the others run on; their errors are not reported), or
 *           COIL_ECANCELED   this task was cancelled: the children have been asked to stop, but may
 *                            not have ended; or a child was cancelled on its own
 *           COIL_ENOMEM, COIL_ENOTASK, COIL_EWRONGLOOP
 * Suspends  unless all are done already
 * Cancel    cancels all children that are not done
 * Thread    the loop's, in a task
 * Python    asyncio.gather
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_gather_array(COIL_NULLABLE coil_value *results,
                                                coil_awaitables awaitables, size_t count,
                                                unsigned flags);
#ifdef __cplusplus
#define coil_gather_array(results, awaitables, count, flags)                                       \
    coil_gather_array(results, (coil_awaitables)(awaitables), count, flags)
#endif
#define coil_gather(results, ...)         COIL__GATHER(results, 0, __VA_ARGS__)
#define coil_gather_collect(results, ...) COIL__GATHER(results, COIL_GATHER_COLLECT, __VA_ARGS__)
#define COIL__GATHER(results, flags, ...)                                                          \
    coil_gather_array(                                                                             \
        results, (void *[]){ COIL__LIST(COIL__AWAITABLE, __VA_ARGS__) },                           \
        sizeof((void *[]){ COIL__LIST(COIL__AWAITABLE, __VA_ARGS__) }) / sizeof(void *), flags)

/**
 * The future behind gather: to await later, to give to another gather, to cancel. Its result is a list.
 *
 * @param loop        NULL: the running one, or that of the first future among the awaitables
 * @param awaitables  as for coil_gather; futures are kept until the gathering is done
 * @param count       0: the future is done at once, with an empty list
 *
 * Returns   one reference; NULL: COIL_ENOMEM, COIL_ENOLOOP, COIL_EWRONGLOOP, COIL_EREUSED
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.gather, without await
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_future *coil_gather_future(COIL_NULLABLE coil_loop *loop,
                                                                  coil_awaitables awaitables,
                                                                  size_t count, unsigned flags);
#ifdef __cplusplus
#define coil_gather_future(loop, awaitables, count, flags)                                         \
    coil_gather_future(loop, (coil_awaitables)(awaitables), count, flags)
#endif

/* ---- wait --------------------------------------------------------------------------------------- */

typedef enum coil_return_when {
    COIL_ALL_COMPLETED,
    COIL_FIRST_COMPLETED,
    COIL_FIRST_EXCEPTION, /* at the first error; a cancelled one does not count; else all */
} coil_return_when;

/**
 * Waits until all, or the first, of some futures are done. Errors stay in the futures, a timeout is no
 * error, and nothing is cancelled. Which are done, coil_future_done tells.
 *
 * @param futures   borrowed, at least one; may have duplicates
 * @param timeout   seconds, or COIL_NO_TIMEOUT
 *
 * Returns   how many are done, or
 *           COIL_EINVAL     no futures, an unknown condition
 *           COIL_ETYPE      one is no future
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_EWRONGLOOP, COIL_ENOMEM
 * Suspends  always, also if all are done
 * Cancel    leaves the futures alone
 * Thread    the loop's, in a task
 * Python    asyncio.wait
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_wait(coil_future *const *futures, size_t count, double timeout,
                                        coil_return_when when);

/* ---- as_completed ------------------------------------------------------------------------------- */

/* An iteration, in your memory; its member is private.
 *
 *     coil_as_completed turns;
 *     coil_task *task;
 *     int rc;
 *     COIL_TRY(coil_as_completed_init(&turns, tasks, count, 10));
 *     while ((rc = coil_as_completed_next(&turns, &task)) == 0)
 *         show(task);
 *     coil_as_completed_fini(&turns);
 *     return rc == COIL_EEND ? 0 : rc; */
typedef struct coil_as_completed {
    struct coil__arrivals *coil__arrivals;
} coil_as_completed;

/**
 * Begins to hand over awaitables in the order in which they end. Coroutines become tasks, in the order of
 * the arguments. What is given twice is handed over once.
 *
 * @param iterator    uninitialised; end it with coil_as_completed_fini
 * @param awaitables  coroutines, tasks or futures, or void pointers to any of them. Coroutines are
 *                    consumed, also on failure; the others are kept until fini
 * @param count       0: there is nothing to hand over
 * @param timeout     seconds from now for all of them together, or COIL_NO_TIMEOUT
 *
 * Returns   0, or
 *           COIL_EINVAL  the timeout is not a number, or a future is another loop's
 *           COIL_ENOLOOP, COIL_ENOMEM, COIL_EREUSED. After a failure there is nothing to end
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.as_completed
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_as_completed_init(coil_as_completed *iterator,
                                                  coil_awaitables awaitables, size_t count,
                                                  double timeout);
#ifdef __cplusplus
#define coil_as_completed_init(iterator, awaitables, count, timeout)                               \
    coil_as_completed_init(iterator, (coil_awaitables)(awaitables), count, timeout)
#endif

/**
 * Waits for the next one: the very task or future that was given, or the task that was made of a
 * coroutine, done.
 *
 * @param future_out  receives it, lent until coil_as_completed_fini: coil_ref it to keep it. It may have
 *                    failed: coil_future_result tells, and counts as having looked
 *
 * Returns   0, or
 *           COIL_EEND       all have been handed over
 *           COIL_ETIMEDOUT  time is up: said once for each that was not done in time, which runs on, after
 *                           all that were
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_EWRONGLOOP, COIL_ECLOSING
 * Suspends  if none that was not handed over yet is done
 * Cancel    loses nothing: the next call hands over what this one would have
 * Thread    the loop's, in a task; several may take turns
 * Python    async for task in asyncio.as_completed(...)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_as_completed_next(coil_as_completed *iterator,
                                                                   coil_future **future_out);

/**
 * Ends an iteration, finished or not. What has not ended runs on. A task that still waits in
 * coil_as_completed_next is told COIL_EEND.
 *
 * @param iterator  one that could not be begun is fine, and so is ending it twice
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_as_completed_fini(coil_as_completed *iterator);

/* ---- wait_for ----------------------------------------------------------------------------------- */

/**
 * Waits for an awaitable, but not for longer than a time: then it is cancelled, and when it has ended, this
 * fails. A coroutine runs here, in this task, as with coil_await. What swallows the cancellation and ends
 * with a value or another error has its way.
 *
 * @param awaitable  as for coil_await; consumed if it is a coroutine, also on failure
 * @param timeout    seconds, or COIL_NO_TIMEOUT. 0 and below: a coroutine does not begin, and only what
 *                   is done already has a result
 * @param value_out  NULL, or receives the result: of a coroutine it is yours; of a future a view, good as
 *                   long as you hold the future. Untouched on failure
 *
 * Returns   0, what coil_await returns, or
 *           COIL_ETIMEDOUT  time was up
 *           COIL_EINVAL     the timeout is not a number
 *           COIL_ENOMEM     there is no memory for the timer
 * Suspends  as coil_await; with a timeout of 0 or below, unless it is done
 * Cancel    cancels what is awaited, and waits until it has ended (with a timeout of 0 or below does not
 *           wait); coil_shield spares it
 * Thread    the loop's, in a task
 * Python    asyncio.wait_for
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_wait_for(void *awaitable, double timeout,
                                                          COIL_NULLABLE coil_value *value_out);
#ifndef __cplusplus
#define coil_wait_for(awaitable, timeout, value_out)                                               \
    coil_wait_for(COIL__AWAITABLE(awaitable), timeout, value_out)
#endif

/* ---- ending a task ------------------------------------------------------------------------------ */

/**
 * Cancels a task and waits until it has ended, cleanup included: what asyncio programs write as
 * `task.cancel()` and an `await` that suppresses CancelledError, but without swallowing a cancellation of
 * the caller.
 *
 *     coil_task *ticker = coil_create_task(tick());
 *     int rc = work();
 *     int ended = coil_cancel_and_wait(ticker, NULL);
 *     coil_unref(ticker);
 *     return rc < 0 ? rc : ended;
 *
 * @param task     borrowed; a plain future or a gathering is fine, too. NULL, as a constructor gives when it
 *                 fails: there is nothing to end, and this returns 0
 * @param message  copied; goes with the error that the task sees; NULL: none
 *
 * Returns   0, whether the task ended cancelled or with a result; the error that it failed with; or
 *           COIL_ECANCELED  this task was cancelled while it waited; the other has ended all the same, and
 *                           an error of its own is reported when it goes
 *           COIL_ECLOSING   the loop is being closed
 *           COIL_ESELFWAIT, COIL_EWRONGLOOP, COIL_ENOTASK  and nothing was cancelled
 * Suspends  unless the task has ended already
 * Cancel    goes on waiting: nothing is left behind. The task is not asked a second time
 * Thread    the loop's, in a task
 * Python    task.cancel(); await task
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_cancel_and_wait(COIL_NULLABLE coil_task *task,
                                                   COIL_NULLABLE const char *message);

/* ---- shield ------------------------------------------------------------------------------------- */

/**
 * Waits for an awaitable without passing a cancellation on to it: the caller is cancelled, at once, and
 * the work goes on.
 *
 * @param awaitable  a coroutine becomes a task (and is consumed, also on failure); a future or task is
 *                   borrowed; a coil_awaitable of your own must live until it has ended
 * @param value_out  NULL, or receives the result: of a coroutine it is yours; of a future a view, good as
 *                   long as you hold the future. Untouched on failure
 *
 * Returns   0, the awaitable's error (COIL_ECANCELED if it is cancelled itself), or
 *           COIL_ECANCELED  this task was cancelled
 *           COIL_ENOTASK, COIL_ENOMEM, COIL_EREUSED, COIL_ECLOSING
 * Suspends  unless it is done
 * Cancel    what is awaited goes on
 * Thread    the loop's, in a task
 * Python    await asyncio.shield(...)
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_shield(void *awaitable,
                                                        COIL_NULLABLE coil_value *value_out);

/**
 * The future behind shield: to hand to coil_wait_for or gather, or to cancel. It ends as the awaitable does,
 * one turn later, and its own cancellation goes no further.
 *
 * @param awaitable  as for coil_shield. A future is kept until one of the two is done
 *
 * Returns   one reference; of a future that is done, to that future itself. NULL: COIL_ENOMEM, COIL_ENOLOOP,
 *           COIL_EREUSED (coil_error_last says)
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.shield, without await
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_future *coil_shield_future(void *awaitable);
#ifndef __cplusplus
#define coil_shield(awaitable, value_out) coil_shield(COIL__AWAITABLE(awaitable), value_out)
#define coil_shield_future(awaitable)     coil_shield_future(COIL__AWAITABLE(awaitable))
#endif

COIL_END_DECLS

#endif
