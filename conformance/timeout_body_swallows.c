/* If the body swallows the cancellation and ends normally, the block ends normally, though expired.
 *
 * If the body turns it into another error, that error comes out, and no request is left counted.
 *
 * Why: The block must neither invent an error nor leave a request behind. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_task *task = coil_current_task();
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at("swallowed, requests", coil_task_cancelling(task));
        rc = 0;
    }
    COIL_TRY(coil_timeout_exit(&limit, rc));
    at("no error; expired", coil_timeout_expired(&limit), "requests", coil_task_cancelling(task));

    COIL_TRY(coil_timeout_enter(&limit, 1));
    rc = coil_sleep(10);
    if (rc == COIL_ECANCELED)
        rc = boom("instead");
    rc = coil_timeout_exit(&limit, rc);
    if (rc != COIL_EAPP)
        return rc;
    at(kind(rc), "expired", coil_timeout_expired(&limit), "requests", coil_task_cancelling(task));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
