/* When wait_for expires, what it waits for is cancelled, its cleanup is awaited, then TIMEOUT is
 * raised.
 *
 * To leave a task running, shield it.
 *
 * Why: After TIMEOUT the work must be over, not still running somewhere. */
#include "kit/kit.h"

COIL_ASYNC(work, (double, cleanup))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at("work got", kind(rc));
        COIL_TRY(coil_sleep(cleanup));
        at("work cleaned up");
    }
    return rc;
}

COIL_ASYNC0(amain)
{
    at("coroutine");
    int rc = coil_wait_for(work(0.5), 1, NULL);
    if (rc == COIL_ETIMEDOUT)
        at(kind(rc));
    at("task");
    coil_task *task = coil_create_task(work(0.5));
    rc = coil_wait_for(task, 1, NULL);
    if (rc == COIL_ETIMEDOUT)
        at(kind(rc));
    coil_unref(task);

    coil_future *fut = coil_create_future(NULL);
    rc = coil_wait_for(fut, 1, NULL);
    if (rc == COIL_ETIMEDOUT)
        at("future:", kind(rc), outcome(fut));
    coil_unref(fut);

    task = coil_create_task(coil_sleep_coro(2, coil_v("survived")));
    coil_future *shield = coil_shield_future(task);
    rc = coil_wait_for(shield, 1, NULL);
    coil_unref(shield);
    if (rc == COIL_ETIMEDOUT) {
        coil_value token = kind(rc), state = outcome(task), value;
        COIL_TRY(coil_await(task, &value));
        at("shielded:", token, state, "later", value);
    }
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
