/* What was seen, as text for people and as JSON for programs. */
#ifndef COIL_TOOLS_SHOW_H
#define COIL_TOOLS_SHOW_H

#include "target.h"

/* All loops of a program. */
struct look {
    struct target *target;
    struct coil__view *views;
    size_t count;
    /* NULL: all. Else for each view, NULL for none of it, or for each of its tasks 0, or its place in line. */
    size_t **chosen;
    bool torn; /* what is seen is not of one moment */
};

/* Looks at every loop; at a process that runs, until two looks agree that nothing is amiss, or many times. */
void take_look(struct look *look, struct target *target);
/* Leaves only a task, by its name or id, what it waits for, what that waits for, and so on. False: there is
 * no such task. */
bool choose(struct look *look, const char *task);
void drop_look(struct look *look);

/* The time on a loop's clock: of a core, when the loop last asked for it. */
int64_t loop_time(const struct look *look, const struct coil__view *view);

void show_ps(FILE *file, const struct look *look);
void show_tree(FILE *file, const struct look *look);
/* Those that were chosen. */
void show_why(FILE *file, const struct look *look);

/* The C functions in which a suspended task stands, innermost first, for show_why: each with a name and, where
 * debug information says, a place. Nothing is given where there is nothing to find that out with. */
typedef void stack_fn(void *arg, const char *function, const char *file, int line);
bool has_stacks(void);
void walk_stack(struct target *target, uint64_t task, stack_fn *fn, void *arg);
void close_stacks(void);

void show_json(FILE *file, const struct look *look);

#endif
