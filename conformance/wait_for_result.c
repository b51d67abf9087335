/* wait_for returns the result in time, runs a coroutine inline, and passes errors on.
 *
 * Why: Running inline, without a task of its own, is new since 3.12 and visible in contexts and traces. */
#include "kit/kit.h"

COIL_ASYNC(work, (double, delay), (const char *, error))
{
    at("runs in", coil_current_task());
    COIL_TRY(coil_sleep(delay));
    if (error)
        return boom(error);
    coil_return("value");
}

COIL_ASYNC0(amain)
{
    coil_value value;
    COIL_TRY(coil_wait_for(work(1, NULL), 2, &value));
    at(value);
    COIL_TRY(coil_wait_for(work(1, NULL), COIL_NO_TIMEOUT, &value));
    at(value);
    coil_task *task = coil_create_task(work(1, NULL));
    COIL_TRY(coil_wait_for(task, 2, &value));
    at(value);
    coil_unref(task);
    int rc = coil_wait_for(work(1, "own"), 2, NULL);
    if (rc == COIL_EAPP)
        at(kind(rc));
    coil_future *fut = coil_create_future(NULL);
    coil_future_set_result(fut, coil_v("ready"));
    COIL_TRY(coil_wait_for(fut, 0, &value));
    at("done future, zero limit:", value);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
