/* A leftover task that fails while run shuts down: the error goes to the exception handler, run
 * returns.
 *
 * Why: An error during shutdown has no caller to go to, and must still be seen. */
#include "kit/kit.h"

COIL_ASYNC0(background)
{
    (void)coil_sleep(100); /* however it ends, what follows takes its place */
    return boom("in cleanup");
}

COIL_ASYNC0(amain)
{
    coil_set_exception_handler(coil_get_running_loop(), print_event, NULL);
    coil_unref(create_task(background(), .name = "background"));
    COIL_TRY(coil_sleep(1));
    coil_return("value");
}

int main(void)
{
    coil_value value;
    must(run(amain(), 0, &value));
    say(value);
}
