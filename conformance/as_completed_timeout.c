/* When as_completed times out, every item still missing raises TIMEOUT; the tasks run on.
 *
 * Why: A collector that hangs, or kills the tasks, when time is up would surprise every user. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(delay);
}

COIL_ASYNC0(amain)
{
    static const int delays[] = { 1, 3, 4 };
    coil_task *tasks[3], *task;
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(work(delays[i]));
    coil_as_completed turns;
    int rc;
    COIL_TRY(coil_as_completed_init(&turns, tasks, 3, 2));
    while ((rc = coil_as_completed_next(&turns, &task)) != COIL_EEND) {
        coil_value value;
        if (rc == 0)
            rc = coil_future_result(task, &value);
        if (rc == 0)
            at("got", value);
        else
            at("got", kind(rc));
    }
    coil_as_completed_fini(&turns);
    at(outcomes(tasks, 3));
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 3));

    COIL_TRY(coil_as_completed_init(&turns, tasks, 3, 0.5));
    while ((rc = coil_as_completed_next(&turns, &task)) == 0)
        ;
    coil_as_completed_fini(&turns);
    if (rc == COIL_EEND)
        at("no timeout when all are done in time");
    COIL_TRY(coil_sleep(1));
    unref_all(tasks, 3);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
