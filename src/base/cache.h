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
    /* Classes are 24, 40, 56... bytes: with its header of 8 such a block of glibc's fills 16s. */
    COIL__CACHE_LEAST = 24,
    COIL__CACHE_STEP = 16,
    COIL__CACHE_CLASSES = 41,                 /* up to 664 bytes: an error's record fits */
    COIL__CACHE_BYTES_MAX = 16 * 1024 * 1024, /* kept for each class */
};

struct coil__cache {
    struct {
        void *free; /* each block's first word points to the next */
        unsigned bytes;
    } classes[COIL__CACHE_CLASSES];
    unsigned bytes_max; /* for each class; 0 under valgrind and ASan, which want to see blocks go */
    void *chunks;       /* see base/chunk.h: each one's first word points to the next */
    unsigned chunk_count;
};

void coil__cache_init(struct coil__cache *cache);
void coil__cache_fini(struct coil__cache *cache);

static inline size_t coil__cache_class(size_t bytes)
{
    return bytes <= COIL__CACHE_LEAST
               ? 0
               : (bytes - COIL__CACHE_LEAST + COIL__CACHE_STEP - 1) / COIL__CACHE_STEP;
}

static inline size_t coil__cache_class_bytes(size_t class)
{
    return COIL__CACHE_LEAST + class * COIL__CACHE_STEP;
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
        cache->classes[class].bytes -= (unsigned)coil__cache_class_bytes(class);
        return block;
    }
    return coil__alloc(coil__cache_class_bytes(class));
}

/* bytes: as when it was taken. */
static inline void coil__block_give(void *block, size_t bytes)
{
    size_t class = coil__cache_class(bytes);
    struct coil__cache *cache = coil__thread.cache;
    if (class < COIL__CACHE_CLASSES && cache && cache->classes[class].bytes < cache->bytes_max) {
        *(void **)block = cache->classes[class].free;
        cache->classes[class].free = block;
        cache->classes[class].bytes += (unsigned)coil__cache_class_bytes(class);
    } else {
        coil__free(block);
    }
}

#endif
