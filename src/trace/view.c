/* A loop with all its tasks, who awaits whom, and the circles among them. */
#include "trace/inspect.h"

#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "tasks/task.h"

#define GET(memory, base, member, to)                                                              \
    ((memory)->read((memory), (base) + (memory)->layout->member, (to), sizeof *(to)))

/* Room for one more; NULL: no memory. */
static void *one_more(void *array, size_t count, size_t *room, size_t bytes)
{
    if (count < *room)
        return array;
    size_t more = *room ? *room * 2 : 64;
    void *grown = coil__realloc(array, more * bytes);
    if (grown)
        *room = more;
    return grown;
}

/* ---- tasks -------------------------------------------------------------------------------------- */

static int add_frames(struct coil__view *view, struct coil__memory *memory,
                      struct coil__seen_task *task)
{
    uint64_t coro = 0;
    task->first_frame = view->frame_count;
    while (task->frame_count < COIL__SEEN_FRAMES_MAX &&
           (coro = coil__see_coro(memory, task->address, coro))) {
        struct coil__seen_frame *frames = one_more(view->frames, view->frame_count,
                                                   &view->frame_room, sizeof *frames);
        if (!frames)
            return COIL_ENOMEM;
        view->frames = frames;
        if (!coil__see_frame(memory, coro, &frames[view->frame_count])) {
            view->torn = true;
            break;
        }
        view->frame_count++;
        task->frame_count++;
    }
    return 0;
}

static int add_task(struct coil__view *view, struct coil__memory *memory, uint64_t address)
{
    struct coil__seen_task *tasks = one_more(view->tasks, view->task_count, &view->task_room,
                                             sizeof *tasks);
    if (!tasks)
        return COIL_ENOMEM;
    view->tasks = tasks;
    struct coil__seen_task *task = &tasks[view->task_count];
    if (!coil__see_task(memory, address, task)) {
        view->torn = true;
        return 0;
    }
    view->torn |= task->unreadable;
    view->task_count++;
    return add_frames(view, memory, task);
}

/* The list leads back to each one it has come from, or it has changed meanwhile. */
static int add_tasks(struct coil__view *view, struct coil__memory *memory)
{
    uint64_t head = view->loop + memory->layout->loop_tasks, before = head, at;
    struct coil__link link;
    if (!memory->read(memory, head, &link, sizeof link))
        return COIL_EINVAL;
    while ((at = (uintptr_t)link.next) != head) {
        if (!memory->read(memory, at, &link, sizeof link) || (uintptr_t)link.prev != before) {
            view->torn = true;
            return 0;
        }
        int rc = add_task(view, memory, at - memory->layout->task_all);
        if (rc < 0)
            return rc;
        before = at;
    }
    return 0;
}

