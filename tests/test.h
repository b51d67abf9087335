/* What a test file is written with, over cmocka.
 *
 *     TEST(queue_gives_items_in_order)
 *     {
 *         // why it matters
 *         EXPECT_INT(first(), 1);
 *         EXPECT_STR(name(), "queue");
 *     }
 *
 *     TESTS_MAIN(RUN(queue_gives_items_in_order))
 *
 * EXPECT and its relatives report and go on; the test fails when its body ends. They must, for they also
 * stand in coroutines and threads, and cmocka's own assertions leave by longjmp, which from another stack
 * would take the loop's state with it. In the body itself REQUIRE leaves the test at once.
 *
 * A program takes the name of a test, or a pattern with *, as its argument and runs only those. */
#ifndef COIL_TESTS_TEST_H
#define COIL_TESTS_TEST_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "platform/sanitizer.h"

#define TEST(name)                                                                                 \
    static void test_body_##name(void);                                                            \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        test_begin_();                                                                             \
        test_body_##name();                                                                        \
        test_end_();                                                                               \
    }                                                                                              \
    static void test_body_##name(void)

/* clang-format off */
#define RUN(name) { #name, test_##name, NULL, NULL, NULL }
/* clang-format on */
#define TESTS_MAIN(...)                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        const struct CMUnitTest tests[] = { __VA_ARGS__ };                                         \
        return test_main_(__FILE__, tests, sizeof tests / sizeof tests[0], argc, argv);            \
    }

/* Leaves the test, which then counts as skipped. In the body of a test only. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        print_message("skipped: %s\n", why);                                                       \
        skip();                                                                                    \
    } while (0)

/* Leaves the test if it does not hold. In the body of a test only. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            test_report_(__FILE__, __LINE__, "%s", "REQUIRE(" #condition ") does not hold");       \
            test_end_();                                                                           \
        }                                                                                          \
    } while (0)

/* Each of these is also an expression: true if it held. */
#define EXPECT(condition)                                                                          \
    test_check_(__FILE__, __LINE__, condition, "EXPECT(" #condition ") does not hold")
#define EXPECT_INT(value, expected)                                                                \
    test_int_(__FILE__, __LINE__, #value, (intmax_t)(value), (intmax_t)(expected))
#define EXPECT_STR(value, expected) test_str_(__FILE__, __LINE__, #value, value, expected)
#define EXPECT_PTR(value, expected) test_ptr_(__FILE__, __LINE__, #value, value, expected)
/* Exactly equal, for times on the virtual clock. */
#define EXPECT_DOUBLE(value, expected) test_double_(__FILE__, __LINE__, #value, value, expected)

/* ---- Behind the macros ------------------------------------------------------------------------ */

/* Weak, so that all sources of a program share the one counter. */
__attribute__((weak)) atomic_int test_failures_;

__attribute__((format(printf, 3, 4))) static inline bool test_report_(const char *file, int line,
                                                                      const char *format, ...)
{
    va_list args;
    char text[1024];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    atomic_fetch_add(&test_failures_, 1);
    return false;
}

static inline bool test_check_(const char *file, int line, bool holds, const char *message)
{
    return holds || test_report_(file, line, "%s", message);
}

static inline bool test_int_(const char *file, int line, const char *what, intmax_t value,
                             intmax_t expected)
{
    return value == expected ||
           test_report_(file, line, "%s is %jd, expected %jd", what, value, expected);
}

static inline bool test_double_(const char *file, int line, const char *what, double value,
                                double expected)
{
    return value == expected ||
           test_report_(file, line, "%s is %.17g, expected %.17g", what, value, expected);
}

static inline bool test_ptr_(const char *file, int line, const char *what, const void *value,
                             const void *expected)
{
    return value == expected ||
           test_report_(file, line, "%s is %p, expected %p", what, value, expected);
}

static inline bool test_str_(const char *file, int line, const char *what, const char *value,
                             const char *expected)
{
    if (value && expected ? strcmp(value, expected) == 0 : value == expected)
        return true;
    const char *quote = value ? "\"" : "", *expected_quote = expected ? "\"" : "";
    return test_report_(file, line, "%s is %s%s%s, expected %s%s%s", what, quote,
                        value ? value : "NULL", quote, expected_quote, expected ? expected : "NULL",
                        expected_quote);
}

/* More tasks than anybody has at a time by accident. The ThreadSanitizer of gcc 12 gives up on a process
 * with more than 8128 fibers. */
enum {
#ifdef COIL__TSAN
    TEST_MANY_TASKS = 5000
#else
    TEST_MANY_TASKS = 10000
#endif
};

/* cmocka catches these around each test, to turn a crash into one failed test by longjmp. We want the
 * crash: a core, the sanitizer's or valgrind's report, and the library's own overflow handler, which
 * leaves signals alone that somebody else handles. So each test begins with what was there before. */
enum {
    TEST_CRASH_SIGNALS = 5
};
static const int test_crash_signals_[TEST_CRASH_SIGNALS] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                                             SIGSYS };
static struct sigaction test_crash_actions_[TEST_CRASH_SIGNALS];

static inline void test_begin_(void)
{
    for (int i = 0; i < TEST_CRASH_SIGNALS; i++)
        sigaction(test_crash_signals_[i], &test_crash_actions_[i], NULL);
    atomic_store(&test_failures_, 0);
}

static inline void test_end_(void)
{
    int failures = atomic_exchange(&test_failures_, 0);
    if (failures > 0)
        fail_msg("%d expectation%s not met", failures, failures == 1 ? "" : "s");
}

static inline int test_main_(const char *file, const struct CMUnitTest *tests, size_t count,
                             int argc, char **argv)
{
    /* What a crashing test printed must not be lost in a buffer. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < TEST_CRASH_SIGNALS; i++)
        sigaction(test_crash_signals_[i], NULL, &test_crash_actions_[i]);
    const char *slash = strrchr(file, '/');
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(slash ? slash + 1 : file, tests, count, NULL, NULL) != 0;
}

#endif
