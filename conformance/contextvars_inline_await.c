/* Awaiting a coroutine shares the caller's context: what it sets is seen after the await.
 *
 * Why: A plain await is not a boundary, a task is: mixing them up leaks or loses state. */
#include "kit/kit.h"

static coil_context_var *var;

COIL_ASYNC(setter, (const char *, value))
{
    return coil_context_var_set(var, coil_v(value), NULL);
}

COIL_ASYNC0(amain)
{
    coil_value value;
    if (coil_context_var_get(var, &value) == COIL_ELOOKUP)
        value = coil_v("fallback");
    say("unset, no default; with a default given:", value);
    COIL_TRY(coil_await(setter("inline"), NULL));
    say("after a plain await:", value_of(var));
    COIL_TRY(join(coil_create_task(setter("in a task")), NULL));
    say("after awaiting a task:", value_of(var));
    COIL_TRY(coil_gather(NULL, setter("in gather")));
    say("after gather:", value_of(var));
    COIL_TRY(coil_wait_for(setter("in wait_for"), 1, NULL));
    say("after wait_for:", value_of(var));
    coil_context_token token;
    COIL_TRY(coil_context_var_set(var, coil_v("temporary"), &token));
    say("set", value_of(var));
    COIL_TRY(coil_context_var_reset(var, &token));
    say("reset", value_of(var));
    return 0;
}

int main(void)
{
    var = coil_context_var_new("var");
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
