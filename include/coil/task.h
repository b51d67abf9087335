/* Tasks: coroutines that run side by side. sleep.
 *
 *     coil_task *task = coil_create_task(download("a"));
 *     ... goes on at once; the task's first step is queued
 *     COIL_TRY(coil_await(task, NULL));
 *     coil_unref(task);
 *
 * A task is a future (every coil_future_ call takes it) that its coroutine completes. The loop keeps a
 * scheduled task alive, so a reference that is not needed can be given back at once: coil_spawn does. */
#ifndef COIL_TASK_H
#define COIL_TASK_H

#include <stdio.h>
#include <coil/coro.h>
#include <coil/future.h>

COIL_BEGIN_DECLS

typedef struct coil_task_options {
    size_t size;                         /* sizeof(coil_task_options) */
    COIL_NULLABLE const char *name;      /* copied; NULL: Task-1, Task-2, ... */
    COIL_NULLABLE coil_context *context; /* run in this one; NULL: in a copy of the current one */
    size_t stack_size; /* bytes, rounded up to a power of two from 16 KiB on; includes
                                            the guard page; 0: the loop's default */
    bool eager;        /* run the first step at once, before the call returns */
} coil_task_options;
#define COIL_TASK_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(coil_task_options), NULL, NULL, 0, false                                            \
    }

/**
 * Schedules a coroutine as a task of the running loop. Its first step runs in the next turn, in the
 * order in which tasks were created.
 *
 * @param coro  consumed, also on failure; NULL fails with COIL_ENOMEM
 *
 * Returns   one reference; NULL: COIL_ENOMEM, COIL_ENOLOOP, COIL_EREUSED (coil_error_last says)
 * Suspends  never (an eager task factory runs the first step)
 * Thread    the loop's
 * Python    asyncio.create_task
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *coil_create_task(coil_coro *coro);

/**
 * The same with a name, for people and traces.
 *
 * @param coro  consumed, also on failure
 * @param name  copied
 *
 * Returns   as coil_create_task
 * Suspends  never (an eager task factory runs the first step)
 * Thread    the loop's
 * Python    asyncio.create_task(coro, name=name)
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *coil_create_task_named(coil_coro *coro,
                                                                    const char *name);

/**
 * The same with a loop and options.
 *
 * @param loop     NULL: the running one. One that does not run yet is fine
 * @param options  copied; NULL: none
 *
 * Returns   as coil_create_task, or NULL: COIL_ECLOSED, COIL_EINVAL (stack_size above 64 MiB)
 * Suspends  never; with eager, the new task runs until it first suspends
 * Thread    the loop's
 * Python    loop.create_task(coro, name=, context=, eager_start=)
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *
coil_create_task_with(COIL_NULLABLE coil_loop *loop, coil_coro *coro,
                      COIL_NULLABLE const coil_task_options *options);

/**
 * create_task for when the task itself is not needed. Its error, if it fails, goes to the exception
 * handler.
 *
 * @param coro  consumed
 *
 * Returns   0, or the code that coil_create_task fails with
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.create_task, with the result dropped
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_spawn(coil_coro *coro);

/**
 * Makes a future of an awaitable: a coroutine is scheduled, a future is given back itself, an awaitable
 * of your own is awaited in a task.
 *
 * @param loop       NULL: the running one
 * @param awaitable  a coroutine is consumed; a coil_awaitable must live until the task has ended
 *
 * Returns   one reference; NULL: as coil_create_task, or COIL_EINVAL (another loop's future)
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.ensure_future
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_future *coil_ensure_future(COIL_NULLABLE coil_loop *loop,
                                                                  void *awaitable);

/**
 * Waits. sleep(0), and any negative sleep, gives way for exactly one turn of the loop, without a timer.
 *
 * @param delay  seconds; infinity waits for cancellation; not a number: COIL_EINVAL
 *
 * Returns   0, or
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM (the timer), COIL_ECLOSING
 * Suspends  always
 * Cancel    the timer is gone
 * Thread    the loop's, in a task
 * Python    asyncio.sleep
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_sleep(double delay);

/**
 * A coroutine object that sleeps and gives a value, to hand to coil_create_task or coil_gather.
 *
 * @param value  moved into the coroutine
 *
 * Returns   one reference; NULL when there is no memory (value is cleared)
 * Suspends  never: the coroutine does
 * Thread    any
 * Python    asyncio.sleep(delay, result)
 * Since     0.1
 */
COIL_API COIL_OWNED coil_coro *coil_sleep_coro(double delay, coil_value value);

/**
 * The task whose step is running.
 *
 * Returns   lent; NULL in a callback, and outside a loop
 * Suspends  never
 * Thread    any
 * Python    asyncio.current_task
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_task *coil_current_task(void);

/**
 * The tasks of a loop that are not done, in the order in which they were created.
 *
 * @param loop     NULL: the running one
 * @param tasks    receives at most `room` tasks, lent: coil_ref those to keep; may be NULL if room is 0
 *
 * Returns   how many there are, which may be more than room; 0 without a loop
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.all_tasks
 * Since     0.1
 */
COIL_API size_t coil_all_tasks(COIL_NULLABLE coil_loop *loop, coil_task **tasks, size_t room);

/**
 * Asks a task to stop: the call in which it waits, or waits next, returns COIL_ECANCELED. The task may
 * clean up, which may wait, and then returns the code; or goes on as if nothing had happened. Every
 * request adds one to coil_task_cancelling.
 *
 * What the task waits for is cancelled in the same call: a future is done at once, a task is asked in
 * turn.
 *
 * @param task     borrowed
 * @param message  copied; goes with the error that the task sees; NULL: none
 *
 * Returns   true, or false if the task is done already
 * Suspends  never
 * Thread    the loop's
 * Python    Task.cancel
 * Since     0.1
 */
