/* Memory: the program's own allocator, failures to order, the count of blocks. */
#include "test.h"

#include <coil/coil.h>
#include <coil/testing.h>
#include "base/alloc.h"
#include "base/error.h"

/* ---- an allocator of the program's own ------------------------------------------------------- */

struct pool {
    int allocs, resizes, releases;
    bool wrong_arg, released_null;
};

static struct pool pool;

static void *pool_alloc(size_t bytes, void *arg)
{
    pool.wrong_arg |= arg != &pool;
    pool.allocs++;
    return malloc(bytes);
}

static void *pool_resize(void *memory, size_t bytes, void *arg)
{
    pool.wrong_arg |= arg != &pool;
    pool.resizes++;
    return realloc(memory, bytes);
}

static void pool_release(void *memory, void *arg)
{
    pool.wrong_arg |= arg != &pool;
    pool.released_null |= memory == NULL;
    pool.releases++;
    free(memory);
}

static const coil_allocator pool_allocator = { pool_alloc, pool_resize, pool_release, &pool };

static int set_nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(own_allocator_gets_every_block)
{
    /* Who brings an allocator wants to see all of it: a block that passes by is one it cannot count. */
    memset(&pool, 0, sizeof pool);
    REQUIRE(coil_set_allocator(&pool_allocator) == 0);
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    REQUIRE(loop);
    for (int i = 0; i < 200; i++)
        EXPECT_INT(coil_call_later(loop, i, set_nothing, NULL, NULL), 0);
    EXPECT_INT(coil_testing_alloc_count(), pool.allocs - pool.releases);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil__errors_forget_thread();
    EXPECT(pool.allocs > 0);
    EXPECT(pool.resizes > 0);
    EXPECT_INT(pool.releases, pool.allocs);
    EXPECT(!pool.wrong_arg);
    EXPECT(!pool.released_null);
    EXPECT_INT(coil_testing_alloc_count(), 0);

    EXPECT_INT(coil_set_allocator(NULL), 0);
    int seen = pool.allocs;
    coil__free(coil__alloc(1));
    EXPECT_INT(pool.allocs, seen);
}

TEST(allocator_cannot_change_while_blocks_are_out)
{
    /* A block must go back to where it came from. */
    void *block = coil__alloc(8);
    REQUIRE(block);
    EXPECT_INT(coil_set_allocator(&pool_allocator), COIL_ERUNTIME);
    EXPECT(strlen(coil_error_message(coil_error_current(COIL_ERUNTIME))) > 0);
    coil__free(block);
    coil__errors_forget_thread();
    EXPECT_INT(coil_set_allocator(NULL), 0);
}

static void *never(size_t bytes, void *arg)
{
    (void)bytes;
    (void)arg;
    return NULL;
}

TEST(allocator_that_is_empty_is_out_of_memory)
{
    static const coil_allocator empty = { never, pool_resize, pool_release, &pool };
    REQUIRE(coil_set_allocator(&empty) == 0);
    EXPECT_PTR(coil_new_event_loop(), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    EXPECT_INT(coil_testing_alloc_count(), 0);
    EXPECT_INT(coil_set_allocator(NULL), 0);
}

/* ---- failures that are ordered --------------------------------------------------------------- */

TEST(the_nth_allocation_fails_and_only_that)
{
    coil_testing_fail_alloc(3);
    EXPECT(!coil_testing_alloc_failed());
    void *first = coil__alloc(1), *second = coil__alloc(1);
    EXPECT(first && second);
    EXPECT(!coil_testing_alloc_failed());
    EXPECT_PTR(coil__alloc(1), NULL);
    EXPECT(coil_testing_alloc_failed());
    void *fourth = coil__alloc(1);
    EXPECT(fourth != NULL);
    coil__free(first);
    coil__free(second);
    coil__free(fourth);
}

TEST(order_is_called_off_by_zero)
{
    coil_testing_fail_alloc(1);
    coil_testing_fail_alloc(0);
    void *block = coil__alloc(1);
    EXPECT(block != NULL);
    EXPECT(!coil_testing_alloc_failed());
    coil__free(block);
}

TEST(new_order_forgets_the_last_failure)
{
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__alloc(1), NULL);
    EXPECT(coil_testing_alloc_failed());
    coil_testing_fail_alloc(1);
    EXPECT(!coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
}

TEST(every_way_to_allocate_can_fail)
{
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__alloc_zero(8), NULL);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__strdup("text"), NULL);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__realloc(NULL, 8), NULL);
    EXPECT_INT(coil_testing_alloc_count(), 0);
}

TEST(resize_that_fails_leaves_the_block_as_it_was)
{
    char *block = coil__strdup("kept");
    REQUIRE(block);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__realloc(block, 1000), NULL);
    EXPECT_STR(block, "kept");
    EXPECT_INT(coil_testing_alloc_count(), 1);
    block = coil__realloc(block, 1000);
    REQUIRE(block);
    EXPECT_STR(block, "kept");
    EXPECT_INT(coil_testing_alloc_count(), 1);
    coil__free(block);
}

/* ---- the count ------------------------------------------------------------------------------- */

TEST(blocks_are_counted_until_they_go)
{
    EXPECT_INT(coil_testing_alloc_count(), 0);
    char *zeroes = coil__alloc_zero(64);
    REQUIRE(zeroes);
    for (int i = 0; i < 64; i++)
        EXPECT_INT(zeroes[i], 0);
    void *grown = coil__realloc(NULL, 10);
    EXPECT(grown != NULL);
    EXPECT_INT(coil_testing_alloc_count(), 2);
    coil__free(NULL);
    EXPECT_INT(coil_testing_alloc_count(), 2);
    coil__free(zeroes);
    coil__free(grown);
    EXPECT_INT(coil_testing_alloc_count(), 0);
}

TESTS_MAIN(RUN(own_allocator_gets_every_block), RUN(allocator_cannot_change_while_blocks_are_out),
           RUN(allocator_that_is_empty_is_out_of_memory),
           RUN(the_nth_allocation_fails_and_only_that), RUN(order_is_called_off_by_zero),
           RUN(new_order_forgets_the_last_failure), RUN(every_way_to_allocate_can_fail),
           RUN(resize_that_fails_leaves_the_block_as_it_was), RUN(blocks_are_counted_until_they_go))
