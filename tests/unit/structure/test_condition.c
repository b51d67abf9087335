/* Conditions: whoever comes back from a wait has the lock, and no notification is lost. */
#include "lib/steps.h"

COIL_ASYNC(waits, (coil_condition *, condition), (const char *, name))
{
    COIL_TRY(coil_condition_acquire(condition));
    int rc = coil_condition_wait(condition);
    note("%s:%s", name, rc < 0 ? coil_error_name(rc) : "notified");
    if (rc == COIL_ECLOSED)
        return 0;
    EXPECT(coil_condition_locked(condition));
    EXPECT_INT(coil_condition_release(condition), 0);
    return 0;
}

static int start(coil_condition *condition, coil_task **tasks, int count)
{
    static const char *names[] = { "a", "b", "c" };
    for (int i = 0; i < count; i++)
        tasks[i] = coil_create_task(waits(condition, names[i]));
    return coil_sleep(0);
}

static int finish(coil_task **tasks, int count)
{
    int rc = coil_wait(tasks, (size_t)count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < count; i++)
        coil_unref(tasks[i]);
    return rc < 0 ? rc : 0;
}

/* ---- cancelling --------------------------------------------------------------------------------- */

enum moment {
    WAITING,     /* before it is notified */
    NOTIFIED,    /* notified, and not run yet */
    REACQUIRING, /* notified, and in line for the lock */
    AFTER,       /* cancelled, in line for the lock, and cancelled again */
};

COIL_ASYNC(cancels_at, (enum moment, when))
{
    coil_condition condition = COIL_CONDITION_INIT(NULL);
    coil_task *tasks[2];
    COIL_TRY(start(&condition, tasks, 2));
    COIL_TRY(coil_condition_acquire(&condition));
    if (when == WAITING || when == AFTER)
        coil_task_cancel(tasks[0], "first");
    else
        EXPECT_INT(coil_condition_notify(&condition, 1), 0);
    if (when == REACQUIRING || when == AFTER)
        COIL_TRY(coil_sleep(0));
    if (when != WAITING)
        coil_task_cancel(tasks[0], "second");
    COIL_TRY(coil_sleep(0));
    note("release");
    EXPECT_INT(coil_condition_release(&condition), 0);
    COIL_TRY(finish(tasks, 2));
    coil_condition_fini(&condition);
    return 0;
}

TEST(cancelled_wait_has_the_lock_and_wakes_another)
{
    /* At whatever point the cancellation comes: it may have been notified, and others must hear of it. */
    static const enum moment moments[] = { WAITING, NOTIFIED, REACQUIRING, AFTER };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        EXPECT_RUN(cancels_at(moments[i]), 0);
        EXPECT_NOTES("release a:COIL_ECANCELED b:notified");
    }
}

COIL_ASYNC(hears_the_last_word, (coil_condition *, condition))
{
    COIL_TRY(coil_condition_acquire(condition));
    int rc = coil_condition_wait(condition);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "second");
    EXPECT_INT(coil_condition_release(condition), 0);
    return 0;
}

COIL_ASYNC0(cancels_twice)
{
    coil_condition condition = COIL_CONDITION_INIT(NULL);
    coil_task *task = coil_create_task(hears_the_last_word(&condition));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_condition_acquire(&condition));
    coil_task_cancel(task, "first");
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(task, "second");
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(coil_condition_release(&condition), 0);
    return finish(&task, 1);
}

TEST(last_cancellation_is_the_one_that_is_raised)
{
    /* asyncio re-raises the most recent one. */
    EXPECT_RUN(cancels_twice(), 0);
}

/* ---- predicates --------------------------------------------------------------------------------- */

static int fails(void *arg)
{
    (void)arg;
    return coil_raise(COIL_EAPP, "no answer");
}

COIL_ASYNC0(has_a_failing_predicate)
{
    coil_condition condition = COIL_CONDITION_INIT(NULL);
    COIL_TRY(coil_condition_acquire(&condition));
    EXPECT_INT(coil_condition_wait_for(&condition, fails, NULL), COIL_EAPP);
    EXPECT(coil_condition_locked(&condition));
    return coil_condition_release(&condition);
}

TEST(error_of_a_predicate_ends_the_wait_with_the_lock_held)
{
    EXPECT_RUN(has_a_failing_predicate(), 0);
}

