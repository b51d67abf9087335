/* Coil's side of the micro benchmarks. Names, counts and output are those of the peers' programs:
 *
 *     coil_micro yield               both kinds of yield
 *     coil_micro mem 1000000         a million parked tasks
 *     coil_micro spawn_join_seq      one of the two in spawn_join, in this process: for a profiler
 */
#define PEER "coil"

#include <coil/coil.h>

#include "measure.h"

/* Starts a task with the smallest stack. */
static coil_task *start_small(coil_coro *coro)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;

    options.stack_size = 16 * 1024;
    return coil_create_task_with(NULL, coro, &options);
}

static int join(coil_task *task)
{
    int rc = coil_await(task, NULL);

    coil_unref(task);
    return rc;
}

/* ---- yield -------------------------------------------------------------------------------------- */

COIL_ASYNC(yielder, (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

/* Two more that give way in places of their own, one call deeper. The asm keeps the call from becoming
 * a jump; the nop, the compiler from taking both functions for one. */
static NOINLINE int give_way_here(void)
{
    int rc = coil_sleep(0);

    __asm__ volatile("");
    return rc;
}

static NOINLINE int give_way_there(void)
{
    int rc = coil_sleep(0);

    __asm__ volatile("nop");
    return rc;
}

COIL_ASYNC(yielder_here, (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(give_way_here());
    return 0;
}

COIL_ASYNC(yielder_there, (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(give_way_there());
    return 0;
}

static int run_pair(coil_coro *one, coil_coro *other)
{
    coil_task *first = coil_create_task(one);
    coil_task *second = coil_create_task(other);

    COIL_TRY(join(first));
    return join(second);
}

COIL_ASYNC(yield_same, (long, count))
{
    COIL_TRY(run_pair(yielder(10000), yielder(10000)));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(run_pair(yielder(count), yielder(count)));
    result_ns("yield", "ns", begin_ns, 2.0 * count);
    return 0;
}

COIL_ASYNC(yield_mixed, (long, count))
{
    COIL_TRY(run_pair(yielder_here(10000), yielder_there(10000)));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(run_pair(yielder_here(count), yielder_there(count)));
    result_ns("yield", "mixed_code_ns", begin_ns, 2.0 * count);
    return 0;
}

/* The time when the first of many yielders has finished: from then on it is no longer all of them. */
static uint64_t first_done_ns;

COIL_ASYNC(crowd_yielder, (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(coil_sleep(0));
    if (!first_done_ns)
        first_done_ns = wall_ns();
    return 0;
}

/* About as many yields in all as for two tasks. */
static int yield_crowd(const char *name, long tasks, long yields)
{
    coil_task **crowd = calloc((size_t)tasks, sizeof(coil_task *));
    long each = yields / tasks + 2;

    first_done_ns = 0;
    for (long i = 0; i < tasks; i++)
        crowd[i] = coil_create_task(crowd_yielder(each + 1));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0)); /* now each has its stack, and has yielded once */
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < tasks; i++)
        COIL_TRY(join(crowd[i]));
    result(name, "ns", (double)(first_done_ns - begin_ns) / ((double)tasks * each), "ns");
    free(crowd);
    return 0;
}

COIL_ASYNC(yield_1000, (long, count))
{
    return yield_crowd("yield_1000", 1000, count);
}

COIL_ASYNC(yield_10000, (long, count))
{
    return yield_crowd("yield_10000", 10000, count);
}

/* ---- starting and joining ------------------------------------------------------------------------ */

COIL_ASYNC0(nothing)
{
    return 0;
}

static int spawn_one_by_one(long count)
{
    for (long i = 0; i < count; i++)
        COIL_TRY(join(coil_create_task(nothing())));
    return 0;
}

COIL_ASYNC(spawn_join_seq, (long, count))
{
    COIL_TRY(spawn_one_by_one(10000));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(spawn_one_by_one(count));
    result_ns("spawn_join_seq", "ns", begin_ns, count);
    return 0;
}

enum {
    BATCH = 1000
};

static int spawn_batches(long batches)
{
    static coil_task *tasks[BATCH];

    for (long i = 0; i < batches; i++) {
        for (int k = 0; k < BATCH; k++)
            tasks[k] = coil_create_task(nothing());
        for (int k = 0; k < BATCH; k++)
            COIL_TRY(join(tasks[k]));
    }
    return 0;
}

COIL_ASYNC(spawn_join_batch, (long, count))
{
    long batches = count / BATCH;

    COIL_TRY(spawn_batches(10));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(spawn_batches(batches));
    result_ns("spawn_join_batch1000", "ns", begin_ns, (double)batches * BATCH);
    return 0;
}

COIL_ASYNC0(child)
{
    return coil_sleep(0);
}

enum {
    CHILDREN = 10000
};

static int gather_rounds(long rounds)
{
    static void *children[CHILDREN];

    for (long i = 0; i < rounds; i++) {
        for (int k = 0; k < CHILDREN; k++)
            children[k] = child();
        COIL_TRY(coil_gather_array(NULL, children, CHILDREN, 0));
    }
    return 0;
}

COIL_ASYNC(gather_10k, (long, rounds))
{
    COIL_TRY(gather_rounds(1));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(gather_rounds(rounds));
    result_ns("gather_10k", "ns_per_child", begin_ns, (double)rounds * CHILDREN);
    return 0;
}

static int group_of_children(coil_task_group *group)
{
    for (int i = 0; i < CHILDREN; i++)
        COIL_TRY(coil_task_group_spawn(group, child()));
    return 0;
}

static int group_rounds(long rounds)
{
    for (long i = 0; i < rounds; i++) {
        coil_task_group group;
        COIL_TRY(coil_task_group_enter(&group));
        COIL_TRY(coil_task_group_exit(&group, group_of_children(&group)));
    }
    return 0;
}

COIL_ASYNC(group_10k, (long, rounds))
{
    COIL_TRY(group_rounds(1));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(group_rounds(rounds));
    result_ns("group_10k", "ns_per_child", begin_ns, (double)rounds * CHILDREN);
    return 0;
}

/* ---- memory -------------------------------------------------------------------------------------- */

static long parked;

COIL_ASYNC(await_gate, (coil_future *, gate))
{
    parked++;
    return coil_await(gate, NULL);
}

COIL_ASYNC0(sleep_forever)
{
    parked++;
    return coil_sleep(COIL_NO_TIMEOUT);
}

/* Leaves the process at once: to wake a million tasks would take longer than what we measure. */
static int park(long count, coil_future *gate, const char *bytes_metric, const char *start_metric)
{
    const char *name = counted_name("mem", count);
    double bytes_before = resident_bytes();
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++) {
        coil_task *task = start_small(gate ? await_gate(gate) : sleep_forever());
        if (!task)
            return COIL_ENOMEM;
        coil_unref(task);
    }
    while (parked < count)
        COIL_TRY(coil_sleep(0));
    uint64_t end_ns = wall_ns();
    result(name, bytes_metric, (resident_bytes() - bytes_before) / (double)count, "B");
    result(name, start_metric, (double)(end_ns - begin_ns) / (double)count, "ns");
    _exit(0);
}

COIL_ASYNC(mem_gate, (long, count))
{
    return park(count, coil_create_future(NULL), "rss_per_task", "start_per_task");
}

COIL_ASYNC(mem_forever, (long, count))
{
    return park(count, NULL, "forever_rss_per_task", "forever_start_per_task");
}

/* ---- timers -------------------------------------------------------------------------------------- */

static long asleep;
static coil_future *all_awake;

static int one_awake(void)
{
    return --asleep == 0 ? coil_future_set_result(all_awake, coil_nil()) : 0;
}

static int on_timer(void *arg)
{
    (void)arg;
    return one_awake();
}

COIL_ASYNC(sleeper, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return one_awake();
}

COIL_ASYNC(sleepers_tasks, (long, count))
{
    const char *name = counted_name("sleepers", count);
    uint64_t begin_ns = wall_ns(), cpu_begin_ns = cpu_ns();

    asleep = count;
    all_awake = coil_create_future(NULL);
    for (long i = 0; i < count; i++) {
        coil_task *task = start_small(sleeper(random_second()));
        if (!task)
            return COIL_ENOMEM;
        coil_unref(task);
    }
    COIL_TRY(coil_await(all_awake, NULL));
    result(name, "cpu", (double)(cpu_ns() - cpu_begin_ns) / 1e6, "ms");
    result(name, "wall", (double)(wall_ns() - begin_ns) / 1e6, "ms");
    coil_unref(all_awake);
    return 0;
}

COIL_ASYNC(sleepers_call_later, (long, count))
{
    const char *name = counted_name("sleepers", count);
    uint64_t begin_ns = wall_ns(), cpu_begin_ns = cpu_ns();

    asleep = count;
    all_awake = coil_create_future(NULL);
    for (long i = 0; i < count; i++)
        COIL_TRY(coil_call_later(NULL, random_second(), on_timer, NULL, NULL));
    COIL_TRY(coil_await(all_awake, NULL));
    result(name, "call_later_cpu", (double)(cpu_ns() - cpu_begin_ns) / 1e6, "ms");
    result(name, "call_later_wall", (double)(wall_ns() - begin_ns) / 1e6, "ms");
    coil_unref(all_awake);
    return 0;
}

enum {
    PENDING = 10000
};

static int add_pending(coil_handle **handles)
{
    for (int i = 0; i < PENDING; i++)
        COIL_TRY(coil_call_later(NULL, random_far_delay(), on_timer, NULL, &handles[i]));
    return 0;
}

static void cancel_pending(coil_handle **handles)
{
    for (int i = 0; i < PENDING; i++) {
        coil_handle_cancel(handles[i]);
        coil_unref(handles[i]);
    }
}

COIL_ASYNC(timer_call_later, (long, count))
{
    static coil_handle *pending[PENDING];
    coil_handle *handle;

    COIL_TRY(add_pending(pending));
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        COIL_TRY(coil_call_later(NULL, random_far_delay(), on_timer, NULL, &handle));
        coil_handle_cancel(handle);
        coil_unref(handle);
    }
    result_ns("timer_add_cancel", "ns", begin_ns, count);
    cancel_pending(pending);
    return 0;
}

