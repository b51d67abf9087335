/* Concurrent futures: results that cross from one thread to another, and cancellations that go the other
 * way, in whichever order they meet. */
#include "lib/steps.h"

#include <pthread.h>
#include <semaphore.h>

static sem_t started, gate;

static void reset(void)
{
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    dropped = 0;
    notes_[0] = '\0';
}

/* ---- by hand -------------------------------------------------------------------------------------- */

TEST(future_by_hand_is_completed_once)
{
    reset();
    size_t blocks = steps_blocks();
    coil_value value;
    coil_concurrent_future *future = coil_concurrent_future_new();
    EXPECT(!coil_concurrent_future_done(future));
    EXPECT_INT(coil_concurrent_future_result(future, 0, NULL), COIL_ETIMEDOUT);
    EXPECT_INT(coil_concurrent_future_result(future, 0.001, NULL), COIL_ETIMEDOUT);
    EXPECT_INT(coil_concurrent_future_set_exception(future, 0), COIL_EINVAL);
    EXPECT_INT(coil_concurrent_future_set_result(future, counted()), 0);
    EXPECT_INT(coil_concurrent_future_set_result(future, counted()), COIL_EINVALIDSTATE);
    EXPECT_INT(dropped, 1);
    EXPECT(coil_concurrent_future_done(future));
    EXPECT(!coil_concurrent_future_cancel(future));
    EXPECT_INT(coil_concurrent_future_result(future, 0, &value), 0);
    EXPECT_PTR(value.drop, NULL);
    EXPECT_INT(coil_concurrent_future_take_result(future, 0, &value), 0);
    coil_unref(future);
    EXPECT_INT(dropped, 1);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 2);
    EXPECT_INT(steps_blocks(), blocks);
}

static void *waits_for_error(void *arg)
{
    coil_concurrent_future *future = arg;
    EXPECT_INT(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL), -EPIPE);
    coil_error *error = coil_error_current(-EPIPE);
    EXPECT_STR(coil_error_message(error), "broken");
    EXPECT(error && coil_error_cause(error) != NULL);
    coil_unref(future);
    return NULL;
}

TEST(each_thread_that_waits_gets_a_record_of_its_own)
{
    /* Counts of records are not atomic: sharing one would lose it now and then. */
    reset();
    size_t blocks = steps_blocks();
    pthread_t threads[4];
    coil_concurrent_future *future = coil_concurrent_future_new();
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, waits_for_error, coil_ref(future)) == 0);
    int rc = coil_raise(-EIO, "cable");
    rc = coil_raise_from(rc, -EPIPE, "broken");
    EXPECT_INT(coil_concurrent_future_set_exception(future, rc), 0);
    coil_unref(future);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT_INT(steps_blocks(), blocks);
}

/* ---- wrapped -------------------------------------------------------------------------------------- */

static void *completes(void *future)
{
    sem_wait(&gate);
    EXPECT_INT(coil_concurrent_future_set_result(future, counted()), 0);
    coil_unref(future);
    return NULL;
}

COIL_ASYNC0(awaits_wrapped)
{
    pthread_t thread;
    coil_value value;
    coil_concurrent_future *source = coil_concurrent_future_new();
    EXPECT_INT(pthread_create(&thread, NULL, completes, coil_ref(source)), 0);
    coil_future *future = coil_wrap_future(source, NULL);
    sem_post(&gate);
    COIL_TRY(coil_await(future, NULL));
    COIL_TRY(coil_future_take_result(future, &value));
    coil_unref(future);
    coil_unref(source);
    pthread_join(thread, NULL);
    EXPECT_INT(dropped, 0);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(wrapped_future_gets_the_result_of_another_thread)
{
    reset();
    EXPECT_RUN(awaits_wrapped(), 0);
}

COIL_ASYNC0(cancels_wrapped)
{
    coil_concurrent_future *source = coil_concurrent_future_new();
    coil_future *future = coil_wrap_future(source, NULL);
    coil_future_cancel(future, NULL);
    EXPECT(!coil_concurrent_future_cancelled(source)); /* as in asyncio, by a callback */
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_concurrent_future_cancelled(source));
    EXPECT_INT(coil_concurrent_future_set_result(source, counted()), COIL_EINVALIDSTATE);
    coil_unref(future);
    coil_unref(source);

    source = coil_concurrent_future_new();
    future = coil_wrap_future(source, NULL);
    EXPECT(coil_concurrent_future_cancel(source));
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    coil_unref(future);
    future = coil_wrap_future(source, NULL); /* one that is done already */
    EXPECT_INT(coil_await(future, NULL), COIL_ECANCELED);
    coil_unref(future);
    coil_unref(source);
    return 0;
}

