/* A LIFO queue gives the newest item first; waiting getters are still served in order.
 *
 * Why: The order of items differs, the order of waiters must not. */
#include "kit/kit.h"

COIL_ASYNC(getter, (coil_queue *, queue), (const char *, name))
{
    coil_value item;
    COIL_TRY(coil_queue_get(queue, &item));
    say(name, "got", item);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_queue queue;
    coil_lifo_queue_init(&queue, 0);
    for (int i = 1; i <= 3; i++)
        COIL_TRY(coil_queue_put_nowait(&queue, coil_int(i)));
    coil_value items[3];
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_queue_get_nowait(&queue, &items[i]));
    say(list_of(items, 3));
    coil_task *tasks[2];
    tasks[0] = coil_create_task(getter(&queue, "g1"));
    tasks[1] = coil_create_task(getter(&queue, "g2"));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("a")));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("b")));
    COIL_TRY(coil_gather(NULL, tasks[0], tasks[1]));
    unref_all(tasks, 2);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
