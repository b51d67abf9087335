/* An error nobody looked at is reported when the task or future is released; reading it, or
 * cancelling, prevents that.
 *
 * Why: A failed background task that says nothing is the hardest failure to find. */
#include "kit/kit.h"

typedef void (*task_look)(coil_task *task);

static void look_not(COIL_UNUSED coil_task *task)
{
}

static void look_at_exception(coil_task *task)
{
    int code;
    must(coil_future_exception(task, &code, NULL));
}

static void look_if_done(coil_task *task)
{
    (void)coil_future_done(task);
}

static void look_by_cancelling(coil_task *task)
{
    coil_task_cancel(task, NULL);
}

COIL_ASYNC(fails, (const char *, text))
{
    return boom(text);
}

COIL_ASYNC(scene, (const char *, label), (task_look, look))
{
    say(label);
    coil_task *task = create_task(fails(label), .name = label);
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    look(task);
    coil_unref(task);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    coil_set_exception_handler(loop, print_event, NULL);
    COIL_TRY(coil_await(scene("not looked at", look_not), NULL));
    COIL_TRY(coil_await(scene("exception() called", look_at_exception), NULL));
    COIL_TRY(coil_await(scene("only done() asked", look_if_done), NULL));
    COIL_TRY(coil_await(scene("cancel() called when done", look_by_cancelling), NULL));
    coil_future *fut = coil_create_future(loop);
    COIL_TRY(coil_future_set_exception(fut, boom("future")));
    coil_unref(fut);
    say("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
