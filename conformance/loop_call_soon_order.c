/* call_soon runs callbacks first in, first out, each with its own arguments.
 *
 * Everything else in the library is built on this order. A cancelled handle keeps its place but
 * does nothing.
 *
 * Why: It is the order of all steps of all tasks. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_handle *gone;
    COIL_TRY(call_soon(loop, say, "a"));
    COIL_TRY(call_soon(loop, say, "b", 1, 2));
    COIL_TRY(keep_call_soon(&gone, loop, say, "never"));
    COIL_TRY(call_soon(loop, say, "c"));
    coil_handle_cancel(gone);
    say("cancelled", coil_handle_cancelled(gone));
    coil_unref(gone);
    COIL_TRY(call_soon(loop, say, "d"));
    say("before the first await");
    COIL_TRY(coil_sleep(0));
    say("after the first await");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
