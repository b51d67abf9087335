/* Task groups: nothing outlives the block, no failure is lost, no cancellation is swallowed, and wrong use
 * is told. */
#include "lib/steps.h"

/* ---- children ----------------------------------------------------------------------------------- */

static int running; /* children that have begun and not ended */

COIL_ASYNC(sleeps, (double, delay))
{
    running++;
    int rc = coil_sleep(delay);
    running--;
    return rc;
}

COIL_ASYNC(returns_later, (int, number))
{
    COIL_TRY(coil_sleep(number));
    coil_return(number);
}

COIL_ASYNC(fails_after, (double, delay), (const char *, why))
{
    running++;
    int rc = coil_sleep(delay);
    running--;
    return rc < 0 ? rc : coil_raise(COIL_EAPP, "%s", why);
}

COIL_ASYNC(fails_in_cleanup, (double, delay), (const char *, why))
{
    running++;
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED)
        rc = coil_sleep(delay);
    running--;
    return rc < 0 ? rc : coil_raise(COIL_EAPP, "%s", why);
}

COIL_ASYNC(cleans_up, (double, delay))
{
    running++;
    int rc = coil_sleep(100);
    if (rc == COIL_ECANCELED)
        (void)coil_sleep(delay); /* whatever comes, it ends with the code it has */
    running--;
    return rc;
}

COIL_ASYNC(fails_at_once, (const char *, why))
{
    return coil_raise(COIL_EAPP, "%s", why);
}

COIL_ASYNC0(never_waits)
{
    coil_return(7);
}

/* The messages of the group that is the current error, with commas; groups in brackets. */
static void append_errors(char *text, size_t room, const coil_error *error)
{
    size_t length = strlen(text);
    if (coil_error_count(error) == 0) {
        snprintf(text + length, room - length, "%s", coil_error_message(error));
        return;
    }
    snprintf(text + length, room - length, "[");
    for (size_t i = 0; i < coil_error_count(error); i++) {
        if (i > 0)
            strncat(text, ",", room - strlen(text) - 1);
        append_errors(text, room, coil_error_at(error, i));
    }
    strncat(text, "]", room - strlen(text) - 1);
}

static const char *group_text(void)
{
    static char text[512];
    const coil_error *error = coil_error_current(COIL_EGROUP);
    text[0] = '\0';
    if (error)
        append_errors(text, sizeof text, error);
    return text;
}

static int spawn_two(coil_task_group *tg, coil_coro *a, coil_coro *b)
{
    int first = coil_task_group_spawn(tg, a), second = coil_task_group_spawn(tg, b);
    return first < 0 ? first : second;
}

/* ---- ending well -------------------------------------------------------------------------------- */

COIL_ASYNC0(collects)
{
    coil_task_group tg;
    EXPECT_INT(coil_task_group_enter(&tg), 0);
    coil_task *two = coil_task_group_create_task(&tg, returns_later(2));
    coil_task *one = coil_task_group_create_task_named(&tg, returns_later(1), "one");
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.stack_size = 64 * 1024;
    coil_task *three = coil_task_group_create_task_with(&tg, returns_later(3), &options);
    EXPECT_STR(coil_task_get_name(one), "one");
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 3);
    coil_task *tasks[] = { one, two, three };
    for (int i = 0; i < 3; i++) {
        coil_value value;
        EXPECT_INT(coil_future_result(tasks[i], &value), 0);
        EXPECT_INT(value.integer, i + 1);
        coil_unref(tasks[i]);
    }
    return 0;
}

TEST(group_waits_for_all_and_results_are_read_from_tasks)
{
    /* The normal case. */
    EXPECT_RUN(collects(), 0);
}

COIL_ASYNC0(passes_codes_through)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_exit(&tg, 42), 42);
    coil_task_group_enter(&tg);
    COIL_TRY(coil_task_group_spawn(&tg, sleeps(1)));
    EXPECT_INT(coil_task_group_exit(&tg, 42), 42);
    return 0;
}

TEST(good_result_of_block_comes_through)
{
    /* exit takes the block's result, whatever kind of count it is. */
    EXPECT_RUN(passes_codes_through(), 0);
}

COIL_ASYNC0(takes_no_turn)
{
    coil_task_group tg;
    COIL_TRY(coil_call_soon(NULL, note_callback, (void *)(uintptr_t) "callback", NULL));
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    EXPECT_NOTES("");
    return 0;
}

TEST(group_without_tasks_does_not_suspend)
{
    /* As in asyncio: other tasks run in exit only if there is something to wait for. */
    EXPECT_RUN(takes_no_turn(), 0);
    EXPECT_NOTES("callback");
}

enum {
    MANY = TEST_MANY_TASKS
};

