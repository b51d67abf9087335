#include "io/concurrent.h"

#include <math.h>
#include <time.h>
#include "base/alloc.h"
#include "base/thread.h"

enum {
    NS = 1000 * 1000 * 1000
};

/* ---- waiting with a limit ----------------------------------------------------------------------- */

void coil__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes; /* none of this fails on Linux */
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec coil__time_after(double seconds)
{
    static const double most = 1e9; /* thirty years: the sum still fits */
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    seconds = seconds > most ? most : seconds > 0 ? seconds : 0;
    time_t whole = (time_t)seconds;
    time.tv_sec += whole;
    time.tv_nsec += (long)((seconds - (double)whole) * NS);
    if (time.tv_nsec >= NS) {
        time.tv_sec++;
        time.tv_nsec -= NS;
    }
    return time;
}

bool coil__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, double timeout,
                     const struct timespec *until)
{
    if (isinf(timeout))
        return pthread_cond_wait(cond, lock) == 0;
    return pthread_cond_timedwait(cond, lock, until) == 0;
}

/* ---- life --------------------------------------------------------------------------------------- */

void coil__concurrent_init(coil_concurrent_future *future, const struct coil__type *type)
{
    coil__shared_init(&future->shared, type);
    pthread_mutex_init(&future->lock, NULL);
    future->sleepers = 0;
    future->has_slept = false;
    future->state = COIL__CONCURRENT_PENDING;
    future->by_hand = false;
    future->code = 0;
    future->error = NULL;
    future->value = coil_nil();
    future->listeners = NULL;
    future->listeners_end = &future->listeners;
    future->on_cancel = NULL;
}

void coil__concurrent_fini(coil_concurrent_future *future)
{
    coil_unref(future->error);
    coil_value_clear(&future->value);
    if (future->has_slept)
        pthread_cond_destroy(&future->done);
    pthread_mutex_destroy(&future->lock);
}

static void concurrent_destroy(void *object)
{
    coil__concurrent_fini(object);
    coil__free(object);
}

static const struct coil__type concurrent_type = { COIL__KIND_CONCURRENT, "concurrent future",
                                                   concurrent_destroy };

coil_concurrent_future *coil_concurrent_future_new(void)
{
    coil_concurrent_future *future = coil__alloc(sizeof *future);
    if (!future)
        return coil__fail_null(COIL_ENOMEM);
    coil__concurrent_init(future, &concurrent_type);
    future->by_hand = true;
    return future;
}

/* ---- completing --------------------------------------------------------------------------------- */

static bool is_done(const coil_concurrent_future *future)
{
    return future->state >= COIL__CONCURRENT_DONE;
}

/* With the lock, which it gives back: wakes and tells everybody. */
static void finish_locked(coil_concurrent_future *future, enum coil__concurrent_state state)
{
    struct coil__listener *listener = future->listeners;
    future->state = (uint8_t)state;
    future->listeners = NULL;
    if (future->sleepers > 0)
        pthread_cond_broadcast(&future->done);
    pthread_mutex_unlock(&future->lock);

    if (state == COIL__CONCURRENT_CANCELLED && future->on_cancel)
        future->on_cancel(future);
    while (listener) {
        struct coil__listener *next = listener->next;
        listener->tell(listener, future);
        listener = next;
    }
}

bool coil__concurrent_begin(coil_concurrent_future *future)
{
    pthread_mutex_lock(&future->lock);
    bool begins = future->state == COIL__CONCURRENT_PENDING;
    if (begins)
        future->state = COIL__CONCURRENT_RUNNING;
    pthread_mutex_unlock(&future->lock);
    return begins;
}

bool coil__concurrent_finish(coil_concurrent_future *future, int code, coil_error *error,
                             coil_value value)
{
    pthread_mutex_lock(&future->lock);
    if (is_done(future)) {
        pthread_mutex_unlock(&future->lock);
        coil_unref(error);
        coil_value_clear(&value);
        return false;
    }
    future->code = code;
    future->error = error;
    future->value = value;
    finish_locked(future, code == 0                ? COIL__CONCURRENT_DONE
                          : code == COIL_ECANCELED ? COIL__CONCURRENT_CANCELLED
                                                   : COIL__CONCURRENT_FAILED);
    return true;
}

bool coil_concurrent_future_cancel(coil_concurrent_future *future)
{
    pthread_mutex_lock(&future->lock);
    if (future->state != COIL__CONCURRENT_PENDING) {
        bool cancelled = future->state == COIL__CONCURRENT_CANCELLED;
        pthread_mutex_unlock(&future->lock);
        return cancelled;
    }
    future->code = COIL_ECANCELED;
    coil__shared_ref(&future->shared); /* those who are told may give theirs back */
    finish_locked(future, COIL__CONCURRENT_CANCELLED);
    coil__shared_unref(&future->shared);
    return true;
}

