/* The exact steps when a timeout cancels a shielded wait, and the shielded task ends later.
 *
 * Why: It pins that the shielded task takes no extra steps and the caller resumes at once. */
#include "kit/kit.h"

COIL_ASYNC0(important)
{
    COIL_TRY(coil_sleep(2));
    coil_return("value");
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(important());
    int rc = COIL_TIMEOUT(1, coil_shield(task, NULL));
    if (rc == COIL_ETIMEDOUT)
        at(kind(rc));
    coil_value value;
    COIL_TRY(coil_await(task, &value));
    at(value);
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
