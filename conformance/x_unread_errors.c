/* Which errors count as looked at, when several have had to do with them; and the context in which the
 * exception handler hears of the others: that of the task, or of the callback. */
#include "kit/kit.h"

static coil_context_var *var;

static void set_var(const char *value)
{
    must(coil_context_var_set(var, coil_string(value), NULL));
}

static int handler(coil_loop *loop, const coil_report *report, void *arg)
{
    int rc = print_event(loop, report, arg);
    say("    var", value_of(var));
    return rc;
}

COIL_ASYNC(fails, (const char *, text), (const char *, value))
{
    set_var(value);
    COIL_TRY(coil_sleep(0));
    return boom(text);
}

static void swallow(coil_future *awaitable)
{
    int rc = coil_await(awaitable, NULL);
    if (rc < 0)
        say("swallowed", kind(rc));
}

COIL_ASYNC(swallows, (coil_future *, awaitable))
{
    swallow(awaitable);
    return 0;
}

COIL_ASYNC0(stubborn)
{
    (void)coil_sleep(10);
    return 0;
}

static coil_task *failing(const char *text, const char *name)
{
    return create_task(fails(text, "unset"), .name = name);
}

static coil_future *gather(void *a, void *b, unsigned flags)
{
    return coil_gather_future(NULL, (void *[]){ a, b }, b ? 2 : 1, flags);
}

COIL_ASYNC0(context_of_the_task)
{
    set_var("of the caller");
    coil_task *task = create_task(fails("e1", "of the task"), .name = "a");
    COIL_TRY(coil_sleep(1));
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(cancelling_counts_as_looking)
{
    coil_task *task = failing("e2", "a");
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_future_set_exception(future, boom("e3")));
    say(coil_task_cancel(task, NULL), coil_future_cancel(future, NULL));
    coil_unref(task);
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(cancelling_a_failed_gathering_does_not)
{
    coil_future *both = gather(fails("e4", "unset"), NULL, 0);
    COIL_TRY(coil_sleep(1));
    say(coil_future_cancel(both, NULL));
    coil_unref(both);
    return 0;
}

COIL_ASYNC0(cancelled_gathering_has_seen_all)
{
    coil_task *a = failing("e5", "a");
    coil_task *b = create_task(stubborn(), .name = "b");
    coil_future *both = gather(a, b, COIL_GATHER_COLLECT);
    COIL_TRY(coil_sleep(1));
    coil_future_cancel(both, NULL);
    swallow(both);
    unref_all(((coil_future *[]){ a, b, both }), 3);
    return 0;
}

COIL_ASYNC0(gathering_nobody_looks_at)
{
    coil_task *task = create_task(coil_sleep_coro(5, coil_nil()), .name = "a");
    coil_future *both = gather(task, NULL, 0);
    coil_task_cancel(task, "m1");
    COIL_TRY(coil_sleep(1));
    say(outcome(task));
    coil_unref(both);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(awaiter_cancelled_in_the_same_turn)
{
    coil_future *future = coil_create_future(NULL);
    coil_task *task = create_task(swallows(future), .name = "a");
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_set_exception(future, boom("e6")));
    coil_task_cancel(task, "m2");
    COIL_TRY(coil_await(task, NULL));
    coil_unref(future);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(wait_looks_at_the_first)
{
    coil_task *a = failing("e7", "a");
    coil_task *b = failing("e8", "b");
    coil_task *both[] = { a, b };
    COIL_TRY(coil_wait(both, 2, COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION));
    say(coil_future_done(a), coil_future_done(b));
    coil_unref(a);
    say("a gone");
    coil_unref(b);
    coil_task *c = failing("e9", "c");
    COIL_TRY(coil_wait(&c, 1, COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION));
    coil_unref(c);
    say("c gone");
    return 0;
}

COIL_ASYNC0(late_failures_of_a_failed_gathering)
{
    coil_task *a = failing("e10", "a");
    coil_task *b = failing("e11", "b");
    coil_future *both = gather(a, b, 0);
    swallow(both);
    coil_unref(both);
    say(coil_future_done(b));
    COIL_TRY(coil_sleep(0));
    coil_unref(a);
    coil_unref(b);
    return 0;
}

static int reads_and_fails(coil_future *future, COIL_UNUSED void *arg)
{
    say("callback sees", outcome(future));
    return boom("in callback");
}

COIL_ASYNC0(callback_reads)
{
    set_var("where it was added");
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_future_add_done_callback(future, reads_and_fails, NULL, NULL));
    set_var("later");
    COIL_TRY(coil_future_set_exception(future, boom("e12")));
    COIL_TRY(coil_sleep(0));
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_set_exception_handler(NULL, handler, NULL);
    static coil_coro *(*const parts[])(void) = {
        context_of_the_task,
        cancelling_counts_as_looking,
        cancelling_a_failed_gathering_does_not,
        cancelled_gathering_has_seen_all,
        gathering_nobody_looks_at,
        awaiter_cancelled_in_the_same_turn,
        wait_looks_at_the_first,
        late_failures_of_a_failed_gathering,
        callback_reads,
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
    var = coil_context_var_new_default("var", coil_string("none"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
