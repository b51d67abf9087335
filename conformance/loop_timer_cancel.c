/* A cancelled timer never fires and never wakes the loop: the clock does not stop at it.
 *
 * Cancelling is idempotent, works from inside another timer of the same batch, and is harmless
 * after the timer fired.
 *
 * Why: Most timers are cancelled; a cancelled one must cost no wake-up. */
#include "kit/kit.h"

static int busy_for_a_second(COIL_UNUSED void *arg)
{
    advance(1);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_handle *early, *late, *victim, *fired, *same_batch, *killer;
    COIL_TRY(keep_call_later(&early, loop, 0.25, at, "never 1"));
    COIL_TRY(keep_call_later(&late, loop, 4, at, "never 2"));
    coil_handle_cancel(early);
    coil_handle_cancel(early);
    say("cancelled", coil_handle_cancelled(early), coil_handle_cancelled(late));

    COIL_TRY(keep_call_at(&victim, loop, 0.5, at, "never 3"));
    COIL_TRY(coil_call_at(loop, 0.375, do_cancel_handle, victim, NULL));
    COIL_TRY(keep_call_at(&fired, loop, 0.75, at, "fires"));
    COIL_TRY(keep_call_at(&same_batch, loop, 1.5, at, "never 4"));
    COIL_TRY(coil_call_at(loop, 1.25, do_cancel_handle, same_batch, &killer));
    COIL_TRY(coil_call_at(loop, 1.0, busy_for_a_second, NULL, NULL)); /* both become due together */
    COIL_TRY(coil_sleep(3));
    at("woke");
    coil_handle_cancel(late);
    coil_handle_cancel(fired);
    say("cancelled after firing", coil_handle_cancelled(fired), coil_handle_cancelled(killer));
    COIL_TRY(coil_sleep(3));
    at("end");

    coil_handle *handles[] = { early, late, victim, fired, same_batch, killer };
    unref_all(handles, 6);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
