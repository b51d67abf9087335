#include "tasks/future.h"

#include <assert.h>
#include "base/error.h"
#include "tasks/reason.h"
#include "tasks/task.h"

/* ---- life --------------------------------------------------------------------------------------- */

/* Behind the object, in debug mode: the return address of the call that made it. */
static const void **place_of(const coil_future *future)
{
    size_t bytes = future->object.type->kind == COIL__KIND_TASK ? sizeof(struct coil__task)
                                                                : sizeof(coil_future);
    return (const void **)(void *)((char *)(uintptr_t)future + bytes);
}

const char *coil__future_place(const coil_future *future, char text[COIL__PLACE_BYTES])
{
    return future->object.flags & COIL__FUTURE_PLACED
               ? coil__place_describe(*place_of(future), text)
               : NULL;
}

void coil__future_set_place(coil_future *future, const void *made_at)
{
    future->object.flags |= COIL__FUTURE_PLACED;
    *place_of(future) = made_at;
}

static void report_unread(coil_future *future)
{
    bool task = future->object.type->kind == COIL__KIND_TASK;
    char place[COIL__PLACE_BYTES];
    future->object.refs = 2; /* the handler may take references, and give them back */
    COIL__REPORT(future->loop,
                 .event = task ? COIL_EVENT_TASK_ERROR_UNREAD : COIL_EVENT_FUTURE_ERROR_UNREAD,
                 .message = task ? "a task failed and nobody looked at its error"
                                 : "a future failed and nobody looked at its error",
                 .code = future->code, .error = future->error, .future = future,
                 .place = coil__future_place(future, place));
    future->object.refs = 0;
}

static void drop_waiters(coil_future *future);

void coil__future_fini_slowly(coil_future *future)
{
    if (COIL_UNLIKELY(future->object.flags & COIL__FUTURE_UNREAD))
        report_unread(future);
    if (COIL_UNLIKELY(!coil__list_empty(&future->waiters)))
        drop_waiters(future);
    switch (future->object.state) {
    case COIL__FUTURE_DONE:
        coil_value_clear(&future->value);
        break;
    case COIL__FUTURE_FAILED:
    case COIL__FUTURE_CANCELLED:
        coil_unref(future->error);
        coil__reason_drop(future->reason);
        break;
    }
}

static void future_destroy(void *object)
{
    coil__future_fini(object);
    coil__block_give(object, coil__future_bytes(object, sizeof(coil_future)));
}

const struct coil__type coil__future_type = { COIL__KIND_FUTURE, "future", future_destroy };

coil_future *coil_create_future(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return NULL;
    if (COIL_UNLIKELY(loop->closed))
        return coil__fail_null(COIL_ECLOSED);
    coil_future *future = coil__block_take(sizeof *future + (loop->debug ? sizeof(void *) : 0));
    if (!future)
        return coil__fail_null(COIL_ENOMEM);
    coil__future_init(future, &coil__future_type, loop);
    if (COIL_UNLIKELY(loop->debug))
        coil__future_set_place(future, __builtin_return_address(0));
    return future;
}

bool coil_is_future(const void *object)
{
    if (!object)
        return false;
    enum coil__kind kind = coil__kind_of(object);
    return kind == COIL__KIND_FUTURE || kind == COIL__KIND_TASK;
}

coil_loop *coil_future_get_loop(const coil_future *future)
{
    return future->loop;
}

/* ---- callbacks ---------------------------------------------------------------------------------- */

/* A done callback is a handle from the start, so that completing a future allocates nothing. */
struct coil__done_callback {
    coil_handle handle;
    struct coil__waiter waiter;
    coil_done_callback fn;
    void *arg;
    coil_future *future; /* one reference, from completion until it has run */
};

static void done_callback_destroy(void *object)
{
    struct coil__done_callback *callback = object;
    coil__handle_fini(&callback->handle);
    coil_unref(callback->future);
    coil__block_give(callback, sizeof *callback);
}

static const struct coil__type done_callback_type = { COIL__KIND_HANDLE, "done callback",
                                                      done_callback_destroy };

static int run_done_callback(void *arg)
{
    struct coil__done_callback *callback = arg;
    return callback->fn(callback->future, callback->arg);
}

static void queue_done_callback(struct coil__waiter *waiter, coil_future *future)
{
    struct coil__done_callback *callback = COIL__CONTAINER(waiter, struct coil__done_callback,
                                                           waiter);
    if (future && !future->loop->closed) {
        coil__ref(&future->object);
        callback->future = future;
        coil__handle_push(&callback->handle);
    }
    coil__unref(&callback->handle.object);
}

