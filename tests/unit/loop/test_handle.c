/* Callbacks, timers and their handles: order, limits, cancelling at every stage, and release. */
#include "test.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

/* ---- a journal of what ran ------------------------------------------------------------------- */

static char journal[256];
static size_t journal_length;

static coil_loop *begin(void)
{
    journal_length = 0;
    journal[0] = '\0';
    coil__errors_forget_thread();
    return coil_testing_virtual_loop(NULL);
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

static void note_char(char c)
{
    if (journal_length < sizeof journal - 1) {
        journal[journal_length++] = c;
        journal[journal_length] = '\0';
    }
}

static void *letter(char c)
{
    return (void *)(intptr_t)c;
}

static int note(void *arg)
{
    note_char((char)(intptr_t)arg);
    return 0;
}

static int stop(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

/* Runs until nothing is left. */
static void run_dry(coil_loop *loop)
{
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
}

/* ---- order ----------------------------------------------------------------------------------- */

TEST(callbacks_run_in_the_order_in_which_they_were_queued)
{
    coil_loop *loop = begin();
    for (char c = 'a'; c <= 'z'; c++)
        EXPECT_INT(coil_call_soon(loop, note, letter(c), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "abcdefghijklmnopqrstuvwxyz");
    end(loop);
}

static int note_and_queue(void *arg)
{
    char c = (char)(intptr_t)arg;
    note_char(c);
    EXPECT_INT(coil_call_soon(NULL, note, letter((char)(c - 'a' + 'A')), NULL), 0);
    return 0;
}

TEST(callback_queued_by_a_callback_runs_behind_the_whole_turn)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_soon(loop, note_and_queue, letter('a'), NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note_and_queue, letter('b'), NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('c'), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "abcAB");
    end(loop);
}

TEST(timers_fire_by_deadline_and_ties_by_creation)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_later(loop, 2, note, letter('d'), NULL), 0);
    EXPECT_INT(coil_call_later(loop, 1, note, letter('a'), NULL), 0);
    EXPECT_INT(coil_call_at(loop, 1, note, letter('b'), NULL), 0);
    EXPECT_INT(coil_call_later(loop, 1, note, letter('c'), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "abcd");
    EXPECT_DOUBLE(coil_loop_time(loop), 2);
    end(loop);
}

TEST(timer_of_the_past_runs_in_the_next_turn_behind_what_is_ready)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_later(loop, 0, note, letter('c'), NULL), 0);
    EXPECT_INT(coil_call_later(loop, -5, note, letter('b'), NULL), 0);
    EXPECT_INT(coil_call_at(loop, -INFINITY, note, letter('a'), NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('s'), NULL), 0);
    EXPECT_INT(coil_call_soon(loop, stop, NULL, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_STR(journal, "sabc");
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    end(loop);
}

/* ---- limits of times ------------------------------------------------------------------------- */

TEST(time_that_is_not_a_number_is_refused)
{
    coil_loop *loop = begin();
    coil_handle *untouched = (coil_handle *)journal;
    EXPECT_INT(coil_call_later(loop, NAN, note, letter('x'), &untouched), COIL_EINVAL);
    EXPECT_INT(coil_call_at(loop, NAN, note, letter('x'), &untouched), COIL_EINVAL);
    EXPECT_PTR(untouched, journal);
    EXPECT(strlen(coil_error_message(coil_error_current(COIL_EINVAL))) > 0);
    run_dry(loop);
    EXPECT_STR(journal, "");
    end(loop);
}

TEST(endless_and_huge_delays_never_fire)
{
    static const double delays[] = { INFINITY, 1e300, 1e30, 1e10 };
    coil_loop *loop = begin();
    coil_handle *handles[4];
    for (int i = 0; i < 4; i++) {
        EXPECT_INT(coil_call_later(loop, delays[i], note, letter('x'), &handles[i]), 0);
        EXPECT_INT(coil_call_at(loop, delays[i], note, letter('x'), NULL), 0);
        EXPECT(coil_handle_when(handles[i]) > 9e9);
    }
    EXPECT_INT(coil_call_later(loop, 1, note, letter('a'), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "a");
    for (int i = 0; i < 4; i++)
        coil_unref(handles[i]);
    end(loop);
}

TEST(hugely_negative_delays_are_due_at_once)
{
    static const double delays[] = { -INFINITY, -1e300, -1e30, -1e10, -1e-12, -0.0 };
    coil_loop *loop = begin();
    for (int i = 0; i < 6; i++) {
        EXPECT_INT(coil_call_later(loop, delays[i], note, letter('l'), NULL), 0);
        EXPECT_INT(coil_call_at(loop, delays[i], note, letter('a'), NULL), 0);
    }
    run_dry(loop);
    EXPECT_INT(strlen(journal), 12);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    end(loop);
}

TEST(when_is_the_deadline_before_and_after)
{
    coil_loop *loop = begin();
    coil_handle *soon, *later, *at;
    EXPECT_INT(coil_call_soon(loop, note, letter('s'), &soon), 0);
    EXPECT_INT(coil_call_later(loop, 0.25, note, letter('l'), &later), 0);
    EXPECT_INT(coil_call_at(loop, 0.5, note, letter('a'), &at), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT_DOUBLE(coil_handle_when(soon), 0);
        EXPECT_DOUBLE(coil_handle_when(later), 0.25);
        EXPECT_DOUBLE(coil_handle_when(at), 0.5);
        run_dry(loop);
    }
    end(loop);
    EXPECT_DOUBLE(coil_handle_when(later), 0.25);
    coil_unref(soon);
    coil_unref(later);
    coil_unref(at);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static int release_count;

static void count_release(void *arg)
{
    (void)arg;
    release_count++;
}

static const coil_call_options with_release = { sizeof(coil_call_options), NULL, count_release };

/* Each way to schedule, as one function. */
static int schedule(int way, coil_loop *loop, void *arg, const coil_call_options *options,
                    coil_handle **handle_out)
{
    switch (way) {
    case 0:
        return coil_call_soon_with(loop, note, arg, options, handle_out);
    case 1:
        return coil_call_later_with(loop, 1, note, arg, options, handle_out);
    default:
        return coil_call_at_with(loop, 1, note, arg, options, handle_out);
    }
}
enum {
    WAYS = 3
};

TEST(closed_loop_takes_nothing)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_loop_close(loop), 0);
    release_count = 0;
    coil_handle *untouched = (coil_handle *)journal;
    for (int way = 0; way < WAYS; way++)
        EXPECT_INT(schedule(way, loop, letter('x'), &with_release, &untouched), COIL_ECLOSED);
    EXPECT_PTR(untouched, journal);
    EXPECT_INT(release_count, 0);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ECLOSED)), "the loop is closed");
    end(loop);
}

