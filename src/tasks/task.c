#include "tasks/task.h"

#include <math.h>
#include <stdatomic.h>
#include "base/error.h"
#include "loop/trace.h"
#include "platform/overflow.h"
#include "tasks/reason.h"

/* Task-1, Task-2...: numbered through the process, as asyncio does. */
static atomic_uint next_id = 1;

/* While one thread alone runs loops, as in most programs, the number needs no locked instruction. */
static uint32_t number_task(void)
{
    if (COIL_UNLIKELY(coil__loops_in_threads))
        return atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    uint32_t id = atomic_load_explicit(&next_id, memory_order_relaxed);
    atomic_store_explicit(&next_id, id + 1, memory_order_relaxed);
    return id;
}

void coil__task_skip_number(void)
{
    (void)number_task();
}

/* ---- life --------------------------------------------------------------------------------------- */

static void task_destroy(void *object)
{
    struct coil__task *task = object;
    if (task->coro) {
        coil__coro_end(task->coro);
        coil_unref(task->coro);
    }
    coil__future_fini(&task->future);
    if (COIL_UNLIKELY(task->context != NULL))
        coil__unref(&task->context->object);
    if (COIL_UNLIKELY(task->cancel_error != NULL))
        coil_unref(task->cancel_error);
    if (COIL_UNLIKELY(task->reason != NULL))
        coil__reason_drop(task->reason);
    if (COIL_UNLIKELY(task->errors != NULL))
        coil__errors_clear(&task->errors);
    if (COIL_UNLIKELY(task->name != NULL))
        coil__free(task->name);
    coil__block_give(task, coil__future_bytes(&task->future, sizeof *task));
}

const struct coil__type coil__task_type = { COIL__KIND_TASK, "task", task_destroy };

/* A task in memory, complete but for its coroutine: all that can fail has not failed. */
static struct coil__task *task_alloc(coil_loop *loop, const coil_task_options *options)
{
    size_t wanted = options && options->stack_size ? options->stack_size
                                                   : loop->default_stack_bytes;
    unsigned stack_class = coil__stack_class_for(wanted);
    if (COIL_UNLIKELY(stack_class >= COIL__STACK_CLASSES)) {
        coil__fail(COIL_EINVAL, "a stack of %zu bytes", wanted);
        return NULL;
    }
    coil_context *context = options ? coil_ref(options->context) : NULL;
    if (!context && coil__context_inherit(&context) < 0)
        return NULL;
    char *name = NULL;
    if (options && options->name && !(name = coil__strdup(options->name)))
        goto no_memory;
    struct coil__task *task = coil__block_take(sizeof *task + (loop->debug ? sizeof(void *) : 0));
    if (COIL_UNLIKELY(!task))
        goto no_memory;

    coil__future_init(&task->future, &coil__task_type, loop);
    task->serial = ++loop->task_serial;
    /* Field by field: a memset of this size starts too slowly for something made this often. */
    task->ready.run = NULL;
    task->sp = NULL;
    task->flags = 0;
    task->cancels = 0;
    task->stack = NULL;
    task->waiting = NULL;
    task->innermost = NULL;
    task->coro = NULL;
    task->context = context;
    task->errors = NULL;
    task->cancel_error = NULL;
    task->reason = NULL;
    task->home = NULL;
    task->patient = false;
    task->all.next = task->all.prev = NULL;
    task->name = name;
    task->future.groups = NULL;
    task->future.generator = NULL;
    task->future.limits = NULL;
    task->id = name ? 0 : number_task();
    task->stack_class = (uint8_t)stack_class;
    if (COIL_UNLIKELY(loop->debug))
        coil__future_set_place(&task->future, coil__thread.caller);
    return task;

no_memory:
    coil__free(name);
    coil_unref(context);
    return coil__fail_null(COIL_ENOMEM);
}

/* Consumes the coroutine, of which nothing will run. */
static coil_task *give_up(coil_coro *coro)
{
    (void)coil_coro_close(coro); /* the caller has recorded what went wrong */
    return NULL;
}

