#include "loop/trace.h"

#include <string.h>
#include "base/error.h"
#include "loop/loop.h"

/* ---- attaching ---------------------------------------------------------------------------------- */

static void tracer_destroy(void *object)
{
    coil_tracer *tracer = object;
    if (tracer->release)
        tracer->release(tracer->arg);
    coil__free(tracer);
}

static const struct coil__type tracer_type = { COIL__KIND_TRACER, "tracer", tracer_destroy };

coil_tracer *coil_trace_attach(coil_loop *loop, const coil_trace_hooks *hooks, void *arg,
                               void (*release)(void *arg))
{
    loop = coil__loop_or_running(loop);
    if (!loop || coil__loop_open_for_work(loop) < 0)
        return NULL;
    coil_tracer *tracer = coil__alloc_zero(sizeof *tracer);
    if (!tracer)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&tracer->object, &tracer_type);
    size_t known = hooks->size < sizeof tracer->hooks ? hooks->size : sizeof tracer->hooks;
    memcpy(&tracer->hooks, hooks, known);
    tracer->arg = arg;
    tracer->release = release;
    tracer->loop = loop;
    coil__list_append(&loop->tracers, &tracer->link);
    coil__ref(&tracer->object);
    loop->slow |= COIL__SLOW_TRACE;
    return tracer;
}

void coil_trace_detach(coil_tracer *tracer)
{
    coil_loop *loop = tracer ? tracer->loop : NULL;
    if (!loop)
        return;
    tracer->loop = NULL;
    coil__list_remove(&tracer->link);
    if (coil__list_empty(&loop->tracers))
        loop->slow &= ~(unsigned)COIL__SLOW_TRACE;
    coil__unref(&tracer->object);
}

void coil__trace_detach_all(coil_loop *loop)
{
    while (!coil__list_empty(&loop->tracers))
        coil_trace_detach(COIL__CONTAINER(loop->tracers.next, coil_tracer, link));
}

/* ---- calling ------------------------------------------------------------------------------------ */

/* Calls one hook of every tracer. A hook may detach its own tracer. */
#define EACH(loop, hook, ...)                                                                      \
    do {                                                                                           \
        struct coil__link *link_ = (loop)->tracers.next, *next_;                                   \
        for (; link_ != &(loop)->tracers; link_ = next_) {                                         \
            next_ = link_->next;                                                                   \
            coil_tracer *tracer = COIL__CONTAINER(link_, coil_tracer, link);                       \
            if (tracer->hooks.hook)                                                                \
                tracer->hooks.hook(tracer->arg, __VA_ARGS__);                                      \
        }                                                                                          \
    } while (0)

void coil__trace_created(coil_loop *loop, coil_task *task)
{
    EACH(loop, task_created, task);
}

void coil__trace_waits(coil_loop *loop, coil_task *task, const coil_wait_info *info)
{
    EACH(loop, task_waits, task, info);
}

void coil__trace_woken(coil_loop *loop, coil_task *task, coil_task *by)
{
    EACH(loop, task_woken, task, by);
}

void coil__trace_done(coil_loop *loop, coil_task *task)
{
    EACH(loop, task_done, task);
}

void coil__slow_begin(coil_loop *loop, coil_task *task)
{
    if (task && (loop->slow & COIL__SLOW_TRACE))
        EACH(loop, step_begin, task);
    if (loop->slow & COIL__SLOW_DEBUG) {
        loop->step_began_ns = coil__loop_now(loop);
        if (!(loop->slow & COIL__SLOW_VIRTUAL))
            atomic_store(&loop->watched.began_ns, loop->step_began_ns);
    }
}

void coil__slow_end(coil_loop *loop, coil_task *task, coil_step_end how, coil_handle *handle)
{
    if (loop->slow & COIL__SLOW_DEBUG) {
        atomic_store(&loop->watched.began_ns, 0);
        double seconds = (double)(coil__loop_now(loop) - loop->step_began_ns) / 1e9;
        if (seconds >= loop->slow_callback_seconds) {
            coil_report report = { .size = sizeof report,
                                   .event = COIL_EVENT_SLOW_CALLBACK,
                                   .message = task ? "a task's step took long"
                                                   : "a callback took long",
                                   .future = task,
                                   .handle = handle,
                                   .seconds = seconds };
            coil__log(loop, COIL_LOG_WARNING, &report);
        }
    }
    if (task && (loop->slow & COIL__SLOW_TRACE))
        EACH(loop, step_end, task, how);
}
