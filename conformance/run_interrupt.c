/* The first interrupt (SIGINT) cancels the main task, so that it can clean up; then run ends with
 * INTERRUPT.
 *
 * If main swallows the cancellation, run returns normally.
 *
 * Why: Ctrl-C has to give the program the chance to clean up. */
#include <signal.h>
#include <unistd.h>

#include "kit/kit.h"

static int interrupt(COIL_UNUSED void *arg)
{
    return kill(getpid(), SIGINT) == 0 ? 0 : -errno;
}

COIL_ASYNC(amain, (bool, swallow))
{
    COIL_TRY(coil_call_soon(coil_get_running_loop(), interrupt, NULL, NULL));
    int rc = coil_sleep(3600);
    if (rc == COIL_ECANCELED) {
        say("main got", kind(rc), "requests", coil_task_cancelling(coil_current_task()));
        if (!swallow)
            return rc;
    }
    coil_return("value");
}

int main(void)
{
    /* A test that runs in the background may have been started with SIGINT ignored. */
    signal(SIGINT, SIG_DFL);
    static const bool swallows[] = { false, true };
    for (int i = 0; i < 2; i++) {
        coil_value value;
        int rc = run(amain(swallows[i]), REAL, &value);
        if (rc == COIL_EINTERRUPT)
            say("run raised", kind(rc));
        else if (must(rc) >= 0)
            say("returned", value);
    }
}
