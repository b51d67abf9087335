/* Failures that come while the group is winding down join the GROUP, in order of completion.
 *
 * Why: No failure may be lost, and their order tells what happened first. */
#include "kit/kit.h"

COIL_ASYNC(fails, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return boom(name);
}

COIL_ASYNC(fails_in_cleanup, (const char *, name), (double, delay))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(delay));
        return boom(name);
    }
    return rc;
}

COIL_ASYNC(together, (coil_event *, gate), (const char *, name))
{
    COIL_TRY(coil_event_wait(gate));
    return boom(name);
}

static int spawn_three(coil_task_group *group, coil_coro *a, coil_coro *b, coil_coro *c)
{
    COIL_TRY(coil_task_group_spawn(group, a));
    COIL_TRY(coil_task_group_spawn(group, b));
    COIL_TRY(coil_task_group_spawn(group, c));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    coil_coro *third = fails_in_cleanup("third", 1), *second = fails_in_cleanup("second", 0.5);
    int rc = spawn_three(&group, third, second, fails("first", 1));
    rc = coil_task_group_exit(&group, rc);
    if (rc == COIL_EGROUP)
        at(kind(rc));

    coil_event gate;
    coil_event_init(&gate);
    coil_task_group_enter(&group);
    rc = spawn_three(&group, together(&gate, "x"), together(&gate, "y"), together(&gate, "z"));
    if (rc == 0)
        rc = coil_sleep(1);
    coil_event_set(&gate);
    rc = coil_task_group_exit(&group, rc);
    if (rc == COIL_EGROUP)
        at("same iteration:", kind(rc));
    coil_event_fini(&gate);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
