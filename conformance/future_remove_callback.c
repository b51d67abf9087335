/* remove_done_callback removes every copy of a callback and says how many it removed.
 *
 * Once the future is done its callbacks are already queued, and removing finds nothing.
 *
 * Why: Collectors clean up with it; removing too little or too much would leave stray wake-ups. */
#include "kit/kit.h"

static int one(COIL_UNUSED coil_future *future, COIL_UNUSED void *arg)
{
    say("one");
    return 0;
}

static int two(COIL_UNUSED coil_future *future, COIL_UNUSED void *arg)
{
    say("two");
    return 0;
}

COIL_ASYNC0(amain)
{
    static const coil_done_callback callbacks[] = { one, two, one, one };
    coil_future *fut = coil_create_future(NULL);
    for (int i = 0; i < 4; i++)
        COIL_TRY(coil_future_add_done_callback(fut, callbacks[i], NULL, NULL));
    say("removed", coil_future_remove_done_callback(fut, one, NULL));
    say("removed again", coil_future_remove_done_callback(fut, one, NULL));
    COIL_TRY(coil_future_add_done_callback(fut, one, NULL, NULL));
    COIL_TRY(coil_future_set_result(fut, coil_nil()));
    say("removed after completion", coil_future_remove_done_callback(fut, two, NULL));
    COIL_TRY(coil_sleep(0));
    say("end");
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
