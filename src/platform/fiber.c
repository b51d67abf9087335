/* What ASan, LeakSanitizer and TSan have to be told about a switch of stacks.
 *
 * ASan keeps the bounds of the stack the thread runs on, and a fake stack of frames that it moved
 * aside; LeakSanitizer scans that one stack for pointers. TSan has a "fiber" per stack: a chain of
 * calls and a vector clock, as for a thread. Each is told before the switch where it goes, and ASan
 * again after it, by then on the new stack.
 *
 * A gap: with detect_stack_use_after_return=1 LeakSanitizer does not see the fake frames of
 * suspended stacks, and calls a block a leak that only they hold. It matters to programs that exit
 * while coroutines are suspended.
 *
 * Nothing in this file is instrumented: between telling and switching, a function is on one stack
 * and its instrumentation on another. */
#include "platform/fiber.h"

#ifdef COIL__FIBER_ANNOTATED

#define NOT_INSTRUMENTED __attribute__((no_sanitize_address, no_sanitize_thread, noinline))

#ifdef COIL__ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

/* The thread's own stack. Its bounds are not known until the first switch away from it has been
 * made, when ASan tells them to the stack that was entered. */
static __thread struct {
    const void *bottom;
    size_t bytes;
    void **word;         /* where the switch that leaves it saves its stack pointer; else NULL */
    const char *left_at; /* that stack pointer: what is live lies above */
} own;

/* From here to own_stack_entered LeakSanitizer takes the coroutine's stack for the thread's. What
 * lies on the thread's own has to be made known as a region of its own, lest everything that is
 * held only by the loop's callers be called a leak if a coroutine calls exit. */
NOT_INSTRUMENTED
static void own_stack_left(const void *bottom, size_t bytes)
{
    own.bottom = bottom;
    own.bytes = bytes;
    own.left_at = *own.word;
    own.word = NULL;
    __lsan_register_root_region(own.left_at, (size_t)((const char *)bottom + bytes - own.left_at));
}

NOT_INSTRUMENTED
static void own_stack_entered(void)
{
    __lsan_unregister_root_region(own.left_at,
                                  (size_t)((const char *)own.bottom + own.bytes - own.left_at));
}

NOT_INSTRUMENTED
static void asan_leaves(void **save, void **fake_stack_save, const struct coil__stack *from,
                        const struct coil__stack *to)
{
    if (!from)
        own.word = save;
    if (to)
        __sanitizer_start_switch_fiber(fake_stack_save, to->low, to->bytes);
    else
        __sanitizer_start_switch_fiber(fake_stack_save, own.bottom, own.bytes);
}

NOT_INSTRUMENTED
static void asan_entered(void *fake_stack, const struct coil__stack *self)
{
    const void *bottom;
    size_t bytes;

    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
    if (own.word)
        own_stack_left(bottom, bytes);
    if (!self)
        own_stack_entered();
}
#endif

#ifdef COIL__TSAN
#include <sanitizer/tsan_interface.h>

/* A fiber takes a quarter of a millisecond to make, so a slot keeps the one it has. But a coroutine
 * dies in calls that never return, and TSan, which has room for 64 Ki calls in a fiber, goes on
 * counting them in the next life. With a bound for their number we know when it is time for a new
 * fiber.
 *
 * The runtime of gcc 12 gives up on a process with more than 8128 threads and fibers. */
enum {
    FRAMES_MAX = 32 * 1024,
    FRAME_BYTES_MIN = 16,
};

static __thread void *own_fiber;

NOT_INSTRUMENTED
static void destroy_fiber(struct coil__stack *stack)
{
    if (stack->tsan_fiber)
        __tsan_destroy_fiber(stack->tsan_fiber);
    stack->tsan_fiber = NULL;
    stack->tsan_frames = 0;
    stack->tsan_alive = false;
}

/* The last act of a life, seen from TSan's side of the switch: the fiber isn't the current one. */
NOT_INSTRUMENTED
static void note_death(struct coil__stack *stack)
{
    const char *here = __builtin_frame_address(0);
    stack->tsan_alive = false;
    stack->tsan_frames += (size_t)(stack->low + stack->bytes - here) / FRAME_BYTES_MIN;
    if (stack->tsan_frames > FRAMES_MAX)
        destroy_fiber(stack);
}

/* Part of coil__fiber_switch, since clang notes calls and returns of uninstrumented functions too:
 * a function of its own would be called on one fiber and return on another. */
static inline __attribute__((always_inline)) void
tsan_leaves(struct coil__stack *from, struct coil__stack *to, bool from_dies)
{
    if (!from)
        own_fiber = __tsan_get_current_fiber();
    if (to && !to->tsan_fiber)
        to->tsan_fiber = __tsan_create_fiber(0);
    if (to)
        to->tsan_alive = true;
    __tsan_switch_to_fiber(to ? to->tsan_fiber : own_fiber, 0);
    if (from_dies)
        note_death(from);
}
#endif

NOT_INSTRUMENTED
intptr_t coil__fiber_switch(void **save, struct coil__stack *from, void *load,
                            struct coil__stack *to, intptr_t value, bool from_dies)
{
#ifdef COIL__ASAN
    void *fake_stack = NULL;
    asan_leaves(save, from_dies ? NULL : &fake_stack, from, to);
#endif
#ifdef COIL__TSAN
    tsan_leaves(from, to, from_dies);
#endif
    (void)from_dies;
    (void)to;
    value = coil__switch(save, load, value);
#ifdef COIL__ASAN
    asan_entered(fake_stack, from);
#endif
    (void)from;
    return value;
}

NOT_INSTRUMENTED
void coil__fiber_entered(struct coil__stack *self)
{
#ifdef COIL__ASAN
    asan_entered(NULL, self);
#endif
    (void)self;
}

NOT_INSTRUMENTED
void coil__fiber_given(struct coil__stack *stack)
{
#ifdef COIL__TSAN
    /* Dropped while suspended: who knows in how many calls. */
    if (stack->tsan_alive && stack->tsan_fiber != __tsan_get_current_fiber())
        destroy_fiber(stack);
#endif
    (void)stack;
}

NOT_INSTRUMENTED
void coil__fiber_gone(struct coil__stack *stack)
{
#ifdef COIL__TSAN
    destroy_fiber(stack);
#endif
    (void)stack;
}

#endif
