/* Waiting for several things: gather, wait.
 *
 *     coil_value parts[2];
 *     COIL_TRY(coil_gather(parts, query("a"), query("b")));
 *
 * gather fails with the first error and lets the others run on; coil_gather_collect waits for all and
 * puts errors among the results. coil_wait raises nothing and cancels nothing. */
#ifndef COIL_WAIT_H
#define COIL_WAIT_H

#include <math.h>
#include <coil/coro.h>
#include <coil/future.h>

COIL_BEGIN_DECLS

#define COIL_NO_TIMEOUT INFINITY

/* ---- gather ------------------------------------------------------------------------------------- */

enum {
    COIL_GATHER_COLLECT = 1, /* errors become results of kind COIL_ERROR (return_exceptions=True) */
};

/**
 * Runs awaitables side by side and waits for all of them. Coroutines become tasks, in the order of the
 * arguments. The same object may be given twice.
 *
 *     coil_gather(results, a, b, c)              fails with the first error
 *     coil_gather_collect(results, a, b, c)      collects errors as results
 *
 * @param results  NULL, or as many values as there are awaitables, filled in their order on success.
 *                 Results of coroutines given here, and collected errors, are yours; those of
 *                 futures are views. Clearing every one of them is always right
 * @param ...      coroutines are consumed, also on failure; futures, tasks and coil_awaitables are
 *                 borrowed. NULL fails with COIL_ENOMEM. At most ten; for more, coil_gather_array
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
                                                void *const *awaitables, size_t count,
                                                unsigned flags);
#define coil_gather(results, ...)         COIL__GATHER(results, 0, __VA_ARGS__)
#define coil_gather_collect(results, ...) COIL__GATHER(results, COIL_GATHER_COLLECT, __VA_ARGS__)
#define COIL__GATHER(results, flags, ...)                                                          \
    coil_gather_array(results,                                                                     \
                      (void *[]){ COIL__LIST(COIL__AWAITABLE, __VA_ARGS__) },                      \
                      sizeof((void *[]){ COIL__LIST(COIL__AWAITABLE, __VA_ARGS__) }) /             \
                          sizeof(void *),                                                          \
                      flags)

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
                                                                  void *const *awaitables,
                                                                  size_t count, unsigned flags);

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

COIL_END_DECLS

#endif
