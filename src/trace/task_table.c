/* Open addressing with linear probing, at most two thirds full. Removing moves the entries
 * behind the gap back, so that there are no tombstones and a table that is used for ever does
 * not degrade. */
#include "trace/task_table.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

enum {
    FIRST_ROOM = 64,
};

static size_t home_of(const struct coil__task_table *table, const coil_task *task);
static size_t slot_of(const struct coil__task_table *table, const coil_task *task);
static bool grow(struct coil__task_table *table);

void coil__task_table_fini(struct coil__task_table *table)
{
    coil__free(table->slots);
    memset(table, 0, sizeof *table);
}

uint64_t *coil__task_table_find(const struct coil__task_table *table, const coil_task *task)
{
    if (table->room == 0)
        return NULL;
    struct coil__task_slot *slot = &table->slots[slot_of(table, task)];
    return slot->task ? &slot->number : NULL;
}

uint64_t *coil__task_table_put(struct coil__task_table *table, const coil_task *task)
{
    assert(task);
    uint64_t *found = coil__task_table_find(table, task);
    if (found)
        return found;
    if ((table->count + 1) * 3 > table->room * 2 && !grow(table))
        return NULL;
    struct coil__task_slot *slot = &table->slots[slot_of(table, task)];
    *slot = (struct coil__task_slot){ .task = task };
    table->count++;
    return &slot->number;
}

void coil__task_table_remove(struct coil__task_table *table, const coil_task *task)
{
    if (!coil__task_table_find(table, task))
        return;
    size_t mask = table->room - 1, gap = slot_of(table, task);
    /* An entry further on may fill the gap unless its home lies behind the gap: then a search
     * for it would not pass there. */
    for (size_t i = (gap + 1) & mask; table->slots[i].task; i = (i + 1) & mask) {
        size_t home = home_of(table, table->slots[i].task);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            table->slots[gap] = table->slots[i];
            gap = i;
        }
    }
    table->slots[gap].task = NULL;
    table->count--;
}

/* Fibonacci hashing: the low bits of addresses are alike, the high bits of the product are not. */
static size_t home_of(const struct coil__task_table *table, const coil_task *task)
{
    uint64_t product = (uint64_t)(uintptr_t)task * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(product >> 32) & (table->room - 1);
}

/* The slot that holds the task, or the free one where it would be. */
static size_t slot_of(const struct coil__task_table *table, const coil_task *task)
{
    size_t i = home_of(table, task);
    while (table->slots[i].task && table->slots[i].task != task)
        i = (i + 1) & (table->room - 1);
    return i;
}

static bool grow(struct coil__task_table *table)
{
    size_t room = table->room ? 2 * table->room : FIRST_ROOM;
    struct coil__task_table bigger = { .room = room, .count = table->count };
    bigger.slots = coil__alloc_zero(room * sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < table->room; i++) {
        if (table->slots[i].task)
            bigger.slots[slot_of(&bigger, table->slots[i].task)] = table->slots[i];
    }
    coil__free(table->slots);
    *table = bigger;
    return true;
}
