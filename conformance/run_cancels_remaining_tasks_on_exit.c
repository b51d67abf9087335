/* When the main coroutine is over, run cancels what still runs and waits for its cleanup.
 *
 * That is so when main failed, too. A task that swallows the cancellation is let finish.
 *
 * Why: A program's end must be orderly even when background work is left over. */
#include "kit/kit.h"

COIL_ASYNC(background, (const char *, name), (bool, swallow))
{
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED) {
        at(name, kind(rc));
        COIL_TRY(coil_sleep(2));
        at(name, "cleaned up");
        if (!swallow)
            return rc;
        COIL_TRY(coil_sleep(3));
        at(name, "finished anyway");
        return 0;
    }
    return rc;
}

COIL_ASYNC(amain, (bool, fail), (bool, swallow))
{
    COIL_TRY(coil_spawn(background("background", swallow)));
    COIL_TRY(coil_sleep(1));
    at("main over");
    if (fail)
        return boom("main");
    coil_return("value");
}

int main(void)
{
    coil_value value;
    must(run(amain(false, false), 0, &value));
    say(value);
    int rc = run(amain(true, false), 0, NULL);
    if (rc == COIL_EAPP)
        say(kind(rc));
    must(run(amain(false, true), 0, &value));
    say(value);
}
