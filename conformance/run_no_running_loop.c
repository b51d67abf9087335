/* Outside a loop there is no running loop and no current task, and create_task is refused.
 *
 * Where Python raises RuntimeError, all three give NULL. For the last, coil_error_last says why.
 *
 * Why: The error at the first wrong call is better than a task that never runs. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    coil_return("never");
}

COIL_ASYNC0(amain)
{
    say("inside", coil_loop_is_running(coil_get_running_loop()), coil_current_task());
    return 0;
}

int main(void)
{
    if (!coil_get_running_loop())
        say("get_running_loop", kind(COIL_ENOLOOP));
    if (!coil_current_task())
        say("current_task", kind(COIL_ENOTASK));
    if (!coil_create_task(work()))
        say("create_task", kind(coil_error_last()));
    must(run(amain(), 0, NULL));
}
