/* Stacks of tasks: how large, how much of it was used, and what happens when one is full. */
#include "lib/steps.h"

/* Touches so many bytes of stack below top, in frames of any size. */
static __attribute__((noinline)) char touch(uintptr_t top, size_t bytes)
{
    volatile char frame[512];
    frame[0] = (char)bytes;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    char below = here > top - bytes ? touch(top, bytes) : 0;
    return (char)(below + frame[0]);
}

/* Whether a stack of this size is what is left of that power of two, less the guard page and what the
 * library keeps at the top. */
static bool is_class(size_t size, size_t power)
{
    return size <= power && size >= power - 4096 - 1024;
}

COIL_ASYNC(touches, (size_t, bytes), (size_t, expected_size))
{
    size_t size = 0;
    size_t before = coil_task_stack_used(coil_current_task(), &size);
    EXPECT(is_class(size, expected_size));
    EXPECT(before > 0 && before <= size);
    (void)touch((uintptr_t)__builtin_frame_address(0), bytes);
    size_t after = coil_task_stack_used(coil_current_task(), NULL);
    EXPECT(after >= bytes && after <= size);
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_stack_used(coil_current_task(), NULL) >= bytes);
    return 0;
}

COIL_ASYNC(starts, (size_t, asked), (size_t, expected), (size_t, bytes))
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.stack_size = asked;
    coil_task *task = coil_create_task_with(NULL, touches(bytes, expected), &options);
    size_t size = 1;
    EXPECT_INT((long long)coil_task_stack_used(task, &size), 0);
    EXPECT_INT((long long)size, 0);
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_task_stack_used(task, &size) >= bytes);
    EXPECT(is_class(size, expected));
    COIL_TRY(coil_await(task, NULL));
    EXPECT_INT((long long)coil_task_stack_used(task, &size), 0);
    coil_unref(task);
    return 0;
}

enum {
    KIB = 1024
};

/* A sanitizer's instrumentation makes frames larger than the smallest stacks. */
#ifdef COIL__FIBER_ANNOTATED
#define SMALLEST_MATTERS 0
#else
#define SMALLEST_MATTERS 1
#endif

TEST(stack_has_the_size_that_was_asked_for_rounded_up)
{
    /* To a power of two, from 16 KiB on; and what is promised can be used. */
    EXPECT_RUN(starts(0, 256 * KIB, 150 * KIB), 0);
    EXPECT_RUN(starts(128 * KIB + 1, 256 * KIB, 8 * KIB), 0);
    EXPECT_RUN(starts(1024 * KIB, 1024 * KIB, 900 * KIB), 0);
    EXPECT_RUN(starts(64 * 1024 * KIB, 64 * 1024 * KIB, 2048 * KIB), 0);
    if (SMALLEST_MATTERS) {
        EXPECT_RUN(starts(1, 16 * KIB, 2 * KIB), 0);
        EXPECT_RUN(starts(16 * KIB, 16 * KIB, 2 * KIB), 0);
        EXPECT_RUN(starts(16 * KIB + 1, 32 * KIB, 16 * KIB), 0);
    }
}

COIL_ASYNC0(changes_the_default)
{
    coil_loop *loop = coil_get_running_loop();
    EXPECT_INT(coil_set_default_stack_size(loop, 16 * KIB - 1), COIL_EINVAL);
    EXPECT_INT(coil_set_default_stack_size(loop, (size_t)64 * KIB * KIB + 1), COIL_EINVAL);
    EXPECT_INT(coil_set_default_stack_size(NULL, 500 * KIB), 0);
    return coil_await(starts(0, 512 * KIB, 400 * KIB), NULL);
}

TEST(default_size_can_be_changed)
{
    /* For tasks that don't say; tasks of different sizes run side by side. */
    EXPECT_RUN(changes_the_default(), 0);
    EXPECT_INT(coil_set_default_stack_size(NULL, 64 * KIB), COIL_ENOLOOP);
}

/* ---- overflow ----------------------------------------------------------------------------------- */

#ifndef COIL__FIBER_ANNOTATED
static volatile bool bottomless = true;

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    return bottomless ? recurse(depth + 1) + frame[0] : 0;
}

COIL_ASYNC0(overflowing)
{
    COIL_TRY(coil_sleep(0));
    return recurse(0);
}

COIL_ASYNC0(awaiting_overflow)
{
    return coil_await(overflowing(), NULL);
}

COIL_ASYNC(starts_overflowing, (const char *, name))
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    options.stack_size = 128 * KIB;
    coil_task *task = coil_create_task_with(NULL, awaiting_overflow(), &options);
    int rc = coil_await(task, NULL);
    coil_unref(task);
    return rc;
}

static int overflow_named(void)
{
    return coil_main(starts_overflowing("glutton"));
}

static int overflow_unnamed(void)
{
    return coil_main(starts_overflowing(NULL));
}
#endif

TEST(overflow_names_task_coroutines_and_size_and_dies)
{
    /* The first thing people fear about coroutines in C must not look like any other crash. */
#ifdef COIL__FIBER_ANNOTATED
    SKIP("the sanitizer's own handler takes the signal");
#else
    static struct child_end end;
    run_child(overflow_named, &end);
    EXPECT(WIFSIGNALED(end.status));
    EXPECT(WTERMSIG(end.status) == SIGSEGV || WTERMSIG(end.status) == SIGBUS);
    EXPECT(strstr(end.words, "stack overflow in glutton") != NULL);
    const char *size = strstr(end.words, "its stack of ");
    EXPECT(size && is_class((size_t)atol(size + strlen("its stack of ")), 128 * KIB));
    const char *inner = strstr(end.words, "  overflowing (");
    const char *outer = strstr(end.words, "  awaiting_overflow (");
    EXPECT(inner && outer && inner < outer);
    EXPECT(strstr(end.words, "test_stack.c:") != NULL);

    run_child(overflow_unnamed, &end);
    EXPECT(WIFSIGNALED(end.status));
    EXPECT(strstr(end.words, "stack overflow in Task-") != NULL);
#endif
}

/* The overflow comes first: the library puts its handler up once per process, in the first run, and the
 * next test begins without it. */
TESTS_MAIN(RUN(overflow_names_task_coroutines_and_size_and_dies),
           RUN(stack_has_the_size_that_was_asked_for_rounded_up), RUN(default_size_can_be_changed))
