/* Awaiting a coroutine runs it at once, in the same task, without a turn of the loop.
 *
 * Only something that really suspends lets others run; a chain of awaits ends there.
 *
 * Why: The commonest wrong belief about await is that it always gives others a turn. */
#include "kit/kit.h"

COIL_ASYNC(leaf, (int, n))
{
    say("leaf", n, "in", coil_current_task());
    coil_return(n * 10);
}

COIL_ASYNC(middle, (int, n))
{
    coil_value of_leaf;
    COIL_TRY(coil_await(leaf(n), &of_leaf));
    coil_return(of_leaf.integer + 1);
}

COIL_ASYNC0(amain)
{
    COIL_TRY(call_soon(coil_get_running_loop(), say, "queued callback"));
    COIL_TRY(coil_spawn(leaf(9)));
    coil_value one, two, three;
    COIL_TRY(coil_await(middle(1), &one));
    COIL_TRY(coil_await(middle(2), &two));
    say("sum", one.integer + two.integer);
    say("now a task instead");
    COIL_TRY(join(coil_create_task(middle(3)), &three));
    say("task", three);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
