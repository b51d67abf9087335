/* One iteration runs only the callbacks that were ready when it began.
 *
 * A callback scheduled by a callback waits for the next iteration, even with call_soon; so a
 * callback that reschedules itself for ever starves nobody.
 *
 * Why: Without it one busy callback chain could lock out timers and input for ever. */
#include "kit/kit.h"

static int grandparent(void *loop);

static int first(void *loop)
{
    say("first");
    COIL_TRY(call_soon(loop, say, "child of first"));
    return coil_call_soon(loop, grandparent, loop, NULL);
}

static int second(void *loop)
{
    say("second");
    return call_soon(loop, say, "child of second");
}

static int grandparent(void *loop)
{
    say("grandparent");
    COIL_TRY(call_soon(loop, say, "grandchild"));
    return coil_call_soon(loop, do_stop, loop, NULL);
}

struct ticker {
    coil_loop *loop;
    int n;
};

static int tick(void *arg)
{
    struct ticker *ticker = arg;
    say("tick", ticker->n);
    ticker->n++;
    return coil_call_soon(ticker->loop, tick, ticker, NULL);
}

int main(void)
{
    coil_loop *loop = new_loop(0);
    struct ticker ticker = { loop, 1 };
    must(coil_call_soon(loop, first, loop, NULL));
    must(coil_call_soon(loop, second, loop, NULL));
    must(coil_call_soon(loop, tick, &ticker, NULL));
    must(coil_run_forever(loop));
    end_loop(loop);
}
