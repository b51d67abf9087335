/* run gives back what the main coroutine returns, or raises what it raises, with a fresh loop
 * each time.
 *
 * Why: It is the border between synchronous and asynchronous code. */
#include "kit/kit.h"

COIL_ASYNC0(good)
{
    COIL_TRY(coil_sleep(1));
    at("good");
    coil_return("value");
}

COIL_ASYNC0(bad)
{
    COIL_TRY(coil_sleep(1));
    at("bad");
    return boom("main failed");
}

COIL_ASYNC0(cancelled)
{
    coil_task_cancel(coil_current_task(), NULL);
    return coil_sleep(1);
}

int main(void)
{
    coil_value value;
    must(run(good(), 0, &value));
    say(value);
    int rc = run(bad(), 0, NULL);
    if (rc == COIL_EAPP)
        say(kind(rc));
    rc = run(cancelled(), 0, NULL);
    if (rc == COIL_ECANCELED)
        say(kind(rc));
}
