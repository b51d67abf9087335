/* Looking at loops and tasks from anywhere: from this process, from another one, in a core file.
 *
 * What is looked at is memory at addresses, which a function reads; where things lie in it says one
 * constant, coil__inspect, which every program carries that has the library in it. An ELF note leads to it
 * (src/trace/inspect.c), which needs no symbols and survives strip. So nothing runs in a program that is
 * looked at, and nothing is prepared there, but a table with the addresses of its loops.
 *
 *     coil__inspect --> loops --> tasks --> wait --> lock, queue... and who holds it
 *                                   |-----> coroutine, its caller, ... --> names and places
 *                                   '-----> waiters --> who awaits it
 *
 * A program that runs changes while it is read. So every pointer may be wrong: reading fails then, and what
 * was read is made up for by another look. Every walk has a bound. */
#ifndef COIL_TRACE_INSPECT_H
#define COIL_TRACE_INSPECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <coil/debug.h>

/* ---- where things lie --------------------------------------------------------------------------- */

#define COIL__INSPECT_MAGIC "coilview"
#define COIL__INSPECT_NOTE  "Coil" /* the note's name; its type is the format */

enum {
    /* What struct coil__inspect, and everything that its offsets lead to, means: enums and flags included.
     * To be raised with any change of that. */
    COIL__INSPECT_FORMAT = 1,
    COIL__INSPECT_LOOPS_MAX = 256, /* loops at a time that can be seen */
};

/* X(name, type, member): the offset of a member. */
#define COIL__INSPECT_OFFSETS(X)                                                                   \
    X(loop_tasks, struct coil_loop, tasks)                                                         \
    X(loop_batch, struct coil_loop, batch)                                                         \
    X(loop_next, struct coil_loop, next.head)                                                      \
    X(loop_slow, struct coil_loop, slow)                                                           \
    X(loop_now_ns, struct coil_loop, now_ns)                                                       \
    X(loop_running, struct coil_loop, running)                                                     \
    X(loop_sleeping, struct coil_loop, sleeping)                                                   \
    X(loop_timers, struct coil_loop, timers.count)                                                 \
    X(ready_next, struct coil__ready, next)                                                        \
    X(ready_run, struct coil__ready, run)                                                          \
    X(future_type, struct coil_future, object.type)                                                \
    X(future_state, struct coil_future, object.state)                                              \
    X(task_serial, struct coil__task, serial)                                                      \
    X(future_waiters, struct coil_future, waiters)                                                 \
    X(task_all, struct coil__task, all)                                                            \
    X(task_ready, struct coil__task, ready)                                                        \
    X(task_flags, struct coil__task, flags)                                                        \
    X(task_id, struct coil__task, id)                                                              \
    X(task_sp, struct coil__task, sp)                                                              \
    X(task_name, struct coil__task, name)                                                          \
    X(task_waiting, struct coil__task, waiting)                                                    \
    X(task_innermost, struct coil__task, innermost)                                                \
    X(task_coro, struct coil__task, coro)                                                          \
    X(wait_kind, struct coil__wait, kind)                                                          \
    X(wait_state, struct coil__wait, state)                                                        \
    X(wait_future, struct coil__wait, future)                                                      \
    X(wait_operation, struct coil__wait, operation)                                                \
    X(wait_when, struct coil__wait, when)                                                          \
    X(wait_fd, struct coil__wait, fd)                                                              \
    X(coro_type, struct coil_coro, type)                                                           \
    X(coro_state, struct coil_coro, object.state)                                                  \
    X(coro_caller, struct coil_coro, caller)                                                       \
    X(coro_type_name, coil_coro_type, name)                                                        \
    X(coro_type_file, coil_coro_type, file)                                                        \
    X(coro_type_line, coil_coro_type, line)                                                        \
    X(waiter_wake, struct coil__waiter, wake)                                                      \
    X(parked_list, struct coil__parked, list)                                                      \
    X(lock_locked, coil_lock, coil__locked)                                                        \
    X(lock_holder, coil_lock, coil__holder)                                                        \
    X(lock_holder_serial, coil_lock, coil__holder_serial)                                          \
    X(semaphore_value, coil_semaphore, coil__value)                                                \
    X(queue_count, coil_queue, coil__count)                                                        \
    X(queue_maxsize, coil_queue, coil__maxsize)                                                    \
    X(queue_unfinished, coil_queue, coil__unfinished)

