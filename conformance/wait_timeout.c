/* wait with a timeout raises nothing and cancels nothing: it just returns what is done so far.
 *
 * A zero timeout still gives the loop a turn.
 *
 * Why: It is the way of looking at progress without disturbing it. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(delay);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = create_task(work(1), .name = "a");
    tasks[1] = create_task(work(3), .name = "b");
    COIL_TRY(coil_wait(tasks, 2, 2, COIL_ALL_COMPLETED));
    at("done", set_of_done(tasks, 2), "pending", set_of_pending(tasks, 2), outcome(tasks[1]));
    COIL_TRY(coil_wait(tasks, 2, 9, COIL_ALL_COMPLETED));
    at("done", set_of_done(tasks, 2), "pending", set_of_pending(tasks, 2));
    unref_all(tasks, 2);

    tasks[0] = create_task(work(0), .name = "c");
    tasks[1] = create_task(work(1), .name = "d");
    COIL_TRY(coil_wait(tasks, 2, 0, COIL_ALL_COMPLETED));
    at("zero timeout: done", set_of_done(tasks, 2), "pending", set_of_pending(tasks, 2));
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    unref_all(tasks, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
