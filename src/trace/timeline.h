/* What the timeline tracer remembers, and what its writers read.
 *
 * Each task has a lane, and a lane is a list of steps. A step also says how long the task was
 * ready before it, who made it ready, and what it waited for afterwards, so that the steps of a
 * lane tile its time without gaps:
 *
 *     ready_ns      begin_ns       end_ns            wait_end_ns = ready_ns of the next step
 *        |  queued     |  running     |     waiting       |
 *
 * All times count from when the tracer was attached. */
#ifndef COIL_TRACE_TIMELINE_H
#define COIL_TRACE_TIMELINE_H

#include <stdio.h>

#include <coil/debug.h>

#include "trace/task_table.h"

enum {
    COIL__NO_LANE = -1,
    COIL__NO_FD = -1,
    COIL__OPEN = -1, /* a time that has not come yet, or is not known */
};

struct coil__step {
    struct coil__step *next, *before; /* of the same task */
    int64_t ready_ns;                 /* COIL__OPEN: from before the recording */
    int64_t begin_ns;
    int64_t end_ns;      /* COIL__OPEN: still running */
    int64_t wait_end_ns; /* COIL__OPEN: still waiting, or nothing to wait for */
    int32_t lane;
    int32_t woken_by;      /* the lane of the task that made this one ready, or COIL__NO_LANE */
    int32_t awaited;       /* the lane of the task that is waited for, or COIL__NO_LANE */
    int32_t fd;            /* that is waited for, or COIL__NO_FD */
    const char *operation; /* that waits; the timeline's */
    uint32_t number;       /* in the lane, from 1 */
    uint8_t how;           /* coil_step_end, once end_ns is known */
    uint8_t wait_kind;     /* coil_wait_kind, if how is COIL_STEP_WAITING */
};

struct coil__lane {
    char *name; /* owned */
    struct coil__step *first, *last;
    uint32_t steps;
    int64_t created_ns;
    int64_t ended_ns; /* COIL__OPEN: alive */
    int64_t ready_ns; /* since when it is ready; COIL__OPEN: it is not */
    int32_t made_by;  /* the lane of the task that created it, or COIL__NO_LANE */
    int32_t woken_by; /* as of ready_ns */
    uint8_t how;      /* coil_step_end, once ended_ns is known */
};

enum {
    COIL__STEPS_PER_CHUNK = 512,
    COIL__MAX_STEPS = 4 << 20, /* about 350 MB: a recording that was forgotten stops there */
    COIL__MAX_OPERATIONS = 64,
};

struct coil__chunk {
    struct coil__chunk *next;
    size_t count;
    struct coil__step steps[COIL__STEPS_PER_CHUNK];
};

struct coil__timeline {
    struct coil__task_table
        numbers;              /* a task's lane; of an old task's address, a lane that has ended */
    struct coil__lane *lanes; /* in the order of creation */
    size_t lane_count, lane_room;
    struct coil__chunk *first, *last; /* all steps, in the order in which they began */
    size_t step_count;
    char *operations[COIL__MAX_OPERATIONS]; /* names of operations, once each; owned */
    size_t operation_count;
    int64_t origin_ns; /* when the tracer was attached, on the loop's clock */
    int64_t last_ns;   /* when something was recorded last */
    bool incomplete;   /* memory ran out: nothing was recorded from then on */
};

/* Calls a writer on a new file, with the recording of a tracer. Numbers are printed with a point
 * whatever the program's locale. Returns what the public calls return. */
int coil__timeline_write(coil_tracer *tracer, const char *path,
                         void (*write)(FILE *file, const struct coil__timeline *timeline));

/* "done", "failed"...: how a step ended. */
const char *coil__step_end_name(unsigned how);

/* The end of a step and of the wait behind it, taken to be now if it has not come. */
int64_t coil__step_end_ns(const struct coil__timeline *timeline, const struct coil__step *step);
int64_t coil__wait_end_ns(const struct coil__timeline *timeline, const struct coil__step *step);

#endif
