/* One document, in one line. Addresses are texts, since they may be beyond what a number keeps; names are
 * cut where they are no UTF-8. */
#include "show.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trace/utf8.h"

static void put_text(FILE *file, const char *text)
{
    fputc('"', file);
    while (*text) {
        const char *start = text;
        uint32_t c = coil__utf8_next(&text);
        if (c == COIL__UTF8_REPLACEMENT && text == start + 1)
            fputs("\\ufffd", file);
        else if (c == '"' || c == '\\')
            fprintf(file, "\\%c", (char)c);
        else if (c < ' ')
            fprintf(file, "\\u%04x", (unsigned)c);
        else
            fwrite(start, 1, (size_t)(text - start), file);
    }
    fputc('"', file);
}

static void put_address(FILE *file, uint64_t address)
{
    fprintf(file, "\"0x%" PRIx64 "\"", address);
}

static void put_member(FILE *file, const char *name, const char *text)
{
    fprintf(file, ",\"%s\":", name);
    put_text(file, text);
}

/* ---- a task ------------------------------------------------------------------------------------- */

static const char *kind_of(const struct coil__seen_task *task)
{
    static const char *const things[] = { "other",     "lock",    "event", "condition",
                                          "semaphore", "barrier", "queue" };
    switch (task->kind) {
    case COIL_WAIT_SLEEP:
        return "sleep";
    case COIL_WAIT_FUTURE:
        return "future";
    case COIL_WAIT_TASK:
        return "task";
    case COIL_WAIT_IO:
        return "io";
    default:
        return things[task->thing];
    }
}

static void put_wait(FILE *file, const struct look *look, const struct coil__view *view,
                     const struct coil__seen_task *task)
{
    char whom[COIL__WHOM_BYTES], *text = NULL;
    size_t length;
    fprintf(file, ",\"waits\":{\"kind\":\"%s\"", kind_of(task));
    put_member(file, "operation", task->operation);
    FILE *words = open_memstream(&text, &length);
    if (!words)
        fail("out of memory");
    coil__view_whom(view, task, whom, sizeof whom);
    coil__print_wait(words, task, loop_time(look, view), whom);
    if (fclose(words) != 0)
        fail("out of memory");
    put_member(file, "text", text);
    free(text);
    double left = task->when - (double)loop_time(look, view) / 1e9;
    if (task->kind == COIL_WAIT_SLEEP && isfinite(left) && left < 9e9)
        fprintf(file, ",\"seconds\":%.3f", left);
    if (task->fd >= 0)
        fprintf(file, ",\"descriptor\":%d", task->fd);
    if (task->thing || task->future) {
        fprintf(file, ",\"at\":");
        put_address(file, task->thing ? task->thing_at : task->future);
    }
    size_t holder = coil__view_holder(view, task);
    if (holder != SIZE_MAX) {
        fprintf(file, ",\"holder\":");
        put_address(file, view->tasks[holder].address);
    }
    if (task->thing == COIL__THING_QUEUE || task->thing == COIL__THING_SEMAPHORE)
        fprintf(file, ",\"count\":%" PRId64, task->count);
    fputc('}', file);
}

struct functions {
    FILE *file;
    bool any;
};

static void put_function(void *arg, const char *function, const char *file, int line)
{
    struct functions *self = arg;
    fprintf(self->file, "%s{\"name\":", self->any ? "," : "");
    put_text(self->file, function);
    if (file) {
        put_member(self->file, "file", file);
        fprintf(self->file, ",\"line\":%d", line);
    }
    fputc('}', self->file);
    self->any = true;
}

static void put_task(FILE *file, const struct look *look, const struct coil__view *view,
                     const struct coil__seen_task *task)
{
    fprintf(file, "{\"id\":");
    put_address(file, task->address);
    put_member(file, "name", task->name);
    put_member(file, "state", coil__seen_state_name(task));
    if (task->state == COIL__SEEN_WAITING)
        put_wait(file, look, view, task);
    fprintf(file, ",\"stack\":[");
    for (size_t i = 0; i < task->frame_count; i++) {
        const struct coil__seen_frame *frame = &view->frames[task->first_frame + i];
        fprintf(file, "%s{\"name\":", i ? "," : "");
        put_text(file, frame->name);
        put_member(file, "file", frame->file);
        fprintf(file, ",\"line\":%d}", frame->line);
    }
    fprintf(file, "]");
    if (look->chosen && has_stacks() && task->state != COIL__SEEN_RUNNING) {
        struct functions functions = { file, false };
        fprintf(file, ",\"functions\":[");
        walk_stack(look->target, task->address, put_function, &functions);
        fprintf(file, "]");
    }
    fprintf(file, ",\"awaits\":[");
    bool any = false;
    for (size_t i = 0; i < task->edge_count; i++) {
        const struct coil__seen_edge *edge = &view->edges[task->first_edge + i];
        if (edge->lock)
            continue;
        fputs(any ? "," : "", file);
        put_address(file, view->tasks[edge->to].address);
        any = true;
    }
    fprintf(file, "]}");
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void put_deadlock(FILE *file, const struct coil__view *view, size_t cycle)
{
    size_t first = 0;
    while (view->tasks[first].cycle != cycle)
        first++;
    size_t task = first;
    fputc('[', file);
    do {
        fputs(task == first ? "" : ",", file);
        put_address(file, view->tasks[task].address);
        task = view->tasks[task].cycle_next;
    } while (task != first);
    fputc(']', file);
}

static void put_loop(FILE *file, const struct look *look, size_t index)
{
    const struct coil__view *view = &look->views[index];
    const size_t *chosen = look->chosen ? look->chosen[index] : NULL;
    bool any = false;
    fprintf(file, "{\"id\":");
    put_address(file, view->loop);
    fprintf(file, ",\"running\":%s,\"idle\":%s,\"timers\":%u,\"tasks\":[",
            view->running ? "true" : "false", view->sleeping ? "true" : "false", view->timers);
    for (size_t i = 0; i < view->task_count; i++) {
        if (look->chosen && !(chosen && chosen[i]))
            continue;
        fputs(any ? "," : "", file);
        put_task(file, look, view, &view->tasks[i]);
        any = true;
    }
    fprintf(file, "],\"deadlocks\":[");
    for (size_t cycle = 1; cycle <= view->cycles; cycle++) {
        fputs(cycle > 1 ? "," : "", file);
        put_deadlock(file, view, cycle);
    }
    fprintf(file, "]}");
}

void show_json(FILE *file, const struct look *look)
{
    const struct target *target = look->target;
    fprintf(file, "{\"format\":1,\"process\":%d,\"live\":%s,\"stopped\":%s", (int)target->pid,
            target->live ? "true" : "false",
            target->live && (target->state == 'T' || target->state == 't') ? "true" : "false");
    if (target->signal)
        fprintf(file, ",\"signal\":%d", target->signal);
    put_member(file, "coil", target->layout.version);
    fprintf(file, ",\"torn\":%s,\"loops\":[", look->torn ? "true" : "false");
    for (size_t i = 0; i < look->count; i++) {
        fputs(i ? "," : "", file);
        put_loop(file, look, i);
    }
    fprintf(file, "]}\n");
}
