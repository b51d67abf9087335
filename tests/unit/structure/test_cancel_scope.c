/* Cancel scopes: no wait in a cancelled scope gets through, none outside it fails, asyncio's requests keep
 * their count, and cleanup has its time. */
#include "lib/steps.h"

#include "tasks/task.h"

static coil_cancel_scope *target;

static int cancel_target(void *message)
{
    (void)coil_cancel_scope_cancel(target, message); /* false if it was before */
    return 0;
}

static int cancel_main(void *task)
{
    coil_task_cancel(task, "from outside");
    return 0;
}

/* Cancels `target` after a while. */
static void cancel_target_after(double delay)
{
    EXPECT_INT(coil_call_later(NULL, delay, cancel_target, "enough", NULL), 0);
}

static void cancel_me_after(double delay)
{
    EXPECT_INT(coil_call_later(NULL, delay, cancel_main, coil_current_task(), NULL), 0);
}

static int cancelling(void)
{
    return coil_task_cancelling(coil_current_task());
}

static double now(void)
{
    return coil_loop_time(NULL);
}

/* ---- level-triggered ---------------------------------------------------------------------------- */

COIL_ASYNC0(waits_in_vain)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    cancel_target_after(1);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 1);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "enough");

    coil_event event;
    coil_event_init(&event);
    coil_future *future = coil_create_future(NULL);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
        EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
        EXPECT_INT(coil_event_wait(&event), COIL_ECANCELED);
    }
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 1);
    EXPECT_INT(cancelling(), 0);
    EXPECT(coil_cancel_scope_cancelled(&scope));
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    EXPECT(coil_cancel_scope_caught(&scope));
    EXPECT(!coil_error_current(COIL_ECANCELED));
    EXPECT_INT(coil_sleep(10), 0);
    EXPECT_INT(coil_sleep(0), 0);
    coil_unref(future);
    coil_event_fini(&event);
    return 0;
}

TEST(every_wait_in_a_cancelled_scope_fails_until_it_is_left)
{
    /* A cancellation that is overlooked once must not be lost. */
    EXPECT_RUN(waits_in_vain(), 0);
}

COIL_ASYNC0(others_run)
{
    note("other");
    return 0;
}

COIL_ASYNC0(spins)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT(!coil_cancel_scope_cancel(&scope, NULL));
    COIL_TRY(coil_spawn(others_run()));
    note("before");
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    note("after");
    return coil_cancel_scope_exit(&scope, 0);
}

TEST(refused_wait_takes_one_turn)
{
    /* Code that retries for ever must not starve the others. */
    EXPECT_RUN(spins(), 0);
    EXPECT_NOTES("before other after");
}

COIL_ASYNC0(needs_no_wait)
{
    coil_cancel_scope scope;
    coil_lock lock;
    coil_lock_init(&lock);
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_future_set_result(future, coil_int(7)), 0);
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_lock_acquire(&lock), 0);
    EXPECT_INT(coil_lock_release(&lock), 0);
    EXPECT_INT(coil_await(future, NULL), 0);
    EXPECT_INT(coil_cancel_scope_exit(&scope, 5), 5);
    EXPECT(coil_cancel_scope_cancelled(&scope) && !coil_cancel_scope_caught(&scope));
    coil_unref(future);
    coil_lock_fini(&lock);
    return 0;
}

TEST(what_need_not_wait_succeeds)
{
    /* As in asyncio; the order of steps depends on it. */
    EXPECT_RUN(needs_no_wait(), 0);
}

static int set_to_one(void *future)
{
    return coil_future_set_result(future, coil_int(1));
}

COIL_ASYNC0(is_woken_first)
{
    coil_cancel_scope scope;
    coil_future *future = coil_create_future(NULL);
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    EXPECT_INT(coil_call_soon(NULL, set_to_one, future, NULL), 0);
    EXPECT_INT(coil_call_soon(NULL, cancel_target, NULL, NULL), 0);
    EXPECT_INT(coil_await(future, NULL), 0);
    EXPECT(coil_cancel_scope_cancelled(&scope));
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    coil_unref(future);
    return 0;
}

TEST(wait_that_had_ended_keeps_its_result)
{
    /* What was received is not thrown away. */
    EXPECT_RUN(is_woken_first(), 0);
}

/* ---- deadlines ---------------------------------------------------------------------------------- */

COIL_ASYNC0(has_a_limit)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 2), 0);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 2);
    EXPECT_INT(coil_cancel_scope_reschedule(&scope, 10), COIL_ERUNTIME);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    EXPECT_INT(coil_cancel_scope_reschedule(&scope, 10), COIL_ERUNTIME);

    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 2), 0);
    EXPECT_INT(coil_cancel_scope_reschedule(&scope, 6), 0);
    EXPECT_INT(coil_sleep(3), 0);
    EXPECT_INT(coil_sleep(3), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 6);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);

    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 2), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, "before its time"));
    EXPECT_INT(coil_sleep(3), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    EXPECT_INT(coil_cancel_scope_exit(&scope, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_sleep(10), 0);
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, NAN), COIL_EINVAL);
    return 0;
}

