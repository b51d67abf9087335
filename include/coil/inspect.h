/* What is it waiting for: who awaits whom, and why nothing goes on.
 *
 *     coil_print_call_graph(NULL, stderr);     the running task, and who awaits it
 *     coil_print_tasks(NULL, stderr);          every task of the loop, what it waits for, and deadlocks
 *
 * The same questions are answered from outside by the command `coil` (coil ps PID, coil why PID TASK), for
 * a program that hangs, is stopped, or has left a core file. Nothing has to be switched on for either. */
#ifndef COIL_INSPECT_H
#define COIL_INSPECT_H

#include <stdio.h>
#include <coil/future.h>
#include <coil/task.h>

COIL_BEGIN_DECLS

/* A coroutine in progress. */
typedef struct coil_call_graph_entry {
    const char *name;
    const char *file; /* where the coroutine function is defined */
    int line;
} coil_call_graph_entry;

/* A future or task, the coroutines it is in, and those that await it. Everything in it lives as long as
 * the graph. */
typedef struct coil_call_graph {
    size_t size;                             /* sizeof(coil_call_graph) of the library */
    coil_future *future;                     /* held by the graph */
    const char *name;                        /* of a task; NULL: a plain future */
    const char *waits_for;                   /* in words; NULL: it does not wait */
    const coil_call_graph_entry *call_stack; /* innermost first */
    size_t call_stack_count;
    struct coil_call_graph *const *awaited_by; /* in the order in which they began to */
    size_t awaited_by_count;
} coil_call_graph;

/**
 * Takes down who awaits a future, who awaits those, and so on, with their coroutines. Somebody who awaits
 * it through gather, shield, wait or a task group counts. One that awaits by several ways is there several
 * times; in a circle it is not followed again, nor further up than twenty levels.
 *
 * @param future  a future or task; NULL: the running task
 *
 * Returns   the graph, for coil_call_graph_free; NULL: COIL_ENOTASK (no future is given, and no task runs),
 *           COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.capture_call_graph (3.14)
 * Since     0.1
 */
COIL_API COIL_MUST_USE coil_call_graph *coil_capture_call_graph(COIL_NULLABLE coil_future *future);

/**
 * Gives a graph back, with the references it holds.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void coil_call_graph_free(COIL_NULLABLE coil_call_graph *graph);

/**
 * Writes a call graph as text, which ends in a zero byte if there is any room:
 *
 *     * Task(name='fetch', id=0x55d0c8)
 *       + Waits for: sock_recv on descriptor 7
 *       + Call stack:
 *       |   File 'fetch.c', line 12, in async fetch()
 *       + Awaited by:
 *           * Task(name='Task-1', id=0x55d0b0)
 *
 * @param text    receives at most `room` bytes, the zero byte included; may be NULL if room is 0
 * @param future  as for coil_capture_call_graph
 *
 * Returns   the length of the whole text, as snprintf, or a code of coil_capture_call_graph
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.format_call_graph (3.14)
 * Since     0.1
 */
COIL_API long coil_format_call_graph(char *text, size_t room, COIL_NULLABLE coil_future *future);

/**
 * Prints a call graph, as coil_format_call_graph writes it.
 *
 * Returns   0, or a code of coil_capture_call_graph
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.print_call_graph (3.14)
 * Since     0.1
 */
COIL_API int coil_print_call_graph(COIL_NULLABLE coil_future *future, FILE *file);

/**
 * Prints every task of a loop that is not done: its name, whether it runs, is ready or waits, and what it
 * waits for. Below, each deadlock with its tasks in order.
 *
 * @param loop  NULL: the running one
 *
 * Returns   0, or COIL_ENOLOOP, COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    python -m asyncio ps (3.14)
 * Since     0.1
 */
COIL_API int coil_print_tasks(COIL_NULLABLE coil_loop *loop, FILE *file);

/**
 * Looks for a deadlock: tasks in a circle, each waiting for the next one to end, or to release a lock.
 * None of them will ever go on by itself; only cancelling one, or a timeout, helps. A wait for the first of
 * several (coil_wait, coil_as_completed) is not followed, and neither is a queue, an event or a semaphore:
 * who would serve those is not known.
 *
 * @param loop   NULL: the running one
 * @param tasks  receives at most `room` tasks of one circle, lent: each waits for the next, the last for
 *               the first; may be NULL if room is 0
 *
 * Returns   how many tasks are in the circle, which may be more than room; 0: there is none; or
 *           COIL_ENOLOOP, COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API long coil_find_deadlock(COIL_NULLABLE coil_loop *loop, coil_task **tasks, size_t room);

COIL_END_DECLS

#endif
