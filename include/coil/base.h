/* What every other header needs: marks on declarations, references, COIL_TRY.
 *
 * Marks
 *   COIL_MAY_SUSPEND  other tasks may run inside the call: an await point, only for use in a task
 *   COIL_MUST_USE     the compiler warns if the result is ignored
 *   COIL_OWNED        a result is one reference, yours to coil_unref
 *   COIL_NULLABLE     NULL is allowed, and the comment says what it means
 *   COIL_ANY_THREAD   may be called from any thread; everything else belongs to the loop's thread
 *
 * Ownership, for the whole library: what a call named new, create or open returns is one reference,
 * yours to give back with coil_unref. What a getter returns is lent. A coroutine object is consumed by
 * whoever awaits or schedules it, also when that fails. The loop keeps every scheduled task alive.
 *
 * Errors: a call returns 0 or a count, or a negative code (see <coil/error.h>). */
#ifndef COIL_BASE_H
#define COIL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define COIL_BEGIN_DECLS extern "C" {
#define COIL_END_DECLS   }
#else
#define COIL_BEGIN_DECLS
#define COIL_END_DECLS
#endif

#if defined(__GNUC__)
#define COIL_API               __attribute__((visibility("default")))
#define COIL_MUST_USE          __attribute__((warn_unused_result))
#define COIL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define COIL_UNUSED            __attribute__((unused))
#define COIL_ALWAYS_INLINE     __attribute__((always_inline)) inline
#define COIL_UNLIKELY(x)       __builtin_expect(!!(x), 0)
#else
#error "Coil needs gcc or clang"
#endif
#define COIL_MAY_SUSPEND
#define COIL_ANY_THREAD
#define COIL_OWNED
#define COIL_NULLABLE

/* The types, each described where its calls are. All are opaque but coil_value and coil_awaitable. */
typedef struct coil_loop coil_loop;
typedef struct coil_handle coil_handle;
typedef struct coil_future coil_future;
typedef struct coil_future coil_task; /* a task is a future: every coil_future_ call takes it */
typedef struct coil_coro coil_coro;
typedef struct coil_gen coil_gen;
typedef struct coil_context coil_context;
typedef struct coil_context_var coil_context_var;
typedef struct coil_error coil_error;
typedef struct coil_list coil_list;
typedef struct coil_runner coil_runner;
typedef struct coil_tracer coil_tracer;
typedef struct coil_process coil_process;
typedef struct coil_subprocess_transport coil_subprocess_transport;
typedef struct coil_transport coil_transport;
typedef struct coil_server coil_server;
typedef struct coil_tls_context coil_tls_context;
typedef struct coil_awaitable coil_awaitable;
typedef struct coil_stream_reader coil_stream_reader;
typedef struct coil_stream_writer coil_stream_writer;

/* A place in a program. COIL_HERE is the one where it stands: the address of a static object. */
typedef struct coil_place {
    const char *file;
    int line;
} coil_place;
#define COIL_HERE                                                                                  \
    __extension__({                                                                                \
        static const coil_place coil_here_ = { __FILE__, __LINE__ };                               \
        &coil_here_;                                                                               \
    })

COIL_BEGIN_DECLS

/**
 * Takes one more reference to a Coil object (loop, handle, future, task, coroutine, generator, context,
 * error, list, runner, tracer, stream, process).
 *
 * @param object  borrowed; NULL is allowed
 *
 * Returns   object
 * Suspends  never
 * Thread    the loop's
 * Python    a further name for an object
 * Since     0.1
 */
COIL_API void *coil_ref(COIL_NULLABLE const void *object);

/**
 * Gives one reference back; the last one destroys the object. Never waits and never cancels: a task
 * that is still running goes on without you.
 *
 * What nobody asked for is reported to the loop's exception handler or log when the last reference
 * goes: the error of a future that was never looked at, a coroutine that was never awaited.
 *
 * @param object  one reference, consumed; NULL is allowed
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_unref(COIL_NULLABLE const void *object);

/* For COIL_TRY: notes the place in the record of the error that passes through. */
COIL_API void coil__note_place(int code, const char *file, int line, const char *function);

/* Evaluates a call that returns 0, a count or a negative code, and leaves the function with the code
 * if it failed, as an exception would. The place is added to the error's traceback.
 *
 *     COIL_TRY(coil_sleep(1));
 *     ssize_t got;
 *     COIL_TRY(got = coil_sock_recv(fd, buffer, sizeof buffer));
 */
#define COIL_TRY(call)                                                                             \
    do {                                                                                           \
        long long coil_try_rc_ = (long long)(call);                                                \
        if (COIL_UNLIKELY(coil_try_rc_ < 0)) {                                                     \
            coil__note_place((int)coil_try_rc_, __FILE__, __LINE__, __func__);                     \
            return (int)coil_try_rc_;                                                              \
        }                                                                                          \
    } while (0)

COIL_END_DECLS

#endif
