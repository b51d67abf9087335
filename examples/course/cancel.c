/* To see: cancelling asks; the task cleans up, which may take time, and has ended only after that. */
#include "course.h"

COIL_ASYNC0(upload)
{
    say("upload: begins");
    int rc = coil_sleep(60);
    if (rc < 0) { /* where Python has `finally`, or `except CancelledError` */
        say("upload: %s (%s)", coil_strerror(rc), coil_error_message(coil_error_current(rc)));
        (void)coil_sleep(0.5); /* the first error counts, not one of the cleanup */
        say("upload: cleaned up");
    }
    return rc; /* COIL_ECANCELED goes on to whoever waits */
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(upload());
    if (!task)
        return coil_error_last();
    int rc = coil_sleep(1);

    coil_task_cancel(task, "the user has left");
    say("asked to stop; done: %s", coil_future_done(task) ? "yes" : "no");
    int ended = coil_await(task, NULL); /* also if we are being cancelled: it ends before we do */
    if (ended == COIL_ECANCELED && coil_task_cancelling(coil_current_task()) == 0)
        ended = 0; /* it was the task, not we, who was cancelled */
    say("ended; cancelled: %s", coil_future_cancelled(task) ? "yes" : "no");
    coil_unref(task);
    return rc < 0 ? rc : ended;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
