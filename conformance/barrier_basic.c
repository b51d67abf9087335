/* A barrier lets the parties through together; each gets its arrival number, the last
 * arriver goes first.
 *
 * It can be used again for the next round.
 *
 * Why: The order of leaving and the indices decide who does the work that only one may do. */
#include "kit/kit.h"

COIL_ASYNC(party, (coil_barrier *, barrier), (const char *, name), (double, delay))
{
    for (int turn = 1; turn <= 2; turn++) {
        COIL_TRY(coil_sleep(delay));
        at(name, "arrives, waiting", coil_barrier_n_waiting(barrier));
        int index;
        COIL_TRY(index = coil_barrier_wait(barrier));
        at(name, "passed round", turn, "as number", index);
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_barrier barrier, one;
    COIL_TRY(coil_barrier_init(&barrier, 3));
    at("parties", coil_barrier_parties(&barrier), "broken", coil_barrier_broken(&barrier));
    COIL_TRY(coil_gather(NULL, party(&barrier, "a", 2), party(&barrier, "b", 1),
                         party(&barrier, "c", 3)));
    COIL_TRY(coil_barrier_init(&one, 1));
    int index;
    COIL_TRY(index = coil_barrier_wait(&one));
    at("a barrier of one does not wait:", index);
    coil_barrier_fini(&one);
    coil_barrier_fini(&barrier);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
