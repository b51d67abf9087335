/* Downloads while a reel scrolls: cooperative ones overlap; a blocking one freezes everything until
 * it ends.
 *
 * Why: It shows in one page what blocking does to concurrent code, with exact times. */
#include "kit/kit.h"

COIL_ASYNC0(reel)
{
    for (int i = 0; i < 5; i++) {
        at("reel", i);
        COIL_TRY(coil_sleep(1.125));
    }
    return 0;
}

COIL_ASYNC(download, (const char *, name), (double, seconds))
{
    at(name, "starts");
    COIL_TRY(coil_sleep(seconds));
    at(name, "ends");
    return 0;
}

COIL_ASYNC0(sequential)
{
    COIL_TRY(coil_await(download("sequential 1", 3), NULL));
    COIL_TRY(coil_await(download("sequential 2", 3), NULL));
    return 0;
}

COIL_ASYNC0(concurrent)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    int rc = coil_task_group_spawn(&group, download("concurrent 1", 3.25));
    if (rc == 0)
        rc = coil_task_group_spawn(&group, download("concurrent 2", 2.75));
    return coil_task_group_exit(&group, rc);
}

COIL_ASYNC0(blocking)
{
    at("BLOCKING starts");
    advance(5);
    at("BLOCKING ends");
    return 0;
}

COIL_ASYNC0(amain)
{
    at("without blocking");
    COIL_TRY(coil_gather(NULL, sequential(), reel(), concurrent()));
    at("with blocking");
    COIL_TRY(coil_gather(NULL, sequential(), reel(), blocking(), concurrent()));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