TEST(scope_with_a_limit_is_cancelled_by_it)
{
    /* The commonest scope. */
    EXPECT_RUN(has_a_limit(), 0);
}

/* ---- nesting ------------------------------------------------------------------------------------ */

COIL_ASYNC0(nests)
{
    coil_cancel_scope outer, inner;
    EXPECT_INT(coil_cancel_scope_enter(&outer), 0);
    EXPECT_INT(coil_cancel_scope_enter(&inner), 0);
    EXPECT(coil_cancel_scope_cancel(&inner, "inner"));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&inner, COIL_ECANCELED), 0);
    EXPECT_INT(coil_sleep(1), 0);

    EXPECT_INT(coil_cancel_scope_enter(&inner), 0);
    EXPECT(coil_cancel_scope_cancel(&inner, "inner"));
    EXPECT(coil_cancel_scope_cancel(&outer, "outer"));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&inner, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT(!coil_cancel_scope_caught(&inner));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&outer, COIL_ECANCELED), 0);
    EXPECT(coil_cancel_scope_caught(&outer));
    return 0;
}

TEST(outermost_cancelled_scope_takes_the_cancellation)
{
    /* The code between the two must not go on. */
    EXPECT_RUN(nests(), 0);
}

COIL_ASYNC0(crosses)
{
    coil_cancel_scope first, second;
    EXPECT_INT(coil_cancel_scope_enter(&first), 0);
    EXPECT_INT(coil_cancel_scope_enter(&second), 0);
    EXPECT(coil_cancel_scope_cancel(&second, NULL));
    EXPECT_INT(coil_cancel_scope_exit(&first, 0), 0);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&second, COIL_ECANCELED), 0);
    EXPECT_INT(coil_sleep(1), 0);
    return 0;
}

TEST(scopes_may_be_left_in_any_order)
{
    /* Nothing of one that has gone is touched. */
    EXPECT_RUN(crosses(), 0);
}

/* ---- with asyncio's requests -------------------------------------------------------------------- */

COIL_ASYNC0(is_asked_twice)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    cancel_me_after(0);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(cancelling(), 1);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);

    coil_task_cancel(coil_current_task(), NULL); /* not delivered yet */
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);
    EXPECT_INT(coil_sleep(1), 0);
    return 0;
}

TEST(request_to_cancel_goes_through_a_cancelled_scope)
{
    /* No cancellation is swallowed by another. */
    EXPECT_RUN(is_asked_twice(), 0);
}

COIL_ASYNC0(swallows)
{
    coil_cancel_scope scope;
    cancel_me_after(1);
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT_INT(coil_sleep(2), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(2), 0); /* asyncio's: told once */
    EXPECT_INT(cancelling(), 1);
    EXPECT_INT(coil_cancel_scope_exit(&scope, 0), 0);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);
    return 0;
}

TEST(request_in_a_scope_that_is_not_cancelled_is_told_once)
{
    /* asyncio's own rules hold. */
    EXPECT_RUN(swallows(), 0);
}

COIL_ASYNC0(times_out_inside)
{
    coil_cancel_scope scope;
    coil_timeout limit;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    cancel_target_after(1);
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    EXPECT_INT(coil_sleep(5), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    EXPECT(coil_timeout_expired(&limit));
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(cancelling(), 0);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);

    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT_INT(coil_sleep(5), COIL_ECANCELED);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ETIMEDOUT);
    return 0;
}

TEST(timeout_and_scope_leave_each_other_theirs)
{
    /* The outer of the two must win. */
    EXPECT_RUN(times_out_inside(), 0);
}

/* ---- groups ------------------------------------------------------------------------------------- */

COIL_ASYNC(stubborn, (int, number))
{
    int rc;
    int refused = 0;
    while ((rc = coil_sleep(10)) == COIL_ECANCELED && ++refused < 4)
        continue;
    note("%d:%d", number, refused);
    return rc;
}

COIL_ASYNC0(holds_a_group)
{
    coil_cancel_scope scope;
    coil_task_group tg;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    cancel_target_after(1);
    coil_task_group_enter(&tg);
    COIL_TRY(coil_task_group_spawn(&tg, stubborn(1)));
    COIL_TRY(coil_task_group_spawn(&tg, stubborn(2)));
    int rc = coil_task_group_exit(&tg, 0);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_INT(cancelling(), 0);
    EXPECT_DOUBLE(now(), 1);
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&scope, rc), 0);
    return 0;
}

