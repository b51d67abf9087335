/* Barriers: a count and a state, under a condition. Step by step as asyncio's, so that tasks leave, and
 * newcomers wait, in the same turns. */
#include "structure/condition.h"

#include "base/error.h"

enum barrier_state {
    FILLING,   /* tasks arrive */
    DRAINING,  /* all have arrived, and leave; newcomers wait */
    RESETTING, /* the same, but those inside fail */
    BROKEN,
};

int coil_barrier_init(coil_barrier *barrier, int parties)
{
    if (parties < 1)
        return coil__fail(COIL_EINVAL, "a barrier of %d parties", parties);
    coil_condition_init(&barrier->coil__condition, NULL);
    barrier->coil__parties = parties;
    barrier->coil__count = 0;
    barrier->coil__state = FILLING;
    return 0;
}

void coil_barrier_fini(coil_barrier *barrier)
{
    coil__condition_fini(&barrier->coil__condition,
                         "a barrier was destroyed while tasks waited in it");
}

int coil_barrier_parties(const coil_barrier *barrier)
{
    return barrier->coil__parties;
}

int coil_barrier_n_waiting(const coil_barrier *barrier)
{
    return barrier->coil__state == FILLING ? barrier->coil__count : 0;
}

bool coil_barrier_broken(const coil_barrier *barrier)
{
    return barrier->coil__state == BROKEN;
}

/* ---- all below is called with the lock held ------------------------------------------------------- */

static void notify_all(coil_barrier *barrier)
{
    /* It fails only where the lock is not held: in a task that is being closed, and then nobody is left
     * to be told. */
    (void)coil_condition_notify_all(&barrier->coil__condition);
}

/* Lets the last round leave. */
static int enter(coil_barrier *barrier)
{
    while (barrier->coil__state == DRAINING || barrier->coil__state == RESETTING) {
        int rc = coil__condition_wait(&barrier->coil__condition, "barrier_wait");
        if (rc < 0)
            return rc;
    }
    return barrier->coil__state == BROKEN ? coil__fail(COIL_EBROKEN, "aborted") : 0;
}

static int wait_for_others(coil_barrier *barrier)
{
    while (barrier->coil__state == FILLING) {
        int rc = coil__condition_wait(&barrier->coil__condition, "barrier_wait");
        if (rc < 0)
            return rc;
    }
    return barrier->coil__state == DRAINING ? 0 : coil__fail(COIL_EBROKEN, "aborted or reset");
}

static void leave(coil_barrier *barrier)
{
    if (--barrier->coil__count > 0)
        return;
    if (barrier->coil__state != BROKEN)
        barrier->coil__state = FILLING;
    notify_all(barrier);
}

static int pass(coil_barrier *barrier)
{
    int rc = enter(barrier);
    if (rc < 0)
        return rc;
    int index = barrier->coil__count++;
    if (index + 1 == barrier->coil__parties) {
        barrier->coil__state = DRAINING;
        notify_all(barrier);
    } else {
        rc = wait_for_others(barrier);
        if (rc == COIL_ECLOSED)
            return rc; /* the barrier is gone */
    }
    leave(barrier);
    return rc < 0 ? rc : index;
}

/* ---- the lock around it --------------------------------------------------------------------------- */

static int leave_with(coil_barrier *barrier, int rc)
{
    if (rc != COIL_ECLOSED)
        (void)coil_condition_release(
            &barrier->coil__condition); /* fails only in a task being closed */
    return rc;
}

int coil_barrier_wait(coil_barrier *barrier)
{
    int rc = coil_condition_acquire(&barrier->coil__condition);
    return rc < 0 ? rc : leave_with(barrier, pass(barrier));
}

int coil_barrier_reset(coil_barrier *barrier)
{
    int rc = coil_condition_acquire(&barrier->coil__condition);
    if (rc < 0)
        return rc;
    barrier->coil__state = barrier->coil__count > 0 ? RESETTING : FILLING;
    notify_all(barrier);
    return leave_with(barrier, 0);
}

int coil_barrier_abort(coil_barrier *barrier)
{
    int rc = coil_condition_acquire(&barrier->coil__condition);
    if (rc < 0)
        return rc;
    barrier->coil__state = BROKEN;
    notify_all(barrier);
    return leave_with(barrier, 0);
}
