/* Locks: who gets them, and what becomes of those who wait when they are cancelled, when the lock is
 * destroyed under them, or the loop closed. What all primitives have in common is tested here. */
#include "lib/steps.h"

#include <pthread.h>

COIL_ASYNC(holds, (coil_lock *, lock), (const char *, name))
{
    int rc = coil_lock_acquire(lock);
    if (rc < 0) {
        note("%s:%s", name, coil_error_name(rc));
        return rc;
    }
    note("%s", name);
    return coil_lock_release(lock);
}

/* Starts tasks a, b, c... that want the lock, and lets them get in line. */
static int start(coil_lock *lock, coil_task **tasks, int count)
{
    static const char *names[] = { "a", "b", "c", "d" };
    for (int i = 0; i < count; i++)
        tasks[i] = coil_create_task(holds(lock, names[i]));
    return coil_sleep(0);
}

static int finish(coil_task **tasks, int count)
{
    int rc = coil_wait(tasks, (size_t)count, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    for (int i = 0; i < count; i++) {
        int code;
        (void)coil_future_exception(tasks[i], &code,
                                    NULL); /* looked at: the notes tell how it ended */
        coil_unref(tasks[i]);
    }
    return rc < 0 ? rc : 0;
}

/* ---- taking turns ------------------------------------------------------------------------------- */

COIL_ASYNC0(takes_a_free_lock)
{
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(coil_call_soon(NULL, note_callback, "callback", NULL));
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(coil_lock_acquire(&lock), 0);
        EXPECT(coil_lock_locked(&lock));
        EXPECT_INT(coil_lock_release(&lock), 0);
        EXPECT(!coil_lock_locked(&lock));
    }
    note("taken");
    COIL_TRY(coil_sleep(0));
    coil_lock_fini(&lock);
    return 0;
}

TEST(free_lock_is_taken_without_a_turn_of_the_loop)
{
    /* The usual case must cost nothing. */
    EXPECT_RUN(takes_a_free_lock(), 0);
    EXPECT_NOTES("taken callback");
}

COIL_ASYNC0(waits_without_memory)
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *tasks[2];
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(start(&lock, tasks, 2));
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_lock_release(&lock), 0);
    EXPECT_INT(coil_lock_acquire(&lock), 0);
    EXPECT_INT(coil_lock_release(&lock), 0);
    EXPECT(!coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    return finish(tasks, 2);
}

TEST(waiting_for_a_lock_allocates_nothing)
{
    /* Where memory is short, locks must go on working. */
    EXPECT_RUN(waits_without_memory(), 0);
    EXPECT_NOTES("a b");
}

/* ---- cancelling --------------------------------------------------------------------------------- */

COIL_ASYNC(cancels_one, (int, victim), (bool, woken))
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *tasks[3];
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(start(&lock, tasks, 3));
    if (woken)
        COIL_TRY(coil_lock_release(&lock)); /* the first is on its way */
    coil_task_cancel(tasks[victim], NULL);
    if (!woken) {
        COIL_TRY(coil_sleep(0));
        COIL_TRY(coil_lock_release(&lock));
    }
    COIL_TRY(finish(tasks, 3));
    EXPECT(!coil_lock_locked(&lock));
    coil_lock_fini(&lock);
    return 0;
}

TEST(cancelled_waiter_leaves_the_line_wherever_it_stands)
{
    /* Those behind it must still get the lock, in their order. */
    EXPECT_RUN(cancels_one(0, false), 0);
    EXPECT_NOTES("a:COIL_ECANCELED b c");
    EXPECT_RUN(cancels_one(1, false), 0);
    EXPECT_NOTES("b:COIL_ECANCELED a c");
    EXPECT_RUN(cancels_one(2, false), 0);
    EXPECT_NOTES("c:COIL_ECANCELED a b");
}

TEST(woken_and_cancelled_waiter_passes_the_lock_on)
{
    /* A lock given to a task that is no longer there would be free, and everybody asleep. */
    EXPECT_RUN(cancels_one(0, true), 0);
    EXPECT_NOTES("a:COIL_ECANCELED b c");
}

