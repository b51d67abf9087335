/* gather of nothing is a finished future worth an empty list; awaiting it does not suspend.
 *
 * Why: Code that gathers a list of unknown length must work for none. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    COIL_TRY(call_soon(coil_get_running_loop(), say, "queued callback"));
    coil_future *group = coil_gather_future(NULL, NULL, 0, 0);
    say("done", coil_future_done(group));
    coil_value value;
    COIL_TRY(coil_await(group, &value));
    say("result", value);
    coil_unref(group);
    COIL_TRY(coil_sleep(0));
    say("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
