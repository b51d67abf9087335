/* A main task that never suspends finishes before the task it created takes its first step.
 *
 * Three coroutines awaited one after another run inline in a single step. The created task then
 * gets one step, because that was queued before the loop was told to stop; its sleep never ends,
 * because the loop stops.
 *
 * Why: It is the simplest proof of what a step is, and of what await does not do. */
#include "kit/kit.h"

static coil_task *background;

COIL_ASYNC(job, (int, number))
{
    at("job", number, "begins: busy, not waiting");
    advance(0.5);
    at("job", number, "ends");
    coil_return(textf("job%d", number));
}

COIL_ASYNC(jobs, (int, count))
{
    struct items results = { 0 };
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        coil_value result;
        rc = coil_await(job(i), &result);
        if (rc == 0)
            append(&results, result);
    }
    coil_value all = as_list(&results);
    clear(&results);
    COIL_TRY(rc);
    coil_return(all);
}

COIL_ASYNC0(bell)
{
    at("bell: before its sleep");
    COIL_TRY(coil_sleep(2));
    at("bell: after its sleep");
    return 0;
}

COIL_ASYNC0(amain)
{
    at("main: creates the bell task");
    background = coil_create_task(bell());
    coil_value results;
    COIL_TRY(coil_await(jobs(3), &results));
    at("main: results", results);
    return 0;
}

static int ignore(COIL_UNUSED coil_loop *loop, COIL_UNUSED const coil_report *report,
                  COIL_UNUSED void *arg)
{
    return 0;
}

int main(void)
{
    coil_loop *loop = new_loop(TRACE);
    must(coil_run_until_complete(loop, amain(), NULL));
    say("loop stopped at", coil_loop_time(loop), "bell done:", coil_future_done(background));
    coil_set_exception_handler(loop, ignore, NULL); /* bell is dropped while pending */
    end_loop(loop);
    coil_unref(background);
}
