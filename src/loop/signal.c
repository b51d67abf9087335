/* Signals: a handler that only notes what arrived, and the loop's side of it.
 *
 *     kernel --> on_signal, in any thread --> ring of the loop that owns the number --> wake
 *                                                    |
 *                        a turn: deliver <-----------+
 *                        the next turn: the user's callbacks, one for each arrival
 *
 * asyncio's way is the same, with a socket in place of the ring, which loses what does not fit. A signalfd
 * was no choice: it wants the signal blocked in every thread, those of other libraries included, and whatever
 * the program starts inherits the mask.
 *
 * The ring keeps the order. It is claimed by handlers that may run in several threads at once, and emptied by
 * the loop; a slot is written after it was claimed, so the loop stops at one that is still 0, and the handler
 * that fills it tells the loop again. What finds the ring full is counted by number. */
#include "loop/signal.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "loop/loop.h"

#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

enum {
    NUMBERS = _NSIG,
    ARRIVALS_MAX = 1024, /* a power of two: counters wrap around */
    DELIVERED_MAX =
        4096, /* in one turn, so that a storm does not keep the loop from anything else */
};

/* One number, on one loop. */
struct slot {
    coil_callback fn; /* NULL: no handler */
    void *arg;
    coil_context *context;
    struct coil__link queued;    /* struct arrival: callbacks that are to run */
    struct coil__link listeners; /* struct coil__listener */
};

struct coil__signals {
    coil_loop *loop;
    struct coil__ready ready; /* queued when there is something to deliver */
    bool is_queued;
    atomic_uint head, tail; /* of the ring; the loop moves the head, handlers the tail */
    _Atomic(uint8_t) ring[ARRIVALS_MAX];
    atomic_uint beyond[NUMBERS]; /* arrivals that found the ring full */
    atomic_bool any_beyond;
    struct slot slots[NUMBERS];
};

/* A callback of a handler, for one arrival. */
struct arrival {
    coil_handle handle;
    struct coil__link link; /* in slot->queued */
};

