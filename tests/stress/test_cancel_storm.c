/* A storm of cancellations: tasks that wait in every way, on one another, on futures, timers and sockets,
 * and are cancelled at random by one another and by timers; some clean up, which waits as well, and some
 * will not stop. In the end nothing is left of it.
 *
 *     COIL_SEED=number    picks the storm; the same seed is the same storm, on the virtual clock
 *     COIL_SOAK=number    so many storms of a hundred thousand tasks, each with the next seed */
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "lib/held.h"
#include "loop/loop.h"
#include "platform/sanitizer.h"
#include "test.h"

enum {
    FUTURES = 32,
    PAIRS = 8,
    DEPTH_MAX = 3,     /* of tasks that make tasks */
    ACTS_MAX = 6,      /* in the life of a task */
    PICKS_MAX = 4,     /* that one call waits for */
    ROUNDS_MAX = 1000, /* of cancelling what is left: then it is too much */
    SECONDS_MAX = 300, /* for a storm: then it hangs */
};

struct wave {
    coil_loop *loop;
    uint64_t random;
    double unit;                   /* of time, in seconds */
    size_t count;                  /* of tasks; the table is filled as they are made */
    coil_task **tasks;             /* one reference each */
    coil_future *futures[FUTURES]; /* pending, one reference each */
    int pairs[PAIRS][2];
    long made; /* tasks, with all their children */
};

/* ---- dice --------------------------------------------------------------------------------------- */

