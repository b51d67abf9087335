/* What a process runs out of: descriptors, address space. Here the system itself says no. */
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/held.h"
#include "lib/programs.h"
#include "platform/sanitizer.h"
#include "test.h"

#ifdef COIL_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* Lowers a limit of this process; gives what it was. */
static struct rlimit lower_limit(int resource, rlim_t to)
{
    struct rlimit before, lower;
    EXPECT_INT(getrlimit(resource, &before), 0);
    lower = before;
    lower.rlim_cur = to;
    EXPECT_INT(setrlimit(resource, &lower), 0);
    return before;
}

static void restore_limit(int resource, struct rlimit before)
{
    EXPECT_INT(setrlimit(resource, &before), 0);
}

/* So that not one descriptor more can be opened. */
static struct rlimit forbid_descriptors(void)
{
    int lowest = dup(STDERR_FILENO);
    EXPECT(lowest >= 0);
    (void)close(lowest);
    return lower_limit(RLIMIT_NOFILE, (rlim_t)lowest);
}

/* ---- descriptors -------------------------------------------------------------------------------- */

struct server {
    int listener;
    struct sockaddr_in address;
};

static int server_open(struct server *server)
{
    socklen_t length = sizeof server->address;
    memset(&server->address, 0, sizeof server->address);
    server->address.sin_family = AF_INET;
    server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)(void *)&server->address, length) < 0 ||
        getsockname(server->listener, (struct sockaddr *)(void *)&server->address, &length) < 0 ||
        listen(server->listener, 4) < 0)
        return -errno;
    return 0;
}

COIL_ASYNC(connect_client, (int, fd), (struct sockaddr_in, address))
{
    COIL_TRY(coil_sleep(0.001)); /* the server waits by then */
    return coil_sock_connect(fd, (struct sockaddr *)(void *)&address, sizeof address);
}

/* The server serves the connection that it could not accept at first. */
static int accept_again(struct server *server, int client)
{
    char byte = 0;
    int fd;
    COIL_TRY(fd = coil_sock_accept(server->listener, NULL, NULL));
    int rc = coil_sock_sendall(fd, "x", 1);
    ssize_t got = rc == 0 ? coil_sock_recv(client, &byte, 1) : rc;
    EXPECT_INT(got, 1);
    EXPECT_INT(byte, 'x');
    coil_sock_close(fd);
    return got < 0 ? (int)got : 0;
}

COIL_ASYNC(serve_without_descriptors, (struct server *, server))
{
    COIL_TRY(server_open(server));
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client < 0)
        return -errno;
    struct rlimit before = forbid_descriptors();
    coil_task *connecting = coil_create_task(connect_client(client, server->address));
    int rc = connecting ? coil_sock_accept(server->listener, NULL, NULL) : coil_error_last();
    EXPECT_INT(rc, -EMFILE);
    EXPECT_INT(coil_sock_accept(server->listener, NULL, NULL), -EMFILE);
    rc = connecting ? coil_await(connecting, NULL) : rc;
    coil_unref(connecting);
    restore_limit(RLIMIT_NOFILE, before);
    if (rc == 0)
        rc = accept_again(server, client);
    coil_sock_close(client);
    coil_sock_close(server->listener);
    return rc;
}

TEST(server_goes_on_after_emfile)
{
    struct held before = held_now();
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    struct server server;
    EXPECT_INT(coil_run_until_complete(loop, serve_without_descriptors(&server), NULL), 0);
    EXPECT_INT(program_follow_up(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    held_expect(before, "a server without descriptors");
}

COIL_ASYNC0(unused)
{
    return 0;
}

/* No loop, and no harm: the coroutine is consumed, and the next run is like the first. */
TEST(run_without_descriptors_fails)
{
    struct held held = held_now();
    struct rlimit before = forbid_descriptors();
    EXPECT_PTR(coil_new_event_loop(), NULL);
    EXPECT_INT(coil_error_last(), -EMFILE);
    EXPECT_INT(coil_run(unused(), NULL), -EMFILE);
    restore_limit(RLIMIT_NOFILE, before);
    EXPECT_INT(coil_run(unused(), NULL), 0);
    held_expect(held, "a run without descriptors");
}

/* ---- address space ------------------------------------------------------------------------------ */

static rlim_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

enum {
    STACK_BYTES = 1024 * 1024,
    SPACE_BYTES = 32 * STACK_BYTES,
    TASKS = 100, /* more than have room */
};

COIL_ASYNC(occupy_stack, (coil_future *, until))
{
    return coil_await(until, NULL);
}

static int fill_address_space(coil_future *until, coil_task **tasks)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.stack_size = STACK_BYTES;
    for (int i = 0; i < TASKS; i++)
        if (!(tasks[i] = coil_create_task_with(NULL, occupy_stack(until), &options)))
            return coil_error_last();
    COIL_TRY(coil_sleep(0.001)); /* all have had their first step */
    COIL_TRY(coil_future_set_result(until, coil_nil()));
    int succeeded = 0, failed = 0;
    for (int i = 0; i < TASKS; i++) {
        int rc = coil_await(tasks[i], NULL);
        EXPECT(rc == 0 || rc == COIL_ENOMEM);
        succeeded += rc == 0;
        failed += rc == COIL_ENOMEM;
    }
    EXPECT(succeeded >= 8);
    EXPECT(failed >= 8);
    return 0;
}

COIL_ASYNC0(run_out_of_address_space)
{
    coil_task *tasks[TASKS] = { NULL };
    coil_future *until = coil_create_future(NULL);
    if (!until)
        return coil_error_last();
    struct rlimit before = lower_limit(RLIMIT_AS, mapped_bytes() + SPACE_BYTES);
    int rc = fill_address_space(until, tasks);
    restore_limit(RLIMIT_AS, before);
    for (int i = 0; i < TASKS; i++)
        coil_unref(tasks[i]);
    coil_unref(until);
    return rc;
}

TEST(tasks_beyond_the_address_space_fail)
{
#ifdef COIL__FIBER_ANNOTATED
    SKIP("a sanitizer needs its address space");
#endif
    if (RUNNING_ON_VALGRIND)
        SKIP("valgrind needs its address space");
    struct held before = held_now();
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop != NULL);
    EXPECT_INT(coil_run_until_complete(loop, run_out_of_address_space(), NULL), 0);
    EXPECT_INT(program_follow_up(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    held_expect(before, "tasks beyond the address space");
}

TESTS_MAIN(RUN(server_goes_on_after_emfile), RUN(run_without_descriptors_fails),
           RUN(tasks_beyond_the_address_space_fail))
