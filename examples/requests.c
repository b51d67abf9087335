/* Three requests at a time, and every step that they take.
 *
 *     client-1..3  -->  front  -->  request-1..3  -->  database  -->  query-1..3
 *                                                 \->  web       -->  page-1..3
 *
 * One program, one thread, one loop. A front server accepts requests; each of them asks a
 * database and a web server at once, and is answered when both have answered. The three servers
 * are part of this program, but all talk through real TCP connections. The client sends a
 * request every 50 ms, so that the three overlap.
 *
 * What is printed is a trace: `->` where a step of a task begins, `<-` where it ends; a task is
 * indented one level deeper than the task that started it. The same goes into a picture and a
 * trace file.
 *
 * Explored after: make_depth()
 * Explored as a run: requests that are being served are ended by coil_run. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coil/coil.h>

enum {
    REQUESTS = 3,
    ROOM = 256, /* for a line */
};

/* A server reads one line, the number of a request, and answers with one line. */
struct server {
    const char *name;
    const char *handlers;                   /* the tasks that serve one connection each */
    int (*answer)(int request, char *line); /* may suspend; line has ROOM bytes */
    struct sockaddr_in address;
    int listener;
    coil_task *task;
};

static int answer_request(int request, char *line);
static int query_database(int request, char *line);
static int fetch_page(int request, char *line);

static struct server front = {
    .name = "front", .handlers = "request-%d", .answer = answer_request, .listener = -1
};
static struct server database = {
    .name = "database", .handlers = "query-%d", .answer = query_database, .listener = -1
};
static struct server web = {
    .name = "web", .handlers = "page-%d", .answer = fetch_page, .listener = -1
};

static coil_context_var *depth; /* of the current task, in the trace */
static double start_time;

/* ---- what the tasks have in common ----------------------------------------------------------- */

/* Prints a line into the trace. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    coil_value level = coil_int(0);
    (void)coil_context_var_get(depth, &level); /* cannot fail: it has a default */
    printf("%*s[%.3f] ", 4 * (int)level.integer, "", coil_loop_time(NULL) - start_time);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Starts a task with a name, one level deeper: it gets a copy of the context of this moment. */
static coil_task *spawn(coil_coro *coro, const char *format, int number)
{
    char name[ROOM];
    snprintf(name, sizeof name, format, number);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;

    coil_value level = coil_int(0);
    coil_context_token token;
    (void)coil_context_var_get(depth, &level);
    if (coil_context_var_set(depth, coil_int(level.integer + 1), &token) < 0) {
        (void)coil_coro_close(coro); /* it has not begun */
        return NULL;
    }
    coil_task *task = coil_create_task_with(NULL, coro, &options);
    if (coil_context_var_reset(depth, &token) < 0)
        coil_context_token_fini(&token); /* no memory: the trace is indented wrongly, that is all */
    return task;
}

static int receive_line(int fd, char *line)
{
    size_t length = 0;
    while (length == 0 || line[length - 1] != '\n') {
        ssize_t got;
        COIL_TRY(got = coil_sock_recv(fd, line + length, ROOM - length));
        if (got == 0)
            return coil_raise(COIL_EAPP, "the connection ended in the middle of a line");
        length += (size_t)got;
    }
    line[length - 1] = '\0';
    return 0;
}

/* ---- asking a server ------------------------------------------------------------------------- */

static int exchange(int fd, const struct server *server, char *line)
{
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    COIL_TRY(coil_sock_connect(fd, address, sizeof server->address));
    COIL_TRY(coil_sock_sendall(fd, line, strlen(line)));
    return receive_line(fd, line);
}

/* Gives the answer, as a text that belongs to whoever awaits the call. */
COIL_ASYNC(call, (const struct server *, server), (int, request))
{
    char line[ROOM];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil_raise(-errno, "no socket to call the %s server", server->name);
    snprintf(line, sizeof line, "%d\n", request);
    int rc = COIL_TIMEOUT(5, exchange(fd, server, line)); /* a server may have gone */
    coil_sock_close(fd);
    if (rc < 0)
        return coil_raise_from(rc, rc, "calling the %s server", server->name);

    char *answer = strdup(line);
    if (!answer)
        return COIL_ENOMEM;
    coil_return(coil_string_owned(answer, free));
}

/* ---- serving --------------------------------------------------------------------------------- */

/* The connection is its own: it is closed also if the task never begins. */
COIL_ASYNC_DROP(handle, coil_sock_close(client), (const struct server *, server), (int, client))
{
    char line[ROOM];
    int rc = receive_line(client, line);
    if (rc == 0)
        rc = server->answer(atoi(line), line);
    if (rc == 0)
        rc = coil_sock_sendall(client, line, strlen(line));
    coil_sock_close(client);
    return rc;
}

