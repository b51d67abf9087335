#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <coil/error.h>
#include <coil/testing.h>

static void *malloc_alloc(size_t bytes, void *arg)
{
    (void)arg;
    return malloc(bytes);
}

static void *malloc_resize(void *memory, size_t bytes, void *arg)
{
    (void)arg;
    return realloc(memory, bytes);
}

static void malloc_release(void *memory, void *arg)
{
    (void)arg;
    free(memory);
}

static const coil_allocator malloc_allocator = { malloc_alloc, malloc_resize, malloc_release,
                                                 NULL };
static coil_allocator allocator = { malloc_alloc, malloc_resize, malloc_release, NULL };
static atomic_size_t blocks;

bool coil__alloc_faulting;
void (*coil__alloc_when_failing)(void);
static long fail_countdown;
static bool fail_happened;

int coil_set_allocator(const coil_allocator *wanted)
{
    if (atomic_load(&blocks) > 0)
        return coil_raise(COIL_ERUNTIME, "the allocator is in use");
    allocator = wanted ? *wanted : malloc_allocator;
    return 0;
}

void coil_testing_fail_alloc(long nth)
{
    fail_countdown = nth;
    fail_happened = false;
    coil__alloc_faulting = nth > 0;
}

bool coil_testing_alloc_failed(void)
{
    return fail_happened;
}

size_t coil_testing_alloc_count(void)
{
    return atomic_load(&blocks);
}

static bool fails_now(void)
{
    if (!COIL_UNLIKELY(coil__alloc_faulting) || --fail_countdown > 0)
        return false;
    coil__alloc_faulting = false;
    fail_happened = true;
    if (coil__alloc_when_failing)
        coil__alloc_when_failing();
    return true;
}

void *coil__alloc(size_t bytes)
{
    if (fails_now())
        return NULL;
    void *memory = allocator.alloc(bytes, allocator.arg);
    if (memory)
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return memory;
}

void *coil__alloc_zero(size_t bytes)
{
    void *memory = coil__alloc(bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

void *coil__realloc(void *memory, size_t bytes)
{
    if (!memory)
        return coil__alloc(bytes);
    if (fails_now())
        return NULL;
    return allocator.resize(memory, bytes, allocator.arg);
}

void coil__free(void *memory)
{
    if (!memory)
        return;
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    allocator.release(memory, allocator.arg);
}

char *coil__strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = coil__alloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void coil_free(void *memory)
{
    coil__free(memory);
}
