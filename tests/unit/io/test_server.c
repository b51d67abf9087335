/* Servers: what comes in, what is left when one closes, and what happens when descriptors run out. */
#include "lib/held.h"
#include "lib/noter.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "io/server.h"

/* ---- an echo server of protocols ------------------------------------------------------------------ */

static int echoes_alive, echoes_made;

static int echo_create(void *arg, void **self_out)
{
    if (arg && *(int *)arg < 0)
        return coil_raise(*(int *)arg, "no more today");
    *self_out = calloc(1, sizeof(coil_transport *));
    echoes_alive++;
    return *self_out ? 0 : COIL_ENOMEM;
}

static int echo_made(void *self, coil_transport *transport)
{
    *(coil_transport **)self = transport;
    echoes_made++;
    return 0;
}

static int echo_received(void *self, const void *data, size_t bytes)
{
    return coil_transport_write(*(coil_transport **)self, data, bytes);
}

static void echo_destroy(void *self)
{
    echoes_alive--;
    free(self);
}

static const coil_protocol echo = {
    .size = sizeof echo,
    .name = "echo",
    .create = echo_create,
    .connection_made = echo_made,
    .data_received = echo_received,
    .destroy = echo_destroy,
};

static int serve(coil_server **server_out)
{
    echoes_made = 0;
    return coil_create_server(&echo, NULL, "127.0.0.1", 0, NULL, server_out);
}

/* A plain client: the kernel connects it, whoever accepts. */
static int client_of(const coil_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)coil_server_port(server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    EXPECT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static int ask(int fd, const char *question)
{
    char answer[64];
    size_t bytes = strlen(question), got = 0;
    COIL_TRY(coil_sock_sendall(fd, question, bytes));
    while (got < bytes) {
        ssize_t more = coil_sock_recv(fd, answer + got, sizeof answer - got);
        if (more <= 0)
            return more < 0 ? (int)more : COIL_EINCOMPLETE;
        got += (size_t)more;
    }
    return EXPECT(memcmp(answer, question, bytes) == 0) ? 0 : COIL_EAPP;
}

COIL_ASYNC0(connects_and_talks)
{
    coil_server *server;
    struct noter self;
    coil_transport *transport;
    char name[64];
    int fds[2];
    COIL_TRY(serve(&server));
    EXPECT(coil_server_is_serving(server));
    EXPECT_INT(coil_server_sockets(server, fds, 2), 1);
    EXPECT_PTR(coil_server_get_loop(server), coil_get_running_loop());
    noter_init(&self, "");
    coil_connection_options options = COIL_CONNECTION_OPTIONS_INIT;
    options.local_host = "127.0.0.1";
    COIL_TRY(coil_create_connection(&noter_protocol, &self, "127.0.0.1", coil_server_port(server),
                                    &options, &transport));
    snprintf(name, sizeof name, "127.0.0.1:%d", coil_server_port(server));
    EXPECT_STR(coil_transport_get_extra_info(transport, "peername").string, name);
    COIL_TRY(coil_transport_write(transport, "hello", 5));
    while (self.bytes < 5)
        COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(coil_server_clients(server), 1);
    coil_transport_close(transport);
    COIL_TRY(noter_wait(&self));
    coil_server_close(server);
    coil_server_close(server);
    EXPECT_INT(coil_server_port(server), COIL_ECLOSED);
    EXPECT_INT(coil_server_sockets(server, fds, 2), 0);
    COIL_TRY(coil_server_wait_closed(server));
    COIL_TRY(coil_server_wait_closed(server));
    EXPECT_INT(coil_server_clients(server), 0);
    coil_unref(server);
    coil_unref(transport);
    return 0;
}

TEST(clients_and_servers_meet)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(connects_and_talks(), 0);
    EXPECT_NOTES("made data(hello) lost(0) destroyed");
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "server and client");
}

