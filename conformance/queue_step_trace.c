/* The exact steps of a producer and a consumer on a queue of one.
 *
 * Why: The ping-pong of a queue of one shows every wake-up rule at once. */
#include "kit/kit.h"

COIL_ASYNC(producer, (coil_queue *, queue))
{
    for (int i = 0; i < 3; i++) {
        COIL_TRY(coil_queue_put(queue, coil_int(i)));
        at("put", i);
    }
    return 0;
}

COIL_ASYNC(consumer, (coil_queue *, queue))
{
    for (int i = 0; i < 3; i++) {
        coil_value item;
        COIL_TRY(coil_queue_get(queue, &item));
        at("got", item);
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(1);
    COIL_TRY(coil_gather(NULL, producer(&queue), consumer(&queue)));
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
}
