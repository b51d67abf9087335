/* Hooks around steps, inside the library. Calls are made only if loop->slow says so. */
#ifndef COIL_LOOP_TRACE_H
#define COIL_LOOP_TRACE_H

#include <coil/debug.h>
#include "base/list.h"
#include "base/object.h"

struct coil_tracer {
    struct coil__object object;
    struct coil__link link; /* in loop->tracers, which holds a reference; unlinked once detached */
    coil_loop *loop;        /* NULL once detached */
    coil_trace_hooks hooks;
    void *arg;
    void (*release)(void *arg);
};

void coil__trace_created(coil_loop *loop, coil_task *task);
void coil__trace_waits(coil_loop *loop, coil_task *task, const coil_wait_info *info);
void coil__trace_woken(coil_loop *loop, coil_task *task, coil_task *by);
void coil__trace_done(coil_loop *loop, coil_task *task);

/* Around each step and callback, when slow: also times it in debug mode. task is NULL for a callback. */
void coil__slow_begin(coil_loop *loop, coil_task *task);
void coil__slow_end(coil_loop *loop, coil_task *task, coil_step_end how, coil_handle *handle);

void coil__trace_detach_all(coil_loop *loop);

#endif
