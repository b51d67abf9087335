/* shutdown() (3.13): puts are refused at once, gets go on until the queue is empty, waiters
 * are woken.
 *
 * Why: Ending a pipeline without sentinels depends on who is refused, and when. */
#include "kit/kit.h"

/* What a call was worth: its value, or its token if the queue is shut down. */
static int show_attempt(const char *label, int rc, coil_value value)
{
    if (rc == COIL_ESHUTDOWN)
        at(label, kind(rc));
    else if (rc < 0)
        return rc;
    else
        at(label, value);
    return 0;
}

COIL_ASYNC(attempt_put, (const char *, label), (coil_queue *, queue), (const char *, item))
{
    return show_attempt(label, coil_queue_put(queue, coil_string(item)), coil_nil());
}

COIL_ASYNC(attempt_get, (const char *, label), (coil_queue *, queue))
{
    coil_value item = coil_nil();
    int rc = coil_queue_get(queue, &item);
    return show_attempt(label, rc, item);
}

static int part_one(void)
{
    coil_queue queue = COIL_QUEUE_INIT(2);
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("a")));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("b")));
    coil_task *blocked = coil_create_task(attempt_put("blocked put:", &queue, "c"));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_queue_shutdown(&queue, false));
    COIL_TRY(join(blocked, NULL));
    COIL_TRY(coil_await(attempt_put("put:", &queue, "d"), NULL));
    int rc = coil_queue_put_nowait(&queue, coil_string("e"));
    if (rc == COIL_ESHUTDOWN)
        at("put_nowait:", kind(rc));
    for (int i = 0; i < 3; i++)
        COIL_TRY(coil_await(attempt_get("get:", &queue), NULL));
    coil_value item;
    rc = coil_queue_get_nowait(&queue, &item);
    if (rc == COIL_ESHUTDOWN)
        at("get_nowait:", kind(rc));
    COIL_TRY(coil_queue_task_done(&queue));
    COIL_TRY(coil_queue_task_done(&queue));
    COIL_TRY(coil_queue_join(&queue));
    at("join works after shutdown");
    coil_queue_fini(&queue);
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(part_one());

    coil_queue queue = COIL_QUEUE_INIT(0);
    coil_task *getters[2];
    getters[0] = coil_create_task(attempt_get("getter 0:", &queue));
    getters[1] = coil_create_task(attempt_get("getter 1:", &queue));
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_queue_shutdown(&queue, false));
    COIL_TRY(coil_queue_shutdown(&queue, false));
    COIL_TRY(coil_gather(NULL, getters[0], getters[1]));
    unref_all(getters, 2);
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