struct coil__done_callback *coil__done_callback_new(coil_loop *loop, coil_done_callback fn,
                                                    void *arg, coil_context *context)
{
    coil_context *own = coil_ref(context);
    if (!context && coil__context_inherit(&own) < 0)
        return NULL;
    struct coil__done_callback *callback = coil__block_take(sizeof *callback);
    if (!callback) {
        coil_unref(own);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil__handle_init(&callback->handle, &done_callback_type, loop, run_done_callback, callback,
                      own);
    callback->waiter.wake = queue_done_callback;
    callback->fn = fn;
    callback->arg = arg;
    callback->future = NULL;
    return callback;
}

void coil__done_callback_add(struct coil__done_callback *callback, coil_future *future)
{
    if (coil__future_pending(future)) {
        coil__future_await(future, &callback->waiter);
    } else {
        queue_done_callback(&callback->waiter, future);
        coil__loop_kick(future->loop);
    }
}

int coil_future_add_done_callback(coil_future *future, coil_done_callback fn, void *arg,
                                  coil_context *context)
{
    if (!coil__future_pending(future)) {
        int rc = coil__loop_open_for_work(future->loop);
        if (rc < 0)
            return rc;
    }
    struct coil__done_callback *callback = coil__done_callback_new(future->loop, fn, arg, context);
    if (!callback)
        return coil_error_last();
    coil__done_callback_add(callback, future);
    return 0;
}

size_t coil_future_remove_done_callback(coil_future *future, coil_done_callback fn, void *arg)
{
    size_t removed = 0;
    struct coil__link *link = future->waiters.next, *next;
    for (; link != &future->waiters; link = next) {
        next = link->next;
        struct coil__waiter *waiter = COIL__CONTAINER(link, struct coil__waiter, link);
        if (waiter->wake != queue_done_callback)
            continue;
        struct coil__done_callback *callback = COIL__CONTAINER(waiter, struct coil__done_callback,
                                                               waiter);
        if (callback->fn == fn && callback->arg == arg) {
            coil__list_remove(link);
            coil__unref(&callback->handle.object);
            removed++;
        }
    }
    return removed;
}

/* A future that goes while it is pending calls nobody back. Only callbacks can be left, and gatherings that
 * are done: tasks, and gatherings that are not, hold a reference to what they wait for. */
static void drop_waiters(coil_future *future)
{
    while (!coil__list_empty(&future->waiters)) {
        struct coil__waiter *waiter = COIL__CONTAINER(future->waiters.next, struct coil__waiter,
                                                      link);
        coil__list_remove(&waiter->link);
        waiter->wake(waiter, NULL);
    }
}

/* ---- completing --------------------------------------------------------------------------------- */

static void wake_waiters(coil_future *future)
{
    while (!coil__list_empty(&future->waiters)) {
        struct coil__waiter *waiter = COIL__CONTAINER(future->waiters.next, struct coil__waiter,
                                                      link);
        coil__list_remove(&waiter->link);
        waiter->wake(waiter, future);
    }
    if (COIL_UNLIKELY(!future->loop->running) && !future->loop->closed)
        coil__loop_kick(future->loop);
}

void coil__future_finish(coil_future *future, const coil_value *value)
{
    assert(coil__future_pending(future));
    future->object.state = COIL__FUTURE_DONE;
    coil__value_copy(&future->value, value);
    wake_waiters(future);
}

void coil__future_fail(coil_future *future, int code, coil_error *error)
{
    assert(coil__future_pending(future));
    future->object.state = COIL__FUTURE_FAILED;
    future->object.flags |= COIL__FUTURE_UNREAD;
    future->error = error;
    future->code = code;
    future->reason = NULL;
    wake_waiters(future);
}

void coil__future_finish_cancelled(coil_future *future, coil_error *error)
{
    assert(coil__future_pending(future));
    future->object.state = COIL__FUTURE_CANCELLED;
    future->error = error;
    future->code = COIL_ECANCELED;
    bool task = future->object.type->kind == COIL__KIND_TASK;
    future->reason = coil__reason_keep(task ? coil__as_task(future)->reason
                                            : coil__reason_current());
    wake_waiters(future);
}

/* 0 if the caller may complete the future. */
static int check_completable(const coil_future *future)
{
    if (future->object.type->kind == COIL__KIND_TASK)
        return coil__fail(COIL_ERUNTIME, "a task is completed by its coroutine");
    if (!coil__future_pending(future)) {
        char place[COIL__PLACE_BYTES];
        const char *made = coil__future_place(future, place);
        return coil__fail(COIL_EINVALIDSTATE, "the future%s%s is done already",
                          made ? ", made at " : "", made ? made : "");
    }
    return 0;
}

int coil_future_set_result(coil_future *future, coil_value value)
{
    int rc = check_completable(future);
    if (rc < 0)
        coil_value_clear(&value);
    else
        coil__future_finish(future, &value);
    return rc;
}

int coil_future_set_exception(coil_future *future, int code)
{
    if (code >= 0 || code == COIL_ECANCELED || code == COIL_EEND)
        return coil__fail(COIL_EINVAL, "%d (%s) cannot be a future's error", code,
                          coil_error_name(code));
    coil_error *error = coil_ref(coil_error_current(code));
    int rc = check_completable(future);
    if (rc < 0) {
        coil_unref(error);
        return rc;
    }
    coil__future_fail(future, code, error);
    return 0;
}

coil_error *coil__cancel_record(const char *message)
{
    return message && *message ? coil__error_new(COIL_ECANCELED, message) : NULL;
}

bool coil__future_cancel_for(coil_future *future, struct coil__reason *reason, coil_error *message)
{
    struct coil__reason *outer = coil__thread.reason;
    coil__thread.reason = reason;
    bool cancelled = coil__future_cancel(future, message);
    coil__thread.reason = outer;
    coil__reason_drop(reason);
    return cancelled;
}

bool coil__cancel_here(coil_future *future, const char *message, const coil_place *place)
{
    if (!coil__future_pending(future))
        return coil__future_cancel(future, NULL);
    coil_error *record = coil__cancel_record(message);
    struct coil__reason *reason = coil__reason_new(COIL_CANCEL_EXPLICIT, coil__thread.task, place,
                                                   record);
    bool cancelled = coil__future_cancel_for(future, reason, record);
    coil_unref(record);
    coil__loop_kick(future->loop);
    return cancelled;
}

#undef coil_future_cancel
bool coil_future_cancel(coil_future *future, const char *message)
{
    return coil__cancel_here(future, message, NULL);
}

/* ---- reading ------------------------------------------------------------------------------------ */

bool coil_future_done(const coil_future *future)
{
    return !coil__future_pending(future);
}

bool coil_future_cancelled(const coil_future *future)
{
    return future->object.state == COIL__FUTURE_CANCELLED;
}

coil_error *coil__future_take_message(coil_future *future)
{
    coil_error *error = future->error;
    if (future->object.type->kind != COIL__KIND_TASK ||
        (future->object.flags & COIL__FUTURE_KEEPS_MESSAGE))
        return coil_ref(error);
    future->error = NULL;
    return error;
}

static int raise_cancelled(coil_future *future)
{
    coil_error *error = coil__future_take_message(future);
    coil__fail_with(COIL_ECANCELED, error);
    coil_unref(error);
    coil__reason_tell(future->reason);
    return COIL_ECANCELED;
}

int coil__future_outcome(coil_future *future, coil_value *value_out)
{
    switch (future->object.state) {
    case COIL__FUTURE_DONE:
        if (value_out) {
            coil__value_copy(value_out, &future->value);
            value_out->drop = NULL;
        }
        return 0;
    case COIL__FUTURE_FAILED:
        future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        if (COIL_UNLIKELY(future->code == COIL_ECANCELED))
            coil__reason_tell(future->reason); /* a gathering's */
        return coil__fail_with(future->code, future->error);
    case COIL__FUTURE_CANCELLED:
        return raise_cancelled(future);
    default:
        return coil__fail(COIL_EINVALIDSTATE, "the future is not done");
    }
}

int coil_future_result(coil_future *future, coil_value *value_out)
{
    return coil__future_outcome(future, value_out);
}

int coil_future_take_result(coil_future *future, coil_value *value_out)
{
    int rc = coil__future_outcome(future, NULL);
    if (rc < 0)
        return rc;
    *value_out = future->value;
    future->value = coil_value_view(future->value);
    return 0;
}

int coil_future_exception(coil_future *future, int *code_out, coil_error **error_out)
{
    bool failed = future->object.state == COIL__FUTURE_FAILED;
    if (!failed) {
        int rc = coil__future_outcome(future, NULL);
        if (rc < 0)
            return rc;
    }
    future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
    *code_out = failed ? future->code : 0;
    if (error_out)
        *error_out = failed ? future->error : NULL;
    return 0;
}
