/* A body that ends in time is not touched, and the timer is gone afterwards.
 *
 * A timeout of nothing never fires. An error of the body passes through as it is.
 *
 * Why: A timer left behind would strike at unrelated code. */
#include "kit/kit.h"

static coil_value deadline(const coil_timeout *limit)
{
    double when = coil_timeout_when(limit);
    return when == COIL_NO_TIMEOUT ? coil_nil() : coil_double(when);
}

static int fails(void)
{
    COIL_TRY(coil_sleep(1));
    return boom("own error");
}

COIL_ASYNC0(amain)
{
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 2));
    int rc = coil_sleep(1);
    COIL_TRY(coil_timeout_exit(&limit, rc));
    at("in time", "expired", coil_timeout_expired(&limit));

    COIL_TRY(coil_timeout_enter(&limit, COIL_NO_TIMEOUT));
    at("deadline", deadline(&limit));
    rc = coil_sleep(100);
    COIL_TRY(coil_timeout_exit(&limit, rc));
    at("no limit", "expired", coil_timeout_expired(&limit));

    COIL_TRY(coil_timeout_enter(&limit, 2));
    rc = fails();
    rc = coil_timeout_exit(&limit, rc);
    if (rc != COIL_EAPP)
        return rc;
    at(kind(rc), "expired", coil_timeout_expired(&limit));
    COIL_TRY(coil_sleep(5));
    at("nothing fired late");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
