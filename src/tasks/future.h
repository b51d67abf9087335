/* Futures, inside the library. The public half is <coil/future.h>. */
#ifndef COIL_TASKS_FUTURE_H
#define COIL_TASKS_FUTURE_H

#include <coil/future.h>
#include <coil/timeout.h>
#include "base/list.h"
#include "base/error.h"
#include "base/object.h"
#include "base/place.h"
#include "base/value.h"
#include "loop/loop.h"

enum coil__future_state {
    COIL__FUTURE_PENDING,
    COIL__FUTURE_DONE,
    COIL__FUTURE_FAILED,
    COIL__FUTURE_CANCELLED,
};

enum coil__future_flag {
    COIL__FUTURE_UNREAD = 1,        /* failed, and nobody has looked */
    COIL__FUTURE_GATHERING = 2,     /* of coil_gather: cancelling it cancels the children */
    COIL__FUTURE_PLACED = 8,        /* made in debug mode: where, stands behind the object */
    COIL__FUTURE_KEEPS_MESSAGE = 4, /* a task that returned while a cancellation was due */
};

struct coil__task;

struct coil_future {
    struct coil__object object; /* .state: enum coil__future_state */
    coil_loop *loop;            /* one reference */
    struct coil__link waiters;  /* struct coil__waiter, in the order in which they came */
    union {
        coil_value value;               /* DONE */
        struct {                        /* PENDING, of a task: for as long as it may run */
            struct coil__group *groups; /* task groups it is in, the latest first */
            coil_gen *generator;        /* whose body runs in it, on whose stack; the innermost */
            coil_timeout *limits;       /* timeouts and cancel scopes it is in, the latest first */
        };
        struct {
            coil_error *error;           /* FAILED, CANCELLED: the record, owned; NULL: none */
            struct coil__reason *reason; /* of a cancellation, owned; NULL: not known */
            int code;
        };
    };
};

/* Whoever is to be told that a future is done: a task, a callback, a gathering. Told once, in the moment
 * of completion, when it has been taken off the list; it queues what is to run, and runs nothing. future
 * is NULL if it goes while it is pending. */
struct coil__waiter {
    struct coil__link link;
    void (*wake)(struct coil__waiter *self, coil_future *future);
};

/* Who looks from outside (trace/inspect.h) finds the way from a waiter to the future, or task, that waits:
 * `steps` pointers to follow, the first one so many bytes from the waiter, each further one from where the
 * one before led to; and the future itself lies at the last offset. A NULL on the way: nobody waits. */
enum coil__awaits {
    COIL__AWAITS,         /* goes on when the future is done, and not before */
    COIL__AWAITS_AT_EXIT, /* the same, once it waits in "task group" */
    COIL__AWAITS_SOME,    /* perhaps sooner */
};

struct coil__waiter_kind {
    void (*wake)(struct coil__waiter *self, coil_future *future); /* of all waiters of this kind */
    int32_t awaits;                                               /* enum coil__awaits */
    int32_t steps;
    int32_t path[4];
};

#define COIL__FROM_WAITER(type, waiter, member)                                                    \
    ((int32_t)offsetof(type, member) - (int32_t)offsetof(type, waiter))

extern const struct coil__waiter_kind coil__waiter_await;

extern const struct coil__type coil__future_type;

/* Debug mode: notes where a future was made, in a word behind the object. */
void coil__future_set_place(coil_future *future, const void *made_at);

static inline size_t coil__future_bytes(const coil_future *future, size_t bytes)
{
    return bytes + (future->object.flags & COIL__FUTURE_PLACED ? sizeof(void *) : 0);
}

/* Where a future was made, for messages; NULL outside debug mode. */
const char *coil__future_place(const coil_future *future, char text[COIL__PLACE_BYTES]);

/* In the caller's memory: pending, one reference. */
static inline void coil__future_init(coil_future *future, const struct coil__type *type,
                                     coil_loop *loop)
{
    coil__object_init(&future->object, type);
    coil__ref(&loop->object);
    future->loop = loop;
    coil__list_init(&future->waiters);
}

/* A done callback that is made before the future it is for, so that adding it cannot fail. One that is not
 * added is given back with coil_unref. NULL: COIL_ENOMEM. */
struct coil__done_callback *coil__done_callback_new(coil_loop *loop, coil_done_callback fn,
                                                    void *arg, coil_context *context);
/* Takes the reference. */
void coil__done_callback_add(struct coil__done_callback *callback, coil_future *future);

void coil__future_fini_slowly(coil_future *future);

/* Gives back what a future owns, reports an error nobody has looked at. */
static inline void coil__future_fini(coil_future *future)
{
    if (COIL_UNLIKELY(future->object.state != COIL__FUTURE_DONE ||
                      !coil__list_empty(&future->waiters)))
        coil__future_fini_slowly(future);
    else
        coil__value_drop(&future->value);
    coil__unref(&future->loop->object);
}

static inline bool coil__future_pending(const coil_future *future)
{
    return future->object.state == COIL__FUTURE_PENDING;
}

static inline void coil__future_await(coil_future *future, struct coil__waiter *waiter)
{
    coil__list_append(&future->waiters, &waiter->link);
}

/* Complete a pending future, task or not, and wake its waiters. *value and error are consumed. */
void coil__future_finish(coil_future *future, const coil_value *value);
void coil__future_fail(coil_future *future, int code, coil_error *error);
void coil__future_finish_cancelled(coil_future *future, coil_error *error);

/* coil_future_cancel with a record for the message (borrowed, or NULL). */
bool coil__future_cancel(coil_future *future, coil_error *message);

/* The same for a reason, which is consumed: every task and future that it reaches keeps it. */
bool coil__future_cancel_for(coil_future *future, struct coil__reason *reason, coil_error *message);

/* What a done future is worth, raised in the running task: 0 and a view of the value, or the code. */
int coil__future_outcome(coil_future *future, coil_value *value_out);

/* The error of a cancelled future, for one who raises it: a reference, or NULL. As in CPython, the message
 * of a cancelled task goes to the first who asks: the error that ended it is passed on once. */
coil_error *coil__future_take_message(coil_future *future);

/* Whether what the future failed with is a cancellation: its own, or, of a gathering, a child's. */
static inline bool coil__future_ended_cancelled(const coil_future *future)
{
    return future->object.state == COIL__FUTURE_CANCELLED ||
           (future->object.state == COIL__FUTURE_FAILED && future->code == COIL_ECANCELED);
}

/* The record for a cancel message: NULL for none, or when there is no memory for it. */
coil_error *coil__cancel_record(const char *message);

/* Where a cancellation on its way down is in a gathering (see cancel.c). */
struct coil__cancelling {
    struct coil__cancelling *up;     /* in the gathering above; NULL: it began here */
    coil_future *gathering;          /* NULL: no cancellation is on its way here */
    struct coil__task *first, *last; /* the tasks on the way from there; NULL: none */
    size_t next;                     /* child */
    bool asked;                      /* some child was pending */
    bool by_scope;                   /* it is no request to the last task */
};

/* What cancelling needs to know of a gathering: its place; its children in order, then NULL; and that they
 * were asked. Implemented by the structure layer. */
struct coil__cancelling *coil__gathering_place(coil_future *gathering);
coil_future *coil__gathering_child(coil_future *gathering, size_t index);
void coil__gathering_was_cancelled(coil_future *gathering);

#endif
