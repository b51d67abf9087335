/* FIRST_COMPLETED returns with whatever has ended by the time the waiter runs.
 *
 * Two tasks that end in the same iteration are both in the done set. The pattern "first result
 * wins" then cancels the rest.
 *
 * Why: First result wins is the usual pattern against slow servers. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(name);
}

COIL_ASYNC(released, (coil_event *, gate))
{
    COIL_TRY(coil_event_wait(gate));
    coil_return("together");
}

static int set_event(void *event)
{
    return coil_event_set(event);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = create_task(work("slow", 3), .name = "slow");
    tasks[1] = create_task(work("fast", 1), .name = "fast");
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED));
    at("done", set_of_done(tasks, 2), "pending", set_of_pending(tasks, 2));
    coil_task *winner = coil_future_done(tasks[0]) ? tasks[0] : tasks[1];
    at("winner", outcome(winner));
    coil_task *pending = winner == tasks[0] ? tasks[1] : tasks[0];
    coil_task_cancel(pending, NULL);
    COIL_TRY(coil_wait(&pending, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 2));
    unref_all(tasks, 2);

    coil_event gate = COIL_EVENT_INIT;
    coil_task *group[3];
    group[0] = create_task(released(&gate), .name = "g1");
    group[1] = create_task(work("slow", 2), .name = "slow2");
    group[2] = create_task(released(&gate), .name = "g2");
    COIL_TRY(coil_call_later(coil_get_running_loop(), 1, set_event, &gate, NULL));
    COIL_TRY(coil_wait(group, 3, COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED));
    at("done", set_of_done(group, 3), "pending", set_of_pending(group, 3));
    COIL_TRY(coil_wait(group, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    unref_all(group, 3);
    coil_event_fini(&gate);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
