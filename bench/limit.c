/* Physical limits: what the machine and the kernel charge before any library adds its own. A benchmark's
 * number means something next to the limit of the same run.
 *
 *     limit yield        the bare switch under a run queue
 *     limit warm 5       touches 5 GiB first: see there */
#define PEER "limit"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "platform/switch.h"

#include "measure.h"

/* ---- call and switch -------------------------------------------------------------------------------- */

static NOINLINE void callee(void)
{
    __asm__ volatile("" ::: "memory");
}

static int call(long count)
{
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++)
        callee();
    result_ns("call", "function_call", begin_ns, (double)count);
    return 0;
}

/* Two tasks and a run queue: the least that giving way can cost. */
struct task {
    struct task *next;
    void *sp;
};

static struct task *queue_head, **queue_tail = &queue_head, *current;
static void *main_sp;
static long yields_each, tasks_left;

static inline void queue_push(struct task *task)
{
    task->next = NULL;
    *queue_tail = task;
    queue_tail = &task->next;
}

static inline struct task *queue_pop(void)
{
    struct task *task = queue_head;

    queue_head = task->next;
    if (!queue_head)
        queue_tail = &queue_head;
    return task;
}

/* As a library's would be: out of line, and ending in a jump to the switch. */
static NOINLINE intptr_t give_way(void)
{
    struct task *self = current;

    queue_push(self);
    current = queue_pop();
    return coil__switch(&self->sp, current->sp, 0);
}

static NOINLINE void give_way_here(void)
{
    give_way();
    __asm__ volatile("");
}

static NOINLINE void give_way_there(void)
{
    give_way();
    __asm__ volatile("nop");
}

/* The first to end leaves the other alone in the queue; the last goes back to main. */
static void end_task(void)
{
    struct task *self = current;
    void *to = main_sp;

    if (--tasks_left > 0) {
        current = queue_pop();
        to = current->sp;
    }
    coil__switch(&self->sp, to, 0);
}

static void run_here(void *arg, intptr_t value)
{
    (void)arg;
    (void)value;
    for (long i = 0; i < yields_each; i++)
        give_way_here();
    end_task();
}

static void run_there(void *arg, intptr_t value)
{
    (void)arg;
    (void)value;
    for (long i = 0; i < yields_each; i++)
        give_way_there();
    end_task();
}

enum {
    STACK_BYTES = 64 * 1024
};
static char stacks[2][STACK_BYTES] __attribute__((aligned(64)));

static void run_two(void (*one)(void *, intptr_t), void (*other)(void *, intptr_t),
                    const char *metric)
{
    struct task tasks[2];

    tasks[0].sp = coil__switch_prepare(stacks[0], STACK_BYTES, one, NULL);
    tasks[1].sp = coil__switch_prepare(stacks[1], STACK_BYTES, other, NULL);
    tasks_left = 2;
    queue_push(&tasks[1]);
    current = &tasks[0];
    uint64_t begin_ns = wall_ns();
    coil__switch(&main_sp, tasks[0].sp, 0);
    result_ns("yield", metric, begin_ns, 2.0 * (double)yields_each);
}

static int yield(long count)
{
    yields_each = count;
    run_two(run_here, run_here, "out_of_line_auto_same_code");
    run_two(run_here, run_there, "out_of_line_auto_mixed_code");
    return 0;
}

static void run_nothing(void *arg, intptr_t value)
{
    (void)arg;
    (void)value;
    coil__switch(&current->sp, main_sp, 0);
}

/* Prepare a stack that lies ready, go there, come back. */
static int spawn_join(long count)
{
    struct task task;
    uint64_t begin_ns = wall_ns();

    current = &task;
    for (long i = 0; i < count; i++) {
        task.sp = coil__switch_prepare(stacks[0], STACK_BYTES, run_nothing, NULL);
        coil__switch(&main_sp, task.sp, 0);
    }
    result_ns("spawn_join_seq", "pooled_stack", begin_ns, (double)count);
    return 0;
}

/* ---- timers: a bare heap of four children a node ------------------------------------------------------ */

struct timer {
    uint64_t due;
    size_t index;
};

static struct {
    struct {
        uint64_t due;
        struct timer *timer;
    } * entries;
    size_t count;
} heap;

static inline void heap_put(size_t index, uint64_t due, struct timer *timer)
{
    heap.entries[index].due = due;
    heap.entries[index].timer = timer;
    timer->index = index;
}

static void heap_rise(size_t index, uint64_t due, struct timer *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / 4;
        if (heap.entries[parent].due <= due)
            break;
        heap_put(index, heap.entries[parent].due, heap.entries[parent].timer);
        index = parent;
    }
    heap_put(index, due, timer);
}

static void heap_sink(size_t index, uint64_t due, struct timer *timer)
{
    for (;;) {
        size_t first = 4 * index + 1, end = first + 4 < heap.count ? first + 4 : heap.count;
        size_t least = first;

        for (size_t child = first + 1; child < end; child++) {
            if (heap.entries[child].due < heap.entries[least].due)
                least = child;
        }
        if (first >= heap.count || heap.entries[least].due >= due)
            break;
        heap_put(index, heap.entries[least].due, heap.entries[least].timer);
        index = least;
    }
    heap_put(index, due, timer);
}

static NOINLINE void heap_add(struct timer *timer)
{
    heap_rise(heap.count++, timer->due, timer);
}

static NOINLINE void heap_remove(struct timer *timer)
{
    size_t index = timer->index, last = --heap.count;

    if (index == last)
        return;
    uint64_t due = heap.entries[last].due;
    if (index > 0 && heap.entries[(index - 1) / 4].due > due)
        heap_rise(index, due, heap.entries[last].timer);
    else
        heap_sink(index, due, heap.entries[last].timer);
}

