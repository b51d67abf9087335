/* Concurrent futures, inside the library. The public half is in <coil/executor.h>.
 *
 * Whoever completes one calls those who wait, in its own thread: what they do there is short, and leads to
 * a loop's inbox. */
#ifndef COIL_IO_CONCURRENT_H
#define COIL_IO_CONCURRENT_H

#include <pthread.h>
#include <coil/executor.h>
#include "base/error.h"
#include "base/object.h"
#include "base/value.h"

enum coil__concurrent_state {
    COIL__CONCURRENT_PENDING,
    COIL__CONCURRENT_RUNNING, /* a job that has begun */
    COIL__CONCURRENT_DONE,
    COIL__CONCURRENT_FAILED,
    COIL__CONCURRENT_CANCELLED,
};

/* Told once, when the future is done: in the thread that completes or cancels it, outside its lock. */
struct coil__listener {
    struct coil__listener *next;
    void (*tell)(struct coil__listener *self, coil_concurrent_future *future);
};

struct coil_concurrent_future {
    struct coil__shared shared;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t done;  /* made for the first that waits */
    bool has_slept;
    unsigned sleepers; /* threads that wait for `done` */
    uint8_t state;     /* enum coil__concurrent_state */
    bool by_hand;      /* completed by coil_concurrent_future_set_result */
    int code;          /* FAILED */
    coil_error *error; /* FAILED, CANCELLED: nobody else refers to it; NULL: none */
    coil_value value;  /* DONE */
    struct coil__listener *listeners, **listeners_end;
    /* Called after it was cancelled, before the listeners; or NULL. */
    void (*on_cancel)(coil_concurrent_future *future);
};

/* In the caller's memory: pending, one reference. */
void coil__concurrent_init(coil_concurrent_future *future, const struct coil__type *type);
/* Gives back what it holds, not its memory. */
void coil__concurrent_fini(coil_concurrent_future *future);

/* PENDING to RUNNING: from now on it cannot be cancelled. False: it was cancelled. */
bool coil__concurrent_begin(coil_concurrent_future *future);

/* Completes it: code 0 with a value, COIL_ECANCELED or an error with a record that nobody else refers to
 * (NULL: none). Both are consumed. False: it was done already, and both are gone. */
bool coil__concurrent_finish(coil_concurrent_future *future, int code, coil_error *error,
                             coil_value value);

/* Has the listener told; at once, if it is done already. */
void coil__concurrent_listen(coil_concurrent_future *future, struct coil__listener *listener);

/* What a done one is worth: 0 and the value, which moves, or the code. *error_out is owned: the record itself
 * if `whole`, or else a copy. */
int coil__concurrent_take(coil_concurrent_future *future, bool whole, coil_value *value_out,
                          coil_error **error_out);

/* For waiting with a limit: a condition on the monotonic clock, and a time on it. */
void coil__cond_init(pthread_cond_t *cond);
struct timespec coil__time_after(double seconds);
/* Waits until told or, unless the timeout is infinite, until the time. False: the time has come. */
bool coil__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double timeout,
                     const struct timespec *until);

#endif
