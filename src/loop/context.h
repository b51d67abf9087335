/* Contexts, inside the library. The public half is <coil/context.h>.
 *
 * A context is a reference to an immutable map of variables to cells; copying a context copies that
 * reference, and setting a variable replaces the map. Maps and cells are shared between contexts, and
 * through coil_call_soon_threadsafe between threads, so their counts are atomic. The empty context is
 * NULL wherever it can be: programs that use no context variables pay nothing for them. */
#ifndef COIL_LOOP_CONTEXT_H
#define COIL_LOOP_CONTEXT_H

#include <stdatomic.h>
#include <coil/context.h>
#include "base/object.h"
#include "base/thread.h"

struct coil__map;

struct coil_context {
    struct coil__object object;
    struct coil__map *map; /* NULL: empty */
    bool entered;
};

/* Where the current context is kept: the running task's, the running callback's, or the thread's. */
coil_context **coil__context_slot(void);
/* The first of these; implemented by the tasks layer. */
coil_context **coil__task_context_slot(struct coil__task *task);

/* False until a context variable has been set anywhere in the process: until then every context is
 * empty, and there is nothing to inherit. */
extern atomic_bool coil__contexts_used;

/* A copy for something new (task, callback): *copy_out is NULL where the context is empty. Returns 0 or
 * COIL_ENOMEM. */
int coil__context_inherit_used(coil_context **copy_out);

static inline int coil__context_inherit(coil_context **copy_out)
{
    *copy_out = NULL;
    bool used = atomic_load_explicit(&coil__contexts_used, memory_order_relaxed);
    return COIL_UNLIKELY(used) ? coil__context_inherit_used(copy_out) : 0;
}

/* A copy of a context, for something that runs in it later: NULL where it is empty. 0 or COIL_ENOMEM. */
int coil__context_copy_of(const coil_context *context, coil_context **copy_out);

/* The context in a slot, made if it is NULL. NULL when there is no memory. */
coil_context *coil__context_materialise(coil_context **slot);

#endif
