/* The exact steps of wait_for around a task, in time and out of time.
 *
 * Why: Earlier versions took more steps; this pins the present count. */
#include "kit/kit.h"

COIL_ASYNC(work, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return("value");
}

COIL_ASYNC0(amain)
{
    coil_value value;
    coil_task *task = coil_create_task(work(1));
    COIL_TRY(coil_wait_for(task, 2, &value));
    at(value);
    coil_unref(task);

    task = coil_create_task(work(2));
    int rc = coil_wait_for(task, 1, &value);
    if (rc == COIL_ETIMEDOUT)
        at(kind(rc));
    coil_unref(task);

    COIL_TRY(coil_wait_for(work(1), 2, &value));
    at(value);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
