/* Who waits for a lock, a queue...: places in line, each on the stack of the task that waits.
 *
 * A primitive has a list of those who wait. When a place is woken, or its task is cancelled, the task is
 * queued; the place then goes from the list where it waited to the one it has named (`then`), until its
 * task has run:
 *
 *     the same list   asyncio's lock looks at cancelled and woken waiters, too, until they have run
 *     another one     the task will touch the primitive again: coil__waitlists_end must find it
 *     none            it will not, and the primitive may be gone by then
 */
#ifndef COIL_STRUCTURE_WAITLIST_H
#define COIL_STRUCTURE_WAITLIST_H

#include <coil/sync.h>
#include "tasks/task.h"

struct coil__parked {
    struct coil__wait wait;
    struct coil__parked *next, *prev;   /* in `list`: a ring */
    struct coil__waitlist *list, *then; /* NULL: none */
    bool destroyed;                     /* what was waited for is gone */
};

static inline void coil__waitlist_append(struct coil__waitlist *list, struct coil__parked *place)
{
    struct coil__parked *first = list->first;
    place->list = list;
    if (!first) {
        list->first = place->next = place->prev = place;
        return;
    }
    place->next = first;
    place->prev = first->prev;
    first->prev->next = place;
    first->prev = place;
}

/* Harmless for a place that is in no list. */
static inline void coil__parked_leave(struct coil__parked *place)
{
    struct coil__waitlist *list = place->list;
    if (!list)
        return;
    place->list = NULL;
    if (place->next == place) {
        list->first = NULL;
        return;
    }
    place->next->prev = place->prev;
    place->prev->next = place->next;
    if (list->first == place)
        list->first = place->next;
}

/* Waits in a list until woken. Returns 0, COIL_ECANCELED or COIL_ECLOSING, and the place is in no list;
 * place->wait.state is COIL__WAIT_OVER if it was woken, even if it was cancelled then. Or
 *   COIL_ENOTASK, COIL_EWRONGLOOP  without having waited
 *   COIL_ECLOSED                   the primitive is gone, and must not be touched */
int coil__park(struct coil__parked *place, struct coil__waitlist *list, struct coil__waitlist *then,
               const char *operation);

/* The same, but the place stays in `then`; coil__parked_leave is for the caller to call. */
int coil__park_and_stay(struct coil__parked *place, struct coil__waitlist *list,
                        struct coil__waitlist *then, const char *operation);

/* True if a primitive is still there, and was waited for. */
static inline bool coil__park_happened(int rc)
{
    return !COIL_UNLIKELY(rc < 0) || rc == COIL_ECANCELED || rc == COIL_ECLOSING;
}

/* What coil__park would refuse: 0, COIL_ENOTASK, COIL_EWRONGLOOP. */
int coil__park_check(const struct coil__waitlist *list, const struct coil__waitlist *then,
                     const char *operation);

/* Wakes a place that waits. */
void coil__parked_wake(struct coil__parked *place);

static inline void coil__waitlist_wake_first(struct coil__waitlist *list)
{
    if (list->first)
        coil__parked_wake(list->first);
}

/* Wakes all; for lists whose places leave when they are woken. */
static inline void coil__waitlist_wake_all(struct coil__waitlist *list)
{
    while (list->first)
        coil__parked_wake(list->first);
}

int coil__waitlist_check_thread_slowly(coil_loop *loop);

/* 0, or in debug mode COIL_EWRONGTHREAD: those who wait belong to another thread. */
static inline int coil__waitlist_check_thread(const struct coil__waitlist *list)
{
    coil_loop *loop = list->first ? list->first->wait.task->future.loop : NULL;
    return COIL_UNLIKELY(loop && loop->debug) ? coil__waitlist_check_thread_slowly(loop) : 0;
}

/* The end of a primitive: tells everybody who is still in one of its lists, and reports with this message
 * if there was anybody. */
void coil__waitlists_end(struct coil__waitlist *const *lists, size_t count, const char *message);

#endif