TEST(scope_reaches_the_tasks_of_groups_in_it)
{
    /* Cancelled as a whole, or it is not worth its name. */
    EXPECT_RUN(holds_a_group(), 0);
    EXPECT_NOTES("1:4 2:4");
}

COIL_ASYNC0(cleans_up_slowly)
{
    int rc = coil_sleep(100);
    int cleanup = COIL_SHIELDED(5, coil_sleep(3));
    note("clean:%d", cleanup);
    return rc;
}

COIL_ASYNC0(waits_for_cleanup)
{
    coil_cancel_scope outer, inner;
    coil_task_group tg;
    EXPECT_INT(coil_cancel_scope_enter(&outer), 0);
    target = &outer;
    cancel_target_after(1);
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_cancel_scope_enter(&inner), 0);
    COIL_TRY(coil_task_group_spawn(&tg, cleans_up_slowly()));
    int rc = coil_sleep(100);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT(coil_cancel_scope_cancel(&inner, NULL));
    rc = coil_cancel_scope_exit(&inner, rc);
    EXPECT_INT(rc, COIL_ECANCELED);
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_DOUBLE(now(), 4);
    EXPECT_INT(coil_cancel_scope_exit(&outer, rc), 0);
    return 0;
}

TEST(group_in_a_cancelled_scope_waits_for_shielded_cleanup)
{
    /* Nothing outlives the group, and nothing spins meanwhile. */
    EXPECT_RUN(waits_for_cleanup(), 0);
    EXPECT_NOTES("clean:0");
}

COIL_ASYNC0(grandchild)
{
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    note("grandchild");
    return COIL_ECANCELED;
}

COIL_ASYNC0(child_with_a_group)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, grandchild());
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(scope_over_three_levels)
{
    coil_cancel_scope scope;
    coil_task_group tg;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    coil_task_group_enter(&tg);
    COIL_TRY(coil_task_group_spawn(&tg, child_with_a_group()));
    EXPECT_INT(coil_sleep(1), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    int rc = coil_task_group_exit(&tg, 0);
    EXPECT_INT(rc, COIL_ECANCELED);

    coil_task_group_enter(&tg); /* all who come now are late */
    COIL_TRY(coil_task_group_spawn(&tg, grandchild()));
    rc = coil_task_group_exit(&tg, 0);
    EXPECT_INT(rc, COIL_ECANCELED);
    return coil_cancel_scope_exit(&scope, rc);
}

TEST(scope_reaches_children_of_children_and_latecomers)
{
    /* However deep. */
    EXPECT_RUN(scope_over_three_levels(), 0);
    EXPECT_NOTES("grandchild grandchild");
}

COIL_ASYNC0(fails_soon)
{
    COIL_TRY(coil_sleep(1));
    return coil_raise(COIL_EAPP, "no luck");
}

COIL_ASYNC0(scope_in_a_group)
{
    coil_task_group tg;
    coil_cancel_scope scope;
    coil_task_group_enter(&tg);
    COIL_TRY(coil_task_group_spawn(&tg, fails_soon()));
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    int rc = coil_sleep(10);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    rc = coil_cancel_scope_exit(&scope, rc);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_INT(coil_task_group_exit(&tg, rc), COIL_EGROUP);
    EXPECT_INT(cancelling(), 0);
    return 0;
}

TEST(cancellation_by_a_group_goes_through_a_scope_inside)
{
    /* Only the group may take it. */
    EXPECT_RUN(scope_in_a_group(), 0);
}

COIL_ASYNC0(scope_around_a_failing_group)
{
    coil_task_group tg;
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 1), 0);
    coil_task_group_enter(&tg);
    COIL_TRY(coil_task_group_spawn(&tg, fails_soon()));
    int rc = coil_task_group_exit(&tg, coil_sleep(10));
    EXPECT(rc == COIL_EGROUP || rc == COIL_ECANCELED);
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_exit(&scope, rc), rc == COIL_EGROUP ? rc : 0);
    EXPECT_INT(cancelling(), 0);
    return 0;
}

TEST(group_that_fails_as_its_scope_is_cancelled)
{
    /* Both come in one turn. */
    EXPECT_RUN(scope_around_a_failing_group(), 0);
}

/* ---- wait_for, shield, gather, conditions ------------------------------------------------------- */

COIL_ASYNC(sleeps, (double, delay))
{
    int rc = coil_sleep(delay);
    note("%s", rc == 0 ? "slept" : "stopped");
    return rc;
}

