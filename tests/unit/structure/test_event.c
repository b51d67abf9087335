/* Events: waking is a moment, not a state, and an event may go right after it. */
#include "lib/steps.h"

COIL_ASYNC(waits, (coil_event *, event), (const char *, name))
{
    int rc = coil_event_wait(event);
    note("%s:%s", name, rc < 0 ? coil_error_name(rc) : "woken");
    return 0;
}

/* Starts tasks a, b, c that wait. */
static int start(coil_event *event, coil_task **tasks)
{
    static const char *names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        tasks[i] = coil_create_task(waits(event, names[i]));
    return coil_sleep(0);
}

static int finish(coil_task **tasks)
{
    int rc = coil_wait(tasks, 3, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < 3; i++)
        coil_unref(tasks[i]);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC0(sets_an_event_that_goes)
{
    coil_task *tasks[3];
    coil_event *event = malloc(sizeof *event);
    coil_event_init(event);
    COIL_TRY(start(event, tasks));
    EXPECT_INT(coil_event_set(event), 0);
    coil_task_cancel(tasks[1], NULL);
    coil_event_fini(event);
    free(event);
    return finish(tasks);
}

TEST(event_may_go_as_soon_as_it_is_set)
{
    /* The usual place of an event is the frame of whoever sets it, or waits for it. */
    EXPECT_RUN(sets_an_event_that_goes(), 0);
    EXPECT_NOTES("a:woken b:COIL_ECANCELED c:woken");
}

COIL_ASYNC0(destroys_an_event)
{
    coil_task *tasks[3];
    coil_event *event = malloc(sizeof *event);
    coil_event_init(event);
    COIL_TRY(start(event, tasks));
    coil_task_cancel(tasks[0], NULL);
    coil_event_fini(event);
    free(event);
    return finish(tasks);
}

TEST(destroyed_event_ends_those_who_wait)
{
    /* One that was cancelled before is no longer among them. */
    EXPECT_RUN_REPORTS(destroys_an_event(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
    EXPECT_NOTES("a:COIL_ECANCELED b:COIL_ECLOSED c:COIL_ECLOSED");
}

COIL_ASYNC0(cancels_each)
{
    for (int victim = 0; victim < 3; victim++) {
        coil_event event = COIL_EVENT_INIT;
        coil_task *tasks[3];
        COIL_TRY(start(&event, tasks));
        coil_task_cancel(tasks[victim], NULL);
        COIL_TRY(coil_sleep(0));
        EXPECT_INT(coil_event_set(&event), 0);
        COIL_TRY(finish(tasks));
        coil_event_fini(&event);
    }
    return 0;
}

TEST(cancelled_waiter_leaves_the_others_alone)
{
    EXPECT_RUN(cancels_each(), 0);
    EXPECT_NOTES("a:COIL_ECANCELED b:woken c:woken b:COIL_ECANCELED a:woken c:woken "
                 "c:COIL_ECANCELED a:woken b:woken");
}

static coil_event shared = COIL_EVENT_INIT;

COIL_ASYNC0(waits_for_the_shared_one)
{
    return coil_event_wait(&shared);
}

TEST(event_set_from_outside_is_seen_by_an_embedded_loop)
{
    /* A host that sleeps on the loop's descriptor must be told that there is something to do. */
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop);
    coil_task *task = coil_create_task_with(loop, waits_for_the_shared_one(), NULL);
    while (coil_loop_step(loop, 0) > 0)
        ;
    EXPECT(!coil_future_done(task));
    int fd = coil_loop_fd(loop); /* or COIL_ENOTSUP */
    EXPECT_INT(coil_event_set(&shared), 0);
    EXPECT(coil_event_is_set(&shared));
    if (fd >= 0)
        EXPECT_INT(coil_loop_step(loop, -1), 0); /* does not sleep for ever */
    while (coil_loop_step(loop, 0) > 0)
        ;
    EXPECT_INT(coil_future_result(task, NULL), 0);
    coil_event_clear(&shared);
    EXPECT(!coil_event_is_set(&shared));
    EXPECT_INT(coil_event_wait(&shared), COIL_ENOTASK);
    coil_unref(task);
    coil_loop_close(loop);
    coil_unref(loop);
    coil__errors_forget_thread();
}

TESTS_MAIN(RUN(event_may_go_as_soon_as_it_is_set), RUN(destroyed_event_ends_those_who_wait),
           RUN(cancelled_waiter_leaves_the_others_alone),
           RUN(event_set_from_outside_is_seen_by_an_embedded_loop))