COIL_ASYNC(has_many, (bool, fail))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = 0;
    for (int i = 0; i < MANY && rc == 0; i++)
        rc = coil_task_group_spawn(&tg, sleeps(1));
    if (fail && rc == 0)
        rc = coil_task_group_spawn(&tg, fails_after(0.5, "stop"));
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(running, 0);
    return rc;
}

TEST(group_holds_ten_thousand)
{
    /* In time that grows with their number only: a test that takes minutes has found otherwise. */
    EXPECT_RUN(has_many(false), 0);
    EXPECT_RUN_REPORTS(has_many(true), COIL_EGROUP, 0);
}

COIL_ASYNC(adds_sibling, (coil_task_group *, tg))
{
    COIL_TRY(coil_sleep(1));
    return coil_task_group_spawn(tg, sleeps(1));
}

static int spawn_in_callback(void *arg)
{
    return coil_task_group_spawn(arg, sleeps(3));
}

COIL_ASYNC0(grows_meanwhile)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    COIL_TRY(coil_call_later(NULL, 1.5, spawn_in_callback, &tg, NULL));
    int rc = coil_task_group_spawn(&tg, adds_sibling(&tg));
    EXPECT_INT(coil_task_group_exit(&tg, rc), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 4.5);
    return 0;
}

TEST(children_and_callbacks_add_tasks_while_group_waits)
{
    /* A child cannot know how many siblings its work needs before it runs. */
    EXPECT_RUN(grows_meanwhile(), 0);
}

COIL_ASYNC(outlives, (coil_task_group *, tg))
{
    (void)tg;
    return coil_sleep(1);
}

static int spawn_too_late(coil_future *future, void *arg)
{
    (void)future;
    EXPECT_INT(coil_task_group_spawn(arg, never_waits()), COIL_ERUNTIME);
    EXPECT(!coil_task_group_cancel(arg));
    note("refused");
    return 0;
}

COIL_ASYNC0(is_woken_but_has_not_run)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    coil_task *task = coil_task_group_create_task(&tg, outlives(&tg));
    COIL_TRY(coil_future_add_done_callback(task, spawn_too_late, &tg, NULL));
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    coil_unref(task);
    EXPECT_NOTES("refused");
    return 0;
}

TEST(task_that_comes_after_the_last_child_is_refused)
{
    /* The owner is queued and will leave: nobody would wait for the newcomer. */
    EXPECT_RUN(is_woken_but_has_not_run(), 0);
}

/* ---- failing ------------------------------------------------------------------------------------ */

COIL_ASYNC0(fails_in_order)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, fails_in_cleanup(2, "third"), fails_in_cleanup(1, "second"));
    if (rc == 0)
        rc = spawn_two(&tg, fails_after(1, "first"), cleans_up(3));
    EXPECT_INT(rc, 0);
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_STR(group_text(), "[first,second,third]");
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "unhandled errors in a task group");
    EXPECT_DOUBLE(coil_loop_time(NULL), 4);
    EXPECT_INT(running, 0);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    COIL_TRY(coil_sleep(0));
    return 0;
}

TEST(failures_in_cleanup_join_the_list_in_order_of_ending)
{
    /* No failure may be lost, and each is collected: nothing is reported beside the group. */
    EXPECT_RUN(fails_in_order(), 0);
}

COIL_ASYNC(notes_its_end, (const char *, name))
{
    int rc = coil_sleep(100);
    note("%s", name);
    return rc;
}

COIL_ASYNC0(cancels_three)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, notes_its_end("a"), notes_its_end("b"));
    if (rc == 0)
        rc = spawn_two(&tg, fails_after(1, "stop"), notes_its_end("c"));
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_NOTES("a b c");
    return rc;
}

TEST(children_are_cancelled_in_order_of_creation)
{
    /* asyncio keeps them in a set, and leaves it open. */
    EXPECT_RUN(cancels_three(), COIL_EGROUP);
}

COIL_ASYNC0(block_fails)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, fails_in_cleanup(1, "child"), cleans_up(2));
    EXPECT_INT(rc, 0);
    COIL_TRY(coil_sleep(1));
    rc = coil_task_group_exit(&tg, coil_raise(COIL_EAPP, "block"));
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_STR(group_text(), "[child,block]");
    EXPECT_DOUBLE(coil_loop_time(NULL), 3);

    /* A code without a record is as good. */
    coil_task_group_enter(&tg);
    rc = coil_task_group_exit(&tg, -EPIPE);
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_INT(coil_error_count(coil_error_current(rc)), 1);
    EXPECT_INT(coil_error_code(coil_error_at(coil_error_current(rc), 0)), -EPIPE);
    return 0;
}

TEST(error_of_block_comes_last)
{
    /* The block is a member of its group, and the one that ends last. */
    EXPECT_RUN(block_fails(), 0);
}

