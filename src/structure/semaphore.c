/* Semaphores. A release gives its slot to the first who waits, at once: `value` counts what is free beyond
 * that. Those who have been given one stay known until they have run, since nobody may overtake them. */
#include "structure/waitlist.h"

#include "base/error.h"

static int init(coil_semaphore *semaphore, long slots, long bound)
{
    if (slots < 0)
        return coil__fail(COIL_EINVAL, "a semaphore of %ld slots", slots);
    *semaphore = (coil_semaphore){ .coil__value = slots, .coil__bound = bound };
    return 0;
}

int coil_semaphore_init(coil_semaphore *semaphore, long slots)
{
    return init(semaphore, slots, LONG_MAX);
}

int coil_bounded_semaphore_init(coil_bounded_semaphore *semaphore, long slots)
{
    return init(semaphore, slots, slots);
}

void coil_semaphore_fini(coil_semaphore *semaphore)
{
    struct coil__waitlist *lists[] = { &semaphore->coil__waiting, &semaphore->coil__leaving };
    coil__waitlists_end(lists, 2, "a semaphore was destroyed while tasks waited for it");
}

bool coil_semaphore_locked(const coil_semaphore *semaphore)
{
    return semaphore->coil__value == 0 || semaphore->coil__woken > 0 ||
           semaphore->coil__waiting.first;
}

/* Gives free slots to those who wait. */
static void hand_out(coil_semaphore *semaphore)
{
    while (semaphore->coil__value > 0 && semaphore->coil__waiting.first) {
        semaphore->coil__value--;
        semaphore->coil__woken++;
        coil__waitlist_wake_first(&semaphore->coil__waiting);
    }
}

static __attribute__((noinline)) int acquire_in_turn(coil_semaphore *semaphore)
{
    struct coil__parked place;
    int rc = coil__park(&place, &semaphore->coil__waiting, &semaphore->coil__leaving,
                        "semaphore_acquire");
    if (!coil__park_happened(rc))
        return rc;
    if (place.wait.state == COIL__WAIT_OVER) {
        semaphore->coil__woken--;
        if (rc < 0)
            semaphore->coil__value++; /* the slot was given to it, and goes on to somebody else */
    }
    /* Slots that became free while somebody was still on the way. */
    hand_out(semaphore);
    return rc;
}

int coil_semaphore_acquire(coil_semaphore *semaphore)
{
    if (coil_semaphore_locked(semaphore))
        return acquire_in_turn(semaphore);
    semaphore->coil__value--;
    return 0;
}

int coil_semaphore_release(coil_semaphore *semaphore)
{
    if (COIL_UNLIKELY(semaphore->coil__value >= semaphore->coil__bound))
        return coil__fail(COIL_EINVAL, "a bounded semaphore was released too often");
    int rc = coil__waitlist_check_thread(&semaphore->coil__waiting);
    if (COIL_UNLIKELY(rc < 0))
        return rc;
    semaphore->coil__value++;
    if (semaphore->coil__waiting.first) {
        semaphore->coil__value--;
        semaphore->coil__woken++;
        coil__waitlist_wake_first(&semaphore->coil__waiting);
    }
    return 0;
}
