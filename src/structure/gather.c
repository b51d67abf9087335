/* gather: a future that is done when its children are.
 *
 * When a child is done the gathering is told by an entry in the ready queue, as asyncio's done callbacks
 * are, so the turn in which each step runs is the same. Everything that completing needs is allocated at
 * the start. */
#include <coil/wait.h>

#include <assert.h>
#include <string.h>
#include "base/error.h"
#include "base/value.h"
#include "structure/distinct.h"
#include "structure/ensure.h"
#include "structure/waiters.h"
#include "tasks/reason.h"
#include "tasks/task.h"

/* Nobody will ask for the results: those of children made here go with the children. Collected errors are
 * made into values all the same, which counts as looking at them. */
enum {
    DISCARD = 1 << 16
};

struct child {
    struct coil__waiter waiter;
    struct coil__ready ready;
    struct gathering *gathering;
    coil_future *future; /* one reference; NULL: let go of, see release_pending */
    bool created;        /* made here, of a coroutine: its result is ours to give away */
    bool repeated;       /* stands for the same future as an earlier child */
};

struct gathering {
    coil_future future;
    size_t count;
    size_t unfinished; /* children, each once, that have not been heard of */
    unsigned flags;
    bool cancel_requested;
    struct coil__reason *reason; /* of the request */
    struct coil__cancelling cancelling;
    coil_list *results; /* filled in at the end; NULL: nobody wants them */
    struct child children[];
};

static size_t gathering_bytes(size_t count)
{
    return sizeof(struct gathering) + count * sizeof(struct child);
}

static void gathering_destroy(void *object)
{
    struct gathering *gathering = object;
    coil__future_fini(&gathering->future);
    for (size_t i = 0; i < gathering->count; i++)
        coil_unref(gathering->children[i].future);
    coil__reason_drop(gathering->reason);
    coil_unref(gathering->results);
    coil__block_give(gathering, gathering_bytes(gathering->count));
}

static const struct coil__type gathering_type = { COIL__KIND_FUTURE, "gathering",
                                                  gathering_destroy };

/* ---- completion --------------------------------------------------------------------------------- */

/* A result that is an error. A code without a record gets one, or, without memory, the one that says so. */
static coil_value error_value(int code, coil_error *record)
{
    coil_error *error = record ? coil_ref(record) : coil__error_new(code, NULL);
    return coil_error_owned(error ? error : coil_ref(coil_error_current(COIL_ENOMEM)));
}

/* The error that a cancelled task ended with is for who awaits it: among results, as in CPython, it has
 * no message, unless the task did not raise it itself. */
static coil_error *record_of(const coil_future *future)
{
    bool withheld = coil_future_cancelled(future) && coil_is_task(future) &&
                    !(future->object.flags & COIL__FUTURE_KEEPS_MESSAGE);
    return withheld ? NULL : future->error;
}

static coil_value result_of(struct child *child)
{
    coil_future *future = child->future;
    if (future->object.state != COIL__FUTURE_DONE) {
        future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        return error_value(future->code, record_of(future));
    }
    coil_value value = coil_value_view(future->value);
    if (child->created) {
        value.drop = future->value.drop;
        future->value.drop = NULL;
    }
    return value;
}

/* Fails the gathering with the error of a child, which counts as looked at. */
static void fail_with_child(struct gathering *gathering, coil_future *child)
{
    coil_error *error = coil_future_cancelled(child) ? coil__future_take_message(child)
                                                     : coil_ref(child->error);
    child->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
    coil__future_fail(&gathering->future, child->code, error);
    gathering->future.reason = coil__reason_keep(child->reason);
}

/* All have ended, but somebody wanted this to be cancelled: so it is, with the word of the last child: what
 * it was cancelled with, even if it has outlived that. */
static void finish_cancelled(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++)
        gathering->children[i].future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
    coil_future *last = gathering->children[gathering->count - 1].future;
    coil_error *error = NULL;
    if (coil_future_cancelled(last))
        error = coil__future_take_message(last);
    else if (coil_is_task(last))
        error = coil_ref(coil__as_task(last)->cancel_error);
    coil__future_fail(&gathering->future, COIL_ECANCELED, error);
    gathering->future.reason = coil__reason_keep(gathering->reason);
}

