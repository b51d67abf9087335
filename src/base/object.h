/* Reference-counted objects: what coil_ref and coil_unref work on.
 *
 * Every such object begins with this header. Counts are not atomic: an object belongs to one thread,
 * and moves to another one whole (a coroutine handed to another loop, a callback posted to it). */
#ifndef COIL_BASE_OBJECT_H
#define COIL_BASE_OBJECT_H

#include <stdatomic.h>
#include <coil/base.h>

enum coil__kind {
    COIL__KIND_LOOP,
    COIL__KIND_HANDLE,
    COIL__KIND_FUTURE,
    COIL__KIND_TASK,
    COIL__KIND_CORO,
    COIL__KIND_CONTEXT,
    COIL__KIND_ERROR,
    COIL__KIND_LIST,
    COIL__KIND_RUNNER,
    COIL__KIND_TRACER,
    COIL__KIND_GENERATOR,
    COIL__KIND_PROCESS,
    COIL__KIND_TLS_CONTEXT,
    COIL__KIND_TRANSPORT,
    COIL__KIND_SERVER,
    COIL__KIND_EXECUTOR,
    COIL__KIND_CONCURRENT,
    COIL__KIND_STREAM,
    COIL__KIND_AWAITABLE, /* the user's own: never counted */
};

struct coil__type {
    enum coil__kind kind;
    const char *name;
    void (*destroy)(void *object); /* called when the count has come to 0 */
};

struct coil__object {
    const struct coil__type *type;
    uint32_t refs; /* COIL__IMMORTAL: static memory; COIL__SHARED: struct coil__shared */
    uint8_t state; /* of the object's own kind */
    uint8_t flags;
    uint16_t spare;
};

#define COIL__IMMORTAL UINT32_MAX
#define COIL__SHARED   (UINT32_MAX - 1)

/* The few objects that several threads hold at a time: their references are counted here. */
struct coil__shared {
    struct coil__object object; /* .refs: COIL__SHARED */
    atomic_uint count;
};

static inline void coil__object_init(struct coil__object *object, const struct coil__type *type)
{
    object->type = type;
    object->refs = 1;
    object->state = 0;
    object->flags = 0;
    object->spare = 0;
}

static inline void coil__shared_init(struct coil__shared *shared, const struct coil__type *type)
{
    coil__object_init(&shared->object, type);
    shared->object.refs = COIL__SHARED;
    atomic_init(&shared->count, 1);
}

static inline void coil__shared_ref(struct coil__shared *shared)
{
    atomic_fetch_add_explicit(&shared->count, 1, memory_order_relaxed);
}

static inline void coil__shared_unref(struct coil__shared *shared)
{
    if (atomic_fetch_sub_explicit(&shared->count, 1, memory_order_acq_rel) == 1)
        shared->object.type->destroy(shared);
}

/* Inside the library references are counted without the checks of the public calls. */
static inline void coil__ref(struct coil__object *object)
{
    object->refs++;
}

static inline void coil__unref(struct coil__object *object)
{
    if (--object->refs == 0)
        object->type->destroy(object);
}

/* The kind of anything that a coil_await-like call may be given; not NULL. */
enum coil__kind coil__kind_of(const void *object);

#define COIL__CONTAINER(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(uintptr_t)(pointer)-offsetof(type, member)))

#endif
