#include "show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void show_head(FILE *file, const struct look *look)
{
    const struct target *target = look->target;
    fprintf(file, "%s, Coil %s", target->name, target->layout.version);
    if (target->live && (target->state == 'T' || target->state == 't'))
        fprintf(file, ", stopped");
    if (!target->live && target->pid)
        fprintf(file, ", of process %d", (int)target->pid);
    if (!target->live && target->signal)
        fprintf(file, ", ended by signal %d (%s)", target->signal, strsignal(target->signal));
    fprintf(file, "\n");
    if (look->torn)
        fprintf(file, "%s: something may be missing or out of date.\n",
                target->live ? "It changes while it is read" : "Not all of it is in the core file");
}

static void show_loop(FILE *file, const struct coil__view *view)
{
    const char *state = !view->running ? "does not run" : view->sleeping ? "idle" : "busy";
    fprintf(file, "\nLoop 0x%" PRIx64 ": %s, %zu task%s, %u timer%s\n", view->loop, state,
            view->task_count, view->task_count == 1 ? "" : "s", view->timers,
            view->timers == 1 ? "" : "s");
}

void show_ps(FILE *file, const struct look *look)
{
    show_head(file, look);
    for (size_t i = 0; i < look->count; i++) {
        show_loop(file, &look->views[i]);
        coil__print_view(file, &look->views[i], loop_time(look, &look->views[i]));
    }
}

/* ---- one task ----------------------------------------------------------------------------------- */

static void show_task(FILE *file, const struct look *look, const struct coil__view *view,
                      const struct coil__seen_task *task)
{
    char whom[COIL__WHOM_BYTES];
    fprintf(file, "%s: ", task->name);
    if (task->state == COIL__SEEN_WAITING) {
        coil__view_whom(view, task, whom, sizeof whom);
        coil__print_wait(file, task, loop_time(look, view), whom);
    } else {
        fprintf(file, "%s", coil__seen_state_name(task));
    }
    fprintf(file, "\n");
}

static void show_frames(FILE *file, const struct coil__view *view,
                        const struct coil__seen_task *task, int indent)
{
    for (size_t i = 0; i < task->frame_count; i++) {
        const struct coil__seen_frame *frame = &view->frames[task->first_frame + i];
        fprintf(file, "%*sin %s (%s:%d)\n", indent, "", frame->name, frame->file, frame->line);
    }
}

/* ---- the tree ----------------------------------------------------------------------------------- */

enum {
    LEVELS_MAX = 100
};

struct tree {
    FILE *file;
    const struct look *look;
    const struct coil__view *view;
    bool *shown;
};

static void show_branch(struct tree *tree, size_t index, int level)
{
    const struct coil__seen_task *task = &tree->view->tasks[index];
    fprintf(tree->file, "%*s", level * 4, "");
    if (tree->shown[index] || level > LEVELS_MAX) {
        fprintf(tree->file, "%s: %s\n", task->name,
                tree->shown[index] ? "see above" : "too deep to show");
        return;
    }
    tree->shown[index] = true;
    show_task(tree->file, tree->look, tree->view, task);
    show_frames(tree->file, tree->view, task, level * 4 + 2);
    for (size_t i = 0; i < task->edge_count; i++) {
        const struct coil__seen_edge *edge = &tree->view->edges[task->first_edge + i];
        if (!edge->lock)
            show_branch(tree, edge->to, level + 1);
    }
}

void show_tree(FILE *file, const struct look *look)
{
    show_head(file, look);
    for (size_t i = 0; i < look->count; i++) {
        const struct coil__view *view = &look->views[i];
        struct tree tree = { file, look, view, must_alloc(view->task_count + 1) };
        show_loop(file, view);
        for (size_t j = 0; j < view->task_count; j++)
            if (!view->tasks[j].awaited)
                show_branch(&tree, j, 0);
        for (size_t j = 0; j < view->task_count; j++)
            if (!tree.shown[j]) /* in a circle */
                show_branch(&tree, j, 0);
        for (size_t cycle = 1; cycle <= view->cycles; cycle++)
            coil__print_cycle(file, view, cycle);
        free(tree.shown);
    }
}

/* ---- why ---------------------------------------------------------------------------------------- */

static void show_function(void *arg, const char *function, const char *file, int line)
{
    FILE *out = arg;
    if (file)
        fprintf(out, "    at %s (%s:%d)\n", function, file, line);
    else
        fprintf(out, "    at %s\n", function);
}

static void show_chosen(FILE *file, const struct look *look, const struct coil__view *view,
                        const size_t *chosen)
{
    size_t *line = must_alloc(view->task_count * sizeof *line), count = 0;
    bool *cycles = must_alloc(view->cycles + 1);
    for (size_t i = 0; i < view->task_count; i++) {
        if (!chosen[i])
            continue;
        line[chosen[i] - 1] = i;
        cycles[view->tasks[i].cycle] = true;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        show_task(file, look, view, &view->tasks[line[i]]);
        show_frames(file, view, &view->tasks[line[i]], 2);
        if (view->tasks[line[i]].state != COIL__SEEN_RUNNING)
            walk_stack(look->target, view->tasks[line[i]].address, show_function, file);
    }
    for (size_t cycle = 1; cycle <= view->cycles; cycle++)
        if (cycles[cycle])
            coil__print_cycle(file, view, cycle);
    free(line);
    free(cycles);
}

void show_why(FILE *file, const struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->chosen[i])
            show_chosen(file, look, &look->views[i], look->chosen[i]);
}
