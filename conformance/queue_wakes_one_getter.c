/* One put wakes exactly one of three waiting getters, and one get one of three putters: the
 * others take no step.
 *
 * Why: Waking everybody for one item costs a step per waiter and changes the order of the next
 * round. */
#include "kit/kit.h"

/* Outlives main: the third putter still waits in it when the run ends. */
static coil_queue queue = COIL_QUEUE_INIT(1);

COIL_ASYNC0(get)
{
    COIL_TRY(coil_queue_get(&queue, coil_result));
    return 0;
}

COIL_ASYNC(put, (int, item))
{
    return coil_queue_put(&queue, coil_int(item));
}

static int take_one(void)
{
    coil_value item;
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    at("got", item);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *getters[3], *putters[3];
    for (int i = 0; i < 3; i++)
        getters[i] = create_task(get(), .name = textf("g%d", i));
    COIL_TRY(coil_sleep(1));
    at("put one");
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("a")));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(getters[1], NULL);
    coil_task_cancel(getters[2], NULL);
    COIL_TRY(coil_wait(getters, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    unref_all(getters, 3);
    at("three putters, one slot");
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("full")));
    for (int i = 0; i < 3; i++)
        putters[i] = create_task(put(i), .name = textf("p%d", i));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(take_one());
    COIL_TRY(coil_sleep(1));
    COIL_TRY(take_one());
    COIL_TRY(coil_wait(putters, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    unref_all(putters, 3);
    return 0;
}

int main(void)
{
    must(run(amain(), TRACE, NULL));
    coil_queue_fini(&queue);
}
