/* Queues. A put wakes the first getter and reserves nothing for it, as in asyncio: whoever looks first gets
 * the item, and a getter that was overtaken goes on waiting, at the end of the line.
 *
 * Items lie in one array: a ring for first in, first out, a stack, or a heap. */
#include <coil/queue.h>

#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "base/value.h"
#include "structure/waitlist.h"

enum queue_kind {
    FIFO, /* what a struct of zeroes is */
    LIFO,
    PRIORITY,
};

enum {
    FIRST_ROOM = 8
};

static void init(coil_queue *queue, enum queue_kind kind, size_t maxsize)
{
    *queue = (coil_queue){ .coil__maxsize = maxsize, .coil__kind = (unsigned char)kind };
}

void coil_queue_init(coil_queue *queue, size_t maxsize)
{
    init(queue, FIFO, maxsize);
}

void coil_lifo_queue_init(coil_queue *queue, size_t maxsize)
{
    init(queue, LIFO, maxsize);
}

void coil_priority_queue_init(coil_queue *queue, size_t maxsize, coil_compare compare, void *arg)
{
    init(queue, PRIORITY, maxsize);
    queue->coil__compare = compare;
    queue->coil__compare_arg = arg;
}

size_t coil_queue_qsize(const coil_queue *queue)
{
    return queue->coil__count;
}

size_t coil_queue_maxsize(const coil_queue *queue)
{
    return queue->coil__maxsize;
}

bool coil_queue_empty(const coil_queue *queue)
{
    return queue->coil__count == 0;
}

bool coil_queue_full(const coil_queue *queue)
{
    return queue->coil__maxsize > 0 && queue->coil__count >= queue->coil__maxsize;
}

/* ---- room --------------------------------------------------------------------------------------- */

/* More room, never beyond maxsize. The ring comes out with its oldest item at the front. */
static int grow(coil_queue *queue)
{
    size_t room = queue->coil__room > 0 ? 2 * queue->coil__room : FIRST_ROOM;
    if (queue->coil__maxsize > 0 && room > queue->coil__maxsize)
        room = queue->coil__maxsize;
    if (room > SIZE_MAX / sizeof(coil_value))
        return coil__fail_plain(COIL_ENOMEM);
    coil_value *items = coil__alloc(room * sizeof *items);
    if (!items)
        return coil__fail_plain(COIL_ENOMEM);
    size_t to_end = queue->coil__room - queue->coil__head;
    if (queue->coil__count > 0) {
        memcpy(items, queue->coil__items + queue->coil__head, to_end * sizeof *items);
        memcpy(items + to_end, queue->coil__items, queue->coil__head * sizeof *items);
    }
    coil__free(queue->coil__items);
    queue->coil__items = items;
    queue->coil__head = 0;
    queue->coil__room = room;
    queue->coil__easy = queue->coil__kind == FIFO ? room : 0;
    return 0;
}

/* ---- first in, first out ------------------------------------------------------------------------ */

static inline void ring_put(coil_queue *queue, const coil_value *item)
{
    size_t at = queue->coil__head + queue->coil__count++;
    if (at >= queue->coil__room)
        at -= queue->coil__room;
    coil__value_copy(&queue->coil__items[at], item);
}

static inline void ring_take(coil_queue *queue, coil_value *item)
{
    size_t head = queue->coil__head;
    coil__value_copy(item, &queue->coil__items[head]);
    if (++head == queue->coil__room)
        head = 0;
    queue->coil__head = head;
    queue->coil__count--;
}

/* ---- by priority -------------------------------------------------------------------------------- */

/* A binary heap. Equal items come out in no order that means anything, but in the one in which Python's
 * do: both functions compare the same pairs as its heapq does. */

static bool less(const coil_queue *queue, const coil_value *left, const coil_value *right)
{
    return queue->coil__compare(left, right, queue->coil__compare_arg) < 0;
}

/* Moves an item from its place towards the top, until its parent is not greater. */
static void heap_rise(coil_queue *queue, size_t at, coil_value item)
{
    coil_value *items = queue->coil__items;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!less(queue, &item, &items[parent]))
            break;
        items[at] = items[parent];
        at = parent;
    }
    items[at] = item;
}

