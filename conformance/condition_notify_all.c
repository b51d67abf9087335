/* notify_all wakes every waiter; they take the lock in turn, in waiting order.
 *
 * Why: Waking many at once must still let them through the lock one by one. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_condition *, cond), (const char *, name))
{
    COIL_TRY(coil_condition_acquire(cond));
    int rc = coil_condition_wait(cond);
    if (rc == 0) {
        at(name);
        rc = coil_sleep(1);
    }
    coil_condition_release(cond);
    return rc;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "a", "b", "c" };
    coil_condition cond = COIL_CONDITION_INIT(NULL);
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waiter(&cond, names[i]));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify_all(&cond));
    COIL_TRY(coil_condition_release(&cond));
    coil_task *latecomer = coil_create_task(waiter(&cond, "latecomer"));
    COIL_TRY(coil_sleep(5));
    at("latecomer done", coil_future_done(latecomer));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify_all(&cond));
    COIL_TRY(coil_condition_release(&cond));
    COIL_TRY(coil_gather(NULL, latecomer, tasks[0], tasks[1], tasks[2]));
    coil_unref(latecomer);
    unref_all(tasks, 3);
    coil_condition_fini(&cond);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
