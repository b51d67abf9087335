/* A TCP proxy: passes bytes on both ways, and the end of each way when it comes. A connection on which nothing has
 * moved for a minute is closed.
 *
 *     tcp_proxy LISTEN_PORT PORT [HOST]       to PORT of HOST, or of this machine
 *     tcp_proxy --self                        talks through itself once, and ends
 *
 * Tests run it with: --self
 * Explored as: talk_to_itself()
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coil/coil.h>

static const double IDLE_SECONDS = 60;

struct target {
    const char *host;
    int port;
};

/* The whole connection's limit: each byte, whichever way it goes, puts it off. */
struct session {
    coil_timeout idle;
};

static int put_off(struct session *session)
{
    return coil_timeout_reschedule(&session->idle,
                                   coil_loop_time(coil_get_running_loop()) + IDLE_SECONDS);
}

/* One way, to its end. */
COIL_ASYNC(pass, (coil_stream_reader *, from), (coil_stream_writer *, to),
           (struct session *, session))
{
    char *data;
    ssize_t bytes;
    while ((bytes = coil_stream_read_chunk(from, &data)) > 0) {
        COIL_TRY(coil_stream_write(to, data, (size_t)bytes));
        COIL_TRY(put_off(session));
    }
    COIL_TRY(bytes);
    return coil_stream_write_eof(to);
}

/* Both ways, until both have ended; a failure on one ends the other, too. */
static int pass_both(coil_stream_reader *reader, coil_stream_writer *writer,
                     coil_stream_reader *there_reader, coil_stream_writer *there_writer,
                     struct session *session)
{
    coil_task_group ways;
    COIL_TRY(coil_task_group_enter(&ways));
    int rc = coil_task_group_spawn(&ways, pass(reader, there_writer, session));
    if (rc == 0)
        rc = coil_task_group_spawn(&ways, pass(there_reader, writer, session));
    return coil_task_group_exit(&ways, rc);
}

COIL_ASYNC(proxy, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    const struct target *target = arg;
    struct session session;
    coil_stream_reader *there_reader;
    coil_stream_writer *there_writer;
    COIL_TRY(coil_open_connection(target->host, target->port, NULL, &there_reader, &there_writer));
    int rc = coil_timeout_enter(&session.idle, IDLE_SECONDS);
    if (rc == 0) {
        rc = pass_both(reader, writer, there_reader, there_writer, &session);
        rc = coil_timeout_exit(&session.idle, rc);
    }
    if (rc < 0)
        coil_transport_abort(coil_stream_transport(there_writer));
    coil_stream_close(there_writer);
    coil_unref(there_writer);
    coil_unref(there_reader);
    return rc == COIL_ECANCELED ? rc : 0; /* either side may go as it likes */
}

COIL_ASYNC(answer, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *question;
    size_t bytes;
    COIL_TRY(coil_stream_read_all(reader, 1000, &question, &bytes));
    int rc = coil_stream_write(writer, "you said: ", 10);
    if (rc == 0)
        rc = coil_stream_write(writer, question, bytes);
    coil_free(question);
    return rc;
}

/* Asks, ends its half, and reads the answer to the end. */
static int ask(int port)
{
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    char *data;
    size_t bytes;
    COIL_TRY(coil_open_connection("127.0.0.1", port, NULL, &reader, &writer));
    int rc = coil_stream_write(writer, "hello", 5);
    if (rc == 0)
        rc = coil_stream_write_eof(writer);
    if (rc == 0)
        rc = coil_stream_read_all(reader, 1000, &data, &bytes);
    if (rc == 0) {
        printf("%s\n", data);
        coil_free(data);
    }
    coil_stream_close(writer);
    coil_unref(writer);
    coil_unref(reader);
    return rc;
}

static int talk_through(struct target *target)
{
    coil_server *server;
    COIL_TRY(coil_start_server(proxy, target, "127.0.0.1", 0, NULL, &server));
    int rc = COIL_TIMEOUT(5, ask(coil_server_port(server)));
    int left = coil_server_shutdown(server, 1);
    coil_unref(server);
    return rc < 0 ? rc : left;
}

COIL_ASYNC0(talk_to_itself)
{
    static struct target target = { "127.0.0.1", 0 };
    coil_server *behind;
    COIL_TRY(coil_start_server(answer, NULL, "127.0.0.1", 0, NULL, &behind));
    target.port = coil_server_port(behind);
    int rc = talk_through(&target);
    int left = coil_server_shutdown(behind, 1);
    coil_unref(behind);
    return rc < 0 ? rc : left;
}

COIL_ASYNC(serve, (int, port), (struct target *, target))
{
    coil_server *server;
    COIL_TRY(coil_start_server(proxy, target, "127.0.0.1", port, NULL, &server));
    printf("listening on port %d\n", coil_server_port(server));
    fflush(stdout);
    int rc = coil_server_serve_forever(server);
    coil_unref(server);
    return rc;
}

int main(int argc, char **argv)
{
    static struct target target;
    if (argc == 2 && strcmp(argv[1], "--self") == 0)
        return coil_main(talk_to_itself());
    if (argc < 3) {
        fprintf(stderr, "usage: %s LISTEN_PORT PORT [HOST]\n", argv[0]);
        return 2;
    }
    target.port = atoi(argv[2]);
    target.host = argc > 3 ? argv[3] : "127.0.0.1";
    return coil_main(serve(atoi(argv[1]), &target));
}
