#include "platform/backend_uring_pool.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/alloc.h"

enum {
    RING_BYTES = 4096, /* begins a page */
    MAPPED_BYTES = RING_BYTES + URING_BUFFERS * URING_BUFFER_BYTES,
};

_Static_assert(URING_BUFFERS * sizeof(struct io_uring_buf) <= RING_BYTES, "the ring has room");

struct uring_pool *coil__uring_pool_open(struct io_uring *ring)
{
    struct uring_pool *pool = coil__alloc_zero(sizeof(*pool));
    if (pool == NULL)
        return NULL;
    void *mapping = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
    if (mapping == MAP_FAILED) {
        coil__free(pool);
        return NULL;
    }
    pool->ring = mapping;
    pool->memory = (char *)mapping + RING_BYTES;
    if (coil__uring_pool_attach(pool, ring) < 0) {
        coil__uring_pool_close(pool);
        return NULL;
    }
    return pool;
}

void coil__uring_pool_close(struct uring_pool *pool)
{
    if (pool == NULL)
        return;
    (void)munmap(pool->ring, MAPPED_BYTES);
    coil__free(pool);
}

static void put(struct uring_pool *pool, uint16_t index)
{
    io_uring_buf_ring_add(pool->ring, coil__uring_pool_at(pool, index), URING_BUFFER_BYTES, index,
                          io_uring_buf_ring_mask(URING_BUFFERS), 0);
    io_uring_buf_ring_advance(pool->ring, 1);
    pool->free++;
}

int coil__uring_pool_attach(struct uring_pool *pool, struct io_uring *ring)
{
    struct io_uring_buf_reg which = { .ring_addr = (uintptr_t)pool->ring,
                                      .ring_entries = URING_BUFFERS,
                                      .bgid = URING_GROUP };
    int rc = io_uring_register_buf_ring(ring, &which, 0);
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(pool->ring);
    pool->free = 0;
    for (int i = 0; i < URING_BUFFERS; i++)
        if (!pool->buffers[i].taken)
            put(pool, (uint16_t)i);
    return 0;
}

void coil__uring_pool_take(struct uring_pool *pool, uint16_t index, uint32_t bytes)
{
    assert(index < URING_BUFFERS && !pool->buffers[index].taken);
    pool->buffers[index] =
        (struct uring_buffer){ .bytes = bytes, .next = URING_NO_BUFFER, .taken = true };
    pool->free--;
}

void coil__uring_pool_give(struct uring_pool *pool, uint16_t index)
{
    assert(pool->buffers[index].taken);
    pool->buffers[index].taken = false;
    put(pool, index);
}
