/* In debug mode a callback or a task step that keeps the thread too long is reported, with its
 * time.
 *
 * The limit is 0.1 s unless set otherwise; the same code without debug mode says nothing.
 *
 * Why: One slow step delays everybody; this report is how it is found. */
#include "kit/kit.h"

static int slow(void *arg)
{
    double *seconds = arg;
    say("callback busy for", *seconds);
    advance(*seconds);
    return 0;
}

COIL_ASYNC0(slow_task)
{
    say("task step busy");
    advance(0.5);
    COIL_TRY(coil_sleep(0));
    say("second step is quick");
    return 0;
}

COIL_ASYNC0(amain)
{
    static double seconds[] = { 0.25, 0.0625, 1.5, 2.0 };
    coil_loop *loop = coil_get_running_loop();
    say("debug", coil_get_debug(loop), "limit", coil_get_slow_callback_duration(loop));
    COIL_TRY(coil_call_soon(loop, slow, &seconds[0], NULL));
    COIL_TRY(coil_call_soon(loop, slow, &seconds[1], NULL));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(join(coil_create_task(slow_task()), NULL));
    coil_set_slow_callback_duration(loop, 2.0);
    COIL_TRY(coil_call_soon(loop, slow, &seconds[2], NULL));
    COIL_TRY(coil_call_soon(loop, slow, &seconds[3], NULL));
    COIL_TRY(coil_sleep(0));
    return coil_sleep(0);
}

int main(void)
{
    print_log();
    must(run(amain(), DEBUG, NULL));
    must(run(amain(), 0, NULL));
}