COIL_ASYNC0(child_is_cancelled)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    coil_task *child = coil_task_group_create_task(&tg, sleeps(100));
    int rc = coil_task_group_spawn(&tg, sleeps(2));
    EXPECT_INT(rc, 0);
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(child, "you only");
    EXPECT_INT(coil_task_group_exit(&tg, rc), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    EXPECT(coil_future_cancelled(child));
    coil_unref(child);
    return 0;
}

TEST(child_cancelled_alone_is_no_failure)
{
    /* Stopping one worker must not bring down the others. */
    EXPECT_RUN(child_is_cancelled(), 0);
}

static int inner_group(const char *why)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, sleeps(100), fails_after(1, why));
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC(in_own_task, (const char *, why))
{
    return inner_group(why);
}

COIL_ASYNC0(nests)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, in_own_task("child's"), sleeps(100));
    if (rc == 0)
        rc = inner_group("block's");
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_STR(group_text(), "[[child's],[block's]]");
    EXPECT_INT(running, 0);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    return 0;
}

TEST(groups_nest_in_a_task_and_across_tasks)
{
    /* An inner group's error is one error of the outer; its structure stays. */
    EXPECT_RUN(nests(), 0);
}

COIL_ASYNC0(child_exits)
{
    COIL_TRY(coil_sleep(1));
    return coil_exit(3);
}

COIL_ASYNC(group_with_exit, (bool, by_child))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, cleans_up(1));
    if (rc == 0 && by_child)
        rc = coil_task_group_spawn(&tg, child_exits());
    if (rc == 0)
        rc = coil_sleep(2);
    rc = coil_task_group_exit(&tg, by_child ? rc : coil_exit(3));
    EXPECT_INT(rc, COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(rc)), 3);
    EXPECT_INT(running, 0);
    return rc;
}

TEST(request_to_exit_goes_before_all_else)
{
    /* It must not end up in a list that somebody looks through for errors of their own. */
    EXPECT_RUN(group_with_exit(true), COIL_EEXIT);
    EXPECT_RUN(group_with_exit(false), COIL_EEXIT);
}

/* ---- cancellation ------------------------------------------------------------------------------- */

COIL_ASYNC0(yields_for_ever)
{
    int rc = 0;
    running++;
    while (rc == 0)
        rc = coil_sleep(0);
    running--;
    return rc;
}

/* A block, a child and a nested group which between them wait in every way a group has. */
COIL_ASYNC0(waits_everywhere)
{
    coil_task_group outer, inner;
    coil_task_group_enter(&outer);
    int rc = spawn_two(&outer, sleeps(2), cleans_up(0));
    if (rc == 0)
        rc = coil_sleep(0);
    if (rc == 0) {
        coil_task_group_enter(&inner);
        rc = spawn_two(&inner, yields_for_ever(), sleeps(0));
        if (rc == 0)
            rc = coil_sleep(0);
        (void)coil_task_group_cancel(&inner);
        rc = coil_task_group_exit(&inner, rc);
    }
    if (rc == 0)
        rc = coil_sleep(0);
    (void)coil_task_group_cancel(&outer);
    rc = coil_task_group_exit(&outer, rc);
    EXPECT_INT(running, 0);
    note("%s", rc == 0 ? "0" : coil_error_name(rc));
    int cancelling = coil_task_cancelling(coil_current_task());
    EXPECT(rc == COIL_ECANCELED ? cancelling == 1 : rc == 0 && cancelling <= 1);
    return rc;
}

static int turns_to_cancel; /* then the owner is cancelled */

COIL_ASYNC0(cancelled_in_turn)
{
    coil_task *owner = coil_create_task(waits_everywhere());
    for (int i = 0; i < turns_to_cancel; i++)
        COIL_TRY(coil_sleep(0));
    bool asked = coil_task_cancel(owner, "from outside");
    int rc = coil_await(owner, NULL);
    /* Asked before its end, it cannot end as if nothing had been. */
    EXPECT_INT(rc, asked ? COIL_ECANCELED : 0);
    coil_unref(owner);
    return asked;
}

TEST(every_suspension_point_can_be_cancelled)
{
    /* Whatever a group waits for, cancelling its owner ends all its tasks, and is never forgotten. */
    bool asked = true;
    int turns = 0;
    for (; asked && turns < 100; turns++) {
        turns_to_cancel = turns;
        size_t blocks = steps_blocks();
        coil_value value = coil_nil();
        int rc = steps_run(cancelled_in_turn(), &value, NULL);
        EXPECT_INT(rc >= 0, 1);
        EXPECT_INT(reports_total(), 0);
        EXPECT_INT(steps_blocks(), blocks);
        asked = strstr(notes_, "COIL_ECANCELED") != NULL || turns < 6;
        notes_[0] = '\0';
    }
    EXPECT(turns > 6 && turns < 100);
}

COIL_ASYNC(owns, (const char *, error))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = error ? coil_task_group_spawn(&tg, fails_in_cleanup(1, error))
                   : coil_task_group_spawn(&tg, cleans_up(1));
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 2);
    EXPECT_INT(running, 0);
    if (!error)
        return rc;
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
    return 0;
}