/* Without a look at the clock, which is how libev and the bare heap do it, too. */
COIL_ASYNC(timer_call_at, (long, count))
{
    static coil_handle *pending[PENDING];
    coil_handle *handle;

    COIL_TRY(add_pending(pending));
    double now = coil_loop_time(NULL);
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        COIL_TRY(coil_call_at(NULL, now + random_far_delay(), on_timer, NULL, &handle));
        coil_handle_cancel(handle);
        coil_unref(handle);
    }
    result_ns("timer_add_cancel", "call_at_ns", begin_ns, count);
    cancel_pending(pending);
    return 0;
}

/* A time limit around something that does not wait: one look at the clock, one timer armed and disarmed. */
COIL_ASYNC(timeout_enter_exit, (long, count))
{
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++) {
        coil_timeout limit;
        COIL_TRY(coil_timeout_enter(&limit, 100));
        COIL_TRY(coil_timeout_exit(&limit, 0));
    }
    result_ns("timeout", "ns", begin_ns, count);
    return 0;
}

/* ---- callbacks ----------------------------------------------------------------------------------- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* So many at a time: the turn of the loop that runs them is shared among them. */
COIL_ASYNC(call_soon, (long, count))
{
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count / BATCH; i++) {
        for (int k = 0; k < BATCH; k++)
            COIL_TRY(coil_call_soon(NULL, do_nothing, NULL, NULL));
        COIL_TRY(coil_sleep(0));
    }
    result_ns("call_soon", "ns", begin_ns, count);
    return 0;
}

