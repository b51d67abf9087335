/* When a callback hogs the thread past several deadlines, the late timers fire in deadline order.
 *
 * All that are overdue run in the very next iteration, in one batch; a timer made by one of them,
 * although also overdue, waits one iteration more.
 *
 * Why: Lateness must not turn into disorder. */
#include "kit/kit.h"

static int remake(void *loop)
{
    at("t 0.5 makes an overdue timer");
    COIL_TRY(call_at(loop, 0.125, at, "overdue from the start"));
    return call_soon(loop, at, "soon from the batch");
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(call_later(loop, 0.75, at, "t 0.75"));
    COIL_TRY(call_later(loop, 0.25, at, "t 0.25"));
    COIL_TRY(call_later(loop, 1.5, at, "t 1.5"));
    COIL_TRY(coil_call_later(loop, 0.5, remake, loop, NULL));
    at("busy for one second");
    advance(1);
    COIL_TRY(coil_sleep(2));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
