/* A task may swallow a cancellation: it then ends normally, with its result, not cancelled.
 *
 * The request stays counted, and a second one works like the first.
 *
 * Why: It is allowed, so everything above (timeouts, groups) has to cope with it. */
#include "kit/kit.h"

COIL_ASYNC(stubborn, (const char *, name), (int, lives))
{
    while (lives > 0) {
        int rc = coil_sleep(10);
        if (rc == COIL_ECANCELED) {
            lives--;
            at(name, "swallowed one, requests", coil_task_cancelling(coil_current_task()));
        } else {
            COIL_TRY(rc);
        }
    }
    coil_return("finished anyway");
}

COIL_ASYNC0(amain)
{
    coil_task *once = coil_create_task(stubborn("once", 1));
    coil_task *twice = coil_create_task(stubborn("twice", 2));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(once, NULL);
    coil_task_cancel(twice, NULL);
    COIL_TRY(coil_sleep(1));
    say(outcome(once), outcome(twice));
    coil_task_cancel(twice, NULL);
    coil_value value;
    COIL_TRY(coil_await(twice, &value));
    at("result", value, "cancelled", coil_future_cancelled(twice));
    coil_unref(twice);
    coil_unref(once);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
