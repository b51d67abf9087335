/* The timeline tracer: records every step in memory. timeline_svg.c and timeline_json.c write it
 * out.
 *
 * When memory runs out the recording ends there, and says so when it is written. */
#include "trace/timeline.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <string.h>

#include <coil/error.h>
#include <coil/loop.h>
#include <coil/task.h>

#include "base/alloc.h"
#include "base/error.h"
#include "loop/trace.h"

static void record_created(void *arg, coil_task *task);
static void record_begin(void *arg, coil_task *task);
static void record_waits(void *arg, coil_task *task, const coil_wait_info *info);
static void record_end(void *arg, coil_task *task, coil_step_end how);
static void record_woken(void *arg, coil_task *task, coil_task *by);
static void timeline_release(void *arg);

static struct coil__step *running_step(struct coil__timeline *timeline, coil_task *task);
static struct coil__step *begin_step(struct coil__timeline *timeline, int32_t number, int64_t now);
static int64_t now_ns(struct coil__timeline *timeline, coil_task *task);
static int64_t clock_ns(coil_loop *loop);
static int32_t lane_of(const struct coil__timeline *timeline, const coil_task *task);
static int32_t lane_for(struct coil__timeline *timeline, coil_task *task);
static int32_t add_lane(struct coil__timeline *timeline, coil_task *task, int64_t now);
static struct coil__step *add_step(struct coil__timeline *timeline, struct coil__lane *lane);
static void keep_name(struct coil__timeline *timeline, struct coil__lane *lane, coil_task *task);
static const char *keep_operation(struct coil__timeline *timeline, const char *operation);

static const coil_trace_hooks timeline_hooks = {
    .size = sizeof timeline_hooks,
    .task_created = record_created,
    .step_begin = record_begin,
    .step_end = record_end,
    .task_waits = record_waits,
    .task_woken = record_woken,
};

/* ---- recording ------------------------------------------------------------------------------- */

coil_tracer *coil_trace_timeline(coil_loop *loop)
{
    struct coil__timeline *timeline = coil__alloc_zero(sizeof *timeline);
    if (!timeline)
        return coil__fail_null(COIL_ENOMEM);
    timeline->origin_ns = clock_ns(loop);
    coil_tracer *tracer = coil_trace_attach(loop, &timeline_hooks, timeline, timeline_release);
    if (!tracer) {
        timeline_release(timeline);
        return NULL;
    }
    /* For a task that attaches it, its step begins here. */
    coil_task *current = coil_current_task();
    if (current && (!loop || coil_future_get_loop(current) == loop))
        record_begin(timeline, current);
    return tracer;
}

static void timeline_release(void *arg)
{
    struct coil__timeline *timeline = arg;
    while (timeline->first) {
        struct coil__chunk *chunk = timeline->first;
        timeline->first = chunk->next;
        coil__free(chunk);
    }
    for (size_t i = 0; i < timeline->lane_count; i++)
        coil__free(timeline->lanes[i].name);
    for (size_t i = 0; i < timeline->operation_count; i++)
        coil__free(timeline->operations[i]);
    coil__free(timeline->lanes);
    coil__task_table_fini(&timeline->numbers);
    coil__free(timeline);
}

static void record_created(void *arg, coil_task *task)
{
    struct coil__timeline *timeline = arg;
    if (timeline->incomplete)
        return;
    int64_t now = now_ns(timeline, task);
    int32_t number = add_lane(timeline, task, now);
    if (number < 0)
        return;
    struct coil__lane *lane = &timeline->lanes[number];
    lane->made_by = lane_of(timeline, coil_current_task());
    lane->ready_ns = now;
}

static void record_begin(void *arg, coil_task *task)
{
    struct coil__timeline *timeline = arg;
    if (timeline->incomplete)
        return;
    int64_t now = now_ns(timeline, task);
    int32_t number = lane_for(timeline, task);
    if (number >= 0)
        (void)begin_step(timeline, number, now); /* without memory the recording just ends */
}

/* What a task waits for is asked of it while its step still runs. */
static void record_waits(void *arg, coil_task *task, const coil_wait_info *info)
{
    struct coil__timeline *timeline = arg;
    if (timeline->incomplete)
        return;
    struct coil__step *step = running_step(timeline, task);
    if (!step)
        return;
    step->wait_kind = (uint8_t)info->kind;
    step->fd = info->kind == COIL_WAIT_IO ? info->fd : COIL__NO_FD;
    step->awaited = info->kind == COIL_WAIT_TASK ? lane_of(timeline, info->future) : COIL__NO_LANE;
    step->operation = keep_operation(timeline, info->operation);
}

