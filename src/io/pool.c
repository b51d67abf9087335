/* A pool of threads with one queue.
 *
 * A thread that finds the queue empty counts itself idle and sleeps. Whoever queues a job claims an idle
 * thread and wakes it or, if none is idle, starts another. Only one is on its way at a time: when it comes and
 * finds that it leaves more jobs in the queue, it wakes or starts the next. So a burst of short jobs is done by few
 * threads, and the loop that queued it wakes but one. A thread that was claimed may find that a busy one was
 * faster; then it sleeps again.
 *
 * Giving a pool's last reference back shuts it down and waits for nobody. Its threads finish what is queued;
 * they, and the jobs, hold its memory. */
#include "io/pool.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/thread.h"

enum {
    WORKERS_MORE = 4, /* than processors, by default: jobs wait more than they compute */
    WORKERS_MAX = 32, /* by default */
    NAME_BYTES = 16,  /* of a thread, as the system limits them */
};

struct worker {
    pthread_t thread;
    coil_executor *pool; /* its memory is held */
    struct worker *next; /* in pool->ended_workers */
    bool idle, busy;     /* counted as such in the pool; its own */
    char name[NAME_BYTES];
};

struct coil_executor {
    struct coil__shared shared;
    atomic_uint holds; /* of the memory: the references' together, each worker's, each job's */
    unsigned forks;    /* when it was made: a child of fork has none of its threads */
    unsigned max_workers;
    size_t max_queued;
    char prefix[NAME_BYTES];
    struct coil__pool_kind *kind;  /* owned; NULL: threads, and nothing else */
    coil_concurrent_future *ended; /* one reference: done when it is shut down and has no thread */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* an idle thread was claimed, or all are to end */
    pthread_cond_t fewer; /* after shutdown: a thread has ended, or has got a job */
    struct coil__link queue;
    atomic_size_t queued; /* read without the lock, as a hint */
    unsigned
        workers; /* that have not ended; each is starting, busy, idle, claimed or about to end */
    unsigned starting; /* have not looked at the queue yet */
    unsigned busy;
    unsigned idle;
    unsigned claims;  /* idle ones that somebody has woken, and that have not noticed */
    unsigned started; /* ever: numbers their names */
    bool shut;
    bool forsaken;                /* no reference is left: nobody joins them */
    struct worker *ended_workers; /* to be joined */
};

/* The pool that this thread belongs to. */
static __thread coil_executor *works_for;

/* ---- forks -------------------------------------------------------------------------------------- */

static atomic_uint forks;

static void note_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
    /* Without memory for this a child would hang where it should fail. */
    (void)pthread_atfork(NULL, NULL, note_fork);
}

static bool is_ours(const coil_executor *pool)
{
    return pool->forks == atomic_load_explicit(&forks, memory_order_relaxed);
}

/* ---- the queue ---------------------------------------------------------------------------------- */

/* With the lock. */
static void enqueue(coil_executor *pool, coil_job *job)
{
    coil__list_append(&pool->queue, &job->link);
    atomic_fetch_add_explicit(&pool->queued, 1, memory_order_relaxed);
}

/* With the lock. */
static void dequeue(coil_executor *pool, coil_job *job)
{
    coil__list_remove(&job->link);
    atomic_fetch_sub_explicit(&pool->queued, 1, memory_order_relaxed);
}

/* ---- threads ------------------------------------------------------------------------------------ */

static void *worker_main(void *arg);

/* "prefix_7", with as much of the prefix as there is room for. */
static void name_worker(struct worker *worker)
{
    char number[NAME_BYTES];
    int digits = snprintf(number, sizeof number, "_%u", worker->pool->started);
    int room = NAME_BYTES - 1 - digits;
    int length = snprintf(worker->name, (size_t)room + 1, "%s", worker->pool->prefix);
    memcpy(worker->name + (length < room ? length : room), number, (size_t)digits + 1);
}

