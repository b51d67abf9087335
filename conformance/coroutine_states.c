/* A coroutine object: created, running, suspended, closed.
 *
 * Making one runs nothing. It can be driven by hand without a running loop; closing a suspended
 * one runs its cleanup; closing one that never began runs nothing.
 *
 * Why: Everything that drives coroutines, loops included, is defined by these transitions. */
#include "kit/kit.h"

enum {
    A,
    B,
    C,
    OBJECTS
};

static coil_coro *objects[OBJECTS];
static const char *const names[OBJECTS] = { "a", "b", "c" };

static const char *state(int which)
{
    static const char *const states[] = {
        [COIL_CORO_CREATED] = "created",
        [COIL_CORO_RUNNING] = "running",
        [COIL_CORO_SUSPENDED] = "suspended",
        [COIL_CORO_CLOSED] = "closed",
    };
    return states[coil_coro_get_state(objects[which])];
}

static int begin_and_resume(int which)
{
    say(names[which], "begins", state(which));
    COIL_TRY(coil_sleep(0)); /* one bare suspension */
    say(names[which], "resumes");
    return 0;
}

COIL_ASYNC(body, (int, which))
{
    int rc = begin_and_resume(which);
    say(names[which], "cleanup");
    COIL_TRY(rc);
    coil_return("value");
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    for (int i = A; i < OBJECTS; i++)
        objects[i] = body(i);
    say("a", state(A));

    must(coil_coro_send(objects[A], NULL));
    say("a", state(A));
    coil_value value;
    if (must(coil_coro_send(objects[A], &value)) == 0)
        say("a finished with", value, state(A));
    int rc = coil_coro_send(objects[A], NULL);
    if (rc < 0)
        say("a cannot be resumed:", kind(rc));

    must(coil_coro_send(objects[B], NULL));
    coil_ref(objects[B]); /* closing consumes a reference */
    must(coil_coro_close(objects[B]));
    say("b", state(B));
    coil_ref(objects[C]);
    must(coil_coro_close(objects[C]));
    say("c", state(C));
    unref_all(objects, OBJECTS);
    end_loop(loop);
}
