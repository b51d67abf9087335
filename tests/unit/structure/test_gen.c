/* Generators: items and values, ends, cancellation at every wait, and what is left half-way. */
#include "lib/steps.h"
#include "platform/fiber.h"

/* ---- values ------------------------------------------------------------------------------------- */

COIL_ASYNC_GEN(yields_counted, (int, n))
{
    for (int i = 0; i < n; i++) {
        coil_value sent = coil_nil();
        COIL_TRY(coil_yield(counted(), i % 2 ? &sent : NULL));
        coil_value_clear(&sent);
    }
    return 0;
}

COIL_ASYNC0(owns_items)
{
    coil_gen *gen = yields_counted(4);
    coil_value value;
    EXPECT_INT(coil_gen_send(gen, counted(), NULL), COIL_ETYPE);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_gen_next(gen, &value), 0);
    EXPECT_PTR(value.pointer, &dropped);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 2);
    EXPECT_INT(coil_gen_next(gen, NULL), 0); /* nobody wants the item */
    EXPECT_INT(dropped, 3);
    EXPECT_INT(coil_gen_send(gen, counted(), NULL), 0); /* the body reads it */
    EXPECT_INT(dropped, 5);
    EXPECT_INT(coil_gen_send(gen, counted(), NULL), 0); /* the body ignores it */
    EXPECT_INT(dropped, 7);
    EXPECT_INT(coil_gen_next(gen, &value), COIL_EEND);
    EXPECT_INT(coil_gen_send(gen, counted(), &value), COIL_EEND);
    EXPECT_INT(dropped, 8);
    coil_unref(gen);
    EXPECT_INT(coil_gen_send(coil_gen_new(&yields_counted_type, NULL, SIZE_MAX), counted(), NULL),
               COIL_EINVAL);
    EXPECT_INT(dropped, 9);
    return 0;
}

TEST(items_and_sent_values_have_one_owner)
{
    EXPECT_RUN(owns_items(), 0);
}

static int parameters_dropped;

static int never_runs(void *args, coil_value *coil_result)
{
    (void)args;
    (void)coil_result;
    note("ran");
    return 0;
}

static void drop_parameters(void *args)
{
    EXPECT_INT(*(int *)args, 7);
    parameters_dropped++;
}

static const coil_coro_type dropping_type = { "dropping", never_runs, __FILE__, __LINE__,
                                              drop_parameters };

COIL_ASYNC0(ends_unrun_ones)
{
    int seven = 7;
    coil_gen *gen = coil_gen_new(&dropping_type, &seven, sizeof seven);
    coil_unref(gen);
    EXPECT_INT(parameters_dropped, 1);
    gen = coil_gen_new(&dropping_type, &seven, sizeof seven);
    EXPECT_INT(coil_gen_close(gen), 0);
    EXPECT_INT(coil_gen_next(gen, NULL), COIL_EEND);
    EXPECT_INT(parameters_dropped, 2);
    coil_unref(gen);
    gen = coil_gen_new(&dropping_type, &seven, sizeof seven);
    EXPECT_INT(coil_gen_throw(gen, COIL_EAPP, NULL), COIL_EAPP);
    EXPECT_INT(coil_gen_throw(gen, 0, NULL), COIL_EINVAL);
    coil_unref(gen);
    EXPECT_INT(parameters_dropped, 3);
    EXPECT_INT(coil_gen_close(NULL), 0);
    return 0;
}

TEST(unrun_generator_drops_its_parameters_once)
{
    parameters_dropped = 0;
    EXPECT_RUN(ends_unrun_ones(), 0);
    EXPECT_NOTES("");
}

COIL_ASYNC_GEN(numbers, (int, n))
{
    for (int i = 0; i < n; i++)
        COIL_TRY(coil_yield(i, NULL));
    return 0;
}

