/* Two hundred random actions on a lock, a queue and timers, from a generator that is easy
 * to write in C.
 *
 * lcg.py says exactly how the numbers are drawn and how the digest is made. All times are
 * multiples of 1/64 s, which are exact both as doubles and as nanoseconds, and no two sleepers
 * can wake at the same instant: worker w only wakes at times whose number of ticks is w modulo
 * 8.
 *
 * Why: It is the small model of the long random schedules: one wrong step changes everything
 * after it. */
#include "kit/kit.h"

#define TICK (1 / 64.0)

struct shared {
    struct lcg rng;
    struct digest log;
    coil_lock lock;
    coil_queue queue;
};

static int ticks_now(void)
{
    return (int)(now() / TICK);
}

static int take_lock(struct shared *shared, int w)
{
    COIL_TRY(coil_lock_acquire(&shared->lock));
    digest_add(&shared->log, ticks_now(), "w", w, "locked");
    int rc = coil_sleep(0);
    coil_lock_release(&shared->lock);
    return rc;
}

static int put(struct shared *shared, int w, int item)
{
    COIL_TRY(coil_queue_put_nowait(&shared->queue, coil_int(item)));
    digest_add(&shared->log, ticks_now(), "w", w, "put", item);
    return 0;
}

static int get(struct shared *shared, int w)
{
    coil_value item = coil_nil();
    coil_timeout timeout;
    COIL_TRY(coil_timeout_enter(&timeout, 8 * TICK));
    int rc = coil_timeout_exit(&timeout, coil_queue_get(&shared->queue, &item));
    if (rc == COIL_ETIMEDOUT)
        digest_add(&shared->log, ticks_now(), "w", w, "timeout");
    else if (rc < 0)
        return rc;
    else
        digest_add(&shared->log, ticks_now(), "w", w, "got", item);
    return 0;
}

COIL_ASYNC(worker, (int, w), (struct shared *, shared))
{
    for (int i = 0; i < 25; i++) {
        int wake = (ticks_now() / 8 + 1 + (int)lcg_below(&shared->rng, 16)) * 8 + w;
        COIL_TRY(coil_sleep(wake * TICK - now()));
        switch (lcg_below(&shared->rng, 3)) {
        case 0:
            COIL_TRY(take_lock(shared, w));
            break;
        case 1:
            COIL_TRY(put(shared, w, w * 100 + i));
            break;
        default:
            COIL_TRY(get(shared, w));
        }
    }
    return 0;
}

COIL_ASYNC0(amain)
{
    struct shared shared = { { 2024 }, { .keep = 20 }, COIL_LOCK_INIT, COIL_QUEUE_INIT(0) };
    void *workers[8];
    for (int w = 0; w < 8; w++)
        workers[w] = worker(w, &shared);
    COIL_TRY(coil_gather_array(NULL, workers, 8, 0));
    digest_print(&shared.log);
    coil_queue_fini(&shared.queue);
    coil_lock_fini(&shared.lock);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