COIL_ASYNC0(releases_to_a_cancelled_head)
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *tasks[2];
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(start(&lock, tasks, 2));
    coil_task_cancel(tasks[0], NULL);
    COIL_TRY(coil_lock_release(&lock)); /* finds it at the head: b is woken when a has run, */
    COIL_TRY(coil_sleep(0));
    note("turn"); /* a turn later, as in asyncio */
    return finish(tasks, 2);
}

TEST(release_to_a_cancelled_head_wakes_the_next_a_turn_later)
{
    /* The order of steps is asyncio's to the turn. */
    EXPECT_RUN(releases_to_a_cancelled_head(), 0);
    EXPECT_NOTES("a:COIL_ECANCELED turn b");
}

COIL_ASYNC0(overtakes_cancelled_ones)
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *tasks[2];
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(start(&lock, tasks, 2));
    coil_task_cancel(tasks[0], NULL);
    coil_task_cancel(tasks[1], NULL);
    COIL_TRY(coil_lock_release(&lock));
    COIL_TRY(coil_lock_acquire(&lock));
    note("main");
    COIL_TRY(coil_lock_release(&lock));
    return finish(tasks, 2);
}

TEST(free_lock_is_taken_at_once_when_all_who_wait_are_cancelled)
{
    EXPECT_RUN(overtakes_cancelled_ones(), 0);
    EXPECT_NOTES("main a:COIL_ECANCELED b:COIL_ECANCELED");
}

/* ---- misuse ------------------------------------------------------------------------------------- */

static coil_lock shared = COIL_LOCK_INIT;

TEST(release_of_a_free_lock_fails)
{
    coil_lock lock;
    coil_lock_init(&lock);
    EXPECT_INT(coil_lock_release(&lock), COIL_ERUNTIME);
    coil_lock_fini(&lock);
    coil__errors_forget_thread();
}

TEST(waiting_outside_a_task_is_refused)
{
    /* There is nobody to suspend. A free lock may be had by anybody. */
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    EXPECT_INT(coil_lock_acquire(&shared), COIL_ENOTASK);
    EXPECT_INT(coil_lock_release(&shared), 0);
    coil__errors_forget_thread();
}

static int acquire_by_hand(void)
{
    coil_coro *coro = holds(&shared, "hand");
    int rc = coil_coro_send(coro, NULL);
    coil_unref(coro);
    return rc;
}

TEST(waiting_in_a_coroutine_driven_by_hand_is_refused)
{
    /* It has no task that a release could queue. */
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    EXPECT_INT(acquire_by_hand(), COIL_ENOTASK);
    EXPECT_INT(coil_lock_release(&shared), 0);
    EXPECT_NOTES("hand:COIL_ENOTASK");
    coil__errors_forget_thread();
}

/* Runs a loop until it has nothing to do but wait. */
static void settle(coil_loop *loop)
{
    while (coil_loop_step(loop, 0) > 0)
        ;
}

TEST(lock_that_tasks_of_one_loop_wait_for_is_refused_to_another)
{
    /* A release would queue a task in a loop that does not look. Afterwards the lock is free for all. */
    coil_loop *here = coil_new_event_loop(), *there = coil_new_event_loop();
    REQUIRE(here && there);
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    coil_task *waits = coil_create_task_with(here, holds(&shared, "here"), NULL);
    settle(here);
    coil_task *refused = coil_create_task_with(there, holds(&shared, "there"), NULL);
    settle(there);
    EXPECT_INT(coil_future_result(refused, NULL), COIL_EWRONGLOOP);
    EXPECT_INT(coil_lock_release(&shared), 0);
    settle(here);
    EXPECT_INT(coil_future_result(waits, NULL), 0);
    coil_task *later = coil_create_task_with(there, holds(&shared, "later"), NULL);
    settle(there);
    EXPECT_INT(coil_future_result(later, NULL), 0);
    coil_unref(waits);
    coil_unref(refused);
    coil_unref(later);
    coil_loop_close(here);
    coil_loop_close(there);
    coil_unref(here);
    coil_unref(there);
    EXPECT_NOTES("there:COIL_EWRONGLOOP here later");
    coil__errors_forget_thread();
}