COIL_ASYNC(cancels_twice, (const char *, error))
{
    coil_task *owner = coil_create_task(owns(error));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(owner, "first");
    COIL_TRY(coil_sleep(0.5));
    coil_task_cancel(owner, "second");
    int rc = coil_await(owner, NULL);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    EXPECT_INT(rc, error ? 0 : COIL_ECANCELED);
    if (rc < 0)
        EXPECT_STR(coil_error_message(coil_error_current(rc)), "first");
    coil_unref(owner);
    return 0;
}

TEST(repeated_cancellation_does_not_cut_cleanup_short)
{
    /* The children are asked once; the first message is the one that counts. */
    EXPECT_RUN(cancels_twice(NULL), 0);
}

TEST(error_wins_over_cancellation_which_is_not_forgotten)
{
    /* It is delivered at the next await, and its count stays. */
    EXPECT_RUN(cancels_twice("cleanup"), 0);
}

static coil_task *owner_to_cancel;

static int cancel_owner(coil_future *future, void *arg)
{
    (void)future;
    (void)arg;
    coil_task_cancel(owner_to_cancel, "late");
    return 0;
}

COIL_ASYNC0(cancelled_when_woken)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    owner_to_cancel = coil_current_task();
    coil_task *child = coil_task_group_create_task(&tg, sleeps(1));
    /* Runs right after the group has been told: the owner is queued already. */
    COIL_TRY(coil_future_add_done_callback(child, cancel_owner, NULL, NULL));
    int rc = coil_task_group_exit(&tg, 0);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_STR(coil_error_message(coil_error_current(rc)), "late");
    EXPECT_INT(coil_future_result(child, NULL), 0);
    coil_unref(child);
    return rc;
}

TEST(cancellation_of_woken_owner_is_delivered)
{
    /* The last child had ended well, and still the cancellation must come out. */
    EXPECT_RUN(cancelled_when_woken(), COIL_ECANCELED);
}

/* ---- cancelling the group ----------------------------------------------------------------------- */

COIL_ASYNC(stops_group, (coil_task_group *, tg), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    EXPECT(coil_task_group_cancel(tg));
    EXPECT(coil_task_group_cancel(tg));
    note("stopped");
    EXPECT_INT(coil_sleep(0), COIL_ECANCELED); /* it is a member, too */
    return COIL_ECANCELED;
}

COIL_ASYNC(stopped_by_child, (bool, in_block))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, stops_group(&tg, 1), cleans_up(1));
    if (rc == 0 && in_block) {
        rc = coil_sleep(100);
        EXPECT_INT(rc, COIL_ECANCELED);
    }
    EXPECT_INT(coil_task_group_exit(&tg, rc), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    EXPECT(!coil_task_group_cancel(&tg));
    EXPECT_NOTES("stopped");
    return coil_sleep(0);
}

TEST(cancelled_group_ends_without_error)
{
    /* Enough is enough, and that is no failure: of the block, of a wait in exit. */
    EXPECT_RUN(stopped_by_child(true), 0);
    EXPECT_RUN(stopped_by_child(false), 0);
}

COIL_ASYNC0(stops_itself)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, fails_at_once("never"));
    EXPECT_INT(rc, 0);
    EXPECT(coil_task_group_cancel(&tg));
    EXPECT_INT(coil_task_group_spawn(&tg, never_waits()), COIL_ERUNTIME);
    EXPECT_INT(coil_task_group_exit(&tg, 5), 5);
    COIL_TRY(coil_sleep(0));

    coil_task_group_enter(&tg); /* with nothing in it, nobody even waits */
    EXPECT(coil_task_group_cancel(&tg));
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    return coil_sleep(0);
}

TEST(block_cancels_its_own_group)
{
    /* The request that was meant for the block must not hit what comes after it. */
    EXPECT_RUN(stops_itself(), 0);
}

COIL_ASYNC0(fails_while_stopping)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, fails_in_cleanup(1, "cleanup"));
    if (rc == 0)
        rc = coil_sleep(1);
    EXPECT(coil_task_group_cancel(&tg));
    EXPECT_INT(coil_task_group_exit(&tg, rc), COIL_EGROUP);
    EXPECT_STR(group_text(), "[cleanup]");
    return coil_sleep(0);
}

TEST(failure_in_cancelled_group_is_a_failure)
{
    /* Only the cancellation is forgiven. */
    EXPECT_RUN(fails_while_stopping(), 0);
}