static void finish(struct gathering *gathering)
{
    if (gathering->cancel_requested) {
        finish_cancelled(gathering);
        return;
    }
    coil_list *results = gathering->results;
    if (!results) {
        coil__future_finish(&gathering->future, &(coil_value){ .kind = COIL_NIL });
        return;
    }
    for (size_t i = 0; i < gathering->count; i++)
        if (!gathering->children[i].repeated)
            results->values[i] = result_of(&gathering->children[i]);
    for (size_t i = 0; i < gathering->count; i++)
        if (gathering->children[i].repeated)
            for (size_t j = 0; j < i; j++)
                if (gathering->children[j].future == gathering->children[i].future)
                    results->values[i] = coil_value_view(results->values[j]);
    gathering->results = NULL;
    coil_value list = coil_list_owned(results);
    coil__future_finish(&gathering->future, &list);
}

/* A gathering that is done before its children lets go of those that are not: a future that nobody
 * completes, and the gathering that it was to tell, would keep one another for ever. */
static void release_pending(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++) {
        coil_future *future = gathering->children[i].future;
        if (!future || !coil__future_pending(future))
            continue;
        gathering->children[i].future = NULL;
        coil__unref(&future->object);
    }
}

static void child_is_done(struct gathering *gathering, struct child *child)
{
    coil_future *future = child->future;
    assert(future);
    gathering->unfinished--;
    if (!coil__future_pending(&gathering->future)) {
        future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        return;
    }
    if (!(gathering->flags & COIL_GATHER_COLLECT) && future->object.state != COIL__FUTURE_DONE) {
        fail_with_child(gathering, future);
        release_pending(gathering);
    } else if (gathering->unfinished == 0) {
        finish(gathering);
    }
}

static void run_child_is_done(struct coil__ready *ready)
{
    struct child *child = COIL__CONTAINER(ready, struct child, ready);
    struct gathering *gathering = child->gathering;
    coil_loop *loop = gathering->future.loop;
    loop->waker = coil_is_task(child->future) ? child->future : NULL;
    child_is_done(gathering, child);
    loop->waker = NULL;
    coil__unref(&gathering->future.object);
}

static void queue_child_is_done(struct coil__waiter *waiter, coil_future *future)
{
    struct child *child = COIL__CONTAINER(waiter, struct child, waiter);
    if (!future || !future->loop->backend) { /* it goes, or its loop has gone: nothing will run */
        coil__unref(&child->gathering->future.object);
        return;
    }
    if (!child->future)
        child->future = coil_ref(future);
    coil__loop_push(future->loop, &child->ready);
}

const struct coil__waiter_kind coil__waiter_gather = {
    queue_child_is_done, COIL__AWAITS, 1, { COIL__FROM_WAITER(struct child, waiter, gathering) }
};

/* ---- cancelling --------------------------------------------------------------------------------- */

struct coil__cancelling *coil__gathering_place(coil_future *future)
{
    return &((struct gathering *)(void *)future)->cancelling;
}

coil_future *coil__gathering_child(coil_future *future, size_t index)
{
    struct gathering *gathering = (struct gathering *)(void *)future;
    return index < gathering->count ? gathering->children[index].future : NULL;
}

void coil__gathering_was_cancelled(coil_future *future)
{
    struct gathering *gathering = (struct gathering *)(void *)future;
    gathering->cancel_requested = true;
    coil__reason_set(&gathering->reason, coil__reason_current());
}

/* ---- making ------------------------------------------------------------------------------------- */

/* The loop to gather in: the one given, the futures', the running one. */
static coil_loop *choose_loop(coil_loop *loop, void *const *awaitables, size_t count)
{
    for (size_t i = 0; i < count && !loop; i++)
        if (coil_is_future(awaitables[i]))
            loop = ((coil_future *)awaitables[i])->loop;
    loop = coil__loop_or_running(loop);
    for (size_t i = 0; i < count && loop; i++)
        if (coil_is_future(awaitables[i]) && ((coil_future *)awaitables[i])->loop != loop) {
            coil__fail(COIL_EWRONGLOOP, "the futures belong to different loops");
            return NULL;
        }
    return loop;
}

static struct gathering *gathering_alloc(coil_loop *loop, size_t count, unsigned flags)
{
    coil_list *results = flags & DISCARD ? NULL : coil_list_new(NULL, count);
    bool ready = results || (flags & DISCARD);
    struct gathering *gathering = ready ? coil__block_take(gathering_bytes(count)) : NULL;
    if (!gathering) {
        coil_unref(results);
        return coil__fail_null(COIL_ENOMEM);
    }
    memset(gathering, 0, gathering_bytes(count));
    coil__future_init(&gathering->future, &gathering_type, loop);
    gathering->future.object.flags = COIL__FUTURE_GATHERING;
    gathering->results = results;
    gathering->flags = flags;
    return gathering;
}

