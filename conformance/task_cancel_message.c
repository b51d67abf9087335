/* The message given to a cancellation reaches the cancelled code and whoever awaits the task.
 *
 * Of two messages given before delivery, a suspended task sees the first (it sits in the future
 * it awaits); a task that has not started sees the second.
 *
 * Why: Whoever logs the cancellation wants to say why. */
#include "kit/kit.h"

COIL_ASYNC(sleeper, (bool, fresh))
{
    int rc = coil_sleep(9);
    if (rc == COIL_ECANCELED) {
        say("inside:", kind(rc));
        if (fresh)
            return coil_raise(COIL_ECANCELED, "replaced");
    }
    return rc;
}

COIL_ASYNC(observe, (coil_task *, task))
{
    int rc = coil_await(task, NULL);
    if (rc == COIL_ECANCELED) {
        say("outside:", kind(rc));
        return 0;
    }
    return rc;
}

COIL_ASYNC0(amain)
{
    static const bool kinds[] = { false, true };
    for (int i = 0; i < 2; i++) {
        coil_task *suspended = coil_create_task(sleeper(kinds[i]));
        COIL_TRY(coil_sleep(0));
        coil_task_cancel(suspended, "first");
        coil_task_cancel(suspended, "second");
        COIL_TRY(coil_await(observe(suspended), NULL));
        coil_unref(suspended);
    }

    coil_task *task = coil_create_task(sleeper(false));
    coil_task_cancel(task, "before the start: first");
    coil_task_cancel(task, "before the start: second");
    COIL_TRY(coil_await(observe(task), NULL));
    coil_unref(task);

    task = coil_create_task(sleeper(false));
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, NULL);
    COIL_TRY(coil_await(observe(task), NULL));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