static void record_end(void *arg, coil_task *task, coil_step_end how)
{
    struct coil__timeline *timeline = arg;
    if (timeline->incomplete)
        return;
    int64_t now = now_ns(timeline, task);
    struct coil__step *step = running_step(timeline, task);
    if (!step)
        return;
    struct coil__lane *lane = &timeline->lanes[step->lane];
    step->end_ns = now;
    step->how = (uint8_t)how;
    if (how == COIL_STEP_READY) {
        lane->ready_ns = now;
        lane->woken_by = COIL__NO_LANE;
    } else if (how != COIL_STEP_WAITING) {
        lane->ended_ns = now;
        lane->how = (uint8_t)how;
    } else if (step->wait_end_ns != COIL__OPEN) {
        /* It was woken before it slept: a wait that is cancelled as it begins takes no time. */
        lane->ready_ns = step->wait_end_ns = now;
    }
    /* The task may go at any time after this, and its name may have changed. */
    keep_name(timeline, lane, task);
}

static void record_woken(void *arg, coil_task *task, coil_task *by)
{
    struct coil__timeline *timeline = arg;
    if (timeline->incomplete)
        return;
    int64_t now = now_ns(timeline, task);
    int32_t number = lane_for(timeline, task);
    if (number < 0)
        return;
    struct coil__lane *lane = &timeline->lanes[number];
    lane->ready_ns = now;
    lane->woken_by = lane_of(timeline, by);
    if (lane->last)
        lane->last->wait_end_ns = now;
}

/* NULL when there is no memory. */
static struct coil__step *running_step(struct coil__timeline *timeline, coil_task *task)
{
    int32_t number = lane_for(timeline, task);
    if (number < 0)
        return NULL;
    struct coil__step *last = timeline->lanes[number].last;
    if (last && last->end_ns == COIL__OPEN)
        return last;
    /* It was under way when an eager task that it had created attached the tracer. */
    return begin_step(timeline, number, 0);
}

static struct coil__step *begin_step(struct coil__timeline *timeline, int32_t number, int64_t now)
{
    struct coil__lane *lane = &timeline->lanes[number];
    struct coil__step *step = add_step(timeline, lane);
    if (!step)
        return NULL;
    step->ready_ns = lane->ready_ns;
    step->begin_ns = now;
    step->end_ns = COIL__OPEN;
    step->wait_end_ns = COIL__OPEN;
    step->lane = number;
    step->woken_by = lane->woken_by;
    step->awaited = COIL__NO_LANE;
    step->fd = COIL__NO_FD;
    step->operation = "";
    step->wait_kind = COIL_WAIT_OTHER;
    lane->ready_ns = COIL__OPEN;
    lane->woken_by = COIL__NO_LANE;
    return step;
}

static int64_t now_ns(struct coil__timeline *timeline, coil_task *task)
{
    timeline->last_ns = clock_ns(coil_future_get_loop(task)) - timeline->origin_ns;
    return timeline->last_ns;
}

static int64_t clock_ns(coil_loop *loop)
{
    return (int64_t)(coil_loop_time(loop) * 1e9 + 0.5);
}

/* ---- what it is kept in ---------------------------------------------------------------------- */

static int32_t lane_of(const struct coil__timeline *timeline, const coil_task *task)
{
    const uint64_t *number = task ? coil__task_table_find(&timeline->numbers, task) : NULL;
    return number ? (int32_t)*number : COIL__NO_LANE;
}

/* A task that was there before the tracer gets its lane when it is first heard of. Negative: no
 * memory. */
static int32_t lane_for(struct coil__timeline *timeline, coil_task *task)
{
    int32_t number = lane_of(timeline, task);
    return number != COIL__NO_LANE ? number : add_lane(timeline, task, 0);
}

static int32_t add_lane(struct coil__timeline *timeline, coil_task *task, int64_t now)
{
    if (timeline->lane_count == timeline->lane_room) {
        size_t room = timeline->lane_room ? 2 * timeline->lane_room : 16;
        struct coil__lane *lanes = room <= COIL__MAX_STEPS
                                       ? coil__realloc(timeline->lanes, room * sizeof *lanes)
                                       : NULL;
        if (!lanes)
            goto out_of_memory;
        timeline->lanes = lanes;
        timeline->lane_room = room;
    }
    uint64_t *number = coil__task_table_put(&timeline->numbers, task);
    if (!number)
        goto out_of_memory;
    *number = timeline->lane_count;

    struct coil__lane *lane = &timeline->lanes[timeline->lane_count++];
    *lane = (struct coil__lane){
        .created_ns = now,
        .ended_ns = COIL__OPEN,
        .ready_ns = COIL__OPEN,
        .made_by = COIL__NO_LANE,
        .woken_by = COIL__NO_LANE,
    };
    keep_name(timeline, lane, task);
    return (int32_t)*number;

out_of_memory:
    timeline->incomplete = true;
    return COIL__NO_LANE;
}

