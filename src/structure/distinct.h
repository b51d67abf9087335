/* The same object may be given twice to gather and wait. Marks in the objects' headers find repetitions
 * in linear time; an awaitable of the user's has no header and is searched for. */
#ifndef COIL_STRUCTURE_DISTINCT_H
#define COIL_STRUCTURE_DISTINCT_H

#include <stddef.h>

/* first_out[i] receives the index at which objects[i] occurs first. No object is NULL. */
void coil__find_repetitions(void *const *objects, size_t count, size_t *first_out);

#endif
