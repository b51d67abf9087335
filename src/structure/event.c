#include "structure/waitlist.h"

void coil_event_init(coil_event *event)
{
    *event = (coil_event)COIL_EVENT_INIT;
}

void coil_event_fini(coil_event *event)
{
    struct coil__waitlist *lists[] = { &event->coil__waiting };
    coil__waitlists_end(lists, 1, "an event was destroyed while tasks waited for it");
}

bool coil_event_is_set(const coil_event *event)
{
    return event->coil__set;
}

int coil_event_wait(coil_event *event)
{
    struct coil__parked place;
    if (event->coil__set)
        return 0;
    return coil__park(&place, &event->coil__waiting, NULL, "event_wait");
}

int coil_event_set(coil_event *event)
{
    int rc = coil__waitlist_check_thread(&event->coil__waiting);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    event->coil__set = true;
    coil__waitlist_wake_all(&event->coil__waiting);
    return 0;
}

void coil_event_clear(coil_event *event)
{
    event->coil__set = false;
}
