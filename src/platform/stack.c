/* The stack pool.
 *
 * A size class maps chunks, each twice the size of the one before, and cuts them into slots from
 * the bottom up as stacks are asked for. Mapping costs address space alone; a page of memory is
 * spent when it is first touched. A slot once handed out keeps its descriptor and its guard for
 * ever, and is in use or on a list: free, cooling or cold.
 *
 * The free list is last in, first out. If it never held fewer than n stacks since the last review,
 * the n at its far end were not used in all that time: they are idle. A review cuts them off, but
 * for some, and from then on each give returns the pages of one, so that no give takes long and a
 * stack must have been used again before it costs anything again.
 *
 * After mlockall(MCL_FUTURE) the kernel fills every chunk with memory as it is mapped: programs
 * that lock should do so with MCL_CURRENT, or MCL_ONFAULT as well. */
#include "platform/stack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/fiber.h"

#ifdef COIL__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    CHUNK_MIN_BYTES = 1024 * 1024,
    CHUNK_MIN_SLOTS = 4,
#ifdef COIL__ASAN
    CHUNK_MAX_BYTES = 16 * 1024 * 1024, /* LeakSanitizer reads chunks from end to end */
#else
    CHUNK_MAX_BYTES = 1024 * 1024 * 1024,
#endif

    COLOURS = 8,
    COLOUR_BYTES = 64, /* a cache line */

    STRIDE_FROM_BYTES = 64 * 1024, /* from this class on, slots are a page longer than the class */

    REVIEW_GIVES = 4096, /* at least so many gives lie between two reviews of a class */
    KEEP_IDLE = 1024,    /* a review leaves so many idle stacks on the free list */
};

_Static_assert(COIL__STACK_MIN_BYTES << (COIL__STACK_CLASSES - 1) == COIL__STACK_MAX_BYTES,
               "the classes reach the maximum");
_Static_assert(sizeof(struct coil__stack) + (COLOURS - 1) * COLOUR_BYTES <= 512,
               "most of the top page is left to the first frames");

static atomic_size_t mprotect_guards; /* of all pools: mappings are the process's */

/* At the start of each mapping, on a page of its own. */
struct coil__stack_chunk {
    struct coil__stack_chunk *next;
    size_t bytes;
};

#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>

/* What memcheck makes of a jump of the stack pointer depends on whether it ends on a known
 * stack. */
static void tell_valgrind(struct coil__stack *stack)
{
    if (RUNNING_ON_VALGRIND)
        stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, stack->low + stack->bytes);
}

static void tell_valgrind_it_goes(struct coil__stack *stack)
{
    if (RUNNING_ON_VALGRIND)
        VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
}
#else
static void tell_valgrind(struct coil__stack *stack)
{
    (void)stack;
}

static void tell_valgrind_it_goes(struct coil__stack *stack)
{
    (void)stack;
}
#endif

static struct coil__stack *new_slot(struct coil__stack_pool *pool, unsigned size_class);
static bool map_chunk(struct coil__stack_pool *pool, unsigned size_class);
static bool install_guard(struct coil__stack_pool *pool, char *guard);
static bool install_guard_by_mprotect(struct coil__stack_pool *pool, char *guard);
/* Kept out of line, these leave coil__stack_give without a frame. */
static void review(struct coil__stack_class *class) __attribute__((noinline));
static void cool_one(const struct coil__stack_pool *pool, struct coil__stack_class *class)
    __attribute__((noinline));

static size_t round_up(size_t bytes, size_t multiple)
{
    return (bytes + multiple - 1) / multiple * multiple;
}

void coil__stack_pool_init(struct coil__stack_pool *pool)
{
    *pool = (struct coil__stack_pool){ .page_bytes = (size_t)sysconf(_SC_PAGESIZE) };
#ifdef COIL__ASAN
    /* LeakSanitizer takes everything that /proc/self/maps calls readable for readable. */
    pool->use_mprotect = true;
#endif
    for (unsigned i = 0; i < COIL__STACK_CLASSES; i++) {
        pool->classes[i].next_chunk_bytes = CHUNK_MIN_BYTES;
        pool->classes[i].gives_to_review = REVIEW_GIVES;
    }
}

