/* as_completed yields results in the order they finish; an error is raised where its turn comes.
 *
 * Why: It is the one collector whose order is that of completion, and an error must cost only its own
 * turn. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    if (error)
        return boom(error);
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[4];
    tasks[0] = coil_create_task(work("a", 3, NULL));
    tasks[1] = coil_create_task(work("b", 1, NULL));
    tasks[2] = coil_create_task(work("c", 2, "c broke"));
    tasks[3] = coil_create_task(work("d", 4, NULL));
    coil_as_completed turns;
    coil_task *task;
    int rc;
    COIL_TRY(coil_as_completed_init(&turns, tasks, 4, COIL_NO_TIMEOUT));
    while ((rc = coil_as_completed_next(&turns, &task)) == 0) {
        coil_value value;
        rc = coil_future_result(task, &value);
        if (rc == 0)
            at("got", value);
        else if (rc == COIL_EAPP)
            at("got", kind(rc));
    }
    coil_as_completed_fini(&turns);
    unref_all(tasks, 4);
    if (rc == COIL_EEND)
        at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
