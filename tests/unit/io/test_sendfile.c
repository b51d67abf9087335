/* Sending files: all of it, a part, by the system or piece by piece, and what is left when it is cut short. */
#include "lib/held.h"
#include "lib/noter.h"

enum {
    FILE_BYTES = 1 << 20
};

static char content[FILE_BYTES];

static int make_file(void)
{
    char name[] = "/tmp/coil-test-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    unlink(name);
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 7 + i / 4096);
    EXPECT(fd >= 0 && write(fd, content, sizeof content) == (ssize_t)sizeof content);
    return fd;
}

/* Reads so much and compares it with the file from this offset on. */
COIL_ASYNC(receives, (int, fd), (int64_t, offset), (int64_t, bytes))
{
    static char data[65536];
    while (bytes > 0) {
        ssize_t got = coil_sock_recv(fd, data, sizeof data);
        if (!EXPECT(got > 0 && got <= bytes))
            return COIL_EINCOMPLETE;
        EXPECT(memcmp(data, content + offset, (size_t)got) == 0);
        offset += got;
        bytes -= got;
    }
    return 0;
}

static int expect_received(int fd, int64_t offset, int64_t bytes)
{
    return coil_await(receives(fd, offset, bytes), NULL);
}

COIL_ASYNC(sends_by_transport, (struct noter *, self))
{
    int ends[2], file = make_file();
    noter_pair(ends, true);
    COIL_TRY(coil_create_connection_sock(&noter_protocol, self, ends[0], NULL, NULL));
    coil_transport *transport = coil_ref(self->transport);
    coil_task *reader = coil_create_task(receives(ends[1], 0, FILE_BYTES));
    EXPECT_INT(coil_sendfile(transport, file, 0, 0, false), FILE_BYTES);
    EXPECT_INT(lseek(file, 0, SEEK_CUR), FILE_BYTES);
    COIL_TRY(coil_await(reader, NULL));
    coil_unref(reader);

    reader = coil_create_task(receives(ends[1], 1000, 150000 + 4));
    COIL_TRY(coil_transport_write(transport, content + 1000, 4)); /* goes first */
    EXPECT_INT(coil_sendfile(transport, file, 1004, 150000, false), 150000);
    COIL_TRY(coil_await(reader, NULL));
    coil_unref(reader);
    EXPECT_INT(coil_sendfile(transport, file, FILE_BYTES, 0, false), 0);
    EXPECT_INT(coil_sendfile(transport, file, -1, 0, false), COIL_EINVAL);
    EXPECT(coil_transport_is_reading(transport));

    /* A pipe cannot be sent by itself, and cannot be read at an offset either. */
    int ends_of_pipe[2];
    EXPECT(pipe2(ends_of_pipe, O_CLOEXEC) == 0);
    EXPECT_INT(coil_sendfile(transport, ends_of_pipe[0], 0, 10, false), COIL_ENOTSUP);
    EXPECT_INT(coil_sendfile(transport, ends_of_pipe[0], 0, 10, true), -ESPIPE);
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);

    coil_transport_close(transport);
    EXPECT_INT(coil_sendfile(transport, file, 0, 0, true), COIL_ERUNTIME);
    COIL_TRY(noter_wait(self));
    coil_unref(transport);
    coil_sock_close(ends[1]);
    close(file);
    return 0;
}

TEST(a_file_goes_out_behind_what_was_written)
{
    struct noter self;
    struct held before = held_now();
    noter_init(&self, "");
    EXPECT_RUN_REAL(sends_by_transport(&self), 0);
    EXPECT_NOTES("made lost(0) destroyed");
    held_expect(before, "sendfile");
}

COIL_ASYNC(sends, (coil_transport *, transport), (int, file))
{
    int64_t sent = coil_sendfile(transport, file, 0, 0, true);
    return sent < 0 ? (int)sent : 0;
}

COIL_ASYNC(is_cut_short, (struct noter *, self), (int, how))
{
    int ends[2], file = make_file();
    noter_pair(ends, true);
    COIL_TRY(coil_create_connection_sock(&noter_protocol, self, ends[0], NULL, NULL));
    coil_transport *transport = coil_ref(self->transport);
    coil_task *task = coil_create_task(sends(transport, file));
    COIL_TRY(coil_sleep(0.002));
    EXPECT_INT(coil_transport_write(transport, "between", 7), COIL_ERUNTIME);
    EXPECT_INT(coil_sendfile(transport, file, 0, 0, true), COIL_ERUNTIME);
    if (how == COIL_ECANCELED)
        coil_task_cancel(task, NULL);
    else if (how == COIL_ECLOSED)
        coil_transport_abort(transport);
    else
        close(ends[1]);
    EXPECT_INT(coil_await(task, NULL), how);
    off_t position = lseek(file, 0, SEEK_CUR);
    EXPECT(position > 0 && position < FILE_BYTES);
    if (how == COIL_ECANCELED)
        COIL_TRY(expect_received(ends[1], 0, position));
    coil_unref(task);
    coil_transport_abort(transport);
    COIL_TRY(noter_wait(self));
    coil_unref(transport);
    if (how != -EPIPE)
        coil_sock_close(ends[1]);
    close(file);
    return 0;
}

TEST(a_file_that_is_cut_short_says_how_far_it_came)
{
    static const int ways[] = { COIL_ECANCELED, COIL_ECLOSED, -EPIPE };
    for (int i = 0; i < 3; i++) {
        struct noter self;
        struct held before = held_now();
        noter_init(&self, "");
        self.quiet = true;
        EXPECT_RUN_REAL(is_cut_short(&self, ways[i]), 0);
        held_expect(before, coil_error_name(ways[i]));
    }
}

COIL_ASYNC0(sends_by_socket)
{
    int ends[2], file = make_file(), ends_of_pipe[2];
    noter_pair(ends, true);
    coil_task *reader = coil_create_task(receives(ends[1], 10, FILE_BYTES - 10));
    EXPECT_INT(coil_sock_sendfile(ends[0], file, 10, 0, false), FILE_BYTES - 10);
    COIL_TRY(coil_await(reader, NULL));
    coil_unref(reader);
    EXPECT(pipe2(ends_of_pipe, O_CLOEXEC) == 0);
    EXPECT_INT(coil_sock_sendfile(ends[0], ends_of_pipe[0], 0, 10, false), COIL_ENOTSUP);
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);
    coil_sock_close(ends[1]);
    EXPECT_INT(coil_sock_sendfile(ends[0], file, 0, 0, true), -EPIPE); /* and no signal */
    coil_sock_close(ends[0]);
    close(file);
    return 0;
}

TEST(a_file_goes_out_over_a_plain_socket)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(sends_by_socket(), 0);
    held_expect(before, "sock_sendfile");
}

TESTS_MAIN(RUN(a_file_goes_out_behind_what_was_written),
           RUN(a_file_that_is_cut_short_says_how_far_it_came),
           RUN(a_file_goes_out_over_a_plain_socket))
