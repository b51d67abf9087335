/* set() wakes every waiter in the order they came; waiting on a set event does not suspend.
 *
 * A waiter already woken stays woken even if the event is cleared before it runs.
 *
 * Why: Waking is a transition, not a level: set-then-clear must still release those who
 * waited. */
#include "kit/kit.h"

COIL_ASYNC(waiter, (coil_event *, event), (const char *, name))
{
    at(name, "waits");
    COIL_TRY(coil_event_wait(event));
    at(name, "goes on, set:", coil_event_is_set(event));
    return 0;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "a", "b", "c" };
    coil_event event = COIL_EVENT_INIT;
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waiter(&event, names[i]));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_event_set(&event));
    COIL_TRY(coil_event_set(&event));
    coil_event_clear(&event);
    at("set and cleared at once");
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1], tasks[2]));
    unref_all(tasks, 3);
    coil_task *late = coil_create_task(waiter(&event, "late"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_event_set(&event));
    COIL_TRY(join(late, NULL));
    COIL_TRY(call_soon(NULL, at, "queued"));
    COIL_TRY(coil_event_wait(&event));
    at("no suspension when set");
    COIL_TRY(coil_sleep(0));
    coil_event_fini(&event);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
