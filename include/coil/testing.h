/* For tests of programs that use Coil: virtual time, failing allocations, a cancellation at each point
 * where a program waits, schedules picked by a seed.
 *
 *     coil_loop *loop = coil_new_event_loop();
 *     coil_testing_use_virtual_clock(loop);
 *     coil_run_until_complete(loop, sleeps_for_an_hour(), NULL);     takes no time
 *
 * or, with coil_run_with, coil_testing_virtual_loop as the loop factory. And what happens to a transfer
 * that is cancelled in the middle, wherever that is:
 *
 *     static coil_coro *program(void *bank) { return transfer(bank, 100); }
 *     static coil_coro *check(void *bank) { return sums_are_right_and_no_lock_is_held(bank); }
 *
 *     coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
 *     options.check = check;
 *     assert(coil_testing_explore(program, &bank, &options) == 0); */
#ifndef COIL_TESTING_H
#define COIL_TESTING_H

#include <stdio.h>
#include <coil/base.h>
#include <coil/transport.h>

COIL_BEGIN_DECLS

/**
 * Gives a loop a clock that stands still at 0 until everything is idle, and then jumps to the next
 * timer. Descriptors that are ready go first, without moving the clock. When nothing can ever happen
 * the run ends with COIL_ESTALLED instead of hanging. coil_loop_step moves it no further than it may wait.
 *
 * @param loop  has not run yet and has no timers
 *
 * Returns   0, or
 *           COIL_ERUNTIME  it has run or has timers
 * Suspends  never
 * Thread    the loop's
 * Python    none (Trio: MockClock)
 * Since     0.1
 */
COIL_API int coil_testing_use_virtual_clock(coil_loop *loop);

/**
 * A new loop with a virtual clock: a loop_factory.
 *
 * @param arg  ignored
 *
 * Returns   one reference; NULL as coil_new_event_loop
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_OWNED coil_loop *coil_testing_virtual_loop(void *arg);

/**
 * Moves the virtual clock on: stands for code that keeps the processor busy.
 *
 * @param loop     NULL: the running one
 * @param seconds  not negative
 *
 * Returns   0, or COIL_EINVAL, COIL_ENOLOOP, COIL_ERUNTIME (the clock is not virtual)
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_testing_advance(COIL_NULLABLE coil_loop *loop, double seconds);

/**
 * Tells a loop with a virtual clock that work is going on outside (another thread, another process)
 * that will wake it: until the count is back to 0, the clock stands and the loop waits for real.
 *
 * @param change  +1 when such work begins, -1 when it is over
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void coil_testing_outside(COIL_NULLABLE coil_loop *loop, int change);

/**
 * Lets one allocation fail: the nth from now on, in the whole process. For a sweep, count up until
 * coil_testing_alloc_failed says that no allocation was left to fail.
 *
 * @param nth  1 is the next one; 0 switches it off
 *
 * Suspends  never
 * Thread    one at a time
 * Python    _testcapi.set_nomemory
 * Since     0.1
 */
COIL_API void coil_testing_fail_alloc(long nth);

/**
 * Whether the failure that was ordered last has happened.
 *
 * Returns   the answer
 * Suspends  never
 * Thread    one at a time
 * Python    none
 * Since     0.1
 */
COIL_API bool coil_testing_alloc_failed(void);

/**
 * The blocks of memory that Coil holds now: the same before and after means that nothing leaked.
 * Memory that a loop keeps for reuse counts until the loop is closed.
 *
 * Returns   the number of blocks
 * Suspends  never
 * Thread    any
 * Python    sys.getallocatedblocks
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD size_t coil_testing_alloc_count(void);

/* ---- a network in memory ------------------------------------------------------------------------
 *
 *     coil_testing_link link = COIL_TESTING_LINK_INIT;
 *     link.seed = 7;
 *     link.delay_max = 0.2;
 *     link.piece_max = 3;
 *     coil_transport *ends[2];
 *     COIL_TRY(coil_testing_connect(&link, &client_protocol, client, &server_protocol, server, ends));
 *
 * Two transports, and between them a line that is slow, delivers in small portions, loses its peer or resets the
 * connection, as its settings and a seed say: on a virtual clock every run is the same one. */

/* The line. Each direction is treated alike, and by itself. */
typedef struct coil_testing_link {
    size_t size;                 /* sizeof(coil_testing_link) */
    uint64_t seed;               /* of delays and portions */
    double delay_min, delay_max; /* seconds that each portion is under way; their order is kept */
    size_t piece_max;   /* bytes that one read gives at most, from 1 on; 0: all that is there */
    size_t room;        /* bytes that the line holds before a writer has to keep them; 0: 64 KiB */
    size_t cut_after;   /* bytes after which nothing arrives any more; 0: never */
    size_t reset_after; /* bytes after which both ends fail with -ECONNRESET; 0: never */
} coil_testing_link;
#define COIL_TESTING_LINK_INIT                                                                     \
    {                                                                                              \
        sizeof(coil_testing_link), 0, 0, 0, 0, 0, 0, 0                                             \
    }