/* Cancels what was begun when not all could be. What is queued already finds the gathering done. */
static void give_up(struct gathering *gathering)
{
    coil__future_finish_cancelled(&gathering->future, NULL);
    for (size_t i = 0; i < gathering->count; i++) {
        struct child *child = &gathering->children[i];
        if (coil__list_linked(&child->waiter.link)) {
            coil__list_remove(&child->waiter.link);
            coil__unref(&gathering->future.object);
        }
        if (child->created)
            (void)coil__future_cancel(child->future, NULL);
    }
    coil__unref(&gathering->future.object);
}

/* A child that is done already is not waited for: its ready entry stays unused. */
static void await_child(struct gathering *gathering, struct child *child)
{
    gathering->unfinished++;
    if (!coil__future_pending(child->future))
        return;
    child->waiter.wake = queue_child_is_done;
    child->ready.run = run_child_is_done;
    coil__ref(&gathering->future.object);
    coil__future_await(child->future, &child->waiter);
}

/* One after the other, since an eager task can complete a future that stands before it. */
static int make_children(struct gathering *gathering, void *const *awaitables, const size_t *first,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct child *child = &gathering->children[i];
        child->gathering = gathering;
        child->repeated = first[i] != i;
        if (child->repeated) {
            child->future = coil_ref(gathering->children[first[i]].future);
        } else {
            child->created = !coil_is_future(awaitables[i]);
            child->future = coil_ensure_future(gathering->future.loop, awaitables[i]);
            if (!child->future) {
                coil__awaitables_drop(awaitables, i + 1, count);
                return coil_error_last();
            }
            await_child(gathering, child);
        }
        gathering->count = i + 1;
    }
    return 0;
}

static void look_at_those_done(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++) {
        struct child *child = &gathering->children[i];
        if (!child->repeated && !child->ready.run)
            child_is_done(gathering, child);
    }
}

coil_future *coil_gather_future(coil_loop *loop, coil_awaitables of, size_t count, unsigned flags)
{
    void *const *awaitables = of.any;
    for (size_t i = 0; i < count; i++)
        if (!awaitables[i]) {
            coil__awaitables_drop(awaitables, 0, count);
            return NULL; /* the constructor that gave NULL has said why */
        }
    size_t *first = coil__alloc((count ? count : 1) * sizeof *first);
    if (first)
        coil__find_repetitions(awaitables, count, first);
    else
        coil__fail_plain(COIL_ENOMEM);
    loop = first ? choose_loop(loop, awaitables, count) : NULL;
    struct gathering *gathering = loop ? gathering_alloc(loop, count, flags) : NULL;
    if (!gathering) {
        int code = coil_error_last();
        coil__awaitables_drop(awaitables, 0, count);
        coil__free(first);
        return coil__fail_null(code);
    }
    int rc = make_children(gathering, awaitables, first, count);
    coil__free(first);
    if (rc < 0) {
        give_up(gathering);
        coil__fail_plain(rc);
        return NULL;
    }
    look_at_those_done(gathering);
    if (count == 0)
        finish(gathering);
    return &gathering->future;
}

/* ---- gather and wait for it --------------------------------------------------------------------- */

/* Moves the results out of a gathering that is done. What the children still own stays theirs. */
static void give_results(struct gathering *gathering, coil_value *results)
{
    coil_list *list = gathering->future.value.list;
    for (size_t i = 0; i < gathering->count; i++) {
        results[i] = list->values[i];
        list->values[i].drop = NULL;
    }
}

/* The loop is being closed. A child that nobody completes any more would keep the gathering for ever, and
 * the other way round. */
static void let_go(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++) {
        struct coil__link *link = &gathering->children[i].waiter.link;
        if (coil__list_linked(link)) {
            coil__list_remove(link);
            coil__unref(&gathering->future.object);
        }
    }
}

int coil_gather_array(coil_value *results, coil_awaitables awaitables, size_t count, unsigned flags)
{
    if (!coil__thread.task && !coil__thread.driver) {
        coil__awaitables_drop(awaitables.any, 0, count);
        return coil__fail(COIL_ENOTASK, "gather outside a task");
    }
    coil_future *future = coil_gather_future(
        coil__thread.loop, awaitables, count,
        results || (flags & COIL_GATHER_COLLECT) ? flags : flags | DISCARD);
    if (!future)
        return coil_error_last();
    int rc = coil_await(future, NULL);
    if (rc == 0 && results)
        give_results((struct gathering *)(void *)future, results);
    if (COIL_UNLIKELY(rc == COIL_ECLOSING && coil__future_pending(future)))
        let_go((struct gathering *)(void *)future);
    coil_unref(future);
    return rc;
}
