/* to_thread carries the context into the thread; run_in_executor does not.
 *
 * Why: Logging in worker threads needs the context; the low-level call does not give it. */
#include "kit/kit.h"

static coil_context_var *var;

COIL_JOB(look, (const char *, label))
{
    coil_value seen = value_of(var);
    COIL_TRY(coil_context_var_set(var, coil_v("set in the thread"), NULL));
    coil_return(textf("%s sees %s", label, seen.string));
}

COIL_ASYNC0(amain)
{
    coil_value value;
    COIL_TRY(coil_context_var_set(var, coil_v("main"), NULL));
    COIL_TRY(coil_to_thread(look("to_thread"), &value));
    say(value);
    COIL_TRY(join(coil_run_in_executor(NULL, NULL, look("run_in_executor")), &value));
    say(value);
    say("main keeps", value_of(var));
    return 0;
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
