/* Numbers about a loop, for a dashboard: always counted, since they cost next to nothing.
 *
 *     coil_metrics metrics = COIL_METRICS_INIT;
 *     COIL_TRY(coil_loop_metrics(NULL, &metrics));
 *     coil_metrics_write_prometheus(stdout, &metrics, 1);
 *
 * Two of them tell most. waited_seconds grows by a second per second while there is nothing to do, and stands still
 * when the loop is at its limit. longest_seconds is the longest time in which the loop did not look at the kernel:
 * every connection and every other task had to wait as long. COIL_DEBUG=1 then names the step that it was. */
#ifndef COIL_METRICS_H
#define COIL_METRICS_H

#include <stdio.h>
#include <coil/loop.h>

COIL_BEGIN_DECLS

/* Sums are over the loop's life. Times are of the real clock: 0 on a loop with a virtual one. */
typedef struct coil_metrics {
    size_t size;
    uint64_t polls;         /* looks at the kernel */
    uint64_t turns;         /* batches of what was ready: several may go by between two polls */
    uint64_t tasks_created; /* those of the library's own included */
    uint64_t tasks_done;    /* the difference are alive */
    size_t timers;          /* set, at the last poll */
    size_t buffered_bytes;  /* of transports and readers, at the last poll */
    double busy_seconds;    /* spent in steps, callbacks and the library */
    double waited_seconds;  /* spent waiting for something to do */
    double longest_seconds; /* between two polls, the waiting left out */
    double late_seconds;    /* the timer that fired last: how long after it was due */
    double latest_seconds;  /* the maximum of that */
} coil_metrics;
#define COIL_METRICS_INIT                                                                          \
    {                                                                                              \
        .size = sizeof(coil_metrics)                                                               \
    }

/**
 * Reads a loop's numbers.
 *
 * @param loop         NULL: the running one. Another thread's must not be released meanwhile; it may be closed
 * @param metrics_out  its size must be set; each number is exact by itself, but a running loop goes on between
 *                     reading one and the next
 *
 * Returns   0, COIL_ENOLOOP, or COIL_EINVAL (the size is not set)
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_loop_metrics(COIL_NULLABLE const coil_loop *loop,
                                               coil_metrics *metrics_out);

/**
 * Writes numbers in the text format that Prometheus reads. The samples of the N-th loop have the label loop="N".
 * For an HTTP answer, open_memstream(3) gives a file in memory.
 *
 * @param file     stays open
 * @param metrics  those of one loop, or an array of several
 *
 * Returns   0, or -errno as the file says (-EIO if it does not)
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_metrics_write_prometheus(FILE *file, const coil_metrics *metrics,
                                                           size_t count);

COIL_END_DECLS

#endif
