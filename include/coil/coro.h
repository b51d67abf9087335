/* Coroutines: functions that may wait, and the objects that calling them makes.
 *
 *     COIL_ASYNC(greet, (const char *, name), (double, delay))
 *     {
 *         COIL_TRY(coil_sleep(delay));
 *         printf("hello, %s\n", name);
 *         coil_return(strlen(name));
 *     }
 *
 * defines `coil_coro *greet(const char *name, double delay)`. Calling it copies the parameters into a
 * coroutine object and runs nothing. The object is used once: awaited, which runs it there and then, in
 * the same task; or scheduled, by coil_create_task for example. Either consumes it.
 *
 * In the body, `coil_return(x)` returns a result; `return 0` returns nothing, and `return` of a positive
 * number that number; `return` of a negative code, or COIL_TRY, fails. A text or pointer that is returned
 * must outlive the body: not a local array (coil_string_copy makes a text that does). Parameters are
 * typed `(type, name)`; a function pointer or array type needs a typedef. What a pointer points to must
 * live until the coroutine has ended.
 *
 * A task that is cancelled before its first step never runs its body. So what a coroutine is handed to
 * keep (a descriptor, memory) would be lost then: COIL_ASYNC_DROP says how to give it up. */
#ifndef COIL_CORO_H
#define COIL_CORO_H

#include <coil/base.h>
#include <coil/value.h>

/* ---- awaiting ---------------------------------------------------------------------------------- */

COIL_BEGIN_DECLS

/* An awaitable of your own: a struct that begins with this. wait is called in the awaiting task and may
 * suspend by any means (coil_sleep(0) gives way once); what it returns, and puts out, is what coil_await
 * returns.
 *
 *     struct turnstile { coil_awaitable awaitable; int turns; };
 *     struct turnstile t = { COIL_AWAITABLE_INIT(turnstile_wait), 3 };
 *     COIL_TRY(coil_await(&t.awaitable, NULL));
 *
 * It is the caller's memory, and must live until the await is over. */
struct coil_awaitable {
    const void *coil__type;
    int (*wait)(coil_awaitable *self, coil_value *value_out);
};
COIL_API extern const char coil__awaitable_type[];
#define COIL_AWAITABLE_INIT(wait_)                                                                 \
    {                                                                                              \
        coil__awaitable_type, wait_                                                                \
    }

#ifdef __cplusplus
#define COIL__AWAITABLE(x) (x)
#else
/* Lets only awaitables through: anything else does not compile. */
#define COIL__AWAITABLE(x)                                                                         \
    _Generic((x), coil_coro * : (x), coil_future * : (x), coil_awaitable * : (x), void * : (x))
#endif

/**
 * Waits for an awaitable.
 *
 * @param awaitable  a coroutine: consumed, run here, in this task, on this stack;
 *                   a future or task: borrowed (hold your reference until the call returns);
 *                   a coil_awaitable of your own: borrowed.
 *                   NULL, as a constructor gives when it fails, fails with the constructor's code
 * @param value_out  NULL, or receives the result: of a coroutine it is yours; of a future a view, good
 *                   as long as you hold the future. Untouched on failure
 *
 * Returns   0, the awaitable's error, or
 *           COIL_ECANCELED   this task was cancelled while it waited, or the future is cancelled
 *           COIL_EREUSED     the coroutine has been used before
 *           COIL_ESELFWAIT   a task awaits itself
 *           COIL_EWRONGLOOP  the future is another loop's
 *           COIL_ENOTASK     not inside a task
 *           COIL_ECLOSING    the loop is being closed: clean up and return
 * Suspends  for a future that is not done; for a coroutine, where the coroutine does
 * Cancel    a future that is awaited is cancelled with the task; use coil_shield to spare it
 * Thread    the loop's, in a task
 * Python    await
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_await(void *awaitable, COIL_NULLABLE coil_value *value_out);
#ifndef __cplusplus
#define coil_await(awaitable, value_out) coil_await(COIL__AWAITABLE(awaitable), value_out)
#endif

/* ---- coroutine objects -------------------------------------------------------------------------- */

