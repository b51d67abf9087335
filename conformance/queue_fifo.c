/* An unbounded queue: first in, first out; put never waits; getters are served in the order
 * they came.
 *
 * Why: Order of items and order of getters are both promised. */
#include "kit/kit.h"

COIL_ASYNC(getter, (coil_queue *, queue), (const char *, name))
{
    coil_value item;
    COIL_TRY(coil_queue_get(queue, &item));
    at(name, "got", item);
    return 0;
}

COIL_ASYNC0(amain)
{
    static const char *names[] = { "g1", "g2", "g3" };
    coil_queue queue = COIL_QUEUE_INIT(0);
    COIL_TRY(coil_queue_put(&queue, coil_string("x")));
    COIL_TRY(coil_queue_put(&queue, coil_string("y")));
    at("size", coil_queue_qsize(&queue), "empty", coil_queue_empty(&queue), "full",
       coil_queue_full(&queue));
    coil_value first, second;
    COIL_TRY(coil_queue_get(&queue, &first));
    COIL_TRY(coil_queue_get(&queue, &second));
    at(first, second);
    coil_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(getter(&queue, names[i]));
    COIL_TRY(coil_sleep(1));
    for (int i = 1; i <= 3; i++)
        COIL_TRY(coil_queue_put_nowait(&queue, coil_int(i)));
    at("put three, size", coil_queue_qsize(&queue));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1], tasks[2]));
    at("size", coil_queue_qsize(&queue));
    unref_all(tasks, 3);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
