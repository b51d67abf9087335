/* Call graphs and the like: the program looks at itself. */
#include <coil/inspect.h>

#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "tasks/task.h"
#include "trace/inspect.h"

/* Awaiting goes up this far: a graph that is deeper is of no use to anybody, and its nodes are made, printed
 * and freed by recursion, perhaps on a small stack. */
enum {
    LEVELS_MAX = 20
};

struct own_memory {
    struct coil__memory memory;
    struct coil__seen_waiter_kind kinds[COIL__INSPECT_WAITERS_MAX + 1];
};

static struct coil__memory *look_at_own(struct own_memory *own)
{
    own->memory = (struct coil__memory){ .read = coil__read_own, .layout = &coil__inspect };
    (void)coil__see_waiter_kinds(&own->memory, own->kinds); /* our own can be read */
    return &own->memory;
}

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* ---- taking it down ----------------------------------------------------------------------------- */

/* A node, and what it owns. */
struct node {
    coil_call_graph graph;
    const struct node *below; /* who is awaited, towards the start */
    int level;
    char name[COIL__SEEN_NAME];
    char *waits_for;
    coil_call_graph_entry *entries;
    struct coil_call_graph **awaited_by;
    size_t awaited_by_room;
};

/* What a lock's holder is called, if it is there still. */
static void name_holder(struct coil__memory *memory, const coil_loop *loop,
                        const struct coil__seen_task *waiter, char *text, size_t room)
{
    if (waiter->thing != COIL__THING_LOCK || !waiter->held)
        return;
    for (const struct coil__link *link = loop->tasks.next; link != &loop->tasks;
         link = link->next) {
        struct coil__seen_task holder;
        const struct coil__task *task = COIL__CONTAINER(link, struct coil__task, all);
        if (task != at(waiter->holder) || task->serial != waiter->holder_serial)
            continue;
        if (coil__see_task(memory, waiter->holder, &holder))
            snprintf(text, room, "%s", holder.name);
        return;
    }
}

static int describe_wait(struct node *node, struct coil__memory *memory,
                         const struct coil__seen_task *seen)
{
    char whom[COIL__SEEN_NAME] = "", text[256] = "";
    const coil_loop *loop = node->graph.future->loop;
    if (seen->state != COIL__SEEN_WAITING)
        return 0;
    struct coil__seen_task awaited;
    if (seen->kind == COIL_WAIT_TASK && coil__see_task(memory, seen->future, &awaited))
        snprintf(whom, sizeof whom, "%s", awaited.name);
    name_holder(memory, loop, seen, whom, sizeof whom);
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    if (!file)
        return COIL_ENOMEM;
    coil__print_wait(file, seen, coil__loop_now(loop), whom);
    (void)fclose(file); /* a text that is too long is cut */
    node->graph.waits_for = node->waits_for = coil__strdup(text);
    return node->waits_for ? 0 : COIL_ENOMEM;
}

static int take_stack(struct node *node)
{
    coil_coro *some[16], **coros = some;
    size_t room = sizeof some / sizeof some[0];
    size_t count = coil_task_get_stack(node->graph.future, some, room);
    if (count == 0)
        return 0;
    if (count > room) {
        coros = coil__alloc(count * sizeof(coil_coro *));
        if (coros)
            (void)coil_task_get_stack(node->graph.future, coros, count);
    }
    node->entries = coros ? coil__alloc(count * sizeof *node->entries) : NULL;
    for (size_t i = 0; node->entries && i < count; i++)
        node->entries[i] = (coil_call_graph_entry){ coros[i]->type->name, coros[i]->type->file,
                                                    coros[i]->type->line };
    if (coros != some)
        coil__free(coros);
    node->graph.call_stack = node->entries;
    node->graph.call_stack_count = node->entries ? count : 0;
    return node->entries ? 0 : COIL_ENOMEM;
}

static bool is_below(const struct node *node, const coil_future *future)
{
    for (; node; node = node->below)
        if (node->graph.future == future)
            return true;
    return false;
}

struct capture {
    struct coil__memory *memory;
    struct node *node;
    int rc;
};

static struct node *capture(struct coil__memory *memory, coil_future *future,
                            const struct node *below);

static bool add_awaiter(void *arg, uint64_t address, bool is_task, int awaits)
{
    struct capture *self = arg;
    struct node *node = self->node;
    size_t count = node->graph.awaited_by_count;
    (void)is_task;
    (void)awaits;
    if (count == node->awaited_by_room) {
        size_t room = count ? count * 2 : 4;
        struct coil_call_graph **grown = coil__realloc(node->awaited_by,
                                                       room * sizeof *node->awaited_by);
        if (!grown) {
            self->rc = COIL_ENOMEM;
            return false;
        }
        node->graph.awaited_by = node->awaited_by = grown;
        node->awaited_by_room = room;
    }
    struct node *awaiter = capture(self->memory, at(address), node);
    if (!awaiter) {
        self->rc = COIL_ENOMEM;
        return false;
    }
    node->awaited_by[node->graph.awaited_by_count++] = &awaiter->graph;
    return true;
}

