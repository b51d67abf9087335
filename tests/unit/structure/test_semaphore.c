/* Semaphores: no slot is lost, and none is given out twice. */
#include "lib/steps.h"

COIL_ASYNC(takes, (coil_semaphore *, semaphore), (const char *, name))
{
    int rc = coil_semaphore_acquire(semaphore);
    note("%s:%s", name, rc < 0 ? coil_error_name(rc) : "has it");
    return 0;
}

static int start(coil_semaphore *semaphore, coil_task **tasks)
{
    static const char *names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(takes(semaphore, names[i]));
    return coil_sleep(0);
}

static int finish(coil_task **tasks)
{
    int rc = coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC(cancels_one, (int, victim), (int, releases))
{
    coil_semaphore semaphore = COIL_SEMAPHORE_INIT(0);
    coil_task *tasks[3];
    COIL_TRY(start(&semaphore, tasks));
    for (int i = 0; i < releases; i++)
        EXPECT_INT(coil_semaphore_release(&semaphore), 0);
    coil_task_cancel(tasks[victim], NULL);
    COIL_TRY(coil_sleep(0));
    for (int i = releases; i < 3; i++)
        EXPECT_INT(coil_semaphore_release(&semaphore), 0);
    COIL_TRY(finish(tasks));
    /* Three slots for two tasks. */
    EXPECT(!coil_semaphore_locked(&semaphore));
    EXPECT_INT(coil_semaphore_acquire(&semaphore), 0);
    EXPECT(coil_semaphore_locked(&semaphore));
    coil_semaphore_fini(&semaphore);
    return 0;
}

TEST(cancelled_waiter_loses_no_slot)
{
    /* Whoever it is, and whether it has been given one already or not. */
    for (int victim = 0; victim < 3; victim++)
        for (int releases = 0; releases <= 3; releases++)
            EXPECT_RUN(cancels_one(victim, releases), 0);
    notes_[0] = '\0';
}

COIL_ASYNC(destroys_it, (int, releases), (int, cancelled))
{
    coil_semaphore *semaphore = malloc(sizeof *semaphore);
    EXPECT_INT(coil_semaphore_init(semaphore, 0), 0);
    coil_task *tasks[3];
    COIL_TRY(start(semaphore, tasks));
    for (int i = 0; i < releases; i++)
        EXPECT_INT(coil_semaphore_release(semaphore), 0);
    coil_task_cancel(tasks[cancelled], NULL);
    coil_semaphore_fini(semaphore);
    free(semaphore);
    return finish(tasks);
}

TEST(destroyed_semaphore_ends_those_who_wait)
{
    for (int cancelled = 0; cancelled < 3; cancelled++) {
        for (int releases = 0; releases <= 3; releases++) {
            EXPECT_RUN_REPORTS(destroys_it(releases, cancelled), 0, 1);
            EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
            EXPECT(strstr(notes_, "a:COIL_ECLOSED") && strstr(notes_, "b:COIL_ECLOSED") &&
                   strstr(notes_, "c:COIL_ECLOSED"));
            notes_[0] = '\0';
        }
    }
}

TEST(bounded_semaphore_refuses_the_release_too_many)
{
    coil_bounded_semaphore semaphore;
    EXPECT_INT(coil_bounded_semaphore_init(&semaphore, -1), COIL_EINVAL);
    EXPECT_INT(coil_bounded_semaphore_init(&semaphore, 1), 0);
    EXPECT_INT(coil_semaphore_release(&semaphore), COIL_EINVAL);
    EXPECT_INT(coil_semaphore_acquire(&semaphore), 0);
    EXPECT_INT(coil_semaphore_acquire(&semaphore), COIL_ENOTASK);
    EXPECT_INT(coil_semaphore_release(&semaphore), 0);
    coil_semaphore_fini(&semaphore);
    coil__errors_forget_thread();
}

TESTS_MAIN(RUN(cancelled_waiter_loses_no_slot), RUN(destroyed_semaphore_ends_those_who_wait),
           RUN(bounded_semaphore_refuses_the_release_too_many))