COIL_ASYNC0(connects_in_vain)
{
    coil_server *server;
    struct noter self;
    COIL_TRY(serve(&server));
    int port = coil_server_port(server);
    coil_server_close(server);
    coil_unref(server);
    noter_init(&self, "");
    self.quiet = true;
    EXPECT_INT(coil_create_connection(&noter_protocol, &self, "127.0.0.1", port, NULL, NULL),
               -ECONNREFUSED);
    EXPECT(strstr(coil_error_message(coil_error_current(-ECONNREFUSED)), "127.0.0.1:") != NULL);
    EXPECT_INT(coil_create_connection(&noter_protocol, &self, "not numeric", port, NULL, NULL),
               COIL_EGAI_NONAME);
    EXPECT_INT(coil_create_connection(&noter_protocol, &self, "127.0.0.1", 65536, NULL, NULL),
               COIL_EINVAL);
    EXPECT_INT(coil_create_unix_connection(&noter_protocol, &self, "/nowhere/at/all", NULL, NULL),
               -ENOENT);
    EXPECT_INT(self.destroyed, 4); /* given up each time */
    EXPECT_INT(coil_create_server(&echo, NULL, "203.0.113.1", 0, NULL, &server), -EADDRNOTAVAIL);
    return 0;
}

TEST(what_cannot_be_reached_says_why)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(connects_in_vain(), 0);
    held_expect(before, "in vain");
}

/* ---- ending --------------------------------------------------------------------------------------- */

COIL_ASYNC(waits_closed, (coil_server *, server))
{
    int rc = coil_server_wait_closed(server);
    note("closed");
    return rc;
}

COIL_ASYNC0(closes_with_clients)
{
    coil_server *server;
    COIL_TRY(serve(&server));
    int fd = client_of(server);
    COIL_TRY(ask(fd, "one"));
    coil_task *first = coil_create_task(waits_closed(server));
    coil_task *second = coil_create_task(waits_closed(server));
    COIL_TRY(coil_sleep(0));
    coil_server_close(server);
    COIL_TRY(ask(fd, "two")); /* left alone */
    coil_task_cancel(second, NULL);
    note("leaves");
    coil_sock_close(fd);
    COIL_TRY(coil_await(first, NULL));
    EXPECT_INT(coil_await(second, NULL), COIL_ECANCELED);
    coil_unref(first);
    coil_unref(second);
    coil_unref(server);
    return 0;
}

TEST(a_closed_server_waits_for_its_clients)
{
    EXPECT_RUN_REAL(closes_with_clients(), 0);
    EXPECT_NOTES("leaves closed closed");
    EXPECT_INT(echoes_alive, 0);
}

COIL_ASYNC(serves_forever, (coil_server *, server))
{
    return coil_server_serve_forever(server);
}

COIL_ASYNC0(serves_until_cancelled)
{
    coil_server *server;
    coil_server_options options = COIL_SERVER_OPTIONS_INIT;
    options.no_serving = true;
    COIL_TRY(coil_create_server(&echo, NULL, "127.0.0.1", 0, &options, &server));
    EXPECT(!coil_server_is_serving(server));
    coil_task *task = coil_create_task(serves_forever(server));
    COIL_TRY(coil_sleep(0));
    EXPECT(coil_server_is_serving(server));
    EXPECT_INT(coil_server_serve_forever(server), COIL_ERUNTIME);
    coil_task_cancel(task, "enough");
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    EXPECT(!coil_server_is_serving(server));
    EXPECT_INT(coil_server_serve_forever(server), COIL_ERUNTIME);
    EXPECT_INT(coil_server_start_serving(server), COIL_ERUNTIME);
    coil_unref(task);
    coil_unref(server);

    COIL_TRY(serve(&server));
    task = coil_create_task(serves_forever(server));
    COIL_TRY(coil_sleep(0));
    coil_server_close(server);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    coil_unref(server);
    return 0;
}

TEST(serving_forever_ends_with_its_task)
{
    EXPECT_RUN_REAL(serves_until_cancelled(), 0);
}

typedef void (*server_call)(coil_server *server);

COIL_ASYNC(ends_clients, (server_call, end))
{
    coil_server *server;
    char data[8];
    COIL_TRY(serve(&server));
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = client_of(server);
        COIL_TRY(ask(fds[i], "hello"));
    }
    EXPECT_INT(coil_server_clients(server), 3);
    coil_server_close(server);
    end(server);
    COIL_TRY(coil_server_wait_closed(server));
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(coil_sock_recv(fds[i], data, sizeof data), 0);
        coil_sock_close(fds[i]);
    }
    coil_unref(server);
    return 0;
}

