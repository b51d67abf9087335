/* Hooks around steps, the life of a tracer, and the slow steps of debug mode. */
#include "test.h"

#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static char journal[512];

static void note(const char *what, coil_task *task, const char *detail)
{
    size_t length = strlen(journal);
    snprintf(journal + length, sizeof journal - length, "%s%s %s%s%s", length ? "; " : "", what,
             task ? coil_task_get_name(task) : "-", *detail ? " " : "", detail);
}

static void on_created(void *arg, coil_task *task)
{
    (void)arg;
    note("created", task, "");
}

static void on_begin(void *arg, coil_task *task)
{
    (void)arg;
    note("begin", task, "");
}

static void on_end(void *arg, coil_task *task, coil_step_end how)
{
    static const char *const names[] = { "ready", "waiting", "done", "failed", "cancelled" };
    (void)arg;
    note("end", task, names[how]);
}

static coil_wait_info last_wait;

static void on_waits(void *arg, coil_task *task, const coil_wait_info *info)
{
    (void)arg;
    EXPECT_INT(info->size, sizeof *info);
    last_wait = *info;
    note("waits", task, info->operation);
}

static void on_woken(void *arg, coil_task *task, coil_task *by)
{
    (void)arg;
    char text[64];
    snprintf(text, sizeof text, "by %s", by ? coil_task_get_name(by) : "-");
    note("woken", task, text);
}

static void on_task_done(void *arg, coil_task *task)
{
    (void)arg;
    note("done", task, "");
}

static const coil_trace_hooks all_hooks = {
    sizeof all_hooks, on_created, on_begin, on_end, on_waits, on_woken, on_task_done,
};

static coil_loop *begin(void)
{
    coil__errors_forget_thread();
    journal[0] = '\0';
    return coil_testing_virtual_loop(NULL);
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil__errors_forget_thread();
}

/* A task with a name, run to its end. */
static int run_named(coil_loop *loop, const char *name, coil_coro *coro)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    coil_task *task = coil_create_task_with(loop, coro, &options);
    int rc = coil_run_until_complete(loop, task, NULL);
    coil_unref(task);
    return rc;
}

COIL_ASYNC0(returns)
{
    coil_return(0);
}

COIL_ASYNC(sleeps, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    coil_return(0);
}

/* ---- what is told ---------------------------------------------------------------------------- */

TEST(steps_are_told_in_order)
{
    coil_loop *loop = begin();
    coil_tracer *tracer = coil_trace_attach(loop, &all_hooks, NULL, NULL);
    REQUIRE(tracer);
    EXPECT_INT(run_named(loop, "t", returns()), 0);
    EXPECT_STR(journal, "created t; begin t; end t done; done t");
    journal[0] = '\0';
    EXPECT_INT(run_named(loop, "y", sleeps(0)), 0);
    EXPECT_STR(journal, "created y; begin y; waits y sleep; end y ready; begin y; "
                        "end y done; done y");
    EXPECT_INT(last_wait.kind, COIL_WAIT_YIELD);
    EXPECT_INT(last_wait.fd, -1);
    journal[0] = '\0';
    EXPECT_INT(run_named(loop, "s", sleeps(2)), 0);
    EXPECT_STR(journal, "created s; begin s; waits s sleep; end s waiting; woken s by -; begin s; "
                        "end s done; done s");
    EXPECT_INT(last_wait.kind, COIL_WAIT_SLEEP);
    EXPECT_DOUBLE(last_wait.when, 2);
    coil_unref(tracer);
    end(loop);
}

COIL_ASYNC(waits_for, (coil_future *, future))
{
    COIL_TRY(coil_await(future, NULL));
    coil_return(0);
}

COIL_ASYNC(completes, (coil_future *, future))
{
    EXPECT_INT(coil_future_set_result(future, coil_nil()), 0);
    coil_return(0);
}

TEST(who_woke_a_task_is_told)
{
    coil_loop *loop = begin();
    coil_future *future = coil_create_future(loop);
    coil_tracer *tracer = coil_trace_attach(loop, &all_hooks, NULL, NULL);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "w";
    coil_task *waiter = coil_create_task_with(loop, waits_for(future), &options);
    EXPECT_INT(run_named(loop, "c", completes(future)), 0);
    EXPECT(strstr(journal, "woken w by c; end c done; done c") != NULL);
    EXPECT_INT(last_wait.kind, COIL_WAIT_FUTURE);
    EXPECT_PTR(last_wait.future, future);
    EXPECT_INT(coil_run_until_complete(loop, waiter, NULL), 0);
    coil_unref(waiter);
    coil_unref(future);
    coil_unref(tracer);
    end(loop);
}

COIL_ASYNC(ends_with, (int, code))
{
    return code;
}

