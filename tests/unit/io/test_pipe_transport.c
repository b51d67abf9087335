/* Transports over pipes: what the other end does, and that no signal comes of it. Order: conformance/transport_pipes. */
#include "lib/held.h"
#include "lib/noter.h"

static char megabyte[1 << 20];

static void open_pipe(int ends[2])
{
    EXPECT(pipe2(ends, O_CLOEXEC) == 0);
}

COIL_ASYNC(fills_a_pipe, (struct noter *, source), (struct noter *, sink))
{
    int ends[2];
    open_pipe(ends);
    source->quiet = true;
    COIL_TRY(coil_connect_write_pipe(&noter_protocol, sink, ends[1], NULL));
    COIL_TRY(coil_transport_write(sink->transport, megabyte, sizeof megabyte));
    EXPECT(coil_transport_can_write_eof(sink->transport));
    EXPECT_INT(coil_transport_get_extra_info(sink->transport, "pipe").integer, ends[1]);
    EXPECT_INT(coil_transport_get_extra_info(sink->transport, "socket").kind, COIL_NIL);
    COIL_TRY(coil_transport_write_eof(sink->transport));
    EXPECT(coil_transport_is_closing(sink->transport));
    COIL_TRY(coil_transport_write(sink->transport, "dropped", 7));
    COIL_TRY(coil_connect_read_pipe(&noter_protocol, source, ends[0], NULL));
    EXPECT_INT(coil_transport_write(source->transport, "x", 1), COIL_ENOTSUP);
    EXPECT_INT(coil_transport_write_eof(source->transport), COIL_ENOTSUP);
    coil_transport_pause_reading(source->transport);
    COIL_TRY(coil_sleep(0.001));
    EXPECT_INT(source->bytes, 0);
    coil_transport_resume_reading(source->transport);
    COIL_TRY(noter_wait(sink));
    return noter_wait(source);
}

TEST(a_pipe_carries_more_than_it_holds)
{
    struct noter source, sink;
    struct held before = held_now();
    noter_init(&source, "");
    noter_init(&sink, "");
    EXPECT_RUN_REAL(fills_a_pipe(&source, &sink), 0);
    EXPECT_NOTES("made pause resume lost(0) destroyed");
    EXPECT_INT(source.code, 0);
    held_expect(before, "pipe");
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

COIL_ASYNC(loses_its_reader, (struct noter *, self), (bool, full))
{
    int ends[2];
    open_pipe(ends);
    COIL_TRY(coil_connect_write_pipe(&noter_protocol, self, ends[1], NULL));
    if (full) {
        COIL_TRY(coil_transport_write(self->transport, megabyte, 200000));
        close(ends[0]);
    } else {
        close(ends[0]);
        COIL_TRY(
            coil_transport_write(self->transport, "x", 1)); /* before the loop has heard of it */
    }
    return noter_wait(self);
}

TEST(a_reader_that_goes_is_an_error_and_no_signal)
{
    // a library must not let SIGPIPE end the program
    struct noter self;
    char expected[80];
    signals = 0;
    void (*old)(int) = signal(SIGPIPE, count_signal);
    noter_init(&self, "");
    EXPECT_RUN_REAL(loses_its_reader(&self, false), 0);
    snprintf(expected, sizeof expected, "made lost(%d) destroyed", -EPIPE);
    EXPECT_NOTES(expected);
    noter_init(&self, "");
    EXPECT_RUN_REAL(loses_its_reader(&self, true), 0);
    snprintf(expected, sizeof expected, "made pause lost(%d) destroyed", -EPIPE);
    EXPECT_NOTES(expected);
    EXPECT_INT(signals, 0);
    signal(SIGPIPE, old);
}

COIL_ASYNC0(is_refused)
{
    struct noter self;
    noter_init(&self, "");
    int regular = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ends[2];
    EXPECT_INT(coil_connect_read_pipe(&noter_protocol, &self, regular, NULL), COIL_EINVAL);
    EXPECT_INT(coil_connect_write_pipe(&noter_protocol, &self, -1, NULL), -EBADF);
    close(regular);
    open_pipe(ends);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_connect_read_pipe(&noter_protocol, &self, ends[0], NULL), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    EXPECT_INT(self.destroyed, 3);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST(what_is_no_pipe_is_refused)
{
    struct held before = held_now();
    EXPECT_RUN_REAL(is_refused(), 0);
    EXPECT_NOTES("destroyed destroyed destroyed");
    held_expect(before, "refused");
}

TESTS_MAIN(RUN(a_pipe_carries_more_than_it_holds),
           RUN(a_reader_that_goes_is_an_error_and_no_signal), RUN(what_is_no_pipe_is_refused))