COIL_ASYNC0(waits_in_other_ways)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    coil_task *spared = coil_create_task(sleeps(5));
    EXPECT_INT(coil_call_later(NULL, 1, cancel_target, NULL, NULL), 0);
    EXPECT_INT(coil_gather(NULL, sleeps(3), sleeps(4)), COIL_ECANCELED);
    EXPECT_INT(coil_wait_for(sleeps(3), 10, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_shield(spared, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 1);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    EXPECT_INT(coil_await(spared, NULL), 0);
    coil_unref(spared);
    return 0;
}

TEST(gather_wait_for_and_shield_are_waits_like_others)
{
    /* What asyncio spares is spared, what it stops is stopped. */
    EXPECT_RUN(waits_in_other_ways(), 0);
    EXPECT_NOTES("stopped stopped stopped slept");
}

static coil_condition condition;

COIL_ASYNC0(holds_the_lock)
{
    COIL_TRY(coil_condition_acquire(&condition));
    COIL_TRY(coil_sleep(5));
    return coil_condition_release(&condition);
}

COIL_ASYNC0(waits_for_the_condition)
{
    coil_cancel_scope scope;
    coil_condition_init(&condition, NULL);
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 2), 0);
    COIL_TRY(coil_condition_acquire(&condition));
    COIL_TRY(coil_spawn(holds_the_lock()));
    int rc = coil_condition_wait(&condition);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 5); /* it has the lock again */
    EXPECT(coil_condition_locked(&condition));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_condition_release(&condition), 0);
    EXPECT_INT(coil_cancel_scope_exit(&scope, rc), 0);
    coil_condition_fini(&condition);
    return 0;
}

TEST(condition_takes_its_lock_back_in_a_cancelled_scope)
{
    /* It must, and it must not spin: on a virtual clock it would never end. */
    EXPECT_RUN(waits_for_the_condition(), 0);
}

/* ---- shielded sections -------------------------------------------------------------------------- */

COIL_ASYNC0(cleans_up)
{
    coil_cancel_scope scope, section;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 5), 0);
    EXPECT_INT(coil_sleep(1), 0);
    EXPECT_INT(coil_sleep(0), 0);
    EXPECT_INT(coil_cancel_scope_exit(&section, 3), 3);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(COIL_SHIELDED(5, coil_sleep(2)), 0);
    EXPECT_DOUBLE(now(), 3);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_ECANCELED), 0);
    return 0;
}

TEST(shielded_section_waits_in_a_cancelled_scope)
{
    /* For saying goodbye. */
    EXPECT_RUN(cleans_up(), 0);
}

COIL_ASYNC0(cleans_up_for_ever)
{
    coil_cancel_scope scope, section;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 2), 0);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 2);
    EXPECT_INT(coil_cancel_scope_exit(&section, COIL_ECANCELED), COIL_ETIMEDOUT);
    EXPECT(coil_cancel_scope_caught(&section));
    EXPECT_INT(coil_cancel_scope_exit(&scope, 0), 0);
    return 0;
}

TEST(shielded_section_has_a_limit)
{
    /* Or a peer that never answers keeps the program from ending. */
    EXPECT_RUN(cleans_up_for_ever(), 0);
}

COIL_ASYNC0(is_asked_meanwhile)
{
    coil_cancel_scope section, inner;
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 100), 0);
    cancel_me_after(1);
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(cancelling(), 1);
    EXPECT_INT(coil_cancel_scope_enter_shielded(&inner, 100), 0);
    cancel_me_after(1);
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(coil_cancel_scope_exit(&inner, 0), 0);
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(cancelling(), 2);
    EXPECT_INT(coil_cancel_scope_exit(&section, 0), 0);
    EXPECT_INT(coil_sleep(2), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "from outside");
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(cancelling(), 2);
    coil_task_uncancel(coil_current_task());
    coil_task_uncancel(coil_current_task());

    coil_task_cancel(coil_current_task(), "due already");
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 100), 0);
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(coil_cancel_scope_exit(&section, 0), 0);
    EXPECT_INT(coil_sleep(2), COIL_ECANCELED);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);

    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 100), 0);
    coil_task_cancel(coil_current_task(), NULL);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);
    EXPECT_INT(coil_cancel_scope_exit(&section, 0), 0);
    EXPECT_INT(coil_sleep(2), 0);
    return 0;
}

TEST(request_during_a_shielded_section_comes_after_it)
{
    /* Postponed, and never lost. */
    EXPECT_RUN(is_asked_meanwhile(), 0);
}

COIL_ASYNC0(limits_inside)
{
    coil_cancel_scope section;
    coil_timeout limit, outer;
    EXPECT_INT(coil_timeout_enter(&outer, 1), 0);
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 100), 0);
    EXPECT_INT(coil_sleep(2), 0); /* the outer one has expired, and has to wait */
    cancel_me_after(1);
    EXPECT_INT(coil_timeout_enter(&limit, 2), 0);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 4);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ETIMEDOUT);
    coil_task_group tg;
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_spawn(&tg, fails_soon()), 0);
    int rc = coil_sleep(10);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_INT(coil_task_group_exit(&tg, rc), COIL_EGROUP);
    EXPECT_INT(coil_sleep(1), 0);
    EXPECT_INT(coil_cancel_scope_exit(&section, 0), 0);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_INT(coil_timeout_exit(&outer, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_task_uncancel(coil_current_task()), 0);
    return 0;
}

