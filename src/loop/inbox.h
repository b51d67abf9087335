/* The door for other threads: posts that the loop takes in and queues as handles. See inbox.c. */
#ifndef COIL_LOOP_INBOX_H
#define COIL_LOOP_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <coil/loop.h>
#include "loop/ready.h"

enum {
    COIL__SEGMENT_POSTS = 254, /* with the link and the rest a segment fills 8 KiB */
    COIL__INBOX_DRAIN_MAX =
        4096, /* taken in one turn, so that a flood does not keep the loop from I/O */
};

/* One call. `fn` is written last: a slot without it is not there yet. */
struct coil__post {
    _Atomic(coil_callback) fn;
    void *arg;
    void (*release)(void *arg);
    coil_context *context;
};

/* A call that must not be lost for want of memory: lies in its sender's. */
struct coil__late {
    coil_callback fn; /* the library's own: runs no user code */
    void *arg;
    void (*release)(void *arg); /* called when fn has run, or never will: the memory may go then */
    coil_loop *loop;
    struct coil__ready ready;
    struct coil__late *next;
};

struct coil__segment {
    /* The last is the link: its `fn` is set when `next` is, so that it looks like one more post. */
    struct coil__post posts[COIL__SEGMENT_POSTS + 1];
    struct coil__segment *next; /* the one behind it; of a spare one, the next spare */
    atomic_uint claimed; /* slots given out; COIL__SEGMENT_POSTS and more: it takes no more */
};

struct coil__inbox {
    struct coil__post *first;             /* the loop's: the oldest slot not taken yet */
    struct coil__segment *head;           /* the loop's: the segment it lies in */
    _Atomic(struct coil__segment *) tail; /* where senders claim slots */
    atomic_int wakers;                    /* senders that are about to use the backend */
    pthread_mutex_t growing;      /* guards what follows, and putting a segment behind the tail */
    struct coil__segment *spares; /* emptied; kept for the next that are needed */
    struct coil__late *late, **late_end; /* for which there was no segment; in order */
    bool closed;
    atomic_bool has_late;
};

int coil__inbox_init(struct coil__inbox *inbox);
void coil__inbox_fini(struct coil__inbox *inbox);

/* Whether there is a call to take. The loop's thread. */
static inline bool coil__inbox_pending(const struct coil__inbox *inbox)
{
    return atomic_load_explicit(&inbox->first->fn, memory_order_acquire) != NULL;
}

/* The last look before sleeping, after loop->sleeping has been set: see inbox.c for the order. */
static inline bool coil__inbox_pending_at_last(const struct coil__inbox *inbox)
{
    return atomic_load(&inbox->first->fn) != NULL || atomic_load(&inbox->has_late);
}

/* coil_call_soon_threadsafe for the library: in order with what the calling thread has posted before, and
 * fails only with COIL_ECLOSED (nothing is released then). The caller sees to it that the loop's memory
 * stays (coil__loop_hold). Any thread. */
int coil__inbox_post_late(struct coil__late *late);

/* Queues what other threads have posted. What there is no memory for stays for the next time. */
void coil__inbox_drain(coil_loop *loop);

/* In a child of fork, whose parent's threads are not there: refuses further calls. */
void coil__inbox_orphan(coil_loop *loop);

/* Refuses further calls, drops those that were posted, and waits until no sender uses the backend. */
void coil__inbox_shut(coil_loop *loop);

#endif