/* What the process knows of a number. */
static struct {
    _Atomic(struct coil__signals *) owner; /* the loop that handles it */
    _Atomic(coil_loop *) run;              /* SIGINT, SIGTERM: the run that it ends */
    atomic_int count;                      /* ... and how many have come */
    int users;                             /* of our handler */
    struct sigaction before;               /* what was there before the first of them */
} numbers[NUMBERS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for `users` and `before` */
static atomic_int inside;                                /* handlers that run at the moment */

/* ---- in the handler: nothing but atomics, sigaction and the backend's wake ----------------------- */

static void tell(coil_loop *loop)
{
    atomic_store(&loop->signalled, true);
    if (atomic_load(&loop->sleeping))
        loop->backend->ops->wake(loop->backend);
}

static void note_arrival(struct coil__signals *signals, int number)
{
    unsigned tail = atomic_load(&signals->tail);
    do {
        if (tail - atomic_load(&signals->head) >= ARRIVALS_MAX) {
            atomic_fetch_add(&signals->beyond[number], 1);
            atomic_store(&signals->any_beyond, true);
            return;
        }
    } while (!atomic_compare_exchange_weak(&signals->tail, &tail, tail + 1));
    atomic_store(&signals->ring[tail % ARRIVALS_MAX], (uint8_t)number);
}

static void interrupt(coil_loop *loop, int number)
{
    if (atomic_fetch_add(&numbers[number].count, 1) >= 1 && number == SIGINT) {
        /* The second is the last one that we take: a third ends the process. */
        struct sigaction fallback = { .sa_handler = SIG_DFL };
        (void)sigaction(number, &fallback, NULL);
    }
    atomic_fetch_add(&loop->interrupts, 1);
}

static void on_signal(int number)
{
    int saved = errno;
    atomic_fetch_add(&inside, 1);
    struct coil__signals *owner = atomic_load(&numbers[number].owner);
    coil_loop *run = atomic_load(&numbers[number].run);
    if (owner) {
        note_arrival(owner, number);
        tell(owner->loop);
    } else if (run) {
        interrupt(run, number);
        tell(run);
    }
    atomic_fetch_sub(&inside, 1);
    errno = saved;
}

/* ---- taking a signal, and giving it back ---------------------------------------------------------- */

/* Where the thread has an alternate stack the handler runs there: that of a task may be small. Valgrind goes
 * on using one that has been taken down. */
static int stack_flag(void)
{
#ifdef COIL_HAVE_VALGRIND
    if (RUNNING_ON_VALGRIND)
        return 0;
#endif
    return SA_ONSTACK;
}

/* With the lock. All signals wait for the handler, so that it is never entered twice on one stack. */
static int install(int number)
{
    if (numbers[number].users++ > 0)
        return 0;
    struct sigaction ours = { .sa_handler = on_signal, .sa_flags = SA_RESTART | stack_flag() };
    sigfillset(&ours.sa_mask);
    if (sigaction(number, &ours, &numbers[number].before) == 0)
        return 0;
    int code = errno == EINVAL ? COIL_ERUNTIME : -errno;
    numbers[number].users--;
    return code;
}

/* With the lock. */
static void uninstall(int number)
{
    struct sigaction current;
    if (numbers[number].users == 0)
        return; /* a child of fork has none of its parent's */
    if (--numbers[number].users > 0)
        return;
    /* Neither fails: both actions were valid when we read them. */
    if (sigaction(number, NULL, &current) == 0 && current.sa_handler == on_signal)
        (void)sigaction(number, &numbers[number].before, NULL);
}

/* No handler that runs has seen what was there before. */
static void wait_for_handlers(void)
{
    while (atomic_load(&inside) > 0)
        sched_yield();
}

static int claim(struct coil__signals *signals, int number)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    struct coil__signals *owner = atomic_load(&numbers[number].owner);
    if (owner && owner != signals) {
        rc = -EBUSY;
    } else if (!owner) {
        /* First the owner: a signal that arrives in between must find it. */
        atomic_store(&numbers[number].owner, signals);
        rc = install(number);
        if (rc < 0)
            atomic_store(&numbers[number].owner, NULL);
    }
    pthread_mutex_unlock(&lock);
    if (rc == COIL_ERUNTIME)
        return coil__fail(rc, "signal %d (%s) cannot be caught", number, strsignal(number));
    return rc < 0 ? coil__fail(rc, "taking signal %d (%s)", number, strsignal(number)) : 0;
}

static bool in_use(const struct slot *slot)
{
    return slot->fn || !coil__list_empty(&slot->listeners);
}

