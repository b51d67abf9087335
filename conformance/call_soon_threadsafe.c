/* Another thread wakes a sleeping loop with call_soon_threadsafe; calls of one thread keep their
 * order.
 *
 * Why: It is the only door into the loop for other threads: it has to wake it and keep order.
 * Tags: real */
#include <pthread.h>
#include "kit/kit.h"

struct work {
    coil_loop *loop;
    coil_event event;
    pthread_t thread;
};

static int set_event(void *event)
{
    return coil_event_set(event);
}

static void *from_thread(void *arg)
{
    struct work *work = arg;
    for (int i = 0; i < 3; i++)
        must(call_soon_threadsafe(work->loop, say, "call", i, "in the loop's thread"));
    must(coil_call_soon_threadsafe(work->loop, set_event, &work->event));
    return NULL;
}

static int start_thread(void *arg)
{
    struct work *work = arg;
    return -pthread_create(&work->thread, NULL, from_thread, work);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    struct work work = { .loop = loop, .event = COIL_EVENT_INIT };
    COIL_TRY(coil_call_soon(loop, start_thread, &work, NULL));
    COIL_TRY(coil_event_wait(&work.event));
    pthread_join(work.thread, NULL);
    say("woken");
    COIL_TRY(call_soon_threadsafe(loop, say, "from the loop's own thread it works, too"));
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
