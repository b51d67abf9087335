/* Why something was cancelled. The public half is in <coil/cancel.h>.
 *
 * A reason is written where a cancellation is made, and shared by all that it reaches. While it is being
 * handed down it is in coil__thread.reason, since the way leads through futures, tasks and gatherings. */
#ifndef COIL_TASKS_REASON_H
#define COIL_TASKS_REASON_H

#include <coil/cancel.h>
#include "base/error.h"

struct coil__reason {
    uint32_t refs;
    uint32_t who_id; /* of an unnamed task: its label is written when it is asked for */
    uint8_t kind;    /* coil_cancel_kind */
    int code;
    int line;
    const char *file;    /* static; NULL: unknown */
    coil_error *message; /* one reference; NULL: none */
    char who[24];        /* cut off if need be */
};

/* One reference; never NULL: without memory it tells the kind only. */
struct coil__reason *coil__reason_new(coil_cancel_kind kind, const struct coil__task *who,
                                      const coil_place *place, coil_error *message);

/* The reason that an error gives: where it was raised, and by which code. */
struct coil__reason *coil__reason_of_failure(const struct coil__task *who, int code,
                                             const coil_error *error);

/* One more reference; of NULL, NULL. */
struct coil__reason *coil__reason_keep(struct coil__reason *reason);

void coil__reason_drop(struct coil__reason *reason);

/* That of the cancellation that is being handed on, borrowed; never NULL. */
struct coil__reason *coil__reason_current(void);

/* Makes it (borrowed) what the running task is told when it asks. */
void coil__reason_tell(struct coil__reason *reason);

/* Replaces what a task is told; reason is borrowed. */
void coil__reason_set(struct coil__reason **slot, struct coil__reason *reason);

#endif
