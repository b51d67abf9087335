/* Time: the virtual clock of testing.h, and the real one. */
#include "test.h"

#include <math.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static double times[64];
static int time_count;

static int note_time(void *arg)
{
    (void)arg;
    if (time_count < 64)
        times[time_count++] = coil_loop_time(NULL);
    return 0;
}

static int stop(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

static coil_loop *begin(void)
{
    coil__errors_forget_thread();
    time_count = 0;
    return coil_testing_virtual_loop(NULL);
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil__errors_forget_thread();
}

static void run_dry(coil_loop *loop)
{
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
}

/* ---- virtual --------------------------------------------------------------------------------- */

TEST(virtual_clock_stands_at_zero_and_jumps_to_the_next_timer)
{
    coil_loop *loop = begin();
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    EXPECT_INT(coil_call_later(loop, 3600, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 0.5, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note_time, NULL, NULL), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    run_dry(loop);
    EXPECT_INT(time_count, 3);
    EXPECT_DOUBLE(times[0], 0);
    EXPECT_DOUBLE(times[1], 0.5);
    EXPECT_DOUBLE(times[2], 3600);
    EXPECT_DOUBLE(coil_loop_time(loop), 3600);
    end(loop);
}

static int again_in_a_tenth(void *arg)
{
    int *left = arg;
    return --*left > 0 ? coil_call_later(NULL, 0.1, again_in_a_tenth, left, NULL) : 0;
}

TEST(virtual_time_adds_up_exactly)
{
    /* Ten thousand tenths in doubles miss the thousand by 1.6e-10. */
    coil_loop *loop = begin();
    int left = 10001;
    EXPECT_INT(coil_call_soon(loop, again_in_a_tenth, &left, NULL), 0);
    run_dry(loop);
    EXPECT_DOUBLE(coil_loop_time(loop), 1000);
    end(loop);
}

TEST(virtual_loop_with_nothing_to_do_says_so_instead_of_hanging)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT(coil_error_current(COIL_ESTALLED) != NULL);
    coil_future *never = coil_create_future(loop);
    EXPECT_INT(coil_run_until_complete(loop, never, NULL), COIL_ESTALLED);
    EXPECT_INT(coil_call_later(loop, INFINITY, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT_INT(coil_loop_step(loop, -1), COIL_ESTALLED);
    EXPECT_INT(time_count, 0);
    coil_unref(never);
    end(loop);
}

TEST(virtual_loop_goes_on_after_it_stalled)
{
    coil_loop *loop = begin();
    run_dry(loop);
    EXPECT_INT(coil_call_later(loop, 1, note_time, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(time_count, 1);
    EXPECT_DOUBLE(times[0], 1);
    end(loop);
}

TEST(virtual_clock_is_for_new_loops)
{
    coil_loop *loop = coil_new_event_loop();
    EXPECT_INT(coil_call_later(loop, 1, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_testing_use_virtual_clock(loop), COIL_ERUNTIME);
    end(loop);
    loop = coil_new_event_loop();
    EXPECT_INT(coil_call_soon(loop, stop, NULL, NULL), 0);
    EXPECT_INT(coil_testing_use_virtual_clock(loop), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_testing_use_virtual_clock(loop), COIL_ERUNTIME);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    end(loop);
}

static int work_for_two_seconds(void *arg)
{
    EXPECT_INT(coil_testing_advance(NULL, 2), 0);
    return note_time(arg);
}

TEST(advance_stands_for_work)
{
    /* Timers that came due meanwhile fire late, in order, behind what is ready. */
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_soon(loop, work_for_two_seconds, NULL, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 1, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 3, note_time, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(time_count, 3);
    EXPECT_DOUBLE(times[0], 2);
    EXPECT_DOUBLE(times[1], 2);
    EXPECT_DOUBLE(times[2], 3);
    EXPECT_INT(coil_testing_advance(loop, 0), 0);
    EXPECT_INT(coil_testing_advance(loop, 0.25), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 3.25);
    end(loop);
}

TEST(advance_refuses_what_makes_no_sense)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_testing_advance(loop, -1), COIL_EINVAL);
    EXPECT_INT(coil_testing_advance(loop, NAN), COIL_EINVAL);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    EXPECT_INT(coil_testing_advance(NULL, 1), COIL_ENOLOOP);
    end(loop);
    loop = coil_new_event_loop();
    EXPECT_INT(coil_testing_advance(loop, 1), COIL_ERUNTIME);
    end(loop);
}

/* ---- work outside ---------------------------------------------------------------------------- */

static int outside_is_over(void *arg)
{
    coil_testing_outside(NULL, -1);
    return note_time(arg);
}

static void *work_outside(void *arg)
{
    EXPECT_INT(coil_call_soon_threadsafe(arg, outside_is_over, NULL), 0);
    return NULL;
}

TEST(clock_stands_while_work_goes_on_outside)
{
    coil_loop *loop = begin();
    pthread_t thread;
    EXPECT_INT(coil_call_later(loop, 1, note_time, NULL, NULL), 0);
    coil_testing_outside(loop, +1);
    REQUIRE(pthread_create(&thread, NULL, work_outside, loop) == 0);
    run_dry(loop);
    pthread_join(thread, NULL);
    EXPECT_INT(time_count, 2);
    EXPECT_DOUBLE(times[0], 0);
    EXPECT_DOUBLE(times[1], 1);
    end(loop);
}

static int read_and_note(void *arg)
{
    int *fd = arg;
    EXPECT_INT(coil_remove_reader(NULL, *fd), 1);
    return outside_is_over(NULL);
}

static void *write_outside(void *arg)
{
    EXPECT_INT(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

TEST(descriptor_wakes_a_loop_that_waits_for_work_outside)
{
    coil_loop *loop = begin();
    int sockets[2];
    pthread_t thread;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
    EXPECT_INT(coil_add_reader(loop, sockets[0], read_and_note, &sockets[0]), 0);
    EXPECT_INT(coil_call_later(loop, 1, note_time, NULL, NULL), 0);
    coil_testing_outside(loop, +1);
    REQUIRE(pthread_create(&thread, NULL, write_outside, &sockets[1]) == 0);
    run_dry(loop);
    pthread_join(thread, NULL);
    EXPECT_INT(time_count, 2);
    EXPECT_DOUBLE(times[0], 0);
    EXPECT_DOUBLE(times[1], 1);
    close(sockets[0]);
    close(sockets[1]);
    end(loop);
}

TEST(due_timers_fire_while_work_goes_on_outside)
{
    /* The clock stands; what is due by it is due. */
    coil_loop *loop = begin();
    coil_testing_outside(loop, +1);
    EXPECT_INT(coil_call_later(loop, 0, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_call_later(loop, -1, outside_is_over, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(time_count, 2);
    EXPECT_DOUBLE(times[1], 0);
    end(loop);
}

/* ---- real ------------------------------------------------------------------------------------ */

TEST(real_clock_goes_forward)
{
    coil_loop *loop = coil_new_event_loop();
    double before = coil_loop_time(loop);
    for (int i = 0; i < 1000; i++) {
        double now = coil_loop_time(loop);
        EXPECT(now >= before);
        before = now;
    }
    EXPECT(before > 0);
    end(loop);
}

TEST(real_timer_never_fires_early)
{
    coil_loop *loop = coil_new_event_loop();
    static const double delays[] = { 0.0001, 0.001, 0.0015, 0.003 };
    for (int i = 0; i < 4; i++) {
        time_count = 0;
        coil_handle *handle;
        EXPECT_INT(coil_call_later(loop, delays[i], note_time, NULL, &handle), 0);
        EXPECT_INT(coil_call_later(loop, delays[i], stop, NULL, NULL), 0);
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(time_count, 1);
        EXPECT(times[0] >= coil_handle_when(handle));
        coil_unref(handle);
    }
    end(loop);
}

TEST(step_moves_a_virtual_clock_no_further_than_it_may_wait)
{
    /* As a real one: a host that only looks must not find an hour gone. */
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_later(loop, 2, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    EXPECT_INT(coil_loop_step(loop, 0.5), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 0.5);
    EXPECT_INT(coil_loop_step(loop, 10), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 2);
    EXPECT_INT(time_count, 1);
    EXPECT_INT(coil_loop_step(loop, 3), 0); /* nothing is there to wait for */
    EXPECT_DOUBLE(coil_loop_time(loop), 5);
    EXPECT_INT(coil_loop_step(loop, 0), 0);
    EXPECT_INT(coil_loop_step(loop, -1), COIL_ESTALLED);
    EXPECT_INT(coil_call_later(loop, 2, note_time, NULL, NULL), 0);
    EXPECT_INT(coil_loop_step(loop, -1), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 7);
    end(loop);
}

TESTS_MAIN(RUN(step_moves_a_virtual_clock_no_further_than_it_may_wait),
           RUN(virtual_clock_stands_at_zero_and_jumps_to_the_next_timer),
           RUN(virtual_time_adds_up_exactly),
           RUN(virtual_loop_with_nothing_to_do_says_so_instead_of_hanging),
           RUN(virtual_loop_goes_on_after_it_stalled), RUN(virtual_clock_is_for_new_loops),
           RUN(advance_stands_for_work), RUN(advance_refuses_what_makes_no_sense),
           RUN(clock_stands_while_work_goes_on_outside),
           RUN(descriptor_wakes_a_loop_that_waits_for_work_outside),
           RUN(due_timers_fire_while_work_goes_on_outside), RUN(real_clock_goes_forward),
           RUN(real_timer_never_fires_early))
