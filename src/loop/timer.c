#include "loop/timer.h"

#include <assert.h>
#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "platform/clock.h"

enum { ARITY = 4, FIRST_ROOM = 64 };

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

static inline bool earlier(const struct coil__timer_slot *a, const struct coil__timer_slot *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->seq < b->seq);
}

static inline void put(struct coil__timer_heap *heap, uint32_t index, struct coil__timer_slot slot)
{
    heap->slots[index] = slot;
    slot.timer->heap_index = index;
}

static void sift_up(struct coil__timer_heap *heap, uint32_t index, struct coil__timer_slot slot)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        if (!earlier(&slot, &heap->slots[parent]))
            break;
        put(heap, index, heap->slots[parent]);
        index = parent;
    }
    put(heap, index, slot);
}

static void sift_down(struct coil__timer_heap *heap, uint32_t index, struct coil__timer_slot slot)
{
    for (;;) {
        uint32_t child = index * ARITY + 1;
        if (child >= heap->count)
            break;
        uint32_t last = child + ARITY < heap->count ? child + ARITY : heap->count;
        uint32_t least = child;
        for (uint32_t i = child + 1; i < last; i++)
            if (earlier(&heap->slots[i], &heap->slots[least]))
                least = i;
        if (!earlier(&heap->slots[least], &slot))
            break;
        put(heap, index, heap->slots[least]);
        index = least;
    }
    put(heap, index, slot);
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
    struct coil__timer_slot slot = { timer->due_ns, heap->next_seq++, timer };
    sift_up(heap, heap->count++, slot);
    return 0;
}

static void remove_at(struct coil__timer_heap *heap, uint32_t index)
{
    heap->slots[index].timer->heap_index = COIL__TIMER_IDLE;
    struct coil__timer_slot last = heap->slots[--heap->count];
    if (index == heap->count)
        return;
    if (index > 0 && earlier(&last, &heap->slots[(index - 1) / ARITY]))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
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

bool coil__timer_heap_check(const struct coil__timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct coil__timer_slot *slot = &heap->slots[i];
        if (slot->timer->heap_index != i || slot->timer->due_ns != slot->due_ns)
            return false;
        if (i > 0 && earlier(slot, &heap->slots[(i - 1) / ARITY]))
            return false;
    }
    return true;
}
