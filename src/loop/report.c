/* What goes wrong in the background: to the exception handler, or to the log. */
#include "loop/loop.h"

#include "base/error.h"

static void log_to_stderr(coil_log_level level, const coil_report *report)
{
    fprintf(stderr, "coil: %s: %s", level == COIL_LOG_ERROR ? "error" : "warning", report->message);
    if (report->name)
        fprintf(stderr, " '%s'", report->name);
    if (report->future && coil_is_task(report->future))
        fprintf(stderr, " (%s)", coil_task_get_name(report->future));
    if (report->seconds > 0)
        fprintf(stderr, " (%.3f seconds)", report->seconds);
    if (report->place)
        fprintf(stderr, ", made at %s", report->place);
    fputc('\n', stderr);
    if (report->error)
        coil_error_print_record(stderr, report->error);
    else if (report->code < 0)
        fprintf(stderr, "%s: %s\n", coil_error_name(report->code), coil_strerror(report->code));
}

void coil__log(coil_loop *loop, coil_log_level level, const coil_report *report)
{
    if (loop && loop->logger)
        loop->logger(loop, level, report, loop->logger_arg);
    else
        log_to_stderr(level, report);
}

static coil_log_level level_of(coil_event_kind event)
{
    switch (event) {
    case COIL_EVENT_NEVER_AWAITED:
    case COIL_EVENT_SLOW_CALLBACK:
    case COIL_EVENT_UNCLOSED_LOOP:
    case COIL_EVENT_UNGUARDED_STACK:
    case COIL_EVENT_WRITE_AFTER_LOSS:
    case COIL_EVENT_UNCLOSED_TRANSPORT:
    case COIL_EVENT_UNCLOSED_PROCESS:
        return COIL_LOG_WARNING;
    default:
        return COIL_LOG_ERROR;
    }
}

/* As in asyncio a report about a task is heard in the task's context, whatever runs at the moment. One
 * about a callback comes while the callback's context is the current one anyway. */
static int call_handler(coil_loop *loop, const coil_report *report)
{
    coil_exception_handler handler = loop->exception_handler;
    if (!report->future || !coil_is_task(report->future))
        return handler(loop, report, loop->exception_handler_arg);

    coil_context **of_task = coil__task_context_slot((struct coil__task *)(void *)report->future);
    coil_context **slot = coil__context_slot(), *outer = *slot;
    *slot = coil_ref(*of_task);
    int rc = handler(loop, report, loop->exception_handler_arg);
    coil_unref(*slot);
    *slot = outer;
    return rc;
}

void coil__report(coil_loop *loop, coil_report report)
{
    coil_ref(report.error); /* the handler's own failures must not take it away */
    if (!loop->exception_handler) {
        coil__log(loop, level_of(report.event), &report);
    } else {
        int rc = call_handler(loop, &report);
        if (rc < 0) {
            coil_report failed = { .size = sizeof failed,
                                   .event = COIL_EVENT_HANDLER_FAILED,
                                   .message = "the exception handler failed",
                                   .code = rc,
                                   .error = coil_error_current(rc) };
            coil__log(loop, COIL_LOG_ERROR, &failed);
        }
    }
    coil_unref(report.error);
}

void coil_call_exception_handler(coil_loop *loop, const coil_report *report)
{
    loop = coil__loop_or_running(loop);
    if (loop)
        coil__report(loop, *report);
    else
        coil__log(NULL, level_of(report->event), report);
}

void coil_set_exception_handler(coil_loop *loop, coil_exception_handler handler, void *arg)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->exception_handler = handler;
    loop->exception_handler_arg = arg;
}

coil_exception_handler coil_get_exception_handler(coil_loop *loop, void **arg_out)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return NULL;
    if (arg_out)
        *arg_out = loop->exception_handler_arg;
    return loop->exception_handler;
}

void coil_set_logger(coil_loop *loop, coil_logger logger, void *arg)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->logger = logger;
    loop->logger_arg = arg;
}
