/* Several loops, each in a thread: run_threads.
 *
 * The calling thread runs a small loop of its own, the supervisor's, on which nothing of the user's happens. It
 * hears when a main has ended, and of signals, as any run does; so cancelling all mains, or leaving all loops, is
 * a message to each.
 *
 *     caller    starts threads; waits until all stand at the gate; runs supervise(), which opens it; joins them
 *     worker    makes its loop; waits at the gate; runs main; shuts down; tells the supervisor
 *
 * Messages lie in the worker's memory (struct coil__late), so that none is lost for want of memory. Either side
 * keeps the other's loop in memory until the threads are joined. */
#include <coil/run.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <coil/sync.h>
#include "base/error.h"
#include "loop/loop.h"
#include "structure/shutdown.h"

enum {
    THREADS_MAX = 1024,
};

struct worker {
    struct coil__threads *all;
    int index;
    pthread_t thread;
    coil_runner *runner; /* the worker's; touched by nobody else */
    coil_loop *loop;     /* held from the gate on; NULL: it could not be made */
    int code; /* what it ended with, and its record; the worker's until it is joined or has told */
    coil_error *error;
    struct coil__late cancel, leave, ended;
};

enum gate {
    GATE_SHUT,
    GATE_OPEN,
    GATE_NEVER, /* go home */
};

struct coil__threads {
    coil_main_factory main_of;
    void *arg;
    coil_threads_options options;
    cpu_set_t allowed; /* processors, for pin */

    pthread_mutex_t lock; /* guards the next two */
    pthread_cond_t changed;
    int arrived; /* at the gate */
    enum gate gate;

    /* The supervisor's. */
    coil_loop *supervisor; /* held; set before the gate opens */
    coil_event ended;      /* all have */
    int running;
    int code; /* of the first that failed, and its record */
    coil_error *error;
    bool stopping;

    int count;
    struct worker workers[];
};

/* ---- the worker's side -------------------------------------------------------------------------- */

/* To a processor of its own: the index-th of those that are allowed, from the first again when they are used up. */
static int pin(const struct coil__threads *all, int index)
{
    int nth = index % CPU_COUNT(&all->allowed), cpu = 0;
    while (!CPU_ISSET(cpu, &all->allowed) || nth-- > 0)
        cpu++;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    int rc = pthread_setaffinity_np(pthread_self(), sizeof own, &own);
    return rc == 0 ? 0 : coil__fail(-rc, "pinning a thread to processor %d", cpu);
}

static int make_loop(struct worker *worker)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.debug = worker->all->options.debug;
    options.leave_sigint = true;
    int rc = worker->all->options.pin ? pin(worker->all, worker->index) : 0;
    if (rc < 0)
        return rc;
    worker->runner = coil_runner_new(&options);
    coil_loop *loop = worker->runner ? coil_runner_get_loop(worker->runner) : NULL;
    if (!loop)
        return coil_error_last();
    coil__loop_hold(loop);
    loop->threads = worker->all;
    worker->loop = worker->cancel.loop = worker->leave.loop = loop;
    return 0;
}

static enum gate wait_at_gate(struct coil__threads *all)
{
    pthread_mutex_lock(&all->lock);
    all->arrived++;
    pthread_cond_broadcast(&all->changed);
    while (all->gate == GATE_SHUT)
        pthread_cond_wait(&all->changed, &all->lock);
    enum gate gate = all->gate;
    pthread_mutex_unlock(&all->lock);
    return gate;
}

/* Keeps a code and the record that explains it, alone: it will move to another thread. */
static void keep_outcome(struct worker *worker, int code)
{
    worker->code = code;
    if (code < 0)
        worker->error = coil__errors_take(&coil__thread.errors, code);
    coil__errors_forget_thread();
}

