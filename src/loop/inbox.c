/* Calls from other threads: a lock-free stack that the loop empties and turns around.
 *
 * The loop says that it is about to sleep before it looks into the inbox for the last time; a sender
 * fills the inbox before it looks whether the loop sleeps. One of the two sees the other. Only the
 * sender that finds the loop asleep pays for waking it.
 *
 * A loop may be closed while others send. What lies in the inbox then is dropped, and a mark takes its
 * place, so that every callback is either dropped or refused. */
#include "loop/loop.h"

#include <sched.h>
#include "base/error.h"

static struct coil__ready shut; /* the mark: never run */

/* The count lets close wait until nobody is about to use the backend. */
static void wake(coil_loop *loop)
{
    atomic_fetch_add(&loop->wakers, 1);
    if (atomic_exchange(&loop->sleeping, false))
        loop->backend->ops->wake(loop->backend);
    atomic_fetch_sub(&loop->wakers, 1);
}

/* The sender's handle, when the loop was closed in the last moment. */
static int refuse(coil_handle *handle)
{
    handle->object.flags = 0;
    handle->release = NULL;
    coil__unref(&handle->object);
    return coil__fail(COIL_ECLOSED, "the loop is closed");
}

int coil_call_soon_threadsafe(coil_loop *loop, coil_callback fn, void *arg)
{
    return coil_call_soon_threadsafe_with(loop, fn, arg, NULL);
}

int coil_call_soon_threadsafe_with(coil_loop *loop, coil_callback fn, void *arg,
                                   const coil_call_options *options)
{
    if (atomic_load_explicit(&loop->closing_door, memory_order_acquire))
        return coil__fail(COIL_ECLOSED, "the loop is closed");
    coil_context *context;
    int rc = coil__context_for(options, &context);
    if (rc < 0)
        return rc;
    coil_handle *handle = coil__block_take(sizeof *handle);
    if (!handle) {
        coil_unref(context);
        return coil__fail_plain(COIL_ENOMEM);
    }
    coil__handle_init(handle, &coil__handle_type, loop, fn, arg, context);
    handle->object.flags = COIL__HANDLE_QUEUED;
    if (options)
        handle->release = options->release;

    struct coil__ready *entry = &handle->timer.ready;
    if (coil__thread.loop == loop) {
        coil__loop_push(loop, entry); /* its own thread: in order with what that queues otherwise */
        return 0;
    }
    struct coil__ready *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        if (COIL_UNLIKELY(head == &shut))
            return refuse(handle);
        entry->next = head;
    } while (!atomic_compare_exchange_weak(&loop->inbox, &head, entry));

    if (atomic_load(&loop->sleeping))
        wake(loop);
    return 0;
}

static struct coil__ready *take_in_order(coil_loop *loop, struct coil__ready *rest)
{
    struct coil__ready *newest = atomic_exchange(&loop->inbox, rest);
    struct coil__ready *oldest = NULL;
    while (newest) {
        struct coil__ready *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

void coil__inbox_drain(coil_loop *loop)
{
    if (!atomic_load_explicit(&loop->inbox, memory_order_relaxed))
        return;
    struct coil__ready *entry = take_in_order(loop, NULL);
    while (entry) {
        struct coil__ready *next = entry->next;
        coil__loop_push(loop, entry);
        entry = next;
    }
}

void coil__inbox_drop(coil_loop *loop)
{
    coil__handles_drop(take_in_order(loop, NULL));
}

void coil__inbox_shut(coil_loop *loop)
{
    coil__handles_drop(take_in_order(loop, &shut));
    atomic_store(&loop->sleeping, false);
    while (atomic_load(&loop->wakers) > 0)
        sched_yield();
}
