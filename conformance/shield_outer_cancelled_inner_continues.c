/* Cancelling the caller of shield() leaves the shielded task alone; the caller itself is cancelled at
 * once.
 *
 * Why: Commits and handshakes must not be cut off half-way. */
#include "kit/kit.h"

COIL_ASYNC0(important)
{
    at("important begins");
    COIL_TRY(coil_sleep(2));
    at("important ends");
    coil_return("committed");
}

COIL_ASYNC(caller, (coil_task *, task))
{
    coil_value value;
    int rc = coil_shield(task, &value);
    if (rc == 0)
        at("caller got", value);
    else if (rc == COIL_ECANCELED)
        at("caller got", kind(rc), "shielded", outcome(task));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *inner = coil_create_task(important());
    coil_task *task = coil_create_task(caller(inner));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, NULL);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcome(task));
    coil_value value;
    COIL_TRY(coil_await(inner, &value));
    at("inner gives", value);
    COIL_TRY(coil_shield(important(), &value));
    at("uncancelled shield gives", value);
    coil_unref(task);
    coil_unref(inner);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
