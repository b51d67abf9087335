/* A chat for terminals: what one says, all others read. Try it with `nc 127.0.0.1 PORT` in two windows.
 *
 *     chat [PORT]         0, the default: any free one, which it prints
 *     chat --self         three guests of its own talk, one of whom never listens; and it ends
 *
 * Each guest has a queue of lines and a task that writes them. So one who reads slowly makes nobody wait: when its
 * queue is full it misses lines, and is told how many.
 *
 * Tests run it with: --self
 * Explored as: amain(0, true)
 * Explored as a run: connections that are being served are ended by coil_run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coil/coil.h>

enum {
    LINES_MAX = 100, /* that wait for one guest */
    GUESTS_MAX = 1000
};

struct guest {
    coil_queue lines;
    int missed; /* since the last one that found room */
};

struct room {
    struct guest *guests[GUESTS_MAX];
    int count;
};

static void say_to(struct guest *guest, const char *line)
{
    coil_value copy = coil_string_copy(line);
    if (copy.kind == COIL_NIL || coil_queue_put_nowait(&guest->lines, copy) < 0) {
        coil_value_clear(&copy);
        guest->missed++;
    }
}

static void say(struct room *room, const struct guest *from, const char *line)
{
    for (int i = 0; i < room->count; i++)
        if (room->guests[i] != from)
            say_to(room->guests[i], line);
}

/* Writes what is said to one guest. */
COIL_ASYNC(write_lines, (struct guest *, guest), (coil_stream_writer *, writer))
{
    for (;;) {
        coil_value line;
        char text[64];
        COIL_TRY(coil_queue_get(&guest->lines, &line));
        int rc = coil_stream_write(writer, line.string, strlen(line.string));
        coil_value_clear(&line);
        if (rc == 0 && guest->missed > 0 && coil_queue_empty(&guest->lines)) {
            snprintf(text, sizeof text, "(you missed %d lines)\n", guest->missed);
            guest->missed = 0;
            rc = coil_stream_write(writer, text, strlen(text));
        }
        COIL_TRY(rc);
    }
}

static int enter(struct room *room, struct guest *guest)
{
    if (room->count == GUESTS_MAX)
        return coil_raise(COIL_EAPP, "the room is full");
    *guest = (struct guest){ .missed = 0 };
    coil_queue_init(&guest->lines, LINES_MAX);
    room->guests[room->count++] = guest;
    return 0;
}

static void leave(struct room *room, struct guest *guest)
{
    for (int i = 0; i < room->count; i++)
        if (room->guests[i] == guest)
            room->guests[i] = room->guests[--room->count];
    coil_queue_fini(&guest->lines);
}

static int listen_to(struct room *room, struct guest *guest, coil_stream_reader *reader)
{
    char *line;
    ssize_t length;
    while ((length = coil_stream_readline(reader, &line)) > 0)
        say(room, guest, line);
    return (int)length;
}

COIL_ASYNC(be_guest, (coil_stream_reader *, reader), (coil_stream_writer *, writer), (void *, arg))
{
    struct room *room = arg;
    struct guest guest;
    coil_task_group mouth;
    COIL_TRY(enter(room, &guest));
    coil_task_group_enter(&mouth);
    int rc = coil_task_group_spawn(&mouth, write_lines(&guest, writer));
    if (rc == 0)
        rc = listen_to(room, &guest, reader);
    (void)coil_task_group_cancel(&mouth);
    rc = coil_task_group_exit(&mouth, rc);
    leave(room, &guest);
    return rc == COIL_ECANCELED ? rc : 0; /* a guest may go as it likes */
}

/* ---- guests of its own -------------------------------------------------------------------------- */

struct terminal {
    coil_stream_reader *reader;
    coil_stream_writer *writer;
};

static int chat(struct terminal *first, struct terminal *second)
{
    char *line;
    ssize_t length;
    COIL_TRY(coil_sleep(0.05)); /* all have come in */
    for (int i = 0; i < 2000; i++)
        COIL_TRY(coil_stream_write(first->writer, "can anybody hear me?\n", 21));
    COIL_TRY(length = coil_stream_readline(second->reader, &line));
    printf("the second guest reads: %s", line);
    return 0;
}

static int talk(int port)
{
    struct terminal guests[3] = { { NULL, NULL } };
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = coil_open_connection("127.0.0.1", port, NULL, &guests[i].reader, &guests[i].writer);
    if (rc == 0)
        rc = chat(&guests[0], &guests[1]);
    for (int i = 0; i < 3 && guests[i].writer; i++) {
        coil_stream_close(guests[i].writer);
        coil_unref(guests[i].writer);
        coil_unref(guests[i].reader);
    }
    return rc;
}

COIL_ASYNC(amain, (int, port), (bool, self))
{
    static struct room room;
    coil_server *server;
    COIL_TRY(coil_start_server(be_guest, &room, "127.0.0.1", port, NULL, &server));
    port = coil_server_port(server);
    printf("listening on port %d\n", port);
    fflush(stdout);
    int rc = self ? COIL_TIMEOUT(5, talk(port)) : coil_server_serve_forever(server);
    int left = coil_server_shutdown(server, 1);
    coil_unref(server);
    return rc < 0 ? rc : left < 0 ? left : 0;
}

int main(int argc, char **argv)
{
    bool self = argc > 1 && strcmp(argv[1], "--self") == 0;
    return coil_main(amain(argc > 1 && !self ? atoi(argv[1]) : 0, self));
}