static int complete_by_hand(coil_concurrent_future *future, int code, coil_error *error,
                            coil_value value)
{
    if (!future->by_hand) {
        coil_unref(error);
        coil_value_clear(&value);
        return coil__fail(COIL_ERUNTIME, "the future is completed by its executor, or its task");
    }
    if (!coil__concurrent_finish(future, code, error, value))
        return coil__fail(COIL_EINVALIDSTATE, "the concurrent future is done already");
    return 0;
}

int coil_concurrent_future_set_result(coil_concurrent_future *future, coil_value value)
{
    return complete_by_hand(future, 0, NULL, value);
}

int coil_concurrent_future_set_exception(coil_concurrent_future *future, int code)
{
    if (code >= 0 || code == COIL_ECANCELED)
        return coil__fail(COIL_EINVAL, "%d (%s) cannot be a future's error", code,
                          coil_error_name(code));
    const coil_error *error = coil_error_current(code);
    return complete_by_hand(future, code, error ? coil__error_copy(error) : NULL, coil_nil());
}

void coil__concurrent_listen(coil_concurrent_future *future, struct coil__listener *listener)
{
    pthread_mutex_lock(&future->lock);
    bool done = is_done(future);
    if (!done) {
        listener->next = NULL;
        *future->listeners_end = listener;
        future->listeners_end = &listener->next;
    }
    pthread_mutex_unlock(&future->lock);
    if (done)
        listener->tell(listener, future);
}

/* ---- asking and waiting ------------------------------------------------------------------------- */

static enum coil__concurrent_state state_of(coil_concurrent_future *future)
{
    pthread_mutex_lock(&future->lock);
    enum coil__concurrent_state state = future->state;
    pthread_mutex_unlock(&future->lock);
    return state;
}

bool coil_concurrent_future_done(coil_concurrent_future *future)
{
    return state_of(future) >= COIL__CONCURRENT_DONE;
}

bool coil_concurrent_future_cancelled(coil_concurrent_future *future)
{
    return state_of(future) == COIL__CONCURRENT_CANCELLED;
}

bool coil_concurrent_future_running(coil_concurrent_future *future)
{
    return state_of(future) == COIL__CONCURRENT_RUNNING;
}

int coil__concurrent_take(coil_concurrent_future *future, bool whole, coil_value *value_out,
                          coil_error **error_out)
{
    pthread_mutex_lock(&future->lock);
    int code = future->code;
    *error_out = NULL;
    if (code == 0) {
        *value_out = future->value;
        future->value.drop = NULL;
    } else if (whole) {
        *error_out = future->error;
        future->error = NULL;
    } else if (future->error) {
        *error_out = coil__error_copy(future->error);
    }
    pthread_mutex_unlock(&future->lock);
    return code;
}

/* With the lock. 0 when it is done. */
static int wait_locked(coil_concurrent_future *future, double timeout)
{
    if (is_done(future))
        return 0;
    if (timeout <= 0)
        return COIL_ETIMEDOUT;
    if (coil__thread.loop)
        return COIL_ERUNTIME;
    if (!future->has_slept)
        coil__cond_init(&future->done);
    future->has_slept = true;
    struct timespec until = coil__time_after(timeout);
    bool in_time = true;
    future->sleepers++;
    while (!is_done(future) && in_time)
        in_time = coil__cond_wait(&future->done, &future->lock, timeout, &until);
    future->sleepers--;
    return is_done(future) ? 0 : COIL_ETIMEDOUT;
}

static int result(coil_concurrent_future *future, double timeout, bool take, coil_value *value_out)
{
    if (isnan(timeout))
        return coil__fail(COIL_EINVAL, "the timeout is not a number");
    coil_error *error = NULL;
    pthread_mutex_lock(&future->lock);
    int wait = wait_locked(future, timeout), rc = wait;
    if (wait == 0) {
        rc = future->code;
        error = rc < 0 && future->error ? coil__error_copy(future->error) : NULL;
        if (rc == 0 && value_out)
            *value_out = take ? future->value : coil_value_view(future->value);
        if (rc == 0 && take)
            future->value.drop = NULL;
    }
    pthread_mutex_unlock(&future->lock);

    if (wait == COIL_ERUNTIME)
        return coil__fail(wait, "a loop runs in this thread: wrap the future, and await it");
    if (wait < 0)
        return coil__fail(wait, "the concurrent future is not done");
    if (rc < 0)
        coil__fail_with(rc, error);
    coil_unref(error);
    return rc;
}

int coil_concurrent_future_result(coil_concurrent_future *future, double timeout,
                                  coil_value *value_out)
{
    return result(future, timeout, false, value_out);
}

int coil_concurrent_future_take_result(coil_concurrent_future *future, double timeout,
                                       coil_value *value_out)
{
    return result(future, timeout, true, value_out);
}
