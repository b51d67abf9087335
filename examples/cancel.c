/* Cancelling a task that has something to clean up, and cleaning up may wait. */
#include <stdio.h>

#include <coil/coil.h>

static int close_politely(const char *what)
{
    printf("%s: saying goodbye\n", what);
    return coil_sleep(0.05);
}

COIL_ASYNC(session, (const char *, what))
{
    printf("%s: open\n", what);
    int rc = coil_sleep(60); /* the work */
    if (rc == COIL_ECANCELED)
        printf("%s: cancelled (%s)\n", what,
               coil_error_current(rc) ? coil_error_message(coil_error_current(rc)) : "no reason");
    int closed = close_politely(what);
    return rc < 0 ? rc : closed; /* the first error counts */
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(session("session 7"));
    if (!task)
        return coil_error_last();
    int rc = coil_sleep(0.1);
    /* Also if we are being cancelled ourselves: what we have started ends before we do. */
    int ended = coil_cancel_and_wait(task, "the user has left");
    printf("the task ended %s\n", coil_future_cancelled(task) ? "cancelled" : "otherwise");
    coil_unref(task);
    return rc < 0 ? rc : ended;
}

int main(void)
{
    return coil_main(amain());
}
