/* Awaits that can never work are errors delivered into the task: itself, or another loop's
 * future.
 *
 * The task may catch them and go on.
 *
 * Why: These would hang for ever if they were not refused. */
#include "kit/kit.h"

COIL_ASYNC0(selfish)
{
    int rc = coil_await(coil_current_task(), NULL);
    if (rc == COIL_ESELFWAIT)
        say("await of itself:", kind(rc));
    coil_return("went on");
}

COIL_ASYNC0(amain)
{
    coil_value value;
    COIL_TRY(join(coil_create_task(selfish()), &value));
    say(value);

    coil_loop *other = new_loop(0);
    coil_future *foreign = coil_create_future(other);
    int rc = coil_await(foreign, NULL);
    if (rc == COIL_EWRONGLOOP)
        say("await of another loop's future:", kind(rc));
    if (!coil_ensure_future(coil_get_running_loop(), foreign))
        say("ensure_future of it:", kind(coil_error_last()));
    coil_unref(foreign);
    end_loop(other);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