/* ---- misuse and destruction --------------------------------------------------------------------- */

TEST(wait_and_notify_need_the_lock)
{
    coil_condition condition;
    coil_condition_init(&condition, NULL);
    EXPECT_INT(coil_condition_wait(&condition), COIL_ERUNTIME);
    EXPECT_INT(coil_condition_notify(&condition, 1), COIL_ERUNTIME);
    EXPECT_INT(coil_condition_notify_all(&condition), COIL_ERUNTIME);
    EXPECT_INT(coil_condition_acquire(&condition), 0);
    EXPECT_INT(coil_condition_wait(&condition), COIL_ENOTASK);
    EXPECT(coil_condition_locked(&condition)); /* refused before anything happened */
    EXPECT_INT(coil_condition_release(&condition), 0);
    coil_condition_fini(&condition);
    coil__errors_forget_thread();
}

COIL_ASYNC(destroys_it, (enum moment, when))
{
    coil_condition *condition = malloc(sizeof *condition);
    coil_condition_init(condition, NULL);
    coil_task *tasks[2];
    COIL_TRY(start(condition, tasks, 2));
    COIL_TRY(coil_condition_acquire(condition));
    if (when == AFTER)
        coil_task_cancel(tasks[0], NULL);
    else if (when != WAITING)
        EXPECT_INT(coil_condition_notify(condition, 1), 0);
    if (when == REACQUIRING || when == AFTER)
        COIL_TRY(coil_sleep(0));
    coil_condition_fini(condition);
    free(condition);
    return finish(tasks, 2);
}

TEST(destroyed_condition_ends_those_who_wait)
{
    static const enum moment moments[] = { WAITING, NOTIFIED, REACQUIRING, AFTER };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        EXPECT_RUN_REPORTS(destroys_it(moments[i]), 0, 1);
        EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
        EXPECT(strstr(notes_, "a:COIL_ECLOSED") != NULL);
        EXPECT(strstr(notes_, "b:COIL_ECLOSED") != NULL);
        notes_[0] = '\0';
    }
}

COIL_ASYNC(waits_on_a_given_lock, (coil_condition *, condition), (coil_lock *, lock))
{
    COIL_TRY(coil_lock_acquire(lock));
    int rc = coil_condition_wait(condition);
    note("%s", rc < 0 ? coil_error_name(rc) : "notified");
    if (rc != COIL_ECLOSED)
        EXPECT_INT(coil_lock_release(lock), 0);
    return 0;
}

COIL_ASYNC(destroys_all_but_the_lock, (enum moment, when))
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_condition *condition = malloc(sizeof *condition);
    coil_condition_init(condition, &lock);
    coil_task *task = coil_create_task(waits_on_a_given_lock(condition, &lock));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_lock_acquire(&lock));
    if (when == AFTER)
        coil_task_cancel(task, NULL);
    else if (when != WAITING)
        EXPECT_INT(coil_condition_notify(condition, 1), 0);
    if (when == REACQUIRING || when == AFTER)
        COIL_TRY(coil_sleep(0));
    coil_condition_fini(condition);
    free(condition);
    EXPECT_INT(coil_lock_release(&lock), 0);
    COIL_TRY(finish(&task, 1));
    EXPECT(!coil_lock_locked(&lock));
    coil_lock_fini(&lock);
    return 0;
}

TEST(given_lock_outlives_the_condition)
{
    /* Who is in line for the lock already no longer needs the condition. */
    EXPECT_RUN_REPORTS(destroys_all_but_the_lock(WAITING), 0, 1);
    EXPECT_NOTES("COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_all_but_the_lock(NOTIFIED), 0, 1);
    EXPECT_NOTES("COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_all_but_the_lock(REACQUIRING), 0, 1);
    EXPECT_NOTES("notified");
    EXPECT_RUN_REPORTS(destroys_all_but_the_lock(AFTER), 0, 1);
    EXPECT_NOTES("COIL_ECANCELED");
}

TESTS_MAIN(RUN(cancelled_wait_has_the_lock_and_wakes_another),
           RUN(last_cancellation_is_the_one_that_is_raised),
           RUN(error_of_a_predicate_ends_the_wait_with_the_lock_held),
           RUN(wait_and_notify_need_the_lock), RUN(destroyed_condition_ends_those_who_wait),
           RUN(given_lock_outlives_the_condition))
