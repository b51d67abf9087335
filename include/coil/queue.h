/* Queues: how tasks hand items to one another, first in, first out, last in, first out, or by priority.
 *
 *     COIL_ASYNC(producer, (coil_queue *, jobs))
 *     {
 *         for (int i = 0; i < 1000; i++)
 *             COIL_TRY(coil_queue_put(jobs, coil_int(i)));     waits while the queue is full
 *         coil_queue_shutdown(jobs, false);
 *         return 0;
 *     }
 *
 *     COIL_ASYNC(consumer, (coil_queue *, jobs))
 *     {
 *         coil_value job;
 *         int rc;
 *         while ((rc = coil_queue_get(jobs, &job)) == 0)
 *             COIL_TRY(work_on(job.integer));
 *         return rc == COIL_ESHUTDOWN ? 0 : rc;
 *     }
 *
 * A queue is a plain struct in your memory: coil_queue_init(&jobs, 10) ... coil_queue_fini(&jobs). Its
 * fields are private, and it must stay where it is while tasks wait for it. The three kinds are the same
 * type, made by different calls.
 *
 * Items are values. While one is in the queue the queue owns what it owns, and gives it back at
 * coil_queue_fini or an immediate shutdown. A put that fails leaves the item the caller's; a get makes it
 * the caller's.
 *
 *     coil_value item = coil_pointer_owned(page, free_page);
 *     int rc = coil_queue_put(&pages, item);
 *     if (rc < 0)
 *         coil_value_clear(&item);
 *
 * Calls that need not wait take a few nanoseconds, and allocate only when the queue is fuller than it
 * ever was. As for locks, those who wait are served in the order in which they came, and what is said at
 * the top of <coil/sync.h> about loops, threads and destruction goes for queues, too. */
#ifndef COIL_QUEUE_H
#define COIL_QUEUE_H

#include <coil/sync.h>
#include <coil/value.h>

COIL_BEGIN_DECLS

/* As qsort's: negative if left comes out before right, positive if after, 0 if it does not matter. Must
 * not suspend, nor touch the queue. */
typedef int (*coil_compare)(const coil_value *left, const coil_value *right, void *arg);

typedef struct coil_queue {
    coil_value *coil__items;
    size_t coil__room; /* of items */
    size_t coil__head; /* FIFO: the oldest */
    size_t coil__count;
    size_t coil__easy; /* FIFO: up to this count a put has nothing more to look at */
    size_t coil__maxsize;
    size_t coil__unfinished;
    struct coil__waitlist coil__getters, coil__putters, coil__leaving, coil__joiners;
    coil_compare coil__compare;
    void *coil__compare_arg;
    unsigned char coil__kind; /* enum queue_kind of queue.c */
    bool coil__shut_down;
} coil_queue;

/* A first in, first out queue in static memory, as coil_queue_init makes it. */
#define COIL_QUEUE_INIT(maxsize)                                                                   \
    {                                                                                              \
        NULL, 0, 0, 0, 0, (maxsize), 0, { NULL }, { NULL }, { NULL }, { NULL }, NULL, NULL, 0,     \
            false                                                                                  \
    }

/* ---- making and ending -------------------------------------------------------------------------- */

/**
 * Makes a queue, in your memory: first in, first out; or last in, first out. Allocates nothing yet.
 *
 * @param maxsize  how many items it takes; 0: as many as there is memory for
 *
 * Suspends  never
 * Thread    any
 * Python    asyncio.Queue, asyncio.LifoQueue
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_queue_init(coil_queue *queue, size_t maxsize);
COIL_API COIL_ANY_THREAD void coil_lifo_queue_init(coil_queue *queue, size_t maxsize);

/**
 * Makes a queue that gives the least item first.
 *
 * @param maxsize  as for coil_queue_init
 * @param compare  which of two items is less
 * @param arg      borrowed until coil_queue_fini
 *
 * Suspends  never
 * Thread    any
 * Python    asyncio.PriorityQueue
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_priority_queue_init(coil_queue *queue, size_t maxsize,
                                                       coil_compare compare, void *arg);

/**
 * Ends a queue: items that are left are given back. Nobody should be waiting for it; if tasks do, it is
 * reported, and their calls return COIL_ECLOSED.
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_queue_fini(coil_queue *queue);

/* ---- items -------------------------------------------------------------------------------------- */

