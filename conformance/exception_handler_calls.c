/* An error in a callback goes to the exception handler, and the loop goes on.
 *
 * The handler can be replaced and read back; without one the error goes to the log.
 *
 * Why: One failing callback must not stop the loop, and must not be silent. */
#include "kit/kit.h"

static int fails(void *arg)
{
    const char *text = arg;
    return boom(text);
}

static int fails_when_done(COIL_UNUSED coil_future *future, void *arg)
{
    return fails(arg);
}

static int say_when_done(COIL_UNUSED coil_future *future, void *arg)
{
    const char *text = arg;
    say(text);
    return 0;
}

static int handler(coil_loop *loop, const coil_report *report, COIL_UNUSED void *arg)
{
    const char *event = report->event == COIL_EVENT_CALLBACK_FAILED ? "CALLBACK_RAISED" : "other";
    say("handler", event, kind_of(report->error), "running", coil_loop_is_running(loop));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    say("handler set", coil_bool(coil_get_exception_handler(loop, NULL) != NULL));
    coil_set_exception_handler(loop, handler, NULL);
    say("handler set", coil_bool(coil_get_exception_handler(loop, NULL) == handler));
    COIL_TRY(coil_call_soon(loop, fails, text_arg("soon"), NULL));
    COIL_TRY(call_soon(loop, say, "next callback"));
    COIL_TRY(coil_call_later(loop, 1, fails, text_arg("timer"), NULL));
    coil_future *fut = coil_create_future(loop);
    COIL_TRY(
        coil_future_add_done_callback(fut, fails_when_done, text_arg("done callback 1"), NULL));
    COIL_TRY(coil_future_add_done_callback(fut, say_when_done, text_arg("done callback 2"), NULL));
    COIL_TRY(coil_future_set_result(fut, coil_nil()));
    COIL_TRY(coil_sleep(2));
    coil_set_exception_handler(loop, NULL, NULL);
    COIL_TRY(coil_call_soon(loop, fails, text_arg("default"), NULL));
    coil_unref(fut);
    return coil_sleep(0);
}

int main(void)
{
    print_log(); /* of loops that are made from here on */
    must(run(amain(), 0, NULL));
}
