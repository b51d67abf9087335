/* Metrics: what a loop counts about itself. */
#include "lib/steps.h"

#include <pthread.h>
#include <coil/metrics.h>
#include "loop/loop.h"

COIL_ASYNC0(yields)
{
    COIL_TRY(coil_sleep(0));
    return coil_sleep(0);
}

static coil_metrics metrics_now(void)
{
    coil_metrics metrics = COIL_METRICS_INIT;
    EXPECT_INT(coil_loop_metrics(NULL, &metrics), 0);
    return metrics;
}

/* On a virtual clock, where every turn polls. */
COIL_ASYNC0(counts)
{
    coil_metrics before = metrics_now();
    EXPECT_INT(before.tasks_created, 1);
    COIL_TRY(coil_gather(NULL, yields(), yields()));
    COIL_TRY(coil_sleep(0));
    coil_metrics after = metrics_now();
    EXPECT_INT(after.tasks_created - before.tasks_created, 2);
    EXPECT_INT(after.tasks_done - before.tasks_done, 2);
    EXPECT_INT(after.turns - before.turns,
               6); /* three steps of each, two for gather, one for sleep */
    EXPECT_INT(after.timers, 0);
    return 0;
}

TEST(tasks_and_turns_are_counted)
{
    /* The numbers a dashboard shows must be those of the program. */
    EXPECT_RUN(counts(), 0);
}

COIL_ASYNC(yields_often, (int, times))
{
    for (int i = 0; i < times; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

COIL_ASYNC0(waits)
{
    return coil_sleep(0.01);
}

TEST(turns_without_a_poll_are_counted)
{
    /* They leave no trace of their own: their number is taken from what was left of an allowance. */
    coil_loop *loop = coil_new_event_loop();
    EXPECT_INT(coil_run_until_complete(loop, yields_often(1000), NULL), 0);
    coil_metrics metrics = COIL_METRICS_INIT;
    EXPECT_INT(coil_loop_metrics(loop, &metrics), 0);
    EXPECT(metrics.turns <= 1002);
    EXPECT_INT(coil_run_until_complete(loop, waits(), NULL), 0); /* polls */
    EXPECT_INT(coil_loop_metrics(loop, &metrics), 0);
    EXPECT(metrics.turns >= 1004 && metrics.turns <= 1010);
    EXPECT(metrics.polls >= 1000 / COIL__TURNS_MAX && metrics.polls < metrics.turns);
    EXPECT(metrics.busy_seconds > 0);
    EXPECT(metrics.longest_seconds > 0 && metrics.longest_seconds <= metrics.busy_seconds);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_loop_metrics(loop, &metrics), 0);
    coil_unref(loop);
}

TEST(waiting_and_lateness_are_measured)
{
    /* They tell a loop at its limit from one that has nothing to do. */
    coil_loop *loop = coil_new_event_loop();
    coil_metrics metrics = COIL_METRICS_INIT;
    EXPECT_INT(coil_run_until_complete(loop, waits(), NULL), 0);
    EXPECT_INT(coil_loop_metrics(loop, &metrics), 0);
    EXPECT(metrics.waited_seconds >= 0.0099);
    EXPECT(metrics.late_seconds >= 0 && metrics.latest_seconds >= metrics.late_seconds);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

static void *read_until_done(void *arg)
{
    coil_loop *loop = arg;
    coil_metrics metrics = COIL_METRICS_INIT;
    do {
        EXPECT_INT(coil_loop_metrics(loop, &metrics), 0);
        EXPECT(metrics.tasks_done <= metrics.tasks_created);
    } while (metrics.tasks_done < 1001);
    return NULL;
}

COIL_ASYNC0(makes_many)
{
    for (int i = 0; i < 1000; i++)
        COIL_TRY(coil_gather(NULL, yields_often(0)));
    return 0;
}

TEST(other_threads_may_read)
{
    /* The thread that answers the dashboard need not be the loop's. */
    coil_loop *loop = coil_new_event_loop();
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, read_until_done, loop) == 0);
    EXPECT_INT(coil_run_until_complete(loop, makes_many(), NULL), 0);
    pthread_join(thread, NULL);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

TEST(prometheus_text_has_a_sample_for_each_loop)
{
    /* A scraper rejects the page as a whole if a name comes twice or a type is missing. */
    coil_metrics loops[2] = { { .size = sizeof(coil_metrics), .polls = 12 },
                              { .size = sizeof(coil_metrics), .polls = 5, .busy_seconds = 1.5 } };
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    EXPECT_INT(coil_metrics_write_prometheus(file, loops, 2), 0);
    fclose(file);
    const char *polls = "# HELP coil_polls_total Looks at the kernel.\n"
                        "# TYPE coil_polls_total counter\n"
                        "coil_polls_total{loop=\"0\"} 12\n"
                        "coil_polls_total{loop=\"1\"} 5\n";
    EXPECT(strncmp(text, polls, strlen(polls)) == 0);
    EXPECT(strstr(text, "coil_busy_seconds_total{loop=\"1\"} 1.500000000\n") != NULL);
    EXPECT(strstr(text, "coil_buffered_bytes{loop=\"0\"} 0\n") != NULL);
    free(text);
    FILE *full = fopen("/dev/full", "w");
    REQUIRE(full);
    EXPECT_INT(coil_metrics_write_prometheus(full, loops, 2), -ENOSPC);
    fclose(full);
}

TEST(missing_loop_or_size_is_refused)
{
    /* Nothing is written then. */
    coil_metrics metrics = COIL_METRICS_INIT;
    EXPECT_INT(coil_loop_metrics(NULL, &metrics), COIL_ENOLOOP);
    coil_loop *loop = coil_new_event_loop();
    metrics.size = 0;
    EXPECT_INT(coil_loop_metrics(loop, &metrics), COIL_EINVAL);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

TESTS_MAIN(RUN(tasks_and_turns_are_counted), RUN(turns_without_a_poll_are_counted),
           RUN(waiting_and_lateness_are_measured), RUN(other_threads_may_read),
           RUN(prometheus_text_has_a_sample_for_each_loop), RUN(missing_loop_or_size_is_refused))
