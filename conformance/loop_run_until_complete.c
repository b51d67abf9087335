/* run_until_complete: result, error, early stop, and one more iteration after completion.
 *
 * The loop stops through a done callback of the future, so callbacks queued before that one still
 * run, and so do later ones of the same iteration.
 *
 * Why: What still runs after completion surprises everyone who embeds a loop. */
#include "kit/kit.h"

COIL_ASYNC0(value)
{
    COIL_TRY(call_soon(coil_get_running_loop(), say, "queued before completion"));
    coil_return(7);
}

COIL_ASYNC0(fails)
{
    return boom("no");
}

COIL_ASYNC0(background)
{
    say("background starts");
    COIL_TRY(coil_sleep(1));
    say("background ends");
    return 0;
}

COIL_ASYNC0(spawns)
{
    coil_return(coil_object_owned(coil_ensure_future(NULL, background())));
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    coil_value got;
    must(coil_run_until_complete(loop, value(), &got));
    say("value", got);
    int rc = coil_run_until_complete(loop, fails(), NULL);
    if (rc < 0)
        say(kind(rc));

    coil_value task;
    must(coil_run_until_complete(loop, spawns(), &task));
    say("left behind, done:", coil_future_done(task.pointer));
    must(coil_run_until_complete(loop, coil_sleep_coro(2, coil_nil()), NULL));
    say("now done:", coil_future_done(task.pointer), "clock", coil_loop_time(loop));
    coil_value_clear(&task);

    coil_future *pending = coil_create_future(loop);
    must(coil_call_soon(loop, do_stop, loop, NULL));
    rc = coil_run_until_complete(loop, pending, NULL);
    if (rc < 0)
        say("stopped early:", kind(rc));
    must(coil_future_set_result(pending, coil_v("late")));
    must(coil_run_until_complete(loop, pending, &got));
    say("already done:", got);
    coil_unref(pending);
    end_loop(loop);
}