/* With the lock. 0, or why no thread could be started. */
static int start_worker(coil_executor *pool)
{
    struct worker *worker = coil__alloc(sizeof *worker);
    if (!worker)
        return COIL_ENOMEM;
    worker->pool = pool;
    worker->idle = worker->busy = false;
    name_worker(worker);
    sigset_t all, old; /* signals are for the program's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0) {
        coil__free(worker);
        return -error;
    }
    atomic_fetch_add(&pool->holds, 1);
    pool->workers++;
    pool->starting++;
    pool->started++;
    return 0;
}

/* With the lock: wakes an idle thread, unless one is on its way already. */
static void claim_idle(coil_executor *pool)
{
    if (pool->claims > 0)
        return;
    pool->idle--;
    pool->claims++;
    pthread_cond_signal(&pool->work);
}

/* With the lock, from a thread that has taken a job: if more are left, one more thread is to come. */
static void call_the_next(coil_executor *pool)
{
    if (coil__list_empty(&pool->queue) || pool->claims > 0 || pool->starting > 0)
        return;
    if (pool->idle > 0)
        claim_idle(pool);
    else if (pool->workers < pool->max_workers)
        (void)start_worker(pool); /* without it, a thread that is busy now will come to it */
}

/* With the lock: sleeps until somebody claims this thread, or all are to end. */
static void sleep_idle(coil_executor *pool, struct worker *worker)
{
    if (!worker->idle)
        pool->idle++;
    while (pool->claims == 0 && !pool->shut)
        pthread_cond_wait(&pool->work, &pool->lock);
    if (pool->claims > 0)
        pool->claims--; /* whoever claimed it has taken it off `idle` */
    else
        pool->idle--;
    worker->idle = false;
}

/* With the lock. NULL: the thread is to end. */
static coil_job *next_job(coil_executor *pool, struct worker *worker)
{
    while (coil__list_empty(&pool->queue) || worker->idle) {
        if (pool->shut && !worker->idle)
            return NULL;
        sleep_idle(pool, worker);
    }
    coil_job *job = COIL__CONTAINER(pool->queue.next, coil_job, link);
    dequeue(pool, job);
    worker->busy = true;
    pool->busy++;
    if (pool->shut)
        pthread_cond_broadcast(&pool->fewer);
    call_the_next(pool);
    return job;
}

/* With the lock. */
static void count_off_busy(coil_executor *pool, struct worker *worker)
{
    pool->busy -= worker->busy;
    worker->busy = false;
}

/* A thread without more to do counts itself idle before it tells anybody of its result: who gets that and
 * brings the next job finds this thread, and does not start another. */
static void become_idle(coil_executor *pool, struct worker *worker)
{
    if (atomic_load_explicit(&pool->queued, memory_order_relaxed) > 0)
        return;
    pthread_mutex_lock(&pool->lock);
    count_off_busy(pool, worker);
    worker->idle = coil__list_empty(&pool->queue);
    pool->idle += worker->idle;
    pthread_mutex_unlock(&pool->lock);
}

static void run_job(coil_executor *pool, struct worker *worker, coil_job *job)
{
    struct coil__outcome outcome;
    bool begun = coil__concurrent_begin(&job->future);
    if (begun) {
        coil__job_run(job, &outcome);
        become_idle(pool, worker);
        (void)coil__concurrent_finish(&job->future, outcome.code, outcome.error, outcome.value);
    }
    coil__shared_unref(&job->future.shared); /* the queue's reference */
}

/* With the lock, but for the time in which the thread clears up: the last thing that it does with its pool. */
static void end_worker(coil_executor *pool, struct worker *worker)
{
    if (pool->kind) {
        pthread_mutex_unlock(&pool->lock);
        pool->kind->thread_ends(pool->kind);
        pthread_mutex_lock(&pool->lock);
    }
    pool->workers--;
    bool last = pool->workers == 0;
    if (pool->forsaken) {
        pthread_detach(worker->thread);
        coil__free(worker);
    } else {
        worker->next = pool->ended_workers;
        pool->ended_workers = worker;
    }
    pthread_cond_broadcast(&pool->fewer);
    pthread_mutex_unlock(&pool->lock);
    if (last)
        (void)coil__concurrent_finish(pool->ended, 0, NULL, coil_nil());
    coil__pool_let_go_of_memory(pool);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    coil_executor *pool = worker->pool;
    works_for = pool;
    (void)pthread_setname_np(pthread_self(), worker->name);
    pthread_mutex_lock(&pool->lock);
    pool->starting--;
    for (coil_job *job; (job = next_job(pool, worker));) {
        pthread_mutex_unlock(&pool->lock);
        run_job(pool, worker, job);
        pthread_mutex_lock(&pool->lock);
        count_off_busy(pool, worker);
    }
    end_worker(pool, worker);
    return NULL;
}

/* ---- taking jobs -------------------------------------------------------------------------------- */

/* In the thread that has cancelled the job, which had not begun. */
void coil__pool_job_cancelled(coil_concurrent_future *future)
{
    coil_job *job = coil__as_job(future);
    coil_executor *pool = job->pool;
    bool queued = false;
    if (pool) {
        pthread_mutex_lock(&pool->lock);
        queued = coil__list_linked(&job->link);
        if (queued)
            dequeue(pool, job);
        pthread_mutex_unlock(&pool->lock);
    }
    coil__job_drop_args(job);
    if (queued)
        coil__shared_unref(&future->shared);
}

/* With the lock: finds a thread for one more job. */
static int find_worker(coil_executor *pool)
{
    if (pool->shut)
        return COIL_ERUNTIME;
    if (pool->idle > 0) {
        claim_idle(pool);
        return 0;
    }
    if (pool->workers < pool->max_workers) {
        int rc = start_worker(pool);
        return rc < 0 && pool->workers > 0 ? 0 : rc; /* those that there are will come to it */
    }
    size_t coming = (size_t)pool->claims + pool->starting;
    size_t queued = atomic_load_explicit(&pool->queued, memory_order_relaxed);
    size_t waiting = queued > coming ? queued - coming : 0;
    return pool->max_queued > 0 && waiting >= pool->max_queued ? COIL_EFULL : 0;
}

static int refuse_job(const coil_executor *pool, int rc)
{
    switch (rc) {
    case COIL_ERUNTIME:
        return coil__fail(rc, "the executor was shut down");
    case COIL_EFULL:
        return coil__fail(rc, "%zu jobs wait for a thread", pool->max_queued);
    case COIL_ENOMEM:
        return coil__fail_plain(rc);
    default:
        return coil__fail(rc, "starting a thread");
    }
}

int coil__pool_take(coil_executor *pool, coil_job *job)
{
    if (job->pool)
        return coil__fail(COIL_EINVAL, "the job was submitted before");
    if (!is_ours(pool))
        return coil__fail(COIL_EFORKED, "the executor belongs to the parent process");
    int rc = pool->kind ? pool->kind->check(job) : 0;
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&pool->lock);
    rc = find_worker(pool);
    if (rc == 0) {
        atomic_fetch_add_explicit(&pool->holds, 1, memory_order_relaxed);
        job->pool = pool;
        coil__shared_ref(&job->future.shared);
        enqueue(pool, job);
    }
    pthread_mutex_unlock(&pool->lock);
    return rc < 0 ? refuse_job(pool, rc) : 0;
}