TEST(clients_can_be_ended)
{
    EXPECT_RUN_REAL(ends_clients(coil_server_close_clients), 0);
    EXPECT_RUN_REAL(ends_clients(coil_server_abort_clients), 0);
    EXPECT_INT(echoes_alive, 0);
}

COIL_ASYNC0(shuts_down)
{
    static char megabyte[1 << 20];
    coil_server *server;
    COIL_TRY(serve(&server));
    int idle = client_of(server), busy = client_of(server), gone = client_of(server);
    COIL_TRY(ask(idle, "hello"));
    COIL_TRY(ask(gone, "hello"));
    /* The echo of what the client never reads. */
    for (int i = 0; i < 2000 && send(busy, megabyte, sizeof megabyte, 0) != -1; i++)
        COIL_TRY(coil_sleep(0.0005));
    coil_sock_close(gone);
    EXPECT_INT(coil_server_shutdown(server, 0.02), 2);
    EXPECT_INT(coil_server_clients(server), 0);
    EXPECT_INT(coil_server_shutdown(server, 0.01), 0);
    coil_sock_close(idle);
    coil_sock_close(busy);
    coil_unref(server);
    return 0;
}

TEST(shutdown_takes_a_limited_time)
{
    // a deployment must not hang on a client that does not read
    struct held before = held_now();
    EXPECT_RUN_REAL(shuts_down(), 0);
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "shutdown");
}

COIL_ASYNC0(leaves_a_server)
{
    coil_server *server;
    COIL_TRY(serve(&server));
    int fd = client_of(server);
    COIL_TRY(ask(fd, "hello"));
    coil_unref(server);
    coil_sock_close(fd);
    return 0;
}

TEST(a_server_left_open_is_reported_and_ended)
{
    struct held before = held_now();
    EXPECT_RUN_REPORTS_REAL(leaves_a_server(), 0, reports[COIL_EVENT_UNCLOSED_TRANSPORT]);
    EXPECT(reports[COIL_EVENT_UNCLOSED_TRANSPORT] >= 1); /* the client may be there still */
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "left open");
}

/* ---- bad luck ------------------------------------------------------------------------------------- */

/* Runs turns until the listener has been heard. */
static int some_turns(void)
{
    for (int i = 0; i < 5; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

COIL_ASYNC0(closes_on_the_way)
{
    coil_server *server;
    char data[8];
    COIL_TRY(serve(&server));
    int fds[2] = { client_of(server), client_of(server) };
    while (coil__list_empty(&server->accepting))
        COIL_TRY(coil_sleep(0));
    coil_server_close(server);
    COIL_TRY(some_turns());
    EXPECT_INT(coil_server_clients(server), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT(recv(fds[i], data, sizeof data, 0) <= 0);
        close(fds[i]);
    }
    coil_unref(server);
    return 0;
}

TEST(who_is_on_the_way_when_a_server_closes_is_turned_away)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(closes_on_the_way(), 0);
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "on the way");
}

COIL_ASYNC0(stops_on_the_way)
{
    coil_server *server;
    COIL_TRY(serve(&server));
    int fd = client_of(server);
    while (coil__list_empty(&server->accepting))
        COIL_TRY(coil_sleep(0));
    coil_unref(server);
    close(fd);
    coil_exit(0);
    return COIL_EEXIT;
}

TEST(a_loop_closed_with_somebody_on_the_way_leaks_nothing)
{
    struct held before = held_now();
    coil_loop *loop = steps_loop(&before);
    EXPECT_INT(coil_run_until_complete(loop, stops_on_the_way(), NULL), COIL_EEXIT);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "on the way");
}

COIL_ASYNC0(creates_in_vain)
{
    coil_server *server;
    char data[8];
    int mood = COIL_EAPP;
    COIL_TRY(coil_create_server(&echo, &mood, "127.0.0.1", 0, NULL, &server));
    int fd = client_of(server);
    EXPECT_INT(coil_sock_recv(fd, data, sizeof data), 0); /* turned away */
    coil_sock_close(fd);
    mood = 0;
    fd = client_of(server);
    COIL_TRY(ask(fd, "hello")); /* the server goes on */
    coil_sock_close(fd);
    EXPECT_INT(coil_server_shutdown(server, 1), 0);
    coil_unref(server);
    return 0;
}

