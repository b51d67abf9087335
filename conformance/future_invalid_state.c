/* A future completes once: every later completion is refused, and reading early is an error.
 *
 * Why: Completing twice is a race in the program; it must be seen where it happens. */
#include "kit/kit.h"

/* The calls that are tried: each puts out what the call returned in Python. */
typedef int (*future_call)(coil_future *future, int number, coil_value *value_out);

static int set_result(coil_future *future, int number, coil_value *value_out)
{
    *value_out = coil_nil();
    return coil_future_set_result(future, coil_v(number));
}

static int set_exception(coil_future *future, COIL_UNUSED int number, coil_value *value_out)
{
    *value_out = coil_nil();
    return coil_future_set_exception(future, boom("x"));
}

static int cancel(coil_future *future, COIL_UNUSED int number, coil_value *value_out)
{
    *value_out = coil_bool(coil_future_cancel(future, NULL));
    return 0;
}

static int result(coil_future *future, COIL_UNUSED int number, coil_value *value_out)
{
    return coil_future_result(future, value_out);
}

static int exception(coil_future *future, COIL_UNUSED int number, coil_value *value_out)
{
    int code;
    coil_error *error;
    COIL_TRY(coil_future_exception(future, &code, &error));
    *value_out = code < 0 ? kind_of(error) : coil_nil();
    return 0;
}

static void attempt(const char *label, future_call call, coil_future *future, int number)
{
    coil_value value;
    int rc = call(future, number, &value);
    if (rc < 0)
        say(label, "raised", kind(rc));
    else
        say(label, "->", value);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_future *fut = coil_create_future(loop);
    attempt("result of pending", result, fut, 0);
    attempt("exception of pending", exception, fut, 0);
    attempt("set_result", set_result, fut, 1);
    attempt("set_result again", set_result, fut, 2);
    attempt("set_exception after result", set_exception, fut, 0);
    attempt("cancel after result", cancel, fut, 0);
    attempt("result", result, fut, 0);
    attempt("exception", exception, fut, 0);

    coil_future *failed = coil_create_future(loop);
    COIL_TRY(coil_future_set_exception(failed, boom("bad")));
    attempt("result of failed", result, failed, 0);
    attempt("exception of failed", exception, failed, 0);

    coil_future *gone = coil_create_future(loop);
    attempt("cancel", cancel, gone, 0);
    attempt("cancel again", cancel, gone, 0);
    attempt("result of cancelled", result, gone, 0);
    attempt("exception of cancelled", exception, gone, 0);
    attempt("set_result of cancelled", set_result, gone, 3);

    coil_unref(gone);
    coil_unref(failed);
    coil_unref(fut);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
