/* The stack pool: sizes and places, guards, reuse, and what goes back to the kernel. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/fiber.h"
#include "platform/stack.h"

#ifdef COIL__ASAN
#include <sanitizer/lsan_interface.h>

extern int __asan_option_detect_stack_use_after_return;

/* Frames that ASan has moved aside are out of LeakSanitizer's sight while their stack is suspended
 * (see fiber.c), and so they would be for the tests of leaks: the program starts again without. */
static void leave_frames_on_their_stacks(char **argv)
{
    if (!__asan_option_detect_stack_use_after_return)
        return;
    const char *options = getenv("ASAN_OPTIONS");
    char text[1024];
    snprintf(text, sizeof text, "%s:detect_stack_use_after_return=0", options ? options : "");
    setenv("ASAN_OPTIONS", text, 1);
    execv("/proc/self/exe", argv);
    perror("execv");
    exit(1);
}
#else
static void leave_frames_on_their_stacks(char **argv)
{
    (void)argv;
}
#endif
#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Tests that count pages, need tens of thousands of stacks or limit the address space leave no room
 * for what a sanitizer or valgrind does beside them. */
static bool memory_is_our_own(void)
{
#ifdef COIL__FIBER_ANNOTATED
    return false;
#else
    return !RUNNING_ON_VALGRIND;
#endif
}

/* False under emulators that take madvise for mere advice. They share their mappings with us,
 * too. */
