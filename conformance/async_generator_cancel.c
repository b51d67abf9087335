/* A task cancelled inside a generator: the cancellation arrives at the generator's own await, and
 * climbs out.
 *
 * Why: The generator shares the consumer's task, so it must see the consumer's cancellation. */
#include "kit/kit.h"

static int count_seconds(void)
{
    for (int i = 0; i < 10; i++) {
        COIL_TRY(coil_sleep(1));
        COIL_TRY(coil_yield(i, NULL));
    }
    return 0;
}

COIL_ASYNC_GEN0(source)
{
    int rc = count_seconds();
    if (rc == COIL_ECANCELED)
        at("generator got", kind(rc));
    at("generator cleanup");
    return rc;
}

COIL_ASYNC0(consumer)
{
    coil_gen *gen = source();
    coil_value value;
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0)
        at("got", value);
    coil_unref(gen);
    if (rc == COIL_ECANCELED)
        at("consumer got", kind(rc));
    return rc == COIL_EEND ? 0 : rc;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(consumer());
    COIL_TRY(coil_sleep(2.5));
    coil_task_cancel(task, NULL);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcome(task));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
