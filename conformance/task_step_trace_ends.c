/* The ways in which a step can end: ready, waiting, done, failed, cancelled.
 *
 * A task cancelled before its first step still takes that step, into which the cancellation is
 * thrown; its body never begins.
 *
 * Why: The five endings are all a scheduler needs to know of a step. */
#include "kit/kit.h"

COIL_ASYNC0(gives_way)
{
    return coil_sleep(0);
}

COIL_ASYNC0(fails)
{
    COIL_TRY(coil_sleep(0.25));
    return boom("x");
}

COIL_ASYNC0(never_begins)
{
    say("not printed");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[4];
    tasks[0] = create_task(gives_way(), .name = "gives-way");
    tasks[1] = create_task(fails(), .name = "fails");
    tasks[2] = create_task(never_begins(), .name = "never-begins");
    tasks[3] = create_task(coil_sleep_coro(9, coil_nil()), .name = "sleeper");
    coil_task_cancel(tasks[2], NULL);
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[3], NULL);
    COIL_TRY(coil_sleep(1));
    say(outcomes(tasks, 4));
    unref_all(tasks, 4);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