/* ---- other threads -------------------------------------------------------------------------------- */

static struct {
    coil_loop *here, *there;
    long count;
    long pings;        /* here */
    long posts;        /* here, of the flood */
    coil_future *over; /* here */
    pthread_barrier_t there_runs;
} cross;

static int on_ping_there(void *arg);

static int on_ping_here(void *arg)
{
    (void)arg;
    if (++cross.pings == cross.count)
        return coil_future_set_result(cross.over, coil_nil());
    return coil_call_soon_threadsafe(cross.there, on_ping_there, NULL);
}

static int on_ping_there(void *arg)
{
    (void)arg;
    return coil_call_soon_threadsafe(cross.here, on_ping_here, NULL);
}

static int stop_there(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

static void *run_loop_there(void *arg)
{
    pin_to_cpu(1);
    pthread_barrier_wait(&cross.there_runs);
    int rc = coil_run_forever(cross.there);
    if (rc < 0) {
        fprintf(stderr, "the other loop: %s\n", coil_strerror(rc));
        exit(1);
    }
    return arg;
}

COIL_ASYNC(xthread_roundtrip, (long, count))
{
    pthread_t thread;

    pin_to_cpu(0);
    cross.here = coil_get_running_loop();
    cross.there = coil_new_event_loop();
    cross.over = coil_create_future(NULL);
    cross.count = count;
    cross.pings = 0;
    pthread_barrier_init(&cross.there_runs, NULL, 2);
    pthread_create(&thread, NULL, run_loop_there, NULL);
    pthread_barrier_wait(&cross.there_runs);

    uint64_t begin_ns = wall_ns();
    COIL_TRY(coil_call_soon_threadsafe(cross.there, on_ping_there, NULL));
    COIL_TRY(coil_await(cross.over, NULL));
    result_ns("xthread", "roundtrip", begin_ns, count);

    COIL_TRY(coil_call_soon_threadsafe(cross.there, stop_there, NULL));
    pthread_join(thread, NULL);
    coil_loop_close(cross.there);
    coil_unref(cross.there);
    coil_unref(cross.over);
    return 0;
}

static int on_post(void *arg)
{
    (void)arg;
    return ++cross.posts == cross.count ? coil_future_set_result(cross.over, coil_nil()) : 0;
}

static void *flood(void *arg)
{
    pin_to_cpu(1);
    for (long i = 0; i < cross.count; i++) {
        if (coil_call_soon_threadsafe(cross.here, on_post, NULL) < 0)
            abort();
    }
    return arg;
}

COIL_ASYNC(xthread_flood, (long, count))
{
    pthread_t thread;

    pin_to_cpu(0);
    cross.here = coil_get_running_loop();
    cross.over = coil_create_future(NULL);
    cross.count = count;
    cross.posts = 0;
    pthread_create(&thread, NULL, flood, NULL);
    uint64_t begin_ns = wall_ns();
    COIL_TRY(coil_await(cross.over, NULL));
    result_ns("xthread", "post_throughput", begin_ns, count);
    pthread_join(thread, NULL);
    coil_unref(cross.over);
    return 0;
}

/* What a post costs without another CPU that pulls at the same cache lines: from the loop's own thread,
 * the callback included. */
COIL_ASYNC(xthread_own, (long, count))
{
    uint64_t begin_ns = wall_ns();

    cross.here = coil_get_running_loop();
    for (long i = 0; i < count / BATCH; i++) {
        for (int k = 0; k < BATCH; k++)
            COIL_TRY(coil_call_soon_threadsafe(cross.here, do_nothing, NULL));
        COIL_TRY(coil_sleep(0));
    }
    result_ns("xthread", "post_own_thread", begin_ns, count);
    return 0;
}

/* ---- generators ----------------------------------------------------------------------------------- */

COIL_ASYNC_GEN(numbers, (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(coil_yield(i, NULL));
    return 0;
}

COIL_ASYNC(gen_items, (long, count))
{
    long sum = 0;
    coil_value item;
    coil_gen *gen = numbers(count);
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++) {
        COIL_TRY(coil_gen_next(gen, &item));
        sum += item.integer;
    }
    result_ns("gen", "ns_per_item", begin_ns, count);
    int rc = coil_gen_close(gen);
    coil_unref(gen);
    return rc == 0 && sum != count * (count - 1) / 2 ? COIL_ERUNTIME : rc;
}

/* ---- executor ------------------------------------------------------------------------------------- */

static int idle_job(void *arg, coil_value *result_out)
{
    (void)arg;
    (void)result_out;
    return 0;
}

/* One at a time: there and back, with both sides asleep in between. */
COIL_ASYNC(executor_roundtrip, (long, count))
{
    COIL_TRY(coil_to_thread(coil_job_call(idle_job, NULL, NULL), NULL)); /* starts the thread */
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++)
        COIL_TRY(coil_to_thread(coil_job_call(idle_job, NULL, NULL), NULL));
    result_ns("executor", "roundtrip", begin_ns, (double)count);
    return 0;
}

