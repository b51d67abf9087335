#include "loop/loop.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <coil/testing.h>
#include "base/error.h"
#include "base/place.h"
#include "loop/signal.h"
#include "loop/trace.h"
#include "platform/overflow.h"

/* ---- one turn ----------------------------------------------------------------------------------- */

static void poll_real(coil_loop *loop, int64_t limit_ns);
static void poll_virtual(coil_loop *loop, int64_t limit_ns);

/* Moves due timers behind what is ready, in deadline order. */
static void collect_timers(coil_loop *loop)
{
    struct coil__timer *timer;
    int64_t late_ns = -1;
    while ((timer = coil__timer_heap_pop(&loop->timers, loop->now_ns))) {
        if (late_ns < 0)
            late_ns = loop->now_ns - timer->due_ns;
        coil__loop_push(loop, &timer->ready);
    }
    if (late_ns >= 0) {
        COIL__SHOW(loop->counters.late_ns, late_ns);
        coil__count_max(&loop->counters.latest_ns, late_ns);
    }
}

/* Counts a poll, and the turns since the one before: what is left of those that were dealt says how many. When
 * none is left the last one was not taken. */
static void count_turns(coil_loop *loop)
{
    int left = loop->turns_left > 0 ? loop->turns_left : 1;
    uint64_t unpolled = loop->turns_dealt > left ? (uint64_t)(loop->turns_dealt - left) : 0;
    loop->turns_dealt = loop->turns_left;
    COIL__COUNT(loop->counters.polls, 1);
    COIL__COUNT(loop->counters.turns, unpolled + 1);
    COIL__SHOW(loop->counters.timers, loop->timers.count);
    COIL__SHOW(loop->counters.buffered, loop->buffered);
}

/* Runs what is left of the batch. Tasks hand over among themselves and come back here for callbacks. */
static void run_batch(coil_loop *loop)
{
    while (loop->batch && loop->leave_code == 0) {
        struct coil__ready *entry = loop->batch;
        loop->batch = entry->next;
        if (entry->run)
            entry->run(entry);
        else
            coil__task_step_from_loop(loop, entry);
    }
}

/* Left in the middle of a turn: what has not run is the beginning of the next one. */
static void put_batch_back(coil_loop *loop)
{
    if (!loop->batch)
        return;
    struct coil__ready **last = &loop->batch;
    while (*last)
        last = &(*last)->next;
    *last = loop->next.head;
    if (!loop->next.head)
        loop->next.tail = last;
    loop->next.head = loop->batch;
    loop->batch = NULL;
}

/* limit_ns: how long the turn may wait at most. */
static void turn(coil_loop *loop, int64_t limit_ns)
{
    if (!coil__loop_next_batch(loop)) {
        coil__inbox_drain(loop);
        count_turns(loop);
        if (loop->slow & COIL__SLOW_VIRTUAL)
            poll_virtual(loop, limit_ns);
        else
            poll_real(loop, limit_ns);
        coil__inbox_drain(loop);
        if (COIL_UNLIKELY(atomic_load_explicit(&loop->signalled, memory_order_relaxed)))
            coil__signals_look(loop);
        collect_timers(loop);
        loop->batch = coil__queue_take_all(&loop->next);
        if (COIL_UNLIKELY(loop->slow & COIL__SLOW_SHUFFLE))
            coil__shuffle_batch(loop);
    }
    run_batch(loop);
    if (COIL_UNLIKELY(loop->leave_code != 0))
        put_batch_back(loop);
}

/* ---- polling ------------------------------------------------------------------------------------ */

static void wait_for_completions(coil_loop *loop, int64_t timeout_ns)
{
    int rc = loop->backend->ops->wait(loop->backend, timeout_ns);
    if (COIL_UNLIKELY(rc < 0))
        coil__loop_leave(loop, rc, coil__error_new(rc, "the kernel refused to wait"));
}

/* Takes as many turns between polls as fit into COIL__TURNS_NS. */
static void adapt_turns(coil_loop *loop, int64_t elapsed_ns)
{
    if (elapsed_ns > COIL__TURNS_NS)
        loop->turns = loop->turns > 4 ? loop->turns / 4 : 1;
    else if (elapsed_ns < COIL__TURNS_NS / 2 && loop->turns < COIL__TURNS_MAX)
        loop->turns *= 2;
    loop->turns_left = loop->turns_dealt = loop->single ? 0 : loop->turns;
}

