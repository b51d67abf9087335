/* For a debugger to stop in: a task that awaits a coroutine, after another task has run. */
#include <signal.h>

#include <coil/coil.h>

COIL_ASYNC(inner, (int, depth))
{
    COIL_TRY(coil_sleep(0));
    if (depth > 0)
        COIL_TRY(coil_await(inner(depth - 1), NULL));
    else
        raise(SIGTRAP);
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(coil_gather(NULL, coil_sleep_coro(0, coil_nil()), inner(2)));
    return 0;
}

int main(void)
{
    return coil_main(amain());
}
