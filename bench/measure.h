/* What the benchmark programs share: clocks, resident memory, and one line of output per number:
 *
 *     workload TAB peer TAB metric TAB value TAB unit
 *
 * A program defines PEER, its name in the second column, before it includes this. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Keeps a function out of line although the compiler sees it. */
#define NOINLINE __attribute__((noinline))
#define UNUSED   __attribute__((unused))

static inline uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Processor time of the whole process, all threads. */
static inline uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Resident pages and page tables, in bytes: with a million stacks the tables count, too. */
static inline double resident_bytes(void)
{
    char line[128];
    double kib, sum = 0;
    FILE *status = fopen("/proc/self/status", "r");

    if (!status)
        return 0;
    while (fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmRSS: %lf", &kib) == 1 || sscanf(line, "VmPTE: %lf", &kib) == 1)
            sum += kib;
    }
    fclose(status);
    return sum * 1024;
}

/* Marsaglia's 32-bit xorshift with his seed: every program draws the same deadlines. */
static inline uint32_t random32(void)
{
    static uint32_t state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* A delay of 0 to 1 s. */
static inline double random_second(void)
{
    return random32() % 1000000000u / 1e9;
}

/* A delay of 100 to 1100 s: never due while we measure. */
static inline double random_far_delay(void)
{
    return 100 + random32() % 1000000000u / 1e6;
}

static inline void result(const char *workload, const char *metric, double value, const char *unit)
{
    printf("%s\t%s\t%s\t%.6g\t%s\n", workload, PEER, metric, value, unit);
    fflush(stdout);
}

/* The usual number: nanoseconds since begin_ns, shared among so many operations. */
static inline void result_ns(const char *workload, const char *metric, uint64_t begin_ns,
                             double operations)
{
    result(workload, metric, (double)(wall_ns() - begin_ns) / operations, "ns");
}

/* How workloads with a number of tasks are called: mem_100k and mem_1000k, but sleepers_1m. */
static inline const char *counted_name(const char *name, long count)
{
    static char text[64];

    if (count == 1000000 && strcmp(name, "sleepers") == 0)
        snprintf(text, sizeof text, "%s_1m", name);
    else
        snprintf(text, sizeof text, "%s_%ldk", name, count / 1000);
    return text;
}

/* Where a machine has one CPU only, both threads stay on it. */
static inline void pin_to_cpu(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set,
                            &set); /* a number from an unpinned thread is still one */
}

/* ---- workloads ---------------------------------------------------------------------------------- */

/* A row of a program's table. Called by its own name, or with all others of its group; each of a group
 * runs in a process of its own, so that none finds memory that another has warmed or torn up. */
struct workload {
    const char *name;
    const char *group;
    long count;             /* how often, or how many, if the command line doesn't say */
    int (*run)(long count); /* the exit status: 0 if all went well */
};

/* Nanoseconds that the main thread stood in line for a CPU that somebody else used. */
static inline double waited_ns(void)
{
    double on_cpu = 0, waited = 0;
    FILE *schedstat = fopen("/proc/self/schedstat", "r");

    if (!schedstat)
        return 0;
    if (fscanf(schedstat, "%lf %lf", &on_cpu, &waited) != 2)
        waited = 0;
    fclose(schedstat);
    return waited;
}

/* Runs one workload, and says on standard error if the machine was too busy for its numbers to count:
 * bench/run repeats it then. */
static inline int run_workload(const struct workload *workload, long count)
{
    uint64_t begin_ns = wall_ns();
    double waited_before = waited_ns();
    int status = workload->run(count > 0 ? count : workload->count);
    double waited = (waited_ns() - waited_before) / (double)(wall_ns() - begin_ns);

    if (waited > 0.04)
        fprintf(stderr, "disturbed: %s waited %.0f %% of its time for a CPU\n", workload->name,
                waited * 100);
    return status;
}

static inline int run_workload_apart(const struct workload *workload, long count)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run_workload(workload, count));
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("fork");
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The body of main(): PROGRAM WORKLOAD [COUNT]. Returns the exit status; 2 for an unknown workload. */
static inline int run_workloads(int argc, char **argv, const struct workload *table, size_t rows)
{
    long count = argc > 2 ? atol(argv[2]) : 0;
    bool known = false;

    for (size_t i = 0; argc > 1 && i < rows; i++) {
        if (strcmp(argv[1], table[i].name) == 0)
            return run_workload(&table[i], count);
    }
    for (size_t i = 0; argc > 1 && i < rows; i++) {
        if (strcmp(argv[1], table[i].group) == 0) {
            int status = run_workload_apart(&table[i], count);
            if (status != 0)
                return status;
            known = true;
        }
    }
    if (known)
        return 0;

    fprintf(stderr, "usage: %s WORKLOAD [COUNT]\n", argv[0]);
    for (size_t i = 0; i < rows; i++)
        fprintf(stderr, "  %-12s %s\n", table[i].group, table[i].name);
    return 2;
}

#endif