static void poll_real(coil_loop *loop, int64_t limit_ns)
{
    int64_t before = coil__clock_ns();
    adapt_turns(loop, before - loop->now_ns);
    COIL__COUNT(loop->counters.busy_ns, before - loop->now_ns);
    coil__count_max(&loop->counters.longest_ns, before - loop->now_ns);

    int64_t timeout_ns = 0;
    if (!loop->next.head && !(loop->slow & COIL__SLOW_STOP)) {
        int64_t due = coil__timer_heap_next(&loop->timers);
        timeout_ns = due == COIL__FOREVER_NS ? due : due > before ? due - before : 0;
        /* Shorter waits than the kernel keeps anyway would only wake up for every single timer. */
        if (timeout_ns > 0 && timeout_ns < COIL__WAIT_MIN_NS)
            timeout_ns = COIL__WAIT_MIN_NS;
        if (timeout_ns > limit_ns)
            timeout_ns = limit_ns;
    }
    if (timeout_ns > 0) {
        /* See inbox.c: first the flag, then the last look. The same goes for a signal's handler. */
        atomic_store(&loop->sleeping, true);
        if (coil__inbox_pending_at_last(&loop->inbox) || atomic_load(&loop->signalled))
            timeout_ns = 0;
    }
    wait_for_completions(loop, timeout_ns);
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    loop->now_ns = timeout_ns > 0 ? coil__clock_ns() : before;
    COIL__COUNT(loop->counters.waited_ns, loop->now_ns - before);
}

/* Moves the clock as far as a real one would come while the loop waits. */
static void poll_virtual(coil_loop *loop, int64_t limit_ns)
{
    bool patient = loop->patience_ns > 0 && !loop->next.head &&
                   loop->backend->ops->pending(loop->backend) > 0;
    wait_for_completions(loop, patient ? loop->patience_ns : 0);
    if (loop->next.head || (loop->slow & COIL__SLOW_STOP) || atomic_load(&loop->signalled))
        return;
    int64_t due = coil__timer_heap_next(&loop->timers);
    if (due <= loop->now_ns || limit_ns == 0)
        return;
    if (loop->outside > 0) {
        atomic_store(&loop->sleeping, true);
        if (!coil__inbox_pending_at_last(&loop->inbox) && !atomic_load(&loop->signalled))
            wait_for_completions(loop, limit_ns);
        atomic_store(&loop->sleeping, false);
    } else if (limit_ns < COIL__FOREVER_NS - loop->now_ns && loop->now_ns + limit_ns < due) {
        loop->now_ns += limit_ns;
    } else if (due != COIL__FOREVER_NS) {
        loop->now_ns = due;
    } else if (!coil__inbox_pending(&loop->inbox)) {
        coil__loop_leave(loop, COIL_ESTALLED,
                         coil__error_new(COIL_ESTALLED, "nothing is ready and no timer is set"));
    }
}

/* ---- running ------------------------------------------------------------------------------------ */

struct coil__thread coil__loop_enter(coil_loop *loop)
{
    struct coil__thread old = coil__thread;
    coil__thread.loop = loop;
    coil__thread.task = NULL;
    coil__thread.driver = NULL;
    coil__thread.cache = &loop->cache;
    coil__thread.errors =
        NULL; /* what callbacks fail with does not displace the caller's records */
    return old;
}

void coil__loop_exit(struct coil__thread old)
{
    int last_code = coil__thread.last_code;
    bool owns = coil__thread.owns;
    coil__errors_forget_thread();
    coil__thread = old;
    coil__thread.last_code = last_code;
    coil__thread.owns = owns;
}

static int check_can_run(coil_loop *loop)
{
    coil__fork_notice(loop);
    if (loop->closed)
        return coil__loop_refuse_closed(loop);
    if (loop->running || coil__loop_running_here())
        return coil__fail(COIL_ENESTED, "%s",
                          loop->running ? "this loop is running" : "another loop is running");
    return 0;
}

atomic_bool coil__loops_in_threads;

static void note_thread(void)
{
    static _Atomic(pthread_t) first;
    pthread_t expected = 0, self = pthread_self();
    if (!atomic_compare_exchange_strong(&first, &expected, self) && expected != self)
        atomic_store(&coil__loops_in_threads, true);
}