static struct timer *make_timers(size_t count)
{
    struct timer *timers = calloc(count, sizeof *timers);

    heap.entries = calloc(count, sizeof *heap.entries);
    if (!timers || !heap.entries)
        abort();
    for (size_t i = 0; i < count; i++)
        timers[i].due = random32();
    return timers;
}

static int timer_add_cancel(long count)
{
    enum {
        PENDING = 10000
    };
    struct timer *timers = make_timers(PENDING + 1), *last = &timers[PENDING];

    for (int i = 0; i < PENDING; i++)
        heap_add(&timers[i]);
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        last->due = random32();
        heap_add(last);
        heap_remove(last);
    }
    result_ns("timer_add_cancel", "heap4", begin_ns, (double)count);
    return 0;
}

static int sleepers(long count)
{
    struct timer *timers = make_timers((size_t)count);
    uint64_t begin_ns = cpu_ns();

    for (long i = 0; i < count; i++)
        heap_add(&timers[i]);
    while (heap.count > 0)
        heap_remove(heap.entries[0].timer);
    result(counted_name("sleepers", count), "cpu", (double)(cpu_ns() - begin_ns) / 1e6, "ms");
    return 0;
}

/* ---- memory and kernel -------------------------------------------------------------------------------- */

static char *map_pages(size_t bytes, int advice)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    (void)madvise(memory, bytes, advice); /* a kernel without huge pages needs no advice on them */
    return memory;
}

/* One page per parked task is the floor for stacks, and touching it the floor for starting one. */
static int mem(long count)
{
    double bytes_before = resident_bytes();
    char *memory = map_pages((size_t)count * 4096, MADV_NOHUGEPAGE);
    uint64_t begin_ns = wall_ns();

    for (long i = 0; i < count; i++)
        memory[i * 4096] = 1;
    uint64_t end_ns = wall_ns();
    const char *name = counted_name("mem", count);
    result(name, "one_page_per_task", (resident_bytes() - bytes_before) / (double)count, "B");
    result(name, "first_touch", (double)(end_ns - begin_ns) / (double)count, "ns");
    return 0;
}

/* On a virtual machine the first touch of a page that the host has not given yet costs ten times as much.
 * Touched once, a page stays given: do this before anything that is about memory. Prints nothing. */
static int warm(long gib)
{
    size_t bytes = (size_t)gib << 30;
    char *memory = map_pages(bytes, MADV_HUGEPAGE);

    for (size_t at = 0; at < bytes; at += 4096)
        memory[at] = 1;
    return 0;
}

static int syscalls(long count)
{
    struct epoll_event event;
    int epoll = epoll_create1(0);

    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++)
        (void)wall_ns();
    result_ns("syscall", "clock_gettime_vdso", begin_ns, (double)count);

    begin_ns = wall_ns();
    for (long i = 0; i < count; i++)
        (void)epoll_wait(epoll, &event, 1, 0);
    result_ns("syscall", "epoll_wait_empty", begin_ns, (double)count);
    close(epoll);
    return 0;
}

/* ---- other threads ------------------------------------------------------------------------------------ */

static struct {
    int there, here; /* eventfds that wake the one and the other */
    long count;
} cross;

static void signal_event(int event)
{
    uint64_t one = 1;

    if (write(event, &one, sizeof one) != sizeof one)
        abort();
}

static void await_event(int epoll, int event)
{
    struct epoll_event ready;
    uint64_t signals;

    while (epoll_wait(epoll, &ready, 1, -1) < 1)
        ;
    if (read(event, &signals, sizeof signals) != sizeof signals)
        abort();
}

static int epoll_for(int event)
{
    struct epoll_event readable = { .events = EPOLLIN };
    int epoll = epoll_create1(0);

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event, &readable) < 0)
        abort();
    return epoll;
}

static void *answer_pings(void *arg)
{
    int epoll = epoll_for(cross.there);

    pin_to_cpu(1);
    for (long i = 0; i < cross.count; i++) {
        await_event(epoll, cross.there);
        signal_event(cross.here);
    }
    close(epoll);
    return arg;
}

static int xthread(long count)
{
    pthread_t thread;

    pin_to_cpu(0);
    cross.there = eventfd(0, 0);
    cross.here = eventfd(0, 0);
    cross.count = count;
    int epoll = epoll_for(cross.here);
    pthread_create(&thread, NULL, answer_pings, NULL);
    uint64_t begin_ns = wall_ns();
    for (long i = 0; i < count; i++) {
        signal_event(cross.there);
        await_event(epoll, cross.here);
    }
    result_ns("xthread", "eventfd_epoll_roundtrip", begin_ns, (double)count);
    pthread_join(thread, NULL);
    close(epoll);
    return 0;
}

/* ---- main --------------------------------------------------------------------------------------------- */

static const struct workload workloads[] = {
    { "function_call", "call", 200000000, call },
    { "switch", "yield", 10000000, yield },
    { "pooled_stack", "spawn_join", 10000000, spawn_join },
    { "heap_add_cancel", "timer", 5000000, timer_add_cancel },
    { "heap_million", "sleepers", 1000000, sleepers },
    { "pages", "mem", 100000, mem },
    { "kernel", "syscall", 2000000, syscalls },
    { "eventfd", "xthread", 100000, xthread },
    { "warm_memory", "warm", 5, warm },
};

int main(int argc, char **argv)
{
    return run_workloads(argc, argv, workloads, sizeof workloads / sizeof workloads[0]);
}
