/* Callbacks run in the context current when they were scheduled, or in one given; their changes
 * stay there.
 *
 * Every callback scheduled without a context gets its own copy.
 *
 * Why: Request ids in logs depend on callbacks carrying the context of their creator. */
#include "kit/kit.h"

static coil_context_var *var;

static int callback(void *arg)
{
    const char *name = arg;
    say(name, "sees", value_of(var));
    return coil_context_var_set(var, coil_v(textf("set by %s", name)), NULL);
}

static int done_callback(COIL_UNUSED coil_future *future, void *arg)
{
    return callback(arg);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(coil_context_var_set(var, coil_v("early"), NULL));
    COIL_TRY(coil_call_soon(loop, callback, text_arg("soon 1"), NULL));
    COIL_TRY(coil_call_soon(loop, callback, text_arg("soon 2"), NULL));
    COIL_TRY(coil_call_later(loop, 1, callback, text_arg("timer"), NULL));
    coil_future *fut = coil_create_future(loop);
    COIL_TRY(coil_future_add_done_callback(fut, done_callback, text_arg("done callback"), NULL));
    coil_context *given = coil_context_copy();
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.context = given;
    COIL_TRY(coil_context_var_set(var, coil_v("late"), NULL));
    COIL_TRY(coil_call_soon(loop, callback, text_arg("soon 3"), NULL));
    COIL_TRY(coil_call_soon_with(loop, callback, text_arg("given 1"), &options, NULL));
    COIL_TRY(coil_call_soon_with(loop, callback, text_arg("given 2"), &options, NULL));
    COIL_TRY(coil_future_set_result(fut, coil_nil()));
    COIL_TRY(coil_sleep(2));
    coil_value held;
    COIL_TRY(coil_context_get(given, var, &held));
    say("main keeps", value_of(var), "given holds", held);
    coil_unref(given);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
