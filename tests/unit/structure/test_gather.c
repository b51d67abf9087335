/* gather: results in their places, the first error, cancellation, and who owns what. */
#include "lib/steps.h"

COIL_ASYNC(returns_after, (double, delay), (int, number))
{
    COIL_TRY(coil_sleep(delay));
    note("%d", number);
    coil_return(number);
}

COIL_ASYNC(fails_after, (double, delay), (int, code))
{
    COIL_TRY(coil_sleep(delay));
    return coil_raise(code, "failed after %g", delay);
}

COIL_ASYNC(returns_counted, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    *coil_result = counted();
    return 0;
}

static void clear_all(coil_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        coil_value_clear(&values[i]);
}

/* ---- results ------------------------------------------------------------------------------------ */

COIL_ASYNC0(gathers_in_order)
{
    coil_value results[3];
    COIL_TRY(coil_gather(results, returns_after(3, 1), returns_after(1, 2), returns_after(2, 3)));
    for (int i = 0; i < 3; i++)
        EXPECT_INT(results[i].integer, i + 1);
    EXPECT_DOUBLE(coil_loop_time(NULL), 3);
    COIL_TRY(coil_gather(NULL, returns_after(1, 4), returns_after(1, 5)));
    EXPECT_DOUBLE(coil_loop_time(NULL), 4);
    return 0;
}

TEST(results_stand_in_the_order_of_the_arguments)
{
    /* Not in that of completion; and all ran side by side. */
    EXPECT_RUN(gathers_in_order(), 0);
    EXPECT_NOTES("2 3 1 4 5");
}

COIL_ASYNC0(gathers_owned)
{
    coil_value results[2];
    COIL_TRY(coil_gather(results, returns_counted(1), returns_counted(0)));
    EXPECT_INT(dropped, 0);
    clear_all(results, 2);
    EXPECT_INT(dropped, 2);

    coil_task *task = coil_create_task(returns_counted(1));
    coil_future *future = coil_create_future(NULL);
    coil_future_set_result(future, counted());
    COIL_TRY(coil_gather(results, task, future));
    clear_all(results, 2);
    EXPECT_INT(dropped, 2);
    coil_unref(task);
    coil_unref(future);
    EXPECT_INT(dropped, 4);

    COIL_TRY(coil_gather(NULL, returns_counted(1), returns_counted(0)));
    EXPECT_INT(dropped, 6);
    return 0;
}

TEST(results_of_coroutines_are_moved_and_those_of_futures_are_views)
{
    /* Clearing every one is always right; what nobody wants is cleared by gather. */
    EXPECT_RUN(gathers_owned(), 0);
}

COIL_ASYNC0(gathers_repeated)
{
    coil_value results[4];
    coil_coro *coro = returns_counted(0);
    COIL_TRY(coil_gather(results, coro, coro, returns_after(0, 7), coro));
    for (int i = 0; i < 4; i++)
        EXPECT(i == 2 ? results[i].integer == 7 : results[i].pointer == &dropped);
    clear_all(results, 4);
    EXPECT_INT(dropped, 1);

    coil_task *task = coil_create_task(returns_counted(0));
    COIL_TRY(coil_gather(results, task, task));
    clear_all(results, 2);
    EXPECT_INT(dropped, 1);
    coil_unref(task);
    EXPECT_INT(dropped, 2);
    return 0;
}

TEST(object_given_twice_runs_once_and_its_result_has_one_owner)
{
    /* The second place holds a view, so clearing both is right. */
    EXPECT_RUN(gathers_repeated(), 0);
    EXPECT_NOTES("7");
}

COIL_ASYNC0(gathers_done_and_nothing)
{
    coil_future *future = coil_create_future(NULL);
    coil_value result;
    coil_future_set_result(future, coil_int(4));
    EXPECT_INT(coil_spawn(returns_after(0, 9)), 0);
    COIL_TRY(coil_gather(&result, future));
    EXPECT_INT(result.integer, 4);
    EXPECT_INT(coil_gather_array(NULL, NULL, 0, 0), 0);
    coil_unref(future);

    coil_future *empty = coil_gather_future(NULL, NULL, 0, 0);
    EXPECT(coil_future_done(empty));
    EXPECT_INT(coil_future_result(empty, &result), 0);
    EXPECT_INT(result.kind, COIL_LIST);
    EXPECT_INT((long long)coil_list_count(result.list), 0);
    coil_unref(empty);
    EXPECT_NOTES("");
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    EXPECT_NOTES("9");
    return 0;
}

