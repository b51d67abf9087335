/* A hundred one-second fetches, at most 1, 10 or 100 at a time: they take 100, 10 and 1
 * seconds.
 *
 * Why: Limiting concurrency is the reason why people use semaphores. */
#include "kit/kit.h"

enum {
    FETCHES = 100
};

struct state {
    int active, peak;
};

COIL_ASYNC(fetch, (coil_semaphore *, sem), (struct state *, state))
{
    COIL_TRY(coil_semaphore_acquire(sem));
    state->active++;
    if (state->active > state->peak)
        state->peak = state->active;
    int rc = coil_sleep(1);
    state->active--;
    coil_semaphore_release(sem);
    return rc;
}

COIL_ASYNC0(amain)
{
    static const int limits[] = { 1, 10, 100 };
    for (int k = 0; k < 3; k++) {
        coil_semaphore sem = COIL_SEMAPHORE_INIT(limits[k]);
        struct state state = { 0, 0 };
        double start = now();
        void *fetches[FETCHES];
        for (int i = 0; i < FETCHES; i++)
            fetches[i] = fetch(&sem, &state);
        COIL_TRY(coil_gather_array(NULL, fetches, FETCHES, 0));
        say("limit", limits[k], "took", now() - start, "peak", state.peak);
        coil_semaphore_fini(&sem);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
