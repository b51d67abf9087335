/* Where Coil's memory comes from. By default malloc; a program that has an allocator of its own says so
 * once, before it makes its first Coil object.
 *
 *     static const coil_allocator mine = { my_alloc, my_realloc, my_free, NULL };
 *     coil_set_allocator(&mine);
 *
 * It is called in every thread that uses Coil, those of thread pools included. Stacks are mapped from the
 * kernel and do not pass through here. */
#ifndef COIL_ALLOC_H
#define COIL_ALLOC_H

#include <coil/base.h>

COIL_BEGIN_DECLS

typedef struct coil_allocator {
    void *(*alloc)(size_t bytes, void *arg); /* NULL when there is no more */
    void *(*resize)(void *memory, size_t bytes, void *arg);
    void (*release)(void *memory, void *arg); /* never NULL memory */
    void *arg;
} coil_allocator;

/**
 * Sets the allocator for the whole process.
 *
 * @param allocator  copied; NULL means malloc, realloc, free again
 *
 * Returns   0, or
 *           COIL_ERUNTIME  Coil objects exist already: their memory would go back to the wrong place
 * Suspends  never
 * Thread    the main one, before others use Coil
 * Python    none
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_set_allocator(COIL_NULLABLE const coil_allocator *allocator);

/**
 * Gives back memory that a call of Coil's has handed over (coil_stream_read_all).
 *
 * @param memory  NULL is allowed
 *
 * Suspends  never
 * Thread    any
 * Python    del
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_free(COIL_NULLABLE void *memory);

COIL_END_DECLS

#endif
