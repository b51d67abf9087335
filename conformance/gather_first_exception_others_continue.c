/* Unless errors are collected, the first error is raised at once, and the other children keep
 * running.
 *
 * Nothing is cancelled; a second error later is swallowed silently.
 *
 * Why: This is the trap which task groups were made to avoid; it must be the same trap. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    if (error)
        return boom(error);
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_set_exception_handler(coil_get_running_loop(), print_event, NULL);
    coil_task *tasks[3];
    tasks[0] = coil_create_task(work("slow", 3, NULL));
    tasks[1] = coil_create_task(work("bad", 1, "first"));
    tasks[2] = coil_create_task(work("worse", 2, "second"));
    int rc = coil_gather(NULL, tasks[0], tasks[1], tasks[2]);
    if (rc == COIL_EAPP)
        at("gather raised", kind(rc), "slow done", coil_future_done(tasks[0]));
    COIL_TRY(coil_sleep(3));
    at(outcomes(tasks, 3));
    unref_all(tasks, 3);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
