/* Awaiting a pending future suspends; awaiting a finished one does not.
 *
 * The waiting task resumes one iteration after set_result, with the value or the error.
 *
 * Why: Whether an await suspends decides every interleaving. */
#include "kit/kit.h"

static int set_result_done(void *future)
{
    return coil_future_set_result(future, coil_v("done"));
}

static int set_exception_later(void *future)
{
    return coil_future_set_exception(future, boom("later"));
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_future *fut = coil_create_future(loop);
    coil_value got;
    COIL_TRY(coil_call_later(loop, 1, set_result_done, fut, NULL));
    COIL_TRY(coil_await(fut, &got));
    at("got", got);

    COIL_TRY(call_soon(loop, say, "this runs only once main suspends"));
    COIL_TRY(coil_await(fut, &got));
    at("again", got);
    COIL_TRY(coil_await(fut, &got));
    at("and again", got);

    coil_future *bad = coil_create_future(loop);
    COIL_TRY(coil_call_soon(loop, set_exception_later, bad, NULL));
    COIL_TRY(call_soon(loop, say, "same iteration as set_exception"));
    int rc = coil_await(bad, NULL);
    if (rc < 0)
        at("got", kind(rc));
    coil_unref(bad);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