/* Many at a time, through four threads, as libuv has them. */
COIL_ASYNC(executor_batch, (long, count))
{
    static coil_future *futures[BATCH];
    coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;

    options.max_workers = 4;
    coil_executor *pool = coil_thread_pool_executor_new(&options);
    uint64_t begin_ns = wall_ns();
    for (long done = 0; done < count; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            futures[i] = coil_run_in_executor(NULL, pool, coil_job_call(idle_job, NULL, NULL));
        for (int i = 0; i < BATCH; i++)
            COIL_TRY(join(futures[i]));
    }
    result_ns("executor", "batch1000", begin_ns, (double)count);
    COIL_TRY(coil_executor_shutdown(pool, COIL_NO_TIMEOUT, false));
    coil_unref(pool);
    return 0;
}

/* ---- queues and locks ----------------------------------------------------------------------------- */

COIL_ASYNC(producer, (coil_queue *, queue), (long, count))
{
    for (long i = 0; i < count; i++)
        COIL_TRY(coil_queue_put(queue, coil_int(i)));
    return 0;
}

COIL_ASYNC(consumer, (coil_queue *, queue), (long, count))
{
    long sum = 0;

    for (long i = 0; i < count; i++) {
        coil_value item;
        COIL_TRY(coil_queue_get(queue, &item));
        sum += item.integer;
    }
    return sum == count * (count - 1) / 2 ? 0 : COIL_ERUNTIME;
}