/* Debug mode. Time that is virtual does not show what blocks. */
static void watch_over(coil_loop *loop)
{
    if (!(loop->slow & COIL__SLOW_VIRTUAL))
        coil__watchdog_enter(loop);
}

static struct coil__thread begin_run(coil_loop *loop)
{
    note_thread();
    loop->running = true;
    loop->has_run = true;
    loop->runs++;
    loop->thread = pthread_self();
    if (!(loop->slow & COIL__SLOW_VIRTUAL))
        loop->now_ns = coil__clock_ns(); /* the time between two runs is nobody's */
    coil__ref(&loop->object);
    coil__overflow_thread_enter(coil__task_describe_overflow);
    if (loop->debug)
        watch_over(loop);
    return coil__loop_enter(loop);
}

/* Gives the code to leave with: 0 unless a task or the backend wanted out. */
static int end_run(coil_loop *loop, struct coil__thread old)
{
    coil__loop_exit(old);
    coil__overflow_thread_leave();
    loop->running = false;
    atomic_store(&loop->watched.began_ns, 0);
    loop->slow &= ~(unsigned)COIL__SLOW_STOP;
    int code = loop->leave_code;
    coil_error *error = loop->leave_error;
    loop->leave_code = 0;
    loop->leave_error = NULL;
    coil__embed_update(loop);
    if (code < 0)
        coil__fail_with(code, error);
    coil_unref(error);
    coil__unref(&loop->object);
    return code;
}

int coil_run_forever(coil_loop *loop)
{
    int rc = check_can_run(loop);
    if (rc < 0)
        return rc;
    struct coil__thread old = begin_run(loop);
    do {
        turn(loop, COIL__FOREVER_NS);
    } while (!(loop->slow & COIL__SLOW_STOP) && loop->leave_code == 0);
    return end_run(loop, old);
}

int coil_loop_step(coil_loop *loop, double timeout)
{
    if (isnan(timeout))
        return coil__fail(COIL_EINVAL, "the timeout is not a number");
    int rc = check_can_run(loop);
    if (rc < 0)
        return rc;
    struct coil__thread old = begin_run(loop);
    loop->turns_left = loop->turns_dealt = 0; /* look at the kernel in every step, */
    loop->single = true;                      /* and run one batch only */
    turn(loop, timeout < 0 ? COIL__FOREVER_NS : coil__nanoseconds(timeout));
    loop->single = false;
    rc = end_run(loop, old);
    return rc < 0 ? rc : loop->next.head != NULL;
}

void coil_loop_stop(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->slow |= COIL__SLOW_STOP;
    coil__loop_kick(loop);
}

void coil__loop_leave(coil_loop *loop, int code, coil_error *error)
{
    if (loop->leave_code != 0) {
        coil_unref(error);
        return;
    }
    loop->leave_code = code;
    loop->leave_error = error;
    loop->slow |= COIL__SLOW_STOP;
}

/* ---- making and closing ------------------------------------------------------------------------- */

static void loop_destroy(void *object)
{
    coil_loop *loop = object;
    if (!loop->closed) {
        coil_report report = { .size = sizeof report,
                               .event = COIL_EVENT_UNCLOSED_LOOP,
                               .message = "a loop was released without being closed" };
        coil__log(loop, COIL_LOG_WARNING, &report);
        loop->object.refs = 1;       /* what close ends may refer to the loop */
        (void)coil_loop_close(loop); /* cannot fail: it does not run */
        if (--loop->object.refs > 0)
            return; /* somebody's future keeps it */
    }
    coil__loop_let_go(loop);
}

void coil__loop_let_go(coil_loop *loop)
{
    if (atomic_fetch_sub_explicit(&loop->holds, 1, memory_order_acq_rel) > 1)
        return;
    coil__fork_unregister(loop);
    coil__inbox_fini(&loop->inbox);
    coil__free(loop);
}

static const struct coil__type loop_type = { COIL__KIND_LOOP, "loop", loop_destroy };