TEST(gathering_what_is_done_does_not_give_way)
{
    /* Suspends unless all are done already; nothing at all is done, too. */
    EXPECT_RUN(gathers_done_and_nothing(), 0);
}

/* ---- errors ------------------------------------------------------------------------------------- */

COIL_ASYNC0(gathers_failures)
{
    coil_value results[3] = { coil_int(7), coil_int(7), coil_int(7) };
    EXPECT_INT(coil_gather(results, returns_counted(3), fails_after(1, COIL_EAPP),
                           fails_after(2, COIL_EFULL)),
               COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "failed after 1");
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    EXPECT_INT(results[0].integer, 7);
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 3);
    COIL_TRY(coil_sleep(5));
    EXPECT_INT(dropped, 1);
    EXPECT_INT((long long)coil_all_tasks(NULL, NULL, 0), 1);
    return 0;
}

TEST(first_error_ends_gather_and_the_others_run_on)
{
    /* Later errors are not reported: gather has taken the children's errors over. */
    EXPECT_RUN(gathers_failures(), 0);
}

COIL_ASYNC0(fails_bare)
{
    return -EPIPE;
}

COIL_ASYNC0(collects_failures)
{
    coil_value results[5];
    coil_future *cancelled = coil_create_future(NULL);
    coil_future_cancel(cancelled, "not wanted");
    COIL_TRY(coil_gather_collect(results, fails_after(1, COIL_EAPP), returns_counted(2),
                                 fails_bare(), cancelled, returns_after(0, 3)));
    EXPECT_INT(results[0].kind, COIL_ERROR);
    EXPECT_INT(coil_error_code(results[0].error), COIL_EAPP);
    EXPECT_STR(coil_error_message(results[0].error), "failed after 1");
    EXPECT_PTR(results[1].pointer, &dropped);
    EXPECT_INT(results[2].kind, COIL_ERROR);
    EXPECT_INT(coil_error_code(results[2].error), -EPIPE);
    EXPECT_INT(results[3].kind, COIL_ERROR);
    EXPECT_INT(coil_error_code(results[3].error), COIL_ECANCELED);
    EXPECT_STR(coil_error_message(results[3].error), "not wanted");
    EXPECT_INT(results[4].integer, 3);
    EXPECT_DOUBLE(coil_loop_time(NULL), 2);
    clear_all(results, 5);
    EXPECT_INT(dropped, 1);
    coil_unref(cancelled);
    return 0;
}

TEST(collect_waits_for_all_and_puts_errors_in_their_places)
{
    /* With records, also where only a code was returned; a cancelled child is one of them. */
    EXPECT_RUN(collects_failures(), 0);
    EXPECT_NOTES("3");
}

COIL_ASYNC0(gathers_null)
{
    coil_coro *none = NULL, *twice = returns_after(0, 2);
    coil_raise(COIL_ENOMEM, "a constructor's");
    EXPECT_INT(coil_gather(NULL, returns_after(0, 1), none, twice), COIL_ENOMEM);
    coil_coro *used = coil_ref(returns_after(0, 3));
    COIL_TRY(coil_await(used, NULL));
    EXPECT_INT(coil_gather(NULL, returns_after(0, 4), used, returns_after(0, 5)), COIL_EREUSED);
    COIL_TRY(coil_sleep(1));
    return 0;
}

