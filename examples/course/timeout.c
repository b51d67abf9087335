/* To see: four ways to give up after a time, and that what is given up is told and may clean up. */
#include "course.h"

static int look_up(double delay)
{
    int rc = coil_sleep(delay);
    say(rc == 0 ? "  found" : "  %s", coil_strerror(rc));
    return rc;
}

COIL_ASYNC(answer, (double, delay))
{
    COIL_TRY(look_up(delay));
    coil_return(42);
}

/* Says how it ended. That time was up is what we came to see; any other error goes on to the caller. */
static int see(int rc)
{
    say("%s", coil_error_name(rc));
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(amain)
{
    say("a block with a limit");
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    int rc = look_up(0.6);
    if (rc == 0)
        rc = look_up(0.6); /* 1.2 seconds together */
    COIL_TRY(see(coil_timeout_exit(&limit, rc)));

    say("a call with a limit");
    COIL_TRY(see(COIL_TIMEOUT(1, look_up(5))));

    say("an awaitable with a limit");
    coil_value value;
    COIL_TRY(coil_wait_for(answer(0.5), 1, &value));
    say("%d", (int)value.integer);
    COIL_TRY(see(coil_wait_for(answer(5), 1, &value)));

    say("a limit that is no error");
    bool cut_short;
    COIL_TRY(coil_move_on_after_enter(&limit, 1));
    rc = look_up(5);
    COIL_TRY(coil_move_on_after_exit(&limit, rc, &cut_short));
    say("moved on; cut short: %s", cut_short ? "yes" : "no");
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
