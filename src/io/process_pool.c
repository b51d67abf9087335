/* Process pools: a pool of threads, each of which looks after one worker process.
 *
 *     task --awaits--> future <--bridge--> job --queued in--> pool --> thread --line--> worker process
 *
 * So queueing, cancelling, shutting down and waiting are those of threads (pool.c). What is here is the job, which
 * sends its request from the thread that runs it and waits for the answer, and the worker's end, which comes
 * before the end of its thread. */
#include <coil/process_pool.h>

#include <sys/auxv.h>
#include "base/alloc.h"
#include "base/value.h"
#include "io/pack.h"
#include "io/pool.h"
#include "io/worker.h"
#include "io/worker_process.h"
#include "tasks/task.h"

struct process_pool {
    struct coil__pool_kind kind;
    unsigned max_jobs; /* of a worker; 0: no limit */
    struct coil__workers workers;
};

/* Of the thread that runs. */
static __thread struct coil__worker *own_worker;

/* ---- jobs ------------------------------------------------------------------------------------------ */

struct order {
    const coil_process_function *function;
    char *data; /* owned */
    size_t bytes;
    int refused; /* why it cannot be sent; 0 */
};

static void drop_order(void *args)
{
    struct order *order = args;
    coil__free(order->data);
}

static struct coil__worker *ready_worker(struct process_pool *pool)
{
    struct coil__worker *worker = own_worker;
    bool used_up = worker && pool->max_jobs > 0 && worker->jobs >= pool->max_jobs;
    if (worker && (used_up || coil__worker_is_lost(worker))) {
        coil__worker_end(worker);
        own_worker = NULL;
    }
    if (!own_worker)
        own_worker = coil__worker_start(&pool->workers);
    return own_worker;
}

static int send_order(struct process_pool *pool, const struct order *order, coil_value *value_out)
{
    struct coil__request request = { order->function->name, order->data, order->bytes };
    bool lost;
    struct coil__worker *worker = ready_worker(pool);
    if (!worker)
        return coil_error_last();
    int rc = coil__worker_ask(worker, &request, value_out, &lost);
    if (lost)
        own_worker = NULL;
    return rc;
}

static int run_order(void *args, coil_value *coil_result)
{
    struct order *order = args;
    struct coil__pool_kind *kind = coil__pool_kind_here();
    int rc;
    if (!kind)
        rc = coil__fail(COIL_ETYPE, "%s is a job for a pool of processes, not of threads",
                        order->function->name);
    else if (order->refused < 0)
        rc = coil__fail(order->refused, "an argument of %s cannot be sent to a process",
                        order->function->name);
    else
        rc = send_order(COIL__CONTAINER(kind, struct process_pool, kind), order, coil_result);
    drop_order(args);
    return rc;
}

static const coil_job_type order_type = { "process job", run_order, __FILE__, __LINE__,
                                          drop_order };

coil_job *coil_process_job_new(const coil_process_function *function, const coil_value *args)
{
    struct coil__packer packer = { NULL, 0, 0, 0 };
    coil__pack_text(&packer, function->name);
    coil__pack_text(&packer, function->file);
    coil__pack_integer(&packer, function->line);
    for (size_t i = 0; i < function->arg_count; i++)
        coil__pack_value(&packer, args[i]);
    struct order order = { function, packer.data, packer.length, packer.code };
    coil_job *job = packer.code == COIL_ENOMEM ? coil__fail_null(COIL_ENOMEM)
                                               : coil_job_new(&order_type, &order, sizeof order);
    if (!job)
        coil__free(packer.data);
    return job;
}

int coil_run_in_process_pool(coil_executor *pool, coil_job *job, coil_value *value_out)
{
    if (!job)
        return coil__fail_plain(COIL_ENOMEM);
    if (!coil__thread.task) {
        coil_unref(job);
        return coil__fail(COIL_ENOTASK, "run_in_process_pool outside a task");
    }
    coil_future *future = coil_run_in_executor(NULL, pool, job);
    if (!future)
        return coil_error_last();
    int rc = coil_await(future, NULL);
    if (rc == 0 && value_out)
        rc = coil_future_take_result(future, value_out);
    coil_unref(future);
    return rc;
}

/* ---- pools ----------------------------------------------------------------------------------------- */

static int check_job(const coil_job *job)
{
    return job->type == &order_type
               ? 0
               : coil__fail(COIL_ETYPE,
                            "%s is a job for threads: COIL_PROCESS_JOB makes those for a "
                            "pool of processes",
                            job->type->name);
}

static void thread_ends(struct coil__pool_kind *kind)
{
    (void)kind;
    if (own_worker)
        coil__worker_end(own_worker);
    own_worker = NULL;
}

static void pool_kind_destroy(struct coil__pool_kind *kind)
{
    struct process_pool *pool = COIL__CONTAINER(kind, struct process_pool, kind);
    pthread_mutex_destroy(&pool->workers.lock);
    coil__free(pool);
}

coil_executor *coil_process_pool_executor_new(const coil_process_pool_options *options)
{
    static const coil_process_pool_options defaults = COIL_PROCESS_POOL_OPTIONS_INIT;
    options = options ? options : &defaults;
    if (!coil__process_pool_main_called) {
        coil__fail(COIL_ERUNTIME, "main must begin with coil_process_pool_main(): a worker is this "
                                  "program, started anew");
        return NULL;
    }
    if (getauxval(AT_SECURE)) {
        coil__fail(COIL_ENOTSUP, "no worker processes for a program with raised privileges");
        return NULL;
    }
    struct process_pool *pool = coil__alloc_zero(sizeof *pool);
    if (!pool)
        return coil__fail_null(COIL_ENOMEM);
    pool->kind = (struct coil__pool_kind){ check_job, thread_ends, pool_kind_destroy };
    pool->max_jobs = options->max_jobs_per_worker;
    pthread_mutex_init(&pool->workers.lock, NULL); /* with default attributes it cannot fail */
    coil__list_init(&pool->workers.list);
    coil_thread_pool_options threads = COIL_THREAD_POOL_OPTIONS_INIT;
    threads.max_workers = options->max_workers ? options->max_workers : coil__processors();
    threads.max_queued = options->max_queued;
    threads.thread_name_prefix = "coil_process";
    coil_executor *executor = coil__pool_new(&threads, &pool->kind);
    if (!executor)
        pool_kind_destroy(&pool->kind);
    return executor;
}

int coil_process_pool_kill_workers(coil_executor *executor)
{
    struct coil__pool_kind *kind;
    int rc = coil__pool_kind_of(executor, &kind);
    if (rc < 0)
        return rc;
    if (!kind)
        return coil__fail(COIL_ETYPE, "a pool of threads has no worker processes");
    (void)coil_executor_shutdown(executor, 0, true); /* without waiting it does not fail */
    coil__workers_kill(&COIL__CONTAINER(kind, struct process_pool, kind)->workers);
    return 0;
}
