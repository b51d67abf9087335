/* A task still pending when its loop is closed and it is released is reported by name.
 *
 * Why: Work dropped half-way must leave a trace. */
#include "kit/kit.h"

COIL_ASYNC0(stuck)
{
    return coil_sleep(100);
}

COIL_ASYNC0(amain)
{
    coil_unref(create_task(stuck(), .name = "stuck"));
    coil_task *finished = create_task(coil_sleep_coro(0, coil_nil()), .name = "finished");
    return join(finished, NULL);
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    coil_set_exception_handler(loop, print_event, NULL);
    must(coil_run_until_complete(loop, amain(), NULL));
    say("main over, closing");
    end_loop(loop);
    say("end");
}