static bool kernel_is_real(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    bool real = madvise(page, page_bytes, 0x7fff) != 0;
    munmap(page, page_bytes);
    return real;
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

static uintptr_t page_of(const void *address)
{
    return (uintptr_t)address / (uintptr_t)sysconf(_SC_PAGESIZE);
}

static char *top_of(const struct coil__stack *stack)
{
    return stack->low + stack->bytes;
}

/* ---- sizes and places
 * -------------------------------------------------------------------------- */

static void stack_has_the_size_asked_for(void **state)
{
    /* Of every class: the least and the most that is rounded up to it. */
    struct coil__stack_pool *pool = *state;
    size_t page_bytes = pool->page_bytes;
    for (unsigned i = 0; i < COIL__STACK_CLASSES; i++) {
        size_t class_bytes = (size_t)COIL__STACK_MIN_BYTES << i;
        size_t asked[] = { class_bytes / 2 + 1, class_bytes };
        for (int k = 0; k < 2; k++) {
            struct coil__stack *stack = coil__stack_take(pool, asked[k]);
            assert_non_null(stack);
            assert_int_equal(stack->size_class, i);
            assert_int_equal((uintptr_t)stack->low % page_bytes, 0);
            assert_int_equal((uintptr_t)top_of(stack) % 64, 0);
            size_t guard_share = class_bytes < 64 * 1024 ? page_bytes : 0;
            assert_true(stack->bytes >= class_bytes - guard_share - 512);
            assert_true(stack->bytes <= class_bytes + page_bytes);
            stack->low[0] = 1;
            top_of(stack)[-1] = 1;
            coil__stack_give(pool, stack);
        }
        assert_int_equal(pool->classes[i].slots, 1);
    }
}

static void zero_bytes_mean_the_default(void **state)
{
    struct coil__stack *stack = coil__stack_take(*state, 0);
    assert_non_null(stack);
    assert_true(stack->bytes >= COIL__STACK_DEFAULT_BYTES - 512);
    assert_true(stack->bytes < COIL__STACK_DEFAULT_BYTES + 4096 * 16);
    coil__stack_give(*state, stack);
}

static void stack_above_the_maximum_is_refused(void **state)
{
    struct coil__stack_pool *pool = *state;
    assert_null(coil__stack_take(pool, (size_t)COIL__STACK_MAX_BYTES + 1));
    assert_null(coil__stack_take(pool, (size_t)1 << 40));
    assert_null(coil__stack_take(pool, SIZE_MAX));
    assert_int_equal(pool->in_use, 0);
}

static void stacks_do_not_overlap(void **state)
{
    /* Over several chunks, and filled from end to end: a mistake in the layout would change a
     * neighbour's bytes, or its descriptor. */
    enum {
        STACKS = 300
    };
    struct coil__stack_pool *pool = *state;
    static struct coil__stack *stacks[STACKS];
    static struct coil__stack copies[STACKS];

    for (int i = 0; i < STACKS; i++) {
        stacks[i] = coil__stack_take(pool, (size_t)COIL__STACK_MIN_BYTES << i % 3);
        assert_non_null(stacks[i]);
        copies[i] = *stacks[i];
        memset(stacks[i]->low, i & 0xff, stacks[i]->bytes);
    }
    assert_non_null(pool->classes[2].chunks);
    for (int i = 0; i < STACKS; i++) {
        assert_memory_equal(stacks[i], &copies[i], sizeof copies[i]);
        for (size_t at = 0; at < stacks[i]->bytes; at += 16)
            assert_int_equal((unsigned char)stacks[i]->low[at], i & 0xff);
    }
    for (int i = 0; i < STACKS; i++)
        coil__stack_give(pool, stacks[i]);
}

static void descriptor_and_first_frames_share_a_page(void **state)
{
    /* That a parked task costs one page depends on it. */
    struct coil__stack *stacks[16];
    for (int i = 0; i < 16; i++) {
        stacks[i] = coil__stack_take(*state, 0);
        assert_non_null(stacks[i]);
        assert_int_equal(page_of(stacks[i]), page_of(top_of(stacks[i]) - 4096 + 512));
        assert_int_equal(page_of(stacks[i]), page_of((char *)(stacks[i] + 1) - 1));
    }
    for (int i = 0; i < 16; i++)
        coil__stack_give(*state, stacks[i]);
}

static void tops_are_coloured(void **state)
{
    /* Neighbours' busiest cache lines must not all fall into the same set. */
    struct coil__stack *stacks[8];
    unsigned lines = 0;
    for (int i = 0; i < 8; i++) {
        stacks[i] = coil__stack_take(*state, COIL__STACK_MIN_BYTES);
        assert_non_null(stacks[i]);
        lines |= 1u << ((uintptr_t)stacks[i] / 64 % 8);
    }
    assert_int_equal(lines, 0xff);
    for (int i = 0; i < 8; i++)
        coil__stack_give(*state, stacks[i]);
}

static void larger_stacks_do_not_lie_a_power_of_two_apart(void **state)
{
    struct coil__stack *one = coil__stack_take(*state, 0), *next = coil__stack_take(*state, 0);
    assert_non_null(one);
    assert_non_null(next);
    assert_int_equal(next->low - one->low,
                     COIL__STACK_DEFAULT_BYTES + ((struct coil__stack_pool *)*state)->page_bytes);
    coil__stack_give(*state, one);
    coil__stack_give(*state, next);
}

/* ---- reuse
 * --------------------------------------------------------------------------------------- */

static void stack_pool_reuses_the_hottest_stack(void **state)
{
    /* Its pages are present and its lines in the cache. */
    struct coil__stack *a = coil__stack_take(*state, 0), *b = coil__stack_take(*state, 0);
    struct coil__stack *c = coil__stack_take(*state, 0);
    coil__stack_give(*state, b);
    coil__stack_give(*state, a);
    coil__stack_give(*state, c);
    assert_ptr_equal(coil__stack_take(*state, 0), c);
    assert_ptr_equal(coil__stack_take(*state, 0), a);
    assert_ptr_equal(coil__stack_take(*state, 0), b);
    coil__stack_give(*state, a);
    coil__stack_give(*state, b);
    coil__stack_give(*state, c);
}

static void classes_do_not_mix(void **state)
{
    struct coil__stack *small = coil__stack_take(*state, 16 * 1024);
    coil__stack_give(*state, small);
    struct coil__stack *large = coil__stack_take(*state, 32 * 1024);
    assert_non_null(large);
    assert_ptr_not_equal(large, small);
    assert_true(large->bytes >= 24 * 1024);
    coil__stack_give(*state, large);
}

static void pool_counts_what_is_in_use(void **state)
{
    struct coil__stack_pool *pool = *state;
    struct coil__stack *a = coil__stack_take(pool, 0), *b = coil__stack_take(pool, 1);
    assert_int_equal(pool->in_use, 2);
    coil__stack_give(pool, a);
    assert_int_equal(pool->in_use, 1);
    a = coil__stack_take(pool, 0);
    assert_int_equal(pool->in_use, 2);
    coil__stack_give(pool, a);
    coil__stack_give(pool, b);
    assert_int_equal(pool->in_use, 0);
}

/* ---- one coroutine, for the tests that need a stack to be run on
 * ---------------------------------- */

struct co {
    struct coil__stack_pool *pool;
    struct coil__stack *stack;
    void *word;
    void (*body)(struct co *co);
    void *block; /* for a body's own use */
    bool done;
};

static void *main_word;

static void resume(struct co *co)
{
    coil__fiber_switch(&main_word, NULL, co->word, co->stack, 0, false);
}

static void suspend(struct co *co)
{
    coil__fiber_switch(&co->word, co->stack, main_word, NULL, 0, false);
}

static void die(struct co *co)
{
    co->done = true;
    coil__fiber_switch(&co->word, co->stack, main_word, NULL, 0, true);
}

static void entry(void *arg, intptr_t value)
{
    struct co *co = arg;
    (void)value;
    coil__fiber_entered(co->stack);
    co->body(co);
    die(co);
}

static void start(struct coil__stack_pool *pool, struct co *co, size_t bytes,
                  void (*body)(struct co *co))
{
    *co = (struct co){ .pool = pool, .stack = coil__stack_take(pool, bytes), .body = body };
    assert_non_null(co->stack);
    co->word = coil__switch_prepare(co->stack->low, co->stack->bytes, entry, co);
}

static void give_and_die(struct co *co)
{
    coil__stack_give(co->pool, co->stack);
    die(co);
}

static void stack_may_be_given_while_running_on_it(void **state)
{
    /* A task that ends does so: there is nobody else to do it. */
    struct coil__stack_pool *pool = *state;
    struct coil__stack *slot = NULL;
    for (int i = 0; i < 10; i++) {
        struct co co;
        start(pool, &co, 0, give_and_die);
        assert_true(!slot || co.stack == slot);
        slot = co.stack;
        resume(&co);
        assert_true(co.done);
        assert_int_equal(pool->in_use, 0);
    }
}

static void just_park(struct co *co)
{
    suspend(co);
}

static void parked_coroutine_touches_one_page(void **state)
{
    struct co co;
#ifdef COIL__SWITCH_UCONTEXT
    bool small = false;
#else
    bool small = memory_is_our_own();
#endif
    if (!small) {
        print_message("skipped: a ucontext_t or a sanitizer's frames may need more than a page\n");
        skip();
    }
    start(*state, &co, COIL__STACK_MIN_BYTES, just_park);
    resume(&co);
    assert_in_range(coil__stack_high_water(co.stack), 1, (uintptr_t)sysconf(_SC_PAGESIZE));
    resume(&co);
    coil__stack_give(*state, co.stack);
}

/* ---- guards
 * ---------------------------------------------------------------------------------------- */

/* Runs `what` in a child and returns its wait status. The child dies without a core and without a
 * sanitizer's report. */
static int status_of_child(void (*what)(struct coil__stack_pool *pool),
                           struct coil__stack_pool *pool)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        what(pool);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static bool died_of_a_fault(int status)
{
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static volatile int bottomless = 1;

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    return bottomless ? recurse(depth + 1) + frame[0] : frame[0];
}

static void overflow(struct co *co)
{
    co->done = recurse(0) != 0;
}

static void run_overflow(struct coil__stack_pool *pool)
{
    struct co co = { .stack = coil__stack_take(pool, 0), .body = overflow };
    if (!co.stack || !co.stack->guarded)
        _exit(2);
    co.word = coil__switch_prepare(co.stack->low, co.stack->bytes, entry, &co);
    resume(&co);
}

static void guard_page_kills_an_overflowing_child(void **state)
{
    struct coil__stack_pool *pool = *state;
    assert_true(died_of_a_fault(status_of_child(run_overflow, pool)));
    pool->use_mprotect = true;
    assert_true(died_of_a_fault(status_of_child(run_overflow, pool)));
}

static struct coil__stack *probed;

static void write_below_low(struct coil__stack_pool *pool)
{
    (void)pool;
    *(volatile char *)(probed->low - 1) = 1;
}

static void write_at_guard_bottom(struct coil__stack_pool *pool)
{
    *(volatile char *)(probed->low - pool->page_bytes) = 1;
}

static void write_at_low(struct coil__stack_pool *pool)
{
    (void)pool;
    *(volatile char *)probed->low = 1;
}

static void guard_lies_exactly_below_low(void **state)
{
    /* For stacks in the middle of a chunk, where a neighbour's memory is on either side. */
    struct coil__stack *stacks[3];
    for (int kind = 0; kind < 2; kind++) {
        for (int i = 0; i < 3; i++)
            stacks[i] = coil__stack_take(*state, COIL__STACK_MIN_BYTES << kind);
        probed = stacks[1];
        assert_true(probed->guarded);
        assert_true(died_of_a_fault(status_of_child(write_below_low, *state)));
        assert_true(died_of_a_fault(status_of_child(write_at_guard_bottom, *state)));
        assert_int_equal(status_of_child(write_at_low, *state), 0);
        for (int i = 0; i < 3; i++)
            coil__stack_give(*state, stacks[i]);
        ((struct coil__stack_pool *)*state)->use_mprotect = true;
    }
}

static void guard_hit_names_the_guard_alone(void **state)
{
    struct coil__stack_pool *pool = *state;
    struct coil__stack *stack = coil__stack_take(pool, 0);
    assert_true(stack->guarded);
    assert_true(coil__stack_guard_hit(stack, stack->low - 1));
    assert_true(coil__stack_guard_hit(stack, stack->low - pool->page_bytes));
    assert_false(coil__stack_guard_hit(stack, stack->low - pool->page_bytes - 1));
    assert_false(coil__stack_guard_hit(stack, stack->low));
    assert_false(coil__stack_guard_hit(stack, top_of(stack)));
    assert_false(coil__stack_guard_hit(stack, NULL));
    stack->guarded = false; /* then there is no guard to hit */
    assert_false(coil__stack_guard_hit(stack, stack->low - 1));
    stack->guarded = true;
    coil__stack_give(pool, stack);
}

static int count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int lines = 0, c;
    assert_non_null(maps);
    while ((c = getc(maps)) != EOF)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static bool kernel_has_guard_regions(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    bool has = madvise(page, page_bytes, MADV_GUARD_INSTALL) == 0;
    munmap(page, page_bytes);
    return has && kernel_is_real();
}

static void take_many(struct coil__stack_pool *pool, size_t count, struct coil__stack **list)
{
    for (size_t i = 0; i < count; i++) {
        struct coil__stack *stack = coil__stack_take(pool, COIL__STACK_MIN_BYTES);
        assert_non_null(stack);
        stack->next_free = *list;
        *list = stack;
    }
}

static void give_all(struct coil__stack_pool *pool, struct coil__stack *list)
{
    while (list) {
        struct coil__stack *next = list->next_free;
        coil__stack_give(pool, list);
        list = next;
    }
}

static void stacks_beyond_the_mapping_limit_keep_their_guards(void **state)
{
    /* With two mappings each, libraries stop at some 32,000 coroutines, whatever the memory. */
    enum {
        MANY = 40000
    };
    struct coil__stack_pool *pool = *state;
    if (!kernel_has_guard_regions() || !memory_is_our_own()) {
        print_message(
            "skipped: needs MADV_GUARD_INSTALL (Linux 6.13), no sanitizer, no valgrind\n");
        skip();
    }
    int before = count_mappings();
    struct coil__stack *list = NULL;
    take_many(pool, MANY, &list);
    assert_int_equal(pool->unguarded, 0);
    assert_in_range(count_mappings(), 1, before + 20);
    for (struct coil__stack *stack = list; stack; stack = stack->next_free)
        assert_true(stack->guarded);
    probed = list;
    assert_true(died_of_a_fault(status_of_child(write_below_low, pool)));
    give_all(pool, list);
}

static long mapping_limit(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    long limit = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%ld", &limit) != 1)
        limit = 0;
    fclose(file);
    return limit;
}

static void stacks_go_unguarded_before_mappings_run_out(void **state)
{
    /* On kernels without guard regions. A stack without a guard is better than no task, as long as
     * somebody can be told; and the rest of the program needs mappings too. */
    struct coil__stack_pool *pool = *state, second;
    size_t limit = (size_t)mapping_limit();
    if (limit == 0 || limit > 70000 || !memory_is_our_own() || !kernel_is_real()) {
        print_message(
            "skipped: vm.max_map_count out of reach, or a sanitizer, valgrind, emulator\n");
        skip();
    }
    pool->use_mprotect = true;
    struct coil__stack *list = NULL;
    take_many(pool, limit / 2, &list);
    size_t unguarded = 0;
    for (struct coil__stack *stack = list; stack; stack = stack->next_free)
        unguarded += !stack->guarded;
    assert_in_range(unguarded, 1, limit / 8);
    assert_int_equal(unguarded, pool->unguarded);
    assert_in_range(count_mappings(), limit / 2, limit - 1000);

    /* The bound is the process's: another pool gets none either, until this one is gone. */
    coil__stack_pool_init(&second);
    second.use_mprotect = true;
    coil__stack_give(&second, coil__stack_take(&second, 0));
    assert_int_equal(second.unguarded, 1);
    give_all(pool, list);
    coil__stack_pool_fini(pool);
    coil__stack_pool_init(pool);
    coil__stack_give(&second, coil__stack_take(&second, 16));
    assert_int_equal(second.unguarded, 1);
    coil__stack_pool_fini(&second);
}

static void take_until_refused(struct coil__stack_pool *pool)
{
    size_t mib = 1024 * 1024;
    setrlimit(RLIMIT_AS, &(struct rlimit){ 300 * mib, 300 * mib });

    struct coil__stack *list = NULL, *stack;
    size_t taken = 0;
    while ((stack = coil__stack_take(pool, mib)) != NULL) {
        memset(stack->low, 1, 64);
        stack->next_free = list;
        list = stack;
        taken++;
    }
    /* Chunks that would double past the limit are tried smaller: most of it can be used. */
    if (taken < 200 || taken > 300 || pool->in_use != taken)
        _exit(1);
    coil__stack_give(pool, list);
    if (coil__stack_take(pool, mib) != list || coil__stack_take(pool, mib) != NULL)
        _exit(2);
}

static void without_address_space_take_returns_null(void **state)
{
    if (!memory_is_our_own() || !kernel_is_real()) {
        print_message("skipped: the address space cannot be limited here\n");
        skip();
    }
    assert_int_equal(status_of_child(take_until_refused, *state), 0);
}

/* ---- high water and trimming
 * ----------------------------------------------------------------------- */

static void high_water_grows_with_use(void **state)
{
    struct coil__stack_pool *pool = *state;
    struct coil__stack *stack = coil__stack_take(pool, 4 * 1024 * 1024);
    assert_in_range(coil__stack_high_water(stack), 1, pool->page_bytes);

    size_t depths[] = { 10000, 100000, 1000000, 4 * 1024 * 1024 - 600 };
    for (int i = 0; i < 4; i++) {
        top_of(stack)[-(ptrdiff_t)depths[i]] = 1;
        assert_in_range(coil__stack_high_water(stack), depths[i], depths[i] + pool->page_bytes);
    }
    stack->low[0] = 1;
    assert_int_equal(coil__stack_high_water(stack), stack->bytes);
    coil__stack_give(pool, stack);
    assert_int_equal(coil__stack_high_water(stack), stack->bytes);
}

enum {
    IDLE = 3000
};
static struct coil__stack *idle[IDLE];

static void give_idle(struct coil__stack_pool *pool)
{
    for (int i = 0; i < IDLE; i++)
        coil__stack_give(pool, idle[i]);
}

static void take_idle(struct coil__stack_pool *pool)
{
    for (int i = 0; i < IDLE; i++) {
        idle[i] = coil__stack_take(pool, COIL__STACK_MIN_BYTES);
        assert_non_null(idle[i]);
        idle[i]->low[0] = 1;
    }
}

static int count_deep(void)
{
    int deep = 0;
    for (int i = 0; i < IDLE; i++)
        deep += coil__stack_high_water(idle[i]) == idle[i]->bytes;
    return deep;
}

static void idle_stacks_give_their_depths_back(void **state)
{
    /* A burst of deep tasks must not hold its memory for the rest of the program's life, but what a
     * steady load uses must not be given back and faulted in again. */
    struct coil__stack_pool *pool = *state;
    take_idle(pool);
    assert_int_equal(count_deep(), IDLE);
    give_idle(pool);
    assert_int_equal(count_deep(), IDLE);

    struct coil__stack *cold = pool->classes[0].cold;
    for (int i = 0; i < 20000; i++) {
        struct coil__stack *stack = coil__stack_take(pool, COIL__STACK_MIN_BYTES);
        assert_ptr_equal(stack, idle[IDLE - 1]);
        coil__stack_give(pool, stack);
        /* One at a time, or the loop would stand still for a second after a burst of a million. */
        if (pool->classes[0].cold != cold)
            assert_ptr_equal(pool->classes[0].cold->next_free, cold);
        cold = pool->classes[0].cold;
    }
    assert_in_range(count_deep(), 1, 1100);
    for (int i = IDLE - 1000; i < IDLE; i++)
        assert_int_equal(coil__stack_high_water(idle[i]), idle[i]->bytes);
    for (int i = 0; i < IDLE - 1100; i++)
        assert_in_range(coil__stack_high_water(idle[i]), 1, pool->page_bytes);

    /* All of them are still there, and as good as new. */
    take_idle(pool);
    assert_int_equal(pool->classes[0].slots, IDLE);
    assert_int_equal(pool->in_use, IDLE);
    probed = idle[IDLE - 1];
    assert_true(died_of_a_fault(status_of_child(write_below_low, pool)));
    give_idle(pool);
}

static void burst_that_comes_again_finds_its_pages(void **state)
{
    /* Otherwise every burst would pay for its page faults anew. */
    struct coil__stack_pool *pool = *state;
    take_idle(pool);
    for (int i = 0; i < 20; i++) {
        give_idle(pool);
        assert_int_equal(count_deep(), IDLE);
        take_idle(pool);
    }
    assert_int_equal(pool->classes[0].slots, IDLE);
    give_idle(pool);
}

/* ---- LeakSanitizer
 * ---------------------------------------------------------------------------------- */

#ifdef COIL__ASAN
static uintptr_t hidden; /* a pointer, so written that it is none */

static void hold_a_block(struct co *co)
{
    char *volatile block = malloc(100);
    hidden = ~(uintptr_t)block;
    suspend(co);
    free(block);
}

static void block_held_by_a_suspended_stack_is_no_leak(void **state)
{
    struct co co;
    start(*state, &co, 0, hold_a_block);
    resume(&co);
    assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
    resume(&co);
    assert_true(co.done);
    coil__stack_give(*state, co.stack);
}

__attribute__((noinline)) static void allocate_and_hide(void)
{
    hidden = ~(uintptr_t)malloc(101);
}

/* Copies of the pointer may be left on the stack below. */
__attribute__((noinline)) static void scrub(void)
{
    volatile char frame[8192];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0;
}

static void lose_a_block(struct co *co)
{
    allocate_and_hide();
    scrub();
    suspend(co);
}

static void block_lost_by_a_coroutine_is_a_leak(void **state)
{
    /* That nothing is reported is only worth something if something can be. */
    struct co co;
    start(*state, &co, 0, lose_a_block);
    resume(&co);
    print_message("a leak of 101 bytes is reported here on purpose\n");
    int leaks = __lsan_do_recoverable_leak_check();
    free((void *)~hidden);
    assert_int_equal(leaks, 1);
    resume(&co);
    coil__stack_give(*state, co.stack);
}

static void check_for_leaks(struct co *co)
{
    co->block = (void *)(intptr_t)__lsan_do_recoverable_leak_check();
}

static void block_held_by_the_loops_stack_is_no_leak(void **state)
{
    /* As when a coroutine calls exit. */
    char *volatile block = malloc(102);
    struct co co;
    start(*state, &co, 0, check_for_leaks);
    resume(&co);
    assert_ptr_equal(co.block, NULL);
    free(block);
    coil__stack_give(*state, co.stack);
}
#else
#define SKIPPED_WITHOUT_LSAN(test)                                                                 \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        print_message("skipped: LeakSanitizer comes with -fsanitize=address\n");                   \
        skip();                                                                                    \
    }
