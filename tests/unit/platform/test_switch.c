/* The context switch: whatever a function may rely on across a call must hold across a switch. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "platform/fiber.h"
#include "platform/stack.h"
#include "platform/switch.h"

/* The least of a coroutine. Checks are made on the main stack, after the facts: a failing assertion
 * jumps, and must not jump off a coroutine's stack. */
struct co {
    struct coil__stack_pool *pool;
    struct coil__stack *stack;
    void *word; /* while suspended */
    void (*body)(struct co *co, intptr_t value);
    intptr_t seen[4];
    bool done;
};

static __thread void *resumer; /* whoever resumed the coroutine that runs, suspended */

static intptr_t resume(struct co *co, intptr_t value)
{
    return coil__fiber_switch(&resumer, NULL, co->word, co->stack, value, false);
}

static intptr_t suspend(struct co *co, intptr_t value)
{
    return coil__fiber_switch(&co->word, co->stack, resumer, NULL, value, false);
}

static void entry(void *arg, intptr_t value)
{
    struct co *co = arg;
    coil__fiber_entered(co->stack);
    co->body(co, value);
    co->done = true;
    coil__fiber_switch(&co->word, co->stack, resumer, NULL, 0, true);
}

static void start(struct coil__stack_pool *pool, struct co *co,
                  void (*body)(struct co *co, intptr_t value))
{
    *co = (struct co){ .pool = pool, .stack = coil__stack_take(pool, 64 * 1024), .body = body };
    assert_non_null(co->stack);
    co->word = coil__switch_prepare(co->stack->low, co->stack->bytes, entry, co);
    assert_non_null(co->word);
}

static int make_pool(void **state)
{
    static struct coil__stack_pool pool;
    coil__stack_pool_init(&pool);
    *state = &pool;
    return 0;
}

static int drop_pool(void **state)
{
    struct coil__stack_pool *pool = *state;
    bool all_back = pool->in_use == 0;
    pool->in_use = 0; /* a test that failed may have left some */
    coil__stack_pool_fini(pool);
    return all_back ? 0 : -1;
}

static void note_values(struct co *co, intptr_t value)
{
    co->seen[0] = value;
    co->seen[1] = suspend(co, INTPTR_MIN);
    co->seen[2] = suspend(co, -1);
}

static void value_reaches_the_resumed_side(void **state)
{
    /* The value is how a woken task learns why; it must not be cut to 32 bits, nor cross over. */
    struct co co;
    start(*state, &co, note_values);

    assert_true(resume(&co, INTPTR_MAX) == INTPTR_MIN);
    assert_true(resume(&co, 0) == -1);
    assert_false(co.done);
    assert_true(resume(&co, INTPTR_MIN + 1) == 0);
    assert_true(co.done);
    assert_true(co.seen[0] == INTPTR_MAX);
    assert_true(co.seen[1] == 0);
    assert_true(co.seen[2] == INTPTR_MIN + 1);
    coil__stack_give(*state, co.stack);
}

static void note_place(struct co *co, intptr_t value)
{
    (void)value;
    co->seen[0] = (intptr_t)__builtin_frame_address(0);
    suspend(co, 0);
}

static void coroutine_runs_on_its_own_stack(void **state)
{
    /* And leaves everything it needs there: the saved word points into the stack it belongs to. */
    struct co co;
    start(*state, &co, note_place);
    uintptr_t low = (uintptr_t)co.stack->low, top = low + co.stack->bytes;

    resume(&co, 0);
    assert_in_range((uintptr_t)co.seen[0], low, top - 1);
    assert_in_range((uintptr_t)co.word, low, top - 1);
    resume(&co, 0);
    coil__stack_give(*state, co.stack);
}

static void print_numbers(struct co *co, intptr_t value)
{
    char text[64];
    co->seen[0] = (intptr_t)__builtin_frame_address(0);
    snprintf(text, sizeof text, "%.3f %.3Lf", (double)value / 3, (long double)value / 7);
    co->seen[1] = strcmp(text, "0.667 0.286");
}

static void entry_finds_an_aligned_stack(void **state)
{
    /* Compilers use instructions that fault on a stack that the convention would not allow; those
     * that print floating-point numbers are the usual victims. */
    struct co co;
    start(*state, &co, print_numbers);
    resume(&co, 2);
    assert_true(co.done);
    assert_int_equal(co.seen[1], 0);
#if defined(__x86_64__) || defined(__aarch64__)
    assert_int_equal((uintptr_t)co.seen[0] % 16, 0);
#endif
    coil__stack_give(*state, co.stack);
}

