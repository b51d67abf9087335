/* Bridges between threads and loops.
 *
 *     concurrent future --tells--> bridge --posts--> loop's inbox --> future --> its waiters
 *     future cancelled --> an entry in the ready queue --> concurrent future cancelled
 *
 * Two sides hold a bridge: the loop, until its future is done or the loop is closed; and the other side,
 * until the concurrent future is done and its post has been taken, or dropped. Either may come first, and
 * whichever is last frees the bridge. It holds the loop's memory, so the other side may come as late as it
 * likes. */
#include "io/bridge.h"

#include "base/cache.h"
#include "tasks/future.h"

struct bridge {
    atomic_uint sides; /* that hold it */
    atomic_bool left;  /* the loop has let go: nobody waits for the result */
    bool whole;
    coil_concurrent_future *source; /* one reference */
    struct coil__listener listener; /* in source */
    struct coil__late post;

    /* The loop's side, in its thread. */
    coil_loop *loop;
    coil_future *future;        /* one reference; NULL: the loop has let go */
    struct coil__waiter waiter; /* in future */
    struct coil__ready ready;   /* queued when the future was cancelled */
    struct coil__link link;     /* in loop->bridges */
};

static void give_up_side(void *arg)
{
    struct bridge *bridge = arg;
    if (atomic_fetch_sub_explicit(&bridge->sides, 1, memory_order_acq_rel) > 1)
        return;
    coil_loop *loop = bridge->loop;
    coil__shared_unref(&bridge->source->shared);
    coil__block_give(bridge, sizeof *bridge);
    coil__loop_let_go(loop);
}

/* The loop lets go: what comes from now on is dropped. */
static void leave(struct bridge *bridge)
{
    coil_future *future = bridge->future;
    bridge->future = NULL;
    atomic_store(&bridge->left, true);
    if (coil__list_linked(&bridge->waiter.link))
        coil__list_remove(&bridge->waiter.link);
    coil__list_remove(&bridge->link);
    bridge->loop->outside--;
    coil__unref(&future->object);
    give_up_side(bridge);
}

/* ---- there: from the concurrent future to the loop ---------------------------------------------- */

static void complete(struct bridge *bridge)
{
    coil_future *future = bridge->future;
    coil_value value = coil_nil();
    coil_error *error;
    int code = coil__concurrent_take(bridge->source, bridge->whole, &value, &error);
    coil__list_remove(&bridge->waiter.link);
    if (code == 0)
        coil__future_finish(future, &value);
    else if (code == COIL_ECANCELED)
        coil__future_finish_cancelled(future, error);
    else
        coil__future_fail(future, code, error);
}

/* In the loop's thread. */
static int arrive(void *arg)
{
    struct bridge *bridge = arg;
    if (!bridge->future || !coil__future_pending(bridge->future))
        return 0;
    complete(bridge);
    leave(bridge);
    return 0;
}

/* In the thread that has completed the concurrent future. */
static void source_done(struct coil__listener *listener, coil_concurrent_future *source)
{
    struct bridge *bridge = COIL__CONTAINER(listener, struct bridge, listener);
    (void)source;
    if (atomic_load(&bridge->left) || coil__inbox_post_late(&bridge->post) < 0)
        give_up_side(bridge);
}

/* ---- and back: from a cancelled future to the concurrent one ------------------------------------ */

static void pass_cancel(struct coil__ready *ready)
{
    struct bridge *bridge = COIL__CONTAINER(ready, struct bridge, ready);
    coil_concurrent_future *source = coil_ref(bridge->source);
    bool cancelled = bridge->future != NULL && coil_future_cancelled(bridge->future);
    if (bridge->future)
        leave(bridge);
    if (cancelled)
        (void)coil_concurrent_future_cancel(source); /* a job that has begun goes on */
    coil_unref(source);
}

/* As in asyncio a callback of the future's passes it on, in the next turn. */
static void future_done(struct coil__waiter *waiter, coil_future *future)
{
    struct bridge *bridge = COIL__CONTAINER(waiter, struct bridge, waiter);
    coil__loop_push(future->loop, &bridge->ready);
}

/* ---- making ------------------------------------------------------------------------------------- */

coil_future *coil__bridge(coil_concurrent_future *source, coil_loop *loop, bool whole)
{
    struct bridge *bridge = coil__block_take(sizeof *bridge);
    if (!bridge)
        return coil__fail_null(COIL_ENOMEM);
    coil_future *future = coil_create_future(loop);
    if (!future) {
        coil__block_give(bridge, sizeof *bridge);
        return NULL;
    }
    atomic_init(&bridge->sides, 2);
    atomic_init(&bridge->left, false);
    bridge->whole = whole;
    bridge->source = coil_ref(source);
    bridge->listener.tell = source_done;
    bridge->post =
        (struct coil__late){ .fn = arrive, .arg = bridge, .release = give_up_side, .loop = loop };
    bridge->loop = loop;
    bridge->future = coil_ref(future);
    bridge->waiter.wake = future_done;
    bridge->ready.run = pass_cancel;
    coil__loop_hold(loop);
    coil__future_await(future, &bridge->waiter);
    coil__list_append(&loop->bridges, &bridge->link);
    loop->outside++;
    coil__concurrent_listen(source, &bridge->listener);
    return future;
}

coil_future *coil_wrap_future(coil_concurrent_future *future, coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return NULL;
    return coil__loop_open_for_work(loop) < 0 ? NULL : coil__bridge(future, loop, false);
}

void coil__loop_close_bridges(coil_loop *loop)
{
    while (!coil__list_empty(&loop->bridges)) {
        struct bridge *bridge = COIL__CONTAINER(loop->bridges.next, struct bridge, link);
        leave(bridge);
    }
}
