/* Small programs that between them use everything the library has, for tests that let something go wrong
 * in their midst. They check their results, clean up, and have EXPECT report what is not right. */
#ifndef COIL_TESTS_LIB_PROGRAMS_H
#define COIL_TESTS_LIB_PROGRAMS_H

#include <coil/coil.h>

enum program_trait {
    PROGRAM_REAL_CLOCK = 1, /* waits for the system, so the clock must not jump */
    PROGRAM_THREADS = 2,    /* two threads at a time use the library */
    /* Has connections whose other side, in the same program, may be the one that fails: this one sees
     * -ECONNRESET then. And it relies on a kernel that tells of an edge once: see test_call_sweep.c. */
    PROGRAM_CONNECTIONS = 4,
};

struct program {
    const char *name;
    /* Returns 0, or the code of what went wrong in it. Tasks may be left behind. */
    int (*run)(coil_loop *loop);
    unsigned traits; /* enum program_trait */
};

extern const struct program programs[];
extern const size_t program_count;

/* A loop for a program; its reports are swallowed, but for coroutines that were never awaited: nobody
 * forgets one, whatever goes wrong. NULL as coil_new_event_loop. */
coil_loop *program_loop(const struct program *program);

/* Runs something of everything on a loop on which something else went wrong: 0. */
int program_follow_up(coil_loop *loop);

#endif
