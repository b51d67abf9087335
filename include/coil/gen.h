/* Generators: functions that give one item after the other, and may wait in between.
 *
 *     COIL_ASYNC_GEN(countdown, (int, from), (double, pause))
 *     {
 *         for (int i = from; i > 0; i--) {
 *             COIL_TRY(coil_yield(i, NULL));
 *             COIL_TRY(coil_sleep(pause));
 *         }
 *         return 0;
 *     }
 *
 * defines `coil_gen *countdown(int from, double pause)`. Calling it copies the parameters and runs nothing.
 * A task then asks for the items, and the body runs in that task, from one coil_yield to the next:
 *
 *     coil_gen *gen = countdown(3, 0.5);
 *     coil_value value;
 *     int rc;
 *     while ((rc = coil_gen_next(gen, &value)) == 0)
 *         printf("%d\n", (int)value.integer);
 *     coil_unref(gen);
 *     return rc == COIL_EEND ? 0 : rc;
 *
 * That loop is the idiom; there is no macro for it, because the code after the loop has to be told the end
 * from a failure. After a failure the generator is over, as after its end. A loop that is left early leaves
 * the body waiting at its coil_yield: coil_gen_close has it clean up there and then. If it is only given
 * back, by the last coil_unref, the loop closes it soon after, in a task of its own; and coil_runner_close,
 * with which coil_run ends, closes whatever is left.
 *
 * The body has a stack of its own, and gets the context, the errors and the cancellation of the task that
 * asks. It yields from the function itself or from what it calls, but not out of a coroutine that it awaits.
 * Do not yield between coil_timeout_enter and its exit, nor inside a task group: both belong to the task
 * that entered them, and the next one to ask may be another. */
#ifndef COIL_GEN_H
#define COIL_GEN_H

#include <coil/base.h>
#include <coil/coro.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

/* ---- the body's side ---------------------------------------------------------------------------- */

/**
 * Gives an item to whoever has asked for it, and waits until the next one is asked for. `value` is
 * anything that coil_v makes a value of.
 *
 * @param value     consumed, whatever the call returns
 * @param sent_out  NULL, or receives what coil_gen_send has sent, nil from coil_gen_next; it is yours.
 *                  Untouched on failure
 *
 * Returns   0, or
 *           COIL_ECLOSING  the generator is being closed: clean up, which may wait, and return
 *           any other      what coil_gen_throw delivers
 *           COIL_ENOTASK   not inside a generator
 *           COIL_ERUNTIME  in a coroutine that the generator awaits
 * Suspends  the generator; the task goes on behind its call of coil_gen_next
 * Cancel    never: cancellation reaches the task where it waits
 * Thread    the loop's, in a generator
 * Python    yield
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_yield(coil_value value,
                                                       COIL_NULLABLE coil_value *sent_out);

/* ---- the consumer's side ------------------------------------------------------------------------ */

/**
 * Makes a generator: the plain function under COIL_ASYNC_GEN.
 *
 * @param type   borrowed for good: static. What its entry puts out as a result is dropped; its drop is
 *               called if the generator ends without having run
 * @param args   copied: what entry gets, on suitably aligned memory
 * @param bytes  of args
 *
 * Returns   one reference, yours to coil_unref; NULL when there is no memory
 * Suspends  never
 * Thread    the loop's
 * Python    calling an async def function that has a yield
 * Since     0.1
 */
COIL_API COIL_OWNED coil_gen *coil_gen_new(const coil_coro_type *type,
                                           COIL_NULLABLE const void *args, size_t bytes);