static int pass_messages(coil_queue *queue, const char *name, long count)
{
    COIL_TRY(run_pair(producer(queue, 10000), consumer(queue, 10000)));
    uint64_t begin_ns = wall_ns();
    COIL_TRY(run_pair(producer(queue, count), consumer(queue, count)));
    result_ns(name, "ns_per_msg", begin_ns, count);
    coil_queue_fini(queue);
    return 0;
}

COIL_ASYNC(queue_1, (long, count))
{
    coil_queue queue = COIL_QUEUE_INIT(1);

    return pass_messages(&queue, "queue_1", count);
}

COIL_ASYNC(queue_100, (long, count))
{
    coil_queue queue = COIL_QUEUE_INIT(100);

    return pass_messages(&queue, "queue_100", count);
}

COIL_ASYNC(locker, (coil_lock *, lock), (long, count))
{
    for (long i = 0; i < count; i++) {
        COIL_TRY(coil_lock_acquire(lock));
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_lock_release(lock));
    }
    return 0;
}

enum {
    LOCKERS = 100
};

COIL_ASYNC(lock_100, (long, count))
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *lockers[LOCKERS];

    uint64_t begin_ns = wall_ns();
    for (int i = 0; i < LOCKERS; i++)
        lockers[i] = coil_create_task(locker(&lock, count / LOCKERS));
    for (int i = 0; i < LOCKERS; i++)
        COIL_TRY(join(lockers[i]));
    result_ns("lock_100", "ns_per_acquire", begin_ns, (double)(count / LOCKERS) * LOCKERS);
    coil_lock_fini(&lock);
    return 0;
}

/* ---- main ----------------------------------------------------------------------------------------- */

#define RUNS(name)                                                                                 \
    static int run_##name(long count)                                                              \
    {                                                                                              \
        return coil_main(name(count));                                                             \
    }

RUNS(yield_same)
RUNS(yield_mixed)
RUNS(yield_1000)
RUNS(yield_10000)
RUNS(spawn_join_seq)
RUNS(spawn_join_batch)
RUNS(gather_10k)
RUNS(group_10k)
RUNS(mem_gate)
RUNS(mem_forever)
RUNS(sleepers_tasks)
RUNS(sleepers_call_later)
RUNS(timer_call_later)
RUNS(timer_call_at)
RUNS(timeout_enter_exit)
RUNS(call_soon)
RUNS(gen_items)
RUNS(queue_1)
RUNS(queue_100)
RUNS(lock_100)
RUNS(xthread_roundtrip)
RUNS(xthread_flood)
RUNS(xthread_own)
RUNS(executor_roundtrip)
RUNS(executor_batch)

static const struct workload workloads[] = {
    { "yield_same", "yield", 2000000, run_yield_same },
    { "yield_mixed", "yield", 2000000, run_yield_mixed },
    { "yield_1000", "yield_many", 4000000, run_yield_1000 },
    { "yield_10000", "yield_many", 4000000, run_yield_10000 },
    { "spawn_join_seq", "spawn_join", 1000000, run_spawn_join_seq },
    { "spawn_join_batch", "spawn_join", 1000000, run_spawn_join_batch },
    { "gather_10k", "gather", 20, run_gather_10k },
    { "group_10k", "group", 20, run_group_10k },
    { "mem_gate", "mem", 100000, run_mem_gate },
    { "mem_forever", "mem", 100000, run_mem_forever },
    { "sleepers_tasks", "sleepers", 1000000, run_sleepers_tasks },
    { "sleepers_call_later", "sleepers", 1000000, run_sleepers_call_later },
    { "timer_call_later", "timer", 5000000, run_timer_call_later },
    { "timer_call_at", "timer", 5000000, run_timer_call_at },
    { "timeout", "timeout", 5000000, run_timeout_enter_exit },
    { "gen", "gen", 5000000, run_gen_items },
    { "call_soon", "call_soon_batch", 5000000, run_call_soon },
    { "queue_1", "queue", 1000000, run_queue_1 },
    { "queue_100", "queue", 1000000, run_queue_100 },
    { "lock_100", "lock", 1000000, run_lock_100 },
    { "xthread_roundtrip", "xthread", 100000, run_xthread_roundtrip },
    { "xthread_flood", "xthread", 2000000, run_xthread_flood },
    { "xthread_own", "xthread", 2000000, run_xthread_own },
    { "executor_roundtrip", "executor", 100000, run_executor_roundtrip },
    { "executor_batch", "executor", 500000, run_executor_batch },
};

int main(int argc, char **argv)
{
    return run_workloads(argc, argv, workloads, sizeof workloads / sizeof workloads[0]);
}
