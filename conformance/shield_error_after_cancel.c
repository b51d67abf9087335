/* An inner task that fails after its shield was cancelled: whoever holds the task can still see the
 * error.
 *
 * Why: The shield must not swallow errors of work it let go on. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    COIL_TRY(coil_sleep(2));
    return boom("late");
}

COIL_ASYNC0(amain)
{
    coil_set_exception_handler(NULL, print_event, NULL);
    coil_task *inner = coil_create_task(work());
    coil_future *outer = coil_shield_future(inner);
    COIL_TRY(coil_sleep(1));
    coil_future_cancel(outer, NULL);
    int rc = coil_await(outer, NULL);
    if (rc == COIL_ECANCELED)
        at("outer", kind(rc));
    COIL_TRY(coil_sleep(2));
    at("inner", outcome(inner));
    coil_unref(outer);
    coil_unref(inner);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
