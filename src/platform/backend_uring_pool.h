/* Buffers that the kernel picks from when something arrives: no connection holds one while it is idle.
 *
 * They lie in one mapping, behind the ring through which the kernel is told which are free. */
#ifndef COIL_PLATFORM_BACKEND_URING_POOL_H
#define COIL_PLATFORM_BACKEND_URING_POOL_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    URING_BUFFERS = 64, /* a power of two */
    URING_BUFFER_BYTES = 16384,
    URING_GROUP = 0,
    URING_NO_BUFFER = 0xffff,
};

struct uring_buffer {
    uint32_t bytes; /* received and not read yet */
    uint32_t from;  /* where they begin */
    uint16_t next;  /* of the same flow, or URING_NO_BUFFER */
    bool taken;     /* not the kernel's at the moment */
};

struct uring_pool {
    struct io_uring_buf_ring *ring;
    char *memory;
    unsigned free; /* the kernel's */
    struct uring_buffer buffers[URING_BUFFERS];
};

/* NULL without memory, or if the kernel will not have it. */
struct uring_pool *coil__uring_pool_open(struct io_uring *ring);
void coil__uring_pool_close(struct uring_pool *pool);
/* Makes another ring use the buffers. 0 or -errno. */
int coil__uring_pool_attach(struct uring_pool *pool, struct io_uring *ring);

/* The kernel has filled a buffer: it is ours until it is given back. */
void coil__uring_pool_take(struct uring_pool *pool, uint16_t index, uint32_t bytes);
void coil__uring_pool_give(struct uring_pool *pool, uint16_t index);

static inline char *coil__uring_pool_at(const struct uring_pool *pool, uint16_t index)
{
    return pool->memory + (size_t)index * URING_BUFFER_BYTES;
}

#endif