/* SplitMix64: the sums of the golden ratio, well stirred. */
static uint64_t next_random(struct wave *wave)
{
    uint64_t z = wave->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(struct wave *wave, size_t limit)
{
    return (unsigned)(next_random(wave) % limit);
}

static double short_time(struct wave *wave)
{
    return below(wave, 100) * wave->unit;
}

/* ---- what is waited for ------------------------------------------------------------------------- */

static atomic_long values_made, values_dropped;

static void drop_value(void *memory)
{
    atomic_fetch_add(&values_dropped, 1);
    free(memory);
}

static coil_value some_value(void)
{
    atomic_fetch_add(&values_made, 1);
    return coil_pointer_owned(malloc(1), drop_value);
}

/* A task or a future, by luck; one reference. */
static coil_future *pick(struct wave *wave)
{
    if (wave->count > 0 && below(wave, 2) == 0)
        return coil_ref(wave->tasks[below(wave, wave->count)]);
    return coil_ref(wave->futures[below(wave, FUTURES)]);
}

/* Completes a future in one of three ways, and puts a new one in its place. */
static int complete_one(struct wave *wave)
{
    coil_future **place = &wave->futures[below(wave, FUTURES)];
    coil_future *old = *place, *fresh = coil_create_future(NULL);
    if (!fresh)
        return coil_error_last();
    *place = fresh;
    if (coil_future_done(old)) /* somebody who waited was cancelled, and it with him */
        ;
    else if (below(wave, 3) == 0)
        coil_future_cancel(old, "by completion");
    else if (below(wave, 4) == 0)
        EXPECT_INT(coil_future_set_exception(old, coil_raise(COIL_EAPP, "by luck")), 0);
    else
        EXPECT_INT(coil_future_set_result(old, some_value()), 0);
    coil_unref(old);
    return 0;
}

/* ---- cancelling --------------------------------------------------------------------------------- */

static int cancel_one(void *arg)
{
    struct wave *wave = arg;
    if (wave->count > 0)
        coil_task_cancel(wave->tasks[below(wave, wave->count)], below(wave, 2) ? "by luck" : NULL);
    return 0;
}

static int cancel_one_later(struct wave *wave)
{
    coil_handle *handle;
    COIL_TRY(coil_call_later(NULL, short_time(wave), cancel_one, wave, &handle));
    if (below(wave, 8) == 0)
        coil_handle_cancel(handle);
    coil_unref(handle);
    return 0;
}

/* ---- a task ------------------------------------------------------------------------------------- */

static int live(struct wave *wave, unsigned depth);

COIL_ASYNC(actor, (struct wave *, wave), (unsigned, depth))
{
    wave->made++;
    COIL_TRY(live(wave, depth));
    coil_return(some_value());
}

/* Awaited inline: the same on the stack of another. */
COIL_ASYNC(link_of_chain, (struct wave *, wave), (unsigned, length))
{
    if (length > 0)
        return coil_await(link_of_chain(wave, length - 1), NULL);
    return coil_sleep(short_time(wave));
}

static int await_one(struct wave *wave)
{
    coil_future *future = pick(wave);
    int rc = coil_await(future, NULL);
    coil_unref(future);
    return rc;
}

static int wait_for_some(struct wave *wave)
{
    static const coil_return_when conditions[] = { COIL_ALL_COMPLETED, COIL_FIRST_COMPLETED,
                                                   COIL_FIRST_EXCEPTION };
    coil_future *futures[PICKS_MAX];
    size_t count = 1 + below(wave, PICKS_MAX);
    for (size_t i = 0; i < count; i++)
        futures[i] = pick(wave);
    int rc = coil_wait(futures, count, short_time(wave), conditions[below(wave, 3)]);
    EXPECT(rc <= (int)count);
    for (size_t i = 0; i < count; i++)
        coil_unref(futures[i]);
    return rc < 0 ? rc : 0;
}

/* New tasks and old futures together. */
static int gather_some(struct wave *wave, unsigned depth)
{
    void *parts[PICKS_MAX];
    coil_future *picked[PICKS_MAX];
    size_t count = 1 + below(wave, PICKS_MAX), picks = 0;
    for (size_t i = 0; i < count; i++)
        parts[i] = depth > 0 && below(wave, 2) ? (void *)actor(wave, depth - 1)
                                               : (void *)(picked[picks++] = pick(wave));
    coil_value values[PICKS_MAX];
    int rc = coil_gather_array(values, parts, count, below(wave, 2) ? COIL_GATHER_COLLECT : 0);
    for (size_t i = 0; i < count && rc == 0; i++)
        coil_value_clear(&values[i]);
    while (picks > 0)
        coil_unref(picked[--picks]);
    return rc;
}

static int await_child(struct wave *wave, unsigned depth)
{
    if (depth == 0)
        return coil_sleep(0);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.eager = below(wave, 4) == 0;
    coil_task *child = coil_create_task_with(NULL, actor(wave, depth - 1), &options);
    if (!child)
        return coil_error_last();
    int rc = below(wave, 4) ? coil_await(child, NULL) : 0; /* or it goes on alone */
    coil_unref(child);
    return rc;
}

static int receive(struct wave *wave)
{
    char bytes[4];
    ssize_t got = coil_sock_recv(wave->pairs[below(wave, PAIRS)][0], bytes, sizeof bytes);
    return got < 0 ? (int)got : 0;
}

static int act(struct wave *wave, unsigned depth)
{
    switch (below(wave, 12)) {
    case 0:
        return coil_sleep(short_time(wave));
    case 1:
        return coil_sleep(0);
    case 2:
        return await_one(wave);
    case 3:
        return wait_for_some(wave);
    case 4:
        return gather_some(wave, depth);
    case 5:
        return await_child(wave, depth);
    case 6:
        return coil_await(link_of_chain(wave, below(wave, 5)), NULL);
    case 7:
        return receive(wave);
    case 8:
        return coil_sock_sendall(wave->pairs[below(wave, PAIRS)][1], "storm", 1 + below(wave, 4));
    case 9:
        return complete_one(wave);
    case 10:
        return cancel_one_later(wave);
    default:
        return cancel_one(wave);
    }
}

static int live(struct wave *wave, unsigned depth)
{
    int rc = 0;
    for (unsigned acts = 1 + below(wave, ACTS_MAX); acts > 0 && rc == 0; acts--) {
        rc = act(wave, depth);
        if (rc == COIL_ECANCELED && below(wave, 8) == 0) {
            coil_task_uncancel(coil_current_task());
            rc = 0; /* it will not stop */
        }
    }
    EXPECT(rc == 0 || rc == COIL_ECANCELED || rc == COIL_EAPP || rc == COIL_ESELFWAIT);
    if (rc < 0 && below(wave, 4) == 0)
        (void)coil_sleep(short_time(wave)); /* cleanup; may be cancelled in turn */
    return rc;
}

/* ---- a wave of them ----------------------------------------------------------------------------- */

static int cancel_all(struct wave *wave, coil_task *but)
{
    enum {
        AT_ONCE = 64
    };
    coil_task *tasks[AT_ONCE];
    size_t count = coil_all_tasks(NULL, tasks, AT_ONCE);
    if (count > AT_ONCE)
        count = AT_ONCE;
    for (size_t i = 0; i < count; i++)
        if (tasks[i] != but)
            coil_task_cancel(tasks[i], NULL);
    return coil_sleep(short_time(wave));
}

COIL_ASYNC(wave_main, (struct wave *, wave), (size_t, size))
{
    for (size_t i = 0; i < size; i++) {
        wave->tasks[i] = coil_create_task(actor(wave, DEPTH_MAX));
        if (!EXPECT(wave->tasks[i] != NULL))
            return coil_error_last();
        wave->count = i + 1;
        if (below(wave, 16) == 0)
            COIL_TRY(coil_sleep(0));
    }
    COIL_TRY(coil_sleep(1000 * wave->unit));
    EXPECT(coil__timer_heap_check(&wave->loop->timers));
    for (int round = 0; coil_all_tasks(NULL, NULL, 0) > 1; round++) {
        if (!EXPECT(round < ROUNDS_MAX))
            return coil_raise(COIL_EAPP, "%zu tasks cannot be stopped",
                              coil_all_tasks(NULL, NULL, 0) - 1);
        COIL_TRY(cancel_all(wave, coil_current_task()));
    }
    COIL_TRY(coil_sleep(200 * wave->unit)); /* timers that found nobody left to cancel */
    EXPECT_INT(wave->loop->timers.count, 0);
    EXPECT_INT(wave->loop->backend->ops->pending(wave->loop->backend), 0);
    EXPECT(coil__list_empty(&wave->loop->operations));
    return 0;
}

static int swallow(coil_loop *loop, const coil_report *report, void *arg)
{
    (void)loop, (void)report, (void)arg;
    return 0; /* errors that nobody looked at are part of the storm */
}

static void wave_begin(struct wave *wave, size_t size)
{
    wave->count = 0;
    wave->tasks = calloc(size, sizeof *wave->tasks);
    for (int i = 0; i < FUTURES; i++)
        EXPECT((wave->futures[i] = coil_create_future(wave->loop)) != NULL);
}

static void wave_end(struct wave *wave)
{
    for (size_t i = 0; i < wave->count; i++) {
        EXPECT(coil_future_done(wave->tasks[i]));
        coil_unref(wave->tasks[i]);
    }
    free(wave->tasks);
    for (int i = 0; i < FUTURES; i++)
        coil_unref(wave->futures[i]);
}

/* ---- the storm ---------------------------------------------------------------------------------- */

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 0) : fallback;
}

