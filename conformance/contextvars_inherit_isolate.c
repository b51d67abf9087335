/* A task gets a copy of the context of its creator: it sees values set before, and its own changes
 * stay inside.
 *
 * A change made by the creator after create_task is not seen, even if the task has not started
 * yet.
 *
 * Why: Isolation between tasks is what makes context variables safe for request state. */
#include "kit/kit.h"

static coil_context_var *var;

COIL_ASYNC(child, (const char *, name))
{
    say(name, "sees", value_of(var));
    COIL_TRY(coil_context_var_set(var, coil_v(textf("set by %s", name)), NULL));
    COIL_TRY(coil_sleep(0));
    say(name, "keeps", value_of(var));
    return 0;
}

COIL_ASYNC0(amain)
{
    say("main sees", value_of(var));
    COIL_TRY(coil_context_var_set(var, coil_v("set by main"), NULL));
    coil_task *a = coil_create_task(child("a"));
    COIL_TRY(coil_context_var_set(var, coil_v("set later by main"), NULL));
    coil_task *b = coil_create_task(child("b"));
    COIL_TRY(join(a, NULL));
    COIL_TRY(join(b, NULL));
    say("main keeps", value_of(var));
    return 0;
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
