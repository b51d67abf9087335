/* add_reader and add_writer call back as long as the descriptor is ready, until removed; adding
 * again replaces.
 *
 * Why: It is the doorway for foreign libraries with descriptors of their own.
 * Tags: real */
#include <sys/socket.h>
#include <unistd.h>
#include "kit/kit.h"

struct shared {
    int left, right;
    coil_event done;
    int calls;
};

struct reader {
    const char *name;
    struct shared *shared;
};

static int readable(void *arg)
{
    struct reader *reader = arg;
    struct shared *shared = reader->shared;
    char data[2];
    ssize_t got = recv(shared->left, data, sizeof data, 0);
    if (got < 0)
        return coil_raise(-errno, "recv");
    shared->calls++;
    say(reader->name, "reads", bytes(data, (size_t)got));
    if (shared->calls == 3) {
        bool removed = coil_remove_reader(NULL, shared->left) > 0;
        bool again = coil_remove_reader(NULL, shared->left) > 0;
        say("removed", removed, "again", again);
        return coil_event_set(&shared->done);
    }
    return 0;
}

static int writable(void *arg)
{
    struct shared *shared = arg;
    say("writable");
    COIL_TRY(coil_remove_writer(NULL, shared->right));
    return coil_event_set(&shared->done);
}

COIL_ASYNC0(amain)
{
    coil_loop *loop = coil_get_running_loop();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return coil_raise(-errno, "socketpair");
    struct shared shared = { pair[0], pair[1], COIL_EVENT_INIT, 0 };
    struct reader replaced = { "replaced", &shared };
    struct reader reader = { "reader", &shared };

    COIL_TRY(coil_add_reader(loop, shared.left, readable, &replaced));
    COIL_TRY(coil_add_reader(loop, shared.left, readable, &reader));
    if (send(shared.right, "abcdef", 6, 0) < 0)
        return coil_raise(-errno, "send");
    COIL_TRY(coil_event_wait(&shared.done));

    coil_event_clear(&shared.done);
    COIL_TRY(coil_add_writer(loop, shared.right, writable, &shared));
    COIL_TRY(coil_event_wait(&shared.done));
    coil_event_fini(&shared.done);
    close(shared.left);
    close(shared.right);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