/**
 * Connects two protocols by a line in memory.
 *
 * @param link      copied; NULL: a line without delay and faults
 * @param protocol_a, protocol_b  borrowed as long as the connection stands
 * @param arg_a, arg_b            as for coil_create_connection_sock
 * @param ends_out  receives one reference to each end
 *
 * Returns   0, or COIL_EINVAL (delay_max is less than delay_min, or one is negative), COIL_ENOTASK,
 *           COIL_ECANCELED, COIL_ENOMEM, what a protocol's create returned
 * Suspends  until connection_made of both was called
 * Cancel    both ends are aborted
 * Thread    the loop's, in a task
 * Python    none
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_testing_connect(COIL_NULLABLE const coil_testing_link *link, const coil_protocol *protocol_a,
                     void *arg_a, const coil_protocol *protocol_b, void *arg_b,
                     coil_transport *ends_out[2]);

/**
 * Cuts the line of an end made by coil_testing_connect: what is sent from now on, by either side, never arrives,
 * and nobody is told. Or resets it: both ends fail with -ECONNRESET, after the line's delay.
 *
 * @param end  of another kind, or lost: nothing happens
 *
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API void coil_testing_cut(coil_transport *end);
COIL_API void coil_testing_reset(coil_transport *end);

/* ---- every point, once ------------------------------------------------------------------------- */

/* What happens at the point. */
enum {
    COIL_EXPLORE_CANCEL =
        1, /* the task is cancelled as it begins to wait, or before its first step */
    COIL_EXPLORE_WOKEN =
        2, /* it is cancelled as it is woken: it has got what it waited for, and has
                               * not run yet */
    COIL_EXPLORE_TIMEOUT = 4, /* a timeout around the program expires as the task begins to wait */
    COIL_EXPLORE_ALLOC = 8,   /* an allocation of the library's fails; each one is a point */
    COIL_EXPLORE_CLOSE = 16,  /* the loop is stopped, and closed, as the task begins to wait */
    COIL_EXPLORE_ALL = 31,
};

typedef struct coil_explore_options {
    size_t size;                    /* sizeof(coil_explore_options) */
    unsigned modes;                 /* COIL_EXPLORE_... */
    COIL_NULLABLE const char *name; /* in what is printed; NULL: that of the program's coroutine */
    COIL_NULLABLE const char
        *task; /* whose points: a task's name; "*": every task's; NULL: the main
                                      * one's, which runs the program */
    /* Makes a coroutine that is run after the program, each time: it fails if something that should work
     * then does not. */
    COIL_NULLABLE coil_coro *(*check)(void *arg);
    COIL_NULLABLE FILE *output; /* NULL: stderr */
    bool
        as_run; /* ends each run as coil_run does: tasks that are left are cancelled and waited for,
                  * before it is looked what is left */
} coil_explore_options;
#define COIL_EXPLORE_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(coil_explore_options), COIL_EXPLORE_ALL, NULL, NULL, NULL, NULL, false              \
    }

/**
 * Runs a program again and again, each time on a new loop with a virtual clock, and lets something happen
 * at another point each time: it is cancelled there, a timeout expires there, an allocation fails there.
 * The points are those that the program comes to, so it must do the same each time.
 *
 * After each run it looks for what is left: tasks that still wait, timers, operations and watchers of
 * descriptors; open descriptors; the library's memory; a program that waits for ever; coroutines that
 * were never awaited, groups left without exit, locks and queues destroyed in use. Then it runs the check.
 * What the program returns is up to the program.
 *
 * What was found is printed: the point, what the task waited for, its coroutines with file and line; and
 * a setting of the environment that lets the next call of this name try that point alone:
 * COIL_EXPLORE=name/cancel:7, or cancel:7 for a call of any name.
 *
 * @param program  makes the coroutine, in a task; may return NULL for want of memory. Whatever the
 *                 program works on, it sets up itself, since it begins anew each time
 * @param arg      for program and check
 * @param options  borrowed for the call; NULL: none
 *
 * Returns   at how many points something was wrong: 0 is what one hopes for. If it was wrong without any
 *           disturbance, 1: nothing else was tried then. Or
 *           COIL_EINVAL   COIL_EXPLORE has no such form
 *           COIL_ENESTED  a loop runs in this thread
 *           COIL_ENOMEM, or -errno, if no loop could be made
 * Suspends  never
 * Thread    any that runs no loop; in the whole process, one at a time
 * Python    none
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_testing_explore(coil_coro *(*program)(void *arg), void *arg,
                                                COIL_NULLABLE const coil_explore_options *options);

/* ---- other schedules --------------------------------------------------------------------------- */

/**
 * Lets tasks that are ready in the same turn run in another order, picked by a seed: what a program may
 * not rely on, it can be tried without. The same seed is the same run, if nothing else is left to chance.
 * Callbacks, and the library's own work, stay where they are, each with the task just before it; the
 * other tasks change places between them.
 *
 * @param loop  NULL: the running one
 * @param seed  0: as before, first in, first out
 *
 * Returns   0, or COIL_ENOMEM, COIL_ENOLOOP, COIL_ECLOSED, COIL_EWRONGTHREAD
 * Suspends  never
 * Thread    the loop's
 * Python    none
 * Since     0.1
 */
COIL_API int coil_testing_shuffle(COIL_NULLABLE coil_loop *loop, uint64_t seed);

COIL_END_DECLS

#endif