TEST(no_loop_is_an_error_of_its_own)
{
    coil__errors_forget_thread();
    release_count = 0;
    for (int way = 0; way < WAYS; way++)
        EXPECT_INT(schedule(way, NULL, letter('x'), &with_release, NULL), COIL_ENOLOOP);
    EXPECT_INT(release_count, 0);
    EXPECT(coil_error_current(COIL_ENOLOOP) != NULL);
}

TEST(scheduling_without_memory_changes_nothing)
{
    coil_context_var *var = coil_context_var_new("something to inherit");
    REQUIRE(var);
    EXPECT_INT(coil_context_var_set(var, coil_int(1), NULL), 0);
    for (int way = 0; way < WAYS; way++) {
        int failures = 0;
        for (long nth = 1;; nth++) {
            coil_loop *loop = begin();
            release_count = 0;
            coil_handle *handle = NULL;
            coil_testing_fail_alloc(nth);
            int rc = schedule(way, loop, letter('x'), &with_release, &handle);
            bool failed = coil_testing_alloc_failed();
            coil_testing_fail_alloc(0);
            EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
            EXPECT((handle == NULL) == failed);
            EXPECT_INT(release_count, 0);
            run_dry(loop);
            EXPECT_STR(journal, failed ? "" : "x");
            coil_unref(handle);
            end(loop);
            if (!failed)
                break;
            failures++;
        }
        EXPECT(failures >= 2); /* the handle and its context */
    }
    EXPECT_INT(coil_context_var_set(var, coil_nil(), NULL), 0);
    coil_context_var_free(var);
}

struct intruder {
    coil_loop *loop;
    int soon, later, reader;
};

static void *intrude(void *arg)
{
    struct intruder *intruder = arg;
    intruder->soon = coil_call_soon(intruder->loop, note, letter('x'), NULL);
    intruder->later = coil_call_later(intruder->loop, 0, note, letter('x'), NULL);
    intruder->reader = coil_add_reader(intruder->loop, 0, note, letter('x'));
    return NULL;
}

