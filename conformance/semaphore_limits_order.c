/* A semaphore of two lets two in at a time, in the order they asked.
 *
 * Why: Both the limit and the order of service are observable. */
#include "kit/kit.h"

COIL_ASYNC(worker, (coil_semaphore *, sem), (const char *, name), (double, delay))
{
    COIL_TRY(coil_semaphore_acquire(sem));
    at(name, "enters, locked", coil_semaphore_locked(sem));
    int rc = coil_sleep(delay);
    coil_semaphore_release(sem);
    if (rc < 0)
        return rc;
    at(name, "left");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_semaphore sem = COIL_SEMAPHORE_INIT(2);
    COIL_TRY(coil_gather(NULL, worker(&sem, "a", 2), worker(&sem, "b", 1), worker(&sem, "c", 3),
                         worker(&sem, "d", 0.5), worker(&sem, "e", 1.25)));
    at("locked", coil_semaphore_locked(&sem));
    coil_semaphore_fini(&sem);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
