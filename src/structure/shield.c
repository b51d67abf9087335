/* shield: a future that follows another one, and whose cancellation does not reach it.
 *
 *     inner ----(done)----> entry in the ready queue ----> outer is completed
 *     outer ----(done)----> entry in the ready queue ----> outer follows no more
 *
 * Both ways go through the queue, as asyncio's done callbacks do. The link to the inner future holds the
 * outer one, so that it is completed although nobody else holds it. */
#include <coil/wait.h>

#include "base/error.h"
#include "structure/ensure.h"
#include "structure/waiters.h"
#include "tasks/task.h"

struct shield {
    coil_future future; /* the outer one */
    struct coil__waiter inner_waiter, outer_waiter;
    struct coil__ready inner_ready, outer_ready;
    coil_future *inner; /* one reference */
    bool created;       /* inner was made here, of a coroutine: its result is ours to give away */
};

static void shield_destroy(void *object)
{
    struct shield *shield = object;
    coil__future_fini(&shield->future);
    coil_unref(shield->inner);
    coil__block_give(shield, sizeof *shield);
}

static const struct coil__type shield_type = { COIL__KIND_FUTURE, "shield", shield_destroy };

/* ---- when one of the two is done ---------------------------------------------------------------- */

static coil_value result_of(struct shield *shield)
{
    coil_value value = coil_value_view(shield->inner->value);
    if (shield->created) {
        value.drop = shield->inner->value.drop;
        shield->inner->value.drop = NULL;
    }
    return value;
}

static void follow(struct shield *shield)
{
    coil_future *outer = &shield->future, *inner = shield->inner;
    inner->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
    if (!coil__future_pending(outer))
        return;
    switch (inner->object.state) {
    case COIL__FUTURE_CANCELLED:
        coil__future_finish_cancelled(outer, NULL); /* without a message, as in asyncio */
        break;
    case COIL__FUTURE_FAILED:
        coil__future_fail(outer, inner->code, coil_ref(inner->error));
        break;
    default: {
        coil_value value = result_of(shield);
        coil__future_finish(outer, &value);
    }
    }
}

static void run_inner_is_done(struct coil__ready *ready)
{
    struct shield *shield = COIL__CONTAINER(ready, struct shield, inner_ready);
    coil_loop *loop = shield->future.loop;
    loop->waker = coil_is_task(shield->inner) ? shield->inner : NULL;
    follow(shield);
    loop->waker = NULL;
    coil__unref(&shield->future.object);
}

static void queue_inner_is_done(struct coil__waiter *waiter, coil_future *inner)
{
    coil__loop_push(inner->loop,
                    &COIL__CONTAINER(waiter, struct shield, inner_waiter)->inner_ready);
}

const struct coil__waiter_kind coil__waiter_shield = {
    queue_inner_is_done, COIL__AWAITS, 0, { COIL__FROM_WAITER(struct shield, inner_waiter, future) }
};

static void let_go(struct shield *shield)
{
    if (coil__list_linked(&shield->inner_waiter.link)) {
        coil__list_remove(&shield->inner_waiter.link);
        coil__unref(&shield->future.object);
    }
}

static void run_outer_is_done(struct coil__ready *ready)
{
    struct shield *shield = COIL__CONTAINER(ready, struct shield, outer_ready);
    let_go(shield);
    coil__unref(&shield->future.object);
}

static void queue_outer_is_done(struct coil__waiter *waiter, coil_future *outer)
{
    if (!outer)
        return; /* it goes unfinished, and all this with it */
    coil__ref(&outer->object);
    coil__loop_push(outer->loop,
                    &COIL__CONTAINER(waiter, struct shield, outer_waiter)->outer_ready);
}

/* ---- making ------------------------------------------------------------------------------------- */

/* Takes the reference to inner, which is pending. */
static coil_future *put_around(struct shield *shield, coil_future *inner, bool created)
{
    coil__future_init(&shield->future, &shield_type, inner->loop);
    shield->inner = inner;
    shield->created = created;
    shield->inner_waiter.wake = queue_inner_is_done;
    shield->inner_ready.run = run_inner_is_done;
    coil__ref(&shield->future.object);
    coil__future_await(inner, &shield->inner_waiter);
    shield->outer_waiter.wake = queue_outer_is_done;
    shield->outer_ready.run = run_outer_is_done;
    coil__future_await(&shield->future, &shield->outer_waiter);
    return &shield->future;
}

#undef coil_shield_future
coil_future *coil_shield_future(void *awaitable)
{
    if (!awaitable)
        return NULL; /* the constructor that gave NULL has said why */
    bool created = !coil_is_future(awaitable);
    if (!created && coil_future_done(awaitable))
        return coil_ref(awaitable);
    /* First the memory: what is begun cannot be taken back. */
    struct shield *shield = coil__block_take(sizeof *shield);
    if (!shield) {
        coil__awaitable_drop(awaitable);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil_future *inner = coil_ensure_future(NULL, awaitable);
    if (inner && coil__future_pending(inner))
        return put_around(shield, inner, created);
    coil__block_give(shield, sizeof *shield);
    return inner; /* failed, or eager and done */
}

/* ---- waiting ------------------------------------------------------------------------------------ */

#undef coil_shield
int coil_shield(void *awaitable, coil_value *value_out)
{
    if (!coil__thread.task && !coil__thread.driver) {
        coil__awaitable_drop(awaitable);
        return awaitable ? coil__fail(COIL_ENOTASK, "shield outside a task") : coil_error_last();
    }
    bool created = awaitable && !coil_is_future(awaitable);
    coil_future *future = coil_shield_future(awaitable);
    if (!future)
        return coil_error_last();
    int rc = coil_await(future, NULL);
    if (rc == 0 && value_out)
        rc = created ? coil_future_take_result(future, value_out)
                     : coil_future_result(future, value_out);
    /* The loop is being closed. Nobody may be left to complete what it waited for. */
    if (COIL_UNLIKELY(rc == COIL_ECLOSING) && coil__future_pending(future) &&
        future->object.type == &shield_type)
        let_go((struct shield *)(void *)future);
    coil__unref(&future->object);
    return rc;
}
