/* The monotonic clock, in nanoseconds. */
#ifndef COIL_PLATFORM_CLOCK_H
#define COIL_PLATFORM_CLOCK_H

#include <stdint.h>
#include <time.h>

#define COIL__FOREVER_NS INT64_MAX

static inline int64_t coil__clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
