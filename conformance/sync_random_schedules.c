/* A hundred random schedules over every synchronisation primitive and queue, with cancellations.
 *
 * Up to eight workers use a lock, a semaphore, a condition, a barrier, an event and a bounded queue
 * as the numbers of the generator have it, and cancel one another; main pokes at the same objects
 * between their turns. Every wake-up order and every turn shows in the log, of which a hash is
 * printed. There are no timers, so that the order is that of the ready queue alone.
 *
 * Why: A difference of one turn, in any combination of two of them, changes everything after it. */
#include <inttypes.h>
#include "kit/kit.h"

enum {
    WORKERS_MAX = 8,
    ACTS = 40,
    TURNS = 600,
    SHUTDOWN_TURN = 500
};

static struct {
    struct lcg rng;
    struct digest log;
    coil_lock lock;
    coil_event event;
    coil_semaphore slots;
    coil_condition cond;
    coil_barrier barrier;
    coil_queue queue;
    coil_queue least;
    int turn, level;
    int workers;
    coil_task *tasks[WORKERS_MAX];
} s;

static int below(int n)
{
    return (int)lcg_below(&s.rng, (uint64_t)n);
}

static int naps(int count)
{
    for (int i = 0; i < count; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

/* ---- what a worker does -------------------------------------------------------------------------- */

static int use_lock(int w)
{
    COIL_TRY(coil_lock_acquire(&s.lock));
    digest_add(&s.log, s.turn, w, "locked");
    int rc = naps(below(3));
    must(coil_lock_release(&s.lock));
    return rc;
}

static int use_slot(int w)
{
    COIL_TRY(coil_semaphore_acquire(&s.slots));
    digest_add(&s.log, s.turn, w, "slot", coil_semaphore_locked(&s.slots));
    int rc = naps(below(3));
    must(coil_semaphore_release(&s.slots));
    return rc;
}

static int use_condition(int w)
{
    int rc;
    COIL_TRY(coil_condition_acquire(&s.cond));
    if (below(3)) {
        rc = coil_condition_wait(&s.cond);
        if (rc == 0)
            digest_add(&s.log, s.turn, w, "notified");
    } else {
        must(coil_condition_notify(&s.cond, (size_t)below(4)));
        rc = coil_sleep(0);
    }
    must(coil_condition_release(&s.cond));
    return rc;
}

static int level_reached(void *wanted)
{
    return s.level >= *(int *)wanted;
}

static int wait_for_level(int w)
{
    COIL_TRY(coil_condition_acquire(&s.cond));
    int wanted = below(4);
    int rc = coil_condition_wait_for(&s.cond, level_reached, &wanted);
    if (rc > 0) {
        digest_add(&s.log, s.turn, w, "level", s.level);
        s.level = 0;
        must(coil_condition_notify_all(&s.cond));
    }
    must(coil_condition_release(&s.cond));
    return rc < 0 ? rc : 0;
}

static int pass_barrier(int w)
{
    int index;
    COIL_TRY(index = coil_barrier_wait(&s.barrier));
    digest_add(&s.log, s.turn, w, "passed", index);
    return 0;
}

static int take_item(int w)
{
    coil_value item;
    COIL_TRY(coil_queue_get(&s.queue, &item));
    digest_add(&s.log, s.turn, w, "got", item);
    return coil_queue_task_done(&s.queue);
}

static int cancel_one(int w)
{
    int victim = below(s.workers);
    digest_add(&s.log, s.turn, w, "cancels", victim);
    coil_task_cancel(s.tasks[victim], NULL);
    return below(2) ? coil_sleep(0) : 0;
}

static int act(int w, int i)
{
    switch (below(13)) {
    case 0:
        return use_lock(w);
    case 1:
        return use_slot(w);
    case 2:
        return coil_event_wait(&s.event);
    case 3:
        return use_condition(w);
    case 4:
        return wait_for_level(w);
    case 5:
    case 6:
        return pass_barrier(w);
    case 7:
        return coil_queue_put(&s.queue, coil_int(w * 100 + i));
    case 8:
        return take_item(w);
    case 9:
        return coil_queue_join(&s.queue);
    case 10:
        return below(2) ? coil_barrier_reset(&s.barrier) : coil_barrier_abort(&s.barrier);
    case 11:
        return cancel_one(w);
    default:
        return naps(below(4));
    }
}

COIL_ASYNC(worker, (int, w))
{
    for (int i = 0; i < ACTS; i++) {
        int rc = act(w, i);
        digest_add(&s.log, s.turn, w, kind(rc), i);
    }
    return 0;
}

/* ---- what main does ------------------------------------------------------------------------------ */

static int by_priority(const coil_value *left, const coil_value *right, void *arg)
{
    (void)arg;
    return (int)(left->integer / TURNS - right->integer / TURNS);
}

static int poke(void)
{
    coil_value item;
    switch (below(12)) {
    case 0:
        return coil_event_set(&s.event);
    case 1:
        coil_event_clear(&s.event);
        return 0;
    case 2:
        COIL_TRY(coil_event_set(&s.event));
        coil_event_clear(&s.event);
        return 0;
    case 3:
        coil_task_cancel(s.tasks[below(s.workers)], NULL);
        return 0;
    case 4:
        return coil_queue_put_nowait(&s.queue, coil_int(s.turn));
    case 5:
        COIL_TRY(coil_queue_get_nowait(&s.queue, &item));
        digest_add(&s.log, "main got", item);
        return 0;
    case 6:
        return coil_queue_task_done(&s.queue);
    case 7:
        s.level++;
        return coil_condition_notify_all(&s.cond);
    case 8:
        return coil_condition_notify(&s.cond, (size_t)below(3));
    case 9:
        return coil_semaphore_release(&s.slots);
    case 10:
        COIL_TRY(coil_queue_get_nowait(&s.least, &item));
        digest_add(&s.log, "least", item.integer % TURNS);
        return 0;
    default:
        return coil_queue_put_nowait(&s.least, coil_int(below(4) * TURNS + s.turn));
    }
}

static void add_state(void)
{
    digest_add(&s.log, s.turn, coil_lock_locked(&s.lock), coil_semaphore_locked(&s.slots),
               coil_condition_locked(&s.cond), coil_barrier_n_waiting(&s.barrier),
               coil_barrier_broken(&s.barrier), coil_queue_qsize(&s.queue),
               coil_queue_qsize(&s.least));
}

static void begin(int seed)
{
    s.rng = (struct lcg){ (uint64_t)seed };
    s.log.keep = 1;
    coil_lock_init(&s.lock);
    coil_event_init(&s.event);
    must(coil_semaphore_init(&s.slots, 1 + seed % 3));
    coil_condition_init(&s.cond, seed % 2 ? &s.lock : NULL);
    must(coil_barrier_init(&s.barrier, 2 + seed % 2));
    if (seed / 2 % 2)
        coil_lifo_queue_init(&s.queue, (size_t)(1 + seed % 4));
    else
        coil_queue_init(&s.queue, (size_t)(1 + seed % 4));
    coil_priority_queue_init(&s.least, 0, by_priority, NULL);
    s.level = 0;
    s.workers = 3 + seed % 6;
    for (int w = 0; w < s.workers; w++)
        s.tasks[w] = coil_create_task(worker(w));
}

static void end(int seed)
{
    say("seed", seed, "lines", s.log.count, "hash", textf("%016" PRIx64, s.log.hash));
    for (size_t i = 0; i < 2 * s.log.keep; i++)
        free(s.log.lines[i]);
    free(s.log.lines);
    s.log = (struct digest){ 0 };
    unref_all(s.tasks, (size_t)s.workers);
    coil_queue_fini(&s.least);
    coil_queue_fini(&s.queue);
    coil_barrier_fini(&s.barrier);
    coil_condition_fini(&s.cond);
    coil_semaphore_fini(&s.slots);
    coil_event_fini(&s.event);
    coil_lock_fini(&s.lock);
}

static bool all_done(void)
{
    for (int w = 0; w < s.workers; w++) {
        if (!coil_future_done(s.tasks[w]))
            return false;
    }
    return true;
}

static int play(int seed)
{
    begin(seed);
    for (s.turn = 0; s.turn < TURNS; s.turn++) {
        if (s.turn == SHUTDOWN_TURN)
            COIL_TRY(coil_queue_shutdown(&s.queue, seed % 2 == 0));
        int rc = below(3) == 0 ? poke() : 0;
        if (rc < 0)
            digest_add(&s.log, "main", kind(rc));
        COIL_TRY(coil_sleep(0));
    }
    s.turn--; /* Python's loop variable keeps its last value */
    add_state();
    while (!all_done()) {
        s.turn++;
        for (int w = 0; w < s.workers; w++)
            coil_task_cancel(s.tasks[w], NULL);
        COIL_TRY(coil_sleep(0));
    }
    add_state();
    end(seed);
    return 0;
}

COIL_ASYNC0(all_seeds)
{
    for (int seed = 0; seed < 100; seed++)
        COIL_TRY(play(seed));
    return 0;
}

int main(void)
{
    must(run(all_seeds(), 0, NULL));
}
