/* stop lets the running iteration finish; what it scheduled waits for the next run.
 *
 * A stop before run_forever makes it run exactly one iteration.
 *
 * Why: Stopping is how run_until_complete ends, so its last iteration is always observable. */
#include "kit/kit.h"

static int stopper(void *loop)
{
    say("stopper");
    coil_loop_stop(loop);
    return call_soon(loop, say, "scheduled after stop");
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    must(call_soon(loop, say, "one"));
    must(coil_call_soon(loop, stopper, loop, NULL));
    must(call_soon(loop, say, "same iteration, after stop"));
    say("running", coil_loop_is_running(loop));
    must(coil_run_forever(loop));
    say("-- stopped");
    must(coil_call_soon(loop, do_stop, loop, NULL));
    must(coil_run_forever(loop));
    say("-- stopped again");
    coil_loop_stop(loop);
    must(call_soon(loop, say, "ran although stopped beforehand"));
    must(call_later(loop, 1, say, "timer not reached"));
    must(coil_run_forever(loop));
    say("-- clock", coil_loop_time(loop));
    end_loop(loop);
}
