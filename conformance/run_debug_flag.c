/* Debug mode is off unless asked for, and can be asked for when the program is run.
 *
 * Why: Tests and tools switch it on from outside and need to see it. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    say("debug", coil_get_debug(coil_get_running_loop()));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
    must(run(amain(), DEBUG, NULL));
}
