/* A cancelled barrier waiter simply leaves: the count goes down and the barrier is not
 * broken.
 *
 * Why: One impatient task must not break the barrier for the rest. */
#include "kit/kit.h"

/* barrier.wait() as a coroutine. */
COIL_ASYNC(wait_in, (coil_barrier *, barrier))
{
    int index;
    COIL_TRY(index = coil_barrier_wait(barrier));
    coil_return(index);
}

COIL_ASYNC0(amain)
{
    coil_barrier barrier;
    COIL_TRY(coil_barrier_init(&barrier, 2));
    coil_task *a = coil_create_task(wait_in(&barrier));
    COIL_TRY(coil_sleep(1));
    at("waiting", coil_barrier_n_waiting(&barrier));
    coil_task_cancel(a, NULL);
    COIL_TRY(coil_wait(&a, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcome(a), "waiting", coil_barrier_n_waiting(&barrier), "broken",
       coil_barrier_broken(&barrier));
    coil_task *both[2];
    both[0] = coil_create_task(wait_in(&barrier));
    both[1] = coil_create_task(wait_in(&barrier));
    COIL_TRY(coil_wait(both, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcome(both[0]), outcome(both[1]));
    coil_unref(a);
    unref_all(both, 2);
    coil_barrier_fini(&barrier);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