static void heap_put(coil_queue *queue, const coil_value *item)
{
    heap_rise(queue, queue->coil__count++, *item);
}

/* The gap at the top sinks to the bottom, the last item fills it and rises: it came from the bottom, so
 * it seldom rises far, and this takes fewer comparisons than stopping on the way down. */
static void heap_take(coil_queue *queue, coil_value *item)
{
    coil_value *items = queue->coil__items;
    *item = items[0];
    size_t count = --queue->coil__count;
    if (count == 0)
        return;
    size_t gap = 0, child;
    while ((child = 2 * gap + 1) < count) {
        if (child + 1 < count && !less(queue, &items[child], &items[child + 1]))
            child++;
        items[gap] = items[child];
        gap = child;
    }
    heap_rise(queue, gap, items[count]);
}

/* ---- putting and taking ------------------------------------------------------------------------- */

/* There is an item. */
static void take(coil_queue *queue, coil_value *item)
{
    if (queue->coil__kind == FIFO)
        ring_take(queue, item);
    else if (queue->coil__kind == LIFO)
        *item = queue->coil__items[--queue->coil__count];
    else
        heap_take(queue, item);
}

/* There may be no room in memory yet, but the queue is not full. */
static int store(coil_queue *queue, const coil_value *item)
{
    if (queue->coil__count == queue->coil__room) {
        int rc = grow(queue);
        if (rc < 0)
            return rc;
    }
    if (queue->coil__kind == FIFO)
        ring_put(queue, item);
    else if (queue->coil__kind == LIFO)
        queue->coil__items[queue->coil__count++] = *item;
    else
        heap_put(queue, item);
    return 0;
}

static __attribute__((noinline)) int put_slowly(coil_queue *queue, const coil_value *item)
{
    if (queue->coil__shut_down)
        return coil__fail_plain(COIL_ESHUTDOWN);
    if (coil_queue_full(queue))
        return coil__fail_plain(COIL_EFULL);
    int rc = coil__waitlist_check_thread(&queue->coil__getters);
    if (rc == 0)
        rc = store(queue, item);
    if (rc < 0)
        return rc;
    queue->coil__unfinished++;
    coil__waitlist_wake_first(&queue->coil__getters);
    return 0;
}

/* The usual case: first in, first out, with room. Nobody has to be asked before somebody is woken. */
static inline bool easy_put(const coil_queue *queue)
{
    const struct coil__parked *getter = queue->coil__getters.first;
    return queue->coil__count < queue->coil__easy && (!getter || coil__parked_unchecked(getter));
}

static inline int put_easily(coil_queue *queue, const coil_value *item)
{
    struct coil__parked *getter = queue->coil__getters.first;
    ring_put(queue, item);
    queue->coil__unfinished++;
    return getter ? coil__parked_wake(getter) : 0;
}

static __attribute__((noinline)) int get_slowly(coil_queue *queue, coil_value *item_out)
{
    if (queue->coil__count == 0)
        return coil__fail_plain(queue->coil__shut_down ? COIL_ESHUTDOWN : COIL_EEMPTY);
    int rc = coil__waitlist_check_thread(&queue->coil__putters);
    if (rc < 0)
        return rc;
    take(queue, item_out);
    coil__waitlist_wake_first(&queue->coil__putters);
    return 0;
}

static inline bool easy_get(const coil_queue *queue)
{
    const struct coil__parked *putter = queue->coil__putters.first;
    return queue->coil__count > 0 && queue->coil__kind == FIFO &&
           (!putter || coil__parked_unchecked(putter));
}

static inline int get_easily(coil_queue *queue, coil_value *item_out)
{
    struct coil__parked *putter = queue->coil__putters.first;
    ring_take(queue, item_out);
    return putter ? coil__parked_wake(putter) : 0;
}

int coil_queue_put_nowait(coil_queue *queue, coil_value item)
{
    return easy_put(queue) ? put_easily(queue, &item) : put_slowly(queue, &item);
}

