/* The timer heap: order, ties, removal from anywhere, and its invariants under random use. */
#include "test.h"

#include <coil/testing.h>
#include "base/error.h"
#include "loop/timer.h"
#include "platform/clock.h"

static struct coil__timer idle_timer(int64_t due_ns)
{
    return (struct coil__timer){ .due_ns = due_ns, .heap_index = COIL__TIMER_IDLE };
}

TEST(empty_heap_waits_for_ever)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    EXPECT(coil__timer_heap_next(&heap) == COIL__FOREVER_NS);
    EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), NULL);
    EXPECT(coil__timer_heap_check(&heap));
    coil__timer_heap_fini(&heap);
}

TEST(timer_is_due_at_its_deadline_and_not_before)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    struct coil__timer timer = idle_timer(100);
    EXPECT_INT(coil__timer_arm(&heap, &timer), 0);
    EXPECT_INT(coil__timer_heap_next(&heap), 100);
    EXPECT_PTR(coil__timer_heap_pop(&heap, 99), NULL);
    EXPECT_PTR(coil__timer_heap_pop(&heap, 100), &timer);
    EXPECT(timer.heap_index == COIL__TIMER_IDLE);
    EXPECT_PTR(coil__timer_heap_pop(&heap, 100), NULL);
    coil__timer_heap_fini(&heap);
}

TEST(deadlines_at_the_ends_of_the_range)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    struct coil__timer last = idle_timer(INT64_MAX), first = idle_timer(INT64_MIN),
                       zero = idle_timer(0);
    EXPECT_INT(coil__timer_arm(&heap, &last), 0);
    EXPECT_INT(coil__timer_arm(&heap, &first), 0);
    EXPECT_INT(coil__timer_arm(&heap, &zero), 0);
    EXPECT(coil__timer_heap_next(&heap) == INT64_MIN);
    EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), &first);
    EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), &zero);
    EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX - 1), NULL);
    EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), &last);
    coil__timer_heap_fini(&heap);
}

TEST(ties_leave_in_the_order_in_which_they_were_armed)
{
    /* Removing from the middle moves the last one up: exactly where a heap forgets who came first. */
    enum {
        COUNT = 200
    };
    struct coil__timer_heap heap;
    static struct coil__timer timers[COUNT];
    coil__timer_heap_init(&heap);
    for (int i = 0; i < COUNT; i++) {
        timers[i] = idle_timer(5);
        EXPECT_INT(coil__timer_arm(&heap, &timers[i]), 0);
    }
    for (int i = 0; i < COUNT; i += 3)
        coil__timer_disarm(&heap, &timers[i]);
    EXPECT(coil__timer_heap_check(&heap));
    for (int i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            EXPECT_PTR(coil__timer_heap_pop(&heap, 5), &timers[i]);
    EXPECT_INT(heap.count, 0);
    coil__timer_heap_fini(&heap);
}

TEST(timer_that_is_armed_again_goes_behind_its_equals)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    struct coil__timer a = idle_timer(5), b = idle_timer(5);
    EXPECT_INT(coil__timer_arm(&heap, &a), 0);
    EXPECT_INT(coil__timer_arm(&heap, &b), 0);
    coil__timer_disarm(&heap, &a);
    EXPECT_INT(coil__timer_arm(&heap, &a), 0);
    EXPECT_PTR(coil__timer_heap_pop(&heap, 5), &b);
    EXPECT_PTR(coil__timer_heap_pop(&heap, 5), &a);
    coil__timer_heap_fini(&heap);
}

TEST(disarming_an_idle_timer_is_harmless)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    struct coil__timer idle = idle_timer(1), other = idle_timer(2);
    coil__timer_disarm(&heap, &idle);
    EXPECT_INT(coil__timer_arm(&heap, &other), 0);
    coil__timer_disarm(&heap, &idle);
    EXPECT_INT(heap.count, 1);
    coil__timer_disarm(&heap, &other);
    coil__timer_disarm(&heap, &other);
    EXPECT_INT(heap.count, 0);
    coil__timer_heap_fini(&heap);
}

TEST(fini_leaves_timers_idle)
{
    /* A handle that is kept longer than its loop must know that there is nothing to take back. */
    struct coil__timer_heap heap;
    struct coil__timer timers[10];
    size_t before = coil_testing_alloc_count();
    coil__timer_heap_init(&heap);
    for (int i = 0; i < 10; i++) {
        timers[i] = idle_timer(i);
        EXPECT_INT(coil__timer_arm(&heap, &timers[i]), 0);
    }
    coil__timer_heap_fini(&heap);
    for (int i = 0; i < 10; i++)
        EXPECT(timers[i].heap_index == COIL__TIMER_IDLE);
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(arming_without_memory_changes_nothing)
{
    enum {
        COUNT = 1000
    };
    struct coil__timer_heap heap;
    static struct coil__timer timers[COUNT];
    coil__timer_heap_init(&heap);
    int refused = 0;
    for (int i = 0; i < COUNT; i++) {
        timers[i] = idle_timer(COUNT - i);
        coil_testing_fail_alloc(1);
        int rc = coil__timer_arm(&heap, &timers[i]);
        coil_testing_fail_alloc(0);
        if (rc == 0)
            continue;
        refused++;
        EXPECT_INT(rc, COIL_ENOMEM);
        EXPECT(timers[i].heap_index == COIL__TIMER_IDLE);
        EXPECT_INT(heap.count, i);
        EXPECT(coil__timer_heap_check(&heap));
        EXPECT_INT(coil__timer_arm(&heap, &timers[i]), 0);
    }
    EXPECT(refused > 0);
    for (int i = COUNT; i-- > 0;)
        EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), &timers[i]);
    coil__timer_heap_fini(&heap);
}

