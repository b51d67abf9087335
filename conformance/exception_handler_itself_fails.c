/* An error raised by the exception handler itself is logged, and the loop goes on.
 *
 * Why: The last line of defence must not bring the loop down. */
#include "kit/kit.h"

static int handler(COIL_UNUSED coil_loop *loop, COIL_UNUSED const coil_report *report,
                   COIL_UNUSED void *arg)
{
    return boom("handler");
}

static int fails(COIL_UNUSED void *arg)
{
    return boom("callback");
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_set_exception_handler(loop, handler, NULL);
    COIL_TRY(coil_call_soon(loop, fails, NULL, NULL));
    COIL_TRY(coil_sleep(0));
    say("still running");
    return 0;
}

int main(void)
{
    print_log(); /* of loops that are made from here on */
    must(run(amain(), 0, NULL));
}
