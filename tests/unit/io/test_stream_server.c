/* Stream servers: a task for each connection, what becomes of the connection when it ends, and that many peers,
 * slow or hostile ones among them, cost no more than they should. */
#include "lib/steps.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include "io/server.h"
#include "lib/held.h"

#define EXPECT_SERVED(coro, count)                                                                 \
    do {                                                                                           \
        int descriptors_ = held_now().descriptors;                                                 \
        STEPS_RUN_(coro, 0, count, &dropped);                                                      \
        EXPECT_INT(held_now().descriptors, descriptors_);                                          \
    } while (0)

static int serve_here(coil_stream_handler handler, void *arg, coil_server **server_out)
{
    return coil_start_server(handler, arg, "127.0.0.1", 0, NULL, server_out);
}

static int connect_to(coil_server *server, coil_stream_reader **reader, coil_stream_writer **writer)
{
    return coil_open_connection("127.0.0.1", coil_server_port(server), NULL, reader, writer);
}

static void release(coil_stream_reader *reader, coil_stream_writer *writer)
{
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
}

static int stop(coil_server *server)
{
    coil_server_close(server);
    int rc = coil_server_wait_closed(server);
    coil_unref(server);
    return rc;
}

/* ---- what becomes of a connection --------------------------------------------------------------- */

struct kept {
    coil_stream_reader *reader;
    coil_stream_writer *writer;
};

COIL_ASYNC(keeps, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    struct kept *kept = arg;
    *kept = (struct kept){ coil_ref(reader), coil_ref(writer) };
    return 0;
}

COIL_ASYNC(forgets, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)reader, (void)arg;
    return coil_stream_write(writer, "bye", 3);
}

COIL_ASYNC(fails, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    struct kept *kept = arg;
    if (kept)
        *kept = (struct kept){ coil_ref(reader), coil_ref(writer) };
    return coil_raise(COIL_EAPP, "a handler's error");
}

COIL_ASYNC(cancels_itself, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    (void)reader, (void)writer, (void)arg;
    coil_task_cancel(coil_current_task(), NULL);
    return coil_sleep(1);
}

static coil_coro *makes_none(coil_stream_reader *reader, coil_stream_writer *writer, void *arg)
{
    (void)reader, (void)writer, (void)arg;
    coil_raise(COIL_ENOMEM, "no coroutine");
    return NULL;
}

/* What the client reads until the end, with this handler. */
COIL_ASYNC(asks, (coil_stream_handler, handler), (void *, arg), (const char *, expected))
{
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *data;
    size_t bytes;
    COIL_TRY(serve_here(handler, arg, &server));
    COIL_TRY(connect_to(server, &reader, &writer));
    COIL_TRY(coil_stream_read_all(reader, 100, &data, &bytes));
    EXPECT_STR(data, expected);
    coil_free(data);
    release(reader, writer);
    return stop(server);
}

TEST(connection_is_closed_when_its_handler_ends)
{
    /* Whether it forgot to close, failed, was cancelled, or could not even begin. */
    EXPECT_SERVED(asks(forgets, NULL, "bye"), 0);
    EXPECT_SERVED(asks(fails, NULL, ""), 1);
    EXPECT_INT(reports[COIL_EVENT_CLIENT_FAILED], 1);
    EXPECT_SERVED(asks(cancels_itself, NULL, ""), 0);
    EXPECT_SERVED(asks(makes_none, NULL, ""), 1);
    EXPECT_INT(reports[COIL_EVENT_CLIENT_FAILED], 1);
}

COIL_ASYNC0(keeps_a_connection)
{
    struct kept kept = { NULL, NULL };
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *line;
    COIL_TRY(serve_here(keeps, &kept, &server));
    COIL_TRY(connect_to(server, &reader, &writer));
    COIL_TRY(coil_sleep(0.01));
    REQUIRE(kept.writer);
    EXPECT(!coil_stream_is_closing(kept.writer));
    COIL_TRY(coil_stream_write(kept.writer, "later\n", 6));
    EXPECT_INT(coil_stream_readline(reader, &line), 6);
    EXPECT_INT(coil_server_clients(server), 1);
    release(kept.reader, kept.writer);
    EXPECT_INT(coil_stream_readline(reader, &line), 0);
    release(reader, writer);
    return stop(server);
}

TEST(connection_that_somebody_keeps_stands)
{
    EXPECT_SERVED(keeps_a_connection(), 0);
}

COIL_ASYNC0(fails_with_a_kept_connection)
{
    struct kept kept = { NULL, NULL };
    COIL_TRY(coil_await(asks(fails, &kept, ""), NULL));
    EXPECT(coil_stream_is_closing(kept.writer));
    coil_unref(kept.writer);
    coil_unref(kept.reader);
    return 0;
}

TEST(failed_handler_loses_its_connection_even_if_somebody_keeps_it)
{
    EXPECT_SERVED(fails_with_a_kept_connection(), 1);
}

COIL_ASYNC(waits_for_a_line, (coil_stream_reader *, reader), (coil_stream_writer *, writer),
           (void *, arg))
{
    (void)writer, (void)arg;
    char *line;
    ssize_t length = coil_stream_readline(reader, &line);
    note("%s", length < 0 ? coil_error_name((int)length) : "end");
    return length < 0 ? (int)length : 0;
}

