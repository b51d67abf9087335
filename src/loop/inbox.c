/* Calls from other threads: an array of slots, in segments, that senders claim and fill and the loop empties.
 *
 *     head                         tail
 *     [x x x . . . | link] ------> [. . . . _ _ | link]
 *            ^ first                        ^ claimed
 *
 * A sender claims a slot by one atomic addition, fills it, and writes `fn` last. The loop takes slots in
 * order up to the first without `fn`. Slots lie side by side, so that emptying them is one walk through
 * memory: in a list every step would wait for a line that another processor has just written. A segment
 * is never freed while the loop lives, because a slow sender may still try to claim in it; it finds then
 * that the segment is full, or in use again. Only exchanging a segment, every 254 posts, takes a lock.
 *
 * The loop says that it is about to sleep before it looks into the inbox for the last time; a sender
 * fills its slot before it looks whether the loop sleeps. One of the two sees the other. Only the
 * sender that finds the loop asleep pays for waking it. */
#include "loop/inbox.h"

#include <sched.h>
#include <string.h>
#include "base/error.h"
#include "loop/loop.h"

/* What stands in a link's fn: never called. */
static int link_mark(void *arg)
{
    (void)arg;
    return 0;
}

static struct coil__segment *segment_new(void)
{
    struct coil__segment *segment = coil__alloc(sizeof *segment);
    if (segment)
        memset(segment, 0, sizeof *segment);
    return segment;
}

int coil__inbox_init(struct coil__inbox *inbox)
{
    struct coil__segment *segment = segment_new();
    if (!segment)
        return coil__fail_plain(COIL_ENOMEM);
    inbox->head = segment;
    inbox->first = segment->posts;
    atomic_init(&inbox->tail, segment);
    atomic_init(&inbox->wakers, 0);
    inbox->spares = NULL;
    inbox->late = NULL;
    inbox->late_end = &inbox->late;
    inbox->closed = false;
    atomic_init(&inbox->has_late, false);
    pthread_mutex_init(&inbox->growing, NULL); /* with default attributes it cannot fail here */
    return 0;
}

static void free_segments(struct coil__segment *segment)
{
    while (segment) {
        struct coil__segment *next = segment->next;
        coil__free(segment);
        segment = next;
    }
}

void coil__inbox_fini(struct coil__inbox *inbox)
{
    free_segments(inbox->head);
    free_segments(inbox->spares);
    (void)pthread_mutex_destroy(
        &inbox->growing); /* nobody holds it: the loop's last reference has gone */
}

/* ---- sending ------------------------------------------------------------------------------------ */

/* Puts a segment behind a full tail, unless somebody has done it. The caller may be late: by now the
 * segment may have been emptied, and be the tail for the second time, with free slots. A refusal sets
 * the count back, which would be zero again after some thousand million vain attempts. */
static int grow(struct coil__inbox *inbox, struct coil__segment *full)
{
    int rc = 0;
    pthread_mutex_lock(&inbox->growing);
    if (inbox->closed) {
        rc = COIL_ECLOSED;
    } else if (atomic_load(&inbox->tail) == full &&
               atomic_load(&full->claimed) >= COIL__SEGMENT_POSTS) {
        struct coil__segment *segment = inbox->spares;
        if (segment)
            inbox->spares = segment->next;
        else
            segment = segment_new();
        if (segment) {
            segment->next = NULL;
            atomic_store(&segment->claimed, 0);
            full->next = segment;
            atomic_store_explicit(&full->posts[COIL__SEGMENT_POSTS].fn, link_mark,
                                  memory_order_release);
            atomic_store(&inbox->tail, segment);
        } else {
            rc = COIL_ENOMEM;
        }
    }
    if (rc < 0)
        atomic_store(&full->claimed, COIL__SEGMENT_POSTS);
    pthread_mutex_unlock(&inbox->growing);
    return rc;
}

