/* The event loop: callbacks, timers, descriptors, exception handler, embedding.
 *
 * One turn of the loop: wait for completions (not at all if something is ready), move due timers
 * behind what is ready, in deadline order, then run what was ready when the turn began, first in,
 * first out. What that makes ready runs in the next turn. A loop belongs to the thread that runs it;
 * coil_call_soon_threadsafe is the door for all others.
 *
 * Programs seldom make a loop: coil_run does (see <coil/run.h>). In a coroutine or callback
 * coil_get_running_loop() is the one that runs it, and NULL means just that in every call here that
 * takes a loop.
 *
 *     static int tick(void *arg)
 *     {
 *         puts("half a second later");
 *         return 0;
 *     }
 *     ...
 *     COIL_TRY(coil_call_later(NULL, 0.5, tick, NULL, NULL));
 */
#ifndef COIL_LOOP_H
#define COIL_LOOP_H

#include <coil/base.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

/* A callback. 0, or a negative code, which goes to the loop's exception handler: the loop goes on. Only
 * COIL_EEXIT (coil_exit) and COIL_EINTERRUPT leave it at once, as they do from a task.
 * Runs on the loop's own stack, outside any task: it must not suspend. */
typedef int (*coil_callback)(void *arg);

/* Options of coil_call_soon_with and its relatives. */
typedef struct coil_call_options {
    size_t size;                         /* sizeof(coil_call_options) */
    COIL_NULLABLE coil_context *context; /* run in this one; NULL: in a copy of the current one */
    void (*release)(void *arg); /* called with arg once fn has run, or never will; or NULL */
} coil_call_options;
#define COIL_CALL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(coil_call_options), NULL, NULL                                                      \
    }

/* ---- making, running and closing -------------------------------------------------------------- */

/**
 * Makes an event loop. It runs nothing yet.
 *
 * Returns   one reference; NULL if memory or descriptors ran out (coil_error_last says which), or
 *           if COIL_BACKEND names no backend
 * Suspends  never
 * Thread    any; the first thread that runs it owns it
 * Python    asyncio.new_event_loop
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_loop *coil_new_event_loop(void);

/**
 * The loop that runs in this thread.
 *
 * Returns   lent; NULL if none does
 * Suspends  never
 * Thread    any
 * Python    asyncio.get_running_loop (which raises RuntimeError)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_loop *coil_get_running_loop(void);

/**
 * Runs until coil_loop_stop is called. If that has happened before, runs one turn.
 *
 * Returns   0, or
 *           COIL_ECLOSED     the loop is closed
 *           COIL_ENESTED     a loop runs in this thread already, this one or another
 *           COIL_EEXIT, COIL_EINTERRUPT  a task or callback ended with it: the loop was left at once
 *           COIL_ESTALLED    virtual clock: nothing can ever happen any more
 *           -errno           the kernel refused to wait
 * Suspends  never (it is what runs the tasks)
 * Thread    the loop's
 * Python    loop.run_forever
 * Since     0.1
 */
COIL_API int coil_run_forever(coil_loop *loop);

/**
 * Runs until an awaitable is done. A coroutine becomes a task.
 *
 * @param awaitable  a coroutine (consumed), or a future or task (borrowed)
 * @param value_out  NULL, or receives the result; of a coroutine it is yours, else a view
 *
 * Returns   0, the awaitable's error, what coil_run_forever returns, or
 *           COIL_ERUNTIME  the loop was stopped before the awaitable was done
 * Suspends  never
 * Thread    the loop's
 * Python    loop.run_until_complete
 * Since     0.1
 */
COIL_API int coil_run_until_complete(coil_loop *loop, void *awaitable,
                                     COIL_NULLABLE coil_value *value_out);

/**
 * Lets the loop finish its turn and then return from coil_run_forever. Before a run: makes that run
 * one turn.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    loop.stop
 * Since     0.1
 */
COIL_API void coil_loop_stop(COIL_NULLABLE coil_loop *loop);

