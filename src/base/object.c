#include "base/object.h"

#include <coil/coro.h>
#include <coil/version.h>

const char coil__awaitable_type[1] = { 0 };

enum coil__kind coil__kind_of(const void *object)
{
    const struct coil__object *header = object;
    if ((const void *)header->type == (const void *)coil__awaitable_type)
        return COIL__KIND_AWAITABLE;
    return header->type->kind;
}

void *coil_ref(const void *pointer)
{
    struct coil__object *object = (struct coil__object *)(uintptr_t)pointer;
    if (!object)
        return NULL;
    if (COIL_UNLIKELY(object->refs >= COIL__SHARED)) {
        if (object->refs == COIL__SHARED)
            coil__shared_ref((struct coil__shared *)(void *)object);
        return object;
    }
    object->refs++;
    return object;
}

void coil_unref(const void *pointer)
{
    struct coil__object *object = (struct coil__object *)(uintptr_t)pointer;
    if (!object)
        return;
    if (COIL_UNLIKELY(object->refs >= COIL__SHARED)) {
        if (object->refs == COIL__SHARED)
            coil__shared_unref((struct coil__shared *)(void *)object);
        return;
    }
    coil__unref(object);
}

const char *coil_version(void)
{
    return COIL_VERSION;
}