coil_loop *coil_new_event_loop(void)
{
    coil_loop *loop = coil__alloc_zero(sizeof *loop);
    if (!loop)
        return coil__fail_null(COIL_ENOMEM);
    if (coil__inbox_init(&loop->inbox) < 0) {
        coil__free(loop);
        return coil__fail_null(COIL_ENOMEM);
    }
    int rc = coil__backend_open(&loop->backend);
    if (rc < 0) {
        coil__inbox_fini(&loop->inbox);
        coil__free(loop);
        const char *wanted = getenv("COIL_BACKEND");
        if (rc == COIL_ENOTSUP && wanted)
            coil__fail(rc, "COIL_BACKEND=%s: no such backend", wanted);
        else
            coil__fail(rc, "opening the backend");
        return NULL;
    }
    if (coil__fork_register(loop) < 0) {
        loop->backend->ops->close(loop->backend);
        coil__inbox_fini(&loop->inbox);
        coil__free(loop);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil__object_init(&loop->object, &loop_type);
    atomic_init(&loop->holds, 1);
    loop->made_at = __builtin_return_address(0);
    coil__queue_init(&loop->next);
    coil__timer_heap_init(&loop->timers);
    coil__list_init(&loop->tasks);
    coil__list_init(&loop->coros);
    coil__list_init(&loop->generators);
    coil__list_init(&loop->operations);
    coil__list_init(&loop->children);
    coil__list_init(&loop->subprocesses);
    coil__list_init(&loop->transports);
    coil__list_init(&loop->servers);
    loop->buffer_budget = SIZE_MAX;
    coil__list_init(&loop->bridges);
    coil__list_init(&loop->tracers);
    coil__stack_pool_init(&loop->stacks);
    coil__cache_init(&loop->cache);
    loop->default_stack_bytes = COIL__STACK_DEFAULT_BYTES;
    coil_set_slow_callback_duration(loop, 0.1);
    loop->embed_fd = loop->embed_timer_fd = -1;
    loop->now_ns = coil__clock_ns();
    loop->turns = loop->turns_left = loop->turns_dealt = COIL__TURNS_MAX;
    const char *debug = getenv("COIL_DEBUG");
    coil_set_debug(loop, debug && strcmp(debug, "1") == 0);
    coil__inspect_loop_opened(loop);
    return loop;
}

void coil__loop_drop_ready(coil_loop *loop)
{
    while (loop->next.head)
        coil__handles_drop(coil__queue_take_all(&loop->next));
}

int coil_loop_close(coil_loop *loop)
{
    coil__fork_notice(loop);
    if (loop->running && !loop->forked)
        return coil__fail(COIL_ERUNTIME, "the loop is running");
    if (loop->closed)
        return 0; /* of a parent's loop nothing is touched, and nobody's cleanup is run */
    loop->closed = true;
    coil__ref(&loop->object);

    struct coil__thread old = coil__loop_enter(loop);
    coil__overflow_thread_enter(coil__task_describe_overflow);
    coil__trace_detach_all(loop);
    if (loop->watched.on)
        coil__watchdog_leave(loop);
    coil__loop_drop_ready(loop);
    coil__inbox_shut(loop);
    while (loop->timers.count > 0) {
        struct coil__timer *timer = coil__timer_heap_pop(&loop->timers, INT64_MAX);
        timer->ready.next = NULL;
        coil__handles_drop(&timer->ready);
    }
    coil__loop_close_tasks(loop);
    coil__loop_drop_ready(loop);
    coil__loop_close_threads(loop);
    coil__loop_close_subprocesses(loop);
    coil__loop_close_processes(loop);
    coil__signals_close(loop);
    coil__watchers_close(loop);
    coil__loop_close_transports(loop);
    while (loop->backend->ops->pending(loop->backend) > 0)
        if (loop->backend->ops->wait(loop->backend, COIL__FOREVER_NS) < 0)
            break;
    coil__embed_close(loop);
    loop->backend->ops->close(loop->backend);
    loop->backend = NULL;
    coil__timer_heap_fini(&loop->timers);
    coil__stack_pool_fini(&loop->stacks);
    coil__free(loop->shuffle);
    loop->shuffle = NULL;
    coil__overflow_thread_leave();
    coil__loop_exit(old);
    coil__inspect_loop_closed(loop);

    coil__cache_fini(&loop->cache);
    coil__unref(&loop->object);
    return 0;
}

/* ---- asking ------------------------------------------------------------------------------------- */

coil_loop *coil_get_running_loop(void)
{
    return coil__loop_running_here();
}

coil_loop *coil__loop_missing(void)
{
    coil__fail(COIL_ENOLOOP, "no loop runs in this thread");
    return NULL;
}

/* Fails over a loop; in debug mode with the place where it was made. */
static int refuse_loop(const coil_loop *loop, int code, const char *why)
{
    char place[COIL__PLACE_BYTES];
    if (!loop->debug)
        return coil__fail(code, "the loop %s", why);
    return coil__fail(code, "the loop, made at %s, %s", coil__place_describe(loop->made_at, place),
                      why);
}

int coil__loop_refuse_closed(const coil_loop *loop)
{
    return loop->forked ? refuse_loop(loop, COIL_EFORKED, "is that of the parent process")
                        : refuse_loop(loop, COIL_ECLOSED, "is closed");
}

int coil__loop_check_open(coil_loop *loop)
{
    if (COIL_UNLIKELY(loop->closed))
        return coil__loop_refuse_closed(loop);
    if (COIL_UNLIKELY(loop->debug) && loop->running && !pthread_equal(loop->thread, pthread_self()))
        return refuse_loop(loop, COIL_EWRONGTHREAD, "runs in another thread");
    return 0;
}

bool coil_loop_is_running(const coil_loop *loop)
{
    return loop->running && !loop->forked;
}

bool coil_loop_is_closed(const coil_loop *loop)
{
    return loop->closed;
}

const char *coil_loop_backend(const coil_loop *loop)
{
    return loop->backend ? loop->backend->ops->name : "closed";
}

const char *coil_loop_backend_reason(const coil_loop *loop)
{
    return loop->backend ? loop->backend->why : NULL;
}

bool coil_get_debug(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    return loop && loop->debug;
}

void coil_set_debug(coil_loop *loop, bool on)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->debug = on;
    atomic_store(&loop->watched.began_ns,
                 0); /* of a step that begins and ends in different modes */
    if (on && loop->running && !loop->watched.on)
        watch_over(loop);
    if (on)
        loop->slow |= COIL__SLOW_DEBUG;
    else
        loop->slow &= ~(unsigned)COIL__SLOW_DEBUG;
}