TEST(how_a_step_ended_is_told)
{
    coil_loop *loop = begin();
    coil_tracer *tracer = coil_trace_attach(loop, &all_hooks, NULL, NULL);
    EXPECT_INT(run_named(loop, "f", ends_with(COIL_EAPP)), COIL_EAPP);
    EXPECT(strstr(journal, "end f failed") != NULL);
    EXPECT_INT(run_named(loop, "c", ends_with(COIL_ECANCELED)), COIL_ECANCELED);
    EXPECT(strstr(journal, "end c cancelled") != NULL);
    coil_unref(tracer);
    end(loop);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(callbacks_are_not_steps)
{
    coil_loop *loop = begin();
    coil_tracer *tracer = coil_trace_attach(loop, &all_hooks, NULL, NULL);
    EXPECT_INT(coil_call_soon(loop, nothing, NULL, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT_STR(journal, "");
    coil_unref(tracer);
    end(loop);
}

/* ---- the life of a tracer -------------------------------------------------------------------- */

struct counts {
    int created, released;
    coil_tracer *self;
};

static void count_created(void *arg, coil_task *task)
{
    (void)task;
    ((struct counts *)arg)->created++;
}

static void count_release(void *arg)
{
    ((struct counts *)arg)->released++;
}

static const coil_trace_hooks only_created = { .size = sizeof only_created,
                                               .task_created = count_created };

TEST(tracers_stand_side_by_side_until_they_are_detached)
{
    coil_loop *loop = begin();
    struct counts counts[2] = { { 0 } };
    coil_tracer *tracers[2];
    for (int i = 0; i < 2; i++)
        tracers[i] = coil_trace_attach(loop, &only_created, &counts[i], count_release);
    EXPECT_INT(run_named(loop, "1", sleeps(1)), 0);
    coil_trace_detach(tracers[0]);
    EXPECT_INT(counts[0].released, 0); /* we still hold it */
    coil_trace_detach(tracers[0]);
    EXPECT_INT(run_named(loop, "2", sleeps(1)), 0);
    coil_unref(tracers[0]);
    EXPECT_INT(counts[0].released, 1);
    coil_trace_detach(tracers[1]);
    EXPECT_INT(run_named(loop, "3", sleeps(1)), 0);
    coil_unref(tracers[1]);
    EXPECT_INT(counts[0].created, 1);
    EXPECT_INT(counts[1].created, 2);
    end(loop);
    EXPECT_INT(counts[0].released, 1);
    EXPECT_INT(counts[1].released, 1);
}

TEST(giving_the_reference_back_does_not_detach)
{
    coil_loop *loop = begin();
    struct counts counts = { 0 };
    coil_unref(coil_trace_attach(loop, &only_created, &counts, count_release));
    EXPECT_INT(run_named(loop, "1", returns()), 0);
    EXPECT_INT(counts.created, 1);
    EXPECT_INT(counts.released, 0);
    end(loop);
    EXPECT_INT(counts.released, 1);
}

TEST(loops_end_detaches)
{
    coil_loop *loop = begin();
    struct counts counts = { 0 };
    coil_tracer *tracer = coil_trace_attach(loop, &only_created, &counts, count_release);
    end(loop);
    EXPECT_INT(counts.released, 0);
    coil_trace_detach(tracer);
    coil_unref(tracer);
    EXPECT_INT(counts.released, 1);
}

TEST(closed_loop_takes_no_tracer)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_loop_close(loop), 0);
    struct counts counts = { 0 };
    EXPECT_PTR(coil_trace_attach(loop, &only_created, &counts, count_release), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    EXPECT_INT(counts.released, 0);
    end(loop);
}

TEST(tracer_without_a_loop_or_memory_is_null)
{
    coil__errors_forget_thread();
    EXPECT_PTR(coil_trace_attach(NULL, &only_created, NULL, NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
    coil_loop *loop = begin();
    struct counts counts = { 0 };
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil_trace_attach(loop, &only_created, &counts, count_release), NULL);
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    EXPECT_INT(counts.released, 0);
    end(loop);
}

static void detach_itself(void *arg, coil_task *task)
{
    struct counts *counts = arg;
    count_created(arg, task);
    coil_trace_detach(counts->self);
    coil_unref(counts->self);
}

TEST(hook_may_detach_its_own_tracer)
{
    coil_loop *loop = begin();
    static const coil_trace_hooks detaching = { .size = sizeof detaching,
                                                .task_created = detach_itself };
    struct counts first = { 0 }, second = { 0 };
    first.self = coil_trace_attach(loop, &detaching, &first, count_release);
    coil_unref(coil_trace_attach(loop, &only_created, &second, count_release));
    EXPECT_INT(run_named(loop, "1", returns()), 0);
    EXPECT_INT(first.released, 1);
    EXPECT_INT(run_named(loop, "2", returns()), 0);
    EXPECT_INT(first.created, 1);
    EXPECT_INT(second.created, 2);
    end(loop);
}

TEST(hooks_of_an_older_program_are_fewer)
{
    /* A struct that ends after its first hook: what lies behind it is not ours to read. */
    coil_loop *loop = begin();
    struct counts counts = { 0 };
    struct {
        coil_trace_hooks hooks;
    } older;
    memset(&older, 0xa5, sizeof older);
    older.hooks.size = offsetof(coil_trace_hooks, step_begin);
    older.hooks.task_created = count_created;
    coil_unref(coil_trace_attach(loop, &older.hooks, &counts, NULL));
    EXPECT_INT(run_named(loop, "1", sleeps(1)), 0);
    EXPECT_INT(counts.created, 1);
    end(loop);
}

COIL_ASYNC(attaches, (struct counts *, counts))
{
    counts->self = coil_trace_attach(NULL, &only_created, counts, count_release);
    coil_task *child = coil_create_task(returns());
    COIL_TRY(coil_await(child, NULL));
    coil_unref(child);
    coil_trace_detach(counts->self);
    coil_unref(counts->self);
    child = coil_create_task(returns());
    COIL_TRY(coil_await(child, NULL));
    coil_unref(child);
    coil_return(0);
}

TEST(tracer_may_come_and_go_in_the_middle_of_a_step)
{
    coil_loop *loop = begin();
    struct counts counts = { 0 };
    EXPECT_INT(run_named(loop, "t", attaches(&counts)), 0);
    EXPECT_INT(counts.created, 1);
    EXPECT_INT(counts.released, 1);
    end(loop);
}

/* ---- slow steps ------------------------------------------------------------------------------ */

static struct {
    int count;
    double seconds;
    bool task, handle;
} slow;

static void log_slow(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    EXPECT_INT(level, COIL_LOG_WARNING);
    EXPECT_INT(report->event, COIL_EVENT_SLOW_CALLBACK);
    slow.count++;
    slow.seconds = report->seconds;
    slow.task = report->future != NULL;
    slow.handle = report->handle != NULL;
}

static coil_loop *begin_slow(bool debug)
{
    coil_loop *loop = begin();
    memset(&slow, 0, sizeof slow);
    coil_set_logger(loop, log_slow, NULL);
    coil_set_debug(loop, debug);
    return loop;
}

static int work(void *arg)
{
    return coil_testing_advance(NULL, *(double *)arg);
}

COIL_ASYNC(works, (double, seconds))
{
    EXPECT_INT(coil_testing_advance(NULL, seconds), 0);
    COIL_TRY(coil_sleep(5));
    coil_return(0);
}

static void run_callback(coil_loop *loop, double seconds)
{
    EXPECT_INT(coil_call_soon(loop, work, &seconds, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
}

TEST(slow_callback_is_logged_in_debug_mode)
{
    coil_loop *loop = begin_slow(true);
    EXPECT_DOUBLE(coil_get_slow_callback_duration(loop), 0.1);
    run_callback(loop, 0.0625);
    EXPECT_INT(slow.count, 0);
    run_callback(loop, 0.25);
    EXPECT_INT(slow.count, 1);
    EXPECT_DOUBLE(slow.seconds, 0.25);
    EXPECT(slow.handle);
    EXPECT(!slow.task);
    end(loop);
}

TEST(slow_step_is_logged_without_the_time_it_waits)
{
    coil_loop *loop = begin_slow(true);
    EXPECT_INT(run_named(loop, "slow", works(0.5)), 0);
    EXPECT_INT(slow.count, 1);
    EXPECT_DOUBLE(slow.seconds, 0.5);
    EXPECT(slow.task);
    EXPECT(!slow.handle);
    end(loop);
}

TEST(limit_of_slowness_can_be_set)
{
    coil_loop *loop = begin_slow(true);
    coil_set_slow_callback_duration(loop, 0.5);
    EXPECT_DOUBLE(coil_get_slow_callback_duration(loop), 0.5);
    run_callback(loop, 0.25);
    EXPECT_INT(slow.count, 0);
    run_callback(loop, 0.5);
    EXPECT_INT(slow.count, 1);
    end(loop);
}

TEST(nothing_is_slow_outside_debug_mode)
{
    coil_loop *loop = begin_slow(false);
    run_callback(loop, 100);
    EXPECT_INT(run_named(loop, "slow", works(100)), 0);
    EXPECT_INT(slow.count, 0);
    end(loop);
}

TESTS_MAIN(RUN(steps_are_told_in_order), RUN(who_woke_a_task_is_told),
           RUN(how_a_step_ended_is_told), RUN(callbacks_are_not_steps),
           RUN(tracers_stand_side_by_side_until_they_are_detached),
           RUN(giving_the_reference_back_does_not_detach), RUN(loops_end_detaches),
           RUN(closed_loop_takes_no_tracer), RUN(tracer_without_a_loop_or_memory_is_null),
           RUN(hook_may_detach_its_own_tracer), RUN(hooks_of_an_older_program_are_fewer),
           RUN(tracer_may_come_and_go_in_the_middle_of_a_step),
           RUN(slow_callback_is_logged_in_debug_mode),
           RUN(slow_step_is_logged_without_the_time_it_waits), RUN(limit_of_slowness_can_be_set),
           RUN(nothing_is_slow_outside_debug_mode))
