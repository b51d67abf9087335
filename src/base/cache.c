#include "base/cache.h"

#include <stdlib.h>
#include <string.h>

#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED_BY_ASAN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED_BY_ASAN true
#endif
#endif
#ifndef WATCHED_BY_ASAN
#define WATCHED_BY_ASAN false
#endif

/* COIL_BLOCK_CACHE=1 keeps the cache under valgrind, to count instructions as they are without it. */
static bool watched(void)
{
    const char *wanted = getenv("COIL_BLOCK_CACHE");
    if (wanted)
        return strcmp(wanted, "1") != 0;
#ifdef COIL_HAVE_VALGRIND
    if (RUNNING_ON_VALGRIND > 0)
        return true;
#endif
    return WATCHED_BY_ASAN;
}

void coil__cache_init(struct coil__cache *cache)
{
    memset(cache, 0, sizeof *cache);
    cache->bytes_max = watched() ? 0 : COIL__CACHE_BYTES_MAX;
}

void coil__cache_fini(struct coil__cache *cache)
{
    for (size_t class = 0; class < COIL__CACHE_CLASSES; class ++) {
        void *block = cache->classes[class].free;
        while (block) {
            void *next = *(void **)block;
            coil__free(block);
            block = next;
        }
        cache->classes[class].free = NULL;
        cache->classes[class].bytes = 0;
    }
    while (cache->chunks) {
        void *next = *(void **)cache->chunks;
        coil__free(cache->chunks);
        cache->chunks = next;
    }
    cache->chunk_count = 0;
}
