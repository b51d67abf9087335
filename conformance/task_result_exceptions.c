/* What result and exception give for a pending, finished, failed and cancelled task.
 *
 * A task cannot be completed from outside. An await raises the task's own error.
 *
 * Why: The table of what every accessor gives in every state is the task's interface. */
#include "kit/kit.h"

COIL_ASYNC0(good)
{
    coil_return(42);
}

COIL_ASYNC0(bad)
{
    return boom("broken");
}

/* The calls that are tried: each puts out what the call returned in Python. */
typedef int (*task_call)(coil_task *task, coil_value *value_out);

static int exception(coil_task *task, coil_value *value_out)
{
    int code;
    coil_error *error;
    COIL_TRY(coil_future_exception(task, &code, &error));
    *value_out = code < 0 ? kind_of(error) : coil_nil();
    return 0;
}

static int set_result(coil_task *task, coil_value *value_out)
{
    *value_out = coil_nil();
    return coil_future_set_result(task, coil_v(1));
}

static int set_exception(coil_task *task, coil_value *value_out)
{
    *value_out = coil_nil();
    return coil_future_set_exception(task, boom("y"));
}

static void attempt(const char *label, task_call call, coil_task *task)
{
    coil_value value;
    int rc = call(task, &value);
    if (rc < 0)
        say(label, "raised", kind(rc));
    else
        say(label, value);
}

/* attempt(name + what, call) */
static void attempt_of(const char *name, const char *what, task_call call, coil_task *task)
{
    attempt(textf("%s %s", name, what), call, task);
}

COIL_ASYNC0(amain)
{
    enum {
        GOOD,
        BAD,
        GONE,
        TASKS
    };
    static const char *const names[TASKS] = { "good", "bad", "gone" };
    coil_task *tasks[TASKS];
    tasks[GOOD] = coil_create_task(good());
    tasks[BAD] = coil_create_task(bad());
    tasks[GONE] = coil_create_task(good());
    coil_task_cancel(tasks[GONE], NULL);
    attempt("pending result", coil_future_result, tasks[GOOD]);
    attempt("pending exception", exception, tasks[GOOD]);
    attempt("set_result from outside", set_result, tasks[GOOD]);
    attempt("set_exception from outside", set_exception, tasks[GOOD]);
    COIL_TRY(coil_wait(tasks, TASKS, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    for (int i = 0; i < TASKS; i++) {
        attempt_of(names[i], "result", coil_future_result, tasks[i]);
        attempt_of(names[i], "exception", exception, tasks[i]);
    }
    for (int i = 0; i < 2; i++) {
        int rc = coil_await(tasks[BAD], NULL);
        if (rc == COIL_EAPP)
            say("await", i, kind(rc));
    }
    unref_all(tasks, TASKS);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
