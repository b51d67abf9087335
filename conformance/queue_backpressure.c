/* put() on a full queue waits for room; a slow consumer slows the producer down.
 *
 * Why: The bounded queue is the standard way to keep a producer from running away. */
#include "kit/kit.h"

COIL_ASYNC(producer, (coil_queue *, queue))
{
    for (int i = 0; i < 6; i++) {
        COIL_TRY(coil_queue_put(queue, coil_int(i)));
        at("put", i, "size", coil_queue_qsize(queue), "full", coil_queue_full(queue));
    }
    COIL_TRY(coil_queue_put(queue, coil_nil()));
    at("producer ends");
    return 0;
}

COIL_ASYNC(consumer, (coil_queue *, queue))
{
    for (;;) {
        coil_value item;
        COIL_TRY(coil_queue_get(queue, &item));
        if (item.kind == COIL_NIL)
            break;
        at("  got", item);
        COIL_TRY(coil_sleep(1));
    }
    at("consumer ends");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(2);
    coil_task_group group;
    COIL_TRY(coil_task_group_enter(&group));
    int rc = coil_task_group_spawn(&group, producer(&queue));
    if (rc == 0)
        rc = coil_task_group_spawn(&group, consumer(&queue));
    rc = coil_task_group_exit(&group, rc);
    coil_queue_fini(&queue);
    return rc;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
