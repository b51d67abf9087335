/* Lists of values, inside the library. The public half is <coil/value.h>. */
#ifndef COIL_BASE_VALUE_H
#define COIL_BASE_VALUE_H

#include <coil/value.h>
#include "base/object.h"

struct coil_list {
    struct coil__object object;
    size_t count;
    coil_value values[];
};

/* coil_value_clear for where most values own nothing. */
static inline void coil__value_drop(const coil_value *value)
{
    if (COIL_UNLIKELY(value->drop != NULL))
        value->drop(value->pointer);
}

/* Copies a value field by field: as a whole it would be read with one wide load, which waits for the
 * narrow stores that have just made it (measured: 8 ns of a spawn and join). */
static inline void coil__value_copy(coil_value *to, const coil_value *from)
{
    to->integer = from->integer;
    to->drop = from->drop;
    to->kind = from->kind;
}

#endif
