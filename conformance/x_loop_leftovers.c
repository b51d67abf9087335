/* One loop run several times, with what the runs before have left in it: tasks, callbacks, timers, a stop
 * that came too early, and the rest of a turn that a callback has left the loop in. */
#include "kit/kit.h"

static coil_loop *loop;

static void attempt(const char *label, coil_future *awaitable)
{
    coil_value value;
    int rc = coil_run_until_complete(loop, awaitable, &value);
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

static coil_task *task_named(coil_coro *coro, const char *name)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    return coil_create_task_with(loop, coro, &options);
}

COIL_ASYNC(ticks, (const char *, name), (int, count))
{
    for (int i = 0; i < count; i++) {
        say(name, i);
        COIL_TRY(coil_sleep(0));
    }
    coil_return(name);
}

COIL_ASYNC0(stops)
{
    say("stops");
    coil_loop_stop(loop);
    COIL_TRY(coil_sleep(0));
    say("after the stop");
    coil_return("stopped");
}

COIL_ASYNC0(instant)
{
    coil_return("instant");
}

static int leaves(COIL_UNUSED void *arg)
{
    say("leaves");
    return coil_exit(3);
}

static int leaves_when_done(COIL_UNUSED coil_future *future, void *arg)
{
    return leaves(arg);
}

static int second_callback(COIL_UNUSED coil_future *future, COIL_UNUSED void *arg)
{
    say("second callback");
    return 0;
}

static int fail_e1(void *future)
{
    return coil_future_set_exception(future, boom("e1"));
}

static int cancel_m1(void *future)
{
    coil_future_cancel(future, "m1");
    return 0;
}

static void leftover_tasks(void)
{
    say("-- a task left over runs on in the next run");
    coil_task *lasting = task_named(ticks("long", 4), "long");
    attempt_own("short", task_named(ticks("short", 1), "short"));
    attempt("long", lasting);

    say("-- a future that is done already takes a turn");
    must(call_soon(loop, say, "queued before"));
    attempt_own("long again", lasting);
}

static void stopping(void)
{
    say("-- stop before a run: one turn");
    coil_loop_stop(loop);
    must(call_soon(loop, say, "the only turn"));
    coil_task *two = task_named(ticks("two", 2), "two");
    attempt("two", two);
    attempt_own("two again", two);

    say("-- stopped from inside");
    coil_task *task = task_named(stops(), "stopping");
    attempt("stopping", task);
    attempt_own("stopping again", task);

    say("-- stop twice counts once");
    must(coil_call_soon(loop, do_stop, loop, NULL));
    must(coil_call_soon(loop, do_stop, loop, NULL));
    must(call_soon(loop, say, "same turn"));
    must(coil_run_forever(loop));
    must(coil_call_soon(loop, do_stop, loop, NULL));
    must(coil_run_forever(loop));
}

static void leftover_timer(void)
{
    say("-- timers wait for the next run");
    must(call_later(loop, 1, say, "timer"));
    attempt_own("instant", task_named(instant(), "instant"));
    attempt_own("two seconds", task_named(coil_sleep_coro(2, coil_string("slept")), "sleeper"));
}

static void leaving(void)
{
    say("-- left by a callback: the rest of the turn comes first in the next run");
    must(coil_call_soon(loop, leaves, NULL, NULL));
    must(call_soon(loop, say, "rest of the turn"));
    coil_task *task = task_named(instant(), "task");
    attempt("left", task);
    say("task", outcome(task));
    must(call_soon(loop, say, "queued after"));
    attempt_own("task", task);

    say("-- left by a done callback");
    coil_future *future = coil_create_future(loop);
    must(coil_future_add_done_callback(future, leaves_when_done, NULL, NULL));
    must(coil_future_add_done_callback(future, second_callback, NULL, NULL));
    must(coil_call_soon(loop, do_complete, future, NULL));
    attempt("left", future);
    attempt_own("future", future);
}

static void failing(void)
{
    say("-- a failed and a cancelled future");
    coil_future *future = coil_create_future(loop);
    must(coil_call_soon(loop, fail_e1, future, NULL));
    attempt("failed", future);
    attempt_own("failed again", future);
    future = coil_create_future(loop);
    must(coil_call_soon(loop, cancel_m1, future, NULL));
    attempt("cancelled", future);
    attempt_own("cancelled again", future);
}

int main(void)
{
    loop = new_loop(TRACE);
    leftover_tasks();
    stopping();
    leftover_timer();
    leaving();
    failing();
    end_loop(loop);
}
