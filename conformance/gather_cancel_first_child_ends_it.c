/* After cancelling a plain gather, it raises when the first child has ended, not the last.
 *
 * Unless errors are collected, the first cancelled child completes the gather; slower children
 * finish their cleanup on their own.
 *
 * Why: Code after a cancelled gather must not assume that all children have ended. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, cleanup))
{
    int rc = coil_sleep(10);
    COIL_TRY(coil_sleep(cleanup));
    at(name, "cleaned up");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *children[2];
    children[0] = coil_create_task(work("fast", 0.25));
    children[1] = coil_create_task(work("slow", 2));
    void *const both[] = { children[0], children[1] };
    coil_future *group = coil_gather_future(NULL, both, 2, 0);
    COIL_TRY(coil_sleep(1));
    bool asked = coil_future_cancel(group, NULL);
    at("cancel", asked, "done at once", coil_future_done(group));
    int rc = coil_await(group, NULL);
    if (rc == COIL_ECANCELED)
        at(kind(rc), "group cancelled", coil_future_cancelled(group), outcomes(children, 2));
    at("cancel when done", coil_future_cancel(group, NULL));
    COIL_TRY(coil_wait(children, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(children, 2));
    coil_unref(group);
    unref_all(children, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
