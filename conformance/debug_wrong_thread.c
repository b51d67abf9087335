/* In debug mode, scheduling from another thread without call_soon_threadsafe is refused.
 *
 * Where the Python program uses to_thread, this one starts a thread itself, which at its end
 * completes a future through the loop's queue: that is what to_thread does.
 *
 * Why: Such a call corrupts the loop now and then, which is worse than always. */
#include <pthread.h>
#include "kit/kit.h"

static int use_call_soon(coil_loop *loop)
{
    return call_soon(loop, say, "never");
}

static int use_call_later(coil_loop *loop)
{
    return call_later(loop, 1, say, "never");
}

static int use_call_at(coil_loop *loop)
{
    return call_at(loop, 1, say, "never");
}

static int use_call_soon_threadsafe(coil_loop *loop)
{
    return call_soon_threadsafe(loop, say, "allowed");
}

static const struct {
    const char *name;
    int (*use)(coil_loop *loop);
} uses[] = {
    { "call_soon", use_call_soon },
    { "call_later", use_call_later },
    { "call_at", use_call_at },
    { "call_soon_threadsafe", use_call_soon_threadsafe },
};

enum {
    USES = sizeof uses / sizeof uses[0]
};

struct work {
    coil_loop *loop;
    coil_future *done;
    coil_value answers[USES];
};

static void *attempts(void *arg)
{
    struct work *work = arg;
    for (int i = 0; i < USES; i++) {
        int rc = uses[i].use(work->loop);
        work->answers[i] = rc < 0 ? kind(rc) : coil_v("accepted");
    }
    must(coil_call_soon_threadsafe(work->loop, do_complete, work->done));
    return NULL;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    struct work work = { .loop = loop, .done = coil_create_future(loop) };
    coil_testing_outside(loop, +1);
    pthread_t thread;
    COIL_TRY(-pthread_create(&thread, NULL, attempts, &work));
    COIL_TRY(join(work.done, NULL));
    pthread_join(thread, NULL);
    coil_testing_outside(loop, -1);
    for (int i = 0; i < USES; i++)
        say(uses[i].name, work.answers[i]);
    return 0;
}

int main(void)
{
    must(run(amain(), DEBUG, NULL));
}
