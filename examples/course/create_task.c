/* To see: a task begins when its maker first waits, not when it is made. */
#include "course.h"

COIL_ASYNC(square, (int, number))
{
    say("square %d: begins", number);
    COIL_TRY(coil_sleep(1));
    coil_return(number * number);
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(square(7));
    if (!task)
        return coil_error_last();
    say("the task is made");

    int rc = coil_sleep(0.5);
    say("the task is %s", coil_future_done(task) ? "done" : "not done");
    coil_value result;
    if (rc == 0)
        rc = coil_await(task, &result);
    if (rc == 0)
        say("its result is %d", (int)result.integer);
    if (rc <
        0) /* we are being cancelled, for example: nothing that we have started is left behind */
        (void)coil_cancel_and_wait(task, NULL);
    coil_unref(task); /* the result was a view into the task: not used after this */
    return rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
