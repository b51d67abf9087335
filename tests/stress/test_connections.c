/* Many connections at once: ten thousand that talk, and four thousand that never finish a line while others are
 * served. Sized down here; COIL_SOAK=1 (make soak) asks for all of them. */
#include "lib/steps.h"

#include <stdlib.h>
#include <sys/resource.h>
#include "lib/held.h"

/* How many of these the descriptors of the process allow: each connection has two ends here. */
static int as_many_as(int wanted, int small)
{
    struct rlimit limit;
    if (!getenv("COIL_SOAK"))
        wanted = small;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* then with what there is */
    }
    rlim_t most = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (limit.rlim_cur - 100) / 2 : 100;
    if ((rlim_t)wanted > most) {
        print_message("%d connections instead of %d: RLIMIT_NOFILE\n", (int)most, wanted);
        wanted = (int)most;
    }
    return wanted;
}

COIL_ASYNC(echoes, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    (void)arg;
    char *line;
    ssize_t length;
    while ((length = coil_stream_readline(reader, &line)) > 0)
        COIL_TRY(coil_stream_write(writer, line, (size_t)length));
    return (int)length;
}

struct end {
    coil_stream_reader *reader;
    coil_stream_writer *writer;
};

static int connect_all(coil_server *server, struct end *ends, int count)
{
    for (int i = 0; i < count; i++)
        COIL_TRY(coil_open_connection("127.0.0.1", coil_server_port(server), NULL, &ends[i].reader,
                                      &ends[i].writer));
    return 0;
}

static void close_all(struct end *ends, int count)
{
    for (int i = 0; i < count; i++) {
        coil_stream_close(ends[i].writer);
        coil_unref(ends[i].writer);
        coil_unref(ends[i].reader);
    }
    free(ends);
}

static int start(coil_server **server_out, int count, struct end **ends_out)
{
    coil_server_options listening = COIL_SERVER_OPTIONS_INIT;
    coil_stream_server_options options = COIL_STREAM_SERVER_OPTIONS_INIT;
    listening.backlog = 4096;
    options.server = &listening;
    *ends_out = calloc((size_t)count, sizeof **ends_out);
    return coil_start_server(echoes, NULL, "127.0.0.1", 0, &options, server_out);
}

static int stop(coil_server *server)
{
    int left = coil_server_shutdown(server, 30);
    coil_unref(server);
    EXPECT_INT(left, 0);
    return left < 0 ? left : 0;
}

COIL_ASYNC(all_talk, (int, count))
{
    coil_server *server;
    struct end *ends;
    char text[32], *line;
    COIL_TRY(start(&server, count, &ends));
    COIL_TRY(connect_all(server, ends, count));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            int bytes = snprintf(text, sizeof text, "%d/%d\n", i, round);
            COIL_TRY(coil_stream_write(ends[i].writer, text, (size_t)bytes));
        }
        for (int i = 0; i < count; i++) {
            snprintf(text, sizeof text, "%d/%d\n", i, round);
            COIL_TRY(coil_stream_readline(ends[i].reader, &line));
            EXPECT_STR(line, text);
        }
    }
    EXPECT_INT(coil_server_clients(server), count);
    close_all(ends, count);
    return stop(server);
}

TEST(thousands_of_connections_talk_at_once)
{
    int count = as_many_as(10000, 500);
    int descriptors = held_now().descriptors;
    EXPECT_RUN_REAL(all_talk(count), 0);
    EXPECT_INT(held_now().descriptors, descriptors);
}

/* A byte now and then, and never a line. */
COIL_ASYNC(dawdle, (struct end *, ends), (int, count))
{
    for (;;)
        for (int i = 0; i < count; i++) {
            COIL_TRY(coil_stream_write(ends[i].writer, "x", 1));
            COIL_TRY(coil_sleep(0));
        }
}

COIL_ASYNC(some_dawdle, (int, slow), (int, requests))
{
    coil_server *server;
    struct end *ends, *quick;
    char *line;
    COIL_TRY(start(&server, slow + 1, &ends));
    COIL_TRY(connect_all(server, ends, slow + 1));
    quick = &ends[slow];
    coil_task *slow_ones = coil_create_task(dawdle(ends, slow));
    for (int i = 0; i < requests; i++) {
        COIL_TRY(coil_stream_write(quick->writer, "quick\n", 6));
        COIL_TRY(coil_stream_readline(quick->reader, &line));
        EXPECT_STR(line, "quick\n");
    }
    EXPECT(!coil_future_done(slow_ones));
    EXPECT_INT(coil_cancel_and_wait(slow_ones, NULL), 0);
    coil_unref(slow_ones);
    close_all(ends, slow + 1);
    return stop(server);
}

TEST(clients_that_never_finish_a_line_keep_nobody_waiting)
{
    int slow = as_many_as(4000, 200);
    int descriptors = held_now().descriptors;
    EXPECT_RUN_REAL(some_dawdle(slow, 500), 0);
    EXPECT_INT(held_now().descriptors, descriptors);
}

TESTS_MAIN(RUN(thousands_of_connections_talk_at_once),
           RUN(clients_that_never_finish_a_line_keep_nobody_waiting))