coil_task *coil_task_new(coil_loop *loop, coil_coro *coro, const coil_task_options *options)
{
    if (!coro)
        return coil__fail_null(COIL_ENOMEM);
    if (coil__loop_open_for_work(loop) < 0)
        return give_up(coro);
    struct coil__task *task = task_alloc(loop, options);
    if (COIL_UNLIKELY(!task))
        return give_up(coro);
    if (COIL_UNLIKELY(coil__coro_start(coro) < 0)) {
        coil__unref(&task->future.object);
        coil_unref(coro);
        return NULL;
    }
    coro->caller = NULL;
    coro->owner = task;
    task->coro = coro;
    coil__list_append(&loop->tasks, &task->all);
    COIL__COUNT(loop->counters.tasks_created, 1);
    coil__ref(&task->future.object); /* the loop's, until the task is done */
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_TRACE))
        coil__trace_created(loop, &task->future);

    if (options && options->eager && coil__thread.loop == loop) {
        coil__task_run_eagerly(task);
    } else {
        if (COIL_UNLIKELY(!loop->running))
            coil__inbox_drain(loop); /* what other threads have posted before goes first */
        coil__loop_push(loop, &task->ready);
        if (COIL_UNLIKELY(!loop->running))
            coil__loop_kick(loop);
    }
    return &task->future;
}

static coil_task *create_task(coil_loop *loop, coil_coro *coro, const coil_task_options *options)
{
    if (!coro)
        return coil__fail_null(COIL_ENOMEM);
    loop = coil__loop_or_running(loop);
    if (!loop)
        return give_up(coro);
    if (loop->task_factory)
        return loop->task_factory(loop, coro, options, loop->task_factory_arg);
    return coil_task_new(loop, coro, options);
}

/* In each public call that makes a task: the place that debug mode keeps. The outermost call counts. */
#define NOTE_CALLER(loop_)                                                                         \
    do {                                                                                           \
        coil_loop *debugged_ = (loop_) ? (loop_) : coil__thread.loop;                              \
        if (COIL_UNLIKELY(debugged_ && debugged_->debug))                                          \
            coil__thread.caller = __builtin_return_address(0);                                     \
    } while (0)

coil_task *coil_create_task(coil_coro *coro)
{
    NOTE_CALLER(NULL);
    return create_task(NULL, coro, NULL);
}

coil_task *coil_create_task_with(coil_loop *loop, coil_coro *coro, const coil_task_options *options)
{
    NOTE_CALLER(loop);
    return create_task(loop, coro, options);
}

coil_task *coil_create_task_named(coil_coro *coro, const char *name)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    NOTE_CALLER(NULL);
    return create_task(NULL, coro, &options);
}

int coil_spawn(coil_coro *coro)
{
    NOTE_CALLER(NULL);
    coil_task *task = create_task(NULL, coro, NULL);
    if (!task)
        return coil_error_last();
    coil_unref(task);
    return 0;
}

coil_task *coil_eager_task_factory(coil_loop *loop, coil_coro *coro,
                                   const coil_task_options *options, void *arg)
{
    (void)arg;
    coil_task_options eager = COIL_TASK_OPTIONS_INIT;
    if (options)
        eager = *options;
    eager.eager = true;
    return coil_task_new(loop, coro, &eager);
}

void coil_set_task_factory(coil_loop *loop, coil_task_factory factory, void *arg)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->task_factory = factory;
    loop->task_factory_arg = arg;
}

coil_task_factory coil_get_task_factory(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    return loop ? loop->task_factory : NULL;
}

int coil_set_default_stack_size(coil_loop *loop, size_t bytes)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    if (bytes < COIL__STACK_MIN_BYTES || coil__stack_class_for(bytes) >= COIL__STACK_CLASSES)
        return coil__fail(COIL_EINVAL, "a stack of %zu bytes", bytes);
    loop->default_stack_bytes = bytes;
    return 0;
}

/* ---- ending ------------------------------------------------------------------------------------- */

static bool leaves_loop(int code)
{
    return code == COIL_EEXIT || code == COIL_EINTERRUPT;
}