/* A slot that is the caller's to fill; NULL with the code in *rc. */
static struct coil__post *claim(struct coil__inbox *inbox, int *rc)
{
    for (;;) {
        struct coil__segment *tail = atomic_load_explicit(&inbox->tail, memory_order_acquire);
        unsigned slot = atomic_fetch_add(&tail->claimed, 1);
        if (slot < COIL__SEGMENT_POSTS)
            return &tail->posts[slot];
        *rc = grow(inbox, tail);
        if (*rc < 0)
            return NULL;
    }
}

/* The count lets close wait until nobody is about to use the backend. */
static void wake(coil_loop *loop)
{
    atomic_fetch_add(&loop->inbox.wakers, 1);
    if (atomic_exchange(&loop->sleeping, false))
        loop->backend->ops->wake(loop->backend);
    atomic_fetch_sub(&loop->inbox.wakers, 1);
}

int coil_call_soon_threadsafe(coil_loop *loop, coil_callback fn, void *arg)
{
    return coil_call_soon_threadsafe_with(loop, fn, arg, NULL);
}

/* context is consumed on success. */
static int post(coil_loop *loop, coil_callback fn, void *arg, void (*release)(void *arg),
                coil_context *context)
{
    int rc = 0;
    struct coil__post *slot = claim(&loop->inbox, &rc);
    if (COIL_UNLIKELY(!slot))
        return rc;
    slot->arg = arg;
    slot->release = release;
    slot->context = context;
    atomic_store(&slot->fn, fn);
    if (atomic_load(&loop->sleeping))
        wake(loop);
    return 0;
}

int coil_call_soon_threadsafe_with(coil_loop *loop, coil_callback fn, void *arg,
                                   const coil_call_options *options)
{
    if (coil__thread.loop == loop) /* its own thread: in order with what that queues otherwise */
        return coil_call_soon_with(loop, fn, arg, options, NULL);
    if (COIL_UNLIKELY(!fn))
        return coil__fail(COIL_EINVAL, "no callback");
    coil_context *context;
    int rc = coil__context_for(options, &context);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    rc = post(loop, fn, arg, options ? options->release : NULL, context);
    if (COIL_UNLIKELY(rc < 0)) {
        coil_unref(context);
        return rc == COIL_ECLOSED ? coil__loop_refuse_closed(loop) : coil__fail_plain(rc);
    }
    return 0;
}

/* ---- what must not be lost ---------------------------------------------------------------------- */

static void run_late(struct coil__ready *ready)
{
    struct coil__late *late = COIL__CONTAINER(ready, struct coil__late, ready);
    void (*release)(void *arg) = late->release;
    void *arg = late->arg;
    if (!late->loop->closed)
        (void)late->fn(arg); /* has nobody to tell of an error */
    release(arg);
}

/* There is no segment for it, and no memory for one: it waits in a list of its own. */
static int keep_late(struct coil__inbox *inbox, struct coil__late *late)
{
    pthread_mutex_lock(&inbox->growing);
    bool closed = inbox->closed;
    if (!closed) {
        late->next = NULL;
        *inbox->late_end = late;
        inbox->late_end = &late->next;
        atomic_store(&inbox->has_late, true);
    }
    pthread_mutex_unlock(&inbox->growing);
    return closed ? COIL_ECLOSED : 0;
}

int coil__inbox_post_late(struct coil__late *late)
{
    coil_loop *loop = late->loop;
    late->ready.run = run_late;
    if (coil__thread.loop == loop) {
        if (loop->closed)
            return COIL_ECLOSED;
        coil__loop_push(loop, &late->ready);
        return 0;
    }
    coil__loop_hold(
        loop); /* what is posted may be over, and the sender's own hold with it, before we are */
    int rc = post(loop, late->fn, late->arg, late->release, NULL);
    if (COIL_UNLIKELY(rc == COIL_ENOMEM)) {
        rc = keep_late(&loop->inbox, late);
        if (rc == 0 && atomic_load(&loop->sleeping))
            wake(loop);
    }
    coil__loop_let_go(loop);
    return rc;
}

static struct coil__late *take_late(struct coil__inbox *inbox)
{
    pthread_mutex_lock(&inbox->growing);
    struct coil__late *late = inbox->late;
    inbox->late = NULL;
    inbox->late_end = &inbox->late;
    atomic_store(&inbox->has_late, false);
    pthread_mutex_unlock(&inbox->growing);
    return late;
}

