/* What a thread is doing: the one piece of state that is not reached through an object. */
#ifndef COIL_BASE_THREAD_H
#define COIL_BASE_THREAD_H

#include <coil/base.h>

struct coil__thread {
    coil_loop *loop;             /* the running loop */
    struct coil__task *task;     /* whose step is running */
    struct coil__driver *driver; /* the coroutine driven by hand that is running, outside tasks */
    struct coil__cache *cache;   /* the running loop's block cache */
    coil_context *context;       /* outside loops; NULL: empty */
    coil_error *errors;          /* records outside tasks, newest first */
    bool owns;                   /* the thread's end will clean up */
    const void *caller;          /* debug mode: of the public call that makes a task */
    struct coil__reason *reason; /* of the cancellation that is being handed on; NULL: none */
    int last_code;               /* of the newest failure, for calls that return NULL */
};

/* initial-exec: one instruction to reach it, from the shared library, too. */
/* Arranges that what the thread owns here (records, context) goes when the thread ends. */
void coil__thread_owns(void);

extern __thread struct coil__thread coil__thread __attribute__((tls_model("initial-exec")));

#endif
