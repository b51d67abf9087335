/* The no-wait calls: QUEUE_EMPTY and QUEUE_FULL at once, never a suspension.
 *
 * Why: Callbacks cannot wait; they need an answer at once. */
#include "kit/kit.h"

COIL_ASYNC0(amain)
{
    coil_queue queue = COIL_QUEUE_INIT(1);
    coil_value item;
    int rc = coil_queue_get_nowait(&queue, &item);
    if (rc == COIL_EEMPTY)
        say(kind(rc));
    COIL_TRY(coil_queue_put_nowait(&queue, coil_string("a")));
    rc = coil_queue_put_nowait(&queue, coil_string("b"));
    if (rc == COIL_EFULL)
        say(kind(rc));
    COIL_TRY(coil_queue_get_nowait(&queue, &item));
    say(item, "maxsize", coil_queue_maxsize(&queue));
    coil_queue_fini(&queue);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