/* ---- taking ------------------------------------------------------------------------------------- */

/* The head has been emptied, and another segment stands behind it. */
static void leave_head(struct coil__inbox *inbox)
{
    struct coil__segment *empty = inbox->head;
    inbox->head = empty->next;
    inbox->first = inbox->head->posts;
    atomic_store_explicit(&empty->posts[COIL__SEGMENT_POSTS].fn, NULL, memory_order_relaxed);
    pthread_mutex_lock(&inbox->growing);
    empty->next = inbox->spares;
    inbox->spares = empty;
    pthread_mutex_unlock(&inbox->growing);
}

/* The oldest post; NULL if there is none. */
static struct coil__post *oldest(struct coil__inbox *inbox)
{
    while (coil__inbox_pending(inbox)) {
        if (inbox->first != &inbox->head->posts[COIL__SEGMENT_POSTS])
            return inbox->first;
        leave_head(inbox);
    }
    return NULL;
}

/* The slot is empty again. */
static void take(struct coil__inbox *inbox)
{
    atomic_store_explicit(&inbox->first->fn, NULL, memory_order_relaxed);
    inbox->first++;
}

void coil__inbox_drain(coil_loop *loop)
{
    struct coil__inbox *inbox = &loop->inbox;
    struct coil__post *post;
    for (int i = 0; i < COIL__INBOX_DRAIN_MAX && (post = oldest(inbox)); i++) {
        coil_handle *handle = coil__block_take(sizeof *handle);
        if (!handle)
            return;
        coil__handle_init(handle, &coil__handle_type, loop,
                          atomic_load_explicit(&post->fn, memory_order_relaxed), post->arg,
                          post->context);
        handle->release = post->release;
        handle->object.flags = COIL__HANDLE_QUEUED;
        coil__loop_push(loop, &handle->timer.ready);
        take(inbox);
    }
    if (COIL_UNLIKELY(atomic_load_explicit(&inbox->has_late, memory_order_relaxed)))
        for (struct coil__late *late = take_late(inbox); late; late = late->next)
            coil__loop_push(loop, &late->ready);
}

/* Waits for the sender who has claimed the slot. */
static void await_post(const struct coil__post *post)
{
    while (!atomic_load_explicit(&post->fn, memory_order_acquire))
        sched_yield();
}

static void drop(struct coil__inbox *inbox)
{
    struct coil__post post = { .arg = inbox->first->arg,
                               .release = inbox->first->release,
                               .context = inbox->first->context };
    take(inbox);
    if (post.release)
        post.release(post.arg);
    coil_unref(post.context);
}

void coil__inbox_orphan(coil_loop *loop)
{
    struct coil__inbox *inbox = &loop->inbox;
    pthread_mutex_init(&inbox->growing, NULL); /* its holder may not be here to give it up */
    inbox->closed = true;
    atomic_store(&atomic_load(&inbox->tail)->claimed, COIL__SEGMENT_POSTS);
    atomic_store(&inbox->wakers, 0);
    atomic_store(&loop->sleeping, false);
}

void coil__inbox_shut(coil_loop *loop)
{
    struct coil__inbox *inbox = &loop->inbox;
    pthread_mutex_lock(&inbox->growing);
    inbox->closed = true;
    struct coil__segment *tail = atomic_load(&inbox->tail);
    unsigned claimed = atomic_exchange(&tail->claimed, COIL__SEGMENT_POSTS);
    pthread_mutex_unlock(&inbox->growing);
    if (claimed > COIL__SEGMENT_POSTS)
        claimed = COIL__SEGMENT_POSTS;

    const struct coil__post *end = &tail->posts[claimed];
    while (inbox->first != end) {
        await_post(inbox->first);
        if (oldest(inbox))
            drop(inbox);
    }
    for (struct coil__late *late = take_late(inbox), *next; late; late = next) {
        next = late->next;
        late->release(late->arg);
    }
    atomic_store(&loop->sleeping, false);
    while (atomic_load(&inbox->wakers) > 0)
        sched_yield();
}