COIL_API bool coil_task_cancel(coil_task *task, COIL_NULLABLE const char *message);
#define coil_task_cancel(task, message) coil__cancel_here(task, message, COIL_HERE)

/**
 * How many requests to cancel the task are open; and taking one back. When the last is taken back
 * before it was delivered, nothing will be.
 *
 * Returns   the number of open requests (of uncancel: those that remain), or COIL_ETYPE if the future
 *           is no task
 * Suspends  never
 * Thread    the loop's
 * Python    Task.cancelling, Task.uncancel
 * Since     0.1
 */
COIL_API int coil_task_cancelling(const coil_task *task);
COIL_API int coil_task_uncancel(coil_task *task);

/**
 * A task's name.
 *
 * Returns   a text that lives until the name is changed or the task goes
 * Suspends  never
 * Thread    the loop's
 * Python    Task.get_name
 * Since     0.1
 */
COIL_API const char *coil_task_get_name(coil_task *task);

/**
 * Gives a task another name.
 *
 * @param name  copied
 *
 * Returns   0, or COIL_ENOMEM, COIL_ETYPE
 * Suspends  never
 * Thread    the loop's
 * Python    Task.set_name
 * Since     0.1
 */
COIL_API int coil_task_set_name(coil_task *task, const char *name);

/**
 * The coroutine that a task runs.
 *
 * Returns   lent as long as the task; NULL when the task is done
 * Suspends  never
 * Thread    the loop's
 * Python    Task.get_coro
 * Since     0.1
 */
COIL_API coil_coro *coil_task_get_coro(const coil_task *task);

/**
 * The context that a task runs in.
 *
 * Returns   lent as long as the task; NULL when there is no memory to make it visible
 * Suspends  never
 * Thread    the loop's
 * Python    Task.get_context
 * Since     0.1
 */
COIL_API coil_context *coil_task_get_context(coil_task *task);

/**
 * The coroutines that a task is in, innermost first: what is running or waiting, who awaits it, and so
 * on up to the task's own.
 *
 * @param coros  receives at most `room` coroutines, lent
 *
 * Returns   how many there are, which may be more than room; 0 for a task that is done
 * Suspends  never
 * Thread    the loop's
 * Python    Task.get_stack
 * Since     0.1
 */
COIL_API size_t coil_task_get_stack(const coil_task *task, coil_coro **coros, size_t room);

/**
 * Prints the coroutines that a task is in, outermost first, with the place where each is defined.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    Task.print_stack
 * Since     0.1
 */
COIL_API void coil_task_print_stack(coil_task *task, FILE *file);

/**
 * The bytes of stack a task has ever touched (by page; at most its size). A stack that served another
 * task before counts what that one touched.
 *
 * @param size_out  NULL, or receives the size of the stack
 *
 * Returns   bytes; 0 if the task has no stack: not started, or done
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API size_t coil_task_stack_used(const coil_task *task, COIL_NULLABLE size_t *size_out);

/**
 * The size of stack that tasks of a loop get if they don't say. At first 256 KiB.
 *
 * @param bytes  16 KiB to 64 MiB, rounded up to a power of two; address space, not memory: pages are
 *               taken when they are touched
 *
 * Returns   0, or COIL_EINVAL, COIL_ENOLOOP
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_set_default_stack_size(COIL_NULLABLE coil_loop *loop, size_t bytes);

/* Makes the task for a coroutine: returns one reference or NULL. A factory usually changes the options
 * and calls coil_task_new. */
typedef coil_task *(*coil_task_factory)(coil_loop *loop, coil_coro *coro,
                                        const coil_task_options *options, void *arg);

/**
 * Sets who makes the tasks of a loop: coil_create_task and all that calls it. NULL: the usual way.
 *
 * @param arg  borrowed until replaced
 *
 * Suspends  never
 * Thread    the loop's
 * Python    loop.set_task_factory
 * Since     0.1
 */
COIL_API void coil_set_task_factory(COIL_NULLABLE coil_loop *loop,
                                    COIL_NULLABLE coil_task_factory factory, void *arg);

/**
 * The task factory that is set.
 *
 * Returns   NULL if none is
 * Suspends  never
 * Thread    the loop's
 * Python    loop.get_task_factory
 * Since     0.1
 */
COIL_API coil_task_factory coil_get_task_factory(COIL_NULLABLE coil_loop *loop);

/**
 * Makes a task the usual way, whatever the factory: for use in factories.
 *
 * @param coro  consumed, also on failure
 *
 * Returns   as coil_create_task_with
 * Suspends  never; with eager, the new task runs until it first suspends
 * Thread    the loop's
 * Python    asyncio.Task
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *coil_task_new(coil_loop *loop, coil_coro *coro,
                                                           const coil_task_options *options);

/**
 * A factory whose tasks start eagerly: they run at once until they first wait, and one that never
 * waits is done when coil_create_task returns.
 *
 * Returns   as coil_create_task_with
 * Suspends  never; the new task runs until it first suspends
 * Thread    the loop's
 * Python    asyncio.eager_task_factory
 * Since     0.1
 */
COIL_API coil_task *coil_eager_task_factory(coil_loop *loop, coil_coro *coro,
                                            const coil_task_options *options, void *arg);

/**
 * Whether a future is a task.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    any
 * Python    isinstance(future, asyncio.Task)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD bool coil_is_task(const void *object);

COIL_END_DECLS

#endif