static struct coil__step *add_step(struct coil__timeline *timeline, struct coil__lane *lane)
{
    struct coil__chunk *chunk = timeline->last;
    if (!chunk || chunk->count == COIL__STEPS_PER_CHUNK) {
        chunk = timeline->step_count < COIL__MAX_STEPS ? coil__alloc(sizeof *chunk) : NULL;
        if (!chunk) {
            timeline->incomplete = true;
            return NULL;
        }
        chunk->next = NULL;
        chunk->count = 0;
        *(timeline->last ? &timeline->last->next : &timeline->first) = chunk;
        timeline->last = chunk;
    }
    struct coil__step *step = &chunk->steps[chunk->count++];
    timeline->step_count++;
    step->next = NULL;
    step->before = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = step;
    lane->last = step;
    step->number = ++lane->steps;
    return step;
}

static void keep_name(struct coil__timeline *timeline, struct coil__lane *lane, coil_task *task)
{
    const char *name = coil_task_get_name(task);
    if (lane->name && strcmp(lane->name, name) == 0)
        return;
    char *copy = coil__strdup(name);
    if (!copy) {
        timeline->incomplete = true;
        return;
    }
    coil__free(lane->name);
    lane->name = copy;
}

/* There are a handful of them. More than we have room for share one name. */
static const char *keep_operation(struct coil__timeline *timeline, const char *operation)
{
    for (size_t i = 0; i < timeline->operation_count; i++) {
        if (strcmp(timeline->operations[i], operation) == 0)
            return timeline->operations[i];
    }
    if (timeline->operation_count == COIL__MAX_OPERATIONS)
        return "";
    char *copy = coil__strdup(operation);
    if (!copy) {
        timeline->incomplete = true;
        return "";
    }
    return timeline->operations[timeline->operation_count++] = copy;
}

/* ---- for the writers ------------------------------------------------------------------------- */

static int write_file(FILE *file, const struct coil__timeline *timeline,
                      void (*write)(FILE *file, const struct coil__timeline *timeline));

int coil__timeline_write(coil_tracer *tracer, const char *path,
                         void (*write)(FILE *file, const struct coil__timeline *timeline))
{
    if (tracer->hooks.step_begin != record_begin)
        return coil__fail(COIL_ETYPE, "the tracer is not a timeline");
    const struct coil__timeline *timeline = tracer->arg;

    FILE *file = fopen(path, "we");
    int rc = file ? write_file(file, timeline, write) : -errno;
    if (file && fclose(file) != 0 && rc == 0)
        rc = -errno;
    if (rc < 0)
        return coil__fail(rc, "cannot write %s", path);
    if (timeline->incomplete)
        return coil__fail(COIL_ENOMEM, "the recording in %s is incomplete", path);
    return 0;
}

static int write_file(FILE *file, const struct coil__timeline *timeline,
                      void (*write)(FILE *file, const struct coil__timeline *timeline))
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        return -errno;
    locale_t before = uselocale(c_locale);
    errno = 0;
    write(file, timeline);
    int rc = 0;
    if (fflush(file) != 0 || ferror(file))
        rc = errno ? -errno : -EIO;
    uselocale(before);
    freelocale(c_locale);
    return rc;
}

const char *coil__step_end_name(unsigned how)
{
    static const char *const names[] = {
        [COIL_STEP_READY] = "ready",         [COIL_STEP_WAITING] = "waiting",
        [COIL_STEP_DONE] = "done",           [COIL_STEP_FAILED] = "failed",
        [COIL_STEP_CANCELLED] = "cancelled",
    };
    assert(how < sizeof names / sizeof names[0]);
    return names[how];
}

int64_t coil__step_end_ns(const struct coil__timeline *timeline, const struct coil__step *step)
{
    return step->end_ns != COIL__OPEN ? step->end_ns : timeline->last_ns;
}

int64_t coil__wait_end_ns(const struct coil__timeline *timeline, const struct coil__step *step)
{
    return step->wait_end_ns != COIL__OPEN ? step->wait_end_ns : timeline->last_ns;
}
