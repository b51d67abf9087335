/* Looking at one task, coroutine or future, through a memory that may be somebody else's. */
#include "trace/inspect.h"

#include <string.h>
#include "tasks/task.h"

/* ---- reading ------------------------------------------------------------------------------------ */

#define GET(memory, base, member, to)                                                              \
    ((memory)->read((memory), (base) + (memory)->layout->member, (to), sizeof *(to)))

bool coil__read_own(struct coil__memory *self, uint64_t address, void *to, size_t bytes)
{
    (void)self;
    if (address == 0)
        return false;
    memcpy(to, (const void *)(uintptr_t)address, bytes);
    return true;
}

static bool get_pointer(struct coil__memory *memory, uint64_t at, uint64_t *pointer)
{
    uintptr_t value;
    if (!memory->read(memory, at, &value, sizeof value))
        return false;
    *pointer = value;
    return true;
}

#define GET_POINTER(memory, base, member, to)                                                      \
    get_pointer((memory), (base) + (memory)->layout->member, (to))

/* As much of a text as there is room for; what is no text comes out as question marks. */
static bool get_text(struct coil__memory *memory, uint64_t at, char *text, size_t room)
{
    for (size_t i = 0; i + 1 < room; i++) {
        char c;
        if (!memory->read(memory, at + i, &c, 1))
            return false;
        if (c != 0 && ((unsigned char)c < ' ' || c == 0x7f))
            c = '?';
        text[i] = c;
        if (c == 0)
            return true;
    }
    text[room - 1] = 0;
    return true;
}

bool coil__see_waiter_kinds(struct coil__memory *memory, struct coil__seen_waiter_kind *kinds)
{
    memset(kinds, 0, (COIL__INSPECT_WAITERS_MAX + 1) * sizeof *kinds);
    for (int i = 0; i < COIL__INSPECT_WAITERS_MAX && memory->layout->waiters[i]; i++) {
        struct coil__waiter_kind kind;
        if (!memory->read(memory, (uintptr_t)memory->layout->waiters[i], &kind, sizeof kind))
            return false;
        kinds[i] = (struct coil__seen_waiter_kind){ .wake = (uintptr_t)kind.wake,
                                                    .awaits = kind.awaits,
                                                    .steps = kind.steps };
        memcpy(kinds[i].path, kind.path, sizeof kind.path);
    }
    memory->kinds = kinds;
    return true;
}

/* ---- a task ------------------------------------------------------------------------------------- */

static bool see_name(struct coil__memory *memory, struct coil__seen_task *task)
{
    uint64_t name;
    uint32_t id;
    if (!GET_POINTER(memory, task->address, task_name, &name) ||
        !GET(memory, task->address, task_id, &id))
        return false;
    if (name)
        return get_text(memory, name, task->name, sizeof task->name);
    snprintf(task->name, sizeof task->name, "Task-%u", id);
    return true;
}

static bool see_lock(struct coil__memory *memory, struct coil__seen_task *task)
{
    uint8_t locked;
    if (!GET(memory, task->thing_at, lock_locked, &locked) ||
        !GET_POINTER(memory, task->thing_at, lock_holder, &task->holder) ||
        !GET(memory, task->thing_at, lock_holder_serial, &task->holder_serial))
        return false;
    task->held = locked != 0;
    return true;
}

static bool see_semaphore(struct coil__memory *memory, struct coil__seen_task *task)
{
    long value;
    if (!GET(memory, task->thing_at, semaphore_value, &value))
        return false;
    task->count = value;
    return true;
}

static bool see_queue(struct coil__memory *memory, struct coil__seen_task *task)
{
    size_t count, maxsize, unfinished;
    if (!GET(memory, task->thing_at, queue_count, &count) ||
        !GET(memory, task->thing_at, queue_maxsize, &maxsize) ||
        !GET(memory, task->thing_at, queue_unfinished, &unfinished))
        return false;
    bool joins = strcmp(task->operation, "queue_join") == 0;
    task->count = (int64_t)(joins ? unfinished : count);
    task->limit = (int64_t)maxsize;
    return true;
}

/* The lock, queue... whose line the task stands in. */
static bool see_thing(struct coil__memory *memory, struct coil__seen_task *task)
{
    const struct coil__inspect_line *line = memory->layout->lines;
    const struct coil__inspect_line *end = line + COIL__INSPECT_LINES_MAX;
    while (line < end && line->thing != COIL__THING_NONE &&
           strncmp(line->operation, task->operation, sizeof line->operation) != 0)
        line++;
    if (line == end || line->thing == COIL__THING_NONE)
        return true;
    uint64_t list;
    if (!GET_POINTER(memory, task->wait, parked_list, &list))
        return false;
    if (!list)
        return true; /* it is leaving */
    task->thing = (uint8_t)line->thing;
    task->thing_at = list - line->offset;
    switch (line->thing) {
    case COIL__THING_LOCK:
        return see_lock(memory, task);
    case COIL__THING_SEMAPHORE:
        return see_semaphore(memory, task);
    case COIL__THING_QUEUE:
        return see_queue(memory, task);
    default:
        return true;
    }
}

