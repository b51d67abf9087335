/* wait and notify need the lock; a condition can be built on a given lock.
 *
 * Why: Waiting without the lock is a race; it must be refused every time. */
#include "kit/kit.h"

static int notify(coil_condition *cond)
{
    return coil_condition_notify(cond, 1);
}

COIL_ASYNC0(amain)
{
    static const struct {
        const char *label;
        int (*use)(coil_condition *cond);
    } uses[] = { { "notify", notify }, { "notify_all", coil_condition_notify_all } };
    coil_lock lock = COIL_LOCK_INIT;
    coil_condition cond = COIL_CONDITION_INIT(&lock);
    for (int i = 0; i < 2; i++)
        say(uses[i].label, kind(uses[i].use(&cond)));
    int rc = coil_condition_wait(&cond);
    say("wait", kind(rc));
    COIL_TRY(coil_lock_acquire(&lock));
    say("holding the given lock:", coil_condition_locked(&cond));
    COIL_TRY(coil_condition_notify_all(&cond));
    say("notify with nobody waiting is fine");
    COIL_TRY(coil_lock_release(&lock));
    coil_condition_fini(&cond);
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
