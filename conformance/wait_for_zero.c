/* wait_for with a zero or negative limit: a coroutine never starts, a pending future is cancelled.
 *
 * Even so it waits for the cancellation to be carried out.
 *
 * Why: Polling with a zero limit must start nothing. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    at("work starts");
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(1));
        at("cleanup took a second");
    }
    return rc;
}

COIL_ASYNC0(amain)
{
    for (int limit = 0; limit > -2; limit--) {
        int rc = coil_wait_for(work(), limit, NULL);
        if (rc == COIL_ETIMEDOUT)
            at("coroutine:", kind(rc));
    }
    coil_task *task = coil_create_task(work());
    COIL_TRY(coil_sleep(0));
    int rc = coil_wait_for(task, 0, NULL);
    if (rc == COIL_ETIMEDOUT)
        at("running task:", kind(rc), outcome(task));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
