/* The ready queue's entries.
 *
 * An entry is one word to link it and one that says what it is: a task (NULL), a user's callback, which
 * needs the loop's own stack, or work of the library that runs wherever the queue is looked at. */
#ifndef COIL_LOOP_READY_H
#define COIL_LOOP_READY_H

#include <coil/base.h>

struct coil__ready {
    struct coil__ready *next;
    void (*run)(struct coil__ready *self); /* NULL: a task; coil__handle_run: a callback */
};

struct coil__queue {
    struct coil__ready *head, **tail;
};

static inline void coil__queue_init(struct coil__queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
}

static inline void coil__queue_push(struct coil__queue *queue, struct coil__ready *entry)
{
    entry->next = NULL;
    *queue->tail = entry;
    queue->tail = &entry->next;
}

/* Empties the queue and gives back its entries as a chain. */
static inline struct coil__ready *coil__queue_take_all(struct coil__queue *queue)
{
    struct coil__ready *head = queue->head;
    queue->head = NULL;
    queue->tail = &queue->head;
    return head;
}

#endif
