/* A closed loop refuses work; closing twice is fine; closing a running loop is an error.
 *
 * Closing throws away whatever was still queued.
 *
 * Why: Use after close must be an error at once, not a crash later. */
#include "kit/kit.h"

COIL_ASYNC(try_close, (coil_loop *, loop))
{
    int rc = coil_loop_close(loop);
    if (rc < 0)
        say("close while running:", kind(rc));
    return 0;
}

static int use_call_soon(coil_loop *loop)
{
    return call_soon(loop, say, "x");
}

static int use_call_later(coil_loop *loop)
{
    return call_later(loop, 1, say, "x");
}

static int use_call_soon_threadsafe(coil_loop *loop)
{
    return call_soon_threadsafe(loop, say, "x");
}

static const struct {
    const char *name;
    int (*use)(coil_loop *loop);
} uses[] = {
    { "call_soon", use_call_soon },
    { "call_later", use_call_later },
    { "run_forever", coil_run_forever },
    { "call_soon_threadsafe", use_call_soon_threadsafe },
};

int main(void)
{
    coil_loop *loop = new_loop(0);
    say("closed", coil_loop_is_closed(loop));
    must(coil_run_until_complete(loop, try_close(loop), NULL));
    must(call_soon(loop, say, "dropped"));
    must(call_later(loop, 1, say, "dropped too"));
    must(coil_loop_close(loop));
    must(coil_loop_close(loop));
    say("closed", coil_loop_is_closed(loop));
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        int rc = uses[i].use(loop);
        if (rc < 0)
            say(uses[i].name, kind(rc));
    }
    coil_unref(loop);
}