SKIPPED_WITHOUT_LSAN(block_held_by_a_suspended_stack_is_no_leak)
SKIPPED_WITHOUT_LSAN(block_lost_by_a_coroutine_is_a_leak)
SKIPPED_WITHOUT_LSAN(block_held_by_the_loops_stack_is_no_leak)
#endif

#define WITH_POOL(test) cmocka_unit_test_setup_teardown(test, make_pool, drop_pool)

int main(int argc, char **argv)
{
    (void)argc;
    leave_frames_on_their_stacks(argv);
    const struct CMUnitTest tests[] = {
        WITH_POOL(stack_has_the_size_asked_for),
        WITH_POOL(zero_bytes_mean_the_default),
        WITH_POOL(stack_above_the_maximum_is_refused),
        WITH_POOL(stacks_do_not_overlap),
        WITH_POOL(descriptor_and_first_frames_share_a_page),
        WITH_POOL(tops_are_coloured),
        WITH_POOL(larger_stacks_do_not_lie_a_power_of_two_apart),
        WITH_POOL(stack_pool_reuses_the_hottest_stack),
        WITH_POOL(classes_do_not_mix),
        WITH_POOL(pool_counts_what_is_in_use),
        WITH_POOL(stack_may_be_given_while_running_on_it),
        WITH_POOL(parked_coroutine_touches_one_page),
        WITH_POOL(guard_page_kills_an_overflowing_child),
        WITH_POOL(guard_lies_exactly_below_low),
        WITH_POOL(guard_hit_names_the_guard_alone),
        WITH_POOL(stacks_beyond_the_mapping_limit_keep_their_guards),
        WITH_POOL(stacks_go_unguarded_before_mappings_run_out),
        WITH_POOL(without_address_space_take_returns_null),
        WITH_POOL(high_water_grows_with_use),
        WITH_POOL(idle_stacks_give_their_depths_back),
        WITH_POOL(burst_that_comes_again_finds_its_pages),
        WITH_POOL(block_held_by_a_suspended_stack_is_no_leak),
        WITH_POOL(block_lost_by_a_coroutine_is_a_leak),
        WITH_POOL(block_held_by_the_loops_stack_is_no_leak),
    };
    return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