TEST(a_protocol_that_cannot_be_made_costs_one_connection)
{
    EXPECT_RUN_REPORTS_REAL(creates_in_vain(), 0, 1);
    EXPECT_INT(reports[COIL_EVENT_PROTOCOL_FAILED], 1);
}

/* Takes all descriptors there are. */
static int use_up(int *fds, int room)
{
    int count = 0;
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (count < room && (fds[count] = dup(0)) >= 0)
        count++;
    EXPECT(errno == EMFILE);
    return count;
}

COIL_ASYNC0(runs_out_of_descriptors)
{
    static int fds[256];
    coil_server *server;
    COIL_TRY(serve(&server));
    int fd = client_of(server);
    int count = use_up(fds, 256);
    COIL_TRY(some_turns());
    EXPECT_INT(reports[COIL_EVENT_ACCEPT_FAILED], 1);
    double before = coil_loop_time(NULL);
    COIL_TRY(
        coil_sleep(0.9)); /* virtual: a listener that was still ready would be reported again */
    EXPECT_INT(reports[COIL_EVENT_ACCEPT_FAILED], 1);
    COIL_TRY(coil_sleep(0.5));
    EXPECT(coil_loop_time(NULL) - before > 1.3);
    EXPECT_INT(reports[COIL_EVENT_ACCEPT_FAILED], 2);
    EXPECT_INT(echoes_made, 0);
    while (count > 0)
        close(fds[--count]);
    COIL_TRY(coil_sleep(1));
    COIL_TRY(some_turns());
    EXPECT_INT(echoes_made, 1); /* it has waited in the system's queue */
    close(fd);
    coil_server_close(server);
    coil_server_abort_clients(server);
    COIL_TRY(coil_server_wait_closed(server));
    coil_unref(server);
    return 0;
}

TEST(running_out_of_descriptors_is_survived_without_spinning)
{
    // a server under load must neither die nor burn the processor
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = 100;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    EXPECT_RUN_REPORTS(runs_out_of_descriptors(), 0, 2);
    setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_INT(echoes_alive, 0);
}

COIL_ASYNC0(closes_while_it_pauses)
{
    static int fds[256];
    coil_server *server;
    COIL_TRY(serve(&server));
    int fd = client_of(server);
    int count = use_up(fds, 256);
    COIL_TRY(some_turns());
    EXPECT_INT(reports[COIL_EVENT_ACCEPT_FAILED], 1);
    coil_server_close(server);
    COIL_TRY(coil_server_wait_closed(server));
    while (count > 0)
        close(fds[--count]);
    close(fd);
    coil_unref(server);
    return coil_sleep(2);
}

