/* To see: a full queue slows the producer down; join waits for the work, not for the taking out. */
#include "course.h"

enum {
    JOBS = 5
};

COIL_ASYNC(producer, (coil_queue *, jobs))
{
    for (int i = 1; i <= JOBS; i++) {
        COIL_TRY(coil_queue_put(jobs, coil_int(i)));
        say("put %d", i);
    }
    return 0;
}

COIL_ASYNC(worker, (coil_queue *, jobs), (const char *, name))
{
    coil_value job;
    int rc;
    while ((rc = coil_queue_get(jobs, &job)) == 0) {
        rc = coil_sleep(1);
        if (rc == 0)
            say("%s has done %d", name, (int)job.integer);
        coil_queue_task_done(jobs); /* on every way out: join counts what was taken */
        COIL_TRY(rc);
    }
    say("%s goes home", name);
    return rc == COIL_ESHUTDOWN ? 0 : rc;
}

static int work(coil_task_group *group, coil_queue *jobs)
{
    COIL_TRY(coil_task_group_spawn(group, worker(jobs, "Ann")));
    COIL_TRY(coil_task_group_spawn(group, worker(jobs, "Ben")));
    COIL_TRY(coil_await(producer(jobs), NULL));
    COIL_TRY(coil_queue_join(jobs));
    say("all is done");
    return coil_queue_shutdown(jobs, false);
}

COIL_ASYNC0(amain)
{
    coil_queue jobs;
    coil_queue_init(&jobs, 2);
    coil_task_group group;
    coil_task_group_enter(&group);
    int rc = coil_task_group_exit(&group, work(&group, &jobs));
    coil_queue_fini(&jobs);
    return rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
