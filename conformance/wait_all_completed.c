/* wait tells which are done and which are pending; errors stay inside the tasks.
 *
 * Why: wait never raises for its tasks: the caller looks at each. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    if (error)
        return boom(error);
    coil_return(delay);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = create_task(work(2, NULL), .name = "a");
    tasks[1] = create_task(work(1, "b broke"), .name = "b");
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at("done", set_of_done(tasks, 2), "pending", set_of_pending(tasks, 2), outcomes(tasks, 2));
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at("again, all done already:", set_of_done(tasks, 2), set_of_pending(tasks, 2));
    unref_all(tasks, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
