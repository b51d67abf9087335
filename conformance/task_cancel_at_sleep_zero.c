/* A pending cancellation is delivered at sleep(0) too: one turn of the loop is enough.
 *
 * Why: Polling loops must be cancellable. */
#include "kit/kit.h"

COIL_ASYNC0(loops)
{
    int n = 0;
    int rc = 0;
    while (rc == 0) {
        n++;
        rc = coil_sleep(0);
    }
    if (rc == COIL_ECANCELED)
        say("loop left in round", n, kind(rc));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(loops());
    for (int i = 0; i < 5; i++)
        COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    say("asked");
    COIL_TRY(coil_sleep(0));
    say("one turn later", outcome(task));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
