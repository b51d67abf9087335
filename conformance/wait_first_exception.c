/* FIRST_EXCEPTION returns at the first error; a cancelled task does not count as one.
 *
 * With no error it waits for all.
 *
 * Why: Failing fast needs to know what counts as failing. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    if (error)
        return boom(error);
    coil_return(delay);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[4];
    tasks[0] = create_task(work(9, NULL), .name = "cancelled");
    tasks[1] = create_task(work(1, NULL), .name = "fine");
    tasks[2] = create_task(work(3, NULL), .name = "late");
    tasks[3] = create_task(work(2, "x"), .name = "broken");
    COIL_TRY(coil_call_later(coil_get_running_loop(), 0.5, do_cancel, tasks[0], NULL));
    COIL_TRY(coil_wait(tasks, 4, COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION));
    at("done", set_of_done(tasks, 4), "pending", set_of_pending(tasks, 4));

    coil_task *others[2];
    others[0] = coil_ref(tasks[2]);
    others[1] = create_task(work(2, NULL), .name = "other");
    unref_all(tasks, 4);
    COIL_TRY(coil_wait(others, 2, COIL_NO_TIMEOUT, COIL_FIRST_EXCEPTION));
    at("done", set_of_done(others, 2), "pending", set_of_pending(others, 2), outcomes(others, 2));
    unref_all(others, 2);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