typedef enum coil_coro_state {
    COIL_CORO_CREATED,   /* nothing of it has run */
    COIL_CORO_RUNNING,   /* it, or what it awaits inline, is running now */
    COIL_CORO_SUSPENDED, /* it waits */
    COIL_CORO_CLOSED,    /* it has ended, or was closed */
} coil_coro_state;

/* What COIL_ASYNC makes and coil_coro_new takes: the function, and where it is written. */
typedef struct coil_coro_type {
    const char *name;
    int (*entry)(void *args, coil_value *coil_result);
    const char *file;
    int line;
    void (*drop)(
        void *args); /* called instead of entry if the coroutine ends without running; or NULL */
} coil_coro_type;

/**
 * Makes a coroutine object: the plain function under COIL_ASYNC.
 *
 * @param type   borrowed for good: static
 * @param args   copied: what entry gets, on suitably aligned memory
 * @param bytes  of args
 *
 * Returns   one reference, consumed by whoever awaits or schedules it; NULL when there is no memory
 * Suspends  never
 * Thread    any
 * Python    calling an async def function
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_coro *
coil_coro_new(const coil_coro_type *type, COIL_NULLABLE const void *args, size_t bytes);

/**
 * The state of a coroutine object. Hold a reference (coil_ref) to ask after it was awaited.
 *
 * Returns   the state
 * Suspends  never
 * Thread    the loop's
 * Python    inspect.getcoroutinestate
 * Since     0.1
 */
COIL_API coil_coro_state coil_coro_get_state(const coil_coro *coro);

/**
 * The name of the coroutine function.
 *
 * Returns   a text as long-lived as the type
 * Suspends  never
 * Thread    any
 * Python    coroutine.__name__
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_coro_name(const coil_coro *coro);

/**
 * Closes a coroutine, and gives the reference back. One that never ran ends without running. One that
 * is suspended by hand (coil_coro_send) is resumed with COIL_ECLOSING, so that it can clean up.
 *
 * @param coro  one reference, consumed; NULL is allowed
 *
 * Returns   0, or
 *           COIL_ERUNTIME  it is running, or belongs to a task; the reference is given back all the same.
 *                          Or it went on awaiting a thousand times: it was given up, and what it owns is
 *                          lost, which is reported (COIL_EVENT_CLOSE_IGNORED)
 *           any other      an error of its cleanup (COIL_ECLOSING itself is none)
 * Suspends  never
 * Thread    the loop's
 * Python    coroutine.close
 * Since     0.1
 */
COIL_API int coil_coro_close(COIL_NULLABLE coil_coro *coro);

/**
 * Drives a coroutine by hand, as a task does: runs it to its next suspension. It gets a stack of its
 * own. In it coil_sleep(0) and awaiting a future suspend; other waiting calls say COIL_ENOTASK.
 *
 * @param coro       borrowed
 * @param value_out  NULL, or receives the result when it has ended; it is yours
 *
 * Returns   1 it is suspended; coil_coro_awaits says on what
 *           0 it has ended
 *           COIL_EREUSED   it had ended before
 *           COIL_ERUNTIME  it is running, or belongs to a task
 *           COIL_ENOMEM    no stack
 *           any other      the error it ended with
 * Suspends  never
 * Thread    any, the same each time
 * Python    coroutine.send(None)
 * Since     0.1
 */
COIL_API int coil_coro_send(coil_coro *coro, COIL_NULLABLE coil_value *value_out);

/**
 * The same, but what it waits in returns an error.
 *
 * @param code  negative; its record, if one was raised, goes with it
 *
 * Returns   as coil_coro_send; of one that never ran, the code itself: it is closed then
 * Suspends  never
 * Thread    that of coil_coro_send
 * Python    coroutine.throw
 * Since     0.1
 */
COIL_API int coil_coro_throw(coil_coro *coro, int code, COIL_NULLABLE coil_value *value_out);

/**
 * The future that a coroutine driven by hand is suspended on.
 *
 * Returns   lent until it is resumed; NULL if it gave way (coil_sleep(0)), or is not suspended
 * Suspends  never
 * Thread    that of coil_coro_send
 * Python    the value that send returns; coroutine.cr_await
 * Since     0.1
 */
