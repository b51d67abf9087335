/* An eager task runs up to its first suspension, then becomes an ordinary scheduled task.
 *
 * While its first step runs it is the current task, and the creator's again afterwards; a context
 * variable it sets stays its own.
 *
 * Why: The switch from eager to scheduled is delicate: current task and context must be right on
 * both sides. */
#include "kit/kit.h"

static coil_context_var *var;
static coil_task *parent;

COIL_ASYNC(child, (const char *, name))
{
    say(name, "begins, is current:", coil_bool(coil_current_task() != parent), value_of(var));
    COIL_TRY(coil_context_var_set(var, coil_v(name), NULL));
    COIL_TRY(coil_sleep(0));
    say(name, "goes on", value_of(var));
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    parent = coil_current_task();
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    COIL_TRY(coil_context_var_set(var, coil_v("main"), NULL));
    coil_task *a = coil_create_task(child("a"));
    say("a created, done", coil_future_done(a),
        "current is main:", coil_bool(coil_current_task() == parent));
    coil_task *b = coil_create_task(child("b"));
    say("main keeps", value_of(var));
    coil_value of_a, of_b;
    COIL_TRY(join(a, &of_a));
    COIL_TRY(join(b, &of_b));
    say(of_a, of_b);
    coil_task *c = coil_create_task(child("c"));
    coil_task_cancel(c, NULL);
    COIL_TRY(coil_wait(&c, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say("c cancelled", coil_future_cancelled(c));
    coil_unref(c);
    return 0;
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_v("default"));
    must(run(amain(), 0, NULL));
    coil_context_var_free(var);
}
