/* The text tracer: two lines for every step, as they happen. */
#include <coil/debug.h>

#include <inttypes.h>

#include <coil/loop.h>
#include <coil/task.h>

#include "base/alloc.h"
#include "base/error.h"
#include "trace/task_table.h"
#include "trace/timeline.h"

enum {
    BLANKS_PER_LEVEL = 4,
    MAX_LEVEL = 64, /* deeper ones are printed at this depth, to keep lines readable */
};

struct text_tracer {
    FILE *file;              /* the caller's */
    coil_context_var *depth; /* the caller's; NULL: no indentation */
    double origin;
    struct coil__task_table steps; /* how many each living task has begun */
};

static void text_task_created(void *arg, coil_task *task);
static void text_step_begin(void *arg, coil_task *task);
static void text_step_end(void *arg, coil_task *task, coil_step_end how);
static void text_release(void *arg);
static void print_step(struct text_tracer *text, coil_task *task, const char *arrow, uint64_t step);
static int indent(const struct text_tracer *text);

coil_tracer *coil_trace_text(coil_loop *loop, FILE *file, coil_context_var *depth, double origin)
{
    static const coil_trace_hooks hooks = {
        .size = sizeof hooks,
        .task_created = text_task_created,
        .step_begin = text_step_begin,
        .step_end = text_step_end,
    };
    struct text_tracer *text = coil__alloc_zero(sizeof *text);
    if (!text)
        return coil__fail_null(COIL_ENOMEM);
    text->file = file;
    text->depth = depth;
    text->origin = origin;

    coil_tracer *tracer = coil_trace_attach(loop, &hooks, text, text_release);
    if (!tracer) {
        text_release(text);
        return NULL;
    }
    /* For a task that attaches it, its step begins here. */
    coil_task *current = coil_current_task();
    if (current && (!loop || coil_future_get_loop(current) == loop))
        text_step_begin(text, current);
    return tracer;
}

/* The address may have been another task's, one of which we did not see the end. */
static void text_task_created(void *arg, coil_task *task)
{
    struct text_tracer *text = arg;
    coil__task_table_remove(&text->steps, task);
}

static void text_step_begin(void *arg, coil_task *task)
{
    struct text_tracer *text = arg;
    uint64_t *steps = coil__task_table_put(&text->steps, task);
    print_step(text, task, "->", steps ? ++*steps : 0);
    fprintf(text->file, " @%.3f\n", coil_loop_time(coil_future_get_loop(task)) - text->origin);
}

static void text_step_end(void *arg, coil_task *task, coil_step_end how)
{
    struct text_tracer *text = arg;
    uint64_t *steps = coil__task_table_put(&text->steps, task);
    /* There was no memory to count its beginning; or it is an eager task's creator, and was
     * under way when that one attached the tracer. */
    if (steps && *steps == 0)
        *steps = 1;
    print_step(text, task, "<-", steps ? *steps : 0);
    fprintf(text->file, " %s\n", coil__step_end_name(how));
    if (how >= COIL_STEP_DONE)
        coil__task_table_remove(&text->steps, task);
}

static void text_release(void *arg)
{
    struct text_tracer *text = arg;
    coil__task_table_fini(&text->steps);
    coil__free(text);
}

/* Without memory to count them steps have no number. */
static void print_step(struct text_tracer *text, coil_task *task, const char *arrow, uint64_t step)
{
    fprintf(text->file, "%*s%s %s #", indent(text), "", arrow, coil_task_get_name(task));
    if (step > 0)
        fprintf(text->file, "%" PRIu64, step);
    else
        fputc('?', text->file);
}

/* The hooks run inside the step, so the current context is the task's. */
static int indent(const struct text_tracer *text)
{
    coil_value level = coil_int(0);
    if (!text->depth || coil_context_var_get(text->depth, &level) < 0 || level.kind != COIL_INT)
        return 0;
    int64_t levels = level.integer < 0 ? 0 : level.integer;
    return BLANKS_PER_LEVEL * (int)(levels < MAX_LEVEL ? levels : MAX_LEVEL);
}
