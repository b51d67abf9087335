/* An error in the body cancels the children and comes out wrapped in a GROUP, after the children's
 * own errors.
 *
 * Why: The body is a member of the group, and must not leave children behind. */
#include "kit/kit.h"

COIL_ASYNC(child, (const char *, error))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(0.5));
        if (error)
            return boom(error);
    }
    return rc;
}

/* A body that fails after a second. */
static int fail_later(void)
{
    COIL_TRY(coil_sleep(1));
    return boom("body");
}

COIL_ASYNC0(amain)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *task = coil_task_group_create_task(&group, child(NULL));
    int rc = coil_task_group_exit(&group, fail_later());
    if (rc == COIL_EGROUP)
        at(kind(rc), outcome(task));
    coil_unref(task);

    coil_task_group_enter(&group);
    rc = coil_task_group_spawn(&group, child("cleanup"));
    rc = coil_task_group_exit(&group, rc < 0 ? rc : fail_later());
    if (rc == COIL_EGROUP)
        at(kind(rc));

    coil_task_group_enter(&group);
    rc = coil_task_group_exit(&group, boom("no children at all"));
    if (rc == COIL_EGROUP)
        at(kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
