/* A bounded semaphore refuses to be released above its start value.
 *
 * Why: It turns a silent accounting bug into an error. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_bounded_semaphore sem = COIL_BOUNDED_SEMAPHORE_INIT(2);
    COIL_TRY(coil_semaphore_acquire(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    say("one too many:", kind(coil_semaphore_release(&sem)));
    COIL_TRY(coil_semaphore_acquire(&sem));
    COIL_TRY(coil_semaphore_acquire(&sem));
    say("still two slots, locked", coil_semaphore_locked(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    COIL_TRY(coil_semaphore_release(&sem));
    say("locked", coil_semaphore_locked(&sem));
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