coil_concurrent_future *coil_executor_submit(coil_executor *executor, coil_job *job)
{
    if (!job)
        return coil__fail_null(COIL_ENOMEM);
    if (coil__pool_take(executor, job) == 0)
        return &job->future;
    coil_unref(job);
    return NULL;
}

/* ---- ending ------------------------------------------------------------------------------------- */

static void join_ended(struct worker *worker)
{
    while (worker) {
        struct worker *next = worker->next;
        pthread_join(worker->thread, NULL); /* it has nothing left to do */
        coil__free(worker);
        worker = next;
    }
}

/* With the lock; gives it back. */
static void join_ended_and_unlock(coil_executor *pool)
{
    struct worker *ended = pool->ended_workers;
    pool->ended_workers = NULL;
    pthread_mutex_unlock(&pool->lock);
    join_ended(ended);
}

static void cancel_queued(coil_executor *pool)
{
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        coil_job *job = NULL;
        if (!coil__list_empty(&pool->queue)) {
            job = COIL__CONTAINER(pool->queue.next, coil_job, link);
            dequeue(pool, job);
        }
        pthread_mutex_unlock(&pool->lock);
        if (!job)
            return;
        (void)coil_concurrent_future_cancel(&job->future);
        coil__shared_unref(&job->future.shared);
    }
}

static void shut(coil_executor *pool, bool cancel_futures)
{
    pthread_mutex_lock(&pool->lock);
    bool ended = !pool->shut && pool->workers == 0;
    pool->shut = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    if (ended)
        (void)coil__concurrent_finish(pool->ended, 0, NULL, coil_nil());
    if (cancel_futures)
        cancel_queued(pool);
}

