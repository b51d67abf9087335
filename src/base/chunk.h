/* Chunks: the large pieces of memory that what comes from the network is received into. A chunk is held only
 * while there is something in it, so a few of them, warm in the processor's caches, serve thousands of
 * connections: the one given back last is taken next. */
#ifndef COIL_BASE_CHUNK_H
#define COIL_BASE_CHUNK_H

#include "base/cache.h"

enum {
    COIL__CHUNK_BYTES = 64 * 1024,
    COIL__CHUNK_SLACK = 16, /* there is this much more: room for a zero byte behind what it holds */
    COIL__CHUNKS_KEPT = 16, /* by a loop that needs none at the moment */
};

/* NULL when there is no memory. */
static inline COIL_MUST_USE void *coil__chunk_take(void)
{
    struct coil__cache *cache = coil__thread.cache;
    if (cache && cache->chunks && !COIL_UNLIKELY(coil__alloc_faulting)) {
        void *chunk = cache->chunks;
        cache->chunks = *(void **)chunk;
        cache->chunk_count--;
        return chunk;
    }
    return coil__alloc(COIL__CHUNK_BYTES + COIL__CHUNK_SLACK);
}

static inline void coil__chunk_give(void *chunk)
{
    struct coil__cache *cache = coil__thread.cache;
    if (cache && cache->chunk_count < COIL__CHUNKS_KEPT && cache->bytes_max > 0) {
        *(void **)chunk = cache->chunks;
        cache->chunks = chunk;
        cache->chunk_count++;
    } else {
        coil__free(chunk);
    }
}

#endif
