/* run_coroutine_threadsafe: a task that another thread has asked for, and waits for.
 *
 * Two sides hold what lies between them: the loop's, until the task is done, and the thread's, until the
 * concurrent future is. */
#include "base/alloc.h"
#include "io/concurrent.h"
#include "tasks/task.h"

struct remote {
    atomic_uint sides;
    coil_concurrent_future *future; /* one reference */
    coil_loop *loop;                /* its memory is held */
    struct coil__listener listener; /* in future: it may be cancelled */
    struct coil__late cancel;       /* what its cancellation posts */

    /* The loop's side. */
    coil_coro *coro;            /* one reference; NULL once it is a task's */
    coil_future *task;          /* one reference; NULL before, and when it is done */
    struct coil__waiter waiter; /* in task */
    struct coil__ready ready;   /* queued when it is done */
};

static void give_up_side(void *arg)
{
    struct remote *remote = arg;
    if (atomic_fetch_sub_explicit(&remote->sides, 1, memory_order_acq_rel) > 1)
        return;
    coil_loop *loop = remote->loop;
    coil__shared_unref(&remote->future->shared);
    coil__free(remote);
    coil__loop_let_go(loop);
}

/* ---- the loop's side ---------------------------------------------------------------------------- */

static void publish(struct coil__ready *ready)
{
    struct remote *remote = COIL__CONTAINER(ready, struct remote, ready);
    coil_future *task = remote->task;
    coil_value value = coil_nil();
    int rc = coil_future_take_result(task, &value);
    coil_error *error = rc < 0 ? coil_error_current(rc) : NULL;
    (void)coil__concurrent_finish(remote->future, rc, error ? coil__error_copy(error) : NULL,
                                  value);
    if (rc < 0)
        coil_error_clear(rc);
    remote->task = NULL;
    coil__unref(&task->object);
    give_up_side(remote);
}

static void task_done(struct coil__waiter *waiter, coil_future *task)
{
    struct remote *remote = COIL__CONTAINER(waiter, struct remote, waiter);
    coil__loop_push(task->loop, &remote->ready);
}

static int start(void *arg)
{
    struct remote *remote = arg;
    coil_coro *coro = remote->coro;
    remote->coro = NULL;
    coil_future *task = coil_ensure_future(remote->loop, coro);
    if (!task) {
        int rc = coil_error_last();
        (void)coil__concurrent_finish(remote->future, rc, NULL, coil_nil());
        return 0;
    }
    atomic_fetch_add(&remote->sides, 1);
    remote->task = task;
    remote->ready.run = publish;
    remote->waiter.wake = task_done;
    if (coil__future_pending(task))
        coil__future_await(task, &remote->waiter);
    else
        coil__loop_push(remote->loop, &remote->ready); /* an eager one has ended already */
    if (coil_concurrent_future_cancelled(remote->future))
        coil_future_cancel(task, NULL);
    return 0;
}

/* The start is over, one way or the other: it has run, or the loop was closed before. */
static void started(void *arg)
{
    struct remote *remote = arg;
    if (remote->coro) {
        (void)coil_coro_close(remote->coro); /* it never ran */
        remote->coro = NULL;
        (void)coil__concurrent_finish(remote->future, COIL_ECLOSED, NULL, coil_nil());
    }
    give_up_side(remote);
}

/* ---- the thread's side -------------------------------------------------------------------------- */

static int cancel_task(void *arg)
{
    struct remote *remote = arg;
    if (remote->task)
        coil_future_cancel(remote->task, NULL);
    return 0;
}

/* In the thread that has cancelled the concurrent future, or, when the task is done, in the loop's. */
static void future_done(struct coil__listener *listener, coil_concurrent_future *future)
{
    struct remote *remote = COIL__CONTAINER(listener, struct remote, listener);
    if (!coil_concurrent_future_cancelled(future) || coil__inbox_post_late(&remote->cancel) < 0)
        give_up_side(remote);
}

/* ---- beginning ---------------------------------------------------------------------------------- */

static struct remote *remote_new(coil_concurrent_future *future, coil_coro *coro, coil_loop *loop)
{
    struct remote *remote = coil__alloc_zero(sizeof *remote);
    if (!remote)
        return NULL;
    atomic_init(&remote->sides, 2);
    remote->future = coil_ref(future);
    remote->loop = loop;
    remote->listener.tell = future_done;
    remote->cancel = (struct coil__late){
        .fn = cancel_task, .arg = remote, .release = give_up_side, .loop = loop
    };
    remote->coro = coro;
    coil__loop_hold(loop);
    return remote;
}

static void remote_discard(struct remote *remote)
{
    coil__shared_unref(&remote->future->shared);
    coil__loop_let_go(remote->loop);
    coil__free(remote);
}

coil_concurrent_future *coil_run_coroutine_threadsafe(coil_coro *coro, coil_loop *loop)
{
    if (!coro)
        return coil__fail_null(COIL_ENOMEM);
    coil_concurrent_future *future = coil_concurrent_future_new();
    struct remote *remote = future ? remote_new(future, coro, loop) : NULL;
    int rc = COIL_ENOMEM;
    if (remote) {
        coil_call_options options = COIL_CALL_OPTIONS_INIT;
        options.release = started;
        future->by_hand = false;
        coil__concurrent_listen(future, &remote->listener);
        rc = coil_call_soon_threadsafe_with(loop, start, remote, &options);
        if (rc == 0)
            return future;
        remote_discard(remote);
    }
    coil_unref(future);
    (void)coil_coro_close(coro); /* consumed; it never ran */
    return rc == COIL_ENOMEM ? coil__fail_null(rc) : NULL;
}
