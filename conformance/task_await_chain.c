/* Each task waiting for another resumes one iteration after it: completion climbs one level a
 * turn.
 *
 * Why: One level a turn is observable to everyone who runs in between. */
#include "kit/kit.h"

COIL_ASYNC(level, (int, n))
{
    if (n == 0) {
        say("bottom");
        coil_return(0);
    }
    coil_value value;
    COIL_TRY(join(create_task(level(n - 1), .name = textf("level%d", n - 1)), &value));
    say("level", n, "resumes");
    coil_return(value.integer + n);
}

COIL_ASYNC0(ticker)
{
    for (int i = 1; i < 9; i++) {
        say("tick", i);
        COIL_TRY(coil_sleep(0));
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *tick = coil_create_task(ticker());
    coil_task *task = create_task(level(3), .name = "level3");
    coil_value total;
    COIL_TRY(join(task, &total));
    say("total", total);
    return join(tick, NULL);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