static int let_intrude(void *arg)
{
    /* Inside a callback, so that the loop runs and yet stands still. */
    pthread_t thread;
    if (pthread_create(&thread, NULL, intrude, arg) == 0)
        pthread_join(thread, NULL);
    return 0;
}

TEST(debug_mode_refuses_another_thread)
{
    coil_loop *loop = begin();
    coil_set_debug(loop, true);
    coil_set_slow_callback_duration(loop, 1e9);
    struct intruder intruder = { .loop = loop };
    EXPECT_INT(coil_call_soon(loop, let_intrude, &intruder, NULL), 0);
    run_dry(loop);
    EXPECT_INT(intruder.soon, COIL_EWRONGTHREAD);
    EXPECT_INT(intruder.later, COIL_EWRONGTHREAD);
    EXPECT_INT(intruder.reader, COIL_EWRONGTHREAD);
    EXPECT_STR(journal, "");
    end(loop);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static int cancel_and_note(void *arg)
{
    coil_handle **handle = arg;
    note_char('!');
    coil_handle_cancel(*handle);
    return 0;
}

TEST(cancelled_callback_does_not_run)
{
    coil_loop *loop = begin();
    for (int way = 0; way < WAYS; way++) {
        coil_handle *handle;
        EXPECT_INT(schedule(way, loop, letter('x'), NULL, &handle), 0);
        EXPECT(!coil_handle_cancelled(handle));
        coil_handle_cancel(handle);
        coil_handle_cancel(handle);
        EXPECT(coil_handle_cancelled(handle));
        run_dry(loop);
        coil_handle_cancel(handle);
        coil_unref(handle);
    }
    EXPECT_STR(journal, "");
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    end(loop);
}

TEST(callback_can_cancel_another_of_the_same_turn)
{
    coil_loop *loop = begin();
    coil_handle *victim;
    EXPECT_INT(coil_call_soon(loop, cancel_and_note, &victim, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('x'), &victim), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('a'), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "!a");
    coil_unref(victim);
    end(loop);
}

TEST(timer_can_cancel_another_that_is_due_with_it)
{
    coil_loop *loop = begin();
    coil_handle *victim;
    EXPECT_INT(coil_call_later(loop, 1, cancel_and_note, &victim, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 1, note, letter('x'), &victim), 0);
    run_dry(loop);
    EXPECT_STR(journal, "!");
    EXPECT(coil_handle_cancelled(victim));
    coil_unref(victim);
    end(loop);
}

TEST(callback_can_cancel_itself)
{
    coil_loop *loop = begin();
    coil_handle *self;
    EXPECT_INT(coil_call_soon(loop, cancel_and_note, &self, &self), 0);
    run_dry(loop);
    EXPECT_STR(journal, "!");
    EXPECT(coil_handle_cancelled(self));
    coil_unref(self);
    end(loop);
}

TEST(handle_that_ran_is_not_cancelled_until_somebody_does)
{
    coil_loop *loop = begin();
    coil_handle *handle;
    EXPECT_INT(coil_call_soon(loop, note, letter('a'), &handle), 0);
    run_dry(loop);
    EXPECT(!coil_handle_cancelled(handle));
    coil_handle_cancel(handle);
    EXPECT(coil_handle_cancelled(handle));
    EXPECT_STR(journal, "a");
    coil_unref(handle);
    end(loop);
}

TEST(cancelled_timers_do_not_pile_up)
{
    /* Most timers are limits that never expire: an hour's worth of them must not lie around. */
    coil_loop *loop = begin();
    coil_handle *kept;
    EXPECT_INT(coil_call_later(loop, 7200, note, letter('a'), &kept), 0);
    for (int i = 0; i < 10000; i++) {
        coil_handle *handle;
        EXPECT_INT(coil_call_later(loop, 3600, note, letter('x'), &handle), 0);
        coil_handle_cancel(handle);
        coil_unref(handle);
    }
    EXPECT_INT(loop->timers.count, 1);
    run_dry(loop);
    EXPECT_STR(journal, "a");
    coil_unref(kept);
    end(loop);
}

TEST(handle_outlives_its_loop)
{
    coil_handle *handles[WAYS], *ran, *cancelled;
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_soon(loop, note, letter('a'), &ran), 0);
    run_dry(loop);
    for (int way = 0; way < WAYS; way++)
        EXPECT_INT(schedule(way, loop, letter('x'), NULL, &handles[way]), 0);
    EXPECT_INT(coil_call_later(loop, 1, note, letter('x'), &cancelled), 0);
    coil_handle_cancel(cancelled);
    end(loop);

    EXPECT_STR(journal, "a");
    EXPECT_DOUBLE(coil_handle_when(handles[1]), 1);
    for (int way = 0; way < WAYS; way++) {
        EXPECT(!coil_handle_cancelled(handles[way]));
        EXPECT(coil_handle_get_context(handles[way]) != NULL);
        coil_handle_cancel(handles[way]);
        EXPECT(coil_handle_cancelled(handles[way]));
        coil_unref(handles[way]);
    }
    coil_handle_cancel(ran);
    EXPECT(coil_handle_cancelled(cancelled));
    coil_unref(ran);
    coil_unref(cancelled);
}

