/* cancel, uncancel, and what they meet: results, failures, timers and gatherings of the same turn; several
 * messages for one cancellation, several waiters for one message. */
#include "kit/kit.h"

/* Says how waiting ended. */
static void note(const char *label, int rc, coil_value value)
{
    if (rc < 0)
        say(label, kind(rc), coil_task_cancelling(coil_current_task()));
    else
        say(label, value);
}

static void attempt(const char *label, void *awaitable)
{
    coil_value value = coil_nil();
    int rc = coil_await(awaitable, &value);
    note(label, rc, value);
}

COIL_ASYNC(awaits, (const char *, label), (void *, awaitable))
{
    attempt(label, awaitable);
    return 0;
}

static int note_sleep(const char *label, double delay)
{
    int rc = coil_sleep(delay);
    if (rc == COIL_ECANCELED)
        at(label, kind(rc), coil_task_cancelling(coil_current_task()));
    else
        at(label, "slept");
    return 0;
}

COIL_ASYNC(sleeps, (const char *, label), (double, delay))
{
    return note_sleep(label, delay);
}

COIL_ASYNC(sleeps_twice, (const char *, label), (double, delay))
{
    COIL_TRY(note_sleep(label, delay));
    return note_sleep(label, delay);
}

COIL_ASYNC0(result_then_cancel)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits("a", future));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(future, coil_string("lost")));
    say(coil_task_cancel(task, "m1"));
    COIL_TRY(join(task, NULL));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(result_then_cancel_then_uncancel)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits("a", future));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(future, coil_string("kept")));
    bool first = coil_task_cancel(task, "m2");
    bool second = coil_task_cancel(task, "m3");
    say(first, second);
    int left[3];
    for (int i = 0; i < 3; i++)
        left[i] = coil_task_uncancel(task);
    say(left[0], left[1], left[2]);
    COIL_TRY(join(task, NULL));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(cancel_then_uncancel_comes_too_late)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits("a", future));
    COIL_TRY(coil_sleep(0));
    bool cancelled = coil_task_cancel(task, "m4");
    int left = coil_task_uncancel(task);
    say(cancelled, left, coil_future_cancelled(future));
    COIL_TRY(join(task, NULL));
    coil_unref(future);
    return 0;
}

COIL_ASYNC(awaits_then_yields, (const char *, label), (coil_future *, future))
{
    attempt(label, future);
    coil_value value;
    int rc = coil_await(coil_sleep_coro(0, coil_string("fine")), &value);
    if (rc < 0)
        say(label, "then", kind(rc), coil_task_cancelling(coil_current_task()));
    else
        say(label, "then", value);
    return 0;
}

COIL_ASYNC0(two_messages_first_wins)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits_then_yields("a", future));
    COIL_TRY(coil_sleep(0));
    bool first = coil_task_cancel(task, "m5");
    bool second = coil_task_cancel(task, "m6");
    say(first, second);
    COIL_TRY(join(task, NULL));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(two_messages_last_wins)
{
    coil_task *task = coil_create_task(sleeps_twice("a", 0));
    COIL_TRY(coil_sleep(0));
    bool first = coil_task_cancel(task, "m7");
    bool second = coil_task_cancel(task, "m8");
    say(first, second);
    return join(task, NULL);
}

COIL_ASYNC0(unstarted)
{
    coil_task *task = coil_create_task(sleeps("a", 0));
    bool first = coil_task_cancel(task, "m9");
    bool second = coil_task_cancel(task, "m10");
    int left = coil_task_uncancel(task);
    say(first, second, left, coil_task_cancelling(task));
    attempt("task", task);
    coil_unref(task);
    task = coil_create_task(sleeps("a", 0));
    bool third = coil_task_cancel(task, "m11");
    left = coil_task_uncancel(task);
    say(third, left);
    attempt("task", task);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(future_and_task_cancelled)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits("a", future));
    coil_task *other = coil_create_task(awaits("b", future));
    COIL_TRY(coil_sleep(0));
    coil_future_cancel(future, "of the future");
    coil_task_cancel(task, "of the task");
    COIL_TRY(join(other, NULL));
    coil_unref(task);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(other_waiters_see_the_message)
{
    static const char *const names[] = { "a", "b", "c" };
    coil_future *future = coil_create_future(NULL);
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(awaits(names[i], future));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[1], "m12");
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(list(coil_task_cancelling(tasks[0]), coil_task_cancelling(tasks[1]),
             coil_task_cancelling(tasks[2])));
    unref_all(tasks, 3);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(failed_and_cancelled)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = coil_create_task(awaits("a", future));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_exception(future, boom("lost")));
    coil_task_cancel(task, "m13");
    COIL_TRY(join(task, NULL));
    attempt("future", future);
    coil_unref(future);
    return 0;
}

static int make_awaiters(coil_task **tasks, coil_future *future)
{
    tasks[0] = coil_create_task(awaits("a", future));
    tasks[1] = coil_create_task(awaits("b", future));
    return coil_sleep(0);
}

