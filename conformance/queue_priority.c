/* A priority queue gives the smallest item first.
 *
 * Why: Schedulers are built on it. */
#include "kit/kit.h"

struct job {
    int priority;
    const char *what;
};

static int by_priority(const coil_value *left, const coil_value *right, void *arg)
{
    const struct job *a = left->pointer, *b = right->pointer;
    (void)arg;
    return (a->priority > b->priority) - (a->priority < b->priority);
}

COIL_ASYNC0(amain)
{
    static const struct job jobs[] = {
        { 5, "low" }, { 1, "urgent" }, { 3, "middle" }, { 2, "soon" }, { 4, "later" }
    };
    static const struct job first = { 0, "first of all" };
    coil_queue queue;
    coil_priority_queue_init(&queue, 0, by_priority, NULL);
    for (int i = 0; i < 5; i++)
        COIL_TRY(coil_queue_put(&queue, coil_pointer(&jobs[i])));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_pointer(&first)));
    while (!coil_queue_empty(&queue)) {
        coil_value item;
        COIL_TRY(coil_queue_get(&queue, &item));
        const struct job *job = item.pointer;
        say(list(job->priority, job->what));
    }
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
