/* As an asynchronous iterator (3.13) as_completed yields the very tasks given, as they finish.
 *
 * Taking the items late changes nothing in their order.
 *
 * Why: Telling which task an item belongs to is the reason why the asynchronous form exists. */
#include "kit/kit.h"

COIL_ASYNC(work, (int, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(delay);
}

static const int delays[] = { 3, 1, 2 };

static void make_tasks(const char *letter, coil_task **tasks)
{
    for (int i = 0; i < 3; i++)
        tasks[i] = create_task(work(delays[i]), .name = textf("%s%d", letter, delays[i]));
}

static bool contains(coil_task *const *tasks, const coil_task *task)
{
    return task == tasks[0] || task == tasks[1] || task == tasks[2];
}

COIL_ASYNC0(amain)
{
    coil_task *tasks[3], *task;
    coil_as_completed turns;
    make_tasks("w", tasks);
    COIL_TRY(coil_as_completed_init(&turns, tasks, 3, COIL_NO_TIMEOUT));
    while (coil_as_completed_next(&turns, &task) == 0) {
        coil_value value;
        COIL_TRY(coil_future_result(task, &value));
        at(task, "is given one:", contains(tasks, task), value);
    }
    coil_as_completed_fini(&turns);
    unref_all(tasks, 3);

    make_tasks("x", tasks);
    COIL_TRY(coil_as_completed_init(&turns, tasks, 3, COIL_NO_TIMEOUT));
    COIL_TRY(coil_sleep(5));
    while (coil_as_completed_next(&turns, &task) == 0)
        at(task);
    coil_as_completed_fini(&turns);
    unref_all(tasks, 3);
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
