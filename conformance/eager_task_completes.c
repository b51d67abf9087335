/* With eager tasks create_task runs the first step on the spot; one that never suspends is done at
 * once.
 *
 * No turn of the loop is spent on it, and awaiting it does not suspend.
 *
 * Why: The saving of a turn, and of the task's registration, is the feature. */
#include "kit/kit.h"

COIL_ASYNC(quick, (int, value))
{
    say("quick runs");
    coil_return(value);
}

COIL_ASYNC0(fails)
{
    return boom("eager");
}

COIL_ASYNC0(amain)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    COIL_TRY(call_soon(NULL, say, "queued callback"));
    coil_task *task = coil_create_task(quick(1));
    coil_value value;
    COIL_TRY(coil_future_result(task, &value));
    say("created, done", coil_future_done(task), "result", value);
    COIL_TRY(join(task, &value));
    say("await", value);

    coil_task *broken = coil_create_task(fails());
    int code;
    coil_error *error;
    COIL_TRY(coil_future_exception(broken, &code, &error));
    say("failed on the spot:", error);
    coil_unref(broken);

    coil_value values[2];
    COIL_TRY(coil_gather(values, quick(2), quick(3)));
    say("gather of eager ones:", list_of(values, 2));

    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *inner = coil_task_group_create_task(&group, quick(4));
    COIL_TRY(coil_task_group_exit(&group, 0));
    COIL_TRY(join(inner, &value));
    say("group without suspending", value);
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
