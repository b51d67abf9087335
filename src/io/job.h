/* Jobs, inside the library: a concurrent future with the function that completes it. */
#ifndef COIL_IO_JOB_H
#define COIL_IO_JOB_H

#include "base/list.h"
#include "io/concurrent.h"

struct coil_job {
    coil_concurrent_future future;
    const coil_job_type *type;
    coil_context *context;  /* owned; NULL: empty */
    bool args_left;         /* neither run nor dropped */
    coil_executor *pool;    /* that has taken it; its memory is held */
    struct coil__link link; /* in the pool's queue, guarded by the pool's lock */
    size_t bytes;           /* of args */
    _Alignas(16) char args[];
};

static inline coil_job *coil__as_job(coil_concurrent_future *future)
{
    return (coil_job *)(void *)future;
}

/* What a job came to: 0 and a value, or a code and a record that nobody else refers to (NULL: none). */
struct coil__outcome {
    int code;
    coil_error *error;
    coil_value value;
};

/* Runs a job that has begun, in this thread. */
void coil__job_run(coil_job *job, struct coil__outcome *outcome);

/* The arguments of one that never will run. */
void coil__job_drop_args(coil_job *job);

#endif
