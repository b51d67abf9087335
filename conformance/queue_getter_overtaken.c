/* A woken getter can find the queue empty again, because get_nowait overtook it; it goes on
 * waiting.
 *
 * put() wakes a getter but does not reserve the item for it.
 *
 * Why: It is the price of not reserving items, and the reason why get loops. */
#include "kit/kit.h"

COIL_ASYNC(getter, (coil_queue *, queue))
{
    coil_value item;
    COIL_TRY(coil_queue_get(queue, &item));
    at("getter got", item);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *task = coil_create_task(getter(&queue));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("first")));
    coil_value item;
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    at("main takes", item);
    COIL_TRY(coil_sleep(1));
    at("getter done", coil_future_done(task));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("second")));
    COIL_TRY(join(task, NULL));
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