TEST(dropping_the_handle_does_not_cancel)
{
    coil_loop *loop = begin();
    coil_handle *handle;
    EXPECT_INT(coil_call_later(loop, 1, note, letter('a'), &handle), 0);
    coil_unref(handle);
    run_dry(loop);
    EXPECT_STR(journal, "a");
    end(loop);
}

/* ---- release --------------------------------------------------------------------------------- */

static void note_release(void *arg)
{
    release_count++;
    note_char((char)((char)(intptr_t)arg - 'a' + 'A'));
}

static const coil_call_options with_note = { sizeof(coil_call_options), NULL, note_release };

TEST(release_follows_the_callback_once)
{
    for (int way = 0; way < WAYS; way++) {
        for (int held = 0; held < 2; held++) {
            coil_loop *loop = begin();
            coil_handle *handle = NULL;
            EXPECT_INT(schedule(way, loop, letter('a'), &with_note, held ? &handle : NULL), 0);
            EXPECT_STR(journal, "");
            run_dry(loop);
            EXPECT_STR(journal, "aA");
            if (handle)
                coil_handle_cancel(handle);
            coil_unref(handle);
            end(loop);
            EXPECT_STR(journal, "aA");
        }
    }
}

TEST(release_follows_cancel_at_once)
{
    for (int way = 0; way < WAYS; way++) {
        coil_loop *loop = begin();
        coil_handle *handle;
        EXPECT_INT(schedule(way, loop, letter('a'), &with_note, &handle), 0);
        coil_handle_cancel(handle);
        EXPECT_STR(journal, "A");
        coil_handle_cancel(handle);
        run_dry(loop);
        coil_unref(handle);
        end(loop);
        EXPECT_STR(journal, "A");
    }
}

TEST(release_follows_the_loops_end)
{
    /* Also if somebody keeps the handle: the callback can never run any more. */
    for (int way = 0; way < WAYS; way++) {
        for (int held = 0; held < 2; held++) {
            coil_loop *loop = begin();
            coil_handle *handle = NULL;
            EXPECT_INT(schedule(way, loop, letter('a'), &with_note, held ? &handle : NULL), 0);
            EXPECT_INT(coil_loop_close(loop), 0);
            EXPECT_STR(journal, "A");
            coil_unref(loop);
            if (handle)
                coil_handle_cancel(handle);
            coil_unref(handle);
            EXPECT_STR(journal, "A");
        }
    }
}

static coil_handle *other_handle;

static int cancel_itself_and_go_on(void *arg)
{
    coil_handle_cancel(other_handle);
    return note(arg);
}

TEST(release_waits_for_a_callback_that_cancels_itself)
{
    /* Its argument is in use until it returns. */
    coil_loop *loop = begin();
    EXPECT_INT(
        coil_call_soon_with(loop, cancel_itself_and_go_on, letter('a'), &with_note, &other_handle),
        0);
    run_dry(loop);
    EXPECT_STR(journal, "aA");
    EXPECT(coil_handle_cancelled(other_handle));
    coil_unref(other_handle);
    end(loop);
    EXPECT_STR(journal, "aA");
}

static int fail_plainly(void *arg)
{
    note(arg);
    return COIL_EAPP;
}

static int count_reports(coil_loop *loop, const coil_report *report, void *arg)
{
    (void)loop;
    EXPECT_INT(report->event, COIL_EVENT_CALLBACK_FAILED);
    ++*(int *)arg;
    return 0;
}