/**
 * Closes the loop: queued callbacks and timers are dropped, descriptors closed. A task that is still
 * suspended is reported (COIL_EVENT_TASK_LOST) and then resumed one last time, so that it can clean
 * up: its await returns COIL_ECLOSING, and so does every further one, at once. Closing twice is fine.
 *
 * Returns   0, or
 *           COIL_ERUNTIME  the loop is running
 * Suspends  never
 * Thread    the loop's
 * Python    loop.close
 * Since     0.1
 */
COIL_API int coil_loop_close(coil_loop *loop);

/**
 * Whether the loop runs, or is closed.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    loop.is_running, loop.is_closed
 * Since     0.1
 */
COIL_API bool coil_loop_is_running(const coil_loop *loop);
COIL_API bool coil_loop_is_closed(const coil_loop *loop);

/**
 * The loop's clock: monotonic, in seconds, with an arbitrary beginning. Deadlines are on this clock.
 *
 * Returns   seconds, exact at the time of the call
 * Suspends  never
 * Thread    the loop's
 * Python    loop.time
 * Since     0.1
 */
COIL_API double coil_loop_time(COIL_NULLABLE coil_loop *loop);

/* ---- callbacks and timers ---------------------------------------------------------------------- */

/**
 * Queues a callback for the next turn, behind what is queued already.
 *
 * @param loop        NULL: the running one
 * @param arg         borrowed until the callback has run or the handle is cancelled
 * @param handle_out  NULL, or receives one reference to a handle, to cancel it by
 *
 * Returns   0, or
 *           COIL_ECLOSED       the loop is closed
 *           COIL_ENOLOOP       loop is NULL and none runs
 *           COIL_ENOMEM
 *           COIL_EWRONGTHREAD  debug mode only: not the loop's thread
 * Suspends  never
 * Thread    the loop's
 * Python    loop.call_soon
 * Since     0.1
 */
COIL_API int coil_call_soon(COIL_NULLABLE coil_loop *loop, coil_callback fn, void *arg,
                            COIL_NULLABLE coil_handle **handle_out);

/**
 * Calls back after a delay, or at a time of the loop's clock. A time in the past is due when the loop looks
 * at the clock next: at the latest after 64 turns or about 50 us, behind what is ready. Equal times fire in the order in which they were scheduled.
 *
 * @param delay       seconds; when: seconds on the clock of coil_loop_time. Not a number: COIL_EINVAL
 * @param arg         borrowed until the callback has run or the handle is cancelled
 * @param handle_out  NULL, or receives one reference to a handle, to cancel it by
 *
 * Returns   0, or as coil_call_soon, or COIL_EINVAL
 * Suspends  never
 * Thread    the loop's
 * Python    loop.call_later, loop.call_at
 * Since     0.1
 */
COIL_API int coil_call_later(COIL_NULLABLE coil_loop *loop, double delay, coil_callback fn,
                             void *arg, COIL_NULLABLE coil_handle **handle_out);
COIL_API int coil_call_at(COIL_NULLABLE coil_loop *loop, double when, coil_callback fn, void *arg,
                          COIL_NULLABLE coil_handle **handle_out);

/**
 * The same three with options: a context to run in, and a function that gives arg back.
 *
 * @param options  copied; NULL: none
 *
 * Returns   as the call without options. On failure release(arg) has not been called
 * Suspends  never
 * Thread    the loop's
 * Python    the context= argument
 * Since     0.1
 */
COIL_API int coil_call_soon_with(COIL_NULLABLE coil_loop *loop, coil_callback fn, void *arg,
                                 const coil_call_options *options,
                                 COIL_NULLABLE coil_handle **handle_out);
COIL_API int coil_call_later_with(COIL_NULLABLE coil_loop *loop, double delay, coil_callback fn,
                                  void *arg, const coil_call_options *options,
                                  COIL_NULLABLE coil_handle **handle_out);
