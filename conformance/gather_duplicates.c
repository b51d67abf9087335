/* The same task given twice runs once and appears twice in the results.
 *
 * Why: Waiting twice for one task must not run it, or count it, twice. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name))
{
    say(name, "runs");
    COIL_TRY(coil_sleep(0));
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(work("shared"));
    coil_coro *coro = work("coroutine");
    coil_value values[4];
    COIL_TRY(coil_gather(values, task, coro, task, coro));
    say(list_of(values, 4));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
