/* A cancelled condition waiter takes the lock back before it leaves, and wakes another
 * waiter on its way out.
 *
 * It does so whether or not it had been notified itself: a spurious wake-up is allowed, a lost
 * notification is not.
 *
 * Why: A lost notification is a deadlock, so the woken-and-cancelled waiter has to pass it on. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_condition *, cond), (const char *, name))
{
    COIL_TRY(coil_condition_acquire(cond));
    int rc = coil_condition_wait(cond);
    if (rc == 0)
        at(name, "woken");
    else if (rc == COIL_ECANCELED)
        at(name, kind(rc), "locked", coil_condition_locked(cond));
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
    coil_task_cancel(tasks[0], NULL);
    at("a cancelled while main holds the lock, nobody notified");
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_release(&cond));
    COIL_TRY(coil_sleep(1));
    at(outcomes(tasks, 3));

    coil_task *second[2] = { tasks[2], coil_create_task(waiter(&cond, "d")) };
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_notify(&cond, 1)); /* meant for c ... */
    coil_task_cancel(second[0], NULL);         /* ... which is cancelled before it runs */
    at("c notified and cancelled");
    COIL_TRY(coil_condition_release(&cond));
    COIL_TRY(coil_sleep(1));
    at(outcomes(second, 2));
    unref_all(tasks, 3);
    coil_unref(second[1]);
    coil_condition_fini(&cond);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
