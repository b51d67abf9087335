/* Metrics: reading the counters, and writing them for Prometheus. */
#include <coil/metrics.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "base/error.h"
#include "loop/loop.h"

#define READ(counter)    atomic_load_explicit(&(counter), memory_order_relaxed)
#define SECONDS(counter) ((double)READ(counter) / 1e9)

int coil_loop_metrics(const coil_loop *loop, coil_metrics *metrics_out)
{
    loop = loop ? loop : coil__loop_running_here();
    if (!loop) {
        coil__loop_missing();
        return COIL_ENOLOOP;
    }
    if (metrics_out->size < sizeof metrics_out->size)
        return coil__fail(COIL_EINVAL, "the size of the metrics is not set");
    const struct coil__counters *counters = &loop->counters;
    uint64_t done = atomic_load_explicit(&counters->tasks_done, memory_order_acquire);
    coil_metrics metrics = {
        .size = metrics_out->size,
        .polls = READ(counters->polls),
        .turns = READ(counters->turns),
        .tasks_done = done,
        .tasks_created = READ(counters->tasks_created),
        .timers = READ(counters->timers),
        .buffered_bytes = READ(counters->buffered),
        .busy_seconds = SECONDS(counters->busy_ns),
        .waited_seconds = SECONDS(counters->waited_ns),
        .longest_seconds = SECONDS(counters->longest_ns),
        .late_seconds = SECONDS(counters->late_ns),
        .latest_seconds = SECONDS(counters->latest_ns),
    };
    size_t known = metrics.size < sizeof metrics ? metrics.size : sizeof metrics;
    memcpy(metrics_out, &metrics, known);
    return 0;
}

/* ---- Prometheus --------------------------------------------------------------------------------- */

static const struct sample {
    const char *name, *type, *help;
    size_t offset;
    enum {
        COUNT,
        SIZE,
        TIME
    } kind;
} samples[] = {
#define SAMPLE(name, type, kind, field, help)                                                      \
    {                                                                                              \
        name, type, help, offsetof(coil_metrics, field), kind                                      \
    }
    SAMPLE("coil_polls_total", "counter", COUNT, polls, "Looks at the kernel."),
    SAMPLE("coil_turns_total", "counter", COUNT, turns, "Batches of ready work."),
    SAMPLE("coil_tasks_created_total", "counter", COUNT, tasks_created, "Tasks created."),
    SAMPLE("coil_tasks_done_total", "counter", COUNT, tasks_done, "Tasks that have ended."),
    SAMPLE("coil_timers", "gauge", SIZE, timers, "Timers that are set."),
    SAMPLE("coil_buffered_bytes", "gauge", SIZE, buffered_bytes,
           "Bytes in the buffers of connections."),
    SAMPLE("coil_busy_seconds_total", "counter", TIME, busy_seconds, "Time spent working."),
    SAMPLE("coil_waited_seconds_total", "counter", TIME, waited_seconds,
           "Time spent waiting for work."),
    SAMPLE("coil_longest_seconds", "gauge", TIME, longest_seconds,
           "Longest time between two looks at the kernel."),
    SAMPLE("coil_timer_late_seconds", "gauge", TIME, late_seconds,
           "How late the last timer fired."),
    SAMPLE("coil_timer_latest_seconds", "gauge", TIME, latest_seconds,
           "How late a timer fired at most."),
#undef SAMPLE
};

static void write_value(FILE *file, const struct sample *sample, const coil_metrics *metrics)
{
    const char *field = (const char *)metrics + sample->offset;
    uint64_t count;
    size_t size;
    double seconds;
    switch (sample->kind) {
    case COUNT:
        memcpy(&count, field, sizeof count);
        fprintf(file, "%" PRIu64 "\n", count);
        break;
    case SIZE:
        memcpy(&size, field, sizeof size);
        fprintf(file, "%zu\n", size);
        break;
    case TIME:
        memcpy(&seconds, field, sizeof seconds);
        fprintf(file, "%.9f\n", seconds);
        break;
    }
}

int coil_metrics_write_prometheus(FILE *file, const coil_metrics *metrics, size_t count)
{
    errno = 0;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", samples[i].name, samples[i].help,
                samples[i].name, samples[i].type);
        for (size_t nth = 0; nth < count; nth++) {
            fprintf(file, "%s{loop=\"%zu\"} ", samples[i].name, nth);
            write_value(file, &samples[i], &metrics[nth]);
        }
    }
    if (fflush(file) == 0 && !ferror(file))
        return 0;
    return coil__fail(errno > 0 ? -errno : -EIO, "writing metrics");
}
