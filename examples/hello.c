/* Two coroutines side by side: takes two seconds, not three. */
#include <stdio.h>
#include <string.h>

#include <coil/coil.h>

COIL_ASYNC(say_after, (double, delay), (const char *, what))
{
    COIL_TRY(coil_sleep(delay));
    puts(what);
    coil_return(strlen(what));
}

COIL_ASYNC0(amain)
{
    coil_value lengths[2];
    COIL_TRY(coil_gather(lengths, say_after(1, "hello"), say_after(2, "world")));
    printf("%lld characters\n", (long long)(lengths[0].integer + lengths[1].integer));
    return 0;
}

int main(void)
{
    return coil_main(amain());
}
