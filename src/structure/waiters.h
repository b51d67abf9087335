/* The waiters of this layer, for those who look from outside: see struct coil__waiter_kind. */
#ifndef COIL_STRUCTURE_WAITERS_H
#define COIL_STRUCTURE_WAITERS_H

#include "tasks/future.h"

extern const struct coil__waiter_kind coil__waiter_gather, coil__waiter_group, coil__waiter_wait,
    coil__waiter_wait_for, coil__waiter_cancel_and_wait, coil__waiter_shield;

#endif
