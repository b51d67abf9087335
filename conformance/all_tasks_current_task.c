/* all_tasks lists the tasks that are not done; current_task is the one whose step is running.
 *
 * In a callback there is none.
 *
 * Why: Shutdown, debuggers and task groups all rest on these two views of the loop. */
#include "kit/kit.h"

static int callback(COIL_UNUSED void *arg)
{
    say("in a callback:", coil_current_task(), all_tasks(NULL));
    return 0;
}

COIL_ASYNC(child, (const char *, name))
{
    say("in", name, coil_current_task());
    return coil_sleep(0);
}

COIL_ASYNC0(amain)
{
    say(coil_current_task(), all_tasks(NULL));
    coil_task *a = create_task(child("a"), .name = "a");
    coil_task *b = create_task(child("b"), .name = "b");
    say("created", all_tasks(NULL));
    COIL_TRY(coil_await(child("main"), NULL));
    coil_task_cancel(b, NULL);
    COIL_TRY(coil_call_soon(NULL, callback, NULL, NULL));
    COIL_TRY(join(a, NULL));
    COIL_TRY(coil_wait(&b, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say("all over", all_tasks(NULL));
    coil_unref(b);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
