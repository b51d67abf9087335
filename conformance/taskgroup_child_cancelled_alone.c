/* A child cancelled on its own is no failure: the group goes on and ends normally.
 *
 * Why: Stopping one worker on purpose must not bring its group down. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(delay);
}

COIL_ASYNC0(amain)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *tasks[2];
    tasks[0] = coil_task_group_create_task(&group, work(5));
    tasks[1] = coil_task_group_create_task(&group, work(2));
    int rc = coil_sleep(1);
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_task_group_exit(&group, rc));
    at(outcomes(tasks, 2));
    unref_all(tasks, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
