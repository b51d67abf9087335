/* The exact steps of two tasks handing a lock over.
 *
 * Why: It pins how many steps a contended hand-over costs. */
#include "kit/kit.h"

COIL_ASYNC(worker, (coil_lock *, lock))
{
    COIL_TRY(coil_lock_acquire(lock));
    at("has it");
    int rc = coil_sleep(0);
    coil_lock_release(lock);
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(coil_gather(NULL, worker(&lock), worker(&lock), worker(&lock)));
    coil_lock_fini(&lock);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
