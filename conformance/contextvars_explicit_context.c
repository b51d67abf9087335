/* A task given a context runs in that very one, not in a copy: changes are visible in it
 * afterwards.
 *
 * Two tasks given the same context share it.
 *
 * Why: Sharing instead of copying is the point of passing a context. */
#include "kit/kit.h"

static coil_context_var *var;

COIL_ASYNC(child, (const char *, name))
{
    say(name, "sees", value_of(var));
    COIL_TRY(coil_context_var_set(var, coil_v(textf("set by %s", name)), NULL));
    COIL_TRY(coil_sleep(0));
    say(name, "after a turn sees", value_of(var));
    return 0;
}

static int set_prepared(COIL_UNUSED void *arg)
{
    return coil_context_var_set(var, coil_v("prepared"), NULL);
}

COIL_ASYNC0(amain)
{
    COIL_TRY(coil_context_var_set(var, coil_v("main"), NULL));
    coil_context *context = coil_context_copy();
    COIL_TRY(coil_context_run(context, set_prepared, NULL));
    coil_task *a = create_task(child("a"), .context = context);
    coil_task *b = create_task(child("b"), .context = context);
    COIL_TRY(coil_gather(NULL, a, b));
    coil_unref(a);
    coil_unref(b);
    coil_value held;
    COIL_TRY(coil_context_get(context, var, &held));
    say("context holds", held, "main keeps", value_of(var));
    coil_unref(context);
    coil_context *empty = coil_context_new();
    COIL_TRY(join(create_task(child("in an empty context"), .context = empty), NULL));
    coil_unref(empty);
    return 0;
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