TEST(timeouts_and_groups_inside_a_shielded_section_work)
{
    /* Cleanup that talks to the world needs its own limits. */
    EXPECT_RUN(limits_inside(), 0);
}

COIL_ASYNC0(timeout_around_a_section)
{
    coil_cancel_scope section;
    coil_timeout outer;
    EXPECT_INT(coil_timeout_enter(&outer, 1), 0);
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, 100), 0);
    EXPECT_INT(coil_sleep(2), 0);
    EXPECT_INT(coil_cancel_scope_exit(&section, 0), 0);
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    EXPECT_INT(coil_timeout_exit(&outer, COIL_ECANCELED), COIL_ETIMEDOUT);
    EXPECT_INT(cancelling(), 0);
    return 0;
}

TEST(timeout_around_a_shielded_section_comes_after_it)
{
    /* And is still known as that timeout's. */
    EXPECT_RUN(timeout_around_a_section(), 0);
}

COIL_ASYNC0(cleans_up_after_all)
{
    int rc = coil_sleep(100);
    COIL_SHIELDED(10, coil_sleep(2));
    note("done");
    return rc;
}

COIL_ASYNC0(cancels_one_in_cleanup)
{
    coil_task *task = coil_create_task(cleans_up_after_all());
    EXPECT_INT(coil_sleep(1), 0);
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_sleep(1), 0);
    coil_task_cancel(task, NULL);
    coil_timeout limit;
    EXPECT_INT(coil_timeout_enter(&limit, 0.5), 0); /* which asks it in turn */
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(now(), 3);
    EXPECT_INT(coil_task_cancelling(task), 3);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ETIMEDOUT);
    coil_unref(task);
    return 0;
}

TEST(request_through_an_awaiting_task_respects_the_section)
{
    /* It comes down from task to task. */
    EXPECT_RUN(cancels_one_in_cleanup(), 0);
    EXPECT_NOTES("done");
}

COIL_ASYNC0(leaves_one_in_cleanup)
{
    COIL_TRY(coil_spawn(cleans_up_after_all()));
    return coil_sleep(1);
}

TEST(run_waits_for_shielded_cleanup_at_its_end)
{
    /* Shutting down is what such sections are for. */
    EXPECT_RUN(leaves_one_in_cleanup(), 0);
    EXPECT_NOTES("done");
}

/* ---- reasons ------------------------------------------------------------------------------------ */

static coil_cancel_info reason(void)
{
    coil_cancel_info info = COIL_CANCEL_INFO_INIT;
    (void)coil_cancel_reason(NULL, &info);
    return info;
}

static void expect_here(const coil_cancel_info *info, int line)
{
    EXPECT(strstr(info->file, "test_cancel_scope.c") != NULL);
    EXPECT_INT(info->line, line);
}

static int cancel_line;

COIL_ASYNC(cancels, (coil_task *, task))
{
    cancel_line = __LINE__ + 1;
    coil_task_cancel(task, "your turn is over");
    return 0;
}

COIL_ASYNC0(is_told_why)
{
    coil_cancel_info why = reason();
    EXPECT_INT(why.kind, COIL_CANCEL_NONE);
    coil_unref(coil_create_task_named(cancels(coil_current_task()), "sweeper"));
    EXPECT_INT(coil_sleep(10), COIL_ECANCELED);
    why = reason();
    EXPECT_INT(why.kind, COIL_CANCEL_EXPLICIT);
    EXPECT_STR(why.who, "sweeper");
    EXPECT_STR(why.message, "your turn is over");
    expect_here(&why, cancel_line);
    coil_task_uncancel(coil_current_task());

    coil_timeout limit;
    int line = __LINE__ + 1;
    EXPECT_INT(coil_timeout_enter(&limit, 1), 0);
    int rc = coil_sleep(10);
    why = reason();
    EXPECT_INT(why.kind, COIL_CANCEL_DEADLINE);
    expect_here(&why, line);
    EXPECT_INT(coil_timeout_exit(&limit, rc), COIL_ETIMEDOUT);

    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 1), 0);
    line = __LINE__ + 1;
    EXPECT_INT(coil_cancel_scope_reschedule(&scope, now() + 2), 0);
    rc = coil_sleep(10);
    why = reason();
    EXPECT_INT(why.kind, COIL_CANCEL_DEADLINE);
    expect_here(&why, line);
    EXPECT_INT(coil_cancel_scope_exit(&scope, rc), 0);

    coil_task_group tg;
    coil_task_group_enter(&tg);
    coil_task *task = coil_task_group_create_task_named(&tg, fails_soon(), "unlucky");
    rc = coil_sleep(10);
    why = reason();
    EXPECT_INT(why.kind, COIL_CANCEL_GROUP);
    EXPECT_STR(why.who, "unlucky");
    EXPECT_INT(why.code, COIL_EAPP);
    EXPECT_INT(coil_task_group_exit(&tg, rc), COIL_EGROUP);
    coil_unref(task);
    return 0;
}

