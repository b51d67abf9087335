/* A semaphore's start value: zero blocks at once, a negative one is refused; release may go
 * above it.
 *
 * Why: Zero-start semaphores are used as signals, so release above the start must work. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_semaphore sem;
    say("negative", kind(coil_semaphore_init(&sem, -1)));
    COIL_TRY(coil_semaphore_init(&sem, 0));
    say("zero, locked", coil_semaphore_locked(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    for (int i = 0; i < 2; i++) {
        COIL_TRY(coil_semaphore_acquire(&sem));
        say("acquired", i, "locked", coil_semaphore_locked(&sem));
    }
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