COIL_API coil_future *coil_coro_awaits(const coil_coro *coro);

/**
 * Whether an object is a coroutine object.
 *
 * @param object  any Coil object, or a coil_awaitable; NULL is none of them
 *
 * Returns   the answer
 * Suspends  never
 * Thread    any
 * Python    asyncio.iscoroutine
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD bool coil_is_coroutine(const void *object);

COIL_END_DECLS

/* ---- defining coroutine functions ---------------------------------------------------------------- */

/* Ends a coroutine's body with a result. */
#define coil_return(x)                                                                             \
    do {                                                                                           \
        *coil_result = coil_v(x);                                                                  \
        return 0;                                                                                  \
    } while (0)

/* COIL_ASYNC(name, (type, parameter)...) { body }   a coroutine function for this file
 * COIL_ASYNC0(name) { body }                        the same without parameters
 * COIL_ASYNC_EXTERN(name, (type, parameter)...)     the same for other files, too: declare
 * COIL_ASYNC_EXTERN0(name)                          `coil_coro *name(type parameter...);` in a header
 *
 * Up to ten parameters. To call a coroutine function above its definition, declare it:
 * `static coil_coro *name(type parameter...);`.
 *
 * COIL_ASYNC_DROP(name, cleanup, (type, parameter)...) { body }
 * COIL_ASYNC_EXTERN_DROP(name, cleanup, (type, parameter)...) { body }
 *
 * define a coroutine that owns what it is handed, from the call on. If its body never runs (its task is
 * cancelled before the first step, it is closed, there is no memory to make it), `cleanup` runs instead,
 * an expression that sees the parameters:
 *
 *     COIL_ASYNC_DROP(serve_client, coil_sock_close(fd), (int, fd))
 *     {
 *         int rc = talk(fd);
 *         coil_sock_close(fd);     the body, once it runs, closes it itself
 *         return rc;
 *     }
 *
 *     COIL_TRY(coil_spawn(serve_client(fd)));     nothing to close here, whatever this returns
 *
 * cleanup must not wait: there may be no task. */
#define COIL_ASYNC(name, ...)        COIL__ASYNC_N(static COIL_UNUSED COIL_MUST_USE, name, __VA_ARGS__)
#define COIL_ASYNC0(name)            COIL__ASYNC_0(static COIL_UNUSED COIL_MUST_USE, name)
#define COIL_ASYNC_EXTERN(name, ...) COIL__ASYNC_N(, name, __VA_ARGS__)
#define COIL_ASYNC_EXTERN0(name)     COIL__ASYNC_0(, name)
#define COIL_ASYNC_DROP(name, cleanup, ...)                                                        \
    COIL__ASYNC_DROP(static COIL_UNUSED COIL_MUST_USE, name, cleanup, __VA_ARGS__)
#define COIL_ASYNC_EXTERN_DROP(name, cleanup, ...) COIL__ASYNC_DROP(, name, cleanup, __VA_ARGS__)

