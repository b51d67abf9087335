/* Calls from other threads: order, wake-up, and what becomes of them when the loop is closed. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static int stop(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

static int count(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

/* ---- many senders ---------------------------------------------------------------------------- */

enum {
    SENDERS = 4,
    CALLS = 100 * 1000
};

static struct sender {
    coil_loop *loop;
    int sent, ran;
    bool in_order;
} senders[SENDERS];

static int total;

static int receive(void *arg)
{
    int sender = (int)(intptr_t)arg / CALLS, number = (int)(intptr_t)arg % CALLS;
    senders[sender].in_order &= senders[sender].ran == number;
    senders[sender].ran++;
    if (++total == SENDERS * CALLS)
        coil_loop_stop(NULL);
    return 0;
}

static void *send_all(void *arg)
{
    struct sender *self = arg;
    for (int i = 0; i < CALLS; i++) {
        intptr_t what = (self - senders) * CALLS + i;
        if (coil_call_soon_threadsafe(self->loop, receive, (void *)what) == 0)
            self->sent++;
    }
    return NULL;
}

TEST(calls_of_one_thread_keep_their_order_and_none_is_lost)
{
    size_t before = coil_testing_alloc_count();
    pthread_t threads[SENDERS];
    coil_loop *loop = coil_new_event_loop();
    total = 0;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ .loop = loop, .in_order = true };
        REQUIRE(pthread_create(&threads[i], NULL, send_all, &senders[i]) == 0);
    }
    EXPECT_INT(coil_run_forever(loop), 0);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_INT(senders[i].sent, CALLS);
        EXPECT_INT(senders[i].ran, CALLS);
        EXPECT(senders[i].in_order);
    }
    end(loop);
    EXPECT_INT(coil_testing_alloc_count(), before);
}

/* ---- waking ---------------------------------------------------------------------------------- */

/* Two loops throw a ball: each throw finds the other asleep, or just falling asleep. */
struct player {
    coil_loop *loop;
    struct player *other;
    int left;
};

static int catch_and_throw(void *arg)
{
    struct player *self = arg;
    if (self->left-- == 0) {
        EXPECT_INT(coil_call_soon_threadsafe(self->other->loop, stop, NULL), 0);
        coil_loop_stop(NULL);
        return 0;
    }
    return coil_call_soon_threadsafe(self->other->loop, catch_and_throw, self->other);
}

static void *play(void *arg)
{
    struct player *self = arg;
    EXPECT_INT(coil_run_forever(self->loop), 0);
    return NULL;
}

TEST(loop_that_sleeps_is_woken_every_time)
{
    struct player players[2];
    for (int i = 0; i < 2; i++)
        players[i] = (struct player){ coil_new_event_loop(), &players[1 - i], 5000 };
    /* A far timer: the loop sleeps with a limit, which must not be what wakes it. */
    EXPECT_INT(coil_call_later(players[1].loop, 3600, stop, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon_threadsafe(players[0].loop, catch_and_throw, &players[0]), 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, play, &players[1]) == 0);
    play(&players[0]);
    pthread_join(thread, NULL);
    EXPECT_INT(players[0].left, -1);
    EXPECT_INT(players[1].left, 0);
    end(players[0].loop);
    end(players[1].loop);
}

static int send_to_itself(void *arg)
{
    coil_loop *loop = coil_get_running_loop();
    EXPECT_INT(coil_call_soon_threadsafe(loop, count, arg), 0);
    return coil_call_soon_threadsafe(loop, stop, NULL);
}

