/* Cancelling the task that owns a group cancels the children, and the owner ends cancelled, not
 * failed.
 *
 * But a child's error during that winding down wins over the cancellation; the request stays counted
 * and is delivered at the next await.
 *
 * Why: An outer cancellation must pass through without turning into a failure, and must not be
 * forgotten. */
#include "kit/kit.h"

COIL_ASYNC(child, (const char *, error))
{
    int rc = coil_sleep(10);
    COIL_TRY(coil_sleep(0.5));
    at("child cleaned up");
    return error ? boom(error) : rc;
}

COIL_ASYNC(owner, (const char *, error), (bool, in_body))
{
    coil_task_group group;
    coil_task_group_enter(&group);
    int rc = coil_task_group_spawn(&group, child(error));
    if (rc == 0 && in_body)
        rc = coil_sleep(10);
    rc = coil_task_group_exit(&group, rc);
    at("owner got", kind(rc), "requests", coil_task_cancelling(coil_current_task()));
    if (!error)
        return rc;
    rc = coil_sleep(0);
    if (rc == COIL_ECANCELED)
        at("next await got", kind(rc));
    else
        at("next await undisturbed");
    coil_return("handled");
}

COIL_ASYNC0(amain)
{
    const struct {
        const char *error;
        bool in_body;
    } cases[] = { { NULL, true }, { NULL, false }, { "cleanup", false } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        coil_task *task = coil_create_task(owner(cases[i].error, cases[i].in_body));
        COIL_TRY(coil_sleep(1));
        coil_task_cancel(task, NULL);
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        at(outcome(task), "requests", coil_task_cancelling(task));
        coil_unref(task);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