int coil_queue_get_nowait(coil_queue *queue, coil_value *item_out)
{
    return easy_get(queue) ? get_easily(queue, item_out) : get_slowly(queue, item_out);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* One who waits, in its task's room. When its turn comes, rest_of_put and rest_of_get do what there is left
 * to do; but a priority queue compares by a user's function, which must not run there: `item` and `item_out`
 * are not used, and the caller goes on when it has waited. */
struct patient {
    struct coil__parked place;
    coil_queue *queue;
    union {
        coil_value item;
        coil_value *item_out;
    };
};
_Static_assert(sizeof(struct patient) <= sizeof(struct coil__room), "a task has room for one");

static inline struct patient *patient_of(struct coil__wait *wait)
{
    return COIL__CONTAINER(wait, struct patient, place.wait);
}

/* True if a place was woken, although its call will not act on it: the next one has to be. */
static bool wakes_in_vain(const struct coil__parked *place, int rc)
{
    return coil__park_happened(rc) && place->wait.state == COIL__WAIT_OVER;
}

/* The queue is not full, or shut down. */
static int put_at_last(coil_queue *queue, const coil_value *item)
{
    int rc = put_slowly(queue, item);
    if (rc < 0) /* there is room, only not for this item; or nobody is left to be told */
        coil__waitlist_wake_first(&queue->coil__putters);
    return rc;
}

static int rest_of_put(struct coil__wait *wait, int rc)
{
    struct patient *self = patient_of(wait);
    coil_queue *queue = self->queue;
    rc = coil__parked_over(&self->place, rc);
    if (COIL_UNLIKELY(rc < 0)) {
        if (wakes_in_vain(&self->place, rc) && !coil_queue_full(queue))
            coil__waitlist_wake_first(&queue->coil__putters);
        return rc;
    }
    if (easy_put(queue))
        return put_easily(queue, &self->item);
    if (coil_queue_full(queue))
        return queue->coil__shut_down ? coil__fail_plain(COIL_ESHUTDOWN)
                                      : coil__park_again(&self->place, &queue->coil__putters);
    return queue->coil__kind == PRIORITY ? 0 : put_at_last(queue, &self->item);
}

/* The queue is full. This is a tail call, so the item is handed on by value: where a pointer to it is
 * handed out, gcc makes none. */
static inline int wait_to_put(coil_queue *queue, coil_value item)
{
    if (queue->coil__shut_down)
        return coil__fail_plain(COIL_ESHUTDOWN);
    if (!coil__park_allowed(&queue->coil__putters, &queue->coil__leaving))
        return coil__park_refuse("queue_put");
    struct patient *self = (struct patient *)coil__task_room(coil__thread.task);
    self->queue = queue;
    coil__value_copy(&self->item, &item);
    return coil__park_last(&self->place, &queue->coil__putters, &queue->coil__leaving, "queue_put",
                           rest_of_put);
}

static __attribute__((noinline)) int put_otherwise(coil_queue *queue, coil_value item)
{
    int rc = coil_queue_full(queue) ? wait_to_put(queue, coil_nil()) : 0;
    return rc < 0 ? rc : put_at_last(queue, &item);
}

static __attribute__((noinline)) int put_in_turn(coil_queue *queue, coil_value item)
{
    if (coil_queue_full(queue) && queue->coil__kind != PRIORITY)
        return wait_to_put(queue, item);
    return put_otherwise(queue, item);
}

int coil_queue_put(coil_queue *queue, coil_value item)
{
    return easy_put(queue) ? put_easily(queue, &item) : put_in_turn(queue, item);
}

static int rest_of_get(struct coil__wait *wait, int rc)
{
    struct patient *self = patient_of(wait);
    coil_queue *queue = self->queue;
    rc = coil__parked_over(&self->place, rc);
    if (COIL_UNLIKELY(rc < 0)) {
        if (wakes_in_vain(&self->place, rc) && queue->coil__count > 0)
            coil__waitlist_wake_first(&queue->coil__getters);
        return rc;
    }
    if (easy_get(queue))
        return get_easily(queue, self->item_out);
    if (queue->coil__count == 0)
        return queue->coil__shut_down ? coil__fail_plain(COIL_ESHUTDOWN)
                                      : coil__park_again(&self->place, &queue->coil__getters);
    return queue->coil__kind == PRIORITY ? 0 : get_slowly(queue, self->item_out);
}

/* The queue is empty. */
static inline int wait_to_get(coil_queue *queue, coil_value *item_out)
{
    if (queue->coil__shut_down)
        return coil__fail_plain(COIL_ESHUTDOWN);
    if (!coil__park_allowed(&queue->coil__getters, &queue->coil__leaving))
        return coil__park_refuse("queue_get");
    struct patient *self = (struct patient *)coil__task_room(coil__thread.task);
    self->queue = queue;
    self->item_out = item_out;
    return coil__park_last(&self->place, &queue->coil__getters, &queue->coil__leaving, "queue_get",
                           rest_of_get);
}

static __attribute__((noinline)) int get_otherwise(coil_queue *queue, coil_value *item_out)
{
    int rc = queue->coil__count == 0 ? wait_to_get(queue, NULL) : 0;
    return rc < 0 ? rc : get_slowly(queue, item_out);
}

static __attribute__((noinline)) int get_in_turn(coil_queue *queue, coil_value *item_out)
{
    if (queue->coil__count == 0 && queue->coil__kind != PRIORITY)
        return wait_to_get(queue, item_out);
    return get_otherwise(queue, item_out);
}

int coil_queue_get(coil_queue *queue, coil_value *item_out)
{
    return easy_get(queue) ? get_easily(queue, item_out) : get_in_turn(queue, item_out);
}

/* ---- the work that items stand for -------------------------------------------------------------- */

int coil_queue_task_done(coil_queue *queue)
{
    if (queue->coil__unfinished == 0)
        return coil__fail(COIL_EINVAL, "task_done was called too often");
    int rc = coil__waitlist_check_thread(&queue->coil__joiners);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    if (--queue->coil__unfinished == 0)
        coil__waitlist_wake_all(&queue->coil__joiners);
    return 0;
}

int coil_queue_join(coil_queue *queue)
{
    struct coil__parked place;
    if (queue->coil__unfinished == 0)
        return 0;
    return coil__park(&place, &queue->coil__joiners, NULL, "queue_join");
}

/* ---- ending ------------------------------------------------------------------------------------- */

static void drop_items(coil_queue *queue)
{
    while (queue->coil__count > 0) {
        coil_value item;
        take(queue, &item);
        if (queue->coil__unfinished > 0)
            queue->coil__unfinished--;
        coil__value_drop(&item);
    }
}

int coil_queue_shutdown(coil_queue *queue, bool immediate)
{
    struct coil__waitlist *lists[] = { &queue->coil__getters, &queue->coil__putters,
                                       &queue->coil__joiners };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        int rc = coil__waitlist_check_thread(lists[i]);
        if (COIL_UNLIKELY(rc < 0))
            return rc;
    }
    queue->coil__shut_down = true;
    queue->coil__easy = 0;
    if (immediate) {
        drop_items(queue);
        if (queue->coil__unfinished == 0)
            coil__waitlist_wake_all(&queue->coil__joiners);
    }
    coil__waitlist_wake_all(&queue->coil__getters);
    coil__waitlist_wake_all(&queue->coil__putters);
    return 0;
}

void coil_queue_fini(coil_queue *queue)
{
    struct coil__waitlist *lists[] = { &queue->coil__getters, &queue->coil__putters,
                                       &queue->coil__leaving, &queue->coil__joiners };
    coil__waitlists_end(lists, sizeof lists / sizeof lists[0],
                        "a queue was destroyed while tasks waited for it");
    queue->coil__shut_down = true; /* for destructors that look at the queue they are in */
    queue->coil__easy = 0;
    drop_items(queue);
    coil__free(queue->coil__items);
    queue->coil__items = NULL;
    queue->coil__room = queue->coil__head = 0;
}
