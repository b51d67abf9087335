/* run and run_until_complete refuse to start inside a running loop, another loop's too.
 *
 * In Python the refused coroutine can be tried again; here every refusal consumes one, and it is
 * not reported as never awaited.
 *
 * Why: Nesting loops dead-locks or reorders; it must be refused clearly. */
#include "kit/kit.h"

COIL_ASYNC0(other)
{
    say("never runs");
    return 0;
}

static void say_refusal(const char *label, int rc)
{
    if (rc == COIL_ENESTED)
        say(label, kind(rc));
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_loop *fresh = new_loop(0);
    say_refusal("run", coil_run(other(), NULL));
    say_refusal("same loop", coil_run_until_complete(loop, other(), NULL));
    say_refusal("other loop", coil_run_until_complete(fresh, other(), NULL));
    say_refusal("run_forever", coil_run_forever(loop));
    end_loop(fresh);
    COIL_TRY(coil_sleep(0));
    say("the running loop is not harmed");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