COIL_ASYNC0(counts_blocks)
{
    coil_gen *gen = numbers(100000);
    coil_value value;
    EXPECT_INT(coil_gen_next(gen, &value), 0);
    size_t blocks = coil_testing_alloc_count();
    int64_t sum = 0;
    int rc;
    coil_testing_fail_alloc(1);
    while ((rc = coil_gen_next(gen, &value)) == 0)
        sum += value.integer;
    EXPECT(!coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    EXPECT_INT(rc, COIL_EEND);
    EXPECT_INT(sum, 99999ll * 100000 / 2);
    EXPECT_INT(coil_testing_alloc_count(), blocks);
    coil_unref(gen);
    return 0;
}

TEST(an_item_allocates_nothing)
{
    EXPECT_RUN(counts_blocks(), 0);
}

/* ---- ends --------------------------------------------------------------------------------------- */

COIL_ASYNC_GEN(ends_with, (int, code))
{
    COIL_TRY(coil_yield(1, NULL));
    return code;
}

COIL_ASYNC0(tries_ends)
{
    static const struct {
        int code, next, close;
    } cases[] = { { 0, COIL_EEND, 0 },
                  { 5, COIL_EEND, 0 },
                  { COIL_EAPP, COIL_EAPP, 0 },
                  { COIL_ECLOSING, COIL_ECLOSING, 0 },
                  { COIL_EEND, COIL_ERUNTIME, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        coil_gen *gen = ends_with(cases[i].code);
        EXPECT_INT(coil_gen_next(gen, NULL), 0);
        EXPECT_INT(coil_gen_next(gen, NULL), cases[i].next);
        EXPECT_INT(coil_gen_next(gen, NULL), COIL_EEND);
        EXPECT_INT(coil_gen_close(gen), 0);
        coil_unref(gen);
    }
    return 0;
}

TEST(body_ends_as_python_says)
{
    EXPECT_RUN(tries_ends(), 0);
}

COIL_ASYNC_GEN(cleans_up, (const char *, name), (double, seconds), (int, code))
{
    int rc;
    while ((rc = coil_yield(name, NULL)) == 0)
        ;
    int cleanup = coil_sleep(seconds);
    note("%s:%s", name, cleanup < 0 ? coil_error_name(cleanup) : "clean");
    return code ? code : rc;
}

COIL_ASYNC0(closes)
{
    coil_gen *gen = cleans_up("a", 1, COIL_EAPP);
    EXPECT_INT(coil_gen_next(gen, NULL), 0);
    EXPECT_INT(coil_gen_close(gen), COIL_EAPP);
    EXPECT_INT(coil_gen_close(gen), 0);
    coil_unref(gen);
    return 0;
}

TEST(error_of_cleanup_comes_out_of_close)
{
    EXPECT_RUN(closes(), 0);
    EXPECT_NOTES("a:clean");
}

COIL_ASYNC_GEN0(stubborn)
{
    for (;;)
        if (coil_yield(counted(), NULL) < 0)
            note("no");
    return 0;
}

COIL_ASYNC(closes_stubborn, (bool, explicitly))
{
    coil_gen *gen = stubborn();
    EXPECT_INT(coil_gen_next(gen, NULL), 0);
    if (explicitly) {
        EXPECT_INT(coil_gen_close(gen), COIL_ERUNTIME);
        EXPECT_INT(coil_gen_next(gen, NULL), 0); /* as in CPython it goes on */
    }
    coil_unref(gen);
    COIL_TRY(coil_sleep(1));
    return 0;
}

TEST(generator_that_ignores_its_end_is_given_up_with_a_report)
{
    for (int explicitly = 0; explicitly < 2; explicitly++) {
        EXPECT_RUN_REPORTS(closes_stubborn(explicitly), 0, 1);
        EXPECT_INT(reports[COIL_EVENT_GENERATOR_CLOSE_FAILED], 1);
        EXPECT_NOTES("no");
    }
}

/* ---- where it may be used ----------------------------------------------------------------------- */

COIL_ASYNC0(yields_too_deep)
{
    EXPECT_INT(coil_yield(counted(), NULL), COIL_ERUNTIME);
    return 0;
}

COIL_ASYNC0(uses_a_generator)
{
    coil_gen *gen = numbers(2);
    EXPECT_INT(coil_gen_next(gen, NULL), COIL_ENOTASK);
    coil_unref(gen);
    EXPECT_INT(coil_yield(counted(), NULL), COIL_ENOTASK);
    return 0;
}

COIL_ASYNC_GEN0(misuses_yield)
{
    COIL_TRY(coil_await(yields_too_deep(), NULL));
    EXPECT_INT(dropped, 1);
    coil_coro *driven = coil_ref(uses_a_generator());
    EXPECT_INT(coil_coro_send(driven, NULL), 0);
    coil_unref(driven);
    coil_unref(driven);
    EXPECT_INT(dropped, 2);
    return coil_yield(1, NULL);
}

COIL_ASYNC0(runs_misuse)
{
    coil_gen *gen = misuses_yield();
    EXPECT_INT(coil_gen_next(gen, NULL), 0);
    EXPECT_INT(coil_yield(counted(), NULL), COIL_ENOTASK);
    EXPECT_INT(coil_gen_next(gen, NULL), COIL_EEND);
    coil_unref(gen);
    return 0;
}

TEST(misuse_is_refused)
{
    EXPECT_RUN(runs_misuse(), 0);
    EXPECT_INT(dropped, 3);
    EXPECT_INT(coil_yield(counted(), NULL), COIL_ENOTASK);
    coil_gen *gen = numbers(1);
    EXPECT_INT(coil_gen_next(gen, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_gen_send(gen, counted(), NULL), COIL_ENOTASK);
    EXPECT_INT(coil_gen_throw(gen, COIL_EAPP, NULL), COIL_ENOTASK);
    EXPECT_INT(coil_shutdown_asyncgens(), COIL_ENOTASK);
    coil_unref(gen);
}

static coil_gen *shared;

COIL_ASYNC(takes_one, (int, expected))
{
    EXPECT_INT(coil_gen_next(shared, NULL), expected);
    return 0;
}

TEST(generator_stays_with_its_loop)
{
    size_t blocks = steps_blocks();
    coil_loop *first = steps_loop(NULL), *second = steps_loop(NULL);
    shared = numbers(9);
    EXPECT_INT(coil_run_until_complete(first, takes_one(0), NULL), 0);
    EXPECT_INT(coil_run_until_complete(second, takes_one(COIL_EWRONGLOOP), NULL), 0);
    EXPECT_INT(coil_run_until_complete(first, takes_one(0), NULL), 0);
    EXPECT_INT(coil_loop_close(first), 0);
    EXPECT_INT(coil_run_until_complete(second, takes_one(COIL_EEND), NULL),
               0); /* its loop's end was its own */
    EXPECT_INT(coil_loop_close(second), 0);
    coil_unref(shared);
    coil_unref(first);
    coil_unref(second);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- the body is part of the task --------------------------------------------------------------- */

COIL_ASYNC_GEN(looks_around, (coil_task *, expected))
{
    EXPECT_PTR(coil_current_task(), expected);
    COIL_TRY(coil_sleep(1));
    coil_coro *coros[8];
    size_t count = coil_task_get_stack(coil_current_task(), coros, 8);
    for (size_t i = 0; i < count; i++) {
        EXPECT_INT(coil_coro_get_state(coros[i]), COIL_CORO_RUNNING);
        note("%s", coil_coro_name(coros[i]));
    }
    coil_coro *own = coil_ref(coros[0]);
    int rc = coil_yield(coil_object_owned(own), NULL);
    note("%s", coil_error_name(rc));
    return rc;
}

COIL_ASYNC_GEN(passes_on, (coil_gen *, inner))
{
    coil_value value;
    COIL_TRY(coil_gen_next(inner, &value));
    return coil_yield(value, NULL);
}

COIL_ASYNC0(consumes_nested)
{
    coil_gen *inner = looks_around(coil_current_task()), *outer = passes_on(inner);
    coil_value value;
    size_t bytes, again;
    coil_task_stack_used(coil_current_task(), &bytes);
    COIL_TRY(coil_gen_next(outer, &value));
    coil_task_stack_used(coil_current_task(), &again);
    EXPECT_INT(again, bytes);
    EXPECT_INT(coil_task_get_stack(coil_current_task(), NULL, 0), 1);
    EXPECT_INT(coil_coro_get_state(value.pointer), COIL_CORO_SUSPENDED);
    EXPECT_INT(coil_gen_close(outer), 0);
    EXPECT_INT(coil_gen_close(inner), 0);
    coil_unref(outer);
    coil_unref(inner);
    EXPECT_INT(coil_coro_get_state(value.pointer), COIL_CORO_CLOSED);
    coil_value_clear(&value);
    return 0;
}

TEST(body_shows_in_the_task)
{
    EXPECT_RUN(consumes_nested(), 0);
    EXPECT_NOTES("looks_around passes_on consumes_nested COIL_ECLOSING");
}

COIL_ASYNC_GEN0(names_tasks)
{
    for (;;) {
        COIL_TRY(coil_sleep(0));
        note("%s", coil_task_get_name(coil_current_task()));
        COIL_TRY(coil_yield(1, NULL));
    }
    return 0;
}

COIL_ASYNC0(shares_between_tasks)
{
    shared = names_tasks();
    coil_task_options eager = COIL_TASK_OPTIONS_INIT;
    eager.eager = true;
    for (int i = 0; i < 3; i++) {
        char name[2] = { (char)('a' + i) };
        eager.name = name;
        coil_task *task = coil_create_task_with(NULL, takes_one(0), &eager);
        EXPECT_INT(coil_gen_next(shared, NULL), COIL_ERUNTIME); /* the eager one is inside */
        COIL_TRY(coil_await(task, NULL));
        coil_unref(task);
    }
    COIL_TRY(coil_gen_close(shared));
    coil_unref(shared);
    return 0;
}

TEST(tasks_take_turns)
{
    EXPECT_RUN(shares_between_tasks(), 0);
    EXPECT_NOTES("a b c");
}

COIL_ASYNC_GEN0(drops_itself)
{
    coil_unref(shared);
    COIL_TRY(coil_sleep(1));
    int rc = coil_yield(1, NULL);
    note("%s", coil_error_name(rc));
    return rc;
}

COIL_ASYNC0(lets_it_drop_itself)
{
    shared = drops_itself();
    COIL_TRY(coil_gen_next(shared, NULL));
    return coil_sleep(1);
}

TEST(last_reference_may_go_inside)
{
    EXPECT_RUN(lets_it_drop_itself(), 0);
    EXPECT_NOTES("COIL_ECLOSING");
}

#ifndef COIL__FIBER_ANNOTATED
static volatile bool bottomless = true;

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    return bottomless ? recurse(depth + 1) + frame[0] : 0;
}

COIL_ASYNC_GEN0(glutton)
{
    return recurse(0);
}

COIL_ASYNC0(feeds_glutton)
{
    return coil_gen_next(glutton(), NULL);
}

static int overflow(void)
{
    return coil_main(feeds_glutton());
}
#endif

TEST(overflow_names_the_generator)
{
#ifdef COIL__FIBER_ANNOTATED
    SKIP("the sanitizer's own handler takes the signal");
#else
    static struct child_end end;
    run_child(overflow, &end);
    EXPECT(WIFSIGNALED(end.status));
    EXPECT(strstr(end.words, "stack overflow in Task-") != NULL);
    const char *inner = strstr(end.words, "  glutton ("),
               *outer = strstr(end.words, "  feeds_glutton (");
    EXPECT(inner && outer && inner < outer);
#endif
}

/* ---- cancellation ------------------------------------------------------------------------------- */

enum place {
    IN_ITEM,
    IN_THROW,
    IN_CLOSE,
    IN_ENTER,
    IN_EXIT,
    IN_SHUTDOWN,
    PLACES
};

COIL_ASYNC_GEN0(waits_everywhere)
{
    int rc = coil_sleep(1);
    note("begin:%s", coil_error_name(rc));
    COIL_TRY(rc);
    int why = coil_yield(1, NULL);
    rc = coil_sleep(1);
    note("end:%s", coil_error_name(rc));
    return rc < 0 ? rc : why;
}

COIL_ASYNC(waits_at, (int, place))
{
    coil_gen *gen = waits_everywhere();
    coil_scope scope;
    int rc;
    if (place == IN_ENTER || place == IN_EXIT) {
        rc = coil_scope_enter(&scope, gen, NULL);
        return rc < 0 ? rc : coil_scope_exit(&scope, 0);
    }
    rc = coil_gen_next(gen, NULL);
    if (rc == 0 && place == IN_THROW)
        rc = coil_gen_throw(gen, COIL_EAPP, NULL);
    else if (rc == 0 && place == IN_CLOSE)
        rc = coil_gen_close(gen);
    else if (rc == 0 && place == IN_SHUTDOWN)
        rc = coil_shutdown_asyncgens();
    coil_unref(gen);
    return rc;
}

COIL_ASYNC(cancels_at, (int, place))
{
    coil_task *task = coil_create_task(waits_at(place));
    COIL_TRY(coil_sleep(place == IN_ITEM || place == IN_ENTER ? 0.5 : 1.5));
    coil_task_cancel(task, "stop");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    if (place != IN_SHUTDOWN) /* which awaits tasks of its own */
        EXPECT_STR(coil_error_message(coil_error_current(COIL_ECANCELED)), "stop");
    coil_unref(task);
    return coil_sleep(1);
}

TEST(cancellation_arrives_at_the_wait_in_the_body)
{
    for (int place = 0; place < PLACES; place++) {
        EXPECT_RUN(cancels_at(place), 0);
        if (place == IN_ITEM || place == IN_ENTER)
            EXPECT_NOTES("begin:COIL_ECANCELED");
        else
            EXPECT_NOTES("begin:ok end:COIL_ECANCELED");
    }
}

/* ---- left half-way ------------------------------------------------------------------------------ */

COIL_ASYNC(drops_half_way, (int, code), (double, wait))
{
    coil_gen *gen = cleans_up("a", 1, code);
    COIL_TRY(coil_gen_next(gen, NULL));
    coil_unref(gen);
    note("dropped");
    COIL_TRY(coil_sleep(0));
    size_t tasks = coil_all_tasks(NULL, NULL, 0);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(tasks, 2); /* a turn later there is a task for it, as in asyncio */
    return wait > 0 ? coil_sleep(wait) : 0;
}

TEST(dropped_generator_is_closed_in_a_task)
{
    EXPECT_RUN(drops_half_way(0, 2), 0);
    EXPECT_NOTES("dropped a:clean");
    EXPECT_RUN_REPORTS(drops_half_way(COIL_EAPP, 2), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_TASK_ERROR_UNREAD], 1);
    EXPECT_NOTES("dropped a:clean");
    EXPECT_RUN(drops_half_way(0, 0),
               0); /* what is left of the program is cancelled: that task, too */
    EXPECT_NOTES("dropped a:COIL_ECANCELED");
}

COIL_ASYNC(drops_at_the_end, (int, turns))
{
    coil_gen *gen = cleans_up("a", 1, 0);
    COIL_TRY(coil_gen_next(gen, NULL));
    coil_unref(gen);
    while (turns-- > 0)
        COIL_TRY(coil_sleep(0));
    return 0;
}

TEST(generator_dropped_at_the_end_may_still_wait)
{
    EXPECT_RUN(drops_at_the_end(0), 0);
    EXPECT_NOTES("a:clean");
    EXPECT_RUN(drops_at_the_end(1),
               0); /* its task is at it already, and is cancelled like all others */
    EXPECT_NOTES("a:COIL_ECANCELED");
}

static coil_gen *kept[3];

COIL_ASYNC(leaves_three, (int, code))
{
    static const char *const names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++) {
        kept[i] = cleans_up(names[i], 3 - i, i == 1 ? code : 0);
        COIL_TRY(coil_gen_next(kept[i], NULL));
    }
    return 0;
}

static void release_three(void)
{
    for (int i = 0; i < 3; i++)
        coil_unref(kept[i]);
}

COIL_ASYNC(leaves_three_to_shutdown, (int, code))
{
    COIL_TRY(coil_await(leaves_three(code), NULL));
    COIL_TRY(coil_shutdown_asyncgens());
    EXPECT_DOUBLE(coil_loop_time(coil_get_running_loop()), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(coil_gen_next(kept[i], NULL), COIL_EEND);
    release_three();
    return 0;
}

TEST(shutdown_closes_all_at_the_same_time)
{
    EXPECT_RUN(leaves_three_to_shutdown(0), 0);
    EXPECT_NOTES("c:clean b:clean a:clean");
    EXPECT_RUN_REPORTS(leaves_three_to_shutdown(COIL_EAPP), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_GENERATOR_CLOSE_FAILED], 1);
    EXPECT_NOTES("c:clean b:clean a:clean");
}

TEST(run_closes_what_is_left)
{
    size_t blocks = steps_blocks();
    EXPECT_INT(steps_run(leaves_three(0), NULL, NULL), 0);
    EXPECT_NOTES("c:clean b:clean a:clean");
    EXPECT_INT(reports_total(), 0);
    release_three();
    EXPECT_INT(steps_blocks(), blocks);
}

/* Whoever runs a loop by hand and closes it: the cleanup cannot wait, and nothing is lost. */
TEST(closing_a_loop_ends_generators)
{
    for (int dropped_before = 0; dropped_before < 2; dropped_before++) {
        size_t blocks = steps_blocks();
        coil_loop *loop = steps_loop(NULL);
        EXPECT_INT(coil_run_until_complete(loop, leaves_three(COIL_EAPP), NULL), 0);
        if (dropped_before)
            release_three();
        EXPECT_INT(coil_loop_close(loop), 0);
        EXPECT_NOTES("a:COIL_ECLOSING b:COIL_ECLOSING c:COIL_ECLOSING");
        EXPECT_INT(reports[COIL_EVENT_GENERATOR_CLOSE_FAILED], 1);
        EXPECT_INT(reports_total(), 1);
        if (!dropped_before)
            release_three();
        coil_unref(loop);
        EXPECT_INT(steps_blocks(), blocks);
    }
}

COIL_ASYNC_GEN0(never_stops_waiting)
{
    int rc = coil_sleep(1);
    while (rc <= 0)
        rc = coil_sleep(1);
    return rc;
}

COIL_ASYNC_GEN(consumes, (coil_gen *, inner))
{
    return coil_gen_next(inner, NULL);
}

COIL_ASYNC0(waits_inside_two)
{
    kept[0] = never_stops_waiting();
    kept[1] = consumes(kept[0]);
    return coil_gen_next(kept[1], NULL);
}

static int stop_loop(void *loop)
{
    coil_loop_stop(loop);
    return 0;
}

TEST(task_given_up_inside_generators_leaves_no_stack_behind)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    coil_task *task = coil_create_task_with(loop, waits_inside_two(), NULL);
    EXPECT_INT(coil_call_later(loop, 2.5, stop_loop, loop, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(reports[COIL_EVENT_TASK_LOST], 1);
    EXPECT_INT(reports[COIL_EVENT_CLOSE_IGNORED], 1);
    EXPECT_INT(reports_total(), 2);
    EXPECT(coil_future_done(task));
    coil_unref(task);
    coil_unref(kept[1]);
    coil_unref(kept[0]);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC0(begins_stubborn)
{
    kept[0] = stubborn();
    return coil_gen_next(kept[0], NULL);
}

TEST(closing_a_loop_gives_stubborn_generators_up)
{
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL);
    EXPECT_INT(coil_run_until_complete(loop, begins_stubborn(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_NOTES("no");
    EXPECT_INT(reports[COIL_EVENT_GENERATOR_CLOSE_FAILED], 1);
    coil_unref(kept[0]);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- iterators ---------------------------------------------------------------------------------- */

static int fails_after_putting_out(coil_async_iterator *self, coil_value *value_out)
{
    (void)self;
    *value_out = counted();
    return COIL_EAPP;
}

COIL_ASYNC0(iterates)
{
    coil_gen *gen = yields_counted(2);
    coil_async_iterator *iterator = coil_gen_iterator(gen);
    coil_value value;
    EXPECT_INT(coil_anext(iterator, NULL), 0);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(coil_anext(iterator, &value), 0);
    coil_value_clear(&value);
    EXPECT_INT(coil_anext(iterator, &value), COIL_EEND);
    coil_unref(gen);
    EXPECT_PTR(coil_gen_iterator(NULL), NULL);

    coil_async_iterator failing = { fails_after_putting_out };
    EXPECT_INT(coil_anext(&failing, &value), COIL_EAPP);
    EXPECT_INT(dropped, 3);
    return 0;
}

TEST(iterators_give_what_they_own)
{
    EXPECT_RUN(iterates(), 0);
}

/* ---- scopes ------------------------------------------------------------------------------------- */

COIL_ASYNC_GEN(scope_of, (int, items), (int, code))
{
    int rc = 0;
    for (int i = 0; i < items; i++) {
        rc = coil_yield(counted(), NULL);
        note("%s", coil_error_name(rc));
        if (rc == COIL_ECLOSING)
            return rc;
    }
    return code > 0 ? rc : code;
}

COIL_ASYNC0(tries_scopes)
{
    enum {
        LET_OUT = 1
    };
    static const struct {
        int items, ends_with, body, result;
    } cases[] = { { 1, 0, 3, 3 },
                  { 1, 0, COIL_EAPP, 0 },
                  { 1, LET_OUT, COIL_EAPP, COIL_EAPP },
                  { 1, -EIO, COIL_EAPP, -EIO },
                  { 1, -EIO, 0, -EIO },
                  { 1, LET_OUT, COIL_EEND, COIL_EEND },
                  { 2, 0, 0, COIL_ERUNTIME },
                  { 2, 0, COIL_EAPP, COIL_ERUNTIME } };
    coil_scope scope;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EXPECT_INT(coil_scope_enter(&scope, scope_of(cases[i].items, cases[i].ends_with), NULL), 0);
        EXPECT_INT(coil_scope_exit(&scope, cases[i].body), cases[i].result);
        EXPECT_INT(coil_scope_exit(&scope, 0), COIL_ERUNTIME); /* it has been left */
        EXPECT_INT(coil_scope_exit(&scope, -EIO), -EIO);
    }
    EXPECT_INT(coil_scope_enter(&scope, scope_of(0, 0), NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_scope_enter(&scope, scope_of(0, -EIO), NULL), -EIO);
    EXPECT_INT(coil_scope_enter(&scope, coil_gen_new(&scope_of_type, NULL, SIZE_MAX), NULL),
               COIL_EINVAL);
    return 0;
}

TEST(scope_exits_as_python_says)
{
    EXPECT_RUN(tries_scopes(), 0);
    EXPECT_NOTES(
        "ok COIL_EAPP COIL_EAPP COIL_EAPP ok COIL_EEND ok COIL_ECLOSING COIL_EAPP COIL_ECLOSING");
}

/* ---- memory ------------------------------------------------------------------------------------- */

COIL_ASYNC0(uses_generators)
{
    coil_gen *gen = cleans_up("a", 1, 0);
    coil_value value;
    int rc = gen ? coil_gen_next(gen, &value) : coil_error_last();
    coil_unref(gen);
    if (rc < 0)
        return rc;
    gen = numbers(2);
    rc = gen ? coil_gen_next(gen, &value) : coil_error_last();
    if (rc == 0)
        rc = coil_shutdown_asyncgens();
    coil_unref(gen);
    return rc < 0 ? rc : coil_sleep(2);
}

TEST(generators_survive_every_failed_allocation)
{
    size_t blocks = steps_blocks();
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        coil_testing_fail_alloc(nth);
        int rc = steps_run(uses_generators(), NULL, NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || rc == COIL_ENOMEM);
        notes_[0] = '\0';
        if (!EXPECT_INT(steps_blocks(), blocks))
            break;
    }
}

/* The overflow comes first: the library puts its handler up once per process, in the first run, and the
 * next test begins without it. */
TESTS_MAIN(RUN(overflow_names_the_generator), RUN(items_and_sent_values_have_one_owner),
           RUN(unrun_generator_drops_its_parameters_once), RUN(an_item_allocates_nothing),
           RUN(body_ends_as_python_says), RUN(error_of_cleanup_comes_out_of_close),
           RUN(generator_that_ignores_its_end_is_given_up_with_a_report), RUN(misuse_is_refused),
           RUN(generator_stays_with_its_loop), RUN(body_shows_in_the_task), RUN(tasks_take_turns),
           RUN(last_reference_may_go_inside), RUN(cancellation_arrives_at_the_wait_in_the_body),
           RUN(dropped_generator_is_closed_in_a_task),
           RUN(generator_dropped_at_the_end_may_still_wait),
           RUN(shutdown_closes_all_at_the_same_time), RUN(run_closes_what_is_left),
           RUN(closing_a_loop_ends_generators),
           RUN(task_given_up_inside_generators_leaves_no_stack_behind),
           RUN(closing_a_loop_gives_stubborn_generators_up), RUN(iterators_give_what_they_own),
           RUN(scope_exits_as_python_says), RUN(generators_survive_every_failed_allocation))
