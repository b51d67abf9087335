/* What the files of programs share: coroutines to run, and what they come to. */
#ifndef COIL_TESTS_LIB_PROGRAM_PIECES_H
#define COIL_TESTS_LIB_PROGRAM_PIECES_H

#include <coil/coil.h>
#include "lib/held.h"

/* In programs_structure.c. */
int run_limits(coil_loop *loop);
int run_groups(coil_loop *loop);
int run_locks(coil_loop *loop);
int run_queues(coil_loop *loop);
int run_generators(coil_loop *loop);

/* In programs_io.c. */
int run_streams(coil_loop *loop);

COIL_ASYNC(answer, (double, delay), (int, number))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(token_value(number));
}

COIL_ASYNC(failing, (double, delay), (int, code))
{
    COIL_TRY(coil_sleep(delay));
    return coil_raise(code, "after %g seconds", delay);
}

/* Cleans up when it is stopped, and waits while it does. */
COIL_ASYNC(cleaning, (double, delay))
{
    int rc = coil_sleep(delay);
    int cleanup = coil_sleep(0.01);
    return rc < 0 ? rc : cleanup;
}

/* An error that was meant to come is none; any other, and none at all, is. */
static inline int expect_code(int rc, int expected)
{
    if (rc == expected)
        return 0;
    return rc < 0 ? rc : coil_raise(COIL_EAPP, "no error where there should be one");
}

#endif
