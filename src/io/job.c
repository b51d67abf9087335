#include "io/job.h"

#include <string.h>
#include "base/cache.h"
#include "io/pool.h"
#include "loop/context.h"

/* ---- life --------------------------------------------------------------------------------------- */

void coil__job_drop_args(coil_job *job)
{
    if (!job->args_left)
        return;
    job->args_left = false;
    if (job->type->drop)
        job->type->drop(job->args);
}

static void job_destroy(void *object)
{
    coil_job *job = object;
    coil__job_drop_args(job);
    coil_unref(job->context);
    if (job->pool)
        coil__pool_let_go_of_memory(job->pool);
    coil__concurrent_fini(&job->future);
    coil__block_give(job, sizeof *job + job->bytes);
}

static const struct coil__type job_type = { COIL__KIND_CONCURRENT, "job", job_destroy };

coil_job *coil_job_new(const coil_job_type *type, const void *args, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return coil__fail_null(COIL_ENOMEM);
    coil_job *job = coil__block_take(sizeof *job + bytes);
    if (!job)
        return coil__fail_null(COIL_ENOMEM);
    coil__concurrent_init(&job->future, &job_type);
    job->future.on_cancel = coil__pool_job_cancelled;
    job->type = type;
    job->context = NULL;
    job->args_left = true;
    job->pool = NULL;
    job->bytes = bytes;
    job->link = (struct coil__link){ NULL, NULL };
    if (bytes > 0)
        memcpy(job->args, args, bytes);
    return job;
}

int coil_job_set_context(coil_job *job, coil_context *context)
{
    coil_context *copy = NULL;
    int rc = context ? coil__context_copy_of(context, &copy) : coil__context_inherit(&copy);
    if (rc < 0)
        return rc;
    coil_unref(job->context);
    job->context = copy;
    return 0;
}

/* ---- a function and a pointer ------------------------------------------------------------------- */

struct call {
    int (*fn)(void *arg, coil_value *result_out);
    void *arg;
    void (*release)(void *arg);
};

static void release_call(void *args)
{
    struct call *call = args;
    if (call->release)
        call->release(call->arg);
}

static int run_call(void *args, coil_value *coil_result)
{
    struct call *call = args;
    int rc = call->fn(call->arg, coil_result);
    release_call(args);
    return rc;
}

coil_job *coil_job_call(int (*fn)(void *arg, coil_value *result_out), void *arg,
                        void (*release)(void *arg))
{
    static const coil_job_type type = { "call", run_call, __FILE__, __LINE__, release_call };
    struct call call = { fn, arg, release };
    coil_job *job = coil_job_new(&type, &call, sizeof call);
    if (!job)
        release_call(&call);
    return job;
}

/* ---- running ------------------------------------------------------------------------------------ */

/* Calls the function in the job's context: 0 and a value, or a code. */
static int call_entry(coil_job *job, coil_value *value)
{
    coil__thread.context = job->context;
    job->context = NULL;
    job->args_left = false;
    if (coil__thread.context)
        coil__thread_owns();
    int rc = job->type->entry(job->args, value);
    coil_unref(coil__thread.context);
    coil__thread.context = NULL;

    if (rc > 0 && value->kind == COIL_NIL)
        *value = coil_int(rc); /* `return n;` of a count, as in a coroutine */
    if (rc < 0)
        coil_value_clear(value);
    if (rc == COIL_EEND) /* which nothing but an iterator may end with */
        rc = coil__fail(COIL_ERUNTIME, "the job %s ended with COIL_EEND", job->type->name);
    return rc < 0 ? rc : 0;
}

void coil__job_run(coil_job *job, struct coil__outcome *outcome)
{
    outcome->value = coil_nil();
    outcome->code = call_entry(job, &outcome->value);
    coil_error *error = NULL;
    if (outcome->code < 0)
        error = coil__errors_take(&coil__thread.errors, outcome->code);
    coil__errors_forget_thread(); /* no other record may share what moves to another thread */
    outcome->error = coil__error_detach(error);
}