/* Calls hop(arg) with the registers that a callee must keep set to `in`, and stores what they are
 * afterwards to `out`. */
void hop_with_registers(void (*hop)(void *arg), void *arg, const uint64_t *in, uint64_t *out);

#if defined(__x86_64__) && defined(__LP64__)
enum {
    KEPT_REGISTERS = 6,
};
__asm__("    .text\n"
        "    .type hop_with_registers, @function\n"
        "hop_with_registers:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    pushq %rcx\n"
        "    movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    movq (%rdx), %rbp\n"
        "    movq 8(%rdx), %rbx\n"
        "    movq 16(%rdx), %r12\n"
        "    movq 24(%rdx), %r13\n"
        "    movq 32(%rdx), %r14\n"
        "    movq 40(%rdx), %r15\n"
        "    call *%rax\n"
        "    popq %rcx\n"
        "    movq %rbp, (%rcx)\n"
        "    movq %rbx, 8(%rcx)\n"
        "    movq %r12, 16(%rcx)\n"
        "    movq %r13, 24(%rcx)\n"
        "    movq %r14, 32(%rcx)\n"
        "    movq %r15, 40(%rcx)\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        "    .size hop_with_registers, . - hop_with_registers\n");
#elif defined(__aarch64__) && defined(__LP64__)
enum {
    KEPT_REGISTERS = 18, /* x29 apart, which unwinders follow */
};
__asm__("    .text\n"
        "    .type hop_with_registers, %function\n"
        "hop_with_registers:\n"
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x3, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, x0\n"
        "    mov x0, x1\n"
        "    ldp x19, x20, [x2]\n"
        "    ldp x21, x22, [x2, #16]\n"
        "    ldp x23, x24, [x2, #32]\n"
        "    ldp x25, x26, [x2, #48]\n"
        "    ldp x27, x28, [x2, #64]\n"
        "    ldp d8, d9, [x2, #80]\n"
        "    ldp d10, d11, [x2, #96]\n"
        "    ldp d12, d13, [x2, #112]\n"
        "    ldp d14, d15, [x2, #128]\n"
        "    blr x9\n"
        "    ldp x3, x30, [sp, #80]\n"
        "    stp x19, x20, [x3]\n"
        "    stp x21, x22, [x3, #16]\n"
        "    stp x23, x24, [x3, #32]\n"
        "    stp x25, x26, [x3, #48]\n"
        "    stp x27, x28, [x3, #64]\n"
        "    stp d8, d9, [x3, #80]\n"
        "    stp d10, d11, [x3, #96]\n"
        "    stp d12, d13, [x3, #112]\n"
        "    stp d14, d15, [x3, #128]\n"
        "    ldp x19, x20, [sp]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        "    .size hop_with_registers, . - hop_with_registers\n");
#endif

#if (defined(__x86_64__) || defined(__aarch64__)) && defined(__LP64__)
static void hop_to_resumer(void *co)
{
    suspend(co, 0);
}

static void hop_to_coroutine(void *co)
{
    resume(co, 0);
}

static void fill(uint64_t registers[KEPT_REGISTERS], uint64_t seed)
{
    for (int i = 0; i < KEPT_REGISTERS; i++)
        registers[i] = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15u;
}

static void check_registers(struct co *co, intptr_t value)
{
    uint64_t in[KEPT_REGISTERS], out[KEPT_REGISTERS];
    (void)value;
    for (int round = 0; round < 3; round++) {
        fill(in, 1000 + (uint64_t)round);
        memset(out, 0, sizeof out);
        hop_with_registers(hop_to_resumer, co, in, out);
        co->seen[0] += memcmp(in, out, sizeof in) != 0;
    }
}

static void switch_keeps_callee_saved_registers(void **state)
{
    /* Each side fills them all with values of its own, so one that is not switched shows up as the
     * other side's. */
    uint64_t in[KEPT_REGISTERS], out[KEPT_REGISTERS];
    struct co co;
    start(*state, &co, check_registers);
    for (int round = 0; !co.done; round++) {
        fill(in, 2000 + (uint64_t)round);
        memset(out, 0, sizeof out);
        hop_with_registers(hop_to_coroutine, &co, in, out);
        assert_memory_equal(in, out, sizeof in);
    }
    assert_int_equal(co.seen[0], 0);
    coil__stack_give(*state, co.stack);
}
#else
static void switch_keeps_callee_saved_registers(void **state)
{
    (void)state;
    print_message("skipped: the registers of this CPU are not listed here\n");
    skip();
}
#endif

#if defined(__x86_64__) && !defined(COIL__FIBER_ANNOTATED)
#define HAVE_TAIL_CALL 1
__asm__("    .text\n"
        "    .type tail_called_switch, @function\n"
        "tail_called_switch:\n"
        "    jmp coil__switch\n"
        "    .size tail_called_switch, . - tail_called_switch\n");
#elif defined(__aarch64__) && !defined(COIL__FIBER_ANNOTATED)
#define HAVE_TAIL_CALL 1
__asm__("    .text\n"
        "    .type tail_called_switch, %function\n"
        "tail_called_switch:\n"
        "    b coil__switch\n"
        "    .size tail_called_switch, . - tail_called_switch\n");
#endif

#ifdef HAVE_TAIL_CALL
intptr_t tail_called_switch(void **save, void *load, intptr_t value);

static void count_up(struct co *co, intptr_t value)
{
    for (;;)
        value = tail_called_switch(&co->word, resumer, value + 1);
}

static void switch_works_reached_by_a_tail_call(void **state)
{
    /* It is how the library calls it: no frame of ours is left below to return through. */
    struct co co;
    start(*state, &co, count_up);
    intptr_t value = 0;
    for (int i = 0; i < 10; i++)
        value = tail_called_switch(&resumer, co.word, value);
    assert_int_equal(value, 10);
    coil__stack_give(*state, co.stack);
}
#else
static void switch_works_reached_by_a_tail_call(void **state)
{
    (void)state;
    print_message("skipped: needs assembly for this CPU, and no sanitizer\n");
    skip();
}
#endif

/* In-order walk of a perfect binary tree that is all in the recursion. */
static void walk(struct co *co, intptr_t root, intptr_t half)
{
    if (half > 0)
        walk(co, root - half, half / 2);
    suspend(co, root);
    if (half > 0)
        walk(co, root + half, half / 2);
}

static void walk_tree(struct co *co, intptr_t root)
{
    walk(co, root, root / 2);
}

static void coroutine_suspends_deep_inside_calls(void **state)
{
    /* What stackful is for: every frame below the suspending one is still there afterwards. */
    enum {
        ROOT = 512
    };
    struct co co;
    start(*state, &co, walk_tree);
    for (intptr_t i = 1; i < 2 * ROOT; i++)
        assert_int_equal(resume(&co, ROOT), i);
    assert_int_equal(resume(&co, 0), 0);
    assert_true(co.done);
    coil__stack_give(*state, co.stack);
}

/* A ring in which each hands over to a neighbour of its choice, without a visit to the main stack.
 * Three bodies, so that some handovers stay at one call of the switch and some do not. */
enum {
    RING = 24,
    HANDOVERS = 20000
};

static struct {
    struct co members[RING];
    uint64_t random;
    int left;
    int wrong;
} ring;

static void hand_over(struct co *from)
{
    ring.random = ring.random * 6364136223846793005u + 1442695040888963407u;
    struct co *to = &ring.members[(ring.random >> 33) % RING];
    if (to == from)
        return;
    intptr_t met = coil__fiber_switch(&from->word, from->stack, to->word, to->stack,
                                      to - ring.members, false);
    if (met != from - ring.members)
        ring.wrong++;
}

#define RING_BODY(name, step)                                                                      \
    __attribute__((noinline)) static void name##_inner(struct co *co, int *count)                  \
    {                                                                                              \
        hand_over(co);                                                                             \
        *count += (step);                                                                          \
    }                                                                                              \
    static void name(struct co *co, intptr_t value)                                                \
    {                                                                                              \
        int count = 0, expected = 0;                                                               \
        (void)value;                                                                               \
        for (; ring.left > 0; ring.left--) {                                                       \
            name##_inner(co, &count);                                                              \
            expected += (step);                                                                    \
            if (count != expected)                                                                 \
                ring.wrong++;                                                                      \
        }                                                                                          \
    }
RING_BODY(ring_by_one, 1)
RING_BODY(ring_by_two, 2)
RING_BODY(ring_by_three, 3)

static void handover_returns_to_whoever_was_suspended(void **state)
{
    /* There are two ways out of the x86-64 switch, and the choice must only ever be about speed. */
    static void (*const bodies[])(struct co *, intptr_t) = { ring_by_one, ring_by_two,
                                                             ring_by_three };
    memset(&ring, 0, sizeof ring);
    ring.random = 42;
    ring.left = HANDOVERS;
    for (int i = 0; i < RING; i++)
        start(*state, &ring.members[i], bodies[i % 3]);

    /* The first to see the end comes back here; the others are then resumed to end in turn. */
    for (int i = 0; i < RING; i++)
        while (!ring.members[i].done)
            resume(&ring.members[i], i);
    assert_int_equal(ring.wrong, 0);
    assert_true(ring.left <= 0);
    for (int i = 0; i < RING; i++)
        coil__stack_give(*state, ring.members[i].stack);
}

static void sum_values(struct co *co, intptr_t value)
{
    intptr_t sum = 0;
    while (value >= 0) {
        sum += value;
        value = suspend(co, sum);
    }
}

static void *switch_much(void *arg)
{
    enum {
        ROUNDS = 2000
    };
    struct coil__stack_pool pool;
    struct co co = { .body = sum_values };
    intptr_t sum = 0, *right = arg;

    coil__stack_pool_init(&pool);
    co.stack = coil__stack_take(&pool, 0);
    if (!co.stack)
        return NULL;
    co.word = coil__switch_prepare(co.stack->low, co.stack->bytes, entry, &co);
    for (intptr_t i = 0; i < ROUNDS; i++) {
        sum += i;
        *right += resume(&co, i) == sum;
    }
    resume(&co, -1);
    *right = co.done && *right == ROUNDS;
    coil__stack_give(&pool, co.stack);
    coil__stack_pool_fini(&pool);
    return NULL;
}

static void threads_switch_independently(void **state)
{
    /* One loop per thread, and nothing shared among them. */
    enum {
        THREADS = 4
    };
    pthread_t threads[THREADS];
    intptr_t right[THREADS] = { 0 };
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, switch_much, &right[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_true(right[i]);
}

/* Dies with frames standing that are full of red zones, if there are such things. */
__attribute__((noinline)) static void die_deep_down(struct co *co, int depth)
{
    volatile char frame[100];
    frame[0] = frame[99] = (char)depth;
    if (depth == 0) {
        co->done = true;
        coil__stack_give(co->pool, co->stack);
        coil__fiber_switch(&co->word, co->stack, resumer, NULL, 0, true);
        return; /* never */
    }
    die_deep_down(co, depth - 1);
    frame[1] = frame[99];
}

static void die_in_a_call(struct co *co, intptr_t value)
{
    (void)value;
    die_deep_down(co, 20);
}

static void write_everywhere(struct co *co, intptr_t value)
{
    volatile char frame[16 * 1024];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)value;
    co->seen[0] = frame[sizeof frame / 2];
}

static void next_life_of_a_stack_starts_clean(void **state)
{
    /* A task may end far down. What the sanitizers know of the frames it left must not be held
     * against the next task; nor may it pile up over many lives. */
    struct coil__stack *slot = NULL;
    for (int life = 0; life < 5000; life++) {
        struct co co;
        start(*state, &co, die_in_a_call);
        assert_true(!slot || co.stack == slot);
        slot = co.stack;
        resume(&co, 0);
        assert_true(co.done);
    }
    struct co co;
    start(*state, &co, write_everywhere);
    resume(&co, 7);
    assert_int_equal(co.seen[0], 7);
    coil__stack_give(*state, co.stack);
}

static void suspended_coroutine_may_be_dropped(void **state)
{
    /* A loop that closes over pending tasks gives their stacks back without resuming them. */
    struct coil__stack *slot = NULL;
    for (int life = 0; life < 10000; life++) {
        struct co co;
        start(*state, &co, walk_tree);
        assert_true(!slot || co.stack == slot);
        slot = co.stack;
        assert_int_equal(resume(&co, 512), 1);
        coil__stack_give(*state, co.stack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(value_reaches_the_resumed_side, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(coroutine_runs_on_its_own_stack, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(entry_finds_an_aligned_stack, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(switch_keeps_callee_saved_registers, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(switch_works_reached_by_a_tail_call, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(coroutine_suspends_deep_inside_calls, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(handover_returns_to_whoever_was_suspended, make_pool,
                                        drop_pool),
        cmocka_unit_test(threads_switch_independently),
        cmocka_unit_test_setup_teardown(next_life_of_a_stack_starts_clean, make_pool, drop_pool),
        cmocka_unit_test_setup_teardown(suspended_coroutine_may_be_dropped, make_pool, drop_pool),
    };
    return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
