/* To see: the first answer counts; the others are cancelled, and are waited for before we go on. */
#include "course.h"

enum {
    MIRRORS = 3
};

COIL_ASYNC(ask, (const char *, mirror), (double, delay))
{
    int rc = coil_sleep(delay);
    if (rc < 0) {
        say("%s: %s", mirror, coil_strerror(rc));
        return rc;
    }
    coil_return(mirror);
}

/* Waits for the first of the tasks to end, and ends the others. */
static int race(coil_task **tasks, size_t count)
{
    int rc = coil_wait(tasks, count, COIL_NO_TIMEOUT, COIL_FIRST_COMPLETED);
    for (size_t i = 0; i < count; i++) {
        coil_value winner;
        if (!coil_future_done(tasks[i]))
            coil_task_cancel(tasks[i], NULL);
        else if (coil_future_result(tasks[i], &winner) == 0)
            say("%s has won", winner.string);
    }
    if (rc < 0)
        return rc;
    COIL_TRY(coil_wait(tasks, count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    return 0;
}

COIL_ASYNC0(amain)
{
    static const struct {
        const char *name;
        double delay;
    } mirrors[MIRRORS] = { { "Lyon", 3 }, { "Oslo", 1 }, { "Kyiv", 2 } };

    coil_task *tasks[MIRRORS];
    size_t count = 0;
    while (count < MIRRORS) {
        tasks[count] = coil_create_task(ask(mirrors[count].name, mirrors[count].delay));
        if (!tasks[count])
            break; /* no memory: fewer take part */
        count++;
    }
    int rc = race(tasks, count);
    say("all have ended");
    while (count > 0)
        coil_unref(tasks[--count]);
    return rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