TEST(loops_own_thread_may_send_too)
{
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    EXPECT_INT(coil_call_soon(loop, send_to_itself, &ran, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(ran, 1);
    end(loop);
}

TEST(call_before_the_run_is_kept)
{
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    EXPECT_INT(coil_call_soon_threadsafe(loop, count, &ran), 0);
    EXPECT_INT(coil_call_soon_threadsafe(loop, stop, NULL), 0);
    EXPECT_INT(ran, 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(ran, 1);
    end(loop);
}

/* ---- release, context, memory ---------------------------------------------------------------- */

static atomic_int releases;

static void count_release(void *arg)
{
    (void)arg;
    atomic_fetch_add(&releases, 1);
}

static const coil_call_options with_release = { sizeof(coil_call_options), NULL, count_release };

TEST(release_follows_the_callback_or_the_loops_end)
{
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    atomic_store(&releases, 0);
    EXPECT_INT(coil_call_soon_threadsafe_with(loop, count, &ran, &with_release), 0);
    EXPECT_INT(coil_call_soon_threadsafe(loop, stop, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(ran, 1);
    EXPECT_INT(atomic_load(&releases), 1);
    EXPECT_INT(coil_call_soon_threadsafe_with(loop, count, &ran, &with_release), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(ran, 1);
    EXPECT_INT(atomic_load(&releases), 2);
    EXPECT_INT(coil_call_soon_threadsafe_with(loop, count, &ran, &with_release), COIL_ECLOSED);
    EXPECT_INT(atomic_load(&releases), 2);
    coil_unref(loop);
}

TEST(call_without_memory_is_refused)
{
    /* Only a post that finds its segment full needs any. One that was refused is as if it had not been
     * made: with memory the next one gets through, behind all that came before. */
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    atomic_store(&releases, 0);
    for (int i = 0; i < COIL__SEGMENT_POSTS; i++) {
        coil_testing_fail_alloc(1);
        EXPECT_INT(coil_call_soon_threadsafe_with(loop, count, &ran, &with_release), 0);
        EXPECT(!coil_testing_alloc_failed());
    }
    for (int i = 0; i < 2; i++) {
        coil_testing_fail_alloc(1);
        EXPECT_INT(coil_call_soon_threadsafe_with(loop, count, &ran, &with_release), COIL_ENOMEM);
        EXPECT(coil_testing_alloc_failed());
    }
    coil_testing_fail_alloc(0);
    EXPECT_INT(atomic_load(&releases), 0);
    EXPECT_INT(coil_call_soon_threadsafe(loop, stop, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(ran, COIL__SEGMENT_POSTS);
    EXPECT_INT(atomic_load(&releases), COIL__SEGMENT_POSTS);
    end(loop);
}

TEST(emptied_segments_are_used_again)
{
    /* Three segments in flight at a time, over and over: after the first round nothing is allocated for
     * them. */
    enum {
        POSTS = 3 * COIL__SEGMENT_POSTS - 10,
        ROUNDS = 20
    };
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    for (int round = 0; round < ROUNDS; round++) {
        if (round > 1)
            coil_testing_fail_alloc(1);
        for (int i = 0; i < POSTS; i++)
            EXPECT_INT(coil_call_soon_threadsafe(loop, count, &ran), 0);
        EXPECT_INT(coil_call_soon_threadsafe(loop, stop, NULL), 0);
        EXPECT(!coil_testing_alloc_failed());
        coil_testing_fail_alloc(0);
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(ran, (round + 1) * POSTS);
    }
    end(loop);
}

TEST(posts_are_taken_later_when_there_is_no_memory_for_handles)
{
    coil_loop *loop = coil_new_event_loop();
    int ran = 0;
    EXPECT_INT(coil_call_soon_threadsafe(loop, count, &ran), 0);
    EXPECT_INT(coil_call_soon_threadsafe(loop, stop, NULL), 0);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT(coil_testing_alloc_failed());
    coil_testing_fail_alloc(0);
    EXPECT_INT(ran, 1);
    end(loop);
}

static coil_context_var *var;

static int look_at_var(void *arg)
{
    coil_value value = coil_nil();
    EXPECT_INT(coil_context_var_get(var, &value), 0);
    *(int64_t *)arg = value.integer;
    coil_loop_stop(NULL);
    return 0;
}

struct posting {
    coil_loop *loop;
    int64_t seen;
};

static void *set_and_send(void *arg)
{
    struct posting *posting = arg;
    EXPECT_INT(coil_context_var_set(var, coil_int(42), NULL), 0);
    EXPECT_INT(coil_call_soon_threadsafe(posting->loop, look_at_var, &posting->seen), 0);
    return NULL;
}

TEST(call_carries_the_senders_context)
{
    /* As in asyncio: what the sender has set is what the callback sees, even once the sender is gone. */
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    var = coil_context_var_new("request");
    REQUIRE(var);
    struct posting posting = { coil_new_event_loop(), 0 };
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, set_and_send, &posting) == 0);
    pthread_join(thread, NULL);
    EXPECT_INT(coil_run_forever(posting.loop), 0);
    EXPECT_INT(posting.seen, 42);
    end(posting.loop);
    coil_context_var_free(var);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

/* ---- closing while others send ------------------------------------------------------------------
 * Each call is either taken, and then released exactly once, or refused, and then not released at all. */

static atomic_int accepted, ready_senders;
static atomic_bool enough;

static void *send_until_refused(void *arg)
{
    coil_loop *loop = arg;
    atomic_fetch_add(&ready_senders, 1);
    int nothing = 0, rc;
    while ((rc = coil_call_soon_threadsafe_with(loop, count, &nothing, &with_release)) == 0 &&
           !atomic_load(&enough))
        atomic_fetch_add(&accepted, 1);
    if (rc == 0)
        atomic_fetch_add(&accepted, 1);
    else
        EXPECT_INT(rc, COIL_ECLOSED);
    return NULL;
}

static void close_beside_senders(bool embedded)
{
    coil_loop *loop = coil_new_event_loop();
    pthread_t threads[2];
    atomic_store(&accepted, 0);
    atomic_store(&releases, 0);
    atomic_store(&ready_senders, 0);
    atomic_store(&enough, false);
    /* A loop inside another one counts as asleep: every sender goes for the backend. */
    if (embedded)
        EXPECT(coil_loop_fd(loop) >= 0 || coil_error_last() == COIL_ENOTSUP);
    for (int i = 0; i < 2; i++)
        if (!EXPECT_INT(pthread_create(&threads[i], NULL, send_until_refused, loop), 0))
            abort();
    while (atomic_load(&ready_senders) < 2) {}
    EXPECT_INT(coil_loop_close(loop), 0);
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT_INT(atomic_load(&releases), atomic_load(&accepted));
    coil_unref(loop);
}

TEST(call_that_meets_the_close_is_dropped_or_refused)
{
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    for (int i = 0; i < 60; i++)
        close_beside_senders(i % 2);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

/* ---- what must not be lost ------------------------------------------------------------------- */

static int late_runs, late_releases;

static int run_late_call(void *arg)
{
    late_runs = late_runs * 10 + (int)(intptr_t)arg;
    if ((intptr_t)arg == 3)
        coil_loop_stop(NULL);
    return 0;
}

static void release_late_call(void *arg)
{
    (void)arg;
    late_releases++;
}

static struct coil__late late_calls[3];

/* Fills the segment, and then has no memory for another: from a thread, as it would be. */
static void *post_late_calls(void *arg)
{
    coil_loop *loop = arg;
    static int counted;
    for (int i = 0; i < COIL__SEGMENT_POSTS; i++)
        EXPECT_INT(coil_call_soon_threadsafe(loop, count, &counted), 0);
    for (int i = 0; i < 3; i++) {
        late_calls[i] = (struct coil__late){ .fn = run_late_call,
                                             .arg = (void *)(intptr_t)(i + 1),
                                             .release = release_late_call,
                                             .loop = loop };
        coil_testing_fail_alloc(1);
        EXPECT_INT(coil__inbox_post_late(&late_calls[i]), 0);
        EXPECT(coil_testing_alloc_failed());
        coil_testing_fail_alloc(0);
    }
    return NULL;
}

static coil_loop *loop_with_late_calls(void)
{
    pthread_t thread;
    coil_loop *loop = coil_new_event_loop();
    late_runs = late_releases = 0;
    if (EXPECT(pthread_create(&thread, NULL, post_late_calls, loop) == 0))
        pthread_join(thread, NULL);
    return loop;
}

TEST(result_of_a_thread_arrives_although_there_is_no_memory_to_post_it)
{
    size_t before = coil_testing_alloc_count();
    coil_loop *loop = loop_with_late_calls();
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(late_runs, 123);
    EXPECT_INT(late_releases, 3);
    end(loop);
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(result_that_comes_too_late_is_released_when_the_loop_is_closed)
{
    size_t before = coil_testing_alloc_count();
    coil_loop *loop = loop_with_late_calls();
    coil__loop_hold(loop);
    end(loop);
    EXPECT_INT(late_runs, 0);
    EXPECT_INT(late_releases, 3);
    EXPECT_INT(coil__inbox_post_late(&late_calls[0]), COIL_ECLOSED);
    EXPECT_INT(late_releases, 3);
    coil__loop_let_go(loop);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TESTS_MAIN(RUN(calls_of_one_thread_keep_their_order_and_none_is_lost),
           RUN(loop_that_sleeps_is_woken_every_time), RUN(loops_own_thread_may_send_too),
           RUN(call_before_the_run_is_kept), RUN(release_follows_the_callback_or_the_loops_end),
           RUN(call_without_memory_is_refused), RUN(emptied_segments_are_used_again),
           RUN(posts_are_taken_later_when_there_is_no_memory_for_handles),
           RUN(call_carries_the_senders_context),
           RUN(call_that_meets_the_close_is_dropped_or_refused),
           RUN(result_of_a_thread_arrives_although_there_is_no_memory_to_post_it),
           RUN(result_that_comes_too_late_is_released_when_the_loop_is_closed))
