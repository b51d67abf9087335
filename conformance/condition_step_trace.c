/* The exact steps of two condition waiters woken together: the second needs an extra one
 * for the lock.
 *
 * Why: Taking the lock back is a wait of its own, and shows in everyone's interleaving. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_condition *, cond))
{
    COIL_TRY(coil_condition_acquire(cond));
    int rc = coil_condition_wait(cond);
    if (rc == 0) {
        at("woken");
        rc = coil_sleep(0);
    }
    coil_condition_release(cond);
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_condition cond = COIL_CONDITION_INIT(NULL);
    coil_task *tasks[2];
    for (int i = 0; i < 2; i++)
        tasks[i] = coil_create_task(waiter(&cond));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify_all(&cond));
    COIL_TRY(coil_condition_release(&cond));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1]));
    unref_all(tasks, 2);
    coil_condition_fini(&cond);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
