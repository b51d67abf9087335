/* join() waits until task_done has been called once for every item put; once too often is
 * an error.
 *
 * Why: It is how a producer learns that all the work is done, not just taken. */
#include "kit/kit.h"

COIL_ASYNC(worker, (coil_queue *, queue), (const char *, name))
{
    for (;;) {
        coil_value item;
        COIL_TRY(coil_queue_get(queue, &item));
        COIL_TRY(coil_sleep(item.number));
        /* Python shows 2 and 1 as integers. */
        if (item.number == (int)item.number)
            at(name, "did", (int)item.number);
        else
            at(name, "did", item);
        COIL_TRY(coil_queue_task_done(queue));
    }
}

COIL_ASYNC0(amain)
{
    static const double items[] = { 2, 0.5, 1, 1.25 };
    coil_queue queue = COIL_QUEUE_INIT(0);
    COIL_TRY(coil_queue_join(&queue));
    at("join of an unused queue does not wait");
    for (int i = 0; i < 4; i++)
        COIL_TRY(coil_queue_put_nowait(&queue, coil_double(items[i])));
    coil_task *workers[2];
    workers[0] = coil_create_task(worker(&queue, "w1"));
    workers[1] = coil_create_task(worker(&queue, "w2"));
    COIL_TRY(coil_queue_join(&queue));
    at("all done, size", coil_queue_qsize(&queue));
    for (int i = 0; i < 2; i++)
        coil_task_cancel(workers[i], NULL);
    coil_value ends[2];
    COIL_TRY(coil_gather_collect(ends, workers[0], workers[1]));
    for (int i = 0; i < 2; i++)
        coil_value_clear(&ends[i]);
    at("task_done too often:", kind(coil_queue_task_done(&queue)));
    unref_all(workers, 2);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