COIL_ASYNC0(shared_task)
{
    coil_task *inner = create_task(sleeps("inner", 1), .name = "inner"), *outers[2];
    COIL_TRY(make_awaiters(outers, inner));
    coil_task_cancel(outers[0], "m14");
    coil_task_cancel(outers[1], "m15");
    say(coil_task_cancelling(inner));
    COIL_TRY(coil_wait(outers, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(coil_task_cancelling(inner), outcome(inner));
    unref_all(outers, 2);
    coil_unref(inner);
    return 0;
}

COIL_ASYNC0(quits)
{
    return coil_sleep(1);
}

COIL_ASYNC0(many_awaiters_of_a_cancelled_task)
{
    coil_task *inner = coil_create_task(quits()), *outers[2];
    COIL_TRY(make_awaiters(outers, inner));
    coil_task_cancel(inner, "m16");
    COIL_TRY(coil_wait(outers, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    attempt("c", inner);
    unref_all(outers, 2);
    coil_unref(inner);
    return 0;
}

COIL_ASYNC0(self_cancel)
{
    coil_task *me = coil_current_task();
    coil_task_cancel(me, "m17");
    coil_future *done = coil_create_future(NULL);
    COIL_TRY(coil_future_set_result(done, coil_string("done futures do not notice")));
    coil_value value;
    COIL_TRY(coil_await(done, &value));
    say(value, coil_task_cancelling(me));
    coil_unref(done);
    COIL_TRY(coil_await(sleeps_twice("me", 0), NULL));
    coil_task_cancel(me, "m18");
    COIL_TRY(coil_await(sleeps_twice("me", 1), NULL));
    coil_task_cancel(me, "m19");
    int left[3];
    for (int i = 0; i < 3; i++)
        left[i] = coil_task_uncancel(me);
    say(left[0], left[1], left[2]);
    return coil_await(sleeps("me", 1), NULL);
}

static int advance_a_little(COIL_UNUSED void *arg)
{
    advance(1.0 / 256);
    return 0;
}

static int cancel_m20(void *task)
{
    coil_task_cancel(task, "m20");
    return 0;
}

static int cancel_m21(void *task)
{
    coil_task_cancel(task, "m21");
    return 0;
}

COIL_ASYNC0(timer_and_cancel)
{
    coil_task *task = coil_create_task(sleeps("a", 1));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_call_at(NULL, now() + 1 - 1.0 / 512, advance_a_little, NULL, NULL));
    COIL_TRY(coil_call_at(NULL, now() + 1 + 1.0 / 1024, cancel_m20, task, NULL));
    COIL_TRY(join(task, NULL));
    task = coil_create_task(sleeps("b", 1));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_call_at(NULL, now() + 1 - 1.0 / 512, advance_a_little, NULL, NULL));
    COIL_TRY(coil_call_at(NULL, now() + 1 - 1.0 / 1024, cancel_m21, task, NULL));
    return join(task, NULL);
}

COIL_ASYNC(gathers, (coil_future *, future))
{
    coil_value pair[2];
    int rc = coil_gather(pair, future, coil_sleep_coro(0, coil_int(1)));
    note("a", rc, rc < 0 ? coil_nil() : list_of(pair, 2));
    return 0;
}

COIL_ASYNC0(gathering_just_finished)
{
    for (int turns = 0; turns < 4; turns++) {
        coil_future *future = coil_create_future(NULL);
        coil_task *task = coil_create_task(gathers(future));
        COIL_TRY(coil_sleep(1));
        COIL_TRY(coil_future_set_result(future, coil_string("r")));
        for (int i = 0; i < turns; i++)
            COIL_TRY(coil_sleep(0));
        say(turns, coil_task_cancel(task, "m22"));
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        coil_unref(task);
        coil_unref(future);
    }
    return 0;
}

COIL_ASYNC(cancel_in_cleanup, (double, delay))
{
    int rc = coil_sleep(10);
    int cleanup = coil_sleep(delay);
    if (cleanup == COIL_ECANCELED) {
        say("cleanup", kind(cleanup));
        return boom("from the cleanup");
    }
    return rc;
}

COIL_ASYNC0(cancelled_again)
{
    coil_task *task = coil_create_task(cancel_in_cleanup(5));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, "m23");
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, "m24");
    attempt("task", task);
    bool again = coil_task_cancel(task, "m25");
    say(again, coil_task_cancelling(task));
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const parts[])(void) = {
        result_then_cancel,
        result_then_cancel_then_uncancel,
        cancel_then_uncancel_comes_too_late,
        two_messages_first_wins,
        two_messages_last_wins,
        unstarted,
        future_and_task_cancelled,
        other_waiters_see_the_message,
        failed_and_cancelled,
        shared_task,
        many_awaiters_of_a_cancelled_task,
        self_cancel,
        timer_and_cancel,
        gathering_just_finished,
        cancelled_again,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        coil_coro *part = parts[i]();
        at(coil_coro_name(part));
        COIL_TRY(join(create_task(part, .name = "part"), NULL));
    }
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
