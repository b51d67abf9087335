/* A callback added to a future that is already done is queued, never called on the spot.
 *
 * Adding from inside another callback of the same future follows the same rule.
 *
 * Why: Calling it on the spot would run user code at a point where its caller does not expect it.
 */
#include "kit/kit.h"

static int print(COIL_UNUSED coil_future *future, void *text)
{
    say((const char *)text);
    return 0;
}

static int outer(coil_future *future, COIL_UNUSED void *arg)
{
    say("outer");
    COIL_TRY(coil_future_add_done_callback(future, print, text_arg("added inside outer"), NULL));
    say("outer ends");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_future *fut = coil_create_future(NULL);
    COIL_TRY(coil_future_set_result(fut, coil_v("r")));

    COIL_TRY(coil_future_add_done_callback(fut, outer, NULL, NULL));
    COIL_TRY(coil_future_add_done_callback(fut, print, text_arg("second"), NULL));
    say("added, nothing called yet");
    COIL_TRY(coil_sleep(0));
    say("iteration 1 over");
    COIL_TRY(coil_sleep(0));
    say("iteration 2 over");
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
