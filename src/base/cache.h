/* A loop's cache of small memory blocks: coroutines, tasks, futures and handles come and go by the
 * million, and a free list is several times faster than any general allocator.
 *
 * Every block is an allocation of its own, rounded up to its class. So it does not matter whether a
 * block is taken with a cache and given back without one, or to another loop's. */
#ifndef COIL_BASE_CACHE_H
#define COIL_BASE_CACHE_H

#include "base/alloc.h"
#include "base/thread.h"

enum {
    COIL__CACHE_STEP = 32,            /* bytes between classes */
    COIL__CACHE_CLASSES = 16,         /* up to 512 bytes */
    COIL__CACHE_BLOCKS_MAX = 16384,   /* kept for each class */
};

struct coil__cache {
    struct {
        void *free; /* each block's first word points to the next */
        unsigned count;
    } classes[COIL__CACHE_CLASSES];
    unsigned blocks_max; /* 0 under valgrind and ASan, which want to see every block go */
};

void coil__cache_init(struct coil__cache *cache);
void coil__cache_fini(struct coil__cache *cache);

static inline size_t coil__cache_class(size_t bytes)
{
    return (bytes - 1) / COIL__CACHE_STEP;
}

/* A block of at least `bytes` (not 0), uninitialised. NULL when there is no memory. */
static inline COIL_MUST_USE void *coil__block_take(size_t bytes)
{
    size_t class = coil__cache_class(bytes);
    if (COIL_UNLIKELY(class >= COIL__CACHE_CLASSES))
        return coil__alloc(bytes);
    struct coil__cache *cache = coil__thread.cache;
    if (cache && cache->classes[class].free && !COIL_UNLIKELY(coil__alloc_faulting)) {
        void *block = cache->classes[class].free;
        cache->classes[class].free = *(void **)block;
        cache->classes[class].count--;
        return block;
    }
    return coil__alloc((class + 1) * COIL__CACHE_STEP);
}

/* bytes: as when it was taken. */
static inline void coil__block_give(void *block, size_t bytes)
{
    size_t class = coil__cache_class(bytes);
    struct coil__cache *cache = coil__thread.cache;
    if (class < COIL__CACHE_CLASSES && cache && cache->classes[class].count < cache->blocks_max) {
        *(void **)block = cache->classes[class].free;
        cache->classes[class].free = block;
        cache->classes[class].count++;
    } else {
        coil__free(block);
    }
}

#endif
