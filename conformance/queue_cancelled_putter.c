/* A cancelled putter puts nothing, and room it was woken for goes to the next putter.
 *
 * Why: Cancelling a producer must not lose room. */
#include "kit/kit.h"

COIL_ASYNC(put, (coil_queue *, queue), (const char *, item))
{
    return coil_queue_put(queue, coil_string(item));
}

COIL_ASYNC0(amain)
{
    static const char *items[] = { "a", "b", "c" };
    coil_queue queue = COIL_QUEUE_INIT(1);
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("first")));
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(put(&queue, items[i]));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_sleep(0));
    coil_value item;
    COIL_TRY(coil_queue_get_nowait(&queue, &item)); /* wakes the putter of b ... */
    at("took", item);
    coil_task_cancel(tasks[1], NULL); /* ... which is cancelled before it runs */
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    at(outcomes(tasks, 3), "in the queue", item, "size", coil_queue_qsize(&queue));
    unref_all(tasks, 3);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
