/* Who waits for a lock, a queue...: places in line, each on the stack of the task that waits, in the frame
 * of its call or in the task's room.
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

/* Those who wait belong to another loop. */
static inline bool coil__waitlist_is_foreign(const struct coil__waitlist *list,
                                             const coil_loop *loop)
{
    return list && list->first && list->first->wait.task->future.loop != loop;
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

/* True if the running task can wait there; coil__park_refuse says why not: COIL_ENOTASK, COIL_EWRONGLOOP. */
static inline bool coil__park_allowed(const struct coil__waitlist *list,
                                      const struct coil__waitlist *then)
{
    const struct coil__task *task = coil__thread.task;
    return !COIL_UNLIKELY(!task || coil__thread.driver ||
                          coil__waitlist_is_foreign(list, task->future.loop) ||
                          coil__waitlist_is_foreign(then, task->future.loop));
}
int coil__park_refuse(const char *operation);

static inline int coil__park_check(const struct coil__waitlist *list,
                                   const struct coil__waitlist *then, const char *operation)
{
    return coil__park_allowed(list, then) ? 0 : coil__park_refuse(operation);
}

/* Wakes a place that waits. Returns 0, so that it can be the tail of a call. */
int coil__parked_wake(struct coil__parked *place);

static inline void coil__waitlist_wake_first(struct coil__waitlist *list)
{
    if (list->first)
        (void)coil__parked_wake(list->first);
}

/* Wakes all; for lists whose places leave when they are woken. */
static inline void coil__waitlist_wake_all(struct coil__waitlist *list)
{
    while (list->first)
        (void)coil__parked_wake(list->first);
}

/* ---- waiting with nothing left on the stack ----------------------------------------------------- */

bool coil__parked_stop(struct coil__wait *wait);

static inline void coil__parked_line_up(struct coil__parked *place, struct coil__waitlist *list,
                                        struct coil__waitlist *then, const char *operation)
{
    place->wait = (struct coil__wait)COIL__WAIT_INIT(COIL_WAIT_OTHER, operation, coil__parked_stop);
    place->then = then;
    place->destroyed = false;
    coil__waitlist_append(list, place);
}

/* As coil__park_and_stay, for the place in a task's room, if coil__park_allowed: a tail call,
 * after which nothing is left of the caller but rest (see coil__task_wait_last). Its rc is for
 * coil__parked_over first, which gives what coil__park would. coil__park_again waits once more: what it
 * gives is for rest to return. */
static inline int coil__park_last(struct coil__parked *place, struct coil__waitlist *list,
                                  struct coil__waitlist *then, const char *operation,
                                  int (*rest)(struct coil__wait *wait, int rc))
{
    coil__parked_line_up(place, list, then, operation);
    place->wait.rest = rest;
    return coil__task_wait_last(place->wait.task, &place->wait);
}

static inline int coil__park_again(struct coil__parked *place, struct coil__waitlist *list)
{
    place->wait.state = COIL__WAIT_PENDING;
    coil__waitlist_append(list, place);
    return coil__task_wait_again(place->wait.task, &place->wait);
}

int coil__parked_tell_of_end(struct coil__parked *place, int rc);

static inline int coil__parked_over(struct coil__parked *place, int rc)
{
    if (COIL_UNLIKELY(place->destroyed))
        return coil__parked_tell_of_end(place, rc);
    coil__parked_leave(place);
    return rc;
}

/* ---- threads, and the end ----------------------------------------------------------------------- */

int coil__waitlist_check_thread_slowly(coil_loop *loop);

/* 0, or in debug mode COIL_EWRONGTHREAD: those who wait belong to another thread. */
static inline int coil__waitlist_check_thread(const struct coil__waitlist *list)
{
    coil_loop *loop = list->first ? list->first->wait.task->future.loop : NULL;
    return COIL_UNLIKELY(loop && loop->debug) ? coil__waitlist_check_thread_slowly(loop) : 0;
}

/* The first who waits may be woken without coil__waitlist_check_thread. */
static inline bool coil__parked_unchecked(const struct coil__parked *place)
{
    return !COIL_UNLIKELY(place->wait.task->future.loop->debug);
}

/* The end of a primitive: tells everybody who is still in one of its lists, and reports with this message
 * if there was anybody. */
void coil__waitlists_end(struct coil__waitlist *const *lists, size_t count, const char *message);

#endif
