/* A user's program, built in every way in which a user may come by the library. */
#include <stdio.h>
#include <coil/coil.h>

COIL_ASYNC(add_slowly, (int, a), (int, b))
{
    COIL_TRY(coil_sleep(0.001));
    coil_return(a + b);
}

COIL_ASYNC0(amain)
{
    coil_value sum;
    COIL_TRY(coil_await(add_slowly(40, 2), &sum));
    printf("coil %s: %d\n", coil_version(), (int)sum.integer);
    coil_return(0);
}

int main(void)
{
    return coil_main(amain());
}
