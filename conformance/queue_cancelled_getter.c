/* A cancelled getter loses no item: neither one that waits, nor one just woken for an item.
 *
 * Why: Cancelling a consumer must not lose an item. */
#include "kit/kit.h"

COIL_ASYNC(get, (coil_queue *, queue))
{
    COIL_TRY(coil_queue_get(queue, coil_result));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(get(&queue));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("item"))); /* wakes the second ... */
    coil_task_cancel(tasks[1], NULL); /* ... which is cancelled before it runs */
    COIL_TRY(coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    at(outcomes(tasks, 3), "size", coil_queue_qsize(&queue));
    unref_all(tasks, 3);
    coil_task *task = coil_create_task(get(&queue));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("kept")));
    coil_task_cancel(task, NULL);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    size_t size = coil_queue_qsize(&queue);
    coil_value item;
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    at(outcome(task), "size", size, item);
    coil_unref(task);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
