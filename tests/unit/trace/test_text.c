#include "test.h"

#include <coil/coil.h>
#include <coil/testing.h>

#include "base/error.h"

/* What a traced coroutine printed, on a virtual clock. The result is valid until the next call. */
struct run {
    int rc;
    char *text;
};

/* In a sweep over failing allocations, where tasks are left behind as a matter of course. */
static bool quiet;

static void drop_report(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop, (void)level, (void)report, (void)arg;
}

static struct run trace_run(coil_coro *coro, coil_context_var *depth, double origin)
{
    static char *text;
    size_t bytes = 0;
    free(text);
    text = NULL;
    FILE *file = open_memstream(&text, &bytes);
    struct run run = { .rc = COIL_ENOMEM };
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_tracer *tracer = loop ? coil_trace_text(loop, file, depth, origin) : NULL;
    if (loop && quiet)
        coil_set_logger(loop, drop_report, NULL);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "main";
    coil_task *task = tracer ? coil_create_task_with(loop, coro, &options) : NULL;
    if (task)
        run.rc = coil_run_until_complete(loop, task, NULL);
    else if (!tracer)
        (void)coil_coro_close(coro);
    coil_unref(task);
    if (tracer) {
        coil_trace_detach(tracer);
        coil_unref(tracer);
    }
    if (loop)
        (void)coil_loop_close(loop);
    coil_unref(loop);
    fclose(file);
    run.text = text;
    return run;
}

static coil_task *named(coil_coro *coro, const char *name)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    return coil_create_task_with(NULL, coro, &options);
}

COIL_ASYNC(sleeps, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return 0;
}

COIL_ASYNC0(fails)
{
    COIL_TRY(coil_sleep(0.25));
    return COIL_EAPP;
}

COIL_ASYNC0(all_endings)
{
    coil_task *a = named(sleeps(0), "gives-way");
    coil_task *b = named(fails(), "fails");
    coil_task *c = named(sleeps(0), "never-begins");
    coil_task *d = named(sleeps(9), "sleeper");
    int rc = a && b && c && d ? 0 : COIL_ENOMEM;
    if (rc == 0) {
        coil_task_cancel(c, NULL);
        rc = coil_sleep(0);
        coil_task_cancel(d, NULL);
    }
    if (rc == 0)
        rc = coil_sleep(1);
    if (b && coil_future_done(b))
        (void)coil_future_exception(b, &(int){ 0 }, NULL); /* so that it is not reported */
    coil_unref(a);
    coil_unref(b);
    coil_unref(c);
    coil_unref(d);
    return rc;
}

TEST(every_ending_of_a_step_has_its_word)
{
    /* The trace of CPython's task_step_trace_ends: five endings are all there is to know of a
     * step. */
    struct run run = trace_run(all_endings(), NULL, 0);
    EXPECT_INT(run.rc, 0);
    EXPECT_STR(run.text, "-> main #1 @0.000\n"
                         "<- main #1 ready\n"
                         "-> gives-way #1 @0.000\n"
                         "<- gives-way #1 ready\n"
                         "-> fails #1 @0.000\n"
                         "<- fails #1 waiting\n"
                         "-> never-begins #1 @0.000\n"
                         "<- never-begins #1 cancelled\n"
                         "-> sleeper #1 @0.000\n"
                         "<- sleeper #1 waiting\n"
                         "-> main #2 @0.000\n"
                         "<- main #2 waiting\n"
                         "-> gives-way #2 @0.000\n"
                         "<- gives-way #2 done\n"
                         "-> sleeper #2 @0.000\n"
                         "<- sleeper #2 cancelled\n"
                         "-> fails #2 @0.250\n"
                         "<- fails #2 failed\n"
                         "-> main #3 @1.000\n"
                         "<- main #3 done\n");
}

COIL_ASYNC(nested, (coil_context_var *, depth), (int, levels))
{
    if (levels > 0) {
        EXPECT_INT(coil_context_var_set(depth, coil_int(levels * 10), NULL), 0);
        coil_task *child = named(nested(depth, levels - 1), "child");
        COIL_TRY(coil_await(child, NULL));
        coil_unref(child);
    }
    return 0;
}

TEST(lines_are_indented_as_the_variable_says)
{
    /* The value is the task's own at that moment: a begin and an end may differ. The indentation
     * has a limit, and what is no number does not count. */
    coil_context_var *depth = coil_context_var_new_default("depth", coil_int(-3));
    struct run run = trace_run(nested(depth, 1), depth, 0);
    EXPECT_INT(run.rc, 0);
    EXPECT_STR(run.text, "-> main #1 @0.000\n"
                         "                                        <- main #1 waiting\n"
                         "                                        -> child #1 @0.000\n"
                         "                                        <- child #1 done\n"
                         "                                        -> main #2 @0.000\n"
                         "                                        <- main #2 done\n");
    coil_context_var_free(depth);

    depth = coil_context_var_new_default("depth", coil_int(INT64_MAX));
    run = trace_run(sleeps(0), depth, 0);
    EXPECT(strspn(run.text, " ") < 1000);
    coil_context_var_free(depth);

    depth = coil_context_var_new_default("depth", coil_string("deep"));
    run = trace_run(sleeps(0), depth, 0);
    EXPECT_INT(strspn(run.text, " "), 0);
    coil_context_var_free(depth);

    depth = coil_context_var_new("depth");
    run = trace_run(sleeps(0), depth, 0);
    EXPECT_INT(strspn(run.text, " "), 0);
    coil_context_var_free(depth);
}