COIL_API int coil_call_at_with(COIL_NULLABLE coil_loop *loop, double when, coil_callback fn,
                               void *arg, const coil_call_options *options,
                               COIL_NULLABLE coil_handle **handle_out);

/**
 * Queues a callback from any thread, and wakes the loop if it sleeps. Calls of one thread keep their
 * order; none is lost or merged with another.
 *
 * @param loop  alive for the duration of the call. References are not counted atomically: whoever starts
 *              the other thread holds one for it, and gives it back, in the loop's thread, after the other
 *              has ended. A loop that has been closed meanwhile is fine
 * @param arg   borrowed until the callback has run. If the loop is closed first, the callback is
 *              dropped
 *
 * Returns   0, or
 *           COIL_ECLOSED, COIL_ENOMEM, COIL_EINVAL (fn is NULL)
 * Suspends  never
 * Thread    any
 * Python    loop.call_soon_threadsafe
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_call_soon_threadsafe(coil_loop *loop, coil_callback fn,
                                                       void *arg);

/**
 * The same with options. What release gives back may be given back in the loop's thread or, if the loop
 * is closed first, in the one that closes it.
 *
 * @param options  copied; NULL: none
 *
 * Returns   as the call without options. On failure release(arg) has not been called
 * Suspends  never
 * Thread    any
 * Python    the context= argument
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_call_soon_threadsafe_with(coil_loop *loop, coil_callback fn,
                                                            void *arg,
                                                            const coil_call_options *options);

/**
 * Cancels a callback: it will not run. Idempotent, and harmless after it ran.
 *
 * @param handle  borrowed
 *
 * Suspends  never
 * Thread    the loop's
 * Python    Handle.cancel, TimerHandle.cancel
 * Since     0.1
 */
COIL_API void coil_handle_cancel(coil_handle *handle);

/**
 * Whether a handle was cancelled (after it ran, too).
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    Handle.cancelled
 * Since     0.1
 */
COIL_API bool coil_handle_cancelled(const coil_handle *handle);

/**
 * When a timer is, or was, due.
 *
 * Returns   seconds on the loop's clock; 0 for a handle that is no timer
 * Suspends  never
 * Thread    the loop's
 * Python    TimerHandle.when
 * Since     0.1
 */
COIL_API double coil_handle_when(const coil_handle *handle);

/**
 * The context that the callback runs in.
 *
 * Returns   lent as long as the handle; NULL when there is no memory to make it visible
 * Suspends  never
 * Thread    the loop's
 * Python    Handle.get_context
 * Since     0.1
 */
COIL_API coil_context *coil_handle_get_context(coil_handle *handle);

/* ---- descriptors ------------------------------------------------------------------------------- */

/**
 * Calls back in every turn in which a descriptor is readable (or: writable), until it is removed.
 * Adding again replaces the callback.
 *
 * @param fd   stays yours; remove it before you close it
 * @param arg  borrowed until removed or replaced
 *
 * Returns   0, or
 *           COIL_ECLOSED, COIL_ENOLOOP, COIL_ENOMEM, COIL_EWRONGTHREAD
 *           -EBADF   not a descriptor
 *           -ENOSPC  the system's limit on watched descriptors
 * Suspends  never
 * Thread    the loop's
 * Python    loop.add_reader, loop.add_writer
 * Since     0.1
 */
COIL_API int coil_add_reader(COIL_NULLABLE coil_loop *loop, int fd, coil_callback fn, void *arg);
COIL_API int coil_add_writer(COIL_NULLABLE coil_loop *loop, int fd, coil_callback fn, void *arg);

/**
 * Stops calling back.
 *
 * Returns   1 if there was a callback, 0 if not, or COIL_ECLOSED, COIL_ENOLOOP, COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    loop.remove_reader, loop.remove_writer
 * Since     0.1
 */
COIL_API int coil_remove_reader(COIL_NULLABLE coil_loop *loop, int fd);
COIL_API int coil_remove_writer(COIL_NULLABLE coil_loop *loop, int fd);

