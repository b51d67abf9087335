/* What a shield shows when its inner task fails, is cancelled, or was done beforehand.
 *
 * Cancelling the inner task does reach the caller. A shield of something done is that very thing: it
 * cannot be cancelled any more and does not suspend.
 *
 * Why: The shield works in one direction only; the other must stay transparent. */
#include "kit/kit.h"

COIL_ASYNC(work, (double, delay), (const char *, error))
{
    COIL_TRY(coil_sleep(delay));
    if (error)
        return boom(error);
    coil_return("value");
}

/* Awaits a shield, and gives the reference to it back. */
static int attempt(const char *label, coil_future *shield)
{
    coil_value value;
    int rc = coil_await(shield, &value);
    if (rc == 0)
        at(label, value);
    else if (rc == COIL_EAPP || rc == COIL_ECANCELED)
        at(label, kind(rc));
    else
        return rc;
    coil_unref(shield);
    return 0;
}

static int cancel_inner(void *task)
{
    coil_task_cancel(task, "inner");
    return 0;
}

COIL_ASYNC0(amain)
{
    COIL_TRY(attempt("fails:", coil_shield_future(work(1, "inner"))));
    coil_task *inner = coil_create_task(work(9, NULL));
    COIL_TRY(coil_call_later(NULL, 1, cancel_inner, inner, NULL));
    COIL_TRY(attempt("inner cancelled:", coil_shield_future(inner)));
    coil_unref(inner);

    inner = coil_create_task(work(1, NULL));
    COIL_TRY(coil_await(inner, NULL));
    coil_future *shield = coil_shield_future(inner);
    at("same object:", coil_bool(shield == inner));
    COIL_TRY(call_soon(NULL, at, "queued"));
    COIL_TRY(attempt("done:", shield));
    coil_unref(inner);

    inner = coil_create_task(work(1, NULL));
    coil_future *outer = coil_shield_future(inner);
    coil_unref(inner);
    coil_future_cancel(outer, "outer only");
    COIL_TRY(attempt("outer cancelled:", outer));
    COIL_TRY(coil_sleep(2));
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
