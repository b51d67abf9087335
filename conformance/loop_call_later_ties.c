/* Two timers with the same deadline fire in the order they were made.
 *
 * See loop_timer_ties_heap_order for more than two.
 *
 * Why: Programs schedule several things for one instant and expect the obvious order. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(call_at(loop, 1.0, at, "a"));
    COIL_TRY(call_at(loop, 1.0, at, "b"));
    COIL_TRY(coil_sleep(2));
    COIL_TRY(call_later(loop, 0.75, at, "c, due at 2.75"));
    COIL_TRY(call_at(loop, 2.75, at, "d, due at 2.75"));
    COIL_TRY(call_later(loop, 0.5, at, "early"));
    COIL_TRY(coil_sleep(2));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