COIL_ASYNC0(stops_in_two_ways)
{
    coil_task *self = coil_current_task();
    coil_task_group outer, inner;
    coil_task_group_enter(&outer);
    coil_task_group_enter(&inner);
    EXPECT(coil_task_group_cancel(&outer));
    EXPECT(coil_task_group_cancel(&inner));
    EXPECT_INT(coil_task_cancelling(self), 2);
    int rc = coil_sleep(1);
    EXPECT_INT(rc, COIL_ECANCELED);
    /* The inner one's request is taken back; the outer one's is still open, so the cancellation goes on. */
    rc = coil_task_group_exit(&inner, rc);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_INT(coil_task_cancelling(self), 1);
    EXPECT_INT(coil_task_group_exit(&outer, rc), 0);
    EXPECT_INT(coil_task_cancelling(self), 0);
    return coil_sleep(0);
}

TEST(cancelled_outer_group_is_not_swallowed_by_inner)
{
    /* Each takes back its own request, and only the last may suppress. */
    EXPECT_RUN(stops_in_two_ways(), 0);
}

COIL_ASYNC(stops_slowly, (bool, in_block))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = coil_task_group_spawn(&tg, cleans_up(2));
    if (rc == 0)
        rc = coil_sleep(1);
    EXPECT(coil_task_group_cancel(&tg));
    if (in_block) {
        EXPECT_INT(coil_sleep(0), COIL_ECANCELED);
        rc = COIL_ECANCELED;
    }
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC(stops_it_meanwhile, (bool, in_block))
{
    coil_task *owner = coil_create_task(stops_slowly(in_block));
    COIL_TRY(coil_sleep(2));
    coil_task_cancel(owner, "outside");
    EXPECT_INT(coil_await(owner, NULL), COIL_ECANCELED);
    if (!in_block) /* else the block's own record is passed on, which has no message */
        EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "outside");
    EXPECT_INT(coil_task_cancelling(owner), 1);
    EXPECT_DOUBLE(coil_loop_time(NULL), 3);
    coil_unref(owner);
    return 0;
}

TEST(cancellation_from_outside_is_not_taken_for_the_groups_own)
{
    /* Both come in the same wait; somebody (a time limit, the end of the program) counts on the other. */
    EXPECT_RUN(stops_it_meanwhile(true), 0);
    EXPECT_RUN(stops_it_meanwhile(false), 0);
}

/* ---- eager tasks -------------------------------------------------------------------------------- */

COIL_ASYNC0(eager_children)
{
    coil_set_task_factory(NULL, coil_eager_task_factory, NULL);
    coil_task_group tg;
    coil_task_group_enter(&tg);
    coil_task *quick = coil_task_group_create_task(&tg, never_waits());
    EXPECT(coil_future_done(quick));
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(1)), 0);
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    coil_unref(quick);

    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(100)), 0);
    EXPECT_INT(coil_task_group_spawn(&tg, fails_at_once("on the spot")), 0);
    EXPECT_INT(coil_task_group_spawn(&tg, never_waits()), COIL_ERUNTIME);
    int rc = coil_sleep(1);
    EXPECT_INT(rc, COIL_ECANCELED);
    EXPECT_INT(coil_task_group_exit(&tg, rc), COIL_EGROUP);
    EXPECT_STR(group_text(), "[on the spot]");
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_INT(coil_task_cancelling(coil_current_task()), 0);
    return 0;
}

TEST(eager_child_may_end_before_it_is_created)
{
    /* It is heard of at once, its failure too. */
    EXPECT_RUN(eager_children(), 0);
}

COIL_ASYNC0(group_in_first_step)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(1)), 0);
    note("inside");
    int rc = coil_task_group_exit(&tg, 0);
    note("over");
    return rc;
}

COIL_ASYNC0(makes_eager_owner)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.eager = true;
    coil_task *owner = coil_create_task_with(NULL, group_in_first_step(), &options);
    EXPECT_NOTES("inside");
    EXPECT_INT(coil_await(owner, NULL), 0);
    EXPECT_NOTES("over");
    coil_unref(owner);
    return 0;
}

TEST(group_may_begin_in_an_eager_first_step)
{
    /* Its owner is the eager task, not the one whose step goes on around it. */
    EXPECT_RUN(makes_eager_owner(), 0);
}

/* ---- wrong use ---------------------------------------------------------------------------------- */

TEST(entering_outside_a_task_fails_and_so_does_all_else)
{
    /* So that the result of enter need not be looked at. */
    coil_task_group tg;
    EXPECT_INT(coil_task_group_enter(&tg), COIL_ENOTASK);
    EXPECT_INT(coil_task_group_spawn(&tg, never_waits()), COIL_ENOTASK);
    EXPECT_PTR(coil_task_group_create_task(&tg, never_waits()), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOTASK);
    EXPECT(!coil_task_group_cancel(&tg));
    EXPECT_INT(coil_task_group_exit(&tg, 0), COIL_ENOTASK);
    EXPECT_INT(coil_task_group_enter(&tg), COIL_ENOTASK);
    EXPECT_INT(coil_task_group_exit(&tg, -EPIPE), -EPIPE);
    EXPECT_INT(coil_task_group_exit(&tg, 0), COIL_ERUNTIME);
    coil__errors_forget_thread();
}

