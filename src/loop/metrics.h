/* What a loop counts. One thread writes, any may read: so the counters are atomic, and adding is a load and a
 * store, without a locked instruction. */
#ifndef COIL_LOOP_METRICS_H
#define COIL_LOOP_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct coil__counters {
    _Atomic uint64_t polls, turns, tasks_created, tasks_done;
    _Atomic size_t timers, buffered;
    _Atomic int64_t busy_ns, waited_ns, longest_ns, late_ns, latest_ns;
};

/* Release: who sees a count sees what was counted before it, so no task is done before it was created. */
#define COIL__COUNT(counter, value)                                                                \
    atomic_store_explicit(&(counter),                                                              \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (value),        \
                          memory_order_release)
#define COIL__SHOW(counter, value) atomic_store_explicit(&(counter), (value), memory_order_relaxed)

/* Keeps the greatest. */
static inline void coil__count_max(_Atomic int64_t *counter, int64_t value)
{
    if (value > atomic_load_explicit(counter, memory_order_relaxed))
        COIL__SHOW(*counter, value);
}

#endif