TEST(cancelling_goes_both_ways_through_a_wrapped_future)
{
    reset();
    EXPECT_RUN(cancels_wrapped(), 0);
}

COIL_ASYNC0(completes_wrapped_itself)
{
    coil_concurrent_future *source = coil_concurrent_future_new();
    coil_future *future = coil_wrap_future(source, NULL);
    EXPECT_INT(coil_future_set_result(future, coil_int(1)), 0);
    COIL_TRY(coil_sleep(0));
    EXPECT(!coil_concurrent_future_cancelled(source));
    EXPECT_INT(coil_concurrent_future_set_result(source, counted()), 0);
    coil_unref(future);
    coil_unref(source);
    COIL_TRY(coil_sleep(0));
    EXPECT_INT(dropped, 1);
    return 0;
}

TEST(wrapped_future_that_is_completed_otherwise_lets_go)
{
    reset();
    EXPECT_RUN(completes_wrapped_itself(), 0);
}

TEST(future_may_be_completed_after_the_loop_that_wrapped_it_is_gone)
{
    reset();
    size_t blocks = steps_blocks();
    coil_concurrent_future *source = coil_concurrent_future_new();
    coil_loop *loop = steps_loop(NULL);
    coil_future *future = coil_wrap_future(source, loop);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT(!coil_future_done(future));
    coil_unref(future);
    EXPECT_INT(coil_concurrent_future_set_result(source, counted()), 0);
    coil_unref(source);
    EXPECT_INT(dropped, 1);
    EXPECT_INT(steps_blocks(), blocks);
}

COIL_ASYNC0(blocks_its_loop)
{
    coil_concurrent_future *source = coil_concurrent_future_new();
    EXPECT_INT(coil_concurrent_future_result(source, 1, NULL), COIL_ERUNTIME);
    EXPECT_INT(coil_concurrent_future_result(source, 0, NULL), COIL_ETIMEDOUT);
    coil_unref(source);
    return 0;
}

TEST(waiting_in_a_loops_thread_is_refused)
{
    reset();
    EXPECT_RUN(blocks_its_loop(), 0);
}

/* ---- coroutines for other threads ----------------------------------------------------------------- */

/* A loop that runs in a thread until it is told to stop. */
struct server {
    coil_loop *loop;
    pthread_t thread;
};

static int stop_loop(void *loop)
{
    coil_loop_stop(loop);
    return 0;
}

static void *serve(void *loop)
{
    EXPECT_INT(coil_run_forever(loop), 0);
    return NULL;
}

static bool server_start(struct server *server)
{
    server->loop = steps_loop(&dropped);
    return EXPECT(server->loop != NULL) &&
           EXPECT(pthread_create(&server->thread, NULL, serve, server->loop) == 0);
}

static void server_stop(struct server *server)
{
    EXPECT_INT(coil_call_soon_threadsafe(server->loop, stop_loop, server->loop), 0);
    pthread_join(server->thread, NULL);
}

static void server_end(struct server *server)
{
    EXPECT_INT(coil_loop_close(server->loop), 0);
    coil_unref(server->loop);
}

COIL_ASYNC(gives, (double, delay), (int, code))
{
    COIL_TRY(coil_sleep(delay));
    if (code < 0)
        return coil_raise(code, "from the loop");
    coil_return(counted());
}

COIL_ASYNC0(sleeps_for_ever)
{
    sem_post(&started);
    int rc = coil_sleep(COIL_NO_TIMEOUT);
    note("%s", coil_error_name(rc));
    sem_post(&gate);
    return rc;
}

TEST(thread_gets_the_result_or_the_error_of_a_coroutine)
{
    reset();
    size_t blocks = steps_blocks();
    struct server server;
    coil_value value;
    REQUIRE(server_start(&server));
    coil_concurrent_future *future = coil_run_coroutine_threadsafe(gives(0, 0), server.loop);
    EXPECT_INT(coil_concurrent_future_take_result(future, COIL_NO_TIMEOUT, &value), 0);
    EXPECT_INT(coil_concurrent_future_set_exception(future, -EIO), COIL_ERUNTIME);
    coil_unref(future);
    coil_value_clear(&value);
    EXPECT_INT(dropped, 1);

    future = coil_run_coroutine_threadsafe(gives(0.001, COIL_EAPP), server.loop);
    EXPECT_INT(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "from the loop");
    coil_unref(future);

    future = coil_run_coroutine_threadsafe(gives(3600, 0), server.loop);
    EXPECT_INT(coil_concurrent_future_result(future, 0.001, NULL), COIL_ETIMEDOUT);
    EXPECT(coil_concurrent_future_cancel(future));
    EXPECT(coil_concurrent_future_cancelled(future));
    EXPECT_INT(coil_concurrent_future_result(future, 0, NULL), COIL_ECANCELED);
    coil_unref(future);

    future = coil_run_coroutine_threadsafe(gives(0, -EPIPE), server.loop); /* takes a turn longer */
    EXPECT_INT(coil_concurrent_future_result(future, COIL_NO_TIMEOUT, NULL), -EPIPE);
    coil_unref(future);
    server_stop(&server);
    server_end(&server);
    EXPECT_INT(steps_blocks(), blocks);
    EXPECT_INT(reports_total(), 0);
}

