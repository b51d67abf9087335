/* What a handle says before and after it runs, and what cancelling does at each stage.
 *
 * Why: Timeouts and debouncing cancel handles all the time, often too late. */
#include "kit/kit.h"

static int cancel_first(void *arg)
{
    coil_handle **handles = arg;
    coil_handle_cancel(handles[0]);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_handle *ran, *late, *timer;
    COIL_TRY(keep_call_soon(&ran, loop, say, "one runs"));
    COIL_TRY(keep_call_soon(&late, loop, say, "two runs: its cancel is queued behind it"));
    COIL_TRY(keep_call_later(&timer, loop, 1.5, say, "timer runs"));
    say("fresh", coil_handle_cancelled(ran), coil_handle_cancelled(late), "when",
        coil_handle_when(timer));
    COIL_TRY(coil_call_soon(loop, do_cancel_handle, late, NULL));
    COIL_TRY(coil_sleep(0));
    say("after", coil_handle_cancelled(ran), coil_handle_cancelled(late));
    coil_handle_cancel(ran);
    say("cancel after running", coil_handle_cancelled(ran));

    coil_handle *handles[1];
    COIL_TRY(coil_call_soon(loop, cancel_first, handles, NULL));
    COIL_TRY(keep_call_soon(&handles[0], loop, say, "never: cancelled by the one before it"));
    COIL_TRY(coil_sleep(2));
    say("dropped", coil_handle_cancelled(handles[0]), "timer", coil_handle_cancelled(timer),
        "clock", coil_loop_time(loop));

    coil_handle *all[] = { ran, late, timer, handles[0] };
    unref_all(all, 4);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
