/* A task that cancels itself goes on until its next await that suspends.
 *
 * Awaiting something already done does not deliver it. If the task returns before it suspends
 * again, it still ends cancelled and its result is lost.
 *
 * Why: The point of delivery is the next real suspension, and a return does not escape it. */
#include "kit/kit.h"

COIL_ASYNC0(suspends)
{
    coil_future *done = coil_create_future(NULL);
    COIL_TRY(coil_future_set_result(done, coil_v("ready value")));
    coil_task_cancel(coil_current_task(), NULL);
    say("still running after cancel");
    coil_value value;
    COIL_TRY(join(done, &value));
    say("await of a done future gives", value);
    int rc = coil_sleep(5);
    if (rc == COIL_ECANCELED)
        say("delivered at the sleep:", kind(rc));
    else
        COIL_TRY(rc);
    coil_return("went on");
}

COIL_ASYNC0(returns)
{
    coil_task_cancel(coil_current_task(), "mine");
    coil_return("lost");
}

COIL_ASYNC0(amain)
{
    static coil_coro *(*const bodies[])(void) = { suspends, returns };
    for (int i = 0; i < 2; i++) {
        coil_coro *body = bodies[i]();
        const char *name = coil_coro_name(body);
        coil_task *task = coil_create_task(body);
        COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
        say(name, outcome(task));
        coil_unref(task);
    }
    say("clock", now());
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