static void run_main(struct worker *worker)
{
    coil_coro *coro = worker->all->main_of(worker->all->arg, worker->index);
    int rc = coil_runner_run(worker->runner, coro, NULL, NULL);
    if (rc < 0)
        keep_outcome(worker, rc);
    rc = coil_runner_close(worker->runner);
    if (worker->code == 0)
        keep_outcome(worker, rc);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    char name[16];
    snprintf(name, sizeof name, "coil-loop-%d", worker->index);
    (void)pthread_setname_np(pthread_self(), name); /* for people only */
    int rc = make_loop(worker);
    if (rc < 0)
        keep_outcome(worker, rc);
    bool goes = wait_at_gate(worker->all) == GATE_OPEN;
    if (goes)
        run_main(worker);
    coil_unref(worker->runner);
    coil__errors_forget_thread();
    if (goes)
        (void)coil__inbox_post_late(
            &worker->ended); /* a supervisor that was left joins us anyway */
    return NULL;
}

/* ---- the supervisor's side ---------------------------------------------------------------------- */

static void tell_all(struct coil__threads *all, size_t message)
{
    for (int i = 0; i < all->count; i++)
        (void)coil__inbox_post_late(
            (void *)((char *)&all->workers[i] + message)); /* closed: ended */
}

static void stop_all(struct coil__threads *all)
{
    if (all->stopping)
        return;
    all->stopping = true;
    tell_all(all, offsetof(struct worker, cancel));
}

static int on_cancel(void *arg)
{
    struct worker *worker = arg;
    coil__runner_cancel(worker->runner);
    return 0;
}

static int on_leave(void *arg)
{
    struct worker *worker = arg;
    coil__loop_leave(worker->loop, COIL_EINTERRUPT, NULL);
    return 0;
}

/* A main that was asked to end, and did, has not failed. */
static bool failed(const struct coil__threads *all, const struct worker *worker)
{
    return worker->code < 0 && !(all->stopping && worker->code == COIL_ECANCELED);
}

static int on_ended(void *arg)
{
    struct worker *worker = arg;
    struct coil__threads *all = worker->all;
    if (failed(all, worker)) {
        if (all->code == 0) {
            all->code = worker->code;
            all->error = coil_ref(worker->error);
        }
        stop_all(all);
    }
    if (--all->running == 0)
        (void)coil_event_set(&all->ended);
    return 0;
}

