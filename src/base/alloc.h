/* Memory: everything that is not a stack comes from here, so that it can fail in tests and be counted. */
#ifndef COIL_BASE_ALLOC_H
#define COIL_BASE_ALLOC_H

#include <coil/alloc.h>

/* NULL when there is no more. Free takes NULL. */
void *coil__alloc(size_t bytes) COIL_MUST_USE;
void *coil__alloc_zero(size_t bytes) COIL_MUST_USE;
void *coil__realloc(void *memory, size_t bytes) COIL_MUST_USE;
void coil__free(void *memory);
char *coil__strdup(const char *text) COIL_MUST_USE;

/* True while coil_testing_fail_alloc has a failure in store: caches step aside then, so that every
 * allocation is one that can fail. */
extern bool coil__alloc_faulting;

/* Called by the allocation that is made to fail, before it does: for tests that say where. Or NULL. */
extern void (*coil__alloc_when_failing)(void);

#endif
