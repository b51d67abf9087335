/* Which context each callback, task and timer runs in, and who sees what is set there: in shared contexts,
 * eager first steps, cleanups, and outside the loop. */
#include "kit/kit.h"

static coil_context_var *var;

static int look(void *who)
{
    say((const char *)who, value_of(var));
    return 0;
}

static void look_as(const char *who)
{
    (void)look(text_arg(who)); /* returns 0 */
}

static void set_var(const char *value)
{
    must(coil_context_var_set(var, coil_string(value), NULL));
}

static int put(void *value)
{
    say("sets", (const char *)value, "was", value_of(var));
    set_var(value);
    return 0;
}

static int look_when_done(COIL_UNUSED coil_future *future, void *who)
{
    return look(who);
}

static int put_when_done(COIL_UNUSED coil_future *future, void *value)
{
    return put(value);
}

COIL_ASYNC(child, (const char *, who), (const char *, value))
{
    look_as(who);
    set_var(value);
    COIL_TRY(coil_sleep(0));
    look_as(who);
    coil_return(value);
}

COIL_ASYNC0(callbacks)
{
    set_var("one");
    COIL_TRY(coil_call_soon(NULL, look, text_arg("soon"), NULL));
    COIL_TRY(coil_call_later(NULL, 1, look, text_arg("later"), NULL));
    COIL_TRY(coil_call_soon_threadsafe(coil_get_running_loop(), look, text_arg("threadsafe")));
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(
        coil_future_add_done_callback(future, look_when_done, text_arg("done callback"), NULL));
    set_var("two");
    COIL_TRY(coil_future_set_result(future, coil_nil()));
    COIL_TRY(coil_future_add_done_callback(future, look_when_done, text_arg("second done callback"),
                                           NULL));
    COIL_TRY(coil_call_soon(NULL, put, text_arg("from a callback"), NULL));
    COIL_TRY(coil_call_soon(NULL, look, text_arg("after it"), NULL));
    COIL_TRY(coil_sleep(2));
    look_as("main");
    coil_unref(future);
    return 0;
}

COIL_ASYNC0(tasks)
{
    set_var("outer");
    coil_task *task = coil_create_task(child("child", "inner"));
    set_var("changed");
    COIL_TRY(join(task, NULL));
    look_as("after the task");
    COIL_TRY(coil_await(child("inline", "inline value"), NULL));
    look_as("after the inline call");
    COIL_TRY(coil_gather(NULL, child("gathered", "g1"), child("gathered too", "g2")));
    look_as("after gather");
    return 0;
}

COIL_ASYNC0(shared)
{
    coil_context *context = coil_context_copy();
    coil_call_options in_it = COIL_CALL_OPTIONS_INIT;
    in_it.context = context;
    COIL_TRY(coil_context_run(context, put, text_arg("in the shared one")));
    coil_task *both[2];
    both[0] = create_task(child("a", "by a"), .context = context);
    both[1] = create_task(child("b", "by b"), .context = context);
    COIL_TRY(coil_call_soon_with(NULL, look, text_arg("callback"), &in_it, NULL));
    COIL_TRY(coil_wait(both, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    unref_all(both, 2);
    coil_future *future = coil_create_future(NULL);
    COIL_TRY(coil_future_add_done_callback(future, put_when_done, text_arg("by the done callback"),
                                           context));
    COIL_TRY(coil_future_set_result(future, coil_nil()));
    COIL_TRY(coil_call_later_with(NULL, 1, look, text_arg("timer"), &in_it, NULL));
    COIL_TRY(coil_sleep(2));
    coil_value value;
    COIL_TRY(coil_context_get(context, var, &value));
    say("shared", value);
    look_as("main");
    coil_unref(future);
    coil_unref(context);
    return 0;
}

static int creates_a_task(COIL_UNUSED void *arg)
{
    return coil_spawn(child("from a callback", "x"));
}

COIL_ASYNC0(eager)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    set_var("creator");
    coil_task *task = coil_create_task(child("eager", "eager value"));
    look_as("creator");
    COIL_TRY(coil_call_soon(NULL, creates_a_task, NULL, NULL));
    COIL_TRY(join(task, NULL));
    look_as("creator");
    COIL_TRY(coil_gather(NULL, child("eager 1", "e1"), child("eager 2", "e2")));
    look_as("creator");
    coil_set_task_factory(NULL, NULL, NULL);
    return 0;
}

static coil_coro *nested_eager(int levels);

COIL_ASYNC(nested_eager_body, (int, levels))
{
    look_as(textf("level %d", levels));
    set_var(textf("level %d", levels));
    if (levels > 0)
        COIL_TRY(join(coil_create_task(nested_eager(levels - 1)), NULL));
    look_as(textf("back at %d", levels));
    return 0;
}

static coil_coro *nested_eager(int levels)
{
    return nested_eager_body(levels);
}

COIL_ASYNC0(cleanup)
{
    set_var("of the task");
    int rc = coil_sleep(10);
    look_as("cleanup");
    COIL_TRY(coil_call_soon(NULL, look, text_arg("callback of the cleanup"), NULL));
    return rc;
}

COIL_ASYNC0(cancelled)
{
    set_var("canceller");
    coil_task *task = coil_create_task(cleanup());
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_call_soon(NULL, do_cancel, task, NULL));
    COIL_TRY(coil_future_add_done_callback(task, look_when_done, text_arg("done callback"), NULL));
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const parts[])(void) = { callbacks, tasks, shared, eager, cancelled };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        coil_coro *part = parts[i]();
        at(coil_coro_name(part));
        COIL_TRY(join(coil_create_task(part), NULL));
        look_as("--");
    }
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    return coil_await(nested_eager(3), NULL);
}

int main(void)
{
    var = coil_context_var_new_default("var", coil_string("none"));
    set_var("outside");
    must(run(amain(), 0, NULL));
    look_as("outside");
}
