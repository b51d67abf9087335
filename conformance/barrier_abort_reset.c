/* abort() breaks a barrier for those waiting and those to come; reset() breaks it for those
 * waiting only.
 *
 * Why: Waiters must never hang on a barrier that can no longer fill. */
#include "kit/kit.h"

COIL_ASYNC(party, (coil_barrier *, barrier), (const char *, name))
{
    int index = coil_barrier_wait(barrier);
    if (index >= 0)
        at(name, "passed as", index);
    else if (index == COIL_EBROKEN)
        at(name, kind(index));
    else
        return index;
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_barrier barrier;
    COIL_TRY(coil_barrier_init(&barrier, 3));
    coil_task *tasks[4];
    tasks[0] = coil_create_task(party(&barrier, "a"));
    tasks[1] = coil_create_task(party(&barrier, "b"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_barrier_reset(&barrier));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1]));
    at("after reset: broken", coil_barrier_broken(&barrier), "waiting",
       coil_barrier_n_waiting(&barrier));
    tasks[2] = coil_create_task(party(&barrier, "c"));
    tasks[3] = coil_create_task(party(&barrier, "d"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_barrier_abort(&barrier));
    COIL_TRY(coil_gather(NULL, tasks[2], tasks[3]));
    at("after abort: broken", coil_barrier_broken(&barrier));
    COIL_TRY(coil_await(party(&barrier, "e"), NULL));
    COIL_TRY(coil_barrier_reset(&barrier));
    at("reset again: broken", coil_barrier_broken(&barrier));
    COIL_TRY(coil_gather(NULL, party(&barrier, "f"), party(&barrier, "g"), party(&barrier, "h")));
    unref_all(tasks, 4);
    coil_barrier_fini(&barrier);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
