/* libev, for comparison: timers, and a wake-up from another thread. It has callbacks and no tasks; its
 * yield is a turn of the loop with an idle watcher. */
#define PEER "libev"

#include <ev.h>

#include "measure.h"

/* ev_init() assigns the callback in a way that -Wstrict-aliasing warns about. */
#pragma GCC diagnostic ignored "-Wstrict-aliasing"

static long calls, calls_wanted;

static void on_idle(struct ev_loop *loop, ev_idle *watcher, UNUSED int events)
{
    if (++calls == calls_wanted)
        ev_idle_stop(loop, watcher);
}

static int idle_turns(long count)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_idle idle;

    calls_wanted = count;
    ev_idle_init(&idle, on_idle);
    ev_idle_start(loop, &idle);
    uint64_t begin_ns = wall_ns();
    ev_run(loop, 0);
    result_ns("yield", "idle_loop_turn", begin_ns, (double)count);
    return 0;
}

static void on_timer(UNUSED struct ev_loop *loop, UNUSED ev_timer *watcher, UNUSED int events)
{
    calls++;
}

static ev_timer *make_timers(long count)
{
    ev_timer *timers = calloc((size_t)count, sizeof *timers);

    if (!timers)
        abort();
    return timers;
}

static int add_cancel(long count)
{
    enum {
        PENDING = 10000
    };
    struct ev_loop *loop = ev_default_loop(0);
    ev_timer *timers = make_timers(PENDING + 1), *last = &timers[PENDING];

    for (int i = 0; i < PENDING; i++) {
        ev_timer_init(&timers[i], on_timer, random_far_delay(), 0.);
        ev_timer_start(loop, &timers[i]);
    }
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        ev_timer_init(last, on_timer, random_far_delay(), 0.);
        ev_timer_start(loop, last);
        ev_timer_stop(loop, last);
    }
    result_ns("timer_add_cancel", "ns", begin_ns, (double)count);
    return 0;
}

static int sleepers(long count)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_timer *timers = make_timers(count);
    const char *name = counted_name("sleepers", count);
    uint64_t begin_ns = wall_ns(), cpu_begin_ns = cpu_ns();

    for (long i = 0; i < count; i++) {
        ev_timer_init(&timers[i], on_timer, random_second(), 0.);
        ev_timer_start(loop, &timers[i]);
    }
    ev_run(loop, 0);
    if (calls != count)
        return 1;
    result(name, "cpu", (double)(cpu_ns() - cpu_begin_ns) / 1e6, "ms");
    result(name, "wall", (double)(wall_ns() - begin_ns) / 1e6, "ms");
    return 0;
}

/* libev merges signals that come before the loop has seen the first, and hands nothing over with them. */
static struct {
    struct ev_loop *here, *there;
    ev_async wake_here, wake_there;
    long signals;
    long pings;
} cross;

static void on_ping_there(struct ev_loop *loop, ev_async *watcher, UNUSED int events)
{
    if (++cross.signals == calls_wanted)
        ev_async_stop(loop, watcher);
    ev_async_send(cross.here, &cross.wake_here);
}

static void on_ping_here(struct ev_loop *loop, ev_async *watcher, UNUSED int events)
{
    if (++cross.pings == calls_wanted)
        ev_async_stop(loop, watcher);
    else
        ev_async_send(cross.there, &cross.wake_there);
}

static void *run_loop_there(void *arg)
{
    pin_to_cpu(1);
    ev_run(cross.there, 0);
    return arg;
}

static int roundtrip(long count)
{
    pthread_t thread;

    pin_to_cpu(0);
    calls_wanted = count;
    cross.here = ev_default_loop(0);
    cross.there = ev_loop_new(0);
    ev_async_init(&cross.wake_here, on_ping_here);
    ev_async_start(cross.here, &cross.wake_here);
    ev_async_init(&cross.wake_there, on_ping_there);
    ev_async_start(cross.there, &cross.wake_there);
    pthread_create(&thread, NULL, run_loop_there, NULL);
    uint64_t begin_ns = wall_ns();
    ev_async_send(cross.there, &cross.wake_there);
    ev_run(cross.here, 0);
    result_ns("xthread", "roundtrip", begin_ns, (double)count);
    pthread_join(thread, NULL);
    return 0;
}

static void on_signal(struct ev_loop *loop, ev_async *watcher, UNUSED int events)
{
    if (__atomic_load_n(&cross.signals, __ATOMIC_ACQUIRE) == calls_wanted)
        ev_async_stop(loop, watcher);
}

static void *flood(void *arg)
{
    pin_to_cpu(1);
    for (long i = 0; i < calls_wanted; i++) {
        __atomic_add_fetch(&cross.signals, 1, __ATOMIC_RELEASE);
        ev_async_send(cross.here, &cross.wake_here);
    }
    return arg;
}

static int post_throughput(long count)
{
    pthread_t thread;

    pin_to_cpu(0);
    calls_wanted = count;
    cross.here = ev_default_loop(0);
    ev_async_init(&cross.wake_here, on_signal);
    ev_async_start(cross.here, &cross.wake_here);
    pthread_create(&thread, NULL, flood, NULL);
    uint64_t begin_ns = wall_ns();
    ev_run(cross.here, 0);
    result_ns("xthread", "post_throughput", begin_ns, (double)count);
    pthread_join(thread, NULL);
    return 0;
}

static const struct workload workloads[] = {
    { "idle_turns", "yield", 2000000, idle_turns },  { "add_cancel", "timer", 5000000, add_cancel },
    { "million", "sleepers", 1000000, sleepers },    { "roundtrip", "xthread", 100000, roundtrip },
    { "post", "xthread", 2000000, post_throughput },
};

int main(int argc, char **argv)
{
    return run_workloads(argc, argv, workloads, sizeof workloads / sizeof workloads[0]);
}
