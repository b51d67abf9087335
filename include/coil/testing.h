/* For tests of programs that use Coil: virtual time, failing allocations.
 *
 *     coil_loop *loop = coil_new_event_loop();
 *     coil_testing_use_virtual_clock(loop);
 *     coil_run_until_complete(loop, sleeps_for_an_hour(), NULL);     takes no time
 *
 * or, with coil_run_with, coil_testing_virtual_loop as the loop factory. */
#ifndef COIL_TESTING_H
#define COIL_TESTING_H

#include <coil/base.h>

COIL_BEGIN_DECLS

/**
 * Gives a loop a clock that stands still at 0 until everything is idle, and then jumps to the next
 * timer. Descriptors that are ready go first, without moving the clock. When nothing can ever happen
 * the run ends with COIL_ESTALLED instead of hanging.
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

COIL_END_DECLS

#endif
