/* reschedule() moves the deadline, either way, or removes it; only while the block is active.
 *
 * Why: Watchdogs and idle timers are built on it. */
#include "kit/kit.h"

static int body(coil_timeout *limit)
{
    COIL_TRY(coil_sleep(0.5));
    COIL_TRY(coil_timeout_reschedule(limit, now() + 2));
    at("moved to", coil_timeout_when(limit));
    COIL_TRY(coil_sleep(1.5));
    at("still alive");
    COIL_TRY(coil_timeout_reschedule(limit, COIL_NO_TIMEOUT));
    COIL_TRY(coil_sleep(10));
    at("limit removed, still alive");
    COIL_TRY(coil_timeout_reschedule(limit, now() - 1));
    at("a deadline in the past fires at the next await");
    return coil_sleep(1);
}

COIL_ASYNC0(amain)
{
    coil_timeout limit = COIL_TIMEOUT_INIT;
    int rc = coil_timeout_reschedule(&limit, 5);
    if (rc < 0)
        at("before entering:", kind(rc));
    COIL_TRY(coil_timeout_enter(&limit, 1));
    rc = body(&limit);
    rc = coil_timeout_exit(&limit, rc);
    if (rc == COIL_ETIMEDOUT)
        at(kind(rc));
    rc = coil_timeout_reschedule(&limit, 99);
    if (rc < 0)
        at("after the end:", kind(rc));
    /* Entering sets a limit up in C, so it may be entered again; what is an error here is to leave it
     * once more than it was entered. */
    rc = coil_timeout_exit(&limit, 0);
    if (rc < 0)
        at("entered twice:", kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
