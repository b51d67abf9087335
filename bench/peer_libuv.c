/* libuv, for comparison: timers, and a wake-up from another thread. Like libev it has callbacks only. */
#define PEER "libuv"

#include <uv.h>

#include "measure.h"

static long calls, calls_wanted;

static void on_idle(uv_idle_t *handle)
{
    if (++calls == calls_wanted)
        uv_idle_stop(handle);
}

static int idle_turns(long count)
{
    uv_loop_t *loop = uv_default_loop();
    uv_idle_t idle;

    calls_wanted = count;
    uv_idle_init(loop, &idle);
    uv_idle_start(&idle, on_idle);
    uint64_t begin_ns = wall_ns();
    uv_run(loop, UV_RUN_DEFAULT);
    result_ns("yield", "idle_loop_turn", begin_ns, (double)count);
    return 0;
}

static void on_timer(UNUSED uv_timer_t *timer)
{
    calls++;
}

static uv_timer_t *make_timers(long count)
{
    uv_timer_t *timers = calloc((size_t)count, sizeof *timers);

    if (!timers)
        abort();
    return timers;
}

/* libuv counts in milliseconds. */
static uint64_t milliseconds(double seconds)
{
    return (uint64_t)(seconds * 1000);
}

static int add_cancel(long count)
{
    enum {
        PENDING = 10000
    };
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t *timers = make_timers(PENDING + 1), *last = &timers[PENDING];

    for (int i = 0; i < PENDING; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], on_timer, milliseconds(random_far_delay()), 0);
    }
    uv_timer_init(loop, last);
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        uv_timer_start(last, on_timer, milliseconds(random_far_delay()), 0);
        uv_timer_stop(last);
    }
    result_ns("timer_add_cancel", "ns", begin_ns, (double)count);
    return 0;
}

static int sleepers(long count)
{
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t *timers = make_timers(count);
    const char *name = counted_name("sleepers", count);
    uint64_t begin_ns = wall_ns(), cpu_begin_ns = cpu_ns();

    for (long i = 0; i < count; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], on_timer, milliseconds(random_second()), 0);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    if (calls != count)
        return 1;
    result(name, "cpu", (double)(cpu_ns() - cpu_begin_ns) / 1e6, "ms");
    result(name, "wall", (double)(wall_ns() - begin_ns) / 1e6, "ms");
    return 0;
}

/* As with libev, signals are merged and carry nothing. */
static struct {
    uv_loop_t there;
    uv_async_t wake_here, wake_there;
    long signals;
    long pings;
} cross;

static void close_async(uv_async_t *async)
{
    uv_close((uv_handle_t *)async, NULL);
}

static void on_ping_there(uv_async_t *async)
{
    if (++cross.signals == calls_wanted)
        close_async(async);
    uv_async_send(&cross.wake_here);
}

static void on_ping_here(uv_async_t *async)
{
    if (++cross.pings == calls_wanted)
        close_async(async);
    else
        uv_async_send(&cross.wake_there);
}

static void *run_loop_there(void *arg)
{
    pin_to_cpu(1);
    uv_run(&cross.there, UV_RUN_DEFAULT);
    return arg;
}

static int roundtrip(long count)
{
    pthread_t thread;
    uv_loop_t *loop = uv_default_loop();

    pin_to_cpu(0);
    calls_wanted = count;
    uv_loop_init(&cross.there);
    uv_async_init(loop, &cross.wake_here, on_ping_here);
    uv_async_init(&cross.there, &cross.wake_there, on_ping_there);
    pthread_create(&thread, NULL, run_loop_there, NULL);
    uint64_t begin_ns = wall_ns();
    uv_async_send(&cross.wake_there);
    uv_run(loop, UV_RUN_DEFAULT);
    result_ns("xthread", "roundtrip", begin_ns, (double)count);
    pthread_join(thread, NULL);
    return 0;
}

/* The flood's thread may still be inside its last send: no closing, only no more keeping alive. */
static void on_signal(uv_async_t *async)
{
    if (__atomic_load_n(&cross.signals, __ATOMIC_ACQUIRE) == calls_wanted)
        uv_unref((uv_handle_t *)async);
}

static void *flood(void *arg)
{
    pin_to_cpu(1);
    for (long i = 0; i < calls_wanted; i++) {
        __atomic_add_fetch(&cross.signals, 1, __ATOMIC_RELEASE);
        uv_async_send(&cross.wake_here);
    }
    return arg;
}

static int post_throughput(long count)
{
    pthread_t thread;
    uv_loop_t *loop = uv_default_loop();

    pin_to_cpu(0);
    calls_wanted = count;
    uv_async_init(loop, &cross.wake_here, on_signal);
    pthread_create(&thread, NULL, flood, NULL);
    uint64_t begin_ns = wall_ns();
    uv_run(loop, UV_RUN_DEFAULT);
    result_ns("xthread", "post_throughput", begin_ns, (double)count);
    pthread_join(thread, NULL);
    return 0;
}

/* ---- executor ------------------------------------------------------------------------------------- */

static void do_nothing(UNUSED uv_work_t *work)
{
}

static void work_done(uv_work_t *work, UNUSED int status)
{
    if (++calls < calls_wanted)
        uv_queue_work(uv_default_loop(), work, do_nothing, work_done);
}

static int executor_roundtrip(long count)
{
    uv_work_t work;
    uv_loop_t *loop = uv_default_loop();

    calls_wanted = 1;
    uv_queue_work(loop, &work, do_nothing, work_done); /* starts the threads */
    uv_run(loop, UV_RUN_DEFAULT);
    calls = 0;
    calls_wanted = count;
    uint64_t begin_ns = wall_ns();
    uv_queue_work(loop, &work, do_nothing, work_done);
    uv_run(loop, UV_RUN_DEFAULT);
    result_ns("executor", "roundtrip", begin_ns, (double)count);
    return 0;
}

static void count_work(UNUSED uv_work_t *work, UNUSED int status)
{
    calls++;
}

static int executor_batch(long count)
{
    enum {
        BATCH = 1000
    };
    static uv_work_t work[BATCH];
    uv_loop_t *loop = uv_default_loop();
    uint64_t begin_ns = wall_ns();

    for (long done = 0; done < count; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            uv_queue_work(loop, &work[i], do_nothing, count_work);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    result_ns("executor", "batch1000", begin_ns, (double)count);
    return calls != count;
}

static const struct workload workloads[] = {
    { "idle_turns", "yield", 2000000, idle_turns },
    { "add_cancel", "timer", 5000000, add_cancel },
    { "million", "sleepers", 1000000, sleepers },
    { "roundtrip", "xthread", 100000, roundtrip },
    { "post", "xthread", 2000000, post_throughput },
    { "executor_roundtrip", "executor", 100000, executor_roundtrip },
    { "executor_batch", "executor", 500000, executor_batch },
};

int main(int argc, char **argv)
{
    return run_workloads(argc, argv, workloads, sizeof workloads / sizeof workloads[0]);
}