/* Without instruments there is nobody to tell, and no reason to touch a million cold pages. */
static bool somebody_watches(void)
{
#if defined(COIL__FIBER_ANNOTATED)
    return true;
#elif defined(COIL_HAVE_VALGRIND)
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

static void tell_stacks_go(struct coil__stack *list)
{
    for (; list; list = list->next_free) {
        tell_valgrind_it_goes(list);
        coil__fiber_gone(list);
    }
}

static void unmap_chunk(struct coil__stack_chunk *chunk)
{
#ifdef COIL__ASAN
    __lsan_unregister_root_region(chunk, chunk->bytes);
    __asan_unpoison_memory_region(chunk, chunk->bytes);
#endif
    munmap(chunk, chunk->bytes);
}

void coil__stack_pool_fini(struct coil__stack_pool *pool)
{
    assert(pool->in_use == 0);
    for (unsigned i = 0; i < COIL__STACK_CLASSES; i++) {
        struct coil__stack_class *class = &pool->classes[i];
        if (somebody_watches()) {
            tell_stacks_go(class->free);
            tell_stacks_go(class->cooling);
            tell_stacks_go(class->cold);
        }
        for (struct coil__stack_chunk *chunk = class->chunks, *next; chunk; chunk = next) {
            next = chunk->next;
            unmap_chunk(chunk);
        }
    }
    atomic_fetch_sub(&mprotect_guards, pool->mprotect_guards);
    *pool = (struct coil__stack_pool){ 0 };
}

struct coil__stack *coil__stack_take_other(struct coil__stack_pool *pool, unsigned size_class)
{
    struct coil__stack_class *class = &pool->classes[size_class];
    struct coil__stack *stack;

    assert(!class->free);
    if ((stack = class->cooling) != NULL)
        class->cooling = stack->next_free;
    else if ((stack = class->cold) != NULL)
        class->cold = stack->next_free;
    else if ((stack = new_slot(pool, size_class)) == NULL)
        return NULL;
    pool->in_use++;
    coil__stack_unpoison(stack);
    return stack;
}

void coil__stack_give(struct coil__stack_pool *pool, struct coil__stack *stack)
{
    struct coil__stack_class *class = &pool->classes[stack->size_class];

    assert(pool->in_use > 0);
    pool->in_use--;
    coil__fiber_given(stack);
    if (class->free_count < class->idle_count) {
        class->idle_count = class->free_count;
        class->idle = class->free;
    }
    stack->next_free = class->free;
    class->free = stack;
    class->free_count++;
    if (--class->gives_to_review == 0)
        review(class);
    if (class->cooling)
        cool_one(pool, class);
}

/* A power-of-two distance makes the same line of all stacks fall into the same sets of the L2 cache
 * too, which colouring within a page cannot help; a page more spreads them, and pays for the guard.
 * Small stacks do without: there the distance decides how much page table a parked task needs. */
static size_t slot_stride(const struct coil__stack_pool *pool, unsigned size_class)
{
    size_t bytes = (size_t)COIL__STACK_MIN_BYTES << size_class;
    bool packed = bytes < STRIDE_FROM_BYTES && bytes >= 4 * pool->page_bytes;
    return packed ? bytes : round_up(bytes + pool->page_bytes, pool->page_bytes);
}

static struct coil__stack *new_slot(struct coil__stack_pool *pool, unsigned size_class)
{
    struct coil__stack_class *class = &pool->classes[size_class];
    if (class->unused == class->unused_end && !map_chunk(pool, size_class))
        return NULL;

    char *slot = class->unused;
    char *slot_end = slot + slot_stride(pool, size_class);
    class->unused = slot_end;
    class->slots++;

    struct coil__stack *stack =
        (struct coil__stack *)(void *)(slot_end - class->colour * COLOUR_BYTES) - 1;
    class->colour = (class->colour + 1) % COLOURS;
    char *low = slot + pool->page_bytes;
    *stack = (struct coil__stack){
        .low = low,
        .bytes = (size_t)((char *)stack - low),
        .size_class = (uint8_t)size_class,
        .guarded = install_guard(pool, slot),
    };
    if (!stack->guarded)
        pool->unguarded++;
    tell_valgrind(stack);
    return stack;
}

static bool install_guard(struct coil__stack_pool *pool, char *guard)
{
    if (!pool->use_mprotect) {
        if (madvise(guard, pool->page_bytes, MADV_GUARD_INSTALL) == 0)
            return true;
        if (errno == EINVAL)
            pool->use_mprotect = true;
    }
    return install_guard_by_mprotect(pool, guard);
}

/* Most of vm.max_map_count, at two mappings each. The rest is for allocators, threads and
 * libraries, which take a failing mmap less well than we do a missing guard. */
static size_t find_mprotect_guards_max(void)
{
    size_t mappings = 65530; /* what Linux has unless somebody changed it */
    char text[32];

    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t length = read(fd, text, sizeof text - 1);
        text[length > 0 ? length : 0] = '\0';
        unsigned long found = strtoul(text, NULL, 10);
        if (found > 0)
            mappings = found;
        (void)close(fd); /* only read from */
    }
    return mappings / 2 / 8 * 7;
}