static void release_unused(struct coil__signals *signals, int number)
{
    if (in_use(&signals->slots[number]))
        return;
    pthread_mutex_lock(&lock);
    if (atomic_load(&numbers[number].owner) == signals) {
        uninstall(number);
        atomic_store(&numbers[number].owner, NULL);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- in a turn ------------------------------------------------------------------------------------ */

static void arrival_destroy(void *object)
{
    struct arrival *arrival = COIL__CONTAINER(object, struct arrival, handle);
    if (coil__list_linked(&arrival->link))
        coil__list_remove(&arrival->link);
    coil__handle_fini(&arrival->handle);
    coil__block_give(arrival, sizeof *arrival);
}

static const struct coil__type arrival_type = { COIL__KIND_HANDLE, "handle", arrival_destroy };

/* False: there is no memory for the callback, and nobody was told. */
static bool deliver(struct coil__signals *signals, int number)
{
    struct slot *slot = &signals->slots[number];
    struct arrival *arrival = NULL;
    if (slot->fn) {
        arrival = coil__block_take(sizeof *arrival);
        if (!arrival)
            return false;
    }
    struct coil__link *link = slot->listeners.next;
    while (link != &slot->listeners) {
        struct coil__listener *listener = COIL__CONTAINER(link, struct coil__listener, link);
        link = link->next;
        listener->arrived(listener, number);
    }
    if (arrival) {
        coil__handle_init(&arrival->handle, &arrival_type, signals->loop, slot->fn, slot->arg,
                          coil_ref(slot->context));
        coil__list_append(&slot->queued, &arrival->link);
        coil__handle_push(&arrival->handle);
        coil__unref(&arrival->handle.object);
    }
    return true;
}

/* Each gives false if something is left for the next turn. */
static bool deliver_ring(struct coil__signals *signals, int *left)
{
    for (;;) {
        unsigned head = atomic_load(&signals->head);
        if (head == atomic_load(&signals->tail))
            return true;
        _Atomic(uint8_t) *entry = &signals->ring[head % ARRIVALS_MAX];
        int number = atomic_load(entry);
        if (number == 0)
            return true; /* its handler is about to fill it, and tells us then */
        if ((*left)-- == 0 || !deliver(signals, number))
            return false;
        atomic_store(entry, 0);
        atomic_store(&signals->head, head + 1);
    }
}

static bool deliver_beyond(struct coil__signals *signals, int *left)
{
    if (!atomic_exchange(&signals->any_beyond, false))
        return true;
    for (int number = 1; number < NUMBERS; number++) {
        while (atomic_load(&signals->beyond[number]) > 0) {
            if ((*left)-- == 0 || !deliver(signals, number)) {
                atomic_store(&signals->any_beyond, true);
                return false;
            }
            atomic_fetch_sub(&signals->beyond[number], 1);
        }
    }
    return true;
}

static void deliver_all(struct coil__ready *ready)
{
    struct coil__signals *signals = COIL__CONTAINER(ready, struct coil__signals, ready);
    int left = DELIVERED_MAX;
    signals->is_queued = false;
    if (signals->loop->closed)
        return;
    if (!deliver_ring(signals, &left) || !deliver_beyond(signals, &left))
        atomic_store(&signals->loop->signalled, true);
}

/* As in asyncio the loop's own entry comes first, and queues the callbacks for the next turn. */
void coil__signals_look(coil_loop *loop)
{
    struct coil__signals *signals = loop->signals;
    atomic_store(&loop->signalled, false);
    if (loop->on_interrupt && atomic_exchange(&loop->interrupts, 0) > 0)
        loop->on_interrupt(loop, loop->on_interrupt_arg);
    if (signals && !signals->is_queued) {
        signals->is_queued = true;
        coil__loop_push(loop, &signals->ready);
    }
}

/* ---- adding and removing -------------------------------------------------------------------------- */

static int make_signals(coil_loop *loop)
{
    if (loop->signals)
        return 0;
    struct coil__signals *signals = coil__alloc_zero(sizeof *signals);
    if (!signals)
        return coil__fail_plain(COIL_ENOMEM);
    signals->loop = loop;
    signals->ready.run = deliver_all;
    for (int number = 0; number < NUMBERS; number++) {
        coil__list_init(&signals->slots[number].queued);
        coil__list_init(&signals->slots[number].listeners);
    }
    loop->signals = signals;
    return 0;
}

static int check_number(int number)
{
    return number > 0 && number < NUMBERS ? 0 : coil__fail(COIL_EINVAL, "no signal %d", number);
}

/* The number is the loop's from here on: whoever asked for it is about to be entered in its slot. */
static int begin_use(coil_loop *loop, int number)
{
    int rc = check_number(number);
    if (rc < 0)
        return rc;
    if (number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL)
        return coil__fail(COIL_ERUNTIME, "%s is no signal to return from", strsignal(number));
    rc = make_signals(loop);
    return rc < 0 ? rc : claim(loop->signals, number);
}

int coil__signal_listen(coil_loop *loop, int number, struct coil__listener *listener)
{
    int rc = begin_use(loop, number);
    if (rc == 0)
        coil__list_append(&loop->signals->slots[number].listeners, &listener->link);
    return rc;
}

void coil__signal_unlisten(coil_loop *loop, int number, struct coil__listener *listener)
{
    coil__list_remove(&listener->link);
    if (loop->signals)
        release_unused(loop->signals, number);
}

/* What has arrived for the old callback goes to the new one: nothing is lost. */
static void readdress(struct slot *slot)
{
    for (struct coil__link *link = slot->queued.next; link != &slot->queued; link = link->next) {
        struct arrival *arrival = COIL__CONTAINER(link, struct arrival, link);
        coil_unref(arrival->handle.context);
        arrival->handle.fn = slot->fn;
        arrival->handle.arg = slot->arg;
        arrival->handle.context = coil_ref(slot->context);
    }
}

int coil_add_signal_handler(coil_loop *loop, int number, coil_callback fn, void *arg)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc < 0)
        return rc;
    if (!fn)
        return coil__fail(COIL_EINVAL, "no callback");
    coil_context *context;
    rc = coil__context_inherit(&context);
    if (rc < 0)
        return rc;
    rc = begin_use(loop, number);
    if (rc < 0) {
        coil_unref(context);
        return rc;
    }
    struct slot *slot = &loop->signals->slots[number];
    coil_unref(slot->context);
    slot->fn = fn;
    slot->arg = arg;
    slot->context = context;
    readdress(slot);
    return 0;
}

