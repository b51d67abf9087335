/* Three requests, each gathering a database call and an HTTP call, all overlapping.
 *
 * Requests arrive 0.05 s apart; the calls take 3 s and a little more. The indentation is a
 * context variable: each spawned task gets a copy of its parent's context, one level deeper, and
 * the reply callback runs in the context in which it was added. No request waits for another, and
 * a request resumes only after both of its calls.
 *
 * Why: It is the picture of cooperative concurrency: every step, in order, with its time. */
#include "kit/kit.h"

static int deepen(COIL_UNUSED void *arg)
{
    coil_value level;
    COIL_TRY(coil_context_var_get(depth, &level));
    return coil_context_var_set(depth, coil_v(level.integer + 1), NULL);
}

static coil_task *spawn(coil_coro *coro)
{
    coil_context *context = coil_context_copy();
    must(context ? coil_context_run(context, deepen, NULL) : COIL_ENOMEM);
    coil_task *task = create_task(coro, .context = context);
    coil_unref(context);
    return task;
}

COIL_ASYNC(call, (int, request), (const char *, what), (double, seconds))
{
    at(textf("request %d: %s starts", request, what));
    COIL_TRY(coil_sleep(seconds));
    at(textf("request %d: %s ends", request, what));
    coil_return(what);
}

COIL_ASYNC(handle, (int, request))
{
    at(textf("request %d: enters", request));
    coil_task *db = spawn(call(request, "db", 3));
    coil_task *http = spawn(call(request, "http", 3.01));
    at(textf("request %d: gathers", request));
    coil_value parts[2];
    int rc = coil_gather(parts, db, http);
    coil_unref(http);
    coil_unref(db);
    COIL_TRY(rc);
    at(textf("request %d: complete", request));
    coil_return(list_of(parts, 2));
}

static int reply(coil_future *task, COIL_UNUSED void *arg)
{
    coil_value parts;
    COIL_TRY(coil_future_result(task, &parts));
    at("reply:", parts);
    return 0;
}

COIL_ASYNC0(accept_requests)
{
    for (int request = 1; request <= 3; request++) {
        at(textf("accept: spawns request %d", request));
        coil_task *task = spawn(handle(request));
        COIL_TRY(coil_future_add_done_callback(task, reply, NULL, NULL));
        coil_unref(task);
        COIL_TRY(coil_sleep(0.05));
    }
    at("accept: done");
    return 0;
}

int main(void)
{
    coil_loop *loop = new_loop(TRACE);
    coil_unref(coil_create_task_with(loop, accept_requests(), NULL));
    must(coil_call_later(loop, 6, do_stop, loop, NULL));
    must(coil_run_forever(loop));
    end_loop(loop);
}
