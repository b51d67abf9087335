/* Pools of threads, inside the library. The public half is in <coil/executor.h>. */
#ifndef COIL_IO_POOL_H
#define COIL_IO_POOL_H

#include "io/job.h"

/* What makes a pool more than one of threads. The struct lies in one that knows more. */
struct coil__pool_kind {
    int (*check)(const coil_job *job); /* 0, or why the pool does not take such a job */
    void (*thread_ends)(
        struct coil__pool_kind *self); /* in each thread, before it counts as ended */
    void (*destroy)(struct coil__pool_kind *self);
};

/* As coil_thread_pool_executor_new. The kind (NULL: of threads only) is the pool's if this succeeds. */
coil_executor *coil__pool_new(const coil_thread_pool_options *options,
                              struct coil__pool_kind *kind);

/* The kind of a pool: 0, or COIL_EFORKED. And of the pool that the calling thread works for; NULL: none. */
int coil__pool_kind_of(const coil_executor *pool, struct coil__pool_kind **kind_out);
struct coil__pool_kind *coil__pool_kind_here(void);

unsigned coil__processors(void);

/* Queues a job, which stays the caller's; the pool takes a reference of its own. 0, or a code. */
int coil__pool_take(coil_executor *pool, coil_job *job);

/* The same with a future of the loop for its result. The job is consumed. NULL: it failed. In executor.c. */
coil_future *coil__run_in_pool(coil_loop *loop, coil_executor *pool, coil_job *job);

/* A future that is done when a pool that was shut down has no thread any more: lent as long as the pool. */
coil_concurrent_future *coil__pool_ended(coil_executor *pool);

/* Shuts down, and waits for those threads only that have nothing to do: they end at once. */
void coil__pool_dismiss(coil_executor *pool, bool cancel_futures);

/* For jobs, pool or none: takes a cancelled one out of the queue, and drops its arguments. */
void coil__pool_job_cancelled(coil_concurrent_future *future);

/* A pool's memory outlives its last reference while threads and jobs hold it. */
void coil__pool_let_go_of_memory(coil_executor *pool);

#endif
