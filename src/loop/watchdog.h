/* Debug mode: a thread that sees when a step does not end. See watchdog.c. */
#ifndef COIL_LOOP_WATCHDOG_H
#define COIL_LOOP_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <coil/base.h>
#include "base/list.h"

/* A loop's part. The loop's thread writes began_ns and limit_ns; the rest is under the watchdog's lock. */
struct coil__watched {
    _Atomic int64_t began_ns; /* of the step that runs; 0: none does */
    _Atomic int64_t limit_ns;
    bool on; /* the loop's: it is listed */
    struct coil__link link;
    pid_t tid;
    clockid_t clock; /* what the thread has used of processors */
    int64_t seen_ns; /* began_ns of the step that the following is about */
    bool told;
    int64_t first_ns, cpu_ns, queued_ns; /* when it was first seen, and the thread's times then */
};

/* What a signal's handler takes down about what runs. */
struct coil__watched_task {
    char name[64]; /* empty: a callback */
    const char *coroutine, *file;
    int line;
};

/* A loop in debug mode runs in this thread: it is watched until it leaves. Without memory or threads it is not. */
void coil__watchdog_enter(coil_loop *loop);
void coil__watchdog_leave(coil_loop *loop);
/* In a child of fork, where the thread is not. */
void coil__watchdog_in_child(void);

/* Implemented by the tasks layer; called in a signal's handler. */
void coil__task_describe_watched(struct coil__watched_task *watched);

#endif