#define COIL__ASYNC_N(linkage, name, ...)                                                          \
    COIL__ASYNC_ENTRY(name, __VA_ARGS__)                                                           \
    static const coil_coro_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };   \
    linkage coil_coro *name(COIL__LIST(COIL__DECLARE, __VA_ARGS__))                                \
    {                                                                                              \
        struct name##_args coil_args = { COIL__LIST(COIL__INIT, __VA_ARGS__) };                    \
        return coil_coro_new(&name##_type, &coil_args, sizeof coil_args);                          \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__))

#define COIL__ASYNC_DROP(linkage, name, cleanup, ...)                                              \
    COIL__ASYNC_ENTRY(name, __VA_ARGS__)                                                           \
    static void name##_clean_up(const char *coil_name COIL__EACH(COIL__PARAM, __VA_ARGS__))        \
    {                                                                                              \
        (void)coil_name;                                                                           \
        cleanup;                                                                                   \
    }                                                                                              \
    static void name##_drop(void *args_)                                                           \
    {                                                                                              \
        struct name##_args *coil_args = (struct name##_args *)args_;                               \
        name##_clean_up(#name COIL__EACH(COIL__PASS, __VA_ARGS__));                                \
    }                                                                                              \
    static const coil_coro_type name##_type = { #name, name##_entry, __FILE__, __LINE__,           \
                                                name##_drop };                                     \
    linkage coil_coro *name(COIL__LIST(COIL__DECLARE, __VA_ARGS__))                                \
    {                                                                                              \
        struct name##_args coil_args = { COIL__LIST(COIL__INIT, __VA_ARGS__) };                    \
        coil_coro *coro = coil_coro_new(&name##_type, &coil_args, sizeof coil_args);               \
        if (COIL_UNLIKELY(!coro))                                                                  \
            name##_drop(&coil_args);                                                               \
        return coro;                                                                               \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__))

/* What the two have in common. */
#define COIL__ASYNC_ENTRY(name, ...)                                                               \
    COIL__EACH(COIL__CHECK, __VA_ARGS__)                                                           \
    struct name##_args {                                                                           \
        COIL__EACH(COIL__FIELD, __VA_ARGS__)                                                       \
    };                                                                                             \
    static int name##_body(coil_value *coil_result COIL__EACH(COIL__PARAM, __VA_ARGS__));          \
    static int name##_entry(void *args_, coil_value *coil_result)                                  \
    {                                                                                              \
        COIL_UNUSED struct name##_args *coil_args = (struct name##_args *)args_;                   \
        return name##_body(coil_result COIL__EACH(COIL__PASS, __VA_ARGS__));                       \
    }

#define COIL__ASYNC_0(linkage, name)                                                               \
    static int name##_body(coil_value *coil_result);                                               \
    static int name##_entry(COIL_UNUSED void *args_, coil_value *coil_result)                      \
    {                                                                                              \
        return name##_body(coil_result);                                                           \
    }                                                                                              \
    static const coil_coro_type name##_type = { #name, name##_entry, __FILE__, __LINE__, NULL };   \
    linkage coil_coro *name(void)                                                                  \
    {                                                                                              \
        return coil_coro_new(&name##_type, NULL, 0);                                               \
    }                                                                                              \
    static int name##_body(COIL_UNUSED coil_value *coil_result)

#define COIL__FIELD_(t, p)   t p;
#define COIL__PARAM_(t, p)   , COIL_UNUSED t p
#define COIL__PASS_(t, p)    , coil_args->p
#define COIL__DECLARE_(t, p) t p
#define COIL__INIT_(t, p)    p
#define COIL__FIELD(pair)    COIL__IF_PAIR(COIL__FIELD_, , pair)
#define COIL__PARAM(pair)    COIL__IF_PAIR(COIL__PARAM_, , pair)
#define COIL__PASS(pair)     COIL__IF_PAIR(COIL__PASS_, , pair)
#define COIL__DECLARE(pair)  COIL__IF_PAIR(COIL__DECLARE_, COIL_UNUSED int coil_wrong, pair)
#define COIL__INIT(pair)     COIL__IF_PAIR(COIL__INIT_, , pair)

/* A parameter that is not a pair in parentheses gets one error that says so, and is left out of what is
 * defined, so that few others follow. */
#ifdef __cplusplus
#define COIL__STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define COIL__STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif
#define COIL__CHECK(pair)                                                                          \
    COIL__STATIC_ASSERT(COIL__IS_PAIR(pair),                                                       \
                        "each parameter is written (type, name), at most ten of them; "            \
                        "without any it is COIL_ASYNC0, COIL_ASYNC_GEN0");
#define COIL__IF_PAIR(m, otherwise, pair)             COIL__CHOOSE(COIL__IS_PAIR(pair), m, otherwise, pair)
#define COIL__CHOOSE(is, m, otherwise, pair)          COIL__CHOOSE_NOW(is, m, otherwise, pair)
#define COIL__CHOOSE_NOW(is, m, otherwise, pair)      COIL__CHOOSE_##is(m, otherwise, pair)
#define COIL__CHOOSE_1(m, otherwise, pair)            m pair
#define COIL__CHOOSE_0(m, otherwise, pair)            otherwise
#define COIL__IS_PAIR(pair)                           COIL__SECOND(COIL__PROBE pair, 0, 0)
#define COIL__PROBE(...)                              ~, COIL__IS_TWO(__VA_ARGS__, 0, 0, 0, 0, 1, 0, 0)
#define COIL__IS_TWO(a1, a2, a3, a4, a5, a6, is, ...) is
#define COIL__SECOND(...)                             COIL__SECOND_NOW(__VA_ARGS__)
#define COIL__SECOND_NOW(first, second, ...)          second

/* COIL__EACH(m, a, b...) is m(a) m(b)...; COIL__LIST(m, a, b...) is m(a), m(b)... */
#define COIL__PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, pick, ...) pick
#define COIL__EACH(m, ...)                                                                         \
    COIL__PICK(__VA_ARGS__, COIL__MANY, COIL__MANY, COIL__MANY, COIL__MANY, COIL__MANY,            \
               COIL__EACH10, COIL__EACH9, COIL__EACH8, COIL__EACH7, COIL__EACH6, COIL__EACH5,      \
               COIL__EACH4, COIL__EACH3, COIL__EACH2, COIL__EACH1, 0)                              \
    (m, __VA_ARGS__)
#define COIL__MANY(m, ...)      m(coil__at_most_ten)
#define COIL__EACH1(m, a)       m(a)
#define COIL__EACH2(m, a, ...)  m(a) COIL__EACH1(m, __VA_ARGS__)
#define COIL__EACH3(m, a, ...)  m(a) COIL__EACH2(m, __VA_ARGS__)
#define COIL__EACH4(m, a, ...)  m(a) COIL__EACH3(m, __VA_ARGS__)
#define COIL__EACH5(m, a, ...)  m(a) COIL__EACH4(m, __VA_ARGS__)
#define COIL__EACH6(m, a, ...)  m(a) COIL__EACH5(m, __VA_ARGS__)
#define COIL__EACH7(m, a, ...)  m(a) COIL__EACH6(m, __VA_ARGS__)
#define COIL__EACH8(m, a, ...)  m(a) COIL__EACH7(m, __VA_ARGS__)
#define COIL__EACH9(m, a, ...)  m(a) COIL__EACH8(m, __VA_ARGS__)
#define COIL__EACH10(m, a, ...) m(a) COIL__EACH9(m, __VA_ARGS__)
#define COIL__LIST(m, ...)                                                                         \
    COIL__PICK(__VA_ARGS__, COIL__MANY, COIL__MANY, COIL__MANY, COIL__MANY, COIL__MANY,            \
               COIL__LIST10, COIL__LIST9, COIL__LIST8, COIL__LIST7, COIL__LIST6, COIL__LIST5,      \
               COIL__LIST4, COIL__LIST3, COIL__LIST2, COIL__LIST1, 0)                              \
    (m, __VA_ARGS__)
#define COIL__LIST1(m, a)       m(a)
#define COIL__LIST2(m, a, ...)  m(a), COIL__LIST1(m, __VA_ARGS__)
#define COIL__LIST3(m, a, ...)  m(a), COIL__LIST2(m, __VA_ARGS__)
#define COIL__LIST4(m, a, ...)  m(a), COIL__LIST3(m, __VA_ARGS__)
#define COIL__LIST5(m, a, ...)  m(a), COIL__LIST4(m, __VA_ARGS__)
#define COIL__LIST6(m, a, ...)  m(a), COIL__LIST5(m, __VA_ARGS__)
#define COIL__LIST7(m, a, ...)  m(a), COIL__LIST6(m, __VA_ARGS__)
#define COIL__LIST8(m, a, ...)  m(a), COIL__LIST7(m, __VA_ARGS__)
#define COIL__LIST9(m, a, ...)  m(a), COIL__LIST8(m, __VA_ARGS__)
#define COIL__LIST10(m, a, ...) m(a), COIL__LIST9(m, __VA_ARGS__)

#endif
