/* The exact steps of a gather of two: one step of the parent before, one after the last child.
 *
 * Why: It pins that the parent sleeps through all but the last completion. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_value values[2];
    COIL_TRY(coil_gather(values, work("a", 0), work("b", 0.5)));
    at(list_of(values, 2));
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
