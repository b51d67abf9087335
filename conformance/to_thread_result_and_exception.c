/* to_thread runs a blocking call elsewhere while the loop goes on; its result or error comes back to the
 * awaiter.
 *
 * Why: It is the bridge to every blocking library. */
#include <pthread.h>
#include <semaphore.h>
#include "kit/kit.h"

static sem_t gate;
static pthread_t loop_thread;

COIL_JOB(blocking, (int, a), (int, b))
{
    sem_wait(&gate);
    coil_value parts[] = { coil_v("sum"), coil_v(a + b), coil_v("in the loop's thread"),
                           coil_bool(pthread_equal(pthread_self(), loop_thread)) };
    coil_return(list_of(parts, 4));
}

COIL_JOB0(fails)
{
    return boom("in the thread");
}

COIL_ASYNC0(ticker)
{
    for (int i = 0; i < 3; i++) {
        say("tick", i);
        COIL_TRY(coil_sleep(0));
    }
    sem_post(&gate);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_value values[2];
    COIL_TRY(coil_gather(values, coil_to_thread_coro(blocking(2, 3)), ticker()));
    say(values[0]);
    int rc = coil_to_thread(fails(), NULL);
    if (rc != COIL_EAPP)
        return rc;
    say("error", kind(rc));
    return 0;
}

int main(void)
{
    sem_init(&gate, 0, 0);
    loop_thread = pthread_self();
    must(run(amain(), 0, NULL));
}