static bool install_guard_by_mprotect(struct coil__stack_pool *pool, char *guard)
{
    if (pool->mprotect_guards_max == 0)
        pool->mprotect_guards_max = find_mprotect_guards_max();
    if (atomic_fetch_add(&mprotect_guards, 1) < pool->mprotect_guards_max &&
        mprotect(guard, pool->page_bytes, PROT_NONE) == 0) {
        pool->mprotect_guards++;
        return true;
    }
    atomic_fetch_sub(&mprotect_guards, 1);
    return false;
}

/* An emulator may take madvise for mere advice and report success whatever it is asked. */
static bool madvise_is_obeyed(void *page, size_t page_bytes)
{
    const int no_such_advice = 0x7fff;
    return madvise(page, page_bytes, no_such_advice) != 0;
}

/* Fails only if there is no room for a single slot. */
static bool map_chunk(struct coil__stack_pool *pool, unsigned size_class)
{
    struct coil__stack_class *class = &pool->classes[size_class];
    size_t stride = slot_stride(pool, size_class);
    size_t slots = class->next_chunk_bytes / stride;
    size_t bytes;
    void *mapping;

    if (slots < CHUNK_MIN_SLOTS)
        slots = CHUNK_MIN_SLOTS;
    for (;; slots /= 2) {
        if (slots == 0)
            return false;
        bytes = pool->page_bytes + slots * stride;
        mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapping != MAP_FAILED)
            break;
    }
    if (class->next_chunk_bytes < CHUNK_MAX_BYTES)
        class->next_chunk_bytes *= 2;

    /* A huge page under the tops of eight stacks would cost what 512 stacks do. A kernel without
     * huge pages refuses, and that is as good. */
    (void)madvise(mapping, bytes, MADV_NOHUGEPAGE);
    if (!pool->use_mprotect && !madvise_is_obeyed(mapping, pool->page_bytes))
        pool->use_mprotect = true;

    struct coil__stack_chunk *chunk = mapping;
    chunk->next = class->chunks;
    chunk->bytes = bytes;
    class->chunks = chunk;
    class->unused = (char *)mapping + pool->page_bytes;
    class->unused_end = (char *)mapping + bytes;
#ifdef COIL__ASAN
    /* Pointers on suspended stacks keep their blocks from being called leaks. */
    __lsan_register_root_region(mapping, bytes);
#endif
    return true;
}

/* Makes one stack cold: all its pages go back but the topmost, which has the descriptor. To ask
 * first whether there are any (mincore) takes longer than doing it. */
static void cool_one(const struct coil__stack_pool *pool, struct coil__stack_class *class)
{
    struct coil__stack *stack = class->cooling;
    char *top_page = (char *)((uintptr_t)stack / pool->page_bytes * pool->page_bytes);

    class->cooling = stack->next_free;
    if (top_page > stack->low)
        (void)madvise(stack->low, (size_t)(top_page - stack->low), MADV_DONTNEED);
    stack->next_free = class->cold;
    class->cold = stack;
}

/* Some idle stacks are left to meet the next rush with. With them stays the one given last, which
 * may still be running. */
static void review(struct coil__stack_class *class)
{
    if (class->idle_count > KEEP_IDLE && !class->cooling) {
        struct coil__stack *last_kept = class->idle;
        for (int i = 1; i < KEEP_IDLE; i++)
            last_kept = last_kept->next_free;
        class->cooling = last_kept->next_free;
        last_kept->next_free = NULL;
        class->free_count -= class->idle_count - KEEP_IDLE;
    }
    class->idle_count = class->free_count;
    class->idle = class->free;

    /* Not before every stack may have come back once: a burst that comes again finds its stacks as
     * it left them. */
    class->gives_to_review = class->slots > REVIEW_GIVES ? class->slots : REVIEW_GIVES;
}

size_t coil__stack_high_water(const struct coil__stack *stack)
{
    enum {
        BATCH = 256
    };
    unsigned char resident[BATCH];
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t left = (stack->bytes + page_bytes - 1) / page_bytes;
    const char *top = stack->low + stack->bytes;

    for (char *at = stack->low; left > 0;) {
        size_t pages = left < BATCH ? left : BATCH;
        if (mincore(at, pages * page_bytes, resident) != 0)
            return stack->bytes; /* unknown, so the worst */
        for (size_t i = 0; i < pages; i++)
            if (resident[i] & 1)
                return (size_t)(top - (at + i * page_bytes));
        at += pages * page_bytes;
        left -= pages;
    }
    return 0;
}

bool coil__stack_guard_hit(const struct coil__stack *stack, const void *address)
{
    uintptr_t low = (uintptr_t)stack->low;
    uintptr_t at = (uintptr_t)address;
    return stack->guarded && at < low && at >= low - (uintptr_t)sysconf(_SC_PAGESIZE);
}

#ifdef COIL__ASAN
void coil__stack_unpoison(const struct coil__stack *stack)
{
    __asan_unpoison_memory_region(stack->low, stack->bytes);
}
#endif
