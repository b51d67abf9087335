#include "structure/distinct.h"

#include "base/object.h"

static size_t index_of(void *const *objects, const void *object)
{
    size_t i = 0;
    while (objects[i] != object)
        i++;
    return i;
}

void coil__find_repetitions(void *const *objects, size_t count, size_t *first_out)
{
    for (size_t i = 0; i < count; i++) {
        struct coil__object *object = objects[i];
        if (coil__kind_of(object) == COIL__KIND_AWAITABLE || object->spare != 0) {
            first_out[i] = index_of(objects, object);
        } else {
            first_out[i] = i;
            object->spare = 1;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (coil__kind_of(objects[i]) != COIL__KIND_AWAITABLE)
            ((struct coil__object *)objects[i])->spare = 0;
}
