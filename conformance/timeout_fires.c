/* When a timeout expires the body is cancelled, and TIMEOUT comes out at the end of the block, not
 * inside it.
 *
 * Why: Where the error appears decides which handlers see it. */
#include "kit/kit.h"

static int body(coil_timeout *limit)
{
    at("deadline", coil_timeout_when(limit), "expired", coil_timeout_expired(limit));
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at("inside:", kind(rc), "requests", coil_task_cancelling(coil_current_task()), "expired",
           coil_timeout_expired(limit));
        COIL_TRY(coil_sleep(0.5));
        at("cleanup may take its time");
    }
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    int rc = body(&limit);
    rc = coil_timeout_exit(&limit, rc);
    if (rc == COIL_ETIMEDOUT)
        at("outside:", kind(rc), "requests", coil_task_cancelling(coil_current_task()), "expired",
           coil_timeout_expired(&limit));
    COIL_TRY(coil_sleep(1));
    at("goes on");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