static int compare_index(const void *left, const void *right)
{
    const struct coil__seen_index *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

static int index_tasks(struct coil__view *view)
{
    size_t count = view->task_count;
    view->by_address = coil__alloc((count ? count : 1) * sizeof *view->by_address);
    if (!view->by_address)
        return COIL_ENOMEM;
    for (size_t i = 0; i < count; i++)
        view->by_address[i] = (struct coil__seen_index){ view->tasks[i].address, i };
    qsort(view->by_address, count, sizeof *view->by_address, compare_index);
    return 0;
}

size_t coil__view_find(const struct coil__view *view, uint64_t address)
{
    struct coil__seen_index key = { address, 0 };
    const struct coil__seen_index *found = bsearch(&key, view->by_address, view->task_count,
                                                   sizeof key, compare_index);
    return found ? found->index : SIZE_MAX;
}

/* What is in the ready queue is not running. */
static void find_ready(struct coil__view *view, struct coil__memory *memory, uint64_t chain)
{
    struct coil__ready entry;
    size_t count = 0;
    for (uintptr_t at; count < COIL__SEEN_QUEUE_MAX && memory->read(memory, chain, &at, sizeof at);
         chain = at + memory->layout->ready_next, count++) {
        if (!at)
            return;
        if (!memory->read(memory, at, &entry, sizeof entry))
            break;
        size_t index = entry.run ? SIZE_MAX
                                 : coil__view_find(view, at - memory->layout->task_ready);
        if (index != SIZE_MAX && view->tasks[index].state == COIL__SEEN_RUNNING)
            view->tasks[index].state = COIL__SEEN_READY;
    }
    view->torn = true;
}

/* ---- who awaits whom ---------------------------------------------------------------------------- */

static int add_edge(struct coil__view *view, struct coil__seen_edge edge)
{
    struct coil__seen_edge *edges = one_more(view->edges, view->edge_count, &view->edge_room,
                                             sizeof *edges);
    if (!edges)
        return COIL_ENOMEM;
    view->edges = edges;
    edges[view->edge_count++] = edge;
    return 0;
}

/* On the way from a task up to those that await it. */
struct ascent {
    struct coil__view *view;
    struct coil__memory *memory;
    size_t to;
    int awaits; /* the weakest of the way */
    int depth;
    int rc;
};

static bool ascend(void *arg, uint64_t future, bool is_task, int awaits)
{
    struct ascent *below = arg;
    struct ascent here = *below;
    if (awaits != COIL__AWAITS)
        here.awaits = awaits;
    here.depth++;
    if (is_task) {
        size_t from = coil__view_find(here.view, future);
        if (from == SIZE_MAX)
            here.view->torn = true;
        else
            below->rc = add_edge(here.view,
                                 (struct coil__seen_edge){ from, here.to, here.awaits, false });
    } else if (here.depth < COIL__SEEN_DEPTH_MAX) {
        if (!coil__see_awaiters(here.memory, future, ascend, &here))
            here.view->torn = true;
        below->rc = here.rc;
    }
    return below->rc == 0;
}

size_t coil__view_holder(const struct coil__view *view, const struct coil__seen_task *task)
{
    if (task->thing != COIL__THING_LOCK || !task->held)
        return SIZE_MAX;
    size_t holder = coil__view_find(view, task->holder);
    return holder != SIZE_MAX && view->tasks[holder].serial == task->holder_serial ? holder
                                                                                   : SIZE_MAX;
}

static int compare_edges(const void *left, const void *right)
{
    const struct coil__seen_edge *a = left, *b = right;
    if (a->from != b->from)
        return a->from > b->from ? 1 : -1;
    return (a->to > b->to) - (a->to < b->to);
}

static int connect_tasks(struct coil__view *view, struct coil__memory *memory)
{
    for (size_t i = 0; i < view->task_count; i++) {
        struct ascent start = { view, memory, i, COIL__AWAITS, 0, 0 };
        if (!coil__see_awaiters(memory, view->tasks[i].address, ascend, &start))
            view->torn = true;
        size_t holder = coil__view_holder(view, &view->tasks[i]);
        if (start.rc == 0 && holder != SIZE_MAX)
            start.rc = add_edge(view, (struct coil__seen_edge){ i, holder, COIL__AWAITS, true });
        if (start.rc < 0)
            return start.rc;
    }
    if (view->edge_count > 0)
        qsort(view->edges, view->edge_count, sizeof *view->edges, compare_edges);
    for (size_t i = view->edge_count; i-- > 0;) {
        const struct coil__seen_edge *edge = &view->edges[i];
        view->tasks[edge->from].first_edge = i;
        view->tasks[edge->from].edge_count++;
        view->tasks[edge->to].awaited |= !edge->lock;
    }
    return 0;
}

bool coil__view_waits_by(const struct coil__view *view, const struct coil__seen_edge *edge)
{
    const struct coil__seen_task *from = &view->tasks[edge->from];
    if (from->state != COIL__SEEN_WAITING || edge->lock != (from->thing == COIL__THING_LOCK))
        return false;
    return edge->awaits != COIL__AWAITS_AT_EXIT || strcmp(from->operation, "task group") == 0;
}

/* ---- circles ------------------------------------------------------------------------------------ */

/* Whether a task cannot go on before the other one has. */
static bool depends(const struct coil__view *view, const struct coil__seen_edge *edge)
{
    return coil__view_waits_by(view, edge) && edge->awaits != COIL__AWAITS_SOME;
}

/* A walk in depth, in memory of its own: chains may be longer than any stack. */
struct walk {
    uint8_t *seen; /* of each task: NEW, on the PATH, or LEFT */
    size_t *path, *edge;
    size_t length;
};

enum {
    NEW,
    PATH,
    LEFT,
};

static void step_onto(struct walk *walk, const struct coil__view *view, size_t task)
{
    walk->seen[task] = PATH;
    walk->path[walk->length] = task;
    walk->edge[walk->length++] = view->tasks[task].first_edge;
}

/* The path has come back to a task that is on it. One that is in a circle already is not told of twice. */
static void note_cycle(struct walk *walk, struct coil__view *view, size_t back_to)
{
    size_t first = walk->length;
    while (walk->path[--first] != back_to)
        if (view->tasks[walk->path[first]].cycle)
            return;
    if (view->tasks[back_to].cycle)
        return;
    view->cycles++;
    for (size_t i = first; i < walk->length; i++) {
        struct coil__seen_task *task = &view->tasks[walk->path[i]];
        task->cycle = view->cycles;
        task->cycle_next = i + 1 < walk->length ? walk->path[i + 1] : back_to;
    }
}

static void walk_from(struct walk *walk, struct coil__view *view, size_t start)
{
    step_onto(walk, view, start);
    while (walk->length > 0) {
        size_t at = walk->path[walk->length - 1];
        const struct coil__seen_task *task = &view->tasks[at];
        size_t next = walk->edge[walk->length - 1]++;
        if (next >= task->first_edge + task->edge_count) {
            walk->seen[at] = LEFT;
            walk->length--;
            continue;
        }
        const struct coil__seen_edge *edge = &view->edges[next];
        if (!depends(view, edge))
            continue;
        if (walk->seen[edge->to] == NEW)
            step_onto(walk, view, edge->to);
        else if (walk->seen[edge->to] == PATH)
            note_cycle(walk, view, edge->to);
    }
}

static int find_cycles(struct coil__view *view)
{
    size_t count = view->task_count + 1;
    struct walk walk = { .seen = coil__alloc_zero(count),
                         .path = coil__alloc(count * sizeof(size_t)),
                         .edge = coil__alloc(count * sizeof(size_t)) };
    int rc = walk.seen && walk.path && walk.edge ? 0 : COIL_ENOMEM;
    for (size_t i = 0; rc == 0 && i < view->task_count; i++)
        if (walk.seen[i] == NEW && view->tasks[i].edge_count > 0)
            walk_from(&walk, view, i);
    coil__free(walk.seen);
    coil__free(walk.path);
    coil__free(walk.edge);
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static bool see_loop(struct coil__view *view, struct coil__memory *memory)
{
    unsigned slow;
    uint32_t timers;
    uint8_t running, sleeping;
    if (!GET(memory, view->loop, loop_slow, &slow) ||
        !GET(memory, view->loop, loop_now_ns, &view->now_ns) ||
        !GET(memory, view->loop, loop_running, &running) ||
        !GET(memory, view->loop, loop_sleeping, &sleeping) ||
        !GET(memory, view->loop, loop_timers, &timers))
        return false;
    view->is_virtual = slow & COIL__SLOW_VIRTUAL;
    view->running = running != 0;
    view->sleeping = sleeping != 0;
    view->timers = timers;
    return true;
}

int coil__view_take(struct coil__view *view, struct coil__memory *memory, uint64_t loop)
{
    memset(view, 0, sizeof *view);
    view->loop = loop;
    int rc = see_loop(view, memory) ? add_tasks(view, memory) : COIL_EINVAL;
    if (rc == 0)
        rc = index_tasks(view);
    if (rc == 0) {
        find_ready(view, memory, loop + memory->layout->loop_batch);
        find_ready(view, memory, loop + memory->layout->loop_next);
        rc = connect_tasks(view, memory);
    }
    if (rc == 0)
        rc = find_cycles(view);
    if (rc < 0)
        coil__view_fini(view);
    return rc < 0 ? coil__fail_plain(rc) : 0;
}

void coil__view_fini(struct coil__view *view)
{
    coil__free(view->tasks);
    coil__free(view->frames);
    coil__free(view->edges);
    coil__free(view->by_address);
    memset(view, 0, sizeof *view);
}
