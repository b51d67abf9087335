/* Releasing a lock that is not held is an error; any task may release a held one.
 *
 * Why: An unmatched release means that somebody else's critical section is open. */
#include "kit/kit.h"

COIL_ASYNC(helper, (coil_lock *, lock))
{
    COIL_TRY(coil_lock_release(lock));
    say("released by another task");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_lock lock = COIL_LOCK_INIT;
    say("release of a free lock:", kind(coil_lock_release(&lock)));
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(join(coil_create_task(helper(&lock)), NULL));
    say("locked", coil_lock_locked(&lock));
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
