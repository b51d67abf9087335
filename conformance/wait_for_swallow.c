/* A coroutine that swallows the cancellation of wait_for and returns: its value is returned, no
 * TIMEOUT.
 *
 * If it raises another error instead, that error comes out.
 *
 * Why: A late value is still a value; inventing a TIMEOUT would lose it. */
#include "kit/kit.h"

COIL_ASYNC(stubborn, (const char *, error))
{
    int rc = coil_sleep(10);
    if (rc == COIL_ECANCELED) {
        at("swallowed");
        COIL_TRY(coil_sleep(0.5));
        if (error)
            return boom(error);
        coil_return("late value");
    }
    return rc;
}

/* wait_for, of the coroutine itself or of a task. */
static int wait_for(coil_coro *coro, bool in_task, coil_value *value_out)
{
    if (!in_task)
        return coil_wait_for(coro, 1, value_out);
    coil_task *task = coil_create_task(coro);
    int rc = coil_wait_for(task, 1, value_out);
    coil_unref(task);
    return rc;
}

COIL_ASYNC0(amain)
{
    for (int in_task = 0; in_task < 2; in_task++) {
        coil_value value;
        COIL_TRY(wait_for(stubborn(NULL), in_task, &value));
        at(value);
        int rc = wait_for(stubborn("in cleanup"), in_task, &value);
        if (rc == COIL_EAPP)
            at(kind(rc));
    }
    at("requests", coil_task_cancelling(coil_current_task()));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