static void *release_elsewhere(void *arg)
{
    *(int *)arg = coil_lock_release(&shared);
    return NULL;
}

COIL_ASYNC0(is_released_by_a_thread)
{
    coil_task *tasks[1];
    coil_set_debug(NULL, true);
    COIL_TRY(coil_lock_acquire(&shared));
    COIL_TRY(start(&shared, tasks, 1));
    pthread_t thread;
    int rc = 0;
    EXPECT_INT(pthread_create(&thread, NULL, release_elsewhere, &rc), 0);
    pthread_join(thread, NULL);
    EXPECT_INT(rc, COIL_EWRONGTHREAD);
    EXPECT(coil_lock_locked(&shared));
    COIL_TRY(coil_lock_release(&shared));
    return finish(tasks, 1);
}

TEST(debug_mode_refuses_a_release_by_another_thread)
{
    /* It would queue a task behind the loop's back. */
    EXPECT_RUN(is_released_by_a_thread(), 0);
    EXPECT_NOTES("a");
}

/* ---- the end of the lock, and of the loop ------------------------------------------------------- */

COIL_ASYNC(destroys_the_lock, (int, cancelled), (bool, woken))
{
    coil_lock *lock = malloc(sizeof *lock);
    coil_lock_init(lock);
    coil_task *tasks[3];
    COIL_TRY(coil_lock_acquire(lock));
    COIL_TRY(start(lock, tasks, 3));
    if (woken)
        COIL_TRY(coil_lock_release(lock));
    if (cancelled >= 0)
        coil_task_cancel(tasks[cancelled], NULL);
    coil_lock_fini(lock);
    free(lock);
    return finish(tasks, 3);
}

TEST(destroyed_lock_ends_those_who_wait)
{
    /* Whether they wait, are woken, or cancelled: none may touch the memory again. */
    EXPECT_RUN_REPORTS(destroys_the_lock(-1, false), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_DESTROYED_IN_USE], 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED c:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_the_lock(-1, true), 0, 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED c:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_the_lock(1, false), 0, 1);
    EXPECT_NOTES("b:COIL_ECLOSED a:COIL_ECLOSED c:COIL_ECLOSED");
    EXPECT_RUN_REPORTS(destroys_the_lock(0, true), 0, 1);
    EXPECT_NOTES("a:COIL_ECLOSED b:COIL_ECLOSED c:COIL_ECLOSED");
}

COIL_ASYNC(meets_its_cancellation, (coil_lock *, lock))
{
    EXPECT_INT(coil_lock_acquire(lock), COIL_ECLOSED);
    int rc = coil_sleep(1);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "enough");
    return rc;
}

