#include "loop/loop.h"

#include <assert.h>
#include <math.h>
#include "base/error.h"
#include "loop/trace.h"

/* ---- life --------------------------------------------------------------------------------------- */

/* The argument goes as soon as it cannot be needed any more. */
static inline void release_arg(coil_handle *handle)
{
    void (*release)(void *arg) = handle->release;
    handle->release = NULL;
    if (release)
        release(handle->arg);
}

static inline void handle_fini(coil_handle *handle)
{
    assert(!(handle->object.flags & COIL__HANDLE_QUEUED));
    release_arg(handle);
    if (COIL_UNLIKELY(handle->context != NULL))
        coil__unref(&handle->context->object);
}

void coil__handle_fini(coil_handle *handle)
{
    handle_fini(handle);
}

static void handle_destroy(void *object)
{
    coil_handle *handle = object;
    handle_fini(handle);
    coil__block_give(handle, sizeof *handle);
}

const struct coil__type coil__handle_type = { COIL__KIND_HANDLE, "handle", handle_destroy };

void coil__handle_init(coil_handle *handle, const struct coil__type *type, coil_loop *loop,
                       coil_callback fn, void *arg, coil_context *context)
{
    coil__object_init(&handle->object, type);
    handle->timer.ready.run = coil__handle_run;
    handle->timer.heap_index = COIL__TIMER_IDLE;
    handle->timer.due_ns = 0;
    handle->loop = loop;
    handle->fn = fn;
    handle->arg = arg;
    handle->release = NULL;
    handle->context = context;
}

void coil__handle_push(coil_handle *handle)
{
    assert(!(handle->object.flags & COIL__HANDLE_QUEUED));
    handle->object.flags |= COIL__HANDLE_QUEUED;
    coil__ref(&handle->object);
    coil__loop_push(handle->loop, &handle->timer.ready);
}

/* ---- running ------------------------------------------------------------------------------------ */

static void call(coil_loop *loop, coil_handle *handle)
{
    loop->callback_context = coil_ref(handle->context);
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS))
        coil__slow_begin(loop, NULL);

    int rc = handle->fn(handle->arg);
    if (COIL_UNLIKELY(rc == COIL_EEXIT || rc == COIL_EINTERRUPT))
        coil__loop_leave(loop, rc, coil_ref(coil_error_current(rc)));
    else if (COIL_UNLIKELY(rc < 0))
        COIL__REPORT(loop, .event = COIL_EVENT_CALLBACK_FAILED, .message = "callback failed",
                     .code = rc, .error = coil_error_current(rc), .handle = handle);

    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS))
        coil__slow_end(loop, NULL, COIL_STEP_DONE, handle);
    coil_unref(loop->callback_context);
    loop->callback_context = NULL;
    if (COIL_UNLIKELY(coil__thread.errors != NULL))
        coil__errors_forget_thread();
}

void coil__handle_run(struct coil__ready *ready)
{
    coil_handle *handle = COIL__CONTAINER(ready, coil_handle, timer.ready);
    handle->object.flags &= (uint8_t)~COIL__HANDLE_QUEUED;
    if (!(handle->object.flags & COIL__HANDLE_CANCELLED)) {
        call(handle->loop, handle);
        if (!(handle->object.flags & COIL__HANDLE_WATCHER))
            release_arg(handle);
    }
    coil__unref(&handle->object);
}

void coil__call_run(struct coil__ready *ready)
{
    struct coil__call *self = COIL__CONTAINER(ready, struct coil__call, ready);
    coil_loop *loop = self->loop; /* fn may free the rest */
    loop->callback_context = coil_ref(self->context);
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS))
        coil__slow_begin(loop, NULL);
    self->fn(self);
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS))
        coil__slow_end(loop, NULL, COIL_STEP_DONE, NULL);
    coil_unref(loop->callback_context);
    loop->callback_context = NULL;
    if (COIL_UNLIKELY(coil__thread.errors != NULL))
        coil__errors_forget_thread();
}

void coil__handles_drop(struct coil__ready *chain)
{
    while (chain) {
        struct coil__ready *next = chain->next;
        if (chain->run == coil__handle_run) {
            coil_handle *handle = COIL__CONTAINER(chain, coil_handle, timer.ready);
            handle->object.flags &= (uint8_t)~COIL__HANDLE_QUEUED;
            release_arg(handle); /* it will never run, however long somebody keeps the handle */
            coil__unref(&handle->object);
        } else if (chain->run && chain->run != coil__call_run) {
            chain->run(
                chain); /* the library's own: gives back what it holds, and runs no user code */
        }
        chain = next;
    }
}

/* ---- scheduling --------------------------------------------------------------------------------- */

static inline int context_for(const coil_call_options *options, coil_context **context_out)
{
    if (!options || !options->context)
        return coil__context_inherit(context_out);
    *context_out = coil_ref(options->context);
    return 0;
}

int coil__context_for(const coil_call_options *options, coil_context **context_out)
{
    return context_for(options, context_out);
}

/* A handle for fn, with its context, idle; NULL with the code in *rc. Inline, as is the rest of the way:
 * the calls without options are then as short as they can be (measured: 8 of 24 ns). */
static COIL_ALWAYS_INLINE coil_handle *handle_new(coil_loop *loop, coil_callback fn, void *arg,
                                                  const coil_call_options *options, int *rc)
{
    *rc = coil__loop_open_for_work(loop);
    if (COIL_UNLIKELY(*rc < 0))
        return NULL;
    coil_context *context;
    *rc = context_for(options, &context);
    if (COIL_UNLIKELY(*rc < 0))
        return NULL;
    coil_handle *handle = coil__block_take(sizeof *handle);
    if (COIL_UNLIKELY(!handle)) {
        coil_unref(context);
        *rc = coil__fail_plain(COIL_ENOMEM);
        return NULL;
    }
    coil__handle_init(handle, &coil__handle_type, loop, fn, arg, context);
    if (options)
        handle->release = options->release;
    return handle;
}

