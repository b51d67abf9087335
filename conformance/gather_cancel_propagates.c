/* Cancelling a task that waits in gather cancels every child of the gather.
 *
 * The task resumes, cancelled, when the first cancelled child has ended; if errors are collected
 * it is cancelled just the same, but only after the last child.
 *
 * Why: Cancelling the parent is how a whole fan of work is stopped. */
#include "kit/kit.h"

static coil_task *children[2];

COIL_ASYNC(work, (const char *, name), (double, cleanup))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        COIL_TRY(coil_sleep(cleanup));
        at(name, "cleaned up");
    }
    return rc;
}

COIL_ASYNC(waits, (bool, collect))
{
    int rc = collect ? coil_gather_collect(NULL, children[0], children[1])
                     : coil_gather(NULL, children[0], children[1]);
    if (rc == COIL_ECANCELED)
        at("gather raised", kind(rc), outcomes(children, 2));
    return rc;
}

COIL_ASYNC0(amain)
{
    static const bool collects[] = { false, true };
    for (int i = 0; i < 2; i++) {
        at("return_exceptions", collects[i]);
        children[0] = coil_create_task(work("a", 1));
        children[1] = coil_create_task(work("b", 0.5));
        coil_task *task = coil_create_task(waits(collects[i]));
        COIL_TRY(coil_sleep(1));
        coil_task_cancel(task, "enough");
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        at(outcome(task));
        COIL_TRY(coil_wait(children, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        at(outcomes(children, 2));
        coil_unref(task);
        unref_all(children, 2);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