void coil_set_slow_callback_duration(coil_loop *loop, double seconds)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return;
    loop->slow_callback_seconds = seconds;
    atomic_store(&loop->watched.limit_ns, coil__nanoseconds(seconds));
}

double coil_get_slow_callback_duration(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    return loop ? loop->slow_callback_seconds : 0;
}

/* ---- time --------------------------------------------------------------------------------------- */

int64_t coil__loop_now(const coil_loop *loop)
{
    return loop->slow & COIL__SLOW_VIRTUAL ? loop->now_ns : coil__clock_ns();
}

double coil_loop_time(coil_loop *loop)
{
    loop = coil__loop_or_running(loop);
    return (double)(loop ? coil__loop_now(loop) : coil__clock_ns()) / 1e9;
}

int64_t coil__loop_deadline(const coil_loop *loop, double delay)
{
    int64_t delay_ns = coil__nanoseconds(delay);
    int64_t due_ns;
    if (delay_ns == COIL__FOREVER_NS ||
        __builtin_add_overflow(coil__loop_now(loop), delay_ns, &due_ns))
        return COIL__FOREVER_NS;
    return due_ns;
}

/* ---- virtual clock ------------------------------------------------------------------------------ */

int coil_testing_use_virtual_clock(coil_loop *loop)
{
    if (loop->has_run || loop->timers.count > 0)
        return coil__fail(COIL_ERUNTIME, "the loop has run, or has timers");
    loop->slow |= COIL__SLOW_VIRTUAL;
    loop->now_ns = 0;
    return 0;
}

coil_loop *coil_testing_virtual_loop(void *arg)
{
    (void)arg;
    coil_loop *loop = coil_new_event_loop();
    if (loop)
        (void)coil_testing_use_virtual_clock(loop); /* cannot fail: the loop is new */
    return loop;
}

int coil_testing_advance(coil_loop *loop, double seconds)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    if (!(loop->slow & COIL__SLOW_VIRTUAL))
        return coil__fail(COIL_ERUNTIME, "the loop's clock is not virtual");
    if (!(seconds >= 0))
        return coil__fail(COIL_EINVAL, "time does not go back");
    loop->now_ns = coil__loop_deadline(loop, seconds);
    return 0;
}

void coil_testing_outside(coil_loop *loop, int change)
{
    loop = coil__loop_or_running(loop);
    if (loop)
        loop->outside += change;
}
