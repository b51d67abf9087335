/* Which of those who look at a cancelled child, or at a gathering of it, gets to see the message: a task's
 * goes to the first who asks, results that are collected have none of a task, and a collecting gathering
 * that was cancelled takes the word of the child that stands last. */
#include "kit/kit.h"

COIL_ASYNC0(sleeper)
{
    return coil_sleep(10);
}

COIL_ASYNC(stubborn, (coil_value, result))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        say("stubborn", kind(rc));
    if (result.kind == COIL_NIL)
        return boom("stubborn");
    coil_return(result);
}

COIL_ASYNC0(returns_at_once)
{
    coil_task_cancel(coil_current_task(), "while running");
    coil_return(1);
}

static void attempt(const char *label, coil_future *awaitable)
{
    coil_value value;
    int rc = coil_await(awaitable, &value);
    if (rc < 0)
        say(label, kind(rc));
    else
        say(label, value);
}

/* The same, and gives the reference back. */
static void attempt_own(const char *label, coil_future *awaitable)
{
    attempt(label, awaitable);
    coil_unref(awaitable);
}

static coil_future *gather2(void *first, void *second, unsigned flags)
{
    return coil_gather_future(NULL, (void *[]){ first, second }, 2, flags);
}

static coil_future *gather1(void *only, unsigned flags)
{
    return coil_gather_future(NULL, (void *[]){ only }, 1, flags);
}

COIL_ASYNC0(first_asker_is_the_gather)
{
    coil_task *task = coil_create_task(sleeper());
    coil_future *both = gather2(task, coil_sleep_coro(1, coil_nil()), 0);
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, "m1");
    attempt("gather", both);
    attempt("task", task);
    attempt("gather again", both);
    coil_unref(both);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(first_asker_is_an_awaiter)
{
    coil_task *task = coil_create_task(sleeper());
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, "m2");
    attempt("task", task);
    attempt_own("gather of done", gather1(task, 0));
    attempt_own("again", task);
    return 0;
}

static coil_future *collect3(coil_future *a, coil_future *b, coil_future *c)
{
    return coil_gather_future(NULL, (void *[]){ a, b, c }, 3, COIL_GATHER_COLLECT);
}

COIL_ASYNC0(collected)
{
    coil_task *task = coil_create_task(sleeper());
    coil_future *future = coil_create_future(NULL);
    coil_task *late = coil_create_task(returns_at_once());
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, "m3");
    coil_future_cancel(future, "m4");
    attempt_own("collected", collect3(task, future, late));
    attempt("task", task);
    attempt("future", future);
    attempt("future again", future);
    attempt("late", late);
    attempt("late again", late);
    attempt_own("collected again", collect3(task, future, late));
    unref_all(((coil_future *[]){ task, future, late }), 3);
    return 0;
}

COIL_ASYNC0(cancelled_collection)
{
    coil_value seconds[] = { coil_int(2), coil_nil() };
    for (int i = 0; i < 2; i++) {
        coil_task *a = coil_create_task(stubborn(coil_int(1)));
        coil_task *b = coil_create_task(stubborn(seconds[i]));
        coil_future *both = gather2(a, b, COIL_GATHER_COLLECT);
        COIL_TRY(coil_sleep(0));
        say("cancel", coil_future_cancel(both, "m5"));
        attempt("both", both);
        say("cancelled", coil_future_cancelled(both), outcome(both), outcome(a), outcome(b));
        unref_all(((coil_future *[]){ a, b, both }), 3);
    }
    return 0;
}

COIL_ASYNC0(last_child_decides)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        coil_task *a = coil_create_task(sleeper());
        coil_task *b = coil_create_task(stubborn(coil_string("b")));
        coil_future *both = swapped ? gather2(b, a, COIL_GATHER_COLLECT)
                                    : gather2(a, b, COIL_GATHER_COLLECT);
        COIL_TRY(coil_sleep(0));
        say("cancel", coil_future_cancel(both, "m6"));
        attempt_own("both", both);
        attempt("a", a);
        say("a", outcome(a), "b", outcome(b));
        coil_unref(a);
        coil_unref(b);
    }
    return 0;
}

COIL_ASYNC0(stubborn_last_word)
{
    coil_task *task = coil_create_task(stubborn(coil_int(3)));
    coil_future *both = gather2(coil_sleep_coro(5, coil_nil()), task, COIL_GATHER_COLLECT);
    COIL_TRY(coil_sleep(0));
    coil_future_cancel(both, "m7");
    coil_future_cancel(both, "m8");
    attempt_own("both", both);
    say(outcome(task), coil_task_cancelling(task));
    coil_unref(task);
    return 0;
}

COIL_ASYNC(waits_for, (coil_future *, awaitable))
{
    attempt("waits", awaitable);
    return 0;
}

COIL_ASYNC0(cancelled_as_the_gathering_ends)
{
    coil_future *future = coil_create_future(NULL);
    coil_future *both = gather1(future, 0);
    coil_task *task = coil_create_task(waits_for(both));
    COIL_TRY(coil_sleep(0));
    coil_future_cancel(future, "m9");
    COIL_TRY(coil_sleep(0));
    say("gathering", outcome(both), "task", outcome(task));
    coil_task_cancel(task, "m10");
    COIL_TRY(coil_sleep(0));
    say("task", outcome(task), coil_task_cancelling(task));
    unref_all(((coil_future *[]){ future, both, task }), 3);
    return 0;
}

COIL_ASYNC0(nested)
{
    coil_future *future = coil_create_future(NULL);
    coil_future *inner = gather1(future, 0);
    coil_future *outer = gather2(inner, coil_sleep_coro(1, coil_nil()), COIL_GATHER_COLLECT);
    COIL_TRY(coil_sleep(0));
    bool once = coil_future_cancel(outer, "m11");
    bool twice = coil_future_cancel(outer, "m12");
    say(once, twice);
    attempt("outer", outer);
    attempt("inner", inner);
    attempt_own("inner in another", gather1(inner, COIL_GATHER_COLLECT));
    unref_all(((coil_future *[]){ future, inner, outer }), 3);
    return 0;
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const parts[])(void) = {
        first_asker_is_the_gather,
        first_asker_is_an_awaiter,
        collected,
        cancelled_collection,
        last_child_decides,
        stubborn_last_word,
        cancelled_as_the_gathering_ends,
        nested,
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