/**
 * Asks for the next item: runs the body up to its next coil_yield.
 *
 * @param gen        borrowed; NULL, as a constructor gives when it fails, fails with the constructor's code
 * @param value_out  NULL, or receives the item; it is yours. Untouched on failure
 *
 * Returns   0, or
 *           COIL_EEND        there are no more
 *           any other        the error that the body ended with
 *           COIL_ERUNTIME    a task is inside already, and is not disturbed; or the body ended with
 *                            COIL_EEND, which must not look like its end
 *           COIL_ENOTASK     not inside a task
 *           COIL_EWRONGLOOP  it has begun under another loop
 *           COIL_ENOMEM      no stack to begin with; it has not begun
 * Suspends  where the body does
 * Cancel    arrives at the wait in the body, and comes out if the body lets it; the generator is over then
 * Thread    the loop's, in a task
 * Python    anext, async for
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_gen_next(coil_gen *gen,
                                                          COIL_NULLABLE coil_value *value_out);

/**
 * The same, and hands the body a value: its coil_yield puts it out.
 *
 * @param value  consumed, whatever the call returns; of the first call it must be nil, since no coil_yield
 *               waits for it
 *
 * Returns   as coil_gen_next, or
 *           COIL_ETYPE  a value for a generator that has not begun; nothing has happened
 * Suspends  where the body does
 * Cancel    as coil_gen_next
 * Thread    the loop's, in a task
 * Python    agen.asend
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_gen_send(coil_gen *gen, coil_value value,
                                                          COIL_NULLABLE coil_value *value_out);

/**
 * Has the body's coil_yield fail. The body may handle it and yield on, or let it out and end.
 *
 * @param code       negative; its record, if one was raised, goes with it
 * @param value_out  as of coil_gen_next
 *
 * Returns   as coil_gen_next. Of one that has not begun, code: it is over then. Of one that is over, 0 and
 *           a nil: the error is lost
 * Suspends  where the body does
 * Cancel    as coil_gen_next
 * Thread    the loop's, in a task
 * Python    agen.athrow
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_gen_throw(coil_gen *gen, int code,
                                                           COIL_NULLABLE coil_value *value_out);

/**
 * Has the body clean up and end: its coil_yield returns COIL_ECLOSING. One that has not begun, or is over,
 * runs nothing. The reference stays yours.
 *
 * @param gen  borrowed; NULL is allowed
 *
 * Returns   0, or
 *           COIL_ERUNTIME  a task is inside; or the body yields on instead of ending, and waits there
 *           any other      an error of its cleanup; or as coil_gen_next
 * Suspends  where the cleanup does
 * Cancel    arrives at the wait in the cleanup, and comes out if the cleanup lets it
 * Thread    the loop's, in a task; of one that has not begun, or is over, anywhere
 * Python    agen.aclose
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_gen_close(COIL_NULLABLE coil_gen *gen);

/**
 * Closes all generators of the running loop that wait at a coil_yield, at the same time, each in a task of
 * its own. Errors of their cleanup go to the exception handler (COIL_EVENT_GENERATOR_CLOSE_FAILED).
 * coil_runner_close does it; who runs a loop by other means calls this at the end. What is left when the
 * loop is closed is closed by coil_loop_close, and every wait in the cleanup fails then.
 *
 * Returns   0, or
 *           COIL_ENOTASK  not inside a task
 *           COIL_ENOMEM   they are as before
 * Suspends  until they are closed, if there are any
 * Cancel    cancels the closing of those that are not closed yet
 * Thread    the loop's, in a task
 * Python    loop.shutdown_asyncgens
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_shutdown_asyncgens(void);

/* ---- iterators ---------------------------------------------------------------------------------- */

/* Something to ask for items: a struct of your own that begins with this. next is called in the asking
 * task and may wait by any means. It returns 0 and puts an item out, which becomes the caller's; or
 * COIL_EEND when there are no more; or an error.
 *
 *     struct counter { coil_async_iterator iterator; int n, limit; };
 *
 *     static int counter_next(coil_async_iterator *self, coil_value *value_out)
 *     {
 *         struct counter *counter = (struct counter *)self;
 *         if (counter->n == counter->limit)
 *             return COIL_EEND;
 *         COIL_TRY(coil_sleep(0.5));
 *         *value_out = coil_int(++counter->n);
 *         return 0;
 *     }
 *
 * So a function that takes a `coil_async_iterator *` takes generators as well as such objects. It is the
 * caller's memory. */
typedef struct coil_async_iterator coil_async_iterator;
struct coil_async_iterator {
    int (*next)(coil_async_iterator *self, coil_value *value_out);
};

/**
 * Asks an iterator for its next item.
 *
 * @param iterator   borrowed
 * @param value_out  NULL, or receives the item; it is yours. Untouched on failure
 *
 * Returns   0, COIL_EEND, or an error of the iterator's
 * Suspends  where its next does
 * Cancel    arrives at the wait in next
 * Thread    the loop's, in a task
 * Python    anext
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_anext(coil_async_iterator *iterator,
                                                       COIL_NULLABLE coil_value *value_out);

/**
 * A generator as an iterator.
 *
 * Returns   lent: good as long as the generator; NULL of NULL
 * Suspends  never
 * Thread    the loop's
 * Python    aiter
 * Since     0.1
 */
COIL_API coil_async_iterator *coil_gen_iterator(COIL_NULLABLE coil_gen *gen);

/* ---- scopes ------------------------------------------------------------------------------------- */

/* A scope made of a generator that yields exactly once: what stands before the coil_yield is its entry,
 * what stands behind is its exit, and the item is what the scope is about.
 *
 *     COIL_ASYNC_GEN(transaction, (struct database *, db))
 *     {
 *         COIL_TRY(database_begin(db));
 *         int rc = coil_yield(db, NULL);           the body runs here; rc is what it fails with
 *         int ended = rc < 0 ? database_roll_back(db) : database_commit(db);
 *         return rc < 0 ? rc : ended;
 *     }
 *
 *     coil_scope scope;
 *     COIL_TRY(coil_scope_enter(&scope, transaction(db), NULL));
 *     int rc = transfer(db, 100);
 *     COIL_TRY(coil_scope_exit(&scope, rc));
 *
 * What was entered must be left on every way: no return and no COIL_TRY in between. */
