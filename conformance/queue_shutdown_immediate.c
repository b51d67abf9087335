/* shutdown(immediate) throws the items away and counts them as done, so join() comes free.
 *
 * Why: Emergency stop must free both ends and whoever waits in join. */
#include "kit/kit.h"

COIL_ASYNC(joiner, (coil_queue *, queue))
{
    COIL_TRY(coil_queue_join(queue));
    at("joined");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_queue_put_nowait(&queue, coil_int(i)));
    coil_task *task = coil_create_task(joiner(&queue));
    COIL_TRY(coil_sleep(1));
    coil_value item;
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    at("took", item);
    COIL_TRY(coil_queue_shutdown(&queue, true));
    at("size", coil_queue_qsize(&queue));
    int rc = coil_queue_get(&queue, &item);
    if (rc == COIL_ESHUTDOWN)
        at("get:", kind(rc));
    COIL_TRY(coil_sleep(1));
    at("one item is still in work: joined", coil_future_done(task));
    COIL_TRY(coil_queue_task_done(&queue));
    COIL_TRY(join(task, NULL));
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
