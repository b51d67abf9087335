/* Stacks for coroutines: slots in large lazily committed mappings, one pool per loop.
 *
 *      low addresses                                                     high
 *      | guard page | usable stack, growing down <- | descriptor | colour |
 *                   low                             low + bytes
 *
 * The descriptor lies near the top of its slot, on the same page as the first frames, so that a
 * parked task costs one page. Its distance from the slot's end, the colour, differs from slot to
 * slot by up to seven cache lines: the busiest lines of all stacks would share a few cache sets
 * otherwise.
 *
 * The guard is one page. A function whose frame is larger may step over it into the slot below
 * unless it was compiled with -fstack-clash-protection, which makes it touch every page on its way
 * down. */
#ifndef COIL_PLATFORM_STACK_H
#define COIL_PLATFORM_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/sanitizer.h"

enum {
    COIL__STACK_MIN_BYTES = 16 * 1024, /* smallest size class */
    COIL__STACK_DEFAULT_BYTES = 256 * 1024,
    COIL__STACK_MAX_BYTES = 64 * 1024 * 1024, /* largest size class */
    COIL__STACK_CLASSES = 13,                 /* 16 KiB, 32 KiB ... 64 MiB */
};

struct coil__room;

struct coil__stack {
    struct coil__stack *next_free; /* in one of the lists of its class */
    char *low;                     /* lowest usable byte; the guard lies below */
    size_t bytes;                  /* usable; low + bytes is the address of this descriptor */
    struct coil__room *room;       /* in the outermost frame, see tasks/task.h; NULL: none */
    uint8_t size_class;
    bool guarded;         /* false: a guard could not be had (pool->unguarded) */
    bool tsan_alive;      /* from the first switch to the stack until it dies */
    unsigned valgrind_id; /* from VALGRIND_STACK_REGISTER; set under valgrind only */
    void *tsan_fiber;     /* made by the first switch to the stack; kept, mostly */
    size_t tsan_frames;   /* at most so many calls did the fiber never return from */
} __attribute__((aligned(64)));

struct coil__stack_pool {
    struct coil__stack_class {
        struct coil__stack *free; /* LIFO: the hottest stack goes out first */
        size_t free_count;        /* in `free` */
        size_t idle_count;        /* the fewest there were in `free` since the last review ... */
        struct coil__stack *idle; /* ... and the first of these, at the far end of the list */
        size_t gives_to_review;
        struct coil__stack *cooling; /* long idle; each give sends one's pages back */
        struct coil__stack *cold;    /* pages gone; goes out when the others are empty */
        size_t slots;                /* handed out at least once */
        struct coil__stack_chunk *chunks;
        char *unused, *unused_end; /* slots of the newest chunk that were never handed out */
        size_t next_chunk_bytes;
        unsigned colour; /* of the next new slot, in cache lines */
    } classes[COIL__STACK_CLASSES];
    size_t in_use;
    size_t unguarded; /* stacks without a guard; above 0 is worth one warning */
    size_t page_bytes;
    /* MADV_GUARD_INSTALL is missing. A guard then takes two of the process's vm.max_map_count
     * (65,530) mappings; beyond some 28,000 stacks there are none, so that others find mappings. */
    bool use_mprotect;
    size_t mprotect_guards;
    size_t mprotect_guards_max; /* for all pools together; 0 until it is known */
};

void coil__stack_pool_init(struct coil__stack_pool *pool);

/* Unmaps everything. No stack of the pool may be in use. */
void coil__stack_pool_fini(struct coil__stack_pool *pool);

/* A stack of the smallest class that has `bytes`; NULL when memory or address space ran out. 0
 * means the default size; above the maximum: NULL.
 *
 * The bytes count all: from 64 KiB up, usable is the class less the descriptor and the colour (at
 * most 512 bytes). The two smallest classes lose a page for the guard as well, so that 16 KiB are
 * 11.5 to use: their slots are packed to keep the page tables at 32 bytes a stack. */
static inline struct coil__stack *coil__stack_take(struct coil__stack_pool *pool, size_t bytes);

/* Back to the free list. May be called while still running on the stack, as long as the caller
 * switches away before the next take. When a class has had many free stacks for long, their pages
 * go back to the kernel, but for the topmost of each; every give then sees to one stack (a
 * microsecond or two). */
void coil__stack_give(struct coil__stack_pool *pool, struct coil__stack *stack);

/* Bytes of the stack that were ever touched since its pages were last given back: from its top down
 * to the lowest resident page. Whole pages count; pages that were swapped out don't. */
size_t coil__stack_high_water(const struct coil__stack *stack);

/* True if the address lies in the guard below this stack. Async-signal-safe. */
bool coil__stack_guard_hit(const struct coil__stack *stack, const void *address);

/* The slow half of coil__stack_take: the class's `free` is empty. */
struct coil__stack *coil__stack_take_other(struct coil__stack_pool *pool, unsigned size_class);

#ifdef COIL__ASAN
/* Wipes out the red zones that the frames of the stack's previous life left behind. */
void coil__stack_unpoison(const struct coil__stack *stack);
#else
static inline void coil__stack_unpoison(const struct coil__stack *stack)
{
    (void)stack;
}
#endif

/* COIL__STACK_CLASSES or more if there is none so large. */
static inline unsigned coil__stack_class_for(size_t bytes)
{
    if (bytes == 0)
        bytes = COIL__STACK_DEFAULT_BYTES;
    if (bytes <= COIL__STACK_MIN_BYTES)
        return 0;
    return (unsigned)(64 - __builtin_clzll((unsigned long long)bytes - 1)) - 14;
}

static inline struct coil__stack *coil__stack_take(struct coil__stack_pool *pool, size_t bytes)
{
    unsigned size_class = coil__stack_class_for(bytes);
    if (size_class >= COIL__STACK_CLASSES)
        return NULL;

    struct coil__stack_class *class = &pool->classes[size_class];
    struct coil__stack *stack = class->free;
    if (!stack)
        return coil__stack_take_other(pool, size_class);
    class->free = stack->next_free;
    /* Among ten thousand stacks the next one is in no near cache: its descriptor is on its way while
     * this stack is used (measured: 7 % of a gather's child; fetching its frames, too, costs more). */
    __builtin_prefetch(class->free, 1);
    class->free_count--;
    pool->in_use++;
    coil__stack_unpoison(stack);
    return stack;
}

#endif
