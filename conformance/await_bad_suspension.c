/* An object that suspends with something a task cannot wait for: the error is delivered at that
 * await.
 *
 * The task may handle it and go on. What the Python object suspends with is a number; here it is a
 * Coil object that is no awaitable, since a number would not compile.
 *
 * Why: A broken waiting object must fail where it is awaited, not hang or break the loop.
 * Tags: optional */
#include "kit/kit.h"

static int broken_wait(COIL_UNUSED coil_awaitable *self, coil_value *value_out)
{
    void *neither_future_nor_nothing = coil_get_running_loop();
    return coil_await(neither_future_nor_nothing, value_out);
}

COIL_ASYNC0(careful)
{
    coil_awaitable broken = COIL_AWAITABLE_INIT(broken_wait);
    int rc = coil_await(&broken, NULL);
    if (rc < 0)
        say("careful got", kind(rc));
    COIL_TRY(coil_sleep(0));
    coil_return("went on");
}

COIL_ASYNC0(careless)
{
    coil_awaitable broken = COIL_AWAITABLE_INIT(broken_wait);
    return coil_await(&broken, NULL);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = coil_create_task(careful());
    tasks[1] = coil_create_task(careless());
    COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say(outcomes(tasks, 2));
    unref_all(tasks, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
