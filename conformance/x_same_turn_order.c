/* Who comes first in a turn: callbacks, wakeups, timers, gatherings, and calls from other threads, which
 * keep their place in the queue when they are made in the loop's own. */
#include "kit/kit.h"

COIL_ASYNC(awaits, (coil_value, name), (void *, awaitable))
{
    coil_value value;
    int rc = coil_await(awaitable, &value);
    if (rc < 0)
        say(name, kind(rc));
    else
        say(name, value);
    return 0;
}

static coil_task *awaiter(const char *name, void *awaitable)
{
    return coil_create_task(awaits(coil_string(name), awaitable));
}

static int prints(coil_future *future, void *text)
{
    say((const char *)text, outcome(future));
    return 0;
}

static void add(coil_future *future, const char *text)
{
    must(coil_future_add_done_callback(future, prints, text_arg(text), NULL));
}

static coil_future *gather(coil_future *a, coil_future *b)
{
    return coil_gather_future(NULL, (void *[]){ a, b }, b ? 2 : 1, 0);
}

static int wait_all(coil_task **tasks, size_t count)
{
    int rc = coil_wait(tasks, count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    unref_all(tasks, count);
    return rc;
}

COIL_ASYNC0(waiters_in_their_order)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *tasks[3];
    add(future, "callback 1");
    tasks[0] = awaiter("a", future);
    coil_future *both = gather(future, NULL);
    tasks[1] = awaiter("b", both);
    COIL_TRY(coil_sleep(0));
    add(future, "callback 2");
    tasks[2] = awaiter("c", future);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(call_soon(NULL, say, "before"));
    COIL_TRY(coil_future_set_result(future, coil_string("r")));
    COIL_TRY(call_soon(NULL, say, "after"));
    add(future, "callback 3");
    COIL_TRY(wait_all(tasks, 3));
    coil_unref(both);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(calls_from_this_thread)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(call_soon(loop, say, 1));
    COIL_TRY(call_soon_threadsafe(loop, say, 2));
    COIL_TRY(call_soon(loop, say, 3));
    coil_task *task = coil_create_task(
        awaits(coil_int(4), coil_sleep_coro(0, coil_string("slept"))));
    COIL_TRY(call_soon_threadsafe(loop, say, 5));
    COIL_TRY(coil_sleep(0));
    say(6);
    return join(task, NULL);
}

COIL_ASYNC0(timers_behind_what_is_ready)
{
    COIL_TRY(call_later(NULL, 0, say, "timer 0"));
    COIL_TRY(call_later(NULL, -1, say, "timer -1"));
    COIL_TRY(call_later(NULL, -2, say, "timer -2"));
    COIL_TRY(call_soon(NULL, say, "soon"));
    coil_task *task = awaiter("task", coil_sleep_coro(0, coil_string("slept")));
    COIL_TRY(coil_sleep(0));
    say("main");
    return join(task, NULL);
}

/* Callbacks that cancel one another's handles. */
enum {
    A,
    B,
    C,
    E,
    F,
    HANDLES
};

static struct canceller {
    const char *who;
    int whom;
} cancellers[HANDLES] = { { "a", B }, { "b", A }, { "c", A }, { "e", F }, { "f", E } };
static coil_handle *handles[HANDLES];

static int cancel_other(void *arg)
{
    struct canceller *self = arg;
    say(self->who, "cancels", cancellers[self->whom].who);
    coil_handle_cancel(handles[self->whom]);
    return 0;
}

static int advance_by_one(COIL_UNUSED void *arg)
{
    advance(1);
    return 0;
}