static bool see_wait(struct coil__memory *memory, struct coil__seen_task *task)
{
    uint64_t operation;
    uint8_t wait_state, future_state = COIL__FUTURE_PENDING;
    if (!GET(memory, task->wait, wait_kind, &task->kind) ||
        !GET(memory, task->wait, wait_state, &wait_state) ||
        !GET_POINTER(memory, task->wait, wait_future, &task->future) ||
        !GET_POINTER(memory, task->wait, wait_operation, &operation) ||
        !GET(memory, task->wait, wait_when, &task->when) ||
        !GET(memory, task->wait, wait_fd, &task->fd) ||
        !get_text(memory, operation, task->operation, sizeof task->operation) ||
        (task->future && !GET(memory, task->future, future_state, &future_state)))
        return false;
    bool over = wait_state == COIL__WAIT_OVER || wait_state == COIL__WAIT_CANCELLED ||
                future_state != COIL__FUTURE_PENDING;
    task->state = over ? COIL__SEEN_READY : COIL__SEEN_WAITING;
    return task->kind != COIL_WAIT_OTHER || over || see_thing(memory, task);
}

bool coil__see_task(struct coil__memory *memory, uint64_t address, struct coil__seen_task *task)
{
    uint64_t type;
    uint8_t flags;
    memset(task, 0, sizeof *task);
    task->address = address;
    task->fd = -1;
    if (!GET_POINTER(memory, address, future_type, &type) ||
        type != (uintptr_t)memory->layout->task_type ||
        !GET(memory, address, task_serial, &task->serial) || !see_name(memory, task) ||
        !GET(memory, address, task_flags, &flags) ||
        !GET_POINTER(memory, address, task_waiting, &task->wait))
        return false;
    if (task->wait && !see_wait(memory, task)) {
        task->state = COIL__SEEN_WAITING;
        task->kind = COIL_WAIT_OTHER;
        task->thing = COIL__THING_NONE;
        task->operation[0] = 0;
        task->unreadable = true;
    }
    if (task->wait)
        return true;
    task->state = flags & COIL__TASK_STARTED ? COIL__SEEN_RUNNING : COIL__SEEN_CREATED;
    return true;
}

uint64_t coil__see_coro(struct coil__memory *memory, uint64_t task, uint64_t before)
{
    uint64_t coro = 0;
    uint8_t state;
    if (before)
        return GET(memory, before, coro_state, &state) && state == COIL__CORO_STARTED &&
                       GET_POINTER(memory, before, coro_caller, &coro)
                   ? coro
                   : 0;
    if (GET_POINTER(memory, task, task_innermost, &coro) && coro)
        return coro;
    return GET_POINTER(memory, task, task_coro, &coro) ? coro : 0;
}

bool coil__see_frame(struct coil__memory *memory, uint64_t coro, struct coil__seen_frame *frame)
{
    uint64_t type, name, file;
    return GET_POINTER(memory, coro, coro_type, &type) &&
           GET_POINTER(memory, type, coro_type_name, &name) &&
           GET_POINTER(memory, type, coro_type_file, &file) &&
           GET(memory, type, coro_type_line, &frame->line) &&
           get_text(memory, name, frame->name, sizeof frame->name) &&
           get_text(memory, file, frame->file, sizeof frame->file);
}

/* ---- who awaits --------------------------------------------------------------------------------- */

/* From a waiter to the future that waits; 0: nobody, or it cannot be read. */
static uint64_t follow(struct coil__memory *memory, const struct coil__seen_waiter_kind *kind,
                       uint64_t waiter)
{
    uint64_t at = waiter;
    int step = 0;
    for (; step < kind->steps && step < 3; step++)
        if (!get_pointer(memory, at + (uint64_t)(int64_t)kind->path[step], &at) || !at)
            return 0;
    return at + (uint64_t)(int64_t)kind->path[step];
}

static const struct coil__seen_waiter_kind *find_kind(const struct coil__memory *memory,
                                                      uint64_t wake)
{
    const struct coil__seen_waiter_kind *kind = memory->kinds;
    while (kind->wake && kind->wake != wake)
        kind++;
    return kind->wake ? kind : NULL;
}

bool coil__see_awaiters(struct coil__memory *memory, uint64_t future, coil__seen_awaiter_fn *fn,
                        void *arg)
{
    uint64_t head = future + memory->layout->future_waiters, waiter = head, wake, type;
    for (size_t i = 0; i < COIL__SEEN_WAITERS_MAX; i++) {
        if (!get_pointer(memory, waiter, &waiter)) /* its link's next */
            return false;
        if (waiter == head)
            return true;
        if (!GET_POINTER(memory, waiter, waiter_wake, &wake))
            return false;
        const struct coil__seen_waiter_kind *kind = find_kind(memory, wake);
        uint64_t awaiter = kind ? follow(memory, kind, waiter) : 0;
        if (!awaiter)
            continue;
        if (!GET_POINTER(memory, awaiter, future_type, &type))
            return false;
        if (!fn(arg, awaiter, type == (uintptr_t)memory->layout->task_type, kind->awaits))
            return true;
    }
    return false;
}
