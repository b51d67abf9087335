/* gather returns results in argument order, whatever order they finish in; children start in
 * argument order.
 *
 * Why: Results are matched to arguments by position. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    at(name, "starts");
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_value values[3];
    COIL_TRY(coil_gather(values, work("a", 3), work("b", 1), work("c", 2)));
    at(list_of(values, 3));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
