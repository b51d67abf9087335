/* Batches in an order picked by a seed, for tests.
 *
 * Only tasks change places, and only with those next to them: what stands between two tasks, a callback
 * or work of the library's own, is a border. For such work may refer to the frame of a task that is queued
 * behind it (a sleeper's, whose timer was due, and which was cancelled before its entry ran), so that task
 * must not overtake it. And the owner of such work may have noted from where it is linked (timeouts do), so
 * the task just before a border stays, too. */
#include <coil/testing.h>

#include <assert.h>
#include "base/alloc.h"
#include "base/error.h"
#include "loop/loop.h"

struct coil__shuffle {
    uint64_t random;
};

/* SplitMix64: the sums of the golden ratio, well stirred. */
static uint64_t next_random(struct coil__shuffle *shuffle)
{
    uint64_t z = shuffle->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* How many of the tasks that a chain begins with may change places. */
static size_t count_movable(const struct coil__ready *entry)
{
    size_t count = 0;
    for (; entry && !entry->run; entry = entry->next)
        count++;
    return entry ? count - 1 : count;
}

/* Deals count entries at random onto two piles, which are dealt in the same way, and puts one upon the
 * other: needs no memory, and on average as many rounds as the count has binary digits. Gives the
 * link behind the last one; the chain goes on there with whatever followed. */
static struct coil__ready **deal(struct coil__shuffle *shuffle, struct coil__ready **first,
                                 size_t count)
{
    if (count < 2)
        return count == 0 ? first : &(*first)->next;
    struct coil__ready *piles[2] = { NULL, NULL }, *entry = *first;
    struct coil__ready **ends[2] = { &piles[0], &piles[1] };
    size_t counts[2] = { 0, 0 };
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits = i % 64 == 0 ? next_random(shuffle) : bits >> 1;
        unsigned pile = bits & 1;
        assert(entry); /* count entries are there */
        struct coil__ready *next = entry->next;
        *ends[pile] = entry;
        ends[pile] = &entry->next;
        counts[pile]++;
        entry = next;
    }
    *ends[0] = piles[1];
    if (counts[1] == 0)
        *ends[0] = entry;
    else
        *ends[1] = entry;
    *first = counts[0] > 0 ? piles[0] : piles[1];
    struct coil__ready **middle = deal(shuffle, first, counts[0]);
    return deal(shuffle, middle, counts[1]);
}

void coil__shuffle_batch(coil_loop *loop)
{
    struct coil__ready **link = &loop->batch;
    while (*link) {
        if (!(*link)->run)
            link = deal(loop->shuffle, link, count_movable(*link));
        if (*link)
            link = &(*link)->next; /* a border, or the task before one */
    }
}

int coil_testing_shuffle(coil_loop *loop, uint64_t seed)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc < 0)
        return rc;
    if (seed == 0) {
        loop->slow &= ~(unsigned)COIL__SLOW_SHUFFLE;
        return 0;
    }
    if (!loop->shuffle)
        loop->shuffle = coil__alloc_zero(sizeof *loop->shuffle);
    if (!loop->shuffle)
        return coil__fail_plain(COIL_ENOMEM);
    loop->shuffle->random = seed;
    loop->slow |= COIL__SLOW_SHUFFLE;
    return 0;
}