static void open_gate(struct coil__threads *all, enum gate gate)
{
    pthread_mutex_lock(&all->lock);
    all->gate = gate;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static int supervise(void *args, coil_value *coil_result)
{
    struct coil__threads *all = *(struct coil__threads **)args;
    (void)coil_result;
    all->supervisor = coil_get_running_loop();
    coil__loop_hold(all->supervisor);
    for (int i = 0; i < all->count; i++)
        all->workers[i].ended.loop = all->supervisor;
    all->running = all->count;
    open_gate(all, GATE_OPEN);

    int rc = coil_event_wait(&all->ended);
    if (rc == COIL_ECANCELED) {
        stop_all(all);
        int again = coil_event_wait(&all->ended);
        if (again < 0)
            return again; /* it was left; the caller tells the loops */
    }
    return all->code < 0 ? coil__fail_with(all->code, all->error) : rc;
}

static const coil_coro_type supervise_type = { "supervise", supervise, __FILE__, __LINE__, NULL };

/* ---- from beginning to end ---------------------------------------------------------------------- */

static struct coil__threads *make(int count, coil_main_factory main_of, void *arg,
                                  const coil_threads_options *options)
{
    static const coil_threads_options defaults = COIL_THREADS_OPTIONS_INIT;
    struct coil__threads *all = coil__alloc_zero(sizeof *all +
                                                 (size_t)count * sizeof all->workers[0]);
    if (!all)
        return coil__fail_null(COIL_ENOMEM);
    all->main_of = main_of;
    all->arg = arg;
    all->options = options ? *options : defaults;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    coil_event_init(&all->ended);
    for (int i = 0; i < count; i++) {
        struct worker *worker = &all->workers[i];
        worker->all = all;
        worker->index = i;
        worker->cancel = (struct coil__late){ .fn = on_cancel, .arg = worker };
        worker->leave = (struct coil__late){ .fn = on_leave, .arg = worker };
        worker->ended = (struct coil__late){ .fn = on_ended, .arg = worker };
    }
    return all;
}

/* Starts the threads, and waits until they have their loops. all->count: those that were started. */
static int start(struct coil__threads *all, int count)
{
    int rc = 0;
    for (; rc == 0 && all->count < count; all->count++) {
        struct worker *worker = &all->workers[all->count];
        rc = pthread_create(&worker->thread, NULL, work, worker);
        if (rc != 0)
            break;
    }
    pthread_mutex_lock(&all->lock);
    while (all->arrived < all->count)
        pthread_cond_wait(&all->changed, &all->lock);
    pthread_mutex_unlock(&all->lock);
    if (rc != 0)
        return coil__fail(-rc, "starting thread %d of %d", all->count + 1, count);
    for (int i = 0; i < count; i++)
        if (all->workers[i].code < 0)
            return coil__fail_with(all->workers[i].code, all->workers[i].error);
    return 0;
}

static int run(struct coil__threads *all)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.debug = 0;
    options.leave_sigint = all->options.leave_sigint;
    options.cancel_on_sigterm = !all->options.leave_sigterm;
    int rc = coil_run_with(coil_coro_new(&supervise_type, &all, sizeof all), NULL, &options);
    if (all->running > 0)
        tell_all(all, offsetof(struct worker, leave));
    return rc;
}

static void finish(struct coil__threads *all)
{
    if (all->gate == GATE_SHUT)
        open_gate(all, GATE_NEVER);
    for (int i = 0; i < all->count; i++)
        pthread_join(all->workers[i].thread, NULL);
    for (int i = 0; i < all->count; i++) {
        coil_unref(all->workers[i].error);
        if (all->workers[i].loop)
            coil__loop_let_go(all->workers[i].loop);
    }
    if (all->supervisor)
        coil__loop_let_go(all->supervisor);
    coil_unref(all->error);
    coil_event_fini(&all->ended);
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    coil__free(all);
}

int coil_run_threads(int count, coil_main_factory main_of, void *arg,
                     const coil_threads_options *options)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) {
        CPU_ZERO(&allowed); /* more processors than the set has room for: not to be told apart */
        CPU_SET(0, &allowed);
    }
    count = count == 0 ? CPU_COUNT(&allowed) : count;
    if (count < 0 || count > THREADS_MAX || !main_of)
        return coil__fail(COIL_EINVAL, "1 to %d loops, and what they run", THREADS_MAX);
    if (coil__loop_running_here())
        return coil__fail(COIL_ENESTED, "a loop is running in this thread");
    struct coil__threads *all = make(count, main_of, arg, options);
    if (!all)
        return COIL_ENOMEM;
    all->allowed = allowed;
    int rc = start(all, count);
    if (rc == 0)
        rc = run(all);
    finish(all);
    return rc;
}

int coil_main_threads(int count, coil_main_factory main_of, void *arg,
                      const coil_threads_options *options)
{
    return coil__run_status(coil_run_threads(count, main_of, arg, options));
}

size_t coil_run_threads_metrics(coil_metrics *metrics_out, size_t room)
{
    const coil_loop *loop = coil_get_running_loop();
    const struct coil__threads *all = loop ? loop->threads : NULL;
    if (!all)
        return 0;
    for (size_t i = 0; i < room && i < (size_t)all->count; i++) {
        metrics_out[i].size = sizeof metrics_out[i];
        (void)coil_loop_metrics(all->workers[i].loop,
                                &metrics_out[i]); /* there is one, and a size */
    }
    return (size_t)all->count;
}