COIL_ASYNC0(handles_cancel_one_another)
{
    for (int i = A; i <= C; i++)
        COIL_TRY(coil_call_soon(NULL, cancel_other, &cancellers[i], &handles[i]));
    COIL_TRY(coil_call_later(NULL, 1, cancel_other, &cancellers[E], &handles[E]));
    COIL_TRY(coil_call_later(NULL, 1 + 1.0 / 512, cancel_other, &cancellers[F], &handles[F]));
    COIL_TRY(coil_call_later(NULL, 1 - 1.0 / 512, advance_by_one, NULL, NULL));
    COIL_TRY(coil_sleep(3));
    struct items cancelled = { 0 };
    for (int i = 0; i < HANDLES; i++)
        append(&cancelled, coil_handle_cancelled(handles[i]));
    say(as_list(&cancelled));
    clear(&cancelled);
    unref_all(handles, HANDLES);
    return 0;
}

static int sets_next(coil_future *future, void *next)
{
    coil_value value;
    COIL_TRY(coil_future_result(future, &value));
    return coil_future_set_result(next, coil_int(value.integer + 1));
}

static int cancels_next(COIL_UNUSED coil_future *future, void *next)
{
    coil_future_cancel(next, "by a callback");
    return 0;
}

static int count_turns(int turns)
{
    for (int i = 0; i < turns; i++) {
        say("turn", i);
        COIL_TRY(coil_sleep(0));
    }
    return 0;
}

COIL_ASYNC0(callbacks_complete_futures)
{
    coil_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = coil_create_future(NULL);
    COIL_TRY(coil_future_add_done_callback(futures[0], sets_next, futures[1], NULL));
    COIL_TRY(coil_future_add_done_callback(futures[1], cancels_next, futures[2], NULL));
    coil_future *all = coil_gather_future(NULL, (void **)futures, 3, COIL_GATHER_COLLECT);
    coil_task *tasks[2];
    tasks[0] = awaiter("both", all);
    tasks[1] = awaiter("second", futures[1]);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(futures[0], coil_int(1)));
    COIL_TRY(count_turns(4));
    COIL_TRY(wait_all(tasks, 2));
    coil_unref(all);
    unref_all(futures, 3);
    return 0;
}

static size_t remove_callback(coil_future *future, const char *text)
{
    return coil_future_remove_done_callback(future, prints, text_arg(text));
}

COIL_ASYNC0(removed_callbacks)
{
    static const char one[] = "one", two[] = "two";
    coil_future *future = coil_create_future(NULL);
    add(future, one);
    add(future, two);
    add(future, one);
    size_t removed = remove_callback(future, one);
    size_t again = remove_callback(future, one);
    say(removed, again);
    add(future, one);
    COIL_TRY(coil_future_set_result(future, coil_string("r")));
    removed = remove_callback(future, one);
    again = remove_callback(future, two);
    say(removed, again);
    COIL_TRY(coil_sleep(0));
    coil_unref(future);
    return 0;
}

static int adds_more(coil_future *future, COIL_UNUSED void *arg)
{
    say("again");
    add(future, "added");
    return call_soon(NULL, say, "soon");
}

COIL_ASYNC0(callback_adds_callbacks)
{
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_future_add_done_callback(future, adds_more, NULL, NULL));
    add(future, "last");
    COIL_TRY(coil_future_set_result(future, coil_int(1)));
    COIL_TRY(count_turns(3));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(instant)
{
    coil_return(1);
}

COIL_ASYNC0(the_end_of_a_task)
{
    coil_task *task = coil_create_task(instant());
    add(task, "callback");
    coil_task *other = awaiter("other", task);
    coil_future *twice = gather(task, task);
    coil_task *both = awaiter("gather", twice);
    for (int i = 0; i < 4; i++) {
        say("turn", i, coil_future_done(task), coil_future_done(other), coil_future_done(both));
        COIL_TRY(coil_sleep(0));
    }
    unref_all(((coil_future *[]){ task, other, twice, both }), 4);
    return 0;
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const parts[])(void) = {
        waiters_in_their_order,     calls_from_this_thread,     timers_behind_what_is_ready,
        handles_cancel_one_another, callbacks_complete_futures, removed_callbacks,
        callback_adds_callbacks,    the_end_of_a_task,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        coil_coro *part = parts[i]();
        at(coil_coro_name(part));
        COIL_TRY(coil_await(part, NULL));
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
