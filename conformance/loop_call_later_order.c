/* Timers fire by deadline, not by the order in which they were made.
 *
 * The clock moves straight to the next deadline; call_at takes an absolute time on the same clock
 * as coil_loop_time.
 *
 * Why: Everything about time rests on it. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_handle *handle;
    COIL_TRY(call_later(loop, 0.75, at, "later 0.75"));
    COIL_TRY(call_later(loop, 0.25, at, "later 0.25"));
    COIL_TRY(keep_call_later(&handle, loop, 0.5, at, "later 0.5"));
    COIL_TRY(call_at(loop, 0.375, at, "at 0.375"));
    at("when", coil_handle_when(handle));
    coil_unref(handle);
    COIL_TRY(coil_sleep(1));
    at("slept");
    COIL_TRY(call_at(loop, coil_loop_time(loop) + 0.125, at, "one more"));
    COIL_TRY(coil_sleep(0.5));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
