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

#endif
