/* An inner group's GROUP is one failure of the outer group; both levels are cancelled from the inside
 * out.
 *
 * Why: Structure must compose, in one task and across tasks. */
#include "kit/kit.h"

COIL_ASYNC(sleeper, (const char *, name))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        at(name, "cancelled");
    return rc;
}

COIL_ASYNC0(fails)
{
    COIL_TRY(coil_sleep(1));
    return boom("deep");
}

COIL_ASYNC0(inner)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    int rc = coil_task_group_spawn(&group, sleeper("inner sibling"));
    if (rc == 0)
        rc = coil_task_group_spawn(&group, fails());
    rc = coil_task_group_exit(&group, rc);
    at("inner group over");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task_group outer, group;
    coil_task_group_enter(&outer);
    int rc = coil_task_group_spawn(&outer, sleeper("outer sibling"));
    if (rc == 0)
        rc = coil_task_group_spawn(&outer, inner());
    rc = coil_task_group_exit(&outer, rc);
    if (rc == COIL_EGROUP)
        at("in another task:", kind(rc));

    coil_task_group_enter(&outer);
    rc = coil_task_group_spawn(&outer, sleeper("sibling of the inner group"));
    if (rc == 0) {
        coil_task_group_enter(&group);
        rc = coil_task_group_spawn(&group, fails());
        rc = coil_task_group_exit(&group, rc);
    }
    rc = coil_task_group_exit(&outer, rc);
    if (rc == COIL_EGROUP)
        at("in the same task:", kind(rc), "requests", coil_task_cancelling(coil_current_task()));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
