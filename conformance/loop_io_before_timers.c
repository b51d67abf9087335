/* The order inside one iteration: what was ready already, then descriptors that are ready, then
 * timers that are due.
 *
 * Why: Data that arrived together with a timeout is handled before the timeout. */
#include <sys/socket.h>
#include <unistd.h>
#include "kit/kit.h"

static int left, right;

static int readable(COIL_UNUSED void *arg)
{
    char byte;
    if (recv(left, &byte, 1, 0) < 0)
        return coil_raise(-errno, "recv");
    at("descriptor, got", bytes(&byte, 1));
    COIL_TRY(coil_remove_reader(NULL, left));
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return coil_raise(-errno, "socketpair");
    left = pair[0];
    right = pair[1];
    if (send(right, "x", 1, 0) < 0)
        return coil_raise(-errno, "send");

    COIL_TRY(call_later(loop, 0.5, at, "timer"));
    COIL_TRY(coil_add_reader(loop, left, readable, NULL));
    COIL_TRY(call_soon(loop, at, "ready already"));
    advance(1);
    COIL_TRY(coil_sleep(0));
    at("main");
    COIL_TRY(coil_sleep(0));
    close(left);
    close(right);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