TEST(a_server_may_be_closed_while_it_pauses)
{
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = 100;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    EXPECT_RUN_REPORTS(closes_while_it_pauses(), 0, 1);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* ---- Unix sockets --------------------------------------------------------------------------------- */

static int talk_at(const char *path)
{
    struct noter self;
    noter_init(&self, "");
    self.quiet = true;
    COIL_TRY(coil_create_unix_connection(&noter_protocol, &self, path, NULL, NULL));
    COIL_TRY(coil_transport_write(self.transport, "hello", 5));
    while (self.bytes < 5)
        COIL_TRY(coil_sleep(0.001));
    coil_transport_close(self.transport);
    return noter_wait(&self);
}

static bool exists(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0;
}

COIL_ASYNC(serves_paths, (const char *, path))
{
    coil_server *first, *second;
    COIL_TRY(coil_create_unix_server(&echo, NULL, path, NULL, &first));
    COIL_TRY(talk_at(path));
    EXPECT_INT(coil_server_port(first), COIL_ENOTSUP);
    /* The next one takes the path over, and the first must not remove it then. */
    COIL_TRY(coil_create_unix_server(&echo, NULL, path, NULL, &second));
    EXPECT_INT(coil_server_shutdown(first, 1), 0);
    EXPECT(exists(path));
    COIL_TRY(talk_at(path));
    EXPECT_INT(coil_server_shutdown(second, 1), 0);
    EXPECT(!exists(path));
    coil_unref(first);
    coil_unref(second);

    coil_server_options options = COIL_SERVER_OPTIONS_INIT;
    options.keep_path = true;
    COIL_TRY(coil_create_unix_server(&echo, NULL, path, &options, &first));
    EXPECT_INT(coil_server_shutdown(first, 1), 0);
    EXPECT(exists(path));
    coil_unref(first);
    EXPECT_INT(talk_at(path), -ECONNREFUSED);
    unlink(path);

    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_INT(coil_create_unix_server(&echo, NULL, path, NULL, &first), -EADDRINUSE);
    close(file);
    unlink(path);

    char abstract[64], longer[200] = "/";
    snprintf(abstract, sizeof abstract, "@coil-test-%d", (int)getpid());
    COIL_TRY(coil_create_unix_server(&echo, NULL, abstract, NULL, &first));
    COIL_TRY(talk_at(abstract));
    EXPECT_INT(coil_server_shutdown(first, 1), 0);
    coil_unref(first);
    memset(longer, 'x', sizeof longer - 1);
    EXPECT_INT(coil_create_unix_server(&echo, NULL, longer, NULL, &first), COIL_EINVAL);
    return 0;
}

TEST(unix_sockets_come_and_go_with_their_servers)
{
    char folder[] = "/tmp/coil-test-XXXXXX", path[64];
    struct held before = held_now();
    REQUIRE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    EXPECT_RUN_REAL(serves_paths(path), 0);
    rmdir(folder);
    EXPECT_INT(echoes_alive, 0);
    held_expect(before, "Unix sockets");
}

/* ---- memory --------------------------------------------------------------------------------------- */

COIL_ASYNC0(tries_to_serve)
{
    coil_server *server;
    struct noter self;
    COIL_TRY(serve(&server));
    noter_init(&self, "");
    self.quiet = true;
    int rc = coil_create_connection(&noter_protocol, &self, "127.0.0.1", coil_server_port(server),
                                    NULL, NULL);
    if (rc == 0) {
        rc = coil_transport_write(self.transport, "hello", 5);
        for (int i = 0; i < 50 && self.destroyed == 0 && self.bytes < 5; i++)
            (void)coil_sleep(0);
        if (self.transport)
            coil_transport_close(self.transport);
        (void)noter_wait(&self);
    }
    coil_server_close(server);
    coil_server_abort_clients(server);
    int waited = coil_server_wait_closed(server);
    coil_unref(server);
    return rc < 0 ? rc : waited;
}

TEST(every_allocation_may_fail)
{
    bool failed = true;
    long nth = 1;
    for (; failed && nth < 200; nth++) {
        struct held before = held_now();
        coil_loop *loop = steps_loop(NULL);
        coil_testing_fail_alloc(nth);
        int rc = coil_run_until_complete(loop, tries_to_serve(), NULL);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT(rc == 0 || (failed && rc == COIL_ENOMEM));
        EXPECT_INT(coil_loop_close(loop), 0);
        coil_unref(loop);
        EXPECT_INT(echoes_alive, 0);
        held_expect(before, "failed allocation");
    }
    EXPECT(nth > 5 && nth < 200);
}

TESTS_MAIN(RUN(clients_and_servers_meet), RUN(what_cannot_be_reached_says_why),
           RUN(a_closed_server_waits_for_its_clients), RUN(serving_forever_ends_with_its_task),
           RUN(clients_can_be_ended), RUN(shutdown_takes_a_limited_time),
           RUN(a_server_left_open_is_reported_and_ended),
           RUN(who_is_on_the_way_when_a_server_closes_is_turned_away),
           RUN(a_loop_closed_with_somebody_on_the_way_leaks_nothing),
           RUN(a_protocol_that_cannot_be_made_costs_one_connection),
           RUN(running_out_of_descriptors_is_survived_without_spinning),
           RUN(a_server_may_be_closed_while_it_pauses),
           RUN(unix_sockets_come_and_go_with_their_servers), RUN(every_allocation_may_fail))