TEST(reason_says_who_where_and_why)
{
    /* "Who cancelled me" is the first question of whoever finds COIL_ECANCELED in a log. */
    EXPECT_RUN(is_told_why(), 0);
}

COIL_ASYNC0(waits_long)
{
    return coil_sleep(100);
}

COIL_ASYNC0(asks_of_others)
{
    char text[200];
    coil_task *task = coil_create_task_named(waits_long(), "worker");
    EXPECT_STR(coil_cancel_reason_text(task, text, sizeof text), "not cancelled");
    EXPECT_INT(coil_sleep(1), 0);
    int line = __LINE__ + 1;
    coil_task_cancel(task, "no more work");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_cancel_info why = COIL_CANCEL_INFO_INIT;
    EXPECT(coil_cancel_reason(task, &why));
    expect_here(&why, line);
    EXPECT_INT(reason().line, line); /* which this task was told, too */
    coil_cancel_reason_text(task, text, sizeof text);
    EXPECT(strncmp(text, "cancelled by Task-", 18) == 0);
    EXPECT(strstr(text, "test_cancel_scope.c:") != NULL);
    EXPECT(strstr(text, ": no more work") != NULL);
    EXPECT_INT(strlen(coil_cancel_reason_text(task, text, 5)), 4);
    coil_unref(task);

    coil_future *future = coil_create_future(NULL);
    line = __LINE__ + 1;
    coil_future_cancel(future, NULL);
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    EXPECT_INT(reason().line, line);
    coil_unref(future);

    task = coil_create_task(waits_long());
    coil_future *both = coil_gather_future(NULL, (void *[]){ task }, 1, 0);
    EXPECT_INT(coil_sleep(1), 0);
    line = __LINE__ + 1;
    coil_future_cancel(both, "all of it");
    EXPECT_INT(coil_await(both, NULL), COIL_ECANCELED);
    EXPECT_INT(reason().line, line);
    coil_unref(task);
    coil_unref(both);
    return 0;
}

TEST(reason_can_be_asked_of_tasks_and_futures)
{
    /* Also when they are done. */
    EXPECT_RUN(asks_of_others(), 0);
}

COIL_ASYNC0(notes_its_reason)
{
    int rc = coil_sleep(100);
    note("%d", reason().kind);
    return rc;
}

COIL_ASYNC0(leaves_one_behind)
{
    COIL_TRY(coil_spawn(notes_its_reason()));
    return coil_sleep(1);
}

TEST(reason_tells_shutdown)
{
    /* Which is no reason to worry. */
    EXPECT_RUN(leaves_one_behind(), 0);
    char expected[16];
    snprintf(expected, sizeof expected, "%d", COIL_CANCEL_SHUTDOWN);
    EXPECT_NOTES(expected);
}

COIL_ASYNC0(outer_reason_counts)
{
    coil_cancel_scope scope;
    coil_timeout limit;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT(coil_cancel_scope_cancel(&scope, "the scope"));
    EXPECT_INT(coil_timeout_enter(&limit, 0), 0);
    EXPECT_INT(coil_sleep(1), COIL_ECANCELED);
    EXPECT_INT(coil_timeout_exit(&limit, COIL_ECANCELED), COIL_ECANCELED);
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    EXPECT_STR(reason().message, "the scope");
    return coil_cancel_scope_exit(&scope, 0);
}

TEST(refused_wait_tells_the_scope_s_reason)
{
    /* Whatever came in between. */
    EXPECT_RUN(outer_reason_counts(), 0);
}

COIL_ASYNC0(without_memory)
{
    coil_task *task = coil_create_task(waits_long());
    EXPECT_INT(coil_sleep(1), 0);
    coil_testing_fail_alloc(1);
    EXPECT(coil_task_cancel(task, NULL));
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_INT(reason().kind, COIL_CANCEL_EXPLICIT);
    EXPECT_STR(reason().file, "");
    coil_unref(task);
    return 0;
}

TEST(reason_without_memory_tells_the_kind)
{
    /* A cancellation cannot fail. */
    EXPECT_RUN(without_memory(), 0);
}

/* ---- COIL_SCOPED -------------------------------------------------------------------------------- */

