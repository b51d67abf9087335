/* State Threads, for comparison: like Coil's its tasks have stacks and are switched by hand. */
#define PEER "st"

#include <st.h>

#include "measure.h"

enum {
    STACK_BYTES = 16 * 1024,
    JOINABLE = 1,
    DETACHED = 0
};

static st_thread_t start(void *(*function)(void *arg), void *arg, int joinable)
{
    st_thread_t thread = st_thread_create(function, arg, joinable, STACK_BYTES);

    if (!thread) {
        perror("st_thread_create");
        exit(1);
    }
    return thread;
}

static void join(st_thread_t thread)
{
    st_thread_join(thread, NULL);
}

/* The release that Debian has no yield: its way to give way is a sleep of no time. */
static void give_way(void)
{
    st_usleep(0);
}

static long yields_each;

static void *yielder(void *arg)
{
    for (long i = 0; i < yields_each; i++)
        give_way();
    return arg;
}

static int yield(long count)
{
    yields_each = count;
    uint64_t begin_ns = wall_ns();
    st_thread_t one = start(yielder, NULL, JOINABLE);
    st_thread_t other = start(yielder, NULL, JOINABLE);
    join(one);
    join(other);
    result_ns("yield", "ns", begin_ns, 2.0 * (double)count);
    return 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static int spawn_join_seq(long count)
{
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++)
        join(start(nothing, NULL, JOINABLE));
    result_ns("spawn_join_seq", "ns", begin_ns, (double)count);
    return 0;
}

static int spawn_join_batch(long count)
{
    enum {
        BATCH = 1000
    };
    st_thread_t threads[BATCH];
    long batches = count / BATCH;
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < batches; i++) {
        for (int k = 0; k < BATCH; k++)
            threads[k] = start(nothing, NULL, JOINABLE);
        for (int k = 0; k < BATCH; k++)
            join(threads[k]);
    }
    result_ns("spawn_join_batch1000", "ns", begin_ns, (double)batches * BATCH);
    return 0;
}

static void *child(void *arg)
{
    give_way();
    return arg;
}

static int gather(long rounds)
{
    enum {
        CHILDREN = 10000
    };
    static st_thread_t children[CHILDREN];
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < rounds; i++) {
        for (int k = 0; k < CHILDREN; k++)
            children[k] = start(child, NULL, JOINABLE);
        for (int k = 0; k < CHILDREN; k++)
            join(children[k]);
    }
    result_ns("gather_10k", "ns_per_child", begin_ns, (double)rounds * CHILDREN);
    return 0;
}

static st_cond_t gate;
static long parked;

static void *park(void *arg)
{
    parked++;
    st_cond_wait(gate);
    return arg;
}

static int mem(long count)
{
    const char *name = counted_name("mem", count);

    gate = st_cond_new();
    double bytes_before = resident_bytes();
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++)
        start(park, NULL, DETACHED);
    while (parked < count)
        give_way();
    uint64_t end_ns = wall_ns();
    result(name, "rss_per_task", (resident_bytes() - bytes_before) / (double)count, "B");
    result(name, "start_per_task", (double)(end_ns - begin_ns) / (double)count, "ns");
    _exit(0);
}

static long asleep;

static void *sleep_a_while(UNUSED void *arg)
{
    st_usleep(random32() % 1000000);
    asleep--;
    return NULL;
}

static int sleepers(long count)
{
    const char *name = counted_name("sleepers", count);
    uint64_t begin_ns = wall_ns(), cpu_begin_ns = cpu_ns();

    asleep = count;
    for (long i = 0; i < count; i++)
        start(sleep_a_while, NULL, DETACHED);
    while (asleep > 0)
        st_usleep(1000);
    result(name, "cpu", (double)(cpu_ns() - cpu_begin_ns) / 1e6, "ms");
    result(name, "wall", (double)(wall_ns() - begin_ns) / 1e6, "ms");
    return 0;
}

/* A queue as its users write one: a ring, and two conditions. */
static struct {
    long *items;
    int room, head, count;
    st_cond_t not_full, not_empty;
} queue;

static void put(long item)
{
    while (queue.count == queue.room)
        st_cond_wait(queue.not_full);
    queue.items[(queue.head + queue.count++) % queue.room] = item;
    st_cond_signal(queue.not_empty);
}

static long take(void)
{
    while (queue.count == 0)
        st_cond_wait(queue.not_empty);
    long item = queue.items[queue.head];
    queue.head = (queue.head + 1) % queue.room;
    queue.count--;
    st_cond_signal(queue.not_full);
    return item;
}

static long messages;

static void *producer(void *arg)
{
    for (long i = 0; i < messages; i++)
        put(i);
    return arg;
}

static void *consumer(void *arg)
{
    long sum = 0;

    for (long i = 0; i < messages; i++)
        sum += take();
    if (sum != messages * (messages - 1) / 2)
        abort();
    return arg;
}

static int pass_messages(const char *name, int room, long count)
{
    queue.items = calloc((size_t)room, sizeof *queue.items);
    queue.room = room;
    queue.not_full = st_cond_new();
    queue.not_empty = st_cond_new();
    messages = count;
    uint64_t begin_ns = wall_ns();
    st_thread_t one = start(producer, NULL, JOINABLE);
    st_thread_t other = start(consumer, NULL, JOINABLE);
    join(one);
    join(other);
    result_ns(name, "ns_per_msg", begin_ns, (double)count);
    return 0;
}

static int queue_1(long count)
{
    return pass_messages("queue_1", 1, count);
}

static int queue_100(long count)
{
    return pass_messages("queue_100", 100, count);
}

enum {
    LOCKERS = 100
};

static st_mutex_t lock;
static long locks_each;

static void *locker(void *arg)
{
    for (long i = 0; i < locks_each; i++) {
        st_mutex_lock(lock);
        give_way();
        st_mutex_unlock(lock);
    }
    return arg;
}

static int lock_100(long count)
{
    st_thread_t lockers[LOCKERS];

    lock = st_mutex_new();
    locks_each = count / LOCKERS;
    uint64_t begin_ns = wall_ns();
    for (int i = 0; i < LOCKERS; i++)
        lockers[i] = start(locker, NULL, JOINABLE);
    for (int i = 0; i < LOCKERS; i++)
        join(lockers[i]);
    result_ns("lock_100", "ns_per_acquire", begin_ns, (double)locks_each * LOCKERS);
    return 0;
}

static const struct workload workloads[] = {
    { "yield_same", "yield", 2000000, yield },
    { "spawn_join_seq", "spawn_join", 1000000, spawn_join_seq },
    { "spawn_join_batch", "spawn_join", 1000000, spawn_join_batch },
    { "gather_10k", "gather", 20, gather },
    { "mem_gate", "mem", 100000, mem },
    { "sleepers_tasks", "sleepers", 1000000, sleepers },
    { "queue_1", "queue", 1000000, queue_1 },
    { "queue_100", "queue", 1000000, queue_100 },
    { "lock_100", "lock", 1000000, lock_100 },
};

int main(int argc, char **argv)
{
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0) {
        perror("st_init");
        return 1;
    }
    return run_workloads(argc, argv, workloads, sizeof workloads / sizeof workloads[0]);
}
