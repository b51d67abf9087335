/* run_until_complete, run, Runner. */
#include <coil/run.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <coil/gen.h>
#include <coil/wait.h>
#include "base/error.h"
#include "loop/signal.h"
#include "structure/ensure.h"
#include "structure/shutdown.h"
#include "tasks/reason.h"
#include "tasks/task.h"

/* ---- run_until_complete ------------------------------------------------------------------------- */

static int stop_when_done(coil_future *future, void *arg)
{
    if (future->object.state == COIL__FUTURE_FAILED &&
        (future->code == COIL_EEXIT || future->code == COIL_EINTERRUPT))
        return 0; /* the loop was left for it already */
    /* It stays queued if the loop was left at once, by another task, when this one had just ended. */
    if ((uintptr_t)arg == future->loop->runs)
        coil_loop_stop(future->loop);
    return 0;
}

static int check_can_start(coil_loop *loop, void *awaitable)
{
    int rc = 0;
    if (!awaitable)
        return coil_error_last();
    coil__fork_notice(loop);
    if (loop->closed)
        rc = coil__loop_refuse_closed(loop);
    else if (loop->running || coil__loop_running_here())
        rc = coil__fail(COIL_ENESTED, "%s",
                        loop->running ? "this loop is running" : "another loop is running");
    if (rc < 0 && coil_is_coroutine(awaitable))
        (void)coil_coro_close(awaitable); /* consumed; it never ran */
    return rc;
}

static void *next_run(const coil_loop *loop)
{
    return (void *)((uintptr_t)loop->runs + 1);
}

/* The future to run for, which will stop the loop; a coroutine becomes a task in this context (NULL: a copy
 * of the current). All that can fail comes before the task, which cannot be taken back. */
static coil_future *begin(coil_loop *loop, void *awaitable, coil_context *context)
{
    struct coil__done_callback *stop = coil__done_callback_new(loop, stop_when_done, next_run(loop),
                                                               NULL);
    if (!stop) {
        coil__awaitable_drop(awaitable);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.context = context;
    coil_future *future = coil_is_coroutine(awaitable)
                              ? coil_create_task_with(loop, awaitable, &options)
                              : coil_ensure_future(loop, awaitable);
    if (future)
        coil__done_callback_add(stop, future);
    else
        coil_unref(stop);
    return future;
}

/* Runs until the future is done. 0, or what kept it from being done. */
static int run_for(coil_loop *loop, coil_future *future)
{
    void *this_run = next_run(loop);
    int rc = coil_run_forever(loop);
    if (rc < 0)
        future->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD; /* rc tells it */
    coil_future_remove_done_callback(future, stop_when_done, this_run);
    if (rc == 0 && coil__future_pending(future))
        rc = coil__fail(COIL_ERUNTIME, "the loop was stopped before the future was done");
    return rc;
}

int coil_run_until_complete(coil_loop *loop, void *awaitable, coil_value *value_out)
{
    int rc = check_can_start(loop, awaitable);
    if (rc < 0)
        return rc;
    bool ours = !coil_is_future(awaitable);
    coil_future *future = begin(loop, awaitable, NULL);
    if (!future)
        return coil_error_last();
    rc = run_for(loop, future);
    if (rc == 0)
        rc = ours && value_out ? coil_future_take_result(future, value_out)
                               : coil_future_result(future, value_out);
    coil__unref(&future->object);
    return rc;
}

/* ---- runner ------------------------------------------------------------------------------------- */

struct coil_runner {
    struct coil__object object;
    coil_run_options options;
    coil_loop *loop;       /* one reference; NULL before the first run */
    coil_context *context; /* one reference; shared by the runs */
    bool closed;
    coil_task *main; /* borrowed while it runs */
    int interrupts;  /* SIGINTs during this run */
    bool terminated; /* SIGTERM came during this run */
    bool sigint_taken, sigterm_taken;
};

static void runner_destroy(void *object)
{
    coil_runner *runner = object;
    runner->object.refs = 1;
    (void)coil_runner_close(runner); /* nobody is left to hear what closing met */
    coil__free(runner);
}

static const struct coil__type runner_type = { COIL__KIND_RUNNER, "runner", runner_destroy };

coil_runner *coil_runner_new(const coil_run_options *options)
{
    static const coil_run_options defaults = COIL_RUN_OPTIONS_INIT;
    coil_runner *runner = coil__alloc_zero(sizeof *runner);
    if (!runner)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&runner->object, &runner_type);
    runner->options = options ? *options : defaults;
    return runner;
}

coil_loop *coil_runner_get_loop(coil_runner *runner)
{
    if (runner->closed)
        return coil__fail_null(COIL_ECLOSED);
    if (!runner->loop) {
        runner->context = coil_context_copy();
        if (!runner->context)
            return NULL;
        runner->loop = runner->options.loop_factory
                           ? runner->options.loop_factory(runner->options.loop_factory_arg)
                           : coil_new_event_loop();
        if (!runner->loop) {
            coil_unref(runner->context);
            runner->context = NULL;
            return NULL;
        }
        if (runner->options.debug >= 0)
            coil_set_debug(runner->loop, runner->options.debug > 0);
    }
    return runner->loop;
}