typedef struct coil_scope {
    coil_gen *coil__gen; /* private; owned between enter and exit */
} coil_scope;

/**
 * Enters a scope: runs the generator up to its coil_yield.
 *
 * @param scope      uninitialised, or left; borrowed until coil_scope_exit
 * @param gen        one reference, consumed; not begun. NULL, as a constructor gives when it fails, fails
 *                   with the constructor's code
 * @param value_out  NULL, or receives the item; it is yours. Untouched on failure
 *
 * Returns   0, the error of the entry, or
 *           COIL_ERUNTIME  the generator ended without a coil_yield
 *           or as coil_gen_next. After a failure nothing was entered, and coil_scope_exit is not called
 * Suspends  where the entry does
 * Cancel    arrives at the wait in the entry
 * Thread    the loop's, in a task
 * Python    async with, on a function under contextlib.asynccontextmanager
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_scope_enter(coil_scope *scope, coil_gen *gen,
                                                             COIL_NULLABLE coil_value *value_out);

/**
 * Leaves a scope: runs the generator to its end. If the body failed, the coil_yield returns its code, and
 * the generator may let it out, replace it, or swallow it by returning 0.
 *
 * @param rc  what the body ended with
 *
 * Returns   rc of a body that did not fail, or that failed with what the generator lets out; 0 if the
 *           generator swallowed the error; the generator's own error; or
 *           COIL_ERUNTIME  the generator yields once more; it was closed. Or in place of 0 or a count: the
 *                          scope was not entered, or has been left
 * Suspends  where the exit does
 * Cancel    arrives at the wait in the exit
 * Thread    the loop's, in a task
 * Python    async with, on a function under contextlib.asynccontextmanager
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_scope_exit(coil_scope *scope, int rc);

COIL_END_DECLS

#define coil_yield(value, sent_out) coil_yield(coil_v(value), sent_out)

/* ---- defining generator functions --------------------------------------------------------------- */

/* COIL_ASYNC_GEN(name, (type, parameter)...) { body }   a generator function for this file
 * COIL_ASYNC_GEN0(name) { body }                        the same without parameters
 * COIL_ASYNC_GEN_EXTERN(name, (type, parameter)...)     the same for other files, too: declare
 * COIL_ASYNC_GEN_EXTERN0(name)                          `coil_gen *name(type parameter...);` in a header
 *
 * Up to ten parameters, as of COIL_ASYNC. The body returns 0 at its end, or a negative code. */
#define COIL_ASYNC_GEN(name, ...)        COIL__ASYNC_GEN_N(static COIL_UNUSED, name, __VA_ARGS__)
#define COIL_ASYNC_GEN0(name)            COIL__ASYNC_GEN_0(static COIL_UNUSED, name)
#define COIL_ASYNC_GEN_EXTERN(name, ...) COIL__ASYNC_GEN_N(, name, __VA_ARGS__)
#define COIL_ASYNC_GEN_EXTERN0(name)     COIL__ASYNC_GEN_0(, name)

#define COIL__ASYNC_GEN_N(linkage, name, ...)                                                      \
    COIL__EACH(COIL__CHECK, __VA_ARGS__)                                                           \
    struct name##_args {                                                                           \
        COIL__EACH(COIL__FIELD, __VA_ARGS__)                                                       \
    };                                                                                             \
    static int name##_body(void *coil_nothing COIL__EACH(COIL__PARAM, __VA_ARGS__));               \
    static int name##_entry(void *args_, COIL_UNUSED coil_value *coil_result)                      \
    {                                                                                              \
        struct name##_args *coil_args = (struct name##_args *)args_;                               \
        return name##_body(NULL COIL__EACH(COIL__PASS, __VA_ARGS__));                              \
    }                                                                                              \
    static const coil_coro_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };   \
    linkage coil_gen *name(COIL__LIST(COIL__DECLARE, __VA_ARGS__))                                 \
    {                                                                                              \
        struct name##_args coil_args = { COIL__LIST(COIL__INIT, __VA_ARGS__) };                    \
        return coil_gen_new(&name##_type, &coil_args, sizeof coil_args);                           \
    }                                                                                              \
    static int name##_body(COIL_UNUSED void *coil_nothing COIL__EACH(COIL__PARAM, __VA_ARGS__))

#define COIL__ASYNC_GEN_0(linkage, name)                                                           \
    static int name##_body(void);                                                                  \
    static int name##_entry(COIL_UNUSED void *args_, COIL_UNUSED coil_value *coil_result)          \
    {                                                                                              \
        return name##_body();                                                                      \
    }                                                                                              \
    static const coil_coro_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };   \
    linkage coil_gen *name(void)                                                                   \
    {                                                                                              \
        return coil_gen_new(&name##_type, NULL, 0);                                                \
    }                                                                                              \
    static int name##_body(void)

#endif
