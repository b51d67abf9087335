/* A real cancel() that comes before the timeout, or during the cleanup that it caused, wins: the block
 * raises CANCELLED, not TIMEOUT.
 *
 * The request stays counted then; one that comes when the block is over changes nothing.
 *
 * Why: Losing a real cancellation inside a timeout makes a program unstoppable. */
#include "kit/kit.h"

static int body(double cleanup)
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        COIL_TRY(coil_sleep(cleanup));
    return rc;
}

COIL_ASYNC(worker, (double, cleanup))
{
    int rc = COIL_TIMEOUT(2, body(cleanup));
    if (rc < 0)
        at("block raised", kind(rc), "requests", coil_task_cancelling(coil_current_task()));
    return rc;
}

COIL_ASYNC0(amain)
{
    static const struct {
        const char *label;
        double when, cleanup;
    } cases[] = { { "before", 1, 0 },
                  { "during cleanup after it", 2.5, 1 },
                  { "long after", 5, 0 } };
    for (int i = 0; i < 3; i++) {
        at("cancel comes", cases[i].label);
        coil_task *task = coil_create_task(worker(cases[i].cleanup));
        COIL_TRY(coil_call_later(NULL, cases[i].when, do_cancel, task, NULL));
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        at(outcome(task));
        COIL_TRY(coil_sleep(6));
        coil_unref(task);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
