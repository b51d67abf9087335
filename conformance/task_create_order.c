/* Creating a task queues its first step; tasks start in creation order, never at the call itself.
 *
 * Why: Creating is not running; code after coil_create_task relies on that. */
#include "kit/kit.h"

COIL_ASYNC(child, (const char *, name))
{
    say(name, "starts");
    COIL_TRY(coil_sleep(0));
    say(name, "goes on");
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_task *tasks[3];
    COIL_TRY(call_soon(loop, say, "callback queued before the tasks"));
    tasks[0] = coil_create_task(child("t1"));
    tasks[1] = coil_create_task(child("t2"));
    COIL_TRY(call_soon(loop, say, "callback queued after the tasks"));
    tasks[2] = coil_create_task(child("t3"));
    say("created, none has started");
    for (int i = 0; i < 3; i++) {
        coil_value value;
        COIL_TRY(join(tasks[i], &value));
        say("result", value);
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
