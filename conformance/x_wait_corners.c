/* wait with duplicates, with no time, with things that end in the same turn, and cancelled. */
#include "kit/kit.h"

COIL_ASYNC(sleeps, (double, delay), (coil_value, result))
{
    COIL_TRY(coil_sleep(delay));
    if (result.kind == COIL_NIL)
        return boom("slept");
    coil_return(result);
}

static coil_task *sleeper(double delay, const char *result)
{
    return coil_create_task(sleeps(delay, result ? coil_string(result) : coil_nil()));
}

/* How many of the futures are done, or not, each counted once. */
static size_t count_those(coil_future *const *futures, size_t count, bool done)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated = repeated || futures[j] == futures[i];
        found += !repeated && coil_future_done(futures[i]) == done;
    }
    return found;
}

static void wait_for(coil_value label, coil_future *const *futures, size_t count, double timeout,
                     coil_return_when when)
{
    int rc = coil_wait(futures, count, timeout, when);
    if (rc < 0)
        at(label, kind(rc));
    else
        at(label, count_those(futures, count, true), count_those(futures, count, false),
           coil_task_cancelling(coil_current_task()));
}

#define wait_all(label, timeout, ...) wait_these(label, timeout, COIL_ALL_COMPLETED, __VA_ARGS__)
#define wait_these(label, timeout, when, ...)                                                      \
    wait_for(coil_v(label), (coil_future *[]){ __VA_ARGS__ },                                      \
             sizeof((coil_future *[]){ __VA_ARGS__ }) / sizeof(coil_future *), timeout, when)

COIL_ASYNC(waits, (coil_value, label), (coil_future *, first), (coil_future *, second),
           (double, timeout), (coil_return_when, when))
{
    wait_for(label, (coil_future *[]){ first, second }, second ? 2 : 1, timeout, when);
    return 0;
}

static coil_task *waiter(coil_value label, coil_future *future, double timeout)
{
    return coil_create_task(waits(label, future, NULL, timeout, COIL_ALL_COMPLETED));
}

COIL_ASYNC0(no_time)
{
    coil_task *task = sleeper(1, "r");
    for (int timeout = 0; timeout >= -1; timeout--) {
        COIL_TRY(call_soon(NULL, say, "soon"));
        COIL_TRY(call_later(NULL, -2, say, "later"));
        wait_all(timeout, timeout, task);
    }
    COIL_TRY(coil_await(task, NULL));
    wait_all("done already", 0, task);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(duplicates)
{
    coil_task *a = sleeper(1, "a");
    coil_task *b = sleeper(2, NULL);
    wait_these("first", COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED, a, a, a);
    wait_all("both", COIL_NO_TIMEOUT, a, b, a, b);
    wait_these("exception", COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION, b, a, b);
    say(outcome(a), outcome(b));
    coil_unref(a);
    coil_unref(b);
    return 0;
}

COIL_ASYNC0(cancelled_is_no_exception)
{
    coil_task *a = sleeper(1, "a");
    coil_task *b = sleeper(2, NULL);
    COIL_TRY(coil_call_later(NULL, 0.5, do_cancel, a, NULL));
    wait_these("exception", COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION, a, b);
    coil_future *future = coil_create_future(NULL);
    coil_future *child = coil_gather_future(NULL, (void *[]){ future }, 1, 0);
    coil_future_cancel(future, "m1");
    coil_task *other = coil_create_task(sleeps(1, coil_int(1)));
    wait_these("gathering", COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION, child, other);
    say(outcome(child), outcome(b));
    unref_all(((coil_future *[]){ a, b, future, child, other }), 5);
    return 0;
}

static int advance_by_one(COIL_UNUSED void *arg)
{
    advance(1);
    return 0;
}

COIL_ASYNC0(time_is_up_in_the_same_turn)
{
    static const double times[][2] = { { 1.0 / 256, 1.0 / 512 }, { 1.0 / 512, 1.0 / 256 } };
    for (int i = 0; i < 2; i++) {
        coil_future *future = coil_create_future(NULL);
        coil_task *task = waiter(coil_string("wait"), future, 1 + times[i][1]);
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_call_later(NULL, 1 + times[i][0], do_complete, future, NULL));
        COIL_TRY(coil_call_later(NULL, 1, advance_by_one, NULL, NULL));
        COIL_TRY(join(task, NULL));
        coil_unref(future);
    }
    return 0;
}

COIL_ASYNC0(cancelled_in_the_same_turn)
{
    for (int turns = 0; turns < 4; turns++) {
        coil_future *future = coil_create_future(NULL);
        coil_task *task = waiter(coil_int(turns), future, COIL_NO_TIMEOUT);
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_future_set_result(future, coil_nil()));
        for (int i = 0; i < turns; i++)
            COIL_TRY(coil_sleep(0));
        say(turns, coil_task_cancel(task, "m2"));
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        coil_unref(task);
        coil_unref(future);
    }
    return 0;
}

COIL_ASYNC0(cancelled_and_uncancelled)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = waiter(coil_string("uncancelled"), future, COIL_NO_TIMEOUT);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(future, coil_nil()));
    COIL_TRY(coil_sleep(0));
    bool cancelled = coil_task_cancel(task, "m3");
    int left = coil_task_uncancel(task);
    say(cancelled, left);
    COIL_TRY(join(task, NULL));
    coil_unref(future);

    future = coil_create_future(NULL);
    task = waiter(coil_string("too late"), future, 1);
    COIL_TRY(coil_sleep(0));
    cancelled = coil_task_cancel(task, "m4");
    left = coil_task_uncancel(task);
    say(cancelled, left, coil_future_done(future));
    COIL_TRY(join(task, NULL));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(several_waiters)
{
    coil_future *a = coil_create_future(NULL);
    coil_future *b = coil_create_future(NULL);
    coil_task *tasks[3];
    tasks[0] = coil_create_task(
        waits(coil_string("all"), a, b, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    tasks[1] = coil_create_task(
        waits(coil_string("first"), b, a, COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED));
    tasks[2] = coil_create_task(waits(coil_string("timeout"), a, b, 1, COIL_ALL_COMPLETED));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_result(a, coil_int(1)));
    COIL_TRY(coil_sleep(2));
    COIL_TRY(coil_future_set_exception(b, boom("b")));
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(outcome(b));
    unref_all(tasks, 3);
    coil_unref(a);
    coil_unref(b);
    return 0;
}

COIL_ASYNC0(self_cancelled)
{
    coil_future *future = coil_create_future(NULL);
    coil_task_cancel(coil_current_task(), "m5");
    wait_all("waits", 1, future);
    say(coil_future_done(future), coil_task_uncancel(coil_current_task()));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const parts[])(void) = {
        no_time,
        duplicates,
        cancelled_is_no_exception,
        time_is_up_in_the_same_turn,
        cancelled_in_the_same_turn,
        cancelled_and_uncancelled,
        several_waiters,
        self_cancelled,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        coil_coro *part = parts[i]();
        at(coil_coro_name(part));
        COIL_TRY(join(coil_create_task(part), NULL));
    }
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