/**
 * Puts an item into a queue, waiting for room if there is none.
 *
 * @param item  moves into the queue; on failure it stays the caller's
 *
 * Returns   0, or
 *           COIL_ECANCELED   the task was cancelled while it waited
 *           COIL_ESHUTDOWN   the queue takes no more items
 *           COIL_ENOMEM
 *           COIL_EWRONGLOOP  tasks of another loop wait for the queue
 *           COIL_ENOTASK     it would have to wait, and this is no task
 *           COIL_EWRONGTHREAD  debug mode only
 *           COIL_ECLOSED     the queue was destroyed
 * Suspends  while the queue is full
 * Cancel    nothing was put; room that was meant for this task goes to the next one
 * Thread    the loop's, in a task
 * Python    asyncio.Queue.put
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_queue_put(coil_queue *queue, coil_value item);

/**
 * Puts an item into a queue if there is room.
 *
 * @param item  moves into the queue; on failure it stays the caller's
 *
 * Returns   0, or
 *           COIL_EFULL         there is no room
 *           COIL_ESHUTDOWN     the queue takes no more items
 *           COIL_ENOMEM
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.put_nowait
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_queue_put_nowait(coil_queue *queue, coil_value item);

/**
 * Takes an item out of a queue, waiting for one if there is none: the oldest, the newest or the least,
 * depending on the kind.
 *
 * @param item_out  receives the item, which is the caller's; untouched on failure
 *
 * Returns   0, or
 *           COIL_ECANCELED   the task was cancelled while it waited
 *           COIL_ESHUTDOWN   the queue is shut down and empty
 *           COIL_EWRONGLOOP, COIL_ENOTASK, COIL_EWRONGTHREAD, COIL_ECLOSED  as coil_queue_put
 * Suspends  while the queue is empty
 * Cancel    loses nothing: the item stays queued, and the next getter is woken for it
 * Thread    the loop's, in a task
 * Python    asyncio.Queue.get
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_queue_get(coil_queue *queue, coil_value *item_out);

/**
 * Takes an item out of a queue if there is one.
 *
 * @param item_out  receives the item, which is the caller's; untouched on failure
 *
 * Returns   0, or
 *           COIL_EEMPTY        there is none
 *           COIL_ESHUTDOWN     there is none, and never will be
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.get_nowait
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_queue_get_nowait(coil_queue *queue, coil_value *item_out);

/**
 * How many items are in a queue; how many it takes, 0 for as many as there are.
 *
 * Returns   the number
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.qsize, asyncio.Queue.maxsize
 * Since     0.1
 */
COIL_API size_t coil_queue_qsize(const coil_queue *queue);
COIL_API size_t coil_queue_maxsize(const coil_queue *queue);

/**
 * Whether a queue is empty, or full.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.empty, asyncio.Queue.full
 * Since     0.1
 */
COIL_API bool coil_queue_empty(const coil_queue *queue);
COIL_API bool coil_queue_full(const coil_queue *queue);

/* ---- the work that items stand for ---------------------------------------------------------------- */

/**
 * Says that the work on one item that was taken out is done.
 *
 * Returns   0, or
 *           COIL_EINVAL        it was said for every item that was ever put already
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.task_done
 * Since     0.1
 */
COIL_API int coil_queue_task_done(coil_queue *queue);

/**
 * Waits until coil_queue_task_done has been called for every item that was put.
 *
 * Returns   0, or COIL_ECANCELED, COIL_EWRONGLOOP, COIL_ENOTASK, COIL_ECLOSED as coil_queue_put
 * Suspends  unless all work is done
 * Cancel    leaves the queue as it is
 * Thread    the loop's, in a task
 * Python    asyncio.Queue.join
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_queue_join(coil_queue *queue);

/**
 * Ends the traffic: from now on every put fails with COIL_ESHUTDOWN, and a get as soon as the queue is
 * empty. Those who wait are woken. Twice is fine.
 *
 * @param immediate  give back what is in the queue, as if it had been taken out and worked on
 *
 * Returns   0, or
 *           COIL_EWRONGTHREAD  debug mode only
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.Queue.shutdown
 * Since     0.1
 */
COIL_API int coil_queue_shutdown(coil_queue *queue, bool immediate);

COIL_END_DECLS

#endif
