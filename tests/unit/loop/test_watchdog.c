/* The watchdog: what blocks a loop in debug mode is told of while it blocks. */
#include "lib/steps.h"

#include <pthread.h>
#include <unistd.h>
#include <coil/debug.h>

#ifdef COIL__TSAN
static const bool signals_are_prompt = false;
#else
static const bool signals_are_prompt = true;
#endif

/* A step that goes on until the watchdog has told of it, so that no test depends on how fast it does. */
struct story {
    int pipe[2];
    int readers; /* of it, which go on when all have been told of */
    atomic_int told;
    coil_blocked_report report; /* the first; its texts and frames are copied */
    char task[64], coroutine[64], message[200];
    void *frames[64];
};

static void note_blocked(const coil_blocked_report *report, void *arg)
{
    struct story *story = arg;
    if (atomic_load(&story->told) == 0) {
        story->report = *report;
        snprintf(story->message, sizeof story->message, "%s", report->message);
        snprintf(story->task, sizeof story->task, "%s", report->task ? report->task : "-");
        snprintf(story->coroutine, sizeof story->coroutine, "%s",
                 report->coroutine ? report->coroutine : "-");
        memcpy(story->frames, report->frames, report->frame_count * sizeof(void *));
    }
    int told = atomic_fetch_add(&story->told, 1) + 1;
    if (told == story->readers)
        EXPECT_INT(write(story->pipe[1], "xxx", (size_t)told), told);
}

/* Not static, and not inlined: they are looked for on the stack. */
int test_blocks_here(struct story *story);
int test_computes_here(struct story *story);

__attribute__((noinline)) int test_blocks_here(struct story *story)
{
    char byte;
    ssize_t bytes = read(story->pipe[0], &byte, 1);
    EXPECT_INT(bytes, 1);
    return (int)bytes - 1;
}

__attribute__((noinline)) int test_computes_here(struct story *story)
{
    while (atomic_load(&story->told) == 0)
        continue;
    return (int)(atomic_load(&story->told) - 1);
}

static bool has_frame_in(const struct story *story, int (*fn)(struct story *))
{
    for (size_t i = 0; i < story->report.frame_count; i++) {
        uintptr_t begin = (uintptr_t)fn, frame = (uintptr_t)story->frames[i];
        if (frame >= begin && frame < begin + 256)
            return true;
    }
    return false;
}

COIL_ASYNC(blocks, (struct story *, story))
{
    coil_task_set_name(coil_current_task(), "reader");
    int rc = test_blocks_here(story);
    COIL_TRY(coil_sleep(0)); /* the step is over */
    return rc;
}

COIL_ASYNC(computes, (struct story *, story))
{
    return test_computes_here(story);
}

static int block_in_callback(void *arg)
{
    return test_blocks_here(arg);
}

COIL_ASYNC(blocks_in_callback, (struct story *, story))
{
    COIL_TRY(coil_call_soon(NULL, block_in_callback, story, NULL));
    COIL_TRY(coil_sleep(0));
    return coil_sleep(0);
}

static void ignore_log(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop;
    (void)level;
    (void)report;
    (void)arg;
}

static coil_loop *watched_loop(void)
{
    coil_loop *loop = coil_new_event_loop();
    coil_set_debug(loop, true);
    coil_set_slow_callback_duration(loop, 0.01);
    coil_set_logger(loop, ignore_log, NULL); /* of steps that were slow, afterwards */
    return loop;
}

static void run_watched(coil_coro *coro, struct story *story)
{
    coil_loop *loop = watched_loop();
    coil_set_blocked_handler(note_blocked, story);
    EXPECT_INT(coil_run_until_complete(loop, coro, NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil_set_blocked_handler(NULL, NULL);
}

TEST(blocking_call_is_told_of_with_task_and_stack)
{
    /* A read from a pipe stops every other task; it may never return, so nobody else would tell. */
    struct story story = { .readers = 1 };
    REQUIRE(pipe(story.pipe) == 0);
    run_watched(blocks(&story), &story);
    EXPECT_INT(story.told, 1);
    EXPECT(!story.report.computes);
    EXPECT(strstr(story.message, "a step blocks its loop") != NULL);
    EXPECT(strstr(story.message, "coil_to_thread") != NULL);
    EXPECT(story.report.seconds >= 0.01);
    if (signals_are_prompt) {
        EXPECT_STR(story.task, "reader");
        EXPECT_STR(story.coroutine, "blocks");
        EXPECT(has_frame_in(&story, test_blocks_here));
    }
    close(story.pipe[0]);
    close(story.pipe[1]);
}

TEST(computing_step_is_told_from_a_blocking_one)
{
    /* The remedy differs: give way now and then, instead of awaiting. */
    struct story story = { .told = 0 };
    run_watched(computes(&story), &story);
    EXPECT_INT(story.told, 1);
    EXPECT(story.report.computes);
    EXPECT(strstr(story.message, "a step computes for long") != NULL);
    EXPECT(story.report.cpu_seconds > story.report.seconds / 2);
    if (signals_are_prompt)
        EXPECT(has_frame_in(&story, test_computes_here));
}

TEST(callback_that_blocks_is_told_of)
{
    /* It has no task, but a stack. */
    struct story story = { .readers = 1 };
    REQUIRE(pipe(story.pipe) == 0);
    run_watched(blocks_in_callback(&story), &story);
    EXPECT_INT(story.told, 1);
    EXPECT_STR(story.task, "-");
    if (signals_are_prompt)
        EXPECT(has_frame_in(&story, test_blocks_here));
    close(story.pipe[0]);
    close(story.pipe[1]);
}

COIL_ASYNC0(waits_longer_than_the_limit)
{
    return coil_sleep(0.05);
}

TEST(waiting_task_is_not_told_of)
{
    /* The loop waits, too: that is what it is for. */
    struct story story = { .told = 0 };
    run_watched(waits_longer_than_the_limit(), &story);
    EXPECT_INT(story.told, 0);
}

static void *run_one(void *arg)
{
    coil_loop *loop = watched_loop();
    EXPECT_INT(coil_run_until_complete(loop, blocks(arg), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return NULL;
}

TEST(loops_of_several_threads_are_watched)
{
    /* One watchdog for all; it goes with the last loop. */
    struct story story = { .readers = 3 };
    pthread_t threads[3];
    REQUIRE(pipe(story.pipe) == 0);
    coil_set_blocked_handler(note_blocked, &story);
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_one, &story) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    coil_set_blocked_handler(NULL, NULL);
    EXPECT_INT(story.told, 3);
    close(story.pipe[0]);
    close(story.pipe[1]);
}

TESTS_MAIN(RUN(blocking_call_is_told_of_with_task_and_stack),
           RUN(computing_step_is_told_from_a_blocking_one), RUN(callback_that_blocks_is_told_of),
           RUN(waiting_task_is_not_told_of), RUN(loops_of_several_threads_are_watched))