TEST(release_follows_a_callback_that_failed)
{
    coil_loop *loop = begin();
    int reports = 0;
    coil_set_exception_handler(loop, count_reports, &reports);
    EXPECT_INT(coil_call_soon_with(loop, fail_plainly, letter('a'), &with_note, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('b'), NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "aAb");
    EXPECT_INT(reports, 1);
    end(loop);
}

static void schedule_in_release(void *arg)
{
    (void)arg;
    release_count++;
    EXPECT_INT(coil_call_soon(NULL, note, letter('r'), NULL), 0);
}

TEST(release_may_schedule)
{
    coil_loop *loop = begin();
    static const coil_call_options options = { sizeof options, NULL, schedule_in_release };
    EXPECT_INT(coil_call_soon_with(loop, note, letter('a'), &options, NULL), 0);
    run_dry(loop);
    EXPECT_STR(journal, "ar");
    end(loop);
}

static void cancel_in_release(void *arg)
{
    (void)arg;
    release_count++;
    coil_handle_cancel(other_handle);
    EXPECT_INT(coil_call_soon(NULL, note, letter('x'), NULL), COIL_ECLOSED);
}

TEST(release_at_the_loops_end_may_cancel_what_is_dropped_next)
{
    for (int way = 0; way < WAYS; way++) {
        static const coil_call_options options = { sizeof options, NULL, cancel_in_release };
        coil_loop *loop = begin();
        release_count = 0;
        EXPECT_INT(schedule(way, loop, letter('x'), &options, NULL), 0);
        EXPECT_INT(schedule(way, loop, letter('x'), &with_release, &other_handle), 0);
        end(loop);
        EXPECT_INT(release_count, 2);
        coil_unref(other_handle);
        EXPECT_INT(release_count, 2);
    }
}

TEST(nothing_leaks)
{
    size_t before = coil_testing_alloc_count();
    coil_loop *loop = begin();
    for (int i = 0; i < 1000; i++) {
        coil_handle *handle;
        EXPECT_INT(schedule(i % WAYS, loop, letter('a'), NULL, &handle), 0);
        if (i % 5 == 0)
            coil_handle_cancel(handle);
        coil_unref(handle);
        if (i == 500)
            run_dry(loop);
    }
    end(loop);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

/* ---- against a model ----------------------------------------------------------------------------
 * Random callbacks schedule and cancel others. A model of asyncio's loop, a few lines long, makes the same
 * choices; both must run the same callbacks in the same order. A callback's choices depend on its number
 * alone, and numbers are given out in the order of events: one difference, and everything differs. */

enum {
    CALLBACKS = 3000
};

struct world {
    uint64_t seed;
    bool is_model;
    int next_id, ran;
    int order[CALLBACKS];
    double times[CALLBACKS];
    /* the loop's side */
    coil_handle *handles[CALLBACKS];
    /* the model's side */
    int ready[CALLBACKS], ready_first, ready_end;
    struct {
        double when;
        bool timer, cancelled;
    } entries[CALLBACKS];
    double now;
};

static struct world worlds[2];
static struct world *world;

static uint32_t choose(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % limit;
}

static int run_in_world(void *arg);

static void world_schedule(bool timer, double delay)
{
    if (world->next_id == CALLBACKS)
        return;
    int id = world->next_id++;
    if (world->is_model) {
        world->entries[id].timer = timer;
        world->entries[id].when = world->now + delay;
        if (!timer)
            world->ready[world->ready_end++] = id;
    } else if (timer) {
        EXPECT_INT(
            coil_call_later(NULL, delay, run_in_world, (void *)(intptr_t)id, &world->handles[id]),
            0);
    } else {
        EXPECT_INT(coil_call_soon(NULL, run_in_world, (void *)(intptr_t)id, &world->handles[id]),
                   0);
    }
}

static void world_cancel(int id)
{
    if (world->is_model)
        world->entries[id].cancelled = true;
    else
        coil_handle_cancel(world->handles[id]);
}

static void act(int id)
{
    world->times[world->ran] = world->is_model ? world->now : coil_loop_time(NULL);
    world->order[world->ran++] = id;
    uint64_t state = world->seed + (uint64_t)id * 977;
    for (uint32_t i = choose(&state, 4); i > 0; i--) {
        uint32_t choice = choose(&state, 10);
        if (choice < 3)
            world_schedule(false, 0);
        else if (choice < 8)
            world_schedule(true, 0.25 * (double)choose(&state, 8) - 0.25);
        else
            world_cancel((int)choose(&state, (uint32_t)world->next_id));
    }
}

static int run_in_world(void *arg)
{
    act((int)(intptr_t)arg);
    return 0;
}

/* Moves due timers behind what is ready, by deadline and then number. */
static void model_collect(void)
{
    for (;;) {
        int best = -1;
        for (int id = 0; id < world->next_id; id++)
            if (world->entries[id].timer && !world->entries[id].cancelled &&
                world->entries[id].when <= world->now &&
                (best < 0 || world->entries[id].when < world->entries[best].when))
                best = id;
        if (best < 0)
            return;
        world->entries[best].timer = false;
        world->ready[world->ready_end++] = best;
    }
}

static bool model_turn(void)
{
    if (world->ready_first == world->ready_end) {
        double next = INFINITY;
        for (int id = 0; id < world->next_id; id++)
            if (world->entries[id].timer && !world->entries[id].cancelled)
                next = world->entries[id].when < next ? world->entries[id].when : next;
        if (isinf(next))
            return false;
        world->now = next > world->now ? next : world->now;
    }
    model_collect();
    for (int end_of_turn = world->ready_end; world->ready_first < end_of_turn;) {
        int id = world->ready[world->ready_first++];
        if (!world->entries[id].cancelled)
            act(id);
    }
    return true;
}

static void seed_world(bool is_model, uint64_t seed)
{
    world = &worlds[is_model];
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->is_model = is_model;
    for (int i = 0; i < 20; i++)
        world_schedule(i % 2, 0.25 * i);
}

static int seed_loop(void *arg)
{
    seed_world(false, *(uint64_t *)arg);
    return 0;
}

TEST(random_callbacks_run_in_the_order_of_a_simple_model)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        coil_loop *loop = begin();
        EXPECT_INT(coil_call_soon(loop, seed_loop, &seed, NULL), 0);
        run_dry(loop);
        for (int id = 0; id < world->next_id; id++)
            coil_unref(world->handles[id]);
        end(loop);
        seed_world(true, seed);
        while (model_turn()) {}
        bool same = worlds[0].ran == worlds[1].ran;
        for (int i = 0; same && i < worlds[0].ran; i++)
            same = worlds[0].order[i] == worlds[1].order[i] &&
                   worlds[0].times[i] == worlds[1].times[i];
        if (!EXPECT(same))
            fprintf(stderr, "seed %llu: the loop ran %d, the model %d\n", (unsigned long long)seed,
                    worlds[0].ran, worlds[1].ran);
    }
}

