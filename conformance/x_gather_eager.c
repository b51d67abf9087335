/* Eager tasks inside gather, gather inside eager tasks. A gathering waits for its children in the order in
 * which they stand, beginning with each before the next is made: a future that a later, eager child
 * completes is heard of in the next turn. */
#include "kit/kit.h"

COIL_ASYNC(completes, (coil_future *, future))
{
    say("completes");
    COIL_TRY(coil_future_set_result(future, coil_string("early")));
    coil_return("second");
}

COIL_ASYNC(cancels, (coil_future *, future), (const char *, text))
{
    say("cancels", coil_future_cancel(future, text));
    return 0;
}

static int prints(coil_future *future, void *text)
{
    say((const char *)text, outcome(future));
    return 0;
}

static void attempt(const char *label, coil_future *awaitable)
{
    coil_value value;
    int rc = coil_await(awaitable, &value);
    if (rc < 0)
        say(label, kind(rc));
    else
        say(label, value);
    coil_unref(awaitable);
}

COIL_ASYNC(instant, (int, value))
{
    coil_return(value);
}

COIL_ASYNC(fails, (const char *, text))
{
    return boom(text);
}

COIL_ASYNC(slow, (int, value))
{
    COIL_TRY(coil_sleep(0));
    coil_return(value);
}

#define gather(flags, ...)                                                                         \
    coil_gather_future(NULL, (void *[]){ __VA_ARGS__ },                                            \
                       sizeof((void *[]){ __VA_ARGS__ }) / sizeof(void *), flags)

COIL_ASYNC0(completed_by_a_later_child)
{
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(call_soon(NULL, say, "next turn"));
    coil_future *both = gather(0, future, completes(future));
    COIL_TRY(coil_future_add_done_callback(future, prints, text_arg("callback"), NULL));
    COIL_TRY(coil_future_add_done_callback(both, prints, text_arg("both"), NULL));
    say("both done", coil_future_done(both));
    attempt("both", both);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(completed_by_an_earlier_child)
{
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(call_soon(NULL, say, "next turn"));
    coil_future *both = gather(0, completes(future), future);
    COIL_TRY(coil_future_add_done_callback(both, prints, text_arg("both"), NULL));
    say("both done", coil_future_done(both));
    attempt("both", both);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(cancelled_by_a_later_child)
{
    coil_future *future = coil_create_future(NULL);
    coil_future *both = gather(0, future, cancels(future, "by a sibling"), slow(3));
    say("both done", coil_future_done(both));
    attempt("both", both);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(all_at_once)
{
    coil_future *done = gather(0, instant(1), instant(2));
    say("done", coil_future_done(done), outcome(done));
    coil_future *failed = gather(0, instant(1), fails("eager"), fails("unseen"), slow(4));
    say("failed", coil_future_done(failed), outcome(failed));
    coil_future *collected = gather(COIL_GATHER_COLLECT, instant(1), fails("eager"));
    say("collected", coil_future_done(collected), outcome(collected));
    say("cancel", coil_future_cancel(done, NULL), coil_future_cancel(failed, NULL));
    attempt("again", gather(0, done, collected));
    unref_all(((coil_future *[]){ done, failed, collected }), 3);
    return 0;
}

COIL_ASYNC0(mixed)
{
    COIL_TRY(call_soon(NULL, say, "next turn"));
    attempt("mixed", gather(0, instant(1), slow(2), instant(3)));
    return 0;
}

static coil_coro *gathers(int levels);

COIL_ASYNC(gathers_body, (int, levels))
{
    if (levels == 0) {
        COIL_TRY(coil_sleep(0));
        coil_return(levels);
    }
    coil_value pair[2];
    COIL_TRY(coil_gather(pair, gathers(levels - 1), instant(levels)));
    coil_list *both = coil_list_new(pair, 2);
    coil_return(coil_list_owned(both));
}

static coil_coro *gathers(int levels)
{
    return gathers_body(levels);
}

COIL_ASYNC0(deep)
{
    coil_task *task = coil_create_task(gathers(3));
    say("task", outcome(task));
    attempt("deep", task);
    return 0;
}

COIL_ASYNC0(cancels_itself)
{
    coil_task_cancel(coil_current_task(), "self");
    int rc = coil_gather(NULL, slow(1), slow(2));
    if (rc == COIL_ECANCELED)
        say("got", kind(rc), coil_task_cancelling(coil_current_task()));
    return rc;
}

COIL_ASYNC0(cancelled_in_the_eager_step)
{
    coil_task *task = coil_create_task(cancels_itself());
    say("task", outcome(task), coil_task_cancelling(task));
    attempt("task", task);
    return 0;
}

COIL_ASYNC(cancels_parent, (coil_task *, parent))
{
    coil_task_cancel(parent, "by child");
    coil_return(5);
}

COIL_ASYNC0(child_cancels_parent)
{
    coil_task *me = coil_current_task();
    coil_value results[2];
    int rc = coil_gather(results, cancels_parent(me), instant(6));
    if (rc == 0) {
        say("not yet", list_of(results, 2), coil_task_cancelling(me));
        rc = coil_sleep(0);
    }
    if (rc != COIL_ECANCELED)
        return rc;
    coil_value why = kind(rc);
    say("now", why, coil_task_uncancel(me));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    static coil_coro *(*const parts[])(void) = {
        completed_by_a_later_child,
        completed_by_an_earlier_child,
        cancelled_by_a_later_child,
        all_at_once,
        mixed,
        deep,
        cancelled_in_the_eager_step,
        child_cancels_parent,
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