/* ---- SIGINT and SIGTERM ------------------------------------------------------------------------- */

/* In a turn of the loop. The first request cancels main, so that it can clean up. SIGINT comes from a person,
 * who may ask again because nothing happens; SIGTERM from a supervisor, which has SIGKILL for that. */
static void look_at_interrupts(coil_loop *loop, void *arg)
{
    coil_runner *runner = arg;
    bool first = runner->interrupts == 0 && !runner->terminated;
    int before = runner->interrupts;
    if (runner->sigint_taken)
        runner->interrupts = coil__interrupt_count(SIGINT);
    if (runner->sigterm_taken)
        runner->terminated = coil__interrupt_count(SIGTERM) > 0;
    bool insists = runner->interrupts > (first ? 1 : before);
    if (insists || (first && coil_future_done(runner->main)))
        coil__loop_leave(loop, COIL_EINTERRUPT, NULL);
    else if (first)
        coil__runner_cancel(runner);
}

void coil__runner_cancel(coil_runner *runner)
{
    if (runner->main)
        (void)coil__future_cancel_for(
            runner->main, coil__reason_new(COIL_CANCEL_INTERRUPT, NULL, NULL, NULL), NULL);
}

static void take_signals(coil_runner *runner)
{
    runner->interrupts = 0;
    runner->terminated = false;
    if (getpid() != (pid_t)syscall(SYS_gettid))
        return;
    coil_loop *loop = runner->loop;
    atomic_store(&loop->interrupts, 0);
    loop->on_interrupt = look_at_interrupts;
    loop->on_interrupt_arg = runner;
    runner->sigint_taken = !runner->options.leave_sigint && coil__interrupt_take(loop, SIGINT);
    runner->sigterm_taken = runner->options.cancel_on_sigterm &&
                            coil__interrupt_take(loop, SIGTERM);
}

static void give_signals_back(coil_runner *runner)
{
    if (runner->sigint_taken) {
        coil__interrupt_give_back(SIGINT);
        runner->interrupts = coil__interrupt_count(SIGINT);
    }
    if (runner->sigterm_taken) {
        coil__interrupt_give_back(SIGTERM);
        runner->terminated = coil__interrupt_count(SIGTERM) > 0;
    }
    runner->sigint_taken = runner->sigterm_taken = false;
    runner->loop->on_interrupt = NULL;
}

/* What a run that a signal has cancelled ends with: the record's detail is the signal's number. */
static int interrupted(const coil_runner *runner)
{
    int number = runner->interrupts > 0 ? SIGINT : SIGTERM;
    coil__fail(COIL_EINTERRUPT, "%s", number == SIGINT ? "SIGINT" : "SIGTERM");
    coil_error *error = coil_error_current(COIL_EINTERRUPT);
    if (error)
        coil_error_set_detail(error, number);
    return COIL_EINTERRUPT;
}

/* ---- running ------------------------------------------------------------------------------------ */

int coil_runner_run(coil_runner *runner, coil_coro *coro, coil_context *context,
                    coil_value *value_out)
{
    int rc = coro ? 0 : coil_error_last();
    if (rc == 0 && coil__loop_running_here())
        rc = coil__fail(COIL_ENESTED, "a loop is running in this thread");
    coil_loop *loop = rc == 0 ? coil_runner_get_loop(runner) : NULL;
    if (!loop) {
        rc = rc < 0 ? rc : coil_error_last();
        (void)coil_coro_close(coro); /* consumed; it never ran */
        return rc;
    }
    coil_future *task = begin(loop, coro, context ? context : runner->context);
    if (!task)
        return coil_error_last();

    runner->main = task;
    take_signals(runner);
    rc = run_for(loop, task);
    give_signals_back(runner);
    runner->main = NULL;
    if (rc == 0)
        rc = value_out ? coil_future_take_result(task, value_out) : coil_future_result(task, NULL);
    if (rc == COIL_ECANCELED && (runner->interrupts > 0 || runner->terminated) &&
        coil_task_uncancel(task) == 0)
        rc = interrupted(runner);
    coil__unref(&task->object);
    return rc;
}

/* ---- shutting down ------------------------------------------------------------------------------ */

static void report_failures(coil_loop *loop, coil_task **tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        coil_future *task = tasks[i];
        if (task->object.state != COIL__FUTURE_FAILED)
            continue;
        task->object.flags &= (uint8_t)~COIL__FUTURE_UNREAD;
        COIL__REPORT(loop, .event = COIL_EVENT_SHUTDOWN_TASK_FAILED,
                     .message = "a task failed while run was shutting down", .code = task->code,
                     .error = task->error, .future = task);
    }
}

