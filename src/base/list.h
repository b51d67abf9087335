/* Doubly linked lists through the members: a ring with the list's head in it. */
#ifndef COIL_BASE_LIST_H
#define COIL_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct coil__link {
    struct coil__link *next, *prev; /* of a member outside every list: both NULL */
};

static inline void coil__list_init(struct coil__link *list)
{
    list->next = list->prev = list;
}

static inline bool coil__list_empty(const struct coil__link *list)
{
    return list->next == list;
}

static inline void coil__list_append(struct coil__link *list, struct coil__link *member)
{
    member->next = list;
    member->prev = list->prev;
    list->prev->next = member;
    list->prev = member;
}

static inline void coil__list_remove(struct coil__link *member)
{
    assert(member->next && member->prev);
    member->next->prev = member->prev;
    member->prev->next = member->next;
    member->next = member->prev = NULL;
}

static inline bool coil__list_linked(const struct coil__link *member)
{
    return member->next != NULL;
}

#endif
