/* A task group waits for all its children at its end; their results are read from the tasks.
 *
 * Leaving a group whose children are all done does not suspend.
 *
 * Why: The normal case: nothing outlives the block. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *a = coil_task_group_create_task(&group, work("a", 2));
    coil_task *b = coil_task_group_create_task(&group, work("b", 1));
    at("end of the body");
    COIL_TRY(coil_task_group_exit(&group, 0));
    coil_value of_a, of_b;
    COIL_TRY(coil_future_result(a, &of_a));
    COIL_TRY(coil_future_result(b, &of_b));
    at("after the group", of_a, of_b);
    coil_unref(a);
    coil_unref(b);

    coil_task_group_enter(&group);
    coil_task *c = coil_task_group_create_task(&group, work("c", 1));
    int rc = coil_await(c, NULL);
    if (rc == 0)
        rc = call_soon(NULL, at, "queued at the end of the body");
    COIL_TRY(coil_task_group_exit(&group, rc));
    coil_unref(c);
    at("no suspension at the end");
    coil_task_group_enter(&group);
    at("an empty group is fine");
    COIL_TRY(coil_task_group_exit(&group, 0));
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