TEST(cancelling_from_a_thread_reaches_the_task)
{
    reset();
    size_t blocks = steps_blocks();
    struct server server;
    REQUIRE(server_start(&server));
    coil_concurrent_future *future = coil_run_coroutine_threadsafe(sleeps_for_ever(), server.loop);
    sem_wait(&started);
    EXPECT(coil_concurrent_future_cancel(future));
    coil_unref(future);
    sem_wait(&gate);
    EXPECT_NOTES("COIL_ECANCELED");
    server_stop(&server);
    server_end(&server);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(thread_does_not_wait_for_ever_for_a_loop_that_is_closed)
{
    /* In asyncio it would. */
    reset();
    size_t blocks = steps_blocks();
    struct server server;
    REQUIRE(server_start(&server));
    coil_concurrent_future *running = coil_run_coroutine_threadsafe(sleeps_for_ever(), server.loop);
    sem_wait(&started);
    server_stop(&server);
    coil_concurrent_future *posted = coil_run_coroutine_threadsafe(gives(0, 0), server.loop);
    EXPECT(!coil_concurrent_future_done(posted));
    coil_loop *loop = coil_ref(server.loop);
    server_end(&server);
    EXPECT_NOTES("COIL_ECLOSING");
    EXPECT_INT(coil_concurrent_future_result(running, COIL_NO_TIMEOUT, NULL), COIL_ECANCELED);
    EXPECT_INT(coil_concurrent_future_result(posted, COIL_NO_TIMEOUT, NULL), COIL_ECLOSED);
    EXPECT_PTR(coil_run_coroutine_threadsafe(gives(0, 0), loop), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    coil_unref(running);
    coil_unref(posted);
    coil_unref(loop);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(coroutine_cancelled_before_its_loop_runs_never_runs)
{
    reset();
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(&dropped);
    coil_concurrent_future *future = coil_run_coroutine_threadsafe(sleeps_for_ever(), loop);
    EXPECT(coil_concurrent_future_cancel(future));
    coil_unref(future);
    for (int i = 0; i < 5; i++)
        EXPECT(coil_loop_step(loop, 0) >= 0);
    EXPECT_NOTES("");
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(reports_total(), 0);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(coroutine_for_a_loop_survives_every_failed_allocation)
{
    reset();
    struct server server;
    REQUIRE(server_start(&server));
    server_stop(&server);
    coil_unref(coil_concurrent_future_new()); /* what is made once, is made */
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        size_t blocks = steps_blocks();
        coil_testing_fail_alloc(nth);
        coil_coro *coro = gives(0, 0);
        coil_concurrent_future *future = coil_run_coroutine_threadsafe(coro, server.loop);
        for (int i = 0; i < 5; i++)
            EXPECT(coil_loop_step(server.loop, 0) >= 0);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        for (int i = 0; i < 5; i++)
            EXPECT(coil_loop_step(server.loop, 0) >= 0);
        if (future) {
            int rc = coil_concurrent_future_result(future, 0, NULL);
            EXPECT(rc == 0 || (failed && rc == COIL_ENOMEM));
        } else {
            EXPECT_INT(coil_error_last(), COIL_ENOMEM);
        }
        coil_unref(future);
        if (!failed)
            EXPECT(steps_blocks() <= blocks + 8); /* what the loop keeps for reuse */
    }
    server_end(&server);
}

TESTS_MAIN(RUN(future_by_hand_is_completed_once),
           RUN(each_thread_that_waits_gets_a_record_of_its_own),
           RUN(wrapped_future_gets_the_result_of_another_thread),
           RUN(cancelling_goes_both_ways_through_a_wrapped_future),
           RUN(wrapped_future_that_is_completed_otherwise_lets_go),
           RUN(future_may_be_completed_after_the_loop_that_wrapped_it_is_gone),
           RUN(waiting_in_a_loops_thread_is_refused),
           RUN(thread_gets_the_result_or_the_error_of_a_coroutine),
           RUN(cancelling_from_a_thread_reaches_the_task),
           RUN(thread_does_not_wait_for_ever_for_a_loop_that_is_closed),
           RUN(coroutine_cancelled_before_its_loop_runs_never_runs),
           RUN(coroutine_for_a_loop_survives_every_failed_allocation))
