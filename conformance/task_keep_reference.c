/* The background-set pattern: hold a task until its done callback lets it go.
 *
 * The loop keeps a scheduled task alive by itself, so nothing is lost without it; the set still
 * tells what is going on in the background.
 *
 * Why: It is the recommended way of running in the background. */
#include "kit/kit.h"

enum {
    WORKERS = 3
};

struct held {
    coil_task *tasks[WORKERS]; /* one reference each */
    size_t count;
};

/* The done callback: held.discard. */
static int discard(coil_future *task, void *arg)
{
    struct held *held = arg;
    for (size_t i = 0; i < held->count; i++) {
        if (held->tasks[i] == task) {
            held->tasks[i] = held->tasks[--held->count];
            coil_unref(task);
            break;
        }
    }
    return 0;
}

COIL_ASYNC(work, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "finished");
    return 0;
}

COIL_ASYNC0(amain)
{
    static const struct {
        const char *name;
        double delay;
    } workers[WORKERS] = { { "a", 2 }, { "b", 1 }, { "c", 3 } };

    struct held held = { .count = 0 };
    for (int i = 0; i < WORKERS; i++) {
        coil_coro *coro = work(workers[i].name, workers[i].delay);
        coil_task *task = create_task(coro, .name = workers[i].name);
        held.tasks[held.count++] = task;
        COIL_TRY(coil_future_add_done_callback(task, discard, &held, NULL));
    }
    while (held.count > 0) {
        at("held", set_of_tasks(held.tasks, held.count));
        COIL_TRY(coil_sleep(1));
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_sleep(0));
    }
    at("none left");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