static int returns_early(int rc)
{
    COIL_SCOPED(coil_timeout) limit = COIL_TIMEOUT_INIT;
    COIL_TRY(coil_timeout_enter(&limit, 1));
    COIL_SCOPED(coil_cancel_scope) scope = COIL_CANCEL_SCOPE_INIT;
    COIL_TRY(rc);
    COIL_TRY(coil_cancel_scope_enter(&scope));
    COIL_SCOPED(coil_task_group) tg = COIL_TASK_GROUP_INIT;
    COIL_TRY(coil_task_group_enter(&tg));
    COIL_TRY(coil_task_group_spawn(&tg, sleeps(10)));
    COIL_TRY(coil_sleep(5));
    return 0;
}

COIL_ASYNC0(leaves_by_return)
{
    EXPECT_INT(returns_early(COIL_EAPP), COIL_EAPP);
    EXPECT_INT(returns_early(0), COIL_ECANCELED); /* honest: not COIL_ETIMEDOUT */
    EXPECT_INT(cancelling(), 0);
    EXPECT_INT(coil_sleep(5), 0);
    return 0;
}

TEST(scoped_declaration_leaves_on_early_return)
{
    /* Timer, scope and tasks are gone; the code stays what it was. */
    EXPECT_RUN(leaves_by_return(), 0);
    EXPECT_NOTES("stopped");
}

/* ---- misuse ------------------------------------------------------------------------------------- */

static int enters_in_a_callback(void *arg)
{
    coil_cancel_scope scope;
    (void)arg;
    EXPECT_INT(coil_cancel_scope_enter(&scope), COIL_ENOTASK);
    EXPECT(!coil_cancel_scope_cancel(&scope, NULL));
    EXPECT_INT(coil_cancel_scope_exit(&scope, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_cancel_scope_exit(&scope, COIL_EAPP), COIL_EAPP);
    EXPECT_INT(COIL_SHIELDED(1, 7), 7);
    return 0;
}

COIL_ASYNC0(enters_elsewhere)
{
    EXPECT_INT(coil_call_soon(NULL, enters_in_a_callback, NULL, NULL), 0);
    return coil_sleep(0);
}

TEST(scope_outside_a_task_is_refused)
{
    EXPECT_RUN(enters_elsewhere(), 0);
}

COIL_ASYNC0(leaves_another_s)
{
    EXPECT_INT(coil_cancel_scope_exit(target, 0), COIL_ERUNTIME);
    coil_cancel_scope_leave(target);
    return 0;
}

COIL_ASYNC0(lets_another_leave)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    target = &scope;
    coil_task *task = coil_create_task(leaves_another_s());
    EXPECT_INT(coil_await(task, NULL), 0);
    coil_unref(task);
    return coil_cancel_scope_exit(&scope, 0);
}

TEST(only_the_task_that_entered_may_leave)
{
    EXPECT_RUN(lets_another_leave(), 0);
}

