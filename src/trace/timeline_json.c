/* A timeline as Chrome trace events, for ui.perfetto.dev and chrome://tracing: one thread per
 * task.
 *
 * A task is a slice, in which its steps and waits are nested; a wake-up is a flow from the step
 * that woke to the step that was woken. The viewer sorts by time and keeps the order of the file
 * where times are equal, as they often are on a virtual clock. A flow belongs to the slice that
 * was opened last in its thread, so the order here is: tasks; then, for every step in the order
 * in which they began, the beginning of its flow (in the waker's thread, which has had its step
 * and not yet its wait), the wait that has ended with it, the step, the end of the flow. */
#include "trace/timeline.h"

#include <inttypes.h>

#include <coil/version.h>

#include "trace/utf8.h"

static void write_events(FILE *file, const struct coil__timeline *timeline);
static void put_task(FILE *file, const struct coil__timeline *timeline, size_t number);
static void put_step(FILE *file, const struct coil__timeline *timeline,
                     const struct coil__step *step, uint64_t id);
static void put_wait(FILE *file, const struct coil__timeline *timeline,
                     const struct coil__step *step);
static void put_flow(FILE *file, char phase, int32_t lane, int64_t ns, uint64_t id);
static void put_slice(FILE *file, const char *category, size_t lane, int64_t begin_ns,
                      int64_t end_ns);
static void put_string(FILE *file, const char *text);
static void put_characters(FILE *file, const char *text);

int coil_timeline_write_json(coil_tracer *tracer, const char *path)
{
    return coil__timeline_write(tracer, path, write_events);
}

static void write_events(FILE *file, const struct coil__timeline *timeline)
{
    fprintf(
        file,
        "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"written by\":\"Coil %s\",\"complete\":%s},\n"
        "\"traceEvents\":[\n"
        "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":0,\"args\":{\"name\":\"Coil\"}}",
        COIL_VERSION, timeline->incomplete ? "false" : "true");
    for (size_t i = 0; i < timeline->lane_count; i++)
        put_task(file, timeline, i);
    uint64_t id = 0;
    for (const struct coil__chunk *chunk = timeline->first; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++)
            put_step(file, timeline, &chunk->steps[i], ++id);
    }
    for (size_t i = 0; i < timeline->lane_count; i++) {
        if (timeline->lanes[i].last)
            put_wait(file, timeline, timeline->lanes[i].last);
    }
    fputs("\n]}\n", file);
}

static void put_task(FILE *file, const struct coil__timeline *timeline, size_t number)
{
    const struct coil__lane *lane = &timeline->lanes[number];
    bool ended = lane->ended_ns != COIL__OPEN;
    fprintf(file,
            ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%zu,\"args\":{\"name\":",
            number + 1);
    put_string(file, lane->name);
    fprintf(file,
            "}},\n{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":1,\"tid\":%zu,"
            "\"args\":{\"sort_index\":%zu}}",
            number + 1, number + 1);
    put_slice(file, "task", number, lane->created_ns, ended ? lane->ended_ns : timeline->last_ns);
    put_string(file, lane->name);
    fprintf(file, ",\"args\":{\"steps\":%" PRIu32 ",\"ended\":\"%s\"}}", lane->steps,
            ended ? coil__step_end_name(lane->how) : "not yet");
}

static void put_step(FILE *file, const struct coil__timeline *timeline,
                     const struct coil__step *step, uint64_t id)
{
    bool woken = step->woken_by != COIL__NO_LANE;
    if (woken)
        put_flow(file, 's', step->woken_by, step->ready_ns, id);
    if (step->before)
        put_wait(file, timeline, step->before);
    if (step->ready_ns != COIL__OPEN && step->ready_ns < step->begin_ns) {
        put_slice(file, "ready", (size_t)step->lane, step->ready_ns, step->begin_ns);
        fputs("\"ready\"}", file);
    }
    put_slice(file, "step", (size_t)step->lane, step->begin_ns, coil__step_end_ns(timeline, step));
    fprintf(file, "\"step %" PRIu32 "\",\"args\":{\"ends\":\"%s\"}}", step->number,
            step->end_ns != COIL__OPEN ? coil__step_end_name(step->how) : "not yet");
    if (woken)
        put_flow(file, 'f', step->lane, step->begin_ns, id);
}

/* What comes after a step, if that is a wait. */
static void put_wait(FILE *file, const struct coil__timeline *timeline,
                     const struct coil__step *step)
{
    static const char *const kinds[] = {
        [COIL_WAIT_YIELD] = "yield", [COIL_WAIT_SLEEP] = "sleep", [COIL_WAIT_FUTURE] = "future",
        [COIL_WAIT_TASK] = "task",   [COIL_WAIT_IO] = "io",       [COIL_WAIT_OTHER] = "other",
    };
    if (step->end_ns == COIL__OPEN || step->how != COIL_STEP_WAITING)
        return;
    put_slice(file, "wait", (size_t)step->lane, step->end_ns, coil__wait_end_ns(timeline, step));
    fputs("\"wait: ", file);
    put_characters(file, step->operation);
    fprintf(file, "\",\"args\":{\"kind\":\"%s\"", kinds[step->wait_kind]);
    if (step->awaited != COIL__NO_LANE) {
        fputs(",\"task\":", file);
        put_string(file, timeline->lanes[step->awaited].name);
    }
    if (step->fd != COIL__NO_FD)
        fprintf(file, ",\"fd\":%" PRId32, step->fd);
    fputs("}}", file);
}

/* Microseconds with all their digits. */
static void put_time(FILE *file, const char *key, int64_t ns)
{
    fprintf(file, ",\"%s\":%" PRId64 ".%03d", key, ns / 1000, (int)(ns % 1000));
}

/* The id is that of the step to which the flow leads. A number: the viewer reads texts as
 * hexadecimal. */
static void put_flow(FILE *file, char phase, int32_t lane, int64_t ns, uint64_t id)
{
    fprintf(file,
            ",\n{\"ph\":\"%c\",%s\"cat\":\"wake\",\"name\":\"wakes\",\"id\":%" PRIu64
            ",\"pid\":1,\"tid\":%" PRId32,
            phase, phase == 'f' ? "\"bp\":\"e\"," : "", id, lane + 1);
    put_time(file, "ts", ns);
    fputc('}', file);
}

/* Leaves off behind "name": the caller writes that, and the rest of the event. */
static void put_slice(FILE *file, const char *category, size_t lane, int64_t begin_ns,
                      int64_t end_ns)
{
    fprintf(file, ",\n{\"ph\":\"X\",\"cat\":\"%s\",\"pid\":1,\"tid\":%zu", category, lane + 1);
    put_time(file, "ts", begin_ns);
    put_time(file, "dur", end_ns - begin_ns);
    fputs(",\"name\":", file);
}

/* A text in quotes, or "?" for a name that there was no memory for. */
static void put_string(FILE *file, const char *text)
{
    fputc('"', file);
    put_characters(file, text ? text : "?");
    fputc('"', file);
}

static void put_characters(FILE *file, const char *text)
{
    for (uint32_t character; (character = coil__utf8_next(&text)) != 0;) {
        char bytes[COIL__UTF8_MAX];
        if (character == '"' || character == '\\')
            fprintf(file, "\\%c", (int)character);
        else if (character < 0x20 || character == 0x7f)
            fprintf(file, "\\u%04x", (unsigned)character);
        else {
            size_t length = (size_t)coil__utf8_put(character, bytes);
            fwrite(bytes, 1, length, file);
        }
    }
}