void coil__task_finish(struct coil__task *task, int rc, coil_value *value)
{
    coil_loop *loop = task->future.loop;
    if (COIL_UNLIKELY(task->future.groups != NULL))
        coil__task_forsake_groups(task);
    if (COIL_UNLIKELY(task->future.limits != NULL))
        coil__task_forsake_limits(task);
    coil_coro *coro = task->coro;
    task->coro = NULL;
    coil__coro_end(coro);
    coil__unref(&coro->object);
    coil__list_remove(&task->all);
    COIL__COUNT(task->future.loop->counters.tasks_done, 1);

    bool cancelled = rc == COIL_ECANCELED ||
                     (rc == COIL_ECLOSING && task->flags & COIL__TASK_CLOSING);
    if (rc >= 0 && COIL_UNLIKELY(task->flags & COIL__TASK_MUST_CANCEL)) {
        /* Returning does not escape a cancellation that is due. */
        cancelled = true;
        task->future.object.flags |= COIL__FUTURE_KEEPS_MESSAGE;
        coil__fail_with(COIL_ECANCELED, task->cancel_error);
        rc = COIL_ECANCELED;
    }
    task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;

    coil_step_end how = COIL_STEP_DONE;
    if (COIL_UNLIKELY(rc < 0)) {
        coil_value_clear(value);
        coil_error *error = coil__errors_take(&task->errors, rc);
        how = cancelled ? COIL_STEP_CANCELLED : COIL_STEP_FAILED;
        if (leaves_loop(rc))
            coil__loop_leave(loop, rc, coil_ref(error));
        if (cancelled)
            coil__future_finish_cancelled(&task->future, error);
        else
            coil__future_fail(&task->future, rc, error);
        if (leaves_loop(rc))
            task->future.object.flags &= (uint8_t)~COIL__FUTURE_UNREAD; /* run tells it */
    } else {
        coil__future_finish(&task->future, value);
    }
    if (COIL_UNLIKELY(task->errors != NULL))
        coil__errors_clear(&task->errors);
    if (COIL_UNLIKELY(loop->slow & COIL__SLOW_STEPS)) {
        coil__slow_end(loop, &task->future, how, NULL);
        if (loop->slow & COIL__SLOW_TRACE)
            coil__trace_done(loop, &task->future);
    }
}

void coil__task_close_lost(struct coil__task *task)
{
    char place[COIL__PLACE_BYTES];
    COIL__REPORT(task->future.loop, .event = COIL_EVENT_TASK_LOST,
                 .message = "a task was still pending when its loop was closed",
                 .future = &task->future, .place = coil__future_place(&task->future, place));
    coil__task_close(task);
}

void coil__loop_close_tasks(coil_loop *loop)
{
    while (!coil__list_empty(&loop->tasks)) {
        /* What the one before has woken must not lie in the queue when it goes. */
        coil__loop_drop_ready(loop);
        coil__task_close_lost(COIL__CONTAINER(loop->tasks.next, struct coil__task, all));
    }
    coil__loop_drop_ready(loop);
    coil__loop_close_generators(loop);
    coil__coros_report_unused(loop);
}

/* ---- what other layers ask ---------------------------------------------------------------------- */

coil_error **coil__task_errors(struct coil__task *task)
{
    return &task->errors;
}

void coil__task_label(struct coil__task *task, char *text, size_t bytes)
{
    if (task->name)
        snprintf(text, bytes, "%s", task->name);
    else
        snprintf(text, bytes, "Task-%u", task->id);
}

coil_context **coil__task_context_slot(struct coil__task *task)
{
    return &task->context;
}

/* ---- asking ------------------------------------------------------------------------------------- */

bool coil_is_task(const void *object)
{
    return object && coil__kind_of(object) == COIL__KIND_TASK;
}

coil_task *coil_current_task(void)
{
    struct coil__task *task = coil__thread.task;
    return task ? &task->future : NULL;
}

size_t coil_all_tasks(coil_loop *loop, coil_task **tasks, size_t room)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return 0;
    size_t count = 0;
    for (struct coil__link *link = loop->tasks.next; link != &loop->tasks; link = link->next) {
        if (count < room)
            tasks[count] = &COIL__CONTAINER(link, struct coil__task, all)->future;
        count++;
    }
    return count;
}

/* The task behind a future, or NULL with COIL_ETYPE. */
static struct coil__task *require_task(const coil_task *future)
{
    if (future->object.type->kind != COIL__KIND_TASK)
        return coil__fail_null(COIL_ETYPE);
    return coil__as_task((coil_task *)(uintptr_t)future);
}

#undef coil_task_cancel
bool coil_task_cancel(coil_task *task, const char *message)
{
    return coil__cancel_here(task, message, NULL);
}

int coil_task_cancelling(const coil_task *future)
{
    struct coil__task *task = require_task(future);
    return task ? task->cancels : COIL_ETYPE;
}

int coil_task_uncancel(coil_task *future)
{
    struct coil__task *task = require_task(future);
    if (!task)
        return COIL_ETYPE;
    if (task->cancels > 0 && --task->cancels == 0)
        task->flags &= (uint8_t)~COIL__TASK_MUST_CANCEL;
    return task->cancels;
}

