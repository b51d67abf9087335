/* A task's done callbacks and its waiting tasks share one queue, in the order they were added.
 *
 * A callback added first runs before the awaiting task resumes.
 *
 * Why: Bookkeeping callbacks must run before, or after, the waiters as they were added. */
#include "kit/kit.h"

COIL_ASYNC0(work)
{
    COIL_TRY(coil_sleep(1));
    say("work returns");
    coil_return(3);
}

COIL_ASYNC(waiter, (coil_task *, task))
{
    coil_value value;
    COIL_TRY(coil_await(task, &value));
    say("waiter got", value);
    return 0;
}

static int say_outcome(coil_future *future, void *arg)
{
    const char *label = arg;
    say(label, outcome(future));
    return 0;
}

static int say_label(COIL_UNUSED coil_future *future, void *arg)
{
    const char *label = arg;
    say(label);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(work());
    COIL_TRY(coil_future_add_done_callback(task, say_outcome, text_arg("callback 1"), NULL));
    coil_task *other = coil_create_task(waiter(task));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_future_add_done_callback(task, say_outcome, text_arg("callback 2"), NULL));
    coil_value value;
    COIL_TRY(coil_await(task, &value));
    say("main got", value);
    COIL_TRY(
        coil_future_add_done_callback(task, say_label, text_arg("callback 3, added late"), NULL));
    COIL_TRY(join(other, NULL));
    coil_unref(task);
    return coil_sleep(0);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
