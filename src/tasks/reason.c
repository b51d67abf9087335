#include "tasks/reason.h"

#include <string.h>
#include "base/cache.h"
#include "tasks/task.h"

#define BARE(kind_) [kind_] = { .refs = COIL__IMMORTAL, .kind = (kind_) }

/* For when there is no memory. */
static struct coil__reason bare[] = {
    BARE(COIL_CANCEL_NONE),    BARE(COIL_CANCEL_EXPLICIT), BARE(COIL_CANCEL_DEADLINE),
    BARE(COIL_CANCEL_GROUP),   BARE(COIL_CANCEL_SHUTDOWN), BARE(COIL_CANCEL_INTERRUPT),
    BARE(COIL_CANCEL_CLOSING),
};

/* ---- making ------------------------------------------------------------------------------------- */

struct coil__reason *coil__reason_new(coil_cancel_kind kind, const struct coil__task *who,
                                      const coil_place *place, coil_error *message)
{
    struct coil__reason *reason = coil__block_take(sizeof *reason);
    if (!reason)
        return &bare[kind];
    *reason = (struct coil__reason){ .refs = 1,
                                     .kind = (uint8_t)kind,
                                     .file = place ? place->file : NULL,
                                     .line = place ? place->line : 0,
                                     .message = coil_ref(message) };
    if (who && who->name)
        strncat(reason->who, who->name, sizeof reason->who - 1);
    else if (who)
        reason->who_id = who->id;
    return reason;
}

struct coil__reason *coil__reason_of_failure(const struct coil__task *who, int code,
                                             const coil_error *error)
{
    coil_place place;
    const char *function;
    bool known = error && coil_error_place(error, &place.file, &place.line, &function);
    struct coil__reason *reason = coil__reason_new(COIL_CANCEL_GROUP, who, known ? &place : NULL,
                                                   NULL);
    if (reason != &bare[COIL_CANCEL_GROUP])
        reason->code = code;
    return reason;
}

struct coil__reason *coil__reason_current(void)
{
    return coil__thread.reason ? coil__thread.reason : &bare[COIL_CANCEL_EXPLICIT];
}

struct coil__reason *coil__reason_keep(struct coil__reason *reason)
{
    if (reason && reason->refs != COIL__IMMORTAL)
        reason->refs++;
    return reason;
}

void coil__reason_drop(struct coil__reason *reason)
{
    if (!reason || reason->refs == COIL__IMMORTAL || --reason->refs > 0)
        return;
    coil_unref(reason->message);
    coil__block_give(reason, sizeof *reason);
}

void coil__reason_set(struct coil__reason **slot, struct coil__reason *reason)
{
    struct coil__reason *old = *slot;
    *slot = coil__reason_keep(reason);
    coil__reason_drop(old);
}

void coil__reason_tell(struct coil__reason *reason)
{
    struct coil__task *task = coil__thread.task;
    if (task && !coil__thread.driver)
        coil__reason_set(&task->reason, reason);
}

/* ---- asking ------------------------------------------------------------------------------------- */

static struct coil__reason *reason_for(const coil_future *future)
{
    if (coil__future_pending(future) && future->object.type == &coil__task_type) {
        const struct coil__task *task = coil__as_task((coil_future *)(uintptr_t)future);
        return task->flags & COIL__TASK_CLOSING ? &bare[COIL_CANCEL_CLOSING] : task->reason;
    }
    return coil__future_ended_cancelled(future) ? future->reason : NULL;
}

bool coil_cancel_reason(const coil_future *future, coil_cancel_info *info_out)
{
    coil_cancel_info info = COIL_CANCEL_INFO_INIT;
    if (!future)
        future = coil_current_task();
    struct coil__reason *reason = future ? reason_for(future) : NULL;
    if (reason) {
        if (!reason->who[0] && reason->who_id > 0)
            snprintf(reason->who, sizeof reason->who, "Task-%u", reason->who_id);
        info.kind = (coil_cancel_kind)reason->kind;
        info.who = reason->who;
        info.file = reason->file ? reason->file : "";
        info.line = reason->line;
        info.message = coil_error_message(reason->message);
        info.code = reason->code;
    }
    size_t size = info_out->size < sizeof info ? info_out->size : sizeof info;
    info.size = size;
    memcpy(info_out, &info, size);
    return info.kind != COIL_CANCEL_NONE;
}

static const char *beginning(coil_cancel_kind kind)
{
    switch (kind) {
    case COIL_CANCEL_NONE:
        return "not cancelled";
    case COIL_CANCEL_EXPLICIT:
        return "cancelled";
    case COIL_CANCEL_DEADLINE:
        return "time was up for a limit set";
    case COIL_CANCEL_GROUP:
        return "its task group is cancelled because of a failure";
    case COIL_CANCEL_SHUTDOWN:
        return "run is shutting down";
    case COIL_CANCEL_INTERRUPT:
        return "interrupted by SIGINT or SIGTERM";
    case COIL_CANCEL_CLOSING:
        return "the loop is being closed";
    }
    return "";
}

const char *coil_cancel_reason_text(const coil_future *future, char *text, size_t room)
{
    coil_cancel_info info = COIL_CANCEL_INFO_INIT;
    (void)coil_cancel_reason(future, &info);
    const char *by = info.kind == COIL_CANCEL_GROUP ? " in " : " by ";
    char line[16] = "";
    if (info.line > 0)
        snprintf(line, sizeof line, ":%d", info.line);
    const char *code = info.code < 0 ? coil_error_name(info.code) : "";
    snprintf(text, room, "%s%s%s%s%s%s%s%s%s%s", beginning(info.kind), *info.who ? by : "",
             info.who, *info.file ? " at " : "", info.file, line, *code ? ": " : "", code,
             *info.message ? ": " : "", info.message);
    return text;
}