TEST(failing_gather_consumes_its_coroutines_and_starts_none)
{
    /* NULL hands on its code; with a coroutine that was used, those begun are cancelled unrun. */
    EXPECT_RUN(gathers_null(), 0);
    EXPECT_NOTES("3");
    EXPECT_INT(coil_gather(NULL, returns_after(0, 1), returns_after(0, 2)), COIL_ENOTASK);
    EXPECT_PTR(coil_gather_future(NULL, (void *[]){ returns_after(0, 1) }, 1, 0), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
}

TEST(gather_future_refuses_mixed_loops_and_needs_none_to_run)
{
    /* It belongs to the loop of the first future among its arguments. */
    size_t blocks = steps_blocks();
    coil_loop *one = steps_loop(NULL), *two = coil_testing_virtual_loop(NULL);
    coil_future *a = coil_create_future(one), *b = coil_create_future(two);
    EXPECT_PTR(coil_gather_future(NULL, (void *[]){ a, returns_after(0, 1), b }, 3, 0), NULL);
    EXPECT_INT(coil_error_last(), COIL_EWRONGLOOP);
    EXPECT_PTR(coil_gather_future(two, (void *[]){ a }, 1, 0), NULL);
    EXPECT_INT(coil_error_last(), COIL_EWRONGLOOP);

    coil_future *all = coil_gather_future(NULL, (void *[]){ returns_after(0, 1), a }, 2, 0);
    EXPECT_PTR(coil_future_get_loop(all), one);
    EXPECT(!coil_is_task(all));
    coil_future_set_result(a, coil_int(8));
    coil_value list;
    EXPECT_INT(coil_run_until_complete(one, all, &list), 0);
    EXPECT_INT((long long)coil_list_count(list.list), 2);
    EXPECT_INT(coil_list_at(list.list, 0).integer, 1);
    EXPECT_INT(coil_list_at(list.list, 1).integer, 8);
    coil_unref(all);
    coil_unref(a);
    coil_unref(b);
    EXPECT_INT(coil_loop_close(one), 0);
    EXPECT_INT(coil_loop_close(two), 0);
    coil_unref(one);
    coil_unref(two);
    EXPECT_INT(steps_blocks(), blocks);
    EXPECT_NOTES("1");
}

COIL_ASYNC0(gathers_late_failure)
{
    coil_future *late = coil_create_future(NULL), *early = coil_create_future(NULL);
    coil_future *all = coil_gather_future(NULL, (void *[]){ early, late }, 2, 0);
    coil_future_set_exception(early, COIL_EAPP);
    EXPECT_INT(coil_await(all, NULL), COIL_EAPP);
    coil_unref(all);
    coil_future_set_exception(late, COIL_EFULL);
    COIL_TRY(coil_sleep(0));
    coil_unref(early);
    coil_unref(late);

    late = coil_create_future(NULL);
    all = coil_gather_future(NULL, (void *[]){ late }, 1, 0);
    coil_future_set_exception(late, COIL_EAPP);
    coil_unref(late);
    coil_unref(all);
    COIL_TRY(coil_sleep(0));
    return 0;
}

TEST(gathering_whose_error_nobody_looks_at_is_reported_once)
{
    /* For the whole: not once more for the child. */
    EXPECT_RUN_REPORTS(gathers_late_failure(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_FUTURE_ERROR_UNREAD], 1);
}

/* ---- cancellation ------------------------------------------------------------------------------- */

COIL_ASYNC(ends, (int, number), (bool, swallows))
{
    int rc = coil_sleep(10);
    note("%d:%s", number, coil_error_name(rc));
    COIL_TRY(coil_sleep(number));
    return swallows ? 0 : rc;
}

COIL_ASYNC(gathers_two, (bool, first_swallows), (bool, second_swallows))
{
    return coil_gather(NULL, ends(1, first_swallows), ends(2, second_swallows));
}

COIL_ASYNC(cancels_gather, (bool, first_swallows), (bool, second_swallows), (double, end))
{
    coil_task *task = coil_create_task(gathers_two(first_swallows, second_swallows));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(coil_loop_time(NULL), end);
    coil_unref(task);
    return 0;
}

TEST(cancelled_gather_cancels_its_children_and_ends_with_the_first)
{
    /* Or with the last, if they swallow it; but cancelled, since somebody wanted that. */
    EXPECT_RUN(cancels_gather(false, false, 2), 0);
    EXPECT_NOTES("1:COIL_ECANCELED 2:COIL_ECANCELED");
    EXPECT_RUN(cancels_gather(true, false, 3), 0);
    EXPECT_NOTES("1:COIL_ECANCELED 2:COIL_ECANCELED");
    EXPECT_RUN(cancels_gather(true, true, 3), 0);
    EXPECT_NOTES("1:COIL_ECANCELED 2:COIL_ECANCELED");
}

COIL_ASYNC0(cancels_one_child)
{
    coil_task *child = coil_create_task(returns_after(5, 1));
    coil_future *all = coil_gather_future(NULL, (void *[]){ child, returns_after(6, 2) }, 2, 0);
    COIL_TRY(coil_sleep(0));
    coil_task_cancel(child, "this one");
    EXPECT_INT(coil_await(all, NULL), COIL_ECANCELED);
    EXPECT(!coil_future_cancelled(all));
    EXPECT_DOUBLE(coil_loop_time(NULL), 0);
    EXPECT(!coil_future_cancel(all, NULL));
    coil_unref(all);
    coil_unref(child);
    COIL_TRY(coil_sleep(10));
    return 0;
}

TEST(child_cancelled_on_its_own_fails_gather_but_not_its_siblings)
{
    /* The gathering has failed with COIL_ECANCELED; it is not itself cancelled. */
    EXPECT_RUN(cancels_one_child(), 0);
    EXPECT_NOTES("2");
}

COIL_ASYNC0(cancels_gathering_future)
{
    coil_future *all = coil_gather_future(
        NULL, (void *[]){ returns_after(5, 1), returns_after(6, 2) }, 2, COIL_GATHER_COLLECT);
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_future_cancel(all, NULL));
    EXPECT(!coil_future_done(all));
    EXPECT_INT(coil_await(all, NULL), COIL_ECANCELED);
    coil_unref(all);
    return 0;
}

