#include "show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coil/error.h>

enum {
    LOOKS_MAX = 20,
};

static void look_once(struct look *look, const uint64_t *loops)
{
    look->torn = false;
    look->count = 0;
    for (size_t i = 0; i < COIL__INSPECT_LOOPS_MAX; i++) {
        struct coil__view *view = &look->views[look->count];
        if (!loops[i])
            continue;
        int rc = coil__view_take(view, &look->target->memory, loops[i]);
        if (rc == COIL_ENOMEM)
            fail("out of memory");
        if (rc < 0) {
            look->torn = true; /* the loop has gone */
            continue;
        }
        look->torn |= view->torn;
        look->count++;
    }
}

static bool has_cycles(const struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->views[i].cycles > 0)
            return true;
    return false;
}

void drop_look(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        coil__view_fini(&look->views[i]);
    for (size_t i = 0; look->chosen && i < look->count; i++)
        free(look->chosen[i]);
    free(look->chosen);
    free(look->views);
    look->chosen = NULL;
    look->views = NULL;
    look->count = 0;
}

static void begin_look(struct look *look, struct target *target)
{
    uint64_t loops[COIL__INSPECT_LOOPS_MAX] = { 0 };
    look->target = target;
    look->chosen = NULL;
    look->views = must_alloc(COIL__INSPECT_LOOPS_MAX * sizeof *look->views);
    if (!target->memory.read(&target->memory, (uintptr_t)target->layout.loops, loops, sizeof loops))
        fail("%s has ended", target->name);
    look_once(look, loops);
}

/* A circle that is one must be there a moment later, too. */
void take_look(struct look *look, struct target *target)
{
    static const struct timespec moment = { 0, 2 * 1000 * 1000 };
    bool suspected = false;
    for (int i = 0; i < LOOKS_MAX; i++) {
        begin_look(look, target);
        bool suspects = has_cycles(look);
        if (!target->live || (!look->torn && (!suspects || suspected)) || i + 1 == LOOKS_MAX)
            return;
        suspected = suspects && !look->torn;
        drop_look(look);
        look_again(target);
        (void)nanosleep(&moment, NULL); /* shorter does no harm */
    }
}

int64_t loop_time(const struct look *look, const struct coil__view *view)
{
    struct timespec now;
    if (!look->target->live || view->is_virtual || clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return view->now_ns;
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- one task ----------------------------------------------------------------------------------- */

/* Numbers the tasks of a chain from *rank on. */
static void choose_chain(const struct coil__view *view, size_t *chosen, size_t start, size_t *rank)
{
    size_t *line = must_alloc(view->task_count * sizeof *line), count = 0;
    line[count++] = start;
    chosen[start] = ++*rank;
    for (size_t i = 0; i < count; i++) {
        const struct coil__seen_task *task = &view->tasks[line[i]];
        for (size_t j = 0; j < task->edge_count; j++) {
            const struct coil__seen_edge *edge = &view->edges[task->first_edge + j];
            if (!coil__view_waits_by(view, edge) || chosen[edge->to])
                continue;
            chosen[edge->to] = ++*rank;
            line[count++] = edge->to;
        }
    }
    free(line);
}

bool choose(struct look *look, const char *wanted)
{
    char *end;
    bool found = false;
    uint64_t id = strtoull(wanted, &end, 16);
    bool is_id = strncmp(wanted, "0x", 2) == 0 && !*end;
    look->chosen = must_alloc((look->count + 1) * sizeof *look->chosen);
    for (size_t i = 0; i < look->count; i++) {
        const struct coil__view *view = &look->views[i];
        size_t rank = 0;
        for (size_t j = 0; j < view->task_count; j++) {
            const struct coil__seen_task *task = &view->tasks[j];
            if (is_id ? task->address != id : strcmp(task->name, wanted) != 0)
                continue;
            if (!look->chosen[i])
                look->chosen[i] = must_alloc(view->task_count * sizeof **look->chosen);
            if (!look->chosen[i][j])
                choose_chain(view, look->chosen[i], j, &rank);
            found = true;
        }
    }
    return found;
}
