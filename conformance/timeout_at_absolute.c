/* timeout_at takes an absolute time of the loop's clock; several blocks may share one deadline.
 *
 * Why: A deadline shared by several steps is the usual form of an overall limit. */
#include "kit/kit.h"

static int step(int part)
{
    COIL_TRY(coil_sleep(1.25));
    at("part", part);
    return 0;
}

COIL_ASYNC0(amain)
{
    double deadline = now() + 3;
    for (int part = 0; part < 5; part++) {
        coil_timeout limit;
        COIL_TRY(coil_timeout_at_enter(&limit, deadline));
        int rc = step(part);
        rc = coil_timeout_exit(&limit, rc);
        if (rc == COIL_ETIMEDOUT)
            at("part", part, kind(rc));
        else if (rc < 0)
            return rc;
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