/* Hands the first reference to the queue that holds the handle now, or to the caller. */
static COIL_ALWAYS_INLINE void give_out(coil_handle *handle, coil_handle **handle_out)
{
    handle->object.flags |= COIL__HANDLE_QUEUED;
    if (handle_out) {
        coil__ref(&handle->object);
        *handle_out = handle;
    }
    if (COIL_UNLIKELY(!handle->loop->running))
        coil__loop_kick(handle->loop);
}

static COIL_ALWAYS_INLINE int call_soon(coil_loop *loop, coil_callback fn, void *arg,
                                        const coil_call_options *options, coil_handle **handle_out)
{
    loop = coil__loop_or_running(loop);
    if (COIL_UNLIKELY(!loop))
        return COIL_ENOLOOP;
    int rc;
    coil_handle *handle = handle_new(loop, fn, arg, options, &rc);
    if (COIL_UNLIKELY(!handle))
        return rc;
    if (COIL_UNLIKELY(!loop->running))
        coil__inbox_drain(loop); /* what other threads have posted before goes first */
    coil__loop_push(loop, &handle->timer.ready);
    give_out(handle, handle_out);
    return 0;
}

static COIL_ALWAYS_INLINE int call_at_ns(coil_loop *loop, int64_t due_ns, coil_callback fn,
                                         void *arg, const coil_call_options *options,
                                         coil_handle **handle_out)
{
    int rc;
    coil_handle *handle = handle_new(loop, fn, arg, options, &rc);
    if (COIL_UNLIKELY(!handle))
        return rc;
    handle->object.flags |= COIL__HANDLE_TIMER;
    handle->timer.due_ns = due_ns;
    rc = coil__timer_arm(&loop->timers, &handle->timer);
    if (COIL_UNLIKELY(rc < 0)) {
        handle->release = NULL;
        coil__unref(&handle->object);
        return rc;
    }
    give_out(handle, handle_out);
    return 0;
}

static COIL_ALWAYS_INLINE int call_later(coil_loop *loop, double delay, coil_callback fn, void *arg,
                                         const coil_call_options *options, coil_handle **handle_out)
{
    loop = coil__loop_or_running(loop);
    if (COIL_UNLIKELY(!loop))
        return COIL_ENOLOOP;
    if (COIL_UNLIKELY(isnan(delay)))
        return coil__fail(COIL_EINVAL, "the delay is not a number");
    return call_at_ns(loop, coil__loop_deadline(loop, delay), fn, arg, options, handle_out);
}

static COIL_ALWAYS_INLINE int call_at(coil_loop *loop, double when, coil_callback fn, void *arg,
                                      const coil_call_options *options, coil_handle **handle_out)
{
    loop = coil__loop_or_running(loop);
    if (COIL_UNLIKELY(!loop))
        return COIL_ENOLOOP;
    if (COIL_UNLIKELY(isnan(when)))
        return coil__fail(COIL_EINVAL, "the time is not a number");
    return call_at_ns(loop, coil__nanoseconds(when), fn, arg, options, handle_out);
}

int coil_call_soon(coil_loop *loop, coil_callback fn, void *arg, coil_handle **handle_out)
{
    return call_soon(loop, fn, arg, NULL, handle_out);
}

int coil_call_soon_with(coil_loop *loop, coil_callback fn, void *arg,
                        const coil_call_options *options, coil_handle **handle_out)
{
    return call_soon(loop, fn, arg, options, handle_out);
}

int coil_call_later(coil_loop *loop, double delay, coil_callback fn, void *arg,
                    coil_handle **handle_out)
{
    return call_later(loop, delay, fn, arg, NULL, handle_out);
}

int coil_call_later_with(coil_loop *loop, double delay, coil_callback fn, void *arg,
                         const coil_call_options *options, coil_handle **handle_out)
{
    return call_later(loop, delay, fn, arg, options, handle_out);
}

int coil_call_at(coil_loop *loop, double when, coil_callback fn, void *arg,
                 coil_handle **handle_out)
{
    return call_at(loop, when, fn, arg, NULL, handle_out);
}

int coil_call_at_with(coil_loop *loop, double when, coil_callback fn, void *arg,
                      const coil_call_options *options, coil_handle **handle_out)
{
    return call_at(loop, when, fn, arg, options, handle_out);
}

/* ---- asking and cancelling ---------------------------------------------------------------------- */

void coil_handle_cancel(coil_handle *handle)
{
    if (handle->object.flags & COIL__HANDLE_CANCELLED)
        return;
    handle->object.flags |= COIL__HANDLE_CANCELLED;
    if (handle->timer.heap_index == COIL__TIMER_IDLE) {
        /* What lies in the ready queue stays there and does nothing. A callback that cancels itself
         * still uses its argument. */
        if (handle->object.flags & COIL__HANDLE_QUEUED)
            release_arg(handle);
        return;
    }
    coil__timer_disarm(&handle->loop->timers, &handle->timer);
    handle->object.flags &= (uint8_t)~COIL__HANDLE_QUEUED;
    release_arg(handle);
    coil__unref(&handle->object);
}

bool coil_handle_cancelled(const coil_handle *handle)
{
    return handle->object.flags & COIL__HANDLE_CANCELLED;
}

double coil_handle_when(const coil_handle *handle)
{
    return handle->object.flags & COIL__HANDLE_TIMER ? (double)handle->timer.due_ns / 1e9 : 0;
}

coil_context *coil_handle_get_context(coil_handle *handle)
{
    return coil__context_materialise(&handle->context);
}