COIL_ASYNC0(enters_by_hand)
{
    coil_task_group tg;
    EXPECT_INT(coil_task_group_enter(&tg), COIL_ENOTASK);
    return coil_task_group_exit(&tg, 0);
}

COIL_ASYNC0(drives)
{
    coil_coro *coro = enters_by_hand();
    EXPECT_INT(coil_coro_send(coro, NULL), COIL_ENOTASK);
    coil_unref(coro);
    return 0;
}

TEST(coroutine_driven_by_hand_has_no_groups)
{
    /* It is no task: there is nothing to cancel, and nobody who could wait. */
    EXPECT_RUN(drives(), 0);
}

static coil_task_group shared;

COIL_ASYNC0(leaves_the_group_of_another)
{
    EXPECT_INT(coil_task_group_exit(&shared, 0), COIL_ERUNTIME);
    return 0;
}

static int leave_in_callback(void *arg)
{
    EXPECT_INT(coil_task_group_exit(arg, 0), COIL_ERUNTIME);
    return 0;
}

COIL_ASYNC0(misuses)
{
    coil_task_group tg = COIL_TASK_GROUP_INIT;
    EXPECT_INT(coil_task_group_exit(&tg, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_task_group_spawn(&tg, never_waits()), COIL_ERUNTIME);
    EXPECT(!coil_task_group_cancel(&tg));

    EXPECT_INT(coil_task_group_enter(&tg), 0);
    EXPECT_INT(coil_task_group_enter(&tg), COIL_ERUNTIME);
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(1)), 0); /* it has not suffered */
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    EXPECT_INT(coil_task_group_exit(&tg, 0), COIL_ERUNTIME);
    EXPECT_INT(coil_task_group_exit(&tg, -EPIPE), COIL_ERUNTIME);
    EXPECT_INT(coil_task_group_spawn(&tg, never_waits()), COIL_ERUNTIME);

    EXPECT_INT(coil_task_group_enter(&shared), 0);
    EXPECT_INT(coil_task_group_spawn(&shared, leaves_the_group_of_another()), 0);
    COIL_TRY(coil_call_soon(NULL, leave_in_callback, &shared, NULL));
    EXPECT_INT(coil_task_group_spawn(&shared, NULL), COIL_ENOMEM);
    EXPECT_INT(coil_task_group_exit(&shared, 0), 0);
    return 0;
}

TEST(wrong_use_is_told)
{
    /* Before enter, after exit, twice, and by another: a code each, and nothing is harmed. */
    EXPECT_RUN(misuses(), 0);
}

