/* Out of memory: every program once for each of its allocations, with that one failing. Whatever it is,
 * the program ends with an error code or manages without, the loop goes on working, and nothing is
 * lost. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <coil/testing.h>
#include "lib/held.h"
#include "lib/programs.h"
#include "test.h"

enum {
    SECONDS_MAX = 120,     /* for a program with all its failures: else it hangs */
    ALLOCATIONS_MAX = 5000 /* no program has so many */
};

/* One run with the nth allocation failing. False if there was none left to fail. */
static bool run_once(const struct program *program, long nth)
{
    char what[80];
    snprintf(what, sizeof what, "%s, allocation %ld", program->name, nth);
    struct held before = held_now();
    coil_loop *loop = program_loop(program);
    if (!EXPECT(loop != NULL))
        return false;

    coil_testing_fail_alloc(nth);
    int rc = program->run(loop);
    bool failed = coil_testing_alloc_failed();
    coil_testing_fail_alloc(0);
    bool dropped = rc == -ECONNRESET && program->traits & PROGRAM_CONNECTIONS;
    if (rc != 0 && !(failed && (rc == COIL_ENOMEM || dropped)))
        test_report_(__FILE__, __LINE__, "%s: %s", what, coil_error_name(rc));

    if (program_follow_up(loop) != 0)
        test_report_(__FILE__, __LINE__, "%s: nothing works afterwards", what);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    held_expect(before, what);
    return failed;
}

/* What is made once and kept, is made. */
static void warm_up(const struct program *program)
{
    coil_loop *loop = program_loop(program);
    if (!EXPECT(loop != NULL))
        return;
    EXPECT_INT(program->run(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

TEST(programs_survive_every_failed_allocation)
{
    for (size_t i = 0; i < program_count; i++) {
        const struct program *program = &programs[i];
        if (program->traits & PROGRAM_THREADS)
            continue; /* which allocation is the nth, is luck */
        alarm(SECONDS_MAX);
        long nth = 1;
        warm_up(program);
        (void)run_once(program, 0);
        while (run_once(program, nth) && nth < ALLOCATIONS_MAX)
            nth++;
        alarm(0);
        EXPECT(nth < ALLOCATIONS_MAX);
        EXPECT(nth > 1); /* it has allocations */
        print_message("%s: %ld allocations\n", program->name, nth - 1);
    }
}

/* A loop that could not be made leaves nothing behind, and the next one can. */
TEST(loop_survives_every_failed_allocation)
{
    struct held before = held_now();
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        coil_testing_fail_alloc(nth);
        coil_loop *loop = coil_new_event_loop();
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(loop == NULL, failed);
        if (!loop)
            EXPECT_INT(coil_error_last(), COIL_ENOMEM);
        else
            coil_loop_close(loop);
        coil_unref(loop);
        held_expect(before, "making a loop");
    }
}

TESTS_MAIN(RUN(programs_survive_every_failed_allocation),
           RUN(loop_survives_every_failed_allocation))
