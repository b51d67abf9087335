/* A cancelled child is an error of gather like any other: siblings run on, the parent was not
 * cancelled.
 *
 * Why: A child's fate must not be mistaken for a cancellation of the parent. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    coil_return(name);
}

static int cancel_only(void *task)
{
    coil_task_cancel(task, "a only");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *a = coil_create_task(work("a", 1));
    coil_task *b = coil_create_task(work("b", 2));
    COIL_TRY(coil_call_later(coil_get_running_loop(), 0.5, cancel_only, a, NULL));
    int rc = coil_gather(NULL, a, b);
    if (rc == COIL_ECANCELED)
        at("gather raised", kind(rc), "own requests", coil_task_cancelling(coil_current_task()));
    coil_value value;
    COIL_TRY(coil_await(b, &value));
    at("b gives", value, "a", outcome(a));
    coil_unref(b);
    coil_unref(a);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