TESTS_MAIN(RUN(callbacks_run_in_the_order_in_which_they_were_queued),
           RUN(callback_queued_by_a_callback_runs_behind_the_whole_turn),
           RUN(timers_fire_by_deadline_and_ties_by_creation),
           RUN(timer_of_the_past_runs_in_the_next_turn_behind_what_is_ready),
           RUN(time_that_is_not_a_number_is_refused), RUN(endless_and_huge_delays_never_fire),
           RUN(hugely_negative_delays_are_due_at_once), RUN(when_is_the_deadline_before_and_after),
           RUN(closed_loop_takes_nothing), RUN(no_loop_is_an_error_of_its_own),
           RUN(scheduling_without_memory_changes_nothing), RUN(debug_mode_refuses_another_thread),
           RUN(cancelled_callback_does_not_run), RUN(callback_can_cancel_another_of_the_same_turn),
           RUN(timer_can_cancel_another_that_is_due_with_it), RUN(callback_can_cancel_itself),
           RUN(handle_that_ran_is_not_cancelled_until_somebody_does),
           RUN(cancelled_timers_do_not_pile_up), RUN(handle_outlives_its_loop),
           RUN(dropping_the_handle_does_not_cancel), RUN(release_follows_the_callback_once),
           RUN(release_follows_cancel_at_once), RUN(release_follows_the_loops_end),
           RUN(release_waits_for_a_callback_that_cancels_itself),
           RUN(release_follows_a_callback_that_failed), RUN(release_may_schedule),
           RUN(release_at_the_loops_end_may_cancel_what_is_dropped_next), RUN(nothing_leaks),
           RUN(random_callbacks_run_in_the_order_of_a_simple_model))