static void forget_handler(struct slot *slot)
{
    slot->fn = NULL;
    coil_unref(slot->context);
    slot->context = NULL;
    while (!coil__list_empty(&slot->queued)) {
        struct coil__link *link = slot->queued.next;
        coil__list_remove(link);
        coil_handle_cancel(&COIL__CONTAINER(link, struct arrival, link)->handle);
    }
}

int coil_remove_signal_handler(coil_loop *loop, int number)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc == 0)
        rc = check_number(number);
    if (rc < 0)
        return rc;
    if (!loop->signals || !loop->signals->slots[number].fn)
        return 0;
    forget_handler(&loop->signals->slots[number]);
    release_unused(loop->signals, number);
    return 1;
}

void coil__signals_close(coil_loop *loop)
{
    struct coil__signals *signals = loop->signals;
    if (!signals)
        return;
    for (int number = 1; number < NUMBERS; number++) {
        struct slot *slot = &signals->slots[number];
        if (!in_use(slot))
            continue;
        coil__list_init(&slot->listeners); /* of tasks that were given up */
        forget_handler(slot);
        release_unused(signals, number);
    }
    wait_for_handlers();
    loop->signals = NULL;
    coil__free(signals);
}

/* ---- ending a run --------------------------------------------------------------------------------- */

bool coil__interrupt_take(coil_loop *loop, int number)
{
    struct sigaction current;
    pthread_mutex_lock(&lock);
    bool taken = numbers[number].users == 0 && sigaction(number, NULL, &current) == 0 &&
                 current.sa_handler == SIG_DFL;
    if (taken) {
        atomic_store(&numbers[number].count, 0);
        atomic_store(&numbers[number].run, loop);
        taken = install(number) == 0;
        if (!taken)
            atomic_store(&numbers[number].run, NULL);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

void coil__interrupt_give_back(int number)
{
    pthread_mutex_lock(&lock);
    uninstall(number);
    atomic_store(&numbers[number].run, NULL);
    pthread_mutex_unlock(&lock);
    wait_for_handlers();
}

int coil__interrupt_count(int number)
{
    return atomic_load(&numbers[number].count);
}

/* ---- fork ----------------------------------------------------------------------------------------- */

void coil__signals_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void coil__signals_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

/* What would lead to a loop that does not run here must not swallow a SIGTERM. */
void coil__signals_in_child(void)
{
    for (int number = 1; number < NUMBERS; number++) {
        struct coil__signals *owner = atomic_load(&numbers[number].owner);
        coil_loop *loop = owner ? owner->loop : atomic_load(&numbers[number].run);
        if (!loop || loop->pid == getpid())
            continue;
        numbers[number].users = 1;
        uninstall(number);
        atomic_store(&numbers[number].owner, NULL);
        atomic_store(&numbers[number].run, NULL);
    }
    atomic_store(&inside, 0); /* handlers in threads that are not here */
}
