/* A failing child cancels its siblings and the body; the group ends with a GROUP of the failures.
 *
 * The siblings' own cancellations are not part of it. Everybody's cleanup is awaited before the error
 * is raised, and the parent's count of cancel requests is back to zero.
 *
 * Why: It is the promise of structured concurrency. */
#include "kit/kit.h"

COIL_ASYNC(sibling, (const char *, name), (double, cleanup))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at(name, "got", kind(rc));
        COIL_TRY(coil_sleep(cleanup));
        at(name, "cleaned up");
    }
    return rc;
}

COIL_ASYNC0(fails)
{
    COIL_TRY(coil_sleep(1));
    return boom("child");
}

COIL_ASYNC0(amain)
{
    coil_task *self = coil_current_task();
    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *tasks[2];
    tasks[0] = coil_task_group_create_task(&group, sibling("a", 0.5));
    tasks[1] = coil_task_group_create_task(&group, fails());
    int rc = coil_sleep(5);
    if (rc == COIL_ECANCELED)
        at("body got", kind(rc), "requests", coil_task_cancelling(self));
    rc = coil_task_group_exit(&group, rc);
    if (rc == COIL_EGROUP)
        at("raised", kind(rc));
    at(outcomes(tasks, 2), "requests", coil_task_cancelling(self));
    unref_all(tasks, 2);
    COIL_TRY(coil_sleep(0));
    at("the parent goes on");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