int coil_executor_shutdown(coil_executor *executor, double timeout, bool cancel_futures)
{
    if (isnan(timeout))
        return coil__fail(COIL_EINVAL, "the timeout is not a number");
    if (!is_ours(executor))
        return 0; /* its threads are in another process */
    shut(executor, cancel_futures);
    if (timeout <= 0)
        return 0;
    if (works_for == executor)
        return coil__fail(COIL_ERUNTIME, "a thread of the executor cannot wait for it");

    struct timespec until = coil__time_after(timeout);
    bool in_time = true;
    pthread_mutex_lock(&executor->lock);
    while (executor->workers > 0 && in_time)
        in_time = coil__cond_wait(&executor->fewer, &executor->lock, timeout, &until);
    unsigned left = executor->workers;
    join_ended_and_unlock(executor);
    return left == 0 ? 0
                     : coil__fail(COIL_ETIMEDOUT, "%u threads of the executor are at work", left);
}

void coil__pool_dismiss(coil_executor *pool, bool cancel_futures)
{
    if (!is_ours(pool))
        return;
    shut(pool, cancel_futures);
    pthread_mutex_lock(&pool->lock);
    while (pool->workers > pool->busy)
        pthread_cond_wait(&pool->fewer, &pool->lock);
    join_ended_and_unlock(pool);
}

coil_concurrent_future *coil__pool_ended(coil_executor *pool)
{
    return pool->ended;
}

/* ---- life --------------------------------------------------------------------------------------- */

void coil__pool_let_go_of_memory(coil_executor *pool)
{
    if (atomic_fetch_sub_explicit(&pool->holds, 1, memory_order_acq_rel) > 1)
        return;
    coil_unref(pool->ended);
    if (pool->kind)
        pool->kind->destroy(pool->kind);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->fewer);
    pthread_mutex_destroy(&pool->lock);
    coil__free(pool);
}

static void pool_destroy(void *object)
{
    coil_executor *pool = object;
    if (!is_ours(pool))
        return; /* somebody in the parent may have held the lock: the memory stays */
    shut(pool, false);
    pthread_mutex_lock(&pool->lock);
    pool->forsaken = true;
    join_ended_and_unlock(pool);
    coil__pool_let_go_of_memory(pool);
}

static const struct coil__type pool_type = { COIL__KIND_EXECUTOR, "thread pool", pool_destroy };

unsigned coil__processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static unsigned default_workers(void)
{
    unsigned workers = coil__processors() + WORKERS_MORE;
    return workers < WORKERS_MAX ? workers : WORKERS_MAX;
}

coil_executor *coil_thread_pool_executor_new(const coil_thread_pool_options *options)
{
    return coil__pool_new(options, NULL);
}

int coil__pool_kind_of(const coil_executor *pool, struct coil__pool_kind **kind_out)
{
    if (!is_ours(pool))
        return coil__fail(COIL_EFORKED, "the executor belongs to the parent process");
    *kind_out = pool->kind;
    return 0;
}

struct coil__pool_kind *coil__pool_kind_here(void)
{
    return works_for ? works_for->kind : NULL;
}

coil_executor *coil__pool_new(const coil_thread_pool_options *options, struct coil__pool_kind *kind)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const coil_thread_pool_options defaults = COIL_THREAD_POOL_OPTIONS_INIT;
    (void)pthread_once(&once, watch_forks);
    options = options ? options : &defaults;
    coil_executor *pool = coil__alloc_zero(sizeof *pool);
    coil_concurrent_future *ended = pool ? coil_concurrent_future_new() : NULL;
    if (!ended) {
        coil__free(pool);
        return coil__fail_null(COIL_ENOMEM);
    }
    coil__shared_init(&pool->shared, &pool_type);
    atomic_init(&pool->holds, 1);
    pool->ended = ended;
    pool->kind = kind;
    pool->forks = atomic_load(&forks);
    pool->max_workers = options->max_workers ? options->max_workers : default_workers();
    pool->max_queued = options->max_queued;
    const char *prefix = options->thread_name_prefix ? options->thread_name_prefix : "coil";
    snprintf(pool->prefix, sizeof pool->prefix, "%s", prefix);
    pthread_mutex_init(&pool->lock, NULL);
    coil__cond_init(&pool->work);
    coil__cond_init(&pool->fewer);
    coil__list_init(&pool->queue);
    return pool;
}
