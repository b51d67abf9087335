/* What has been seen, for people. */
#include "trace/inspect.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include "tasks/task.h"

const char *coil__seen_state_name(const struct coil__seen_task *task)
{
    static const char *const names[] = { "new", "ready", "running", "waiting" };
    return names[task->state];
}

/* ---- what a task waits for ---------------------------------------------------------------------- */

static void print_sleep(FILE *file, double when, int64_t now_ns)
{
    double left = when - (double)now_ns / 1e9;
    if (when >= (double)COIL__FOREVER_NS / 1e9)
        fprintf(file, "sleep without end");
    else if (left > 0)
        fprintf(file, "sleep, %.1f s left", left);
    else
        fprintf(file, "sleep, over since %.1f s", -left);
}

static void print_lock(FILE *file, const struct coil__seen_task *task, const char *whom)
{
    fprintf(file, "lock 0x%" PRIx64, task->thing_at);
    if (whom[0])
        fprintf(file, " held by %s", whom);
    else if (!task->held)
        fprintf(file, ", which is free");
    else if (task->holder)
        fprintf(file, " held by a task that has ended");
    else
        fprintf(file, " held outside any task");
}

static void print_queue(FILE *file, const struct coil__seen_task *task)
{
    bool joins = strcmp(task->operation, "queue_join") == 0;
    fprintf(file, "%s on queue 0x%" PRIx64 ", ", task->operation, task->thing_at);
    if (joins)
        fprintf(file, "%" PRId64 " not done", task->count);
    else if (task->limit > 0)
        fprintf(file, "%" PRId64 " of %" PRId64 " items", task->count, task->limit);
    else
        fprintf(file, "%" PRId64 " items", task->count);
}

static void print_thing(FILE *file, const struct coil__seen_task *task, const char *whom)
{
    static const char *const names[] = { "", "lock", "event", "condition", "semaphore", "barrier" };
    switch (task->thing) {
    case COIL__THING_LOCK:
        print_lock(file, task, whom);
        break;
    case COIL__THING_QUEUE:
        print_queue(file, task);
        break;
    case COIL__THING_SEMAPHORE:
        fprintf(file, "semaphore 0x%" PRIx64 ", %" PRId64 " free", task->thing_at, task->count);
        break;
    case COIL__THING_NONE:
        fprintf(file, "%s%s%s", task->unreadable ? "(cannot be read)" : task->operation,
                whom[0] ? " of " : "", whom);
        break;
    default:
        fprintf(file, "%s 0x%" PRIx64, names[task->thing], task->thing_at);
    }
}

void coil__print_wait(FILE *file, const struct coil__seen_task *task, int64_t now_ns,
                      const char *whom)
{
    switch (task->kind) {
    case COIL_WAIT_SLEEP:
        print_sleep(file, task->when, now_ns);
        break;
    case COIL_WAIT_TASK:
        fprintf(file, "task %s", whom[0] ? whom : "that has ended");
        break;
    case COIL_WAIT_FUTURE:
        if (strcmp(task->operation, "gather") == 0)
            fprintf(file, "gather of %s", whom[0] ? whom : "futures");
        else if (whom[0])
            fprintf(file, "future 0x%" PRIx64 ", for %s", task->future, whom);
        else
            fprintf(file, "future 0x%" PRIx64, task->future);
        break;
    case COIL_WAIT_IO:
        fprintf(file, "%s on ", task->operation);
        if (task->fd >= 0)
            fprintf(file, "descriptor %d", task->fd);
        else
            fprintf(file, "a connection");
        break;
    default:
        print_thing(file, task, whom);
    }
}

/* ---- a view ------------------------------------------------------------------------------------- */

enum {
    NAMES_MAX = 4
};
static_assert(COIL__WHOM_BYTES >= (NAMES_MAX + 1) * (COIL__SEEN_NAME + 5), "room for the names");

static void append(char *text, size_t room, const char *more)
{
    size_t length = strlen(text);
    snprintf(text + length, room - length, "%s", more);
}

void coil__view_whom(const struct coil__view *view, const struct coil__seen_task *task, char *text,
                     size_t room)
{
    if (task->edge_count == 0) {
        text[0] = 0;
        return;
    }
    const struct coil__seen_edge *edges = view->edges + task->first_edge;
    char more[32];
    size_t count = 0, said = 0;
    text[0] = 0;
    for (size_t i = 0; i < task->edge_count; i++)
        count += coil__view_waits_by(view, &edges[i]);
    for (size_t i = 0; i < task->edge_count && said < count; i++) {
        if (!coil__view_waits_by(view, &edges[i]))
            continue;
        if (said > 0)
            append(text, room, said + 1 < count && said < NAMES_MAX ? ", " : " and ");
        if (said == NAMES_MAX && count > NAMES_MAX + 1) {
            snprintf(more, sizeof more, "%zu more", count - said);
            append(text, room, more);
            return;
        }
        append(text, room, view->tasks[edges[i].to].name);
        said++;
    }
}

void coil__print_cycle(FILE *file, const struct coil__view *view, size_t cycle)
{
    size_t first = 0;
    while (view->tasks[first].cycle != cycle)
        first++;
    const struct coil__seen_task *task = &view->tasks[first];
    fprintf(file, "Deadlock: %s", task->name);
    do {
        task = &view->tasks[task->cycle_next];
        fprintf(file, " waits for %s", task->name);
        if (task != &view->tasks[first])
            fprintf(file, ", which");
    } while (task != &view->tasks[first]);
    fprintf(file, "\n");
}

void coil__print_view(FILE *file, const struct coil__view *view, int64_t now_ns)
{
    char whom[COIL__WHOM_BYTES];
    size_t width = strlen("TASK");
    for (size_t i = 0; i < view->task_count; i++)
        if (strlen(view->tasks[i].name) > width)
            width = strlen(view->tasks[i].name);
    if (view->task_count > 0)
        fprintf(file, "%-*s  STATE    WAITS FOR\n", (int)width, "TASK");
    for (size_t i = 0; i < view->task_count; i++) {
        const struct coil__seen_task *task = &view->tasks[i];
        bool waits = task->state == COIL__SEEN_WAITING;
        fprintf(file, waits ? "%-*s  %-7s  " : "%-*s  %s", (int)width, task->name,
                coil__seen_state_name(task));
        if (waits) {
            coil__view_whom(view, task, whom, sizeof whom);
            coil__print_wait(file, task, now_ns, whom);
        }
        fprintf(file, "\n");
    }
    for (size_t cycle = 1; cycle <= view->cycles; cycle++)
        coil__print_cycle(file, view, cycle);
}
