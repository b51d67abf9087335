/* A task that never suspends keeps everyone waiting; one that gives way shares the thread.
 *
 * Two busy tasks run one after the other although they were gathered.
 *
 * Why: It is the first rule of cooperative scheduling. */
#include "kit/kit.h"

COIL_ASYNC(busy, (const char *, name), (bool, polite))
{
    for (int i = 0; i < 3; i++) {
        advance(0.5);
        at(name, "did part", i);
        if (polite)
            COIL_TRY(coil_sleep(0));
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(call_later(coil_get_running_loop(), 0.25, at, "timer due at 0.25"));
    COIL_TRY(coil_gather(NULL, busy("hog1", false), busy("hog2", false)));
    at("polite ones");
    COIL_TRY(coil_gather(NULL, busy("a", true), busy("b", true)));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