COIL_ASYNC0(sleeps_from_seven)
{
    COIL_TRY(coil_sleep(7));
    COIL_TRY(coil_sleep(0.5));
    return 0;
}

TEST(times_count_from_the_origin)
{
    struct run run = trace_run(sleeps_from_seven(), NULL, 5);
    EXPECT_STR(run.text, "-> main #1 @-5.000\n"
                         "<- main #1 waiting\n"
                         "-> main #2 @2.000\n"
                         "<- main #2 waiting\n"
                         "-> main #3 @2.500\n"
                         "<- main #3 done\n");
}

COIL_ASYNC(attaches, (FILE *, file))
{
    coil_task *older = named(sleeps(3), "older");
    COIL_TRY(coil_sleep(1));
    coil_tracer *tracer = coil_trace_text(NULL, file, NULL, 0);
    EXPECT(tracer);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(coil_task_set_name(coil_current_task(), "renamed"), 0);
    COIL_TRY(coil_await(older, NULL));
    coil_trace_detach(tracer);
    coil_trace_detach(tracer);
    coil_unref(tracer);
    coil_unref(older);
    COIL_TRY(coil_sleep(1));
    return 0;
}

TEST(can_be_attached_and_detached_by_a_task)
{
    /* The step that attaches begins there, an older task counts from then on, and names are
     * looked up when they are printed. */
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "main";
    coil_task *task = coil_create_task_with(loop, attaches(file), &options);
    EXPECT_INT(coil_run_until_complete(loop, task, NULL), 0);
    coil_unref(task);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    fclose(file);
    EXPECT_STR(text, "-> main #1 @1.000\n"
                     "<- main #1 waiting\n"
                     "-> main #2 @2.000\n"
                     "<- renamed #2 waiting\n"
                     "-> older #1 @3.000\n"
                     "<- older #1 done\n"
                     "-> renamed #3 @3.000\n");
    free(text);
}

COIL_ASYNC(gives_way, (int, times))
{
    for (int i = 0; i < times; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

COIL_ASYNC0(crowd)
{
    enum {
        TASKS = 300
    };
    coil_task *tasks[TASKS];
    char name[16];
    for (int i = 0; i < TASKS; i++) {
        snprintf(name, sizeof name, "t%d", i);
        tasks[i] = named(gives_way(i % 7), name);
    }
    COIL_TRY(coil_gather_array(NULL, tasks, TASKS, 0));
    for (int i = 0; i < TASKS; i++)
        coil_unref(tasks[i]);
    /* Their memory is used again, and counts begin at 1 again. */
    coil_task *late = named(gives_way(1), "late");
    COIL_TRY(coil_await(late, NULL));
    coil_unref(late);
    return 0;
}

TEST(every_task_counts_its_own_steps)
{
    struct run run = trace_run(crowd(), NULL, 0);
    EXPECT_INT(run.rc, 0);
    unsigned begun[300] = { 0 };
    for (const char *line = run.text; *line; line = strchr(line, '\n') + 1) {
        unsigned task, step;
        if (sscanf(line, "-> t%u #%u @", &task, &step) == 2) {
            EXPECT(task < 300 && step == ++begun[task]);
        } else if (sscanf(line, "<- t%u #%u ", &task, &step) == 2) {
            EXPECT(task < 300 && step == begun[task]);
        }
    }
    for (unsigned i = 0; i < 300; i++)
        EXPECT_INT(begun[i], i % 7 + 1);
    EXPECT(strstr(run.text, "-> late #1 @"));
    EXPECT(strstr(run.text, "<- late #2 done\n"));
}

TEST(survives_every_failed_allocation)
{
    /* A trace that cannot count goes on without numbers; nothing else may change, nor leak. */
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    quiet = true;
    for (long nth = 1;; nth++) {
        coil_testing_fail_alloc(nth);
        struct run run = trace_run(all_endings(), NULL, 0);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        (void)run.rc; /* all_endings may fail in any of its own calls */
        for (const char *line = run.text; *line; line = strchr(line, '\n') + 1)
            EXPECT(line[0] == '-' || line[0] == '<');
        coil__errors_forget_thread();
        EXPECT_INT(coil_testing_alloc_count(), before);
        if (!failed)
            break;
    }
    quiet = false;
}

TEST(needs_a_loop)
{
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    EXPECT_PTR(coil_trace_text(NULL, stdout, NULL, 0), NULL);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TESTS_MAIN(RUN(every_ending_of_a_step_has_its_word), RUN(lines_are_indented_as_the_variable_says),
           RUN(times_count_from_the_origin), RUN(can_be_attached_and_detached_by_a_task),
           RUN(every_task_counts_its_own_steps), RUN(survives_every_failed_allocation),
           RUN(needs_a_loop))