/* What an operation waits in line at (a struct coil__parked), and where in it the line is. */
enum coil__thing {
    COIL__THING_NONE,
    COIL__THING_LOCK,
    COIL__THING_EVENT,
    COIL__THING_CONDITION,
    COIL__THING_SEMAPHORE,
    COIL__THING_BARRIER,
    COIL__THING_QUEUE,
};

/* What a suspended stack has at its saved word: see platform/switch_*. */
enum coil__saved {
    COIL__SAVED_UNKNOWN,
    COIL__SAVED_X86_64,
    COIL__SAVED_AARCH64,
};

struct coil__inspect_line {
    char operation[24];
    uint32_t thing; /* enum coil__thing */
    uint32_t offset;
};

enum {
    COIL__INSPECT_LINES_MAX = 16,
    COIL__INSPECT_WAITERS_MAX = 16,
};

struct coil__inspect {
    char magic[8];
    uint32_t format, bytes;
    char version[16];
    uint32_t saved;                /* enum coil__saved */
    const atomic_uintptr_t *loops; /* COIL__INSPECT_LOOPS_MAX, some of them 0 */
    const void *task_type;         /* what future_type points to in a task */
    const struct coil__waiter_kind *waiters[COIL__INSPECT_WAITERS_MAX]; /* up to a NULL */
    struct coil__inspect_line lines[COIL__INSPECT_LINES_MAX];           /* up to THING_NONE */
#define COIL__INSPECT_FIELD(name, type, member) uint32_t name;
    COIL__INSPECT_OFFSETS(COIL__INSPECT_FIELD)
#undef COIL__INSPECT_FIELD
};

extern const struct coil__inspect coil__inspect;

/* ---- looking ------------------------------------------------------------------------------------ */

/* Where to read. */
struct coil__memory {
    /* False: not all of it can be read. */
    bool (*read)(struct coil__memory *self, uint64_t address, void *to, size_t bytes);
    const struct coil__inspect *layout;         /* the program's, or a copy */
    const struct coil__seen_waiter_kind *kinds; /* up to one whose wake is 0 */
};

/* struct coil__waiter_kind with the function as an address. */
struct coil__seen_waiter_kind {
    uint64_t wake;
    int32_t awaits, steps, path[4];
};

enum coil__seen_state {
    COIL__SEEN_CREATED, /* has not begun, and is queued */
    COIL__SEEN_READY,
    COIL__SEEN_RUNNING,
    COIL__SEEN_WAITING,
};

enum {
    COIL__SEEN_NAME = 64,
    COIL__SEEN_FILE = 160,
    COIL__WHOM_BYTES = 512,
    COIL__SEEN_FRAMES_MAX = 1000, /* of one task */
    COIL__SEEN_DEPTH_MAX = 16,    /* gatherings, shields... between a task and who awaits it */
    COIL__SEEN_QUEUE_MAX = 5 * 1000 * 1000, /* entries of a loop's queue */
    COIL__SEEN_WAITERS_MAX = 1000 * 1000,
};

struct coil__seen_frame {
    char name[COIL__SEEN_NAME], file[COIL__SEEN_FILE];
    int line;
};

struct coil__seen_task {
    uint64_t address;
    uint32_t serial;
    uint8_t state; /* enum coil__seen_state */
    char name[COIL__SEEN_NAME];
    size_t first_frame, frame_count; /* innermost first */

    /* WAITING */
    bool unreadable; /* and nothing is known of what for */
    coil_wait_kind kind;
    char operation[24];
    double when;
    int fd;
    uint64_t wait, future;
    uint8_t thing; /* enum coil__thing; at thing_at */
    uint64_t thing_at;
    int64_t count, limit; /* of a semaphore: free slots; of a queue: items, room or 0 */
    bool held;
    uint64_t holder; /* of a lock: who took it; 0: not known */
    uint32_t holder_serial;

