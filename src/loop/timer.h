/* Timers: a 4-ary heap of {deadline, timer} in one array.
 *
 * Comparisons stay inside the array; the timer itself is touched only when its place changes, and for its
 * sequence number when deadlines are equal: those leave in the order in which they were armed. Disarming removes at once: most timers are
 * limits that never expire, and must not pile up. */
#ifndef COIL_LOOP_TIMER_H
#define COIL_LOOP_TIMER_H

#include <stddef.h>
#include <stdint.h>
#include "loop/ready.h"

#define COIL__TIMER_IDLE UINT32_MAX

struct coil__timer {
    struct coil__ready ready; /* queued when the timer is due */
    int64_t due_ns;           /* on the loop's clock */
    uint32_t seq;             /* equal due_ns fire in the order in which they were armed */
    uint32_t heap_index;      /* COIL__TIMER_IDLE while not armed */
};

struct coil__timer_slot {
    int64_t due_ns;
    struct coil__timer *timer;
};

struct coil__timer_heap {
    struct coil__timer_slot *slots;
    uint32_t count, room;
    uint32_t
        next_seq; /* wraps: only timers armed within half its range of one another compare right */
};

void coil__timer_heap_init(struct coil__timer_heap *heap);
void coil__timer_heap_fini(struct coil__timer_heap *heap);

/* timer->due_ns is set, and the timer idle. Returns 0 or COIL_ENOMEM. */
int coil__timer_arm(struct coil__timer_heap *heap, struct coil__timer *timer);

/* Harmless for an idle timer. */
void coil__timer_disarm(struct coil__timer_heap *heap, struct coil__timer *timer);

/* The earliest deadline, COIL__FOREVER_NS if there is none. */
int64_t coil__timer_heap_next(const struct coil__timer_heap *heap);

/* Takes out the earliest timer if it is due by now_ns; else NULL. */
struct coil__timer *coil__timer_heap_pop(struct coil__timer_heap *heap, int64_t now_ns);

/* Walks the invariants; for tests. */
/* Takes out all timers that lie in [low, high), without a look at them: their memory is gone. */
void coil__timer_heap_forget(struct coil__timer_heap *heap, uintptr_t low, uintptr_t high);

bool coil__timer_heap_check(const struct coil__timer_heap *heap);

#endif