/* ---- what goes wrong in the background --------------------------------------------------------- */

typedef enum coil_event_kind {
    COIL_EVENT_CALLBACK_FAILED,      /* a callback returned a negative code */
    COIL_EVENT_TASK_ERROR_UNREAD,    /* a task failed and nobody looked */
    COIL_EVENT_FUTURE_ERROR_UNREAD,  /* the same for a plain future */
    COIL_EVENT_TASK_LOST,            /* a task was still pending when its loop was closed */
    COIL_EVENT_SHUTDOWN_TASK_FAILED, /* run cancelled what was left, and a task failed meanwhile */
    COIL_EVENT_HANDLER_FAILED,       /* the exception handler itself failed */
    COIL_EVENT_NEVER_AWAITED,        /* a coroutine object was dropped unused */
    COIL_EVENT_SLOW_CALLBACK,        /* debug mode: a callback or step took long */
    COIL_EVENT_UNCLOSED_LOOP,        /* a loop was released without coil_loop_close */
    COIL_EVENT_CLOSE_IGNORED,        /* a coroutine that is being closed went on awaiting */
    COIL_EVENT_DESTROYED_IN_USE,     /* a lock, queue... was destroyed while tasks waited for it */
    COIL_EVENT_GROUP_LEFT,           /* a block was left without coil_task_group_exit */
    COIL_EVENT_UNGUARDED_STACK, /* the system refused a guard: an overflow of that stack shows late */
    COIL_EVENT_SCOPE_LEFT,      /* a timeout or cancel scope was left without its exit */
    COIL_EVENT_GENERATOR_CLOSE_FAILED, /* the cleanup of a generator that was left half-way failed */
    COIL_EVENT_PROTOCOL_FAILED,        /* a protocol's function, `name`, returned a negative code */
    COIL_EVENT_WRITE_AFTER_LOSS,       /* writing goes on although the connection is lost */
    COIL_EVENT_UNCLOSED_TRANSPORT, /* a transport or server was left open when its loop was closed */
    COIL_EVENT_UNCLOSED_PROCESS,   /* a process was released while it ran, with open streams */
    COIL_EVENT_ACCEPT_FAILED,      /* no connection could be accepted; tried again in a second */
    COIL_EVENT_CLIENT_FAILED,      /* the handler of a connection failed (coil_start_server) */
    COIL_EVENT_EXECUTOR_STUCK, /* the limit of shutdown_default_executor expired before its threads ended */
} coil_event_kind;

/* What the exception handler, and the log, are told. Everything is lent for the call. */
typedef struct coil_report {
    size_t size;
    coil_event_kind event;
    const char *message;               /* for people, one line */
    int code;                          /* the error, or 0 */
    COIL_NULLABLE coil_error *error;   /* its record */
    COIL_NULLABLE coil_future *future; /* the future or task it is about */
    COIL_NULLABLE coil_handle *handle; /* the callback it is about */
    COIL_NULLABLE const char *name; /* NEVER_AWAITED, GENERATOR_..., PROTOCOL_...: the function's */
    COIL_NULLABLE const char *place; /* where it was made, in debug mode */
    double seconds;                  /* SLOW_CALLBACK: how long */
} coil_report;

/* Returns 0, or a negative code if the handler itself failed; that is logged. */
typedef int (*coil_exception_handler)(coil_loop *loop, const coil_report *report, void *arg);

/**
 * Sets who is told of errors that have no caller to go to. NULL: they are logged.
 *
 * @param arg  borrowed until replaced
 *
 * Suspends  never
 * Thread    the loop's
 * Python    loop.set_exception_handler
 * Since     0.1
 */
COIL_API void coil_set_exception_handler(COIL_NULLABLE coil_loop *loop,
                                         COIL_NULLABLE coil_exception_handler handler, void *arg);

/**
 * The handler that is set, and its argument.
 *
 * @param arg_out  NULL, or receives the argument
 *
 * Returns   NULL if none is
 * Suspends  never
 * Thread    the loop's
 * Python    loop.get_exception_handler
 * Since     0.1
 */
