/* A signal handler runs as an ordinary callback of the loop; it can be replaced and removed.
 *
 * Why: Handlers that run in the middle of anything would be useless; in the loop they may do everything. */
#include <signal.h>
#include <unistd.h>

#include "kit/kit.h"

static coil_event event = COIL_EVENT_INIT;

static int handler(void *arg)
{
    say("handler", (const char *)arg);
    return coil_event_set(&event);
}

static int one_and_a_number(COIL_UNUSED void *arg)
{
    say("handler", "one", 1);
    return coil_event_set(&event);
}

COIL_ASYNC(send_signal, (int, number))
{
    coil_event_clear(&event);
    kill(getpid(), number);
    say("sent");
    return coil_event_wait(&event);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    COIL_TRY(coil_add_signal_handler(loop, SIGUSR1, one_and_a_number, NULL));
    COIL_TRY(coil_add_signal_handler(loop, SIGUSR2, handler, text_arg("two")));
    COIL_TRY(coil_await(send_signal(SIGUSR1), NULL));
    COIL_TRY(coil_await(send_signal(SIGUSR2), NULL));
    COIL_TRY(coil_add_signal_handler(loop, SIGUSR1, handler, text_arg("replaced")));
    COIL_TRY(coil_await(send_signal(SIGUSR1), NULL));
    int removed = coil_remove_signal_handler(loop, SIGUSR1);
    int again = coil_remove_signal_handler(loop, SIGUSR1);
    say("removed", coil_bool(removed), "again", coil_bool(again));
    int rc = coil_add_signal_handler(loop, SIGKILL, handler, NULL);
    if (rc == COIL_ERUNTIME)
        say("SIGKILL", kind(rc));
    COIL_TRY(coil_remove_signal_handler(loop, SIGUSR2));
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
