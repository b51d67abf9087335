/* To see: a hundred fetches of a second each take 100, 10 and 1 seconds if 1, 10 and 100 may run at once. */
#include "course.h"

enum {
    FETCHES = 100
};

struct site {
    coil_semaphore slots;
    int running, most;
};

COIL_ASYNC(fetch, (struct site *, site))
{
    COIL_TRY(coil_semaphore_acquire(&site->slots));
    if (++site->running > site->most)
        site->most = site->running;
    int rc = coil_sleep(1);
    site->running--;
    coil_semaphore_release(&site->slots);
    return rc;
}

static int start_all(coil_task_group *group, struct site *site)
{
    for (int i = 0; i < FETCHES; i++)
        COIL_TRY(coil_task_group_spawn(group, fetch(site)));
    return 0;
}

static int fetch_all(int limit)
{
    struct site site = { COIL_SEMAPHORE_INIT(limit), 0, 0 };
    double begin = coil_loop_time(NULL);
    coil_task_group group; /* not gather: no fetch may outlive the site */
    coil_task_group_enter(&group);
    COIL_TRY(coil_task_group_exit(&group, start_all(&group, &site)));
    say("limit %3d: %5.1f seconds, at most %d at once", limit, coil_loop_time(NULL) - begin,
        site.most);
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(fetch_all(1));
    COIL_TRY(fetch_all(10));
    COIL_TRY(fetch_all(100));
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
