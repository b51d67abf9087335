#include "loop/timer.h"

#include <assert.h>
#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "platform/clock.h"

enum {
    ARITY = 4,
    FIRST_ROOM = 64
};

void coil__timer_heap_init(struct coil__timer_heap *heap)
{
    memset(heap, 0, sizeof *heap);
}

void coil__timer_heap_fini(struct coil__timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        heap->slots[i].timer->heap_index = COIL__TIMER_IDLE;
    coil__free(heap->slots);
    memset(heap, 0, sizeof *heap);
}

/* Slots are handed around as two scalars: as a struct they would go through memory, where a wide load of
 * two fresh narrow stores waits for both (measured: half of the time to arm a timer). */
static inline bool earlier(int64_t due_ns, const struct coil__timer *timer,
                           const struct coil__timer_slot *than)
{
    return due_ns < than->due_ns ||
           (due_ns == than->due_ns && (int32_t)(timer->seq - than->timer->seq) < 0);
}

static inline void put(struct coil__timer_slot *slots, uint32_t index, int64_t due_ns,
                       struct coil__timer *timer)
{
    slots[index].due_ns = due_ns;
    slots[index].timer = timer;
    timer->heap_index = index;
}

static inline void sift_up(struct coil__timer_slot *slots, uint32_t index, int64_t due_ns,
                           struct coil__timer *timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        if (!earlier(due_ns, timer, &slots[parent]))
            break;
        put(slots, index, slots[parent].due_ns, slots[parent].timer);
        index = parent;
    }
    put(slots, index, due_ns, timer);
}

static void sift_down(struct coil__timer_slot *slots, uint32_t count, uint32_t index,
                      int64_t due_ns, struct coil__timer *timer)
{
    for (;;) {
        uint32_t child = index * ARITY + 1;
        if (child >= count)
            break;
        uint32_t last = child + ARITY < count ? child + ARITY : count;
        uint32_t least = child;
        for (uint32_t i = child + 1; i < last; i++)
            if (earlier(slots[i].due_ns, slots[i].timer, &slots[least]))
                least = i;
        if (!earlier(slots[least].due_ns, slots[least].timer,
                     &(struct coil__timer_slot){ due_ns, timer }))
            break;
        put(slots, index, slots[least].due_ns, slots[least].timer);
        index = least;
    }
    put(slots, index, due_ns, timer);
}

static int grow(struct coil__timer_heap *heap)
{
    uint32_t room = heap->room ? heap->room * 2 : FIRST_ROOM;
    if (room >= COIL__TIMER_IDLE / 2)
        return coil__fail_plain(COIL_ENOMEM);
    struct coil__timer_slot *slots = coil__realloc(heap->slots, room * sizeof *slots);
    if (!slots)
        return coil__fail_plain(COIL_ENOMEM);
    heap->slots = slots;
    heap->room = room;
    return 0;
}

int coil__timer_arm(struct coil__timer_heap *heap, struct coil__timer *timer)
{
    assert(timer->heap_index == COIL__TIMER_IDLE);
    if (COIL_UNLIKELY(heap->count == heap->room)) {
        int rc = grow(heap);
        if (rc < 0)
            return rc;
    }
    timer->seq = heap->next_seq++;
    sift_up(heap->slots, heap->count++, timer->due_ns, timer);
    return 0;
}

static inline void remove_at(struct coil__timer_heap *heap, uint32_t index)
{
    struct coil__timer_slot *slots = heap->slots;
    slots[index].timer->heap_index = COIL__TIMER_IDLE;
    uint32_t count = --heap->count;
    if (index == count)
        return;
    int64_t due_ns = slots[count].due_ns;
    struct coil__timer *timer = slots[count].timer;
    if (index > 0 && earlier(due_ns, timer, &slots[(index - 1) / ARITY]))
        sift_up(slots, index, due_ns, timer);
    else
        sift_down(slots, count, index, due_ns, timer);
}

void coil__timer_disarm(struct coil__timer_heap *heap, struct coil__timer *timer)
{
    if (timer->heap_index != COIL__TIMER_IDLE)
        remove_at(heap, timer->heap_index);
}

int64_t coil__timer_heap_next(const struct coil__timer_heap *heap)
{
    return heap->count > 0 ? heap->slots[0].due_ns : COIL__FOREVER_NS;
}

struct coil__timer *coil__timer_heap_pop(struct coil__timer_heap *heap, int64_t now_ns)
{
    if (heap->count == 0 || heap->slots[0].due_ns > now_ns)
        return NULL;
    struct coil__timer *timer = heap->slots[0].timer;
    remove_at(heap, 0);
    return timer;
}

void coil__timer_heap_forget(struct coil__timer_heap *heap, uintptr_t low, uintptr_t high)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < heap->count; i++) {
        struct coil__timer_slot slot = heap->slots[i];
        uintptr_t there = (uintptr_t)slot.timer;
        if (there < low || there >= high)
            sift_up(heap->slots, kept++, slot.due_ns, slot.timer);
    }
    heap->count = kept;
}

bool coil__timer_heap_check(const struct coil__timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct coil__timer_slot *slot = &heap->slots[i];
        if (slot->timer->heap_index != i || slot->timer->due_ns != slot->due_ns)
            return false;
        if (i > 0 && earlier(slot->due_ns, slot->timer, &heap->slots[(i - 1) / ARITY]))
            return false;
    }
    return true;
}
