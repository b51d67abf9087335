/* If errors are collected, every child is waited for, and errors stand among the results.
 *
 * A cancelled child shows up as a cancellation in its place.
 *
 * Why: It is the way to learn the fate of every child without losing any. */
#include "kit/kit.h"

COIL_ASYNC(work, (const char *, name), (double, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    at(name, "ends");
    if (error)
        return boom(error);
    coil_return(name);
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[4];
    tasks[0] = coil_create_task(work("a", 1, NULL));
    tasks[1] = coil_create_task(work("b", 0.5, "b broke"));
    tasks[2] = coil_create_task(work("c", 2, NULL));
    tasks[3] = coil_create_task(work("d", 1.5, "d broke"));
    COIL_TRY(coil_call_later(coil_get_running_loop(), 0.75, do_cancel, tasks[2], NULL));
    coil_value values[4];
    COIL_TRY(coil_gather_collect(values, tasks[0], tasks[1], tasks[2], tasks[3]));
    at(list_of(values, 4));
    for (int i = 0; i < 4; i++)
        coil_value_clear(&values[i]); /* the errors are ours */
    unref_all(tasks, 4);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
