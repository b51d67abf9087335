/* A lock goes to waiters in the order they asked; a free lock is taken without suspending.
 *
 * Why: Fairness is promised, and starvation is the alternative. */
#include "kit/kit.h"

COIL_ASYNC(worker, (coil_lock *, lock), (const char *, name))
{
    at(name, "asks");
    COIL_TRY(coil_lock_acquire(lock));
    at(name, "has it");
    int rc = coil_sleep(1);
    coil_lock_release(lock);
    if (rc < 0)
        return rc;
    at(name, "released");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(call_soon(NULL, at, "queued callback"));
    COIL_TRY(coil_lock_acquire(&lock));
    at("acquired without suspending, locked", coil_lock_locked(&lock));
    COIL_TRY(coil_lock_release(&lock));
    at("locked", coil_lock_locked(&lock));
    COIL_TRY(coil_gather(NULL, worker(&lock, "a"), worker(&lock, "b"), worker(&lock, "c")));
    at("locked", coil_lock_locked(&lock));
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
