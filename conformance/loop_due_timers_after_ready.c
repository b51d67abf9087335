/* In one iteration, callbacks already queued go before timers that have come due.
 *
 * The loop first polls, then moves due timers behind what is ready, then runs. A deadline in the
 * past is a timer all the same: it waits for the next iteration and does not overtake call_soon.
 *
 * Why: It decides who wins when a timer and a callback are both due. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(call_at(loop, -5.0, at, "timer long overdue"));
    COIL_TRY(call_later(loop, 0, at, "timer due now"));
    COIL_TRY(call_soon(loop, at, "soon 1"));
    COIL_TRY(call_soon(loop, at, "soon 2"));
    COIL_TRY(coil_sleep(0));
    at("main after one iteration");
    COIL_TRY(coil_sleep(0));

    COIL_TRY(call_later(loop, 0.25, at, "timer 0.25"));
    advance(0.5); /* busy: the timer is overdue when we return */
    COIL_TRY(call_soon(loop, at, "soon 3"));
    COIL_TRY(coil_sleep(0));
    at("main again");
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