COIL_ASYNC0(ends_in_any_order)
{
    coil_task_group a, b;
    coil_task_group_enter(&a);
    coil_task_group_enter(&b);
    EXPECT_INT(spawn_two(&a, sleeps(1), sleeps(1)), 0);
    EXPECT_INT(coil_task_group_spawn(&b, sleeps(2)), 0);
    EXPECT_INT(coil_task_group_exit(&a, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_INT(coil_task_group_exit(&b, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    return 0;
}

TEST(groups_of_one_task_may_end_in_any_order)
{
    /* Unusual, but no mistake: only a group that is really left behind is reported. */
    EXPECT_RUN(ends_in_any_order(), 0);
}

/* ---- left without exit -------------------------------------------------------------------------- */

static __attribute__((noinline)) int leaves_early(coil_coro *child)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    return coil_task_group_spawn(&tg, child);
}

COIL_ASYNC(forgets_a_group, (const char *, error))
{
    COIL_TRY(leaves_early(error ? fails_after(1, error) : sleeps(1)));
    return 0;
}

COIL_ASYNC(outlasts, (const char *, error))
{
    COIL_TRY(coil_spawn(forgets_a_group(error)));
    COIL_TRY(coil_sleep(0.5));
    EXPECT_INT(reports[COIL_EVENT_GROUP_LEFT], 1);
    EXPECT_INT(running, 1);
    COIL_TRY(coil_sleep(2));
    EXPECT_INT(running, 0);
    return 0;
}

TEST(group_left_without_exit_is_reported_and_its_tasks_go_on)
{
    /* The struct is gone with its frame: a child that ends later must not look for it. */
    EXPECT_RUN_REPORTS(outlasts(NULL), 0, 1);
    EXPECT_RUN_REPORTS(outlasts("alone"), 0, 2);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
}

#ifdef COIL__ASAN
extern int __asan_option_detect_stack_use_after_return;
#endif

/* False if ASan moves frames to the heap, where a dead one looks like a live one. */
static bool frames_are_on_their_stack(void)
{
#ifdef COIL__ASAN
    return !__asan_option_detect_stack_use_after_return;
#else
    return true;
#endif
}

COIL_ASYNC0(goes_on_elsewhere)
{
    COIL_TRY(leaves_early(fails_after(1, "lost")));
    coil_task_group tg;
    coil_task_group_enter(&tg); /* finds what lies below it */
    EXPECT_INT(reports[COIL_EVENT_GROUP_LEFT], 1);
    return coil_task_group_exit(&tg, coil_sleep(0.5));
}

TEST(group_left_behind_is_found_by_the_next)
{
    /* A task that runs for weeks should not report at its end only. */
    if (!frames_are_on_their_stack())
        SKIP("ASan has moved the frames, detect_stack_use_after_return=0 keeps it from that");
    EXPECT_RUN_REPORTS(goes_on_elsewhere(), 0, 1);
}

COIL_ASYNC0(is_cancelled_by_a_lost_group)
{
    COIL_TRY(leaves_early(fails_after(1, "lost")));
    int rc = coil_sleep(2);
    EXPECT_INT(rc, COIL_ECANCELED); /* of the group's failing child */
    return 0;
}

COIL_ASYNC0(awaits_that)
{
    coil_task *task = coil_create_task(is_cancelled_by_a_lost_group());
    EXPECT_INT(coil_await(task, NULL), 0);
    EXPECT_INT(coil_task_cancelling(task), 0);
    coil_unref(task);
    return 0;
}

TEST(errors_of_a_group_left_behind_are_reported)
{
    /* Nobody will list them: each is reported, beside the group itself. */
    EXPECT_RUN_REPORTS(awaits_that(), 0, 2);
    EXPECT_INT(reports[COIL_EVENT_GROUP_LEFT], 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
}

COIL_ASYNC0(writes_over_the_struct)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(1)), 0);
    memset(&tg, 0, sizeof tg);
    EXPECT_INT(coil_task_group_enter(&tg), 0);
    EXPECT_INT(reports[COIL_EVENT_GROUP_LEFT], 1);
    EXPECT_INT(coil_task_group_spawn(&tg, sleeps(2)), 0);
    EXPECT_INT(coil_task_group_exit(&tg, 0), 0);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    return 0;
}

TEST(struct_that_was_written_over_begins_anew)
{
    /* The same frame of the same function, once more. */
    EXPECT_RUN_REPORTS(writes_over_the_struct(), 0, 1);
}

/* ---- closing ------------------------------------------------------------------------------------ */

COIL_ASYNC(waits_when_closed, (bool, in_block), (bool, failed))
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, cleans_up(1), sleeps(100));
    if (rc == 0 && failed)
        rc = coil_task_group_spawn(&tg, fails_at_once("before"));
    if (rc == 0 && in_block)
        rc = coil_sleep(100);
    rc = coil_task_group_exit(&tg, rc);
    note("%s", coil_error_name(rc));
    return rc;
}

/* A loop that is closed while a group waits, after so many turns. */
static void close_meanwhile(bool in_block, bool failed, int turns)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *owner = coil_create_task_with(loop, waits_when_closed(in_block, failed), NULL);
    for (int i = 0; i < turns; i++) {
        coil_loop_stop(loop);
        EXPECT_INT(coil_run_forever(loop), 0);
    }
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(running, 0);
    coil_unref(owner);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(closing_the_loop_lets_waiting_groups_go)
{
    /* The owner goes first: its children are ended by the loop, and find no group. */
    close_meanwhile(true, false, 2);
    EXPECT_NOTES("COIL_ECLOSING");
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 3);
    close_meanwhile(false, false, 2);
    EXPECT_NOTES("COIL_ECLOSING");
}

COIL_ASYNC(uses_owners_memory, (int *, ended))
{
    int rc = coil_sleep(10);
    rc = rc == COIL_ECLOSING ? coil_sleep(1) : 0; /* waits once more: in vain */
    ++*ended;
    return rc;
}

COIL_ASYNC(group_in_group, (int *, ended))
{
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int own = 0, rc = coil_task_group_spawn(&tg, uses_owners_memory(&own));
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(own, 1);
    ++*ended;
    return rc;
}

COIL_ASYNC(owns_memory, (int *, what))
{
    int ended = 0;
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = coil_task_group_spawn(&tg, uses_owners_memory(&ended));
    if (rc == 0)
        rc = coil_task_group_spawn(&tg, group_in_group(&ended));
    if (rc == 0)
        rc = coil_task_group_spawn(&tg, uses_owners_memory(&ended));
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(rc, COIL_ECLOSING);
    *what = ended;
    return rc;
}

