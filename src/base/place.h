/* Where in the program something was made: kept in debug mode as a return address, and told as well as the
 * debug information at hand allows. */
#ifndef COIL_BASE_PLACE_H
#define COIL_BASE_PLACE_H

#include <stddef.h>

enum {
    COIL__PLACE_BYTES = 512
};

/* Writes the file, the offset that addr2line wants, and the symbol, if there is one. Returns text. */
const char *coil__place_describe(const void *address, char text[COIL__PLACE_BYTES]);

#endif
