/* A signal wakes a loop that sleeps in its poll, and the handler may stop the work in progress.
 *
 * Why: An idle server must react to a signal at once. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "kit/kit.h"

static void *send_later(void *arg)
{
    usleep(50000);
    kill(getpid(), SIGTERM);
    return arg;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_task *task = coil_create_task(coil_sleep_coro(3600, coil_nil()));
    COIL_TRY(coil_add_signal_handler(loop, SIGTERM, do_cancel, task));
    pthread_t timer;
    if (pthread_create(&timer, NULL, send_later, NULL) != 0)
        return boom("no thread");
    int rc = coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    pthread_join(timer, NULL);
    COIL_TRY(rc);
    say(outcome(task));
    COIL_TRY(coil_remove_signal_handler(loop, SIGTERM));
    coil_unref(task);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