COIL_API coil_exception_handler coil_get_exception_handler(COIL_NULLABLE coil_loop *loop,
                                                           COIL_NULLABLE void **arg_out);

/**
 * Reports an error the way the loop does: to the handler, or else to the log.
 *
 * @param report  borrowed
 *
 * Suspends  never
 * Thread    the loop's
 * Python    loop.call_exception_handler
 * Since     0.1
 */
COIL_API void coil_call_exception_handler(COIL_NULLABLE coil_loop *loop, const coil_report *report);

typedef enum coil_log_level {
    COIL_LOG_WARNING,
    COIL_LOG_ERROR
} coil_log_level;
typedef void (*coil_logger)(coil_loop *loop, coil_log_level level, const coil_report *report,
                            void *arg);

/**
 * Sets where the loop's own log goes. By default lines on standard error.
 *
 * @param logger  NULL: the default
 * @param arg     borrowed until replaced
 *
 * Suspends  never
 * Thread    the loop's
 * Python    logging.getLogger("asyncio")
 * Since     0.1
 */
COIL_API void coil_set_logger(COIL_NULLABLE coil_loop *loop, COIL_NULLABLE coil_logger logger,
                              void *arg);

/**
 * Debug mode: calls from the wrong thread are refused, slow steps are logged, places of creation are
 * kept. On from the start if COIL_DEBUG is 1 in the environment.
 *
 * Returns   whether it is on
 * Suspends  never
 * Thread    the loop's
 * Python    loop.set_debug, loop.get_debug
 * Since     0.1
 */
COIL_API void coil_set_debug(COIL_NULLABLE coil_loop *loop, bool on);
COIL_API bool coil_get_debug(COIL_NULLABLE coil_loop *loop);

/**
 * From how many seconds on a callback or a task's step is logged as slow, in debug mode. At first 0.1.
 *
 * Returns   seconds
 * Suspends  never
 * Thread    the loop's
 * Python    loop.slow_callback_duration
 * Since     0.1
 */
COIL_API void coil_set_slow_callback_duration(COIL_NULLABLE coil_loop *loop, double seconds);
COIL_API double coil_get_slow_callback_duration(COIL_NULLABLE coil_loop *loop);

/* ---- inside another event loop ----------------------------------------------------------------- */

/**
 * A descriptor that polls readable whenever coil_loop_step has something to do: completions, due
 * timers, ready callbacks, calls from other threads. It stays the loop's.
 *
 * Returns   the descriptor, or
 *           COIL_ENOTSUP  the backend has none (poll)
 *           COIL_ECLOSED, or -errno
 * Suspends  never
 * Thread    the loop's
 * Python    none (libuv: uv_backend_fd, uv_backend_timeout)
 * Since     0.1
 */
COIL_API int coil_loop_fd(coil_loop *loop);

/**
 * One turn of the loop: at most `timeout` seconds of waiting if nothing is ready.
 *
 * @param timeout  seconds; 0 only looks, negative waits as long as it takes
 *
 * Returns   1 if something is ready for the next turn, 0 if not, COIL_EINVAL (timeout is not a number),
 *           or as coil_run_forever
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_loop_step(coil_loop *loop, double timeout);

/**
 * The name of the backend that the loop waits with, such as "epoll".
 *
 * Returns   a static text
 * Suspends  never
 * Thread    any
 * Python    type(selector).__name__
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_loop_backend(const coil_loop *loop);

/**
 * Why the loop waits with this backend and not with the one that COIL_BACKEND names, or the best: such as
 * "io_uring is forbidden: /proc/sys/kernel/io_uring_disabled is 2". For a line in the log.
 *
 * Returns   a static text; NULL if the loop has what was asked for, or is closed
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_NULLABLE const char *coil_loop_backend_reason(const coil_loop *loop);

COIL_END_DECLS

#endif