/* For a debugger, a core and the handler below: which storm it was that hung or crashed. */
static volatile uint64_t current_seed;

static void tell_seed(int signal_number)
{
    fprintf(stderr, "COIL_SEED=%" PRIu64 "\n", current_seed);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* As many tasks at least, in waves of this size on one loop. */
static void run_storm(uint64_t seed, long tasks, size_t size, bool virtual_clock)
{
    struct held before = held_now();
    current_seed = seed;
    struct wave wave = { .random = seed };
    wave.loop = virtual_clock ? coil_testing_virtual_loop(NULL) : coil_new_event_loop();
    wave.unit = virtual_clock ? 1e-3 : 1e-5;
    if (!EXPECT(wave.loop != NULL))
        return;
    coil_set_exception_handler(wave.loop, swallow, NULL);
    for (int i = 0; i < PAIRS; i++)
        EXPECT_INT(
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, wave.pairs[i]), 0);
    int rc = 0;
    while (wave.made < tasks && rc == 0) {
        wave_begin(&wave, size);
        rc = coil_run_until_complete(wave.loop, wave_main(&wave, size), NULL);
        EXPECT_INT(rc, 0);
        wave_end(&wave);
    }
    EXPECT_INT(coil_all_tasks(wave.loop, NULL, 0), 0);
    EXPECT_INT(coil_loop_close(wave.loop), 0);
    coil_unref(wave.loop);
    for (int i = 0; i < PAIRS; i++) {
        (void)close(wave.pairs[i][0]);
        (void)close(wave.pairs[i][1]);
    }
    EXPECT_INT(atomic_load(&values_dropped), atomic_load(&values_made));
    held_expect(before, "the storm");
}

#ifdef COIL__FIBER_ANNOTATED
enum {
    TASKS = 4000,
    WAVE = 200
}; /* a sanitizer's fibers are few, and slow to make */
#else
enum {
    TASKS = 100000,
    WAVE = 2500
};
#endif

static void run_storms(bool virtual_clock)
{
    uint64_t storms = number_from("COIL_SOAK", 0);
    uint64_t seed = number_from("COIL_SEED", storms > 0 ? (uint64_t)time(NULL) : 1);
    if (storms > 0)
        print_message("from COIL_SEED=%" PRIu64 " on\n", seed);
    signal(SIGALRM, tell_seed);
    signal(SIGABRT, tell_seed);
    for (uint64_t storm = 0; storm < (storms > 0 ? storms : 1); storm++, seed++) {
        alarm(SECONDS_MAX);
        run_storm(seed, storms > 0 ? 100000 : TASKS, WAVE, virtual_clock);
        alarm(0);
        if (atomic_load(&test_failures_) > 0) {
            fprintf(stderr, "COIL_SEED=%" PRIu64 "%s\n", seed, storms > 0 ? " COIL_SOAK=1" : "");
            break;
        }
    }
}

TEST(nothing_is_left_of_a_storm_of_cancellations)
{
    run_storms(true);
}

/* Where tasks hand over to one another from turn to turn, which a virtual clock keeps them from; the
 * same seed is only nearly the same storm. */
TEST(nothing_is_left_of_a_storm_on_the_real_clock)
{
    run_storms(false);
}

TESTS_MAIN(RUN(nothing_is_left_of_a_storm_of_cancellations),
           RUN(nothing_is_left_of_a_storm_on_the_real_clock))
