#include "base/place.h"

#include <dlfcn.h>
#include <stdio.h>

const char *coil__place_describe(const void *address, char text[COIL__PLACE_BYTES])
{
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_fname) {
        snprintf(text, COIL__PLACE_BYTES, "%p", address);
        return text;
    }
    size_t offset = (size_t)((const char *)address - (const char *)info.dli_fbase);
    snprintf(text, COIL__PLACE_BYTES, "%s+%#zx (%s)", info.dli_fname, offset,
             info.dli_sname ? info.dli_sname : "static function");
    return text;
}
