/* The exact steps of a task group with two children: the parent takes two.
 *
 * Why: It pins that the owner wakes once, when the last child is over. */
#include "kit/kit.h"

COIL_ASYNC(work, (double, delay))
{
    return coil_sleep(delay);
}

COIL_ASYNC0(amain)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    int rc = coil_task_group_spawn(&group, work(0));
    if (rc == 0)
        rc = coil_task_group_spawn(&group, work(1));
    at("body ends");
    COIL_TRY(coil_task_group_exit(&group, rc));
    at("group over");
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
