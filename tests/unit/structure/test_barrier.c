/* Barriers: rounds do not mix, whoever is cancelled on the way. */
#include "lib/steps.h"

COIL_ASYNC(passes, (coil_barrier *, barrier), (const char *, name))
{
    int rc = coil_barrier_wait(barrier);
    if (rc < 0)
        note("%s:%s", name, coil_error_name(rc));
    else
        note("%s:%d", name, rc);
    return 0;
}

static int finish(coil_task **tasks, int count)
{
    int rc = coil_wait(tasks, (size_t)count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < count; i++)
        coil_unref(tasks[i]);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC(cancels_one_of_five, (int, victim), (int, turns))
{
    static const char *names[] = { "a", "b", "c", "d", "e", "f" };
    coil_barrier barrier;
    coil_task *tasks[6];
    EXPECT_INT(coil_barrier_init(&barrier, 3), 0);
    for (int i = 0; i < 5; i++)
        tasks[i] = coil_create_task(passes(&barrier, names[i]));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0));
    coil_task_cancel(tasks[victim], NULL);
    for (int i = 0; i < 10; i++)
        COIL_TRY(coil_sleep(0));
    EXPECT(!coil_barrier_broken(&barrier));
    /* Whoever still waits is let through by newcomers. */
    tasks[5] = coil_create_task(passes(&barrier, names[5]));
    COIL_TRY(coil_sleep(1));
    int waiting = coil_barrier_n_waiting(&barrier);
    EXPECT(waiting < 3);
    for (; waiting > 0 && waiting < 3; waiting++)
        COIL_TRY(coil_spawn(passes(&barrier, "filler")));
    COIL_TRY(finish(tasks, 6));
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(coil_barrier_n_waiting(&barrier), 0);
    coil_barrier_fini(&barrier);
    return 0;
}

TEST(cancelled_party_leaves_and_the_rest_go_on)
{
    /* At every turn of two overlapping rounds: filling, draining, waiting for the lock. */
    for (int victim = 0; victim < 5; victim++)
        for (int turns = 0; turns < 6; turns++)
            EXPECT_RUN(cancels_one_of_five(victim, turns), 0);
    notes_[0] = '\0';
}

COIL_ASYNC(destroys_it, (int, parties), (int, turns))
{
    static const char *names[] = { "a", "b", "c", "d", "e" };
    coil_barrier *barrier = malloc(sizeof *barrier);
    coil_task *tasks[5];
    EXPECT_INT(coil_barrier_init(barrier, parties), 0);
    for (int i = 0; i < 5; i++)
        tasks[i] = coil_create_task(passes(barrier, names[i]));
    for (int i = 0; i < turns; i++)
        COIL_TRY(coil_sleep(0));
    coil_barrier_fini(barrier);
    free(barrier);
    return finish(tasks, 5);
}

TEST(destroyed_barrier_ends_those_who_wait)
{
    EXPECT_RUN_REPORTS(destroys_it(6, 1), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED c:COIL_ECLOSED d:COIL_ECLOSED e:COIL_ECLOSED");
    /* Between two rounds: some drain, some wait for that. */
    EXPECT_RUN_REPORTS(destroys_it(3, 1), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
    EXPECT_NOTES("c:2 a:COIL_ECLOSED b:COIL_ECLOSED d:COIL_ECLOSED e:COIL_ECLOSED");
}

TEST(barrier_needs_a_party)
{
    coil_barrier barrier;
    EXPECT_INT(coil_barrier_init(&barrier, 0), COIL_EINVAL);
    EXPECT_INT(coil_barrier_init(&barrier, 1), 0);
    EXPECT_INT(coil_barrier_wait(&barrier), 0); /* does not wait: any code may call it */
    EXPECT_INT(coil_barrier_init(&barrier, 2), 0);
    EXPECT_INT(coil_barrier_wait(&barrier), COIL_ENOTASK);
    EXPECT_INT(coil_barrier_n_waiting(&barrier), 0);
    EXPECT_INT(coil_barrier_parties(&barrier), 2);
    coil_barrier_fini(&barrier);
    coil__errors_forget_thread();
}

static coil_barrier shared;

COIL_ASYNC0(ends_at_once)
{
    return 0;
}

TEST(closing_the_loop_empties_the_barrier)
{
    /* It may serve in the next loop. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_barrier_init(&shared, 3), 0);
    coil_unref(coil_create_task_with(loop, passes(&shared, "a"), NULL));
    coil_unref(coil_create_task_with(loop, passes(&shared, "b"), NULL));
    EXPECT_INT(coil_run_until_complete(loop, ends_at_once(), NULL), 0);
    EXPECT_INT(coil_barrier_n_waiting(&shared), 2);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING");
    EXPECT_INT(coil_barrier_n_waiting(&shared), 0);
    coil_barrier_fini(&shared);
    EXPECT_INT(steps_blocks(), blocks);
}

TESTS_MAIN(RUN(cancelled_party_leaves_and_the_rest_go_on),
           RUN(destroyed_barrier_ends_those_who_wait), RUN(barrier_needs_a_party),
           RUN(closing_the_loop_empties_the_barrier))
