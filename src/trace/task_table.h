/* Numbers for tasks: a table from a task's address to a number of the tracer's own.
 *
 * The table borrows nothing and keeps nothing alive: a new task may get the address of an old
 * one, so whoever hears of a task's creation starts its number afresh. */
#ifndef COIL_TRACE_TASK_TABLE_H
#define COIL_TRACE_TASK_TABLE_H

#include <coil/base.h>

struct coil__task_slot {
    const coil_task *task; /* NULL: free */
    uint64_t number;
};

/* All bytes zero is an empty table. */
struct coil__task_table {
    struct coil__task_slot *slots;
    size_t room; /* a power of two, or 0 */
    size_t count;
};

void coil__task_table_fini(struct coil__task_table *table);

/* Where a task's number is kept, until the next put or remove. NULL: the task is not in the
 * table. */
uint64_t *coil__task_table_find(const struct coil__task_table *table, const coil_task *task);

/* The same, adding the task with the number 0 if it is new. NULL when there is no memory. */
uint64_t *coil__task_table_put(struct coil__task_table *table, const coil_task *task);

/* Harmless for a task that is not in the table. */
void coil__task_table_remove(struct coil__task_table *table, const coil_task *task);

#endif