    /* In a view: what awaits what, as indices. */
    size_t first_edge, edge_count; /* to those it awaits */
    bool awaited;
    size_t cycle; /* 1...: the deadlock it is in; 0: none */
    size_t cycle_next;
};

/* Gives the future (or task) that is told by a waiter; returns false to stop. */
typedef bool coil__seen_awaiter_fn(void *arg, uint64_t future, bool is_task, int awaits);

/* Reads the program's kinds of waiters, one entry more than COIL__INSPECT_WAITERS_MAX, so that the last one is
 * unused. False: they cannot be read. */
bool coil__see_waiter_kinds(struct coil__memory *memory, struct coil__seen_waiter_kind *kinds);
/* Reads this process's own memory, in which nothing moves meanwhile. */
bool coil__read_own(struct coil__memory *self, uint64_t address, void *to, size_t bytes);

/* What a task is doing, but for its frames, and for READY, which is told as RUNNING: only the loop's queue
 * knows. False: it cannot be read. */
bool coil__see_task(struct coil__memory *memory, uint64_t address, struct coil__seen_task *task);

/* The coroutine in which a task is, or, given the one before, who awaits that. 0: no further one. */
uint64_t coil__see_coro(struct coil__memory *memory, uint64_t task, uint64_t before);
bool coil__see_frame(struct coil__memory *memory, uint64_t coro, struct coil__seen_frame *frame);

/* Those who await a future. False: it cannot be read. */
bool coil__see_awaiters(struct coil__memory *memory, uint64_t future, coil__seen_awaiter_fn *fn,
                        void *arg);

/* ---- a loop with everything in it --------------------------------------------------------------- */

struct coil__seen_edge {
    size_t from, to; /* from awaits to */
    int awaits;      /* enum coil__awaits */
    bool lock;       /* to holds what from waits for */
};

struct coil__seen_index {
    uint64_t address;
    size_t index;
};

struct coil__view {
    uint64_t loop;
    bool running, sleeping, is_virtual;
    int64_t now_ns; /* at its last poll */
    unsigned timers;
    bool torn; /* it changed while it was read: something may be missing */
    struct coil__seen_task *tasks;
    size_t task_count, task_room;
    struct coil__seen_frame *frames;
    size_t frame_count, frame_room;
    struct coil__seen_edge *edges;
    size_t edge_count, edge_room;
    struct coil__seen_index *by_address;
    size_t cycles; /* deadlocks; tasks[].cycle */
};

/* 0, or COIL_ENOMEM, COIL_EINVAL (there is no loop at this address any more). */
int coil__view_take(struct coil__view *view, struct coil__memory *memory, uint64_t loop);
void coil__view_fini(struct coil__view *view);

/* The index of a task, or SIZE_MAX. */
size_t coil__view_find(const struct coil__view *view, uint64_t address);
/* The task that holds the lock another one waits for, or SIZE_MAX. */
size_t coil__view_holder(const struct coil__view *view, const struct coil__seen_task *task);

/* Whether it is this that a task waits for at the moment: the owner of a group may do something else. */
bool coil__view_waits_by(const struct coil__view *view, const struct coil__seen_edge *edge);

/* ---- in words ----------------------------------------------------------------------------------- */

const char *coil__seen_state_name(const struct coil__seen_task *task);

/* What a waiting task waits for. now_ns is the time on the loop's clock; whom names the tasks that it waits
 * for, or who holds the lock: "" for nobody that is known. */
void coil__print_wait(FILE *file, const struct coil__seen_task *task, int64_t now_ns,
                      const char *whom);
/* whom, of a view. */
void coil__view_whom(const struct coil__view *view, const struct coil__seen_task *task, char *text,
                     size_t room);

/* A line for each task, and for each deadlock. */
void coil__print_view(FILE *file, const struct coil__view *view, int64_t now_ns);
void coil__print_cycle(FILE *file, const struct coil__view *view, size_t cycle);

#endif