/* Apart from fill, which is on the stack once for each level. */
static __attribute__((noinline)) int fill_task(struct node *node, struct coil__memory *memory)
{
    struct coil__seen_task seen;
    if (!coil__see_task(memory, (uintptr_t)node->graph.future, &seen))
        return 0;
    memcpy(node->name, seen.name, sizeof node->name);
    node->graph.name = node->name;
    int rc = coil_future_done(node->graph.future) ? 0 : describe_wait(node, memory, &seen);
    return rc < 0 ? rc : take_stack(node);
}

static int fill(struct node *node, struct coil__memory *memory)
{
    int rc = coil_is_task(node->graph.future) ? fill_task(node, memory) : 0;
    if (rc < 0 || node->level >= LEVELS_MAX || is_below(node->below, node->graph.future))
        return rc;
    struct capture here = { memory, node, 0 };
    (void)coil__see_awaiters(memory, (uintptr_t)node->graph.future, add_awaiter,
                             &here); /* our own can be read */
    return here.rc;
}

static struct node *capture(struct coil__memory *memory, coil_future *future,
                            const struct node *below)
{
    struct node *node = coil__alloc_zero(sizeof *node);
    if (!node)
        return NULL;
    node->graph.size = sizeof node->graph;
    node->graph.future = coil_ref(future);
    node->below = below;
    node->level = below ? below->level + 1 : 0;
    if (fill(node, memory) < 0) {
        coil_call_graph_free(&node->graph);
        return NULL;
    }
    return node;
}

coil_call_graph *coil_capture_call_graph(coil_future *future)
{
    struct own_memory own;
    if (!future)
        future = coil_current_task();
    if (!future) {
        coil__fail(COIL_ENOTASK, "no task runs whose call graph could be captured");
        return NULL;
    }
    struct node *node = capture(look_at_own(&own), future, NULL);
    return node ? &node->graph : coil__fail_null(COIL_ENOMEM);
}

void coil_call_graph_free(coil_call_graph *graph)
{
    if (!graph)
        return;
    struct node *node = COIL__CONTAINER(graph, struct node, graph);
    for (size_t i = 0; i < graph->awaited_by_count; i++)
        coil_call_graph_free(node->awaited_by[i]);
    coil__free(node->awaited_by);
    coil__free(node->entries);
    coil__free(node->waits_for);
    coil_unref(graph->future);
    coil__free(node);
}

/* ---- writing it --------------------------------------------------------------------------------- */

static void print_graph(FILE *file, const coil_call_graph *graph, int level)
{
    int indent = level * 4;
    if (graph->name)
        fprintf(file, "%*s* Task(name='%s', id=%p)\n", indent, "", graph->name,
                (void *)graph->future);
    else
        fprintf(file, "%*s* Future(id=%p)\n", indent, "", (void *)graph->future);
    if (graph->waits_for)
        fprintf(file, "%*s  + Waits for: %s\n", indent, "", graph->waits_for);
    if (graph->call_stack_count > 0)
        fprintf(file, "%*s  + Call stack:\n", indent, "");
    for (size_t i = 0; i < graph->call_stack_count; i++)
        fprintf(file, "%*s  |   File '%s', line %d, in async %s()\n", indent, "",
                graph->call_stack[i].file, graph->call_stack[i].line, graph->call_stack[i].name);
    if (graph->awaited_by_count > 0)
        fprintf(file, "%*s  + Awaited by:\n", indent, "");
    for (size_t i = 0; i < graph->awaited_by_count; i++)
        print_graph(file, graph->awaited_by[i], level + 1);
}

int coil_print_call_graph(coil_future *future, FILE *file)
{
    coil_call_graph *graph = coil_capture_call_graph(future);
    if (!graph)
        return coil_error_last();
    print_graph(file, graph, 0);
    coil_call_graph_free(graph);
    return 0;
}

long coil_format_call_graph(char *text, size_t room, coil_future *future)
{
    char *whole = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&whole, &length);
    if (!file)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = coil_print_call_graph(future, file);
    if (fclose(file) != 0 && rc == 0)
        rc = coil__fail_plain(COIL_ENOMEM);
    if (rc == 0 && room > 0) {
        size_t copied = length < room ? length : room - 1;
        memcpy(text, whole, copied);
        text[copied] = 0;
    }
    free(whole); /* the C library's */
    return rc < 0 ? rc : (long)length;
}

/* ---- a whole loop ------------------------------------------------------------------------------- */

static int view_loop(coil_loop *loop, struct coil__view *view)
{
    struct own_memory own;
    loop = coil__loop_or_running(loop);
    return loop ? coil__view_take(view, look_at_own(&own), (uintptr_t)loop) : COIL_ENOLOOP;
}

int coil_print_tasks(coil_loop *loop, FILE *file)
{
    struct coil__view view;
    int rc = view_loop(loop, &view);
    if (rc < 0)
        return rc;
    coil__print_view(file, &view, coil__loop_now(at(view.loop)));
    coil__view_fini(&view);
    return 0;
}

long coil_find_deadlock(coil_loop *loop, coil_task **tasks, size_t room)
{
    struct coil__view view;
    int rc = view_loop(loop, &view);
    if (rc < 0)
        return rc;
    size_t count = 0, first = 0;
    if (view.cycles > 0) {
        while (view.tasks[first].cycle != 1)
            first++;
        size_t task = first;
        do {
            if (count < room)
                tasks[count] = at(view.tasks[task].address);
            count++;
            task = view.tasks[task].cycle_next;
        } while (task != first);
    }
    coil__view_fini(&view);
    return (long)count;
}