/* ---- random use ------------------------------------------------------------------------------ */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

enum {
    TIMERS = 300,
    OPERATIONS = 100 * 1000
};

static struct coil__timer timers[TIMERS];

/* What the heap has to give, found by looking at every timer. */
static struct coil__timer *earliest(void)
{
    struct coil__timer *best = NULL;
    for (int i = 0; i < TIMERS; i++) {
        struct coil__timer *timer = &timers[i];
        if (timer->heap_index == COIL__TIMER_IDLE)
            continue;
        if (!best || timer->due_ns < best->due_ns ||
            (timer->due_ns == best->due_ns && timer->seq < best->seq))
            best = timer;
    }
    return best;
}

/* One operation; false if the heap gave something else than it should. */
static bool operate(struct coil__timer_heap *heap, uint32_t spread)
{
    struct coil__timer *timer = &timers[random_below(TIMERS)];
    uint32_t choice = random_below(10);
    if (choice == 0) {
        struct coil__timer *expected = earliest();
        int64_t now = (int64_t)random_below(spread);
        if (expected && expected->due_ns > now)
            expected = NULL;
        return coil__timer_heap_pop(heap, now) == expected;
    }
    if (timer->heap_index != COIL__TIMER_IDLE) {
        coil__timer_disarm(heap, timer);
        return timer->heap_index == COIL__TIMER_IDLE;
    }
    timer->due_ns = (int64_t)random_below(spread);
    return coil__timer_arm(heap, timer) == 0 && timer->heap_index < heap->count;
}

static void random_operations(uint64_t seed, uint32_t spread)
{
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    random_state = seed;
    for (int i = 0; i < TIMERS; i++)
        timers[i] = idle_timer(0);
    for (int i = 0; i < OPERATIONS; i++) {
        bool right = operate(&heap, spread);
        if (i % 16 == 0)
            right = right && coil__timer_heap_check(&heap);
        if (!EXPECT(right)) {
            fprintf(stderr, "seed %llu, spread %u, operation %d\n", (unsigned long long)seed,
                    spread, i);
            break;
        }
    }
    struct coil__timer *expected;
    while ((expected = earliest()))
        if (!EXPECT_PTR(coil__timer_heap_pop(&heap, INT64_MAX), expected))
            break;
    coil__timer_heap_fini(&heap);
}

TEST(random_operations_keep_order_and_invariants)
{
    random_operations(1, 1000000);
}

TEST(random_operations_among_ties_keep_order_and_invariants)
{
    random_operations(2, 8);
}

TEST(many_timers_come_out_sorted)
{
    enum {
        MANY = 20000
    };
    struct coil__timer_heap heap;
    coil__timer_heap_init(&heap);
    struct coil__timer *many = calloc(MANY, sizeof *many);
    REQUIRE(many);
    random_state = 3;
    for (int i = 0; i < MANY; i++) {
        many[i] = idle_timer(i % 3 == 0 ? i : i % 3 == 1 ? MANY - i : (int64_t)random_below(MANY));
        EXPECT_INT(coil__timer_arm(&heap, &many[i]), 0);
    }
    EXPECT(coil__timer_heap_check(&heap));
    const struct coil__timer *before = NULL, *timer;
    int count = 0;
    while ((timer = coil__timer_heap_pop(&heap, INT64_MAX))) {
        count++;
        if (before && !EXPECT(before->due_ns < timer->due_ns ||
                              (before->due_ns == timer->due_ns && before->seq < timer->seq)))
            break;
        before = timer;
    }
    EXPECT_INT(count, MANY);
    coil__timer_heap_fini(&heap);
    free(many);
}

TESTS_MAIN(RUN(empty_heap_waits_for_ever), RUN(timer_is_due_at_its_deadline_and_not_before),
           RUN(deadlines_at_the_ends_of_the_range),
           RUN(ties_leave_in_the_order_in_which_they_were_armed),
           RUN(timer_that_is_armed_again_goes_behind_its_equals),
           RUN(disarming_an_idle_timer_is_harmless), RUN(fini_leaves_timers_idle),
           RUN(arming_without_memory_changes_nothing),
           RUN(random_operations_keep_order_and_invariants),
           RUN(random_operations_among_ties_keep_order_and_invariants),
           RUN(many_timers_come_out_sorted))
