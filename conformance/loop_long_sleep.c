/* A very long timer fires at its exact time, though one poll may wait at most a day.
 *
 * A loop that caps a single poll goes round again; nothing else may happen in those empty
 * iterations.
 *
 * Why: Poll interfaces overflow on long times; the cap must not be observable. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    COIL_TRY(call_later(coil_get_running_loop(), 100000, at, "more than a day"));
    COIL_TRY(coil_sleep(1000000.5));
    at("eleven days and a half");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
