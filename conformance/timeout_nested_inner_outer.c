/* Nested timeouts: whichever expires is the one that turns the cancellation into TIMEOUT.
 *
 * The outer one passes through the inner block as a plain cancellation.
 *
 * Why: The cancellation looks alike; only the counts tell whose it is. */
#include "kit/kit.h"

static int inside(double delay)
{
    coil_timeout inner;
    COIL_TRY(coil_timeout_enter(&inner, delay));
    int rc = coil_timeout_exit(&inner, coil_sleep(10));
    if (rc < 0)
        at("between:", kind(rc), "inner expired", coil_timeout_expired(&inner));
    return rc;
}

static int nest(double outer_delay, double inner_delay)
{
    coil_timeout outer;
    COIL_TRY(coil_timeout_enter(&outer, outer_delay));
    int rc = coil_timeout_exit(&outer, inside(inner_delay));
    if (rc != COIL_ETIMEDOUT)
        return rc;
    at("outside:", kind(rc), "outer expired", coil_timeout_expired(&outer));
    return 0;
}

static int goes_on(void)
{
    int rc = COIL_TIMEOUT(1, coil_sleep(10));
    if (rc != COIL_ETIMEDOUT)
        return rc;
    at("caught the inner one");
    return coil_sleep(10);
}

COIL_ASYNC0(amain)
{
    at("inner first");
    COIL_TRY(nest(2, 1));
    at("outer first");
    COIL_TRY(nest(1, 2));
    at("inner caught, outer goes on");
    int rc = COIL_TIMEOUT(3, goes_on());
    if (rc != COIL_ETIMEDOUT)
        return rc;
    at(kind(rc));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