COIL_ASYNC(cancels_and_destroys, (bool, woken))
{
    coil_lock lock = COIL_LOCK_INIT;
    COIL_TRY(coil_lock_acquire(&lock));
    coil_task *task = coil_create_task(meets_its_cancellation(&lock));
    COIL_TRY(coil_sleep(0));
    if (woken)
        COIL_TRY(coil_lock_release(&lock));
    coil_task_cancel(task, "enough");
    coil_lock_fini(&lock);
    COIL_TRY(coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    EXPECT(coil_future_cancelled(task));
    coil_unref(task);
    return 0;
}

TEST(cancellation_comes_after_the_news_that_the_lock_is_gone)
{
    /* Told of the cancellation alone, the task might use the lock again. */
    EXPECT_RUN_REPORTS(cancels_and_destroys(false), 0, 1);
    EXPECT_RUN_REPORTS(cancels_and_destroys(true), 0, 1);
}

COIL_ASYNC0(ends_at_once)
{
    return 0;
}

/* A loop that has run for a while, and in which tasks a, b and c wait for the shared lock. */
static coil_loop *loop_with_waiters(void)
{
    static const char *names[] = { "a", "b", "c" };
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    for (int i = 0; i < 3; i++)
        coil_unref(coil_create_task_with(loop, holds(&shared, names[i]), NULL));
    EXPECT_INT(coil_run_until_complete(loop, ends_at_once(), NULL), 0);
    return loop;
}

TEST(closing_the_loop_takes_its_tasks_out_of_the_line)
{
    /* Their stacks go, and nothing of them may stay in the lock. */
    size_t blocks = steps_blocks();
    coil_loop *loop = loop_with_waiters();
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 3);
    EXPECT_INT(coil_lock_release(&shared), 0);
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    EXPECT_INT(coil_lock_release(&shared), 0);
    EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING c:COIL_ECLOSING");
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(closing_the_loop_after_a_release_takes_the_woken_task_out_of_the_line)
{
    coil_loop *loop = loop_with_waiters();
    EXPECT_INT(coil_lock_release(&shared), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT(!coil_lock_locked(&shared));
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    EXPECT_INT(coil_lock_release(&shared), 0);
    EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING c:COIL_ECLOSING");
}

COIL_ASYNC0(holds_until_closed)
{
    COIL_TRY(coil_lock_acquire(&shared));
    int rc = coil_sleep(1);
    EXPECT_INT(rc, COIL_ECLOSING);
    EXPECT_INT(coil_lock_release(&shared), 0);
    return rc;
}

TEST(task_that_is_closed_may_release_to_one_that_will_be)
{
    /* The one it wakes is ended, too, before it could run. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_unref(coil_create_task_with(loop, holds_until_closed(), NULL));
    coil_unref(coil_create_task_with(loop, holds(&shared, "a"), NULL));
    coil_unref(coil_create_task_with(loop, holds(&shared, "b"), NULL));
    EXPECT_INT(coil_run_until_complete(loop, ends_at_once(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING");
    EXPECT(!coil_lock_locked(&shared));
    EXPECT_INT(steps_blocks(), blocks);
}

/* Ignores the end until it is given up: its stack is never continued. */
COIL_ASYNC0(never_gives_up)
{
    int rc;
    do {
        rc = coil_lock_acquire(&shared);
    } while (rc == COIL_ECLOSING);
    return rc;
}

TEST(task_that_is_given_up_leaves_nothing_in_the_lock)
{
    /* Its place in line lies on a stack that serves somebody else next. */
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_lock_acquire(&shared), 0);
    coil_unref(coil_create_task_with(loop, never_gives_up(), NULL));
    EXPECT_INT(coil_run_until_complete(loop, ends_at_once(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(reports[COIL_EVENT_CLOSE_IGNORED], 1);
    EXPECT_PTR(shared.coil__waiting.first, NULL);
    EXPECT_INT(coil_lock_release(&shared), 0);
    coil_unref(loop);
}

TESTS_MAIN(RUN(free_lock_is_taken_without_a_turn_of_the_loop),
           RUN(waiting_for_a_lock_allocates_nothing),
           RUN(cancelled_waiter_leaves_the_line_wherever_it_stands),
           RUN(woken_and_cancelled_waiter_passes_the_lock_on),
           RUN(release_to_a_cancelled_head_wakes_the_next_a_turn_later),
           RUN(free_lock_is_taken_at_once_when_all_who_wait_are_cancelled),
           RUN(release_of_a_free_lock_fails), RUN(waiting_outside_a_task_is_refused),
           RUN(waiting_in_a_coroutine_driven_by_hand_is_refused),
           RUN(lock_that_tasks_of_one_loop_wait_for_is_refused_to_another),
           RUN(debug_mode_refuses_a_release_by_another_thread),
           RUN(destroyed_lock_ends_those_who_wait),
           RUN(cancellation_comes_after_the_news_that_the_lock_is_gone),
           RUN(closing_the_loop_takes_its_tasks_out_of_the_line),
           RUN(closing_the_loop_after_a_release_takes_the_woken_task_out_of_the_line),
           RUN(task_that_is_closed_may_release_to_one_that_will_be),
           RUN(task_that_is_given_up_leaves_nothing_in_the_lock))