static int cancel_all_tasks(coil_loop *loop)
{
    size_t count = coil_all_tasks(loop, NULL, 0);
    if (count == 0)
        return 0;
    coil_task **tasks = coil__alloc(count * sizeof *tasks);
    if (!tasks)
        return coil__fail_plain(COIL_ENOMEM);
    coil_all_tasks(loop, tasks, count);
    for (size_t i = 0; i < count; i++)
        coil_ref(tasks[i]);
    for (size_t i = 0; i < count; i++)
        (void)coil__future_cancel_for(
            tasks[i], coil__reason_new(COIL_CANCEL_SHUTDOWN, NULL, NULL, NULL), NULL);

    coil_future *all = coil_gather_future(loop, tasks, count, COIL_GATHER_COLLECT);
    int rc = all ? coil_run_until_complete(loop, all, NULL) : coil_error_last();
    coil_unref(all);
    if (rc == 0)
        report_failures(loop, tasks, count);
    for (size_t i = 0; i < count; i++)
        coil_unref(tasks[i]);
    coil__free(tasks);
    return rc;
}

/* asyncio ends a run with two more coroutines, each in a task of its own. What is still queued runs
 * meanwhile, so they run here as well. */
static int shut_down_generators(void *args, coil_value *coil_result)
{
    (void)args;
    (void)coil_result;
    return coil_shutdown_asyncgens();
}

static int shut_down_executor(void *args, coil_value *coil_result)
{
    (void)args;
    (void)coil_result;
    return coil__loop_shut_down_executor();
}

static const coil_coro_type shutdown_asyncgens = { "shutdown_asyncgens", shut_down_generators,
                                                   __FILE__, __LINE__, NULL };
static const coil_coro_type shutdown_executor = { "shutdown_default_executor", shut_down_executor,
                                                  __FILE__, __LINE__, NULL };

int coil__run_shutdown(coil_loop *loop)
{
    int rc = cancel_all_tasks(loop);
    if (rc == 0)
        rc = coil_run_until_complete(loop, coil_coro_new(&shutdown_asyncgens, NULL, 0), NULL);
    if (rc == 0)
        rc = coil_run_until_complete(loop, coil_coro_new(&shutdown_executor, NULL, 0), NULL);
    return rc;
}

int coil_runner_close(coil_runner *runner)
{
    coil_loop *loop = runner->loop;
    if (runner->closed)
        return 0;
    runner->closed = true;
    int rc = 0;
    if (loop) {
        coil__fork_notice(loop);
        rc = loop->forked ? coil__loop_refuse_closed(loop) : coil__run_shutdown(loop);
        int closed = coil_loop_close(loop);
        rc = rc < 0 ? rc : closed;
    }
    coil_unref(runner->context);
    runner->context = NULL;
    coil_unref(loop);
    runner->loop = NULL;
    return rc;
}

/* ---- run ---------------------------------------------------------------------------------------- */

int coil_run_with(coil_coro *coro, coil_value *value_out, const coil_run_options *options)
{
    coil_runner *runner = coil_runner_new(options);
    if (!runner) {
        (void)coil_coro_close(coro); /* consumed; it never ran */
        return COIL_ENOMEM;
    }
    int rc = coil_runner_run(runner, coro, NULL, value_out);
    coil_error *error = rc < 0 ? coil_ref(coil_error_current(rc)) : NULL;
    int closed = coil_runner_close(runner);
    if (rc < 0)
        coil__fail_with(rc, error); /* closing does not hide it */
    else if (closed < 0) {
        if (value_out)
            coil_value_clear(value_out);
        rc = closed;
    }
    coil_unref(error);
    coil_unref(runner);
    return rc;
}

int coil_run(coil_coro *coro, coil_value *value_out)
{
    return coil_run_with(coro, value_out, NULL);
}

/* The number that the record of an error carries, or another one if it has none. */
static int detail_or(int code, int otherwise)
{
    coil_error *error = coil_error_current(code);
    return error ? (int)(coil_error_detail(error) & 0xff) : otherwise;
}

int coil__run_status(int code)
{
    if (code >= 0)
        return EXIT_SUCCESS;
    if (code == COIL_EEXIT)
        return detail_or(code, EXIT_FAILURE);
    if (code == COIL_EINTERRUPT)
        return 128 + (detail_or(code, SIGINT) == SIGTERM ? SIGTERM : SIGINT);
    coil_error_print(stderr, code);
    return EXIT_FAILURE;
}

int coil_main_with(coil_coro *coro, const coil_run_options *options)
{
    coil_value value = coil_nil();
    int rc = coil_run_with(coro, &value, options);
    if (rc < 0)
        return coil__run_status(rc);
    int status = value.kind == COIL_INT && value.integer > 0 && value.integer < 256
                     ? (int)value.integer
                     : EXIT_SUCCESS;
    coil_value_clear(&value);
    return status;
}

int coil_main(coil_coro *coro)
{
    return coil_main_with(coro, NULL);
}