COIL_ASYNC0(ends_with_clients)
{
    coil_server *server;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    COIL_TRY(serve_here(waits_for_a_line, NULL, &server));
    COIL_TRY(connect_to(server, &reader, &writer));
    COIL_TRY(coil_sleep(0.01));
    release(reader, writer);
    coil_server_close(server);
    coil_unref(server);
    return 0; /* run cancels the handler, if it has not seen the end yet */
}

TEST(run_that_ends_ends_the_handlers)
{
    EXPECT_SERVED(ends_with_clients(), 0);
    EXPECT(strcmp(notes_, "end") == 0 || strcmp(notes_, "COIL_ECANCELED") == 0);
    notes_[0] = '\0';
}

COIL_ASYNC0(starts_what_cannot_be)
{
    coil_server *server = NULL;
    EXPECT_INT(coil_start_server(forgets, NULL, "127.0.0.1", 70000, NULL, &server), COIL_EINVAL);
    EXPECT_INT(coil_start_server_sock(forgets, NULL, -1, NULL, &server), -EBADF);
    EXPECT_INT(coil_start_unix_server(forgets, NULL, "/no/such/folder/socket", NULL, &server),
               -ENOENT);
    EXPECT(server == NULL);
    return 0;
}

TEST(server_that_cannot_start_leaves_nothing)
{
    EXPECT_SERVED(starts_what_cannot_be(), 0);
}

/* ---- many --------------------------------------------------------------------------------------- */

COIL_ASYNC(echoes, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line;
    ssize_t length;
    while ((length = coil_stream_readline(reader, &line)) > 0)
        COIL_TRY(coil_stream_write(writer, line, (size_t)length));
    return (int)length;
}

COIL_ASYNC(asks_an_echo, (coil_server *, server), (int, number))
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char text[32], *line = NULL;
    ssize_t length = 0;
    COIL_TRY(connect_to(server, &reader, &writer));
    for (int i = 0; i < 3 && length >= 0; i++) {
        snprintf(text, sizeof text, "%d.%d\n", number, i);
        int rc = coil_stream_write(writer, text, strlen(text));
        length = rc < 0 ? rc : coil_stream_readline(reader, &line);
        if (length > 0)
            EXPECT_STR(line, text);
    }
    release(reader, writer);
    return length < 0 ? (int)length : 0;
}

COIL_ASYNC(serves_while_others_dawdle, (int, slow), (int, quick))
{
    coil_server *server;
    coil_stream_reader **readers = calloc((size_t)slow, sizeof(void *));
    coil_stream_writer **writers = calloc((size_t)slow, sizeof(void *));
    coil_task **tasks = calloc((size_t)quick, sizeof(void *));
    COIL_TRY(serve_here(echoes, NULL, &server));
    for (int i = 0; i < slow; i++) {
        COIL_TRY(connect_to(server, &readers[i], &writers[i]));
        COIL_TRY(coil_stream_write(writers[i], "GET / HTTP", 10)); /* and no more */
    }
    for (int i = 0; i < quick; i++)
        tasks[i] = coil_create_task(asks_an_echo(server, i));
    for (int i = 0; i < quick; i++) {
        COIL_TRY(coil_await(tasks[i], NULL));
        coil_unref(tasks[i]);
    }
    EXPECT_INT(coil_server_clients(server) >= (size_t)slow, 1);
    for (int i = 0; i < slow; i++)
        release(readers[i], writers[i]);
    free(readers);
    free(writers);
    free(tasks);
    return stop(server);
}

TEST(clients_that_dawdle_keep_nobody_waiting)
{
    EXPECT_SERVED(serves_while_others_dawdle(100, 20), 0);
}

/* ---- everywhere --------------------------------------------------------------------------------- */

COIL_ASYNC0(session)
{
    coil_server *server;
    COIL_TRY(serve_here(echoes, NULL, &server));
    int rc = coil_await(asks_an_echo(server, 1), NULL);
    coil_server_close(server);
    int end = coil_server_shutdown(server, 0);
    coil_unref(server);
    (void)coil_sleep(0); /* the handler's end is seen a turn later */
    (void)coil_sleep(0);
    (void)coil_sleep(0);
    return rc < 0 ? rc : end < 0 ? end : 0;
}

static coil_coro *make_session(void *arg)
{
    (void)arg;
    return session();
}

TEST(server_survives_a_disturbance_at_each_point)
{
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = COIL_EXPLORE_CANCEL | COIL_EXPLORE_WOKEN | COIL_EXPLORE_ALLOC;
    EXPECT_INT(coil_testing_explore(make_session, NULL, &options), 0);
}

TESTS_MAIN(RUN(connection_is_closed_when_its_handler_ends),
           RUN(connection_that_somebody_keeps_stands),
           RUN(failed_handler_loses_its_connection_even_if_somebody_keeps_it),
           RUN(run_that_ends_ends_the_handlers), RUN(server_that_cannot_start_leaves_nothing),
           RUN(clients_that_dawdle_keep_nobody_waiting),
           RUN(server_survives_a_disturbance_at_each_point))