TEST(children_end_before_their_owner_when_the_loop_is_closed)
{
    /* They may work on what lies in the owner's frame. */
    int ended = 0;
    coil_loop *loop = steps_loop(NULL);
    coil_task *owner = coil_create_task_with(loop, owns_memory(&ended), NULL);
    for (int i = 0; i < 3; i++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT(coil_future_cancelled(owner));
    coil_unref(owner);
    coil_unref(loop);
    EXPECT_INT(ended, 3);
}

TEST(closing_the_loop_loses_no_failure)
{
    /* In whatever state the group is: the child has failed and nobody has heard, the siblings are being
     * cancelled, or have been. */
    for (int turns = 2; turns < 5; turns++) {
        close_meanwhile(false, true, turns);
        EXPECT_NOTES("COIL_EGROUP");
        EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1); /* the owner's */
        close_meanwhile(true, true, turns);
        EXPECT_NOTES("COIL_EGROUP");
    }
}

/* ---- out of memory ------------------------------------------------------------------------------ */

COIL_ASYNC0(group_that_ends_well)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    coil_task *task = coil_task_group_create_task(&tg, sleeps(1));
    int rc = task ? coil_task_group_spawn(&tg, sleeps(2)) : coil_error_last();
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(running, 0);
    if (rc == COIL_EGROUP)
        rc = coil_error_code(coil_error_at(coil_error_current(rc), 0));
    coil_unref(task);
    return rc;
}

COIL_ASYNC0(group_that_fails)
{
    coil_task_group tg;
    coil_task_group_enter(&tg);
    int rc = spawn_two(&tg, fails_after(1, "one"), fails_in_cleanup(1, "two"));
    int begun = rc;
    rc = coil_task_group_exit(&tg, rc);
    EXPECT_INT(running, 0);
    EXPECT(rc < 0);
    if (begun == 0 && rc != COIL_EGROUP) {
        /* Whom the list cannot hold, the report names. */
        EXPECT_INT(rc, COIL_ENOMEM);
        EXPECT(reports[COIL_EVENT_TASK_ERROR_UNREAD] > 0);
    }
    return rc == COIL_EGROUP ? 0 : rc;
}

static void sweep(coil_coro *(*program)(void))
{
    bool failed = true;
    long nth = 1;
    for (; failed && nth < 1000; nth++) {
        size_t blocks = steps_blocks();
        coil_testing_fail_alloc(nth);
        coil_coro *coro = program();
        int rc = coro ? steps_run(coro, NULL, NULL) : COIL_ENOMEM;
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || (failed && rc == COIL_ENOMEM));
        if (!EXPECT_INT(steps_blocks(), blocks))
            test_report_(__FILE__, __LINE__, "allocation %ld", nth);
    }
    EXPECT(nth > 10 && nth < 1000);
}

TEST(group_survives_every_failed_allocation)
{
    /* Starting, waiting and failing: a code comes out, nothing is lost, nothing goes on alone. */
    sweep(group_that_ends_well);
    sweep(group_that_fails);
}

/* clang-format off */
TESTS_MAIN(
    RUN(group_waits_for_all_and_results_are_read_from_tasks),
    RUN(good_result_of_block_comes_through),
    RUN(group_without_tasks_does_not_suspend),
    RUN(group_holds_ten_thousand),
    RUN(children_and_callbacks_add_tasks_while_group_waits),
    RUN(task_that_comes_after_the_last_child_is_refused),
    RUN(failures_in_cleanup_join_the_list_in_order_of_ending),
    RUN(children_are_cancelled_in_order_of_creation),
    RUN(error_of_block_comes_last),
    RUN(child_cancelled_alone_is_no_failure),
    RUN(groups_nest_in_a_task_and_across_tasks),
    RUN(request_to_exit_goes_before_all_else),
    RUN(every_suspension_point_can_be_cancelled),
    RUN(repeated_cancellation_does_not_cut_cleanup_short),
    RUN(error_wins_over_cancellation_which_is_not_forgotten),
    RUN(cancellation_of_woken_owner_is_delivered),
    RUN(cancelled_group_ends_without_error),
    RUN(block_cancels_its_own_group),
    RUN(failure_in_cancelled_group_is_a_failure),
    RUN(cancelled_outer_group_is_not_swallowed_by_inner),
    RUN(cancellation_from_outside_is_not_taken_for_the_groups_own),
    RUN(eager_child_may_end_before_it_is_created),
    RUN(group_may_begin_in_an_eager_first_step),
    RUN(entering_outside_a_task_fails_and_so_does_all_else),
    RUN(coroutine_driven_by_hand_has_no_groups),
    RUN(wrong_use_is_told),
    RUN(groups_of_one_task_may_end_in_any_order),
    RUN(group_left_without_exit_is_reported_and_its_tasks_go_on),
    RUN(group_left_behind_is_found_by_the_next),
    RUN(errors_of_a_group_left_behind_are_reported),
    RUN(struct_that_was_written_over_begins_anew),
    RUN(closing_the_loop_lets_waiting_groups_go),
    RUN(children_end_before_their_owner_when_the_loop_is_closed),
    RUN(closing_the_loop_loses_no_failure),
    RUN(group_survives_every_failed_allocation))
/* clang-format on */
