/* Children may add tasks to their group while it is waiting; once finished or aborting it refuses
 * them.
 *
 * The refused coroutine is closed, never started.
 *
 * Why: A task added too late would outlive its group. */
#include "kit/kit.h"

COIL_ASYNC0(grandchild)
{
    at("grandchild runs");
    return coil_sleep(1);
}

COIL_ASYNC(child, (coil_task_group *, group))
{
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_task_group_spawn(group, grandchild()));
    at("child ends");
    return 0;
}

static void try_spawn(const char *label, coil_task_group *group)
{
    int rc = coil_task_group_spawn(group, grandchild());
    if (rc == COIL_ERUNTIME)
        at(label, kind(rc));
}

COIL_ASYNC(in_abort, (coil_task_group *, group))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        try_spawn("while aborting", group);
    return rc;
}

COIL_ASYNC0(fails)
{
    return boom("stop");
}

COIL_ASYNC0(amain)
{
    coil_task_group group = COIL_TASK_GROUP_INIT;
    try_spawn("before entering", &group);
    coil_task_group_enter(&group);
    int rc = coil_task_group_spawn(&group, child(&group));
    COIL_TRY(coil_task_group_exit(&group, rc));
    at("group over");
    try_spawn("after the end", &group);

    coil_task_group_enter(&group);
    rc = coil_task_group_spawn(&group, in_abort(&group));
    if (rc == 0)
        rc = coil_sleep(0);
    if (rc == 0)
        rc = coil_task_group_spawn(&group, fails());
    rc = coil_task_group_exit(&group, rc);
    if (rc == COIL_EGROUP)
        at(kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
