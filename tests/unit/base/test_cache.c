/* The cache of small blocks: what is reused, what is not, and that nothing is lost between caches. */
#include "test.h"

#include <coil/testing.h>
#include "base/cache.h"

/* A cache that works under sanitizers, too, where a loop's is switched off. */
static struct coil__cache cache;

static void begin(void)
{
    coil__cache_init(&cache);
    cache.bytes_max = COIL__CACHE_BYTES_MAX;
    coil__thread.cache = &cache;
}

/* How many blocks of a class the cache holds. */
static size_t blocks_kept(size_t class)
{
    size_t count = 0;
    for (void *block = cache.classes[class].free; block; block = *(void **)block)
        count++;
    EXPECT_INT(cache.classes[class].bytes, count * coil__cache_class_bytes(class));
    return count;
}

static void end(void)
{
    coil__thread.cache = NULL;
    coil__cache_fini(&cache);
}

TEST(block_that_was_given_back_is_taken_again)
{
    size_t before = coil_testing_alloc_count();
    begin();
    void *first = coil__block_take(40);
    REQUIRE(first);
    memset(first, 1, 40);
    coil__block_give(first, 40);
    EXPECT_INT(blocks_kept(coil__cache_class(40)), 1);
    void *second = coil__block_take(40);
    EXPECT_PTR(second, first);
    EXPECT_INT(blocks_kept(coil__cache_class(40)), 0);
    coil__block_give(second, 40);
    end();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(sizes_of_one_class_share_blocks_and_neighbours_do_not)
{
    /* A block must be large enough for the largest size of its class. */
    begin();
    EXPECT_INT(coil__cache_class(1), 0);
    EXPECT_INT(coil__cache_class(COIL__CACHE_LEAST), 0);
    EXPECT_INT(coil__cache_class(COIL__CACHE_LEAST + 1), 1);
    void *small = coil__block_take(1);
    REQUIRE(small);
    memset(small, 1, COIL__CACHE_LEAST);
    coil__block_give(small, 1);
    void *larger = coil__block_take(COIL__CACHE_LEAST + 1);
    REQUIRE(larger);
    EXPECT(larger != small);
    void *same = coil__block_take(COIL__CACHE_LEAST);
    EXPECT_PTR(same, small);
    coil__block_give(same, COIL__CACHE_LEAST);
    coil__block_give(larger, COIL__CACHE_LEAST + 1);
    end();
}

TEST(large_blocks_pass_by_the_cache)
{
    begin();
    enum {
        LARGEST = COIL__CACHE_LEAST + COIL__CACHE_STEP * (COIL__CACHE_CLASSES - 1)
    };
    size_t before = coil_testing_alloc_count();
    void *kept = coil__block_take(LARGEST), *passed = coil__block_take(LARGEST + 1);
    REQUIRE(kept && passed);
    coil__block_give(kept, LARGEST);
    coil__block_give(passed, LARGEST + 1);
    EXPECT_INT(blocks_kept(COIL__CACHE_CLASSES - 1), 1);
    EXPECT_INT(coil_testing_alloc_count(), before + 1);
    end();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(cache_keeps_no_more_than_its_limit)
{
    enum {
        LIMIT = 3,
        MANY = 10
    };
    size_t before = coil_testing_alloc_count();
    begin();
    cache.bytes_max = LIMIT * (unsigned)coil__cache_class_bytes(coil__cache_class(64));
    void *blocks[MANY];
    for (int i = 0; i < MANY; i++)
        REQUIRE((blocks[i] = coil__block_take(64)));
    for (int i = 0; i < MANY; i++)
        coil__block_give(blocks[i], 64);
    EXPECT_INT(blocks_kept(coil__cache_class(64)), LIMIT);
    EXPECT_INT(coil_testing_alloc_count(), before + LIMIT);
    end();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(block_moves_between_caches_and_no_cache)
{
    /* A callback posted by one loop's thread is given back in another's. */
    size_t before = coil_testing_alloc_count();
    void *made_without = coil__block_take(100);
    REQUIRE(made_without);
    begin();
    void *made_with = coil__block_take(100);
    REQUIRE(made_with);
    coil__block_give(made_without, 100);
    EXPECT_INT(blocks_kept(coil__cache_class(100)), 1);
    coil__thread.cache = NULL;
    coil__block_give(made_with, 100);
    coil__thread.cache = &cache;
    end();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(full_cache_does_not_hide_a_failure_that_was_ordered)
{
    /* Otherwise a sweep over allocations would see only those that find the cache empty. */
    begin();
    void *block = coil__block_take(32);
    REQUIRE(block);
    coil__block_give(block, 32);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil__block_take(32), NULL);
    EXPECT(coil_testing_alloc_failed());
    EXPECT_INT(blocks_kept(coil__cache_class(32)), 1);
    coil_testing_fail_alloc(0);
    end();
}

TESTS_MAIN(RUN(block_that_was_given_back_is_taken_again),
           RUN(sizes_of_one_class_share_blocks_and_neighbours_do_not),
           RUN(large_blocks_pass_by_the_cache), RUN(cache_keeps_no_more_than_its_limit),
           RUN(block_moves_between_caches_and_no_cache),
           RUN(full_cache_does_not_hide_a_failure_that_was_ordered))
