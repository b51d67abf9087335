/* sleep(0), or any negative sleep, gives way for exactly one iteration, without a timer.
 *
 * Why: It is the idiom for giving way, and its cost of one turn is relied upon. */
#include "kit/kit.h"

COIL_ASYNC(worker, (const char *, name), (double, delay))
{
    for (int i = 0; i < 3; i++) {
        at(name, i);
        COIL_TRY(coil_sleep(delay));
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[2];
    tasks[0] = coil_create_task(worker("a", 0));
    tasks[1] = coil_create_task(worker("b", -1));
    for (int i = 0; i < 3; i++) {
        at("main", i);
        COIL_TRY(coil_sleep(0));
    }
    for (int i = 0; i < 2; i++)
        COIL_TRY(join(tasks[i], NULL));
    coil_value value, later;
    COIL_TRY(coil_await(coil_sleep_coro(0, coil_v("value")), &value));
    COIL_TRY(coil_await(coil_sleep_coro(0.5, coil_v("later")), &later));
    say("result", value, later);
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