COIL_ASYNC_GEN0(yields_in_a_scope)
{
    coil_cancel_scope scope;
    coil_timeout limit;
    COIL_TRY(coil_timeout_enter(&limit, 5));
    int rc = coil_yield(1, NULL);
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    EXPECT_INT(coil_yield(2, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_cancel_scope_exit(&scope, 0), 0);
    if (rc == 0)
        rc = coil_yield(3, NULL);
    return coil_timeout_exit(&limit, rc);
}

COIL_ASYNC0(iterates)
{
    coil_value value;
    coil_cancel_scope scope;
    coil_gen *gen = yields_in_a_scope();
    EXPECT_INT(coil_cancel_scope_enter(&scope), 0);
    int rc;
    while ((rc = coil_gen_next(gen, &value)) == 0)
        note("%d", (int)value.integer);
    EXPECT_INT(rc, COIL_EEND);
    EXPECT_INT(coil_sleep(1), 0);
    coil_unref(gen);
    return coil_cancel_scope_exit(&scope, 0);
}

TEST(scope_cannot_stay_open_across_a_yield)
{
#ifdef COIL__ASAN
    SKIP("ASan keeps locals elsewhere: whose stack a scope lies on cannot be told");
#endif
    /* The consumer would be in it. A timeout may. */
    EXPECT_RUN(iterates(), 0);
    EXPECT_NOTES("1 3");
}

/* ---- left without exit -------------------------------------------------------------------------- */

static __attribute__((noinline)) int forgets_a_timeout(void)
{
    coil_timeout limit;
    EXPECT_INT(coil_timeout_enter(&limit, 50), 0);
    return coil_sleep(1);
}

static __attribute__((noinline)) int forgets_a_scope(bool cancel)
{
    coil_cancel_scope scope;
    EXPECT_INT(coil_cancel_scope_enter_after(&scope, 50), 0);
    if (cancel)
        EXPECT(coil_cancel_scope_cancel(&scope, NULL));
    return coil_sleep(1);
}

COIL_ASYNC0(ends_in_a_timeout)
{
    return forgets_a_timeout();
}

COIL_ASYNC0(forgets_and_goes_on)
{
    coil_timeout outer, next;
    coil_cancel_scope around;
    EXPECT_INT(coil_cancel_scope_enter(&around), 0);
    EXPECT_INT(coil_timeout_enter(&outer, 20), 0);
    EXPECT_INT(forgets_a_timeout(), 0);
    EXPECT_INT(coil_timeout_enter(&next, 20), 0); /* finds it */
    EXPECT_INT(reports[COIL_EVENT_SCOPE_LEFT], 1);
    EXPECT_INT(coil_timeout_exit(&next, 0), 0);
    EXPECT_INT(forgets_a_scope(false), 0);
    EXPECT_INT(coil_timeout_exit(&outer, 0), 0); /* so does this */
    EXPECT_INT(reports[COIL_EVENT_SCOPE_LEFT], 2);
    EXPECT_INT(coil_cancel_scope_exit(&around, 0), 0);
    EXPECT_INT(coil_sleep(100), 0);
    return 0;
}

TEST(limit_left_without_exit_is_reported_and_its_timer_goes)
{
#ifdef COIL__ASAN
    SKIP("ASan keeps locals elsewhere, and reports such a limit itself");
#endif
    /* It lies in memory that is somebody else's by then. */
    EXPECT_RUN_REPORTS(ends_in_a_timeout(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_SCOPE_LEFT], 1);
    EXPECT_RUN_REPORTS(forgets_and_goes_on(), 0, 2);
    EXPECT_INT(reports[COIL_EVENT_SCOPE_LEFT], 2);
}

/* ---- closing ------------------------------------------------------------------------------------ */

COIL_ASYNC0(shielded_for_ever)
{
    coil_cancel_scope section;
    EXPECT_INT(coil_cancel_scope_enter_shielded(&section, COIL_NO_TIMEOUT), 0);
    int rc = coil_sleep(100);
    EXPECT_INT(rc, COIL_ECLOSING);
    EXPECT_INT(reason().kind, COIL_CANCEL_CLOSING);
    note("closed");
    return coil_cancel_scope_exit(&section, rc);
}

TEST(closing_the_loop_goes_through_a_shielded_section)
{
    /* Its memory goes; nothing may stay. */
    coil_loop *closing = steps_loop(NULL);
    coil_unref(coil_create_task_with(closing, shielded_for_ever(), NULL));
    EXPECT_INT(coil_run_until_complete(closing, coil_sleep_coro(1, coil_nil()), NULL), 0);
    coil_loop_close(closing);
    coil_unref(closing);
    EXPECT_NOTES("closed");
}

TESTS_MAIN(RUN(every_wait_in_a_cancelled_scope_fails_until_it_is_left),
           RUN(refused_wait_takes_one_turn), RUN(what_need_not_wait_succeeds),
           RUN(wait_that_had_ended_keeps_its_result), RUN(scope_with_a_limit_is_cancelled_by_it),
           RUN(outermost_cancelled_scope_takes_the_cancellation),
           RUN(scopes_may_be_left_in_any_order),
           RUN(request_to_cancel_goes_through_a_cancelled_scope),
           RUN(request_in_a_scope_that_is_not_cancelled_is_told_once),
           RUN(timeout_and_scope_leave_each_other_theirs),
           RUN(scope_reaches_the_tasks_of_groups_in_it),
           RUN(group_in_a_cancelled_scope_waits_for_shielded_cleanup),
           RUN(scope_reaches_children_of_children_and_latecomers),
           RUN(cancellation_by_a_group_goes_through_a_scope_inside),
           RUN(group_that_fails_as_its_scope_is_cancelled),
           RUN(gather_wait_for_and_shield_are_waits_like_others),
           RUN(condition_takes_its_lock_back_in_a_cancelled_scope),
           RUN(shielded_section_waits_in_a_cancelled_scope), RUN(shielded_section_has_a_limit),
           RUN(request_during_a_shielded_section_comes_after_it),
           RUN(timeouts_and_groups_inside_a_shielded_section_work),
           RUN(timeout_around_a_shielded_section_comes_after_it),
           RUN(request_through_an_awaiting_task_respects_the_section),
           RUN(run_waits_for_shielded_cleanup_at_its_end), RUN(reason_says_who_where_and_why),
           RUN(reason_can_be_asked_of_tasks_and_futures), RUN(reason_tells_shutdown),
           RUN(refused_wait_tells_the_scope_s_reason), RUN(reason_without_memory_tells_the_kind),
           RUN(scoped_declaration_leaves_on_early_return), RUN(scope_outside_a_task_is_refused),
           RUN(only_the_task_that_entered_may_leave), RUN(scope_cannot_stay_open_across_a_yield),
           RUN(limit_left_without_exit_is_reported_and_its_timer_goes),
           RUN(closing_the_loop_goes_through_a_shielded_section))
