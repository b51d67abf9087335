/* The version of these headers, and of the library that is linked. */
#ifndef COIL_VERSION_H
#define COIL_VERSION_H

#include <coil/base.h>

#define COIL_VERSION_MAJOR 0
#define COIL_VERSION_MINOR 1
#define COIL_VERSION_PATCH 0
#define COIL_VERSION       "0.1.0"

COIL_BEGIN_DECLS

/**
 * The version of the library that the program runs with, such as "0.1.0".
 *
 * Returns   a static text
 * Suspends  never
 * Thread    any
 * Python    sys.version
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_version(void);

COIL_END_DECLS

#endif