const char *coil_task_get_name(coil_task *future)
{
    struct coil__task *task = require_task(future);
    if (!task)
        return "future";
    if (!task->name) {
        char text[24];
        snprintf(text, sizeof text, "Task-%u", task->id);
        task->name = coil__strdup(text);
    }
    return task->name ? task->name : "Task";
}

int coil_task_set_name(coil_task *future, const char *name)
{
    struct coil__task *task = require_task(future);
    if (!task)
        return COIL_ETYPE;
    char *copy = coil__strdup(name);
    if (!copy)
        return coil__fail_plain(COIL_ENOMEM);
    char *old = task->name;
    task->name = copy;
    atomic_signal_fence(memory_order_seq_cst); /* the watchdog's handler may read it in between */
    coil__free(old);
    return 0;
}

void coil__task_describe_watched(struct coil__watched_task *watched)
{
    const struct coil__task *task = coil__thread.task;
    if (!task)
        return;
    /* snprintf is not for handlers by the book; for a text and a number it only writes to this memory. */
    if (task->name)
        snprintf(watched->name, sizeof watched->name, "%s", task->name);
    else
        snprintf(watched->name, sizeof watched->name, "Task-%u", task->id);
    const coil_coro *coro = task->innermost;
    if (coro) {
        watched->coroutine = coro->type->name;
        watched->file = coro->type->file;
        watched->line = coro->type->line;
    }
}

coil_coro *coil_task_get_coro(const coil_task *future)
{
    struct coil__task *task = require_task(future);
    return task ? task->coro : NULL;
}

coil_context *coil_task_get_context(coil_task *future)
{
    struct coil__task *task = require_task(future);
    return task ? coil__context_materialise(&task->context) : NULL;
}

size_t coil_task_get_stack(const coil_task *future, coil_coro **coros, size_t room)
{
    struct coil__task *task = require_task(future);
    if (!task || !task->coro)
        return 0;
    size_t count = 0;
    for (coil_coro *coro = task->innermost ? task->innermost : task->coro; coro;
         coro = coro->caller) {
        if (count < room)
            coros[count] = coro;
        count++;
    }
    return count;
}

static void print_coro(const coil_coro *coro, FILE *file)
{
    if (coro->caller)
        print_coro(coro->caller, file);
    fprintf(file, "  %s:%d in %s\n", coro->type->file, coro->type->line, coro->type->name);
}

void coil_task_print_stack(coil_task *future, FILE *file)
{
    struct coil__task *task = require_task(future);
    if (!task)
        return;
    if (!task->coro) {
        fprintf(file, "%s is done\n", coil_task_get_name(future));
        return;
    }
    fprintf(file, "Stack of %s (innermost last):\n", coil_task_get_name(future));
    print_coro(task->innermost ? task->innermost : task->coro, file);
}

size_t coil_task_stack_used(const coil_task *future, size_t *size_out)
{
    struct coil__task *task = require_task(future);
    bool has = task && task->stack;
    if (size_out)
        *size_out = has ? task->stack->bytes : 0;
    return has ? coil__stack_high_water(task->stack) : 0;
}

/* ---- overflow ----------------------------------------------------------------------------------- */

/* In a signal handler: write(2) only. */
bool coil__task_describe_overflow(const void *fault_address)
{
    struct coil__task *task = coil__thread.task;
    if (!task || !task->stack || !coil__stack_guard_hit(task->stack, fault_address))
        return false;
    coil__overflow_puts("coil: stack overflow in ");
    if (task->name) {
        coil__overflow_puts(task->name);
    } else {
        coil__overflow_puts("Task-");
        coil__overflow_putu(task->id);
    }
    coil__overflow_puts(": its stack of ");
    coil__overflow_putu(task->stack->bytes);
    coil__overflow_puts(" bytes is used up.\nIts coroutines, innermost first:\n");
    for (coil_coro *coro = task->innermost; coro; coro = coro->caller) {
        coil__overflow_puts("  ");
        coil__overflow_puts(coro->type->name);
        coil__overflow_puts(" (");
        coil__overflow_puts(coro->type->file);
        coil__overflow_puts(":");
        coil__overflow_putu((size_t)coro->type->line);
        coil__overflow_puts(")\n");
    }
    coil__overflow_puts(
        "Give it more with coil_task_options.stack_size, or keep large arrays off the "
        "stack.\n");
    return true;
}