/* Until it is cancelled. */
COIL_ASYNC(serve, (const struct server *, server))
{
    for (int number = 1;; number++) {
        int client;
        COIL_TRY(client = coil_sock_accept(server->listener, NULL, NULL));
        coil_task *handler = spawn(handle(server, client), server->handlers, number);
        coil_unref(handler); /* the loop keeps it, and reports it if it fails */
    }
}

/* Both calls are under way at the same time: the answer takes as long as the slower one. */
static int answer_request(int request, char *line)
{
    coil_task *db = spawn(call(&database, request), "request-%d db", request);
    coil_task *http = spawn(call(&web, request), "request-%d http", request);
    coil_value parts[2];
    say("request %d gathers", request);
    int rc = coil_gather(parts, db, http);
    if (rc == 0) {
        say("request %d is complete", request);
        snprintf(line, ROOM, "request %d: %s, %s\n", request, parts[0].string, parts[1].string);
    }
    coil_unref(db);
    coil_unref(http);
    return rc;
}

static int query_database(int request, char *line)
{
    COIL_TRY(coil_sleep(0.120));
    snprintf(line, ROOM, "%d rows from the database\n", 11 * request);
    return 0;
}

static int fetch_page(int request, char *line)
{
    COIL_TRY(coil_sleep(0.180));
    snprintf(line, ROOM, "page %d from the web\n", request);
    return 0;
}

/* On the loopback interface, on a port that the system picks. */
static int start_server(struct server *server)
{
    struct sockaddr *address = (struct sockaddr *)&server->address;
    socklen_t length = sizeof server->address;
    server->address = (struct sockaddr_in){ .sin_family = AF_INET,
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, address, length) < 0 ||
        listen(server->listener, SOMAXCONN) < 0 ||
        getsockname(server->listener, address, &length) < 0)
        return coil_raise(-errno, "the %s server cannot listen on 127.0.0.1", server->name);

    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = server->name;
    server->task = coil_create_task_with(NULL, serve(server), &options);
    return server->task ? 0 : COIL_ENOMEM;
}

static void stop_server(struct server *server)
{
    (void)coil_cancel_and_wait(server->task, NULL); /* it may have failed: its clients know */
    coil_unref(server->task);
    coil_sock_close(server->listener);
    server->task = NULL;
    server->listener = -1;
}

/* ---- the program ----------------------------------------------------------------------------- */

/* The replies become the caller's. */
static int send_requests(coil_value *replies)
{
    coil_task *clients[REQUESTS] = { NULL };
    int rc = 0;
    for (int i = 0; i < REQUESTS && rc == 0; i++) {
        clients[i] = spawn(call(&front, i + 1), "client-%d", i + 1);
        rc = coil_sleep(0.050);
    }
    for (int i = 0; i < REQUESTS && rc == 0; i++) {
        rc = coil_await(clients[i], NULL);
        if (rc == 0)
            rc = coil_future_take_result(clients[i], &replies[i]);
    }
    for (int i = 0; i < REQUESTS; i++) {
        if (rc < 0)
            (void)coil_cancel_and_wait(clients[i], NULL); /* the first error counts */
        coil_unref(clients[i]);
    }
    return rc;
}

static int run_demo(coil_value *replies)
{
    struct server *servers[] = { &database, &web, &front };
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = start_server(servers[i]);
    if (rc == 0)
        rc = send_requests(replies);
    for (int i = 3; i-- > 0;)
        stop_server(servers[i]);
    return rc;
}

static int write_timeline(coil_tracer *timeline)
{
    COIL_TRY(coil_timeline_write_svg(timeline, "demo-timeline.svg"));
    COIL_TRY(coil_timeline_write_json(timeline, "demo-trace.json"));
    puts("\ndemo-timeline.svg  the same as a picture: open it in a browser\n"
         "demo-trace.json    the same to zoom into: open it in https://ui.perfetto.dev");
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_value replies[REQUESTS] = { coil_nil() };
    COIL_TRY(coil_task_set_name(coil_current_task(), "main"));
    start_time = coil_loop_time(NULL);
    coil_tracer *steps = coil_trace_text(NULL, stdout, depth, start_time);
    coil_tracer *timeline = coil_trace_timeline(NULL);
    int rc = steps && timeline ? run_demo(replies) : COIL_ENOMEM;
    if (steps)
        coil_trace_detach(steps);

    if (rc == 0)
        putchar('\n');
    for (int i = 0; i < REQUESTS; i++) {
        if (rc == 0)
            puts(replies[i].string);
        coil_value_clear(&replies[i]);
    }
    if (rc == 0)
        rc = write_timeline(timeline);
    coil_unref(steps);
    coil_unref(timeline);
    return rc;
}

static bool make_depth(void)
{
    depth = coil_context_var_new_default("depth", coil_int(0));
    return depth != NULL;
}

int main(void)
{
    if (!make_depth())
        return 1;
    int status = coil_main(amain());
    coil_context_var_free(depth);
    return status;
}