TEST(cancelling_the_gathering_asks_the_children)
{
    /* It is done when they are, also if it collects errors. */
    EXPECT_RUN(cancels_gathering_future(), 0);
    EXPECT_NOTES("");
}

COIL_ASYNC0(nests)
{
    coil_value results[2], inner;
    coil_future *first = coil_gather_future(NULL, (void *[]){ returns_after(1, 1) }, 1, 0);
    coil_future *second = coil_gather_future(NULL, (void *[]){ returns_counted(2) }, 1, 0);
    COIL_TRY(coil_gather(results, first, second));
    inner = coil_list_at(results[0].list, 0);
    EXPECT_INT(inner.integer, 1);
    inner = coil_list_at(results[1].list, 0);
    EXPECT_PTR(inner.pointer, &dropped);
    clear_all(results, 2);
    coil_unref(first);
    EXPECT_INT(dropped, 0);
    coil_unref(second);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(gatherings_nest)
{
    /* A gathering is a future; its list owns what its own coroutines returned. */
    EXPECT_RUN(nests(), 0);
    EXPECT_NOTES("1");
}

/* ---- many --------------------------------------------------------------------------------------- */

COIL_ASYNC0(gathers_ten_thousand)
{
    enum {
        COUNT = TEST_MANY_TASKS
    };
    void **coros = malloc(COUNT * sizeof *coros);
    coil_value *results = malloc(COUNT * sizeof *results);
    int64_t sum = 0;
    for (int i = 0; i < COUNT; i++)
        coros[i] = coil_sleep_coro((i * 7919) % 100, coil_int(i));
    int rc = coil_gather_array(results, coros, COUNT, 0);
    EXPECT_INT(rc, 0);
    for (int i = 0; i < COUNT && rc == 0; i++) {
        sum += results[i].integer;
        if (results[i].integer != i)
            EXPECT_INT(results[i].integer, i);
    }
    EXPECT_INT(sum, (int64_t)COUNT * (COUNT - 1) / 2);
    free(coros);
    free(results);
    return 0;
}

TEST(ten_thousand_are_gathered_in_order)
{
    /* Linear in their number, repetitions included. */
    EXPECT_RUN(gathers_ten_thousand(), 0);
}

COIL_ASYNC0(gathers_arrays_of_each_kind)
{
    coil_task *tasks[2] = { coil_create_task(returns_after(1, 1)),
                            coil_create_task(returns_after(2, 2)) };
    coil_task *const *same = tasks;
    void *any[2] = { tasks[0], tasks[1] };
    coil_value results[2];
    COIL_TRY(coil_gather_array(results, tasks, 2, 0));
    EXPECT_INT(results[1].integer, 2);
    COIL_TRY(coil_gather_array(NULL, same, 2, 0));
    COIL_TRY(coil_gather_array(NULL, any, 2, 0));
    coil_coro *coros[2] = { returns_after(1, 1), returns_after(1, 2) };
    COIL_TRY(coil_gather_array(NULL, coros, 2, 0));
    coil_unref(tasks[0]);
    coil_unref(tasks[1]);
    return 0;
}

TEST(arrays_of_each_kind_are_taken_without_a_cast)
{
    EXPECT_RUN(gathers_arrays_of_each_kind(), 0);
    EXPECT_NOTES("1 2 1 2");
}

enum {
    LEVELS = 5000
};

static coil_coro *gathers_below(int levels);
COIL_ASYNC(gathers_below, (int, levels))
{
    return levels > 0 ? coil_gather(NULL, gathers_below(levels - 1)) : coil_sleep(1000);
}

COIL_ASYNC0(cancels_five_thousand_levels)
{
    coil_task *task = coil_create_task(gathers_below(LEVELS));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(task, "from above");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    coil_unref(task);
    return 0;
}

TEST(cancelling_goes_down_any_number_of_levels)
{
    /* It is done on the stack of whoever cancels, which may be small. */
    EXPECT_RUN(cancels_five_thousand_levels(), 0);
}

struct ring {
    coil_future *gathering;
    int ended;
};

COIL_ASYNC(awaits_its_own_gathering, (struct ring *, ring))
{
    int rc = coil_await(ring->gathering, NULL);
    ring->ended += rc == COIL_ECANCELED;
    return rc;
}

COIL_ASYNC0(cancels_a_ring)
{
    struct ring ring = { NULL, 0 };
    coil_coro *coros[3] = { returns_after(5, 1), awaits_its_own_gathering(&ring),
                            awaits_its_own_gathering(&ring) };
    ring.gathering = coil_gather_future(NULL, coros, 3, 0);
    coil_task *outside = coil_create_task(awaits_its_own_gathering(&ring));
    COIL_TRY(coil_sleep(1));
    coil_task_cancel(outside, NULL);
    EXPECT_INT(coil_await(outside, NULL), COIL_ECANCELED);
    EXPECT_INT(ring.ended, 3);
    EXPECT_DOUBLE(coil_loop_time(NULL), 1);
    coil_unref(outside);
    coil_unref(ring.gathering);
    return 0;
}

TEST(gathering_that_its_children_await_can_be_cancelled)
{
    EXPECT_RUN(cancels_a_ring(), 0);
}

TESTS_MAIN(RUN(cancelling_goes_down_any_number_of_levels),
           RUN(gathering_that_its_children_await_can_be_cancelled),
           RUN(arrays_of_each_kind_are_taken_without_a_cast),
           RUN(results_stand_in_the_order_of_the_arguments),
           RUN(results_of_coroutines_are_moved_and_those_of_futures_are_views),
           RUN(object_given_twice_runs_once_and_its_result_has_one_owner),
           RUN(gathering_what_is_done_does_not_give_way),
           RUN(first_error_ends_gather_and_the_others_run_on),
           RUN(collect_waits_for_all_and_puts_errors_in_their_places),
           RUN(failing_gather_consumes_its_coroutines_and_starts_none),
           RUN(gather_future_refuses_mixed_loops_and_needs_none_to_run),
           RUN(gathering_whose_error_nobody_looks_at_is_reported_once),
           RUN(cancelled_gather_cancels_its_children_and_ends_with_the_first),
           RUN(child_cancelled_on_its_own_fails_gather_but_not_its_siblings),
           RUN(cancelling_the_gathering_asks_the_children), RUN(gatherings_nest),
           RUN(ten_thousand_are_gathered_in_order))
