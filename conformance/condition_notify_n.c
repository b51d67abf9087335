/* notify(n) wakes the n longest waiting tasks; each goes on only when it has the lock
 * again.
 *
 * The notifier keeps the lock until it releases it. Asking for more than wait wakes all.
 *
 * Why: Who is woken, and when each may go on, is the whole meaning of a condition. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_condition *, cond), (const char *, name))
{
    COIL_TRY(coil_condition_acquire(cond));
    int rc = coil_condition_wait(cond);
    if (rc == 0) {
        at(name, "notified, locked", coil_condition_locked(cond));
        rc = coil_sleep(0.5);
    }
    coil_condition_release(cond);
    return rc;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "a", "b", "c", "d", "e" };
    coil_condition cond = COIL_CONDITION_INIT(NULL);
    coil_task *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = coil_create_task(waiter(&cond, names[i]));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify(&cond, 1));
    at("notified one, still holding the lock");
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_release(&cond));
    COIL_TRY(coil_sleep(2));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify(&cond, 2));
    COIL_TRY(coil_condition_release(&cond));
    at("notified two");
    COIL_TRY(coil_sleep(3));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify(&cond, 99));
    COIL_TRY(coil_condition_release(&cond));
    at("notified the rest");
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1], tasks[2], tasks[3], tasks[4]));
    at("end");
    unref_all(tasks, 5);
    coil_condition_fini(&cond);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
