/* A runner runs several coroutines on one loop, which keeps its clock, its tasks and its context
 * between them.
 *
 * The context is one and the same for every run, not a copy: what the first sets, the second
 * sees. A closed runner refuses to run.
 *
 * Why: Test frameworks run many coroutines on one loop and share state between them. */
#include "kit/kit.h"

static coil_context_var *var;
static coil_task *kept;

COIL_ASYNC0(first)
{
    COIL_TRY(coil_context_var_set(var, coil_v("set by first"), NULL));
    kept = create_task(coil_sleep_coro(3, coil_v("slept")), .name = "kept");
    COIL_TRY(coil_sleep(1));
    at("first");
    return 0;
}

COIL_ASYNC0(second)
{
    coil_value value;
    COIL_TRY(coil_context_var_get(var, &value));
    at("second sees", value, "kept done", coil_future_done(kept));
    COIL_TRY(coil_await(kept, &value));
    at("kept gives", value);
    return 0;
}

COIL_ASYNC0(coro)
{
    return 0;
}

static coil_loop *make_loop(COIL_UNUSED void *arg)
{
    return new_loop(0);
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = make_loop;
    coil_runner *runner = coil_runner_new(&options);

    must(coil_runner_run(runner, first(), NULL, NULL));
    coil_loop *loop = coil_runner_get_loop(runner);
    say("between, running:", coil_loop_is_running(loop), "clock", coil_loop_time(loop));
    must(coil_runner_run(runner, second(), NULL, NULL));
    loop = coil_ref(coil_runner_get_loop(runner));
    must(coil_runner_close(runner));
    say("loop closed", coil_loop_is_closed(loop));
    int rc = coil_runner_run(runner, coro(), NULL, NULL);
    if (rc < 0)
        say("closed runner:", kind(rc));

    coil_unref(kept);
    coil_unref(loop);
    coil_unref(runner);
    coil_context_var_free(var);
}
