/* Futures: a result that comes later. Tasks are futures, too; every call here takes a task.
 *
 *     coil_future *answer = coil_create_future(NULL);
 *     ask_somebody(answer);                  who calls coil_future_set_result(answer, ...)
 *     coil_value value;
 *     COIL_TRY(coil_await(answer, &value));
 *     coil_unref(answer);
 *
 * A future is completed once: with a result, with an error, or by being cancelled. Its callbacks, and
 * the tasks that wait for it, are queued in that moment, in the order in which they came. */
#ifndef COIL_FUTURE_H
#define COIL_FUTURE_H

#include <coil/base.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

/* 0, or a negative code for the loop's exception handler. Must not suspend. */
typedef int (*coil_done_callback)(coil_future *future, void *arg);

/**
 * Makes a future.
 *
 * @param loop  NULL: the running one
 *
 * Returns   one reference; NULL: COIL_ENOMEM, COIL_ENOLOOP or COIL_ECLOSED (coil_error_last says)
 * Suspends  never
 * Thread    the loop's
 * Python    loop.create_future
 * Since     0.1
 */
COIL_API COIL_OWNED coil_future *coil_create_future(COIL_NULLABLE coil_loop *loop);

/**
 * Completes a future with a result.
 *
 * @param value  moved into the future; cleared if the call fails
 *
 * Returns   0, or
 *           COIL_EINVALIDSTATE  it is done already
 *           COIL_ERUNTIME       it is a task: only its coroutine completes it
 * Suspends  never
 * Thread    the loop's
 * Python    Future.set_result
 * Since     0.1
 */
COIL_API int coil_future_set_result(coil_future *future, coil_value value);

/**
 * Completes a future with an error.
 *
 *     coil_future_set_exception(future, coil_raise(COIL_EAPP, "no answer from %s", host));
 *
 * @param code  negative, not COIL_ECANCELED; its record, if one was raised, goes with it
 *
 * Returns   0, or
 *           COIL_EINVALIDSTATE  it is done already
 *           COIL_ERUNTIME       it is a task
 *           COIL_EINVAL         code is not negative, or COIL_ECANCELED, COIL_EEND
 * Suspends  never
 * Thread    the loop's
 * Python    Future.set_exception
 * Since     0.1
 */
COIL_API int coil_future_set_exception(coil_future *future, int code);

/**
 * Cancels a future: it is done at once. Of a task, asks for it (see coil_task_cancel).
 *
 * @param message  copied; NULL: none
 *
 * Returns   true if it was not done yet
 * Suspends  never
 * Thread    the loop's
 * Python    Future.cancel
 * Since     0.1
 */
COIL_API bool coil_future_cancel(coil_future *future, COIL_NULLABLE const char *message);
COIL_API bool coil__cancel_here(coil_future *future, COIL_NULLABLE const char *message,
                                const coil_place *place);
/* Notes where it stands, for coil_cancel_reason. */
#define coil_future_cancel(future, message) coil__cancel_here(future, message, COIL_HERE)

/**
 * Whether a future is done, in any way; whether it is cancelled.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    Future.done, Future.cancelled
 * Since     0.1
 */
COIL_API bool coil_future_done(const coil_future *future);
COIL_API bool coil_future_cancelled(const coil_future *future);

/**
 * The result.
 *
 * @param value_out  NULL, or receives a view, good as long as the future is held
 *
 * Returns   0, or
 *           COIL_EINVALIDSTATE  it is not done
 *           COIL_ECANCELED      it is cancelled
 *           any other           the error it failed with; its record is current
 * Suspends  never
 * Thread    the loop's
 * Python    Future.result
 * Since     0.1
 */
COIL_API int coil_future_result(coil_future *future, COIL_NULLABLE coil_value *value_out);

/**
 * Moves the result out: the value, with what it owns, is yours, and the future's is a view of it.
 *
 * @param value_out  receives the value
 *
 * Returns   as coil_future_result
 * Suspends  never
 * Thread    the loop's
 * Python    Future.result
 * Since     0.1
 */
COIL_API int coil_future_take_result(coil_future *future, coil_value *value_out);

/**
 * The error. Asking counts as having looked at it.
 *
 * @param code_out   receives the code, or 0 if the future has a result
 * @param error_out  NULL, or receives its record, lent as long as the future is held; or NULL
 *
 * Returns   0, or
 *           COIL_EINVALIDSTATE  it is not done
 *           COIL_ECANCELED      it is cancelled
 * Suspends  never
 * Thread    the loop's
 * Python    Future.exception
 * Since     0.1
 */
COIL_API int coil_future_exception(coil_future *future, int *code_out,
                                   COIL_NULLABLE coil_error **error_out);

/**
 * Calls back when the future is done: always through the loop's queue, also if it is done already.
 *
 * @param arg      borrowed until called or removed
 * @param context  borrowed, kept; NULL: a copy of the current one
 *
 * Returns   0, or
 *           COIL_ENOMEM, COIL_ECLOSED (it is done, and its loop is closed)
 * Suspends  never
 * Thread    the loop's
 * Python    Future.add_done_callback
 * Since     0.1
 */
COIL_API int coil_future_add_done_callback(coil_future *future, coil_done_callback fn, void *arg,
                                           COIL_NULLABLE coil_context *context);

/**
 * Removes every callback that was added with this fn and arg.
 *
 * Returns   how many there were; 0 if the future is done: what is queued stays queued
 * Suspends  never
 * Thread    the loop's
 * Python    Future.remove_done_callback
 * Since     0.1
 */
COIL_API size_t coil_future_remove_done_callback(coil_future *future, coil_done_callback fn,
                                                 void *arg);

/**
 * The loop that a future or task belongs to.
 *
 * Returns   lent as long as the future
 * Suspends  never
 * Thread    the loop's
 * Python    Future.get_loop
 * Since     0.1
 */
COIL_API coil_loop *coil_future_get_loop(const coil_future *future);

/**
 * Whether an object is a future (or a task).
 *
 * @param object  any Coil object, or a coil_awaitable; NULL is none of them
 *
 * Returns   the answer
 * Suspends  never
 * Thread    any
 * Python    asyncio.isfuture
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD bool coil_is_future(const void *object);

COIL_END_DECLS

#endif
