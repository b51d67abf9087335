/* What happens at the end of run() to tasks that are cancelled, or made, meanwhile: a task that a cleanup
 * makes gets the turns of the shutdown and is not cancelled; errors of cleanups are heard in the context
 * of their task; the outcome stays that of the main task. */
#include "kit/kit.h"

static coil_context_var *var;

static int handler(coil_loop *loop, const coil_report *report, void *arg)
{
    int rc = print_event(loop, report, arg);
    say("    var", value_of(var));
    return rc;
}

COIL_ASYNC(late, (const char *, name), (int, turns))
{
    for (int i = 0; i < turns; i++) {
        say(name, i);
        COIL_TRY(coil_sleep(0));
    }
    say(name, "done");
    return 0;
}

COIL_ASYNC(spawns_late, (int, turns))
{
    int rc = coil_sleep(100);
    at("cleanup", kind(0), coil_task_cancelling(coil_current_task()));
    COIL_TRY(coil_spawn(late("late", turns)));
    COIL_TRY(call_soon(NULL, say, "callback from the cleanup"));
    return rc;
}

COIL_ASYNC0(cleans_slowly)
{
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(2));
        at("cleaned");
    }
    return rc;
}

COIL_ASYNC(fails_in_cleanup, (const char *, value))
{
    COIL_TRY(coil_context_var_set(var, coil_string(value), NULL));
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(1));
        return boom("cleanup");
    }
    return rc;
}

COIL_ASYNC0(swallows)
{
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED)
        say("swallowed", kind(rc));
    COIL_TRY(coil_sleep(0.5));
    at("went on");
    coil_return("ignored");
}

COIL_ASYNC0(never_starts)
{
    say("must not run");
    return 0;
}

COIL_ASYNC(waits_for, (coil_task *, task))
{
    int rc = coil_await(task, NULL);
    if (rc == COIL_ECANCELED)
        say("waiter", kind(rc), coil_task_cancelling(coil_current_task()));
    coil_unref(task);
    return rc;
}

COIL_ASYNC(amain, (coil_coro *, first), (coil_coro *, second))
{
    coil_set_exception_handler(NULL, handler, NULL);
    COIL_TRY(coil_context_var_set(var, coil_string("main"), NULL));
    coil_unref(create_task(first, .name = "leftover"));
    if (second)
        coil_unref(create_task(second, .name = "leftover"));
    COIL_TRY(coil_sleep(0));
    at("main ends");
    coil_return("main");
}

COIL_ASYNC0(main_and_unstarted)
{
    COIL_TRY(coil_spawn(never_starts()));
    coil_return("main");
}

COIL_ASYNC0(main_with_waiter)
{
    coil_task *task = coil_create_task(swallows());
    COIL_TRY(coil_spawn(waits_for(task)));
    COIL_TRY(coil_sleep(0));
    return boom("main");
}

COIL_ASYNC0(leaves_with_leftovers)
{
    COIL_TRY(coil_spawn(cleans_slowly()));
    COIL_TRY(coil_sleep(0));
    return coil_exit(4);
}

COIL_ASYNC0(cancels_itself)
{
    COIL_TRY(coil_spawn(cleans_slowly()));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(coil_current_task(), "self");
    return coil_sleep(1);
}

COIL_ASYNC0(timer_left)
{
    COIL_TRY(call_later(NULL, 5, say, "must not fire"));
    COIL_TRY(call_later(NULL, 1, say, "fires while shutting down"));
    COIL_TRY(coil_spawn(cleans_slowly()));
    COIL_TRY(coil_sleep(0));
    coil_return("main");
}

static void attempt(const char *label, coil_coro *coro)
{
    say("--", label);
    coil_value value;
    int rc = run(coro, 0, &value);
    if (rc < 0)
        say("raised", kind(rc));
    else
        say("returned", value);
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_string("none"));
    attempt("a task made by a cleanup gets four turns", amain(spawns_late(2), NULL));
    attempt("slow cleanups", amain(cleans_slowly(), swallows()));
    attempt("failing cleanup", amain(fails_in_cleanup("leftover"), NULL));
    attempt("never started", main_and_unstarted());
    attempt("one waits for the other", main_with_waiter());
    attempt("left by the main task", leaves_with_leftovers());
    attempt("cancelled by itself", cancels_itself());
    attempt("timers", timer_left());
    coil_context_var_free(var);
}
