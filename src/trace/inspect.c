/* What lets a debugger find everything: the table of loops, one constant that says where things lie, and a
 * note in the program's file that leads to the constant. */
#include "trace/inspect.h"

#include <assert.h>
#include <stddef.h>
#include <coil/queue.h>
#include <coil/sync.h>
#include <coil/version.h>
#include "structure/waiters.h"
#include "structure/waitlist.h"
#include "tasks/task.h"

/* A loop has a place from its beginning to its end, if there is one left: then it cannot be seen, which is
 * all. Nothing here is locked, so that a fork in the middle does no harm. */
static atomic_uintptr_t loops[COIL__INSPECT_LOOPS_MAX];

void coil__inspect_loop_opened(coil_loop *loop)
{
    for (int i = 0; i < COIL__INSPECT_LOOPS_MAX; i++) {
        uintptr_t unused = 0;
        if (atomic_compare_exchange_strong(&loops[i], &unused, (uintptr_t)loop))
            return;
    }
}

void coil__inspect_loop_closed(coil_loop *loop)
{
    for (int i = 0; i < COIL__INSPECT_LOOPS_MAX; i++) {
        uintptr_t self = (uintptr_t)loop;
        if (atomic_compare_exchange_strong(&loops[i], &self, 0))
            return;
    }
}

/* A waiter is found by its link. */
static_assert(offsetof(struct coil__waiter, link) == 0, "a waiter begins with its link");
static_assert(offsetof(struct coil__task, future) == 0, "a task is a future");

#if defined(COIL__SWITCH_X86_64)
#define SAVED COIL__SAVED_X86_64
#elif defined(COIL__SWITCH_AARCH64)
#define SAVED COIL__SAVED_AARCH64
#else
#define SAVED COIL__SAVED_UNKNOWN
#endif

#define OFFSET(name, type, member) .name = offsetof(type, member),

__attribute__((used)) const struct coil__inspect coil__inspect = {
    .magic = { 'c', 'o', 'i', 'l', 'v', 'i', 'e', 'w' },
    .format = COIL__INSPECT_FORMAT,
    .bytes = sizeof(struct coil__inspect),
    .version = COIL_VERSION,
    .saved = SAVED,
    .loops = loops,
    .task_type = &coil__task_type,
    .waiters = { &coil__waiter_await, &coil__waiter_gather, &coil__waiter_group, &coil__waiter_wait,
                 &coil__waiter_wait_for, &coil__waiter_cancel_and_wait, &coil__waiter_shield },
    .lines = { { "lock_acquire", COIL__THING_LOCK, offsetof(coil_lock, coil__waiting) },
               { "event_wait", COIL__THING_EVENT, offsetof(coil_event, coil__waiting) },
               { "condition_wait", COIL__THING_CONDITION, offsetof(coil_condition, coil__waiting) },
               { "condition_wait_for", COIL__THING_CONDITION,
                 offsetof(coil_condition, coil__waiting) },
               { "barrier_wait", COIL__THING_BARRIER,
                 offsetof(coil_barrier, coil__condition.coil__waiting) },
               { "semaphore_acquire", COIL__THING_SEMAPHORE,
                 offsetof(coil_semaphore, coil__waiting) },
               { "queue_get", COIL__THING_QUEUE, offsetof(coil_queue, coil__getters) },
               { "queue_put", COIL__THING_QUEUE, offsetof(coil_queue, coil__putters) },
               { "queue_join", COIL__THING_QUEUE, offsetof(coil_queue, coil__joiners) } },
    COIL__INSPECT_OFFSETS(OFFSET)
};

/* Name and descriptor of an ELF note. The descriptor is the way from itself to the constant. */
__asm__(".pushsection .note.coil, \"a\", %note\n"
        "    .balign 4\n"
        "    .long 5, 4, 1\n" /* bytes of the name, of the descriptor; COIL__INSPECT_FORMAT */
        "    .asciz \"Coil\"\n"
        "    .balign 4\n"
        "    .long coil__inspect - .\n"
        ".popsection\n");
static_assert(COIL__INSPECT_FORMAT == 1, "the note above has the format, too");
