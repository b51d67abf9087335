/* Datagram transports: what cannot be sent at once, what cannot be sent at all, and addresses. The ordinary exchange is
 * in conformance/datagram_echo. */
#include "lib/held.h"
#include "lib/noter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include "io/transport.h"

struct sink {
    struct noter noter;
    int received, errors, last_error;
};

static int sink_received(void *arg, const void *data, size_t bytes, const struct sockaddr *address,
                         socklen_t length)
{
    struct sink *self = arg;
    (void)data;
    (void)bytes;
    (void)address;
    (void)length;
    self->received++;
    return noter_acts(&self->noter, "datagram");
}

static int sink_error(void *arg, int code)
{
    struct sink *self = arg;
    self->errors++;
    self->last_error = code;
    return 0;
}

static coil_protocol sink_protocol(void)
{
    coil_protocol protocol = noter_protocol;
    protocol.datagram_received = sink_received;
    protocol.error_received = sink_error;
    return protocol;
}

static void sink_init(struct sink *self)
{
    memset(self, 0, sizeof *self);
    noter_init(&self->noter, "");
    self->noter.quiet = true;
}

/* A pair of Unix datagram sockets: one queue holds little, so that sending soon has to wait. */
COIL_ASYNC(sends_many, (struct sink *, self))
{
    enum {
        MANY = 2000
    };
    int ends[2];
    char data[1000] = "";
    coil_protocol protocol = sink_protocol();
    EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    COIL_TRY(coil_create_datagram_endpoint_sock(&protocol, self, ends[0], NULL));
    coil_transport *transport = self->noter.transport;
    self->noter.quiet = false;
    for (int i = 0; i < MANY; i++)
        COIL_TRY(coil_transport_sendto(transport, data, (size_t)i % sizeof data, NULL, 0));
    EXPECT(coil_transport_get_write_buffer_size(transport) > 65536);
    coil_transport_close(transport); /* what is kept is still sent */
    for (int i = 0; i < MANY; i++)
        EXPECT_INT(coil_sock_recv(ends[1], data, sizeof data), i % (int)sizeof data);
    COIL_TRY(noter_wait(&self->noter));
    EXPECT_INT(coil_get_running_loop()->buffered, 0);
    coil_sock_close(ends[1]);
    return 0;
}

TEST(datagrams_that_must_wait_keep_their_order_and_boundaries)
{
    struct sink self;
    struct held before = held_now();
    sink_init(&self);
    EXPECT_RUN_REAL(sends_many(&self), 0);
    EXPECT_NOTES("pause resume lost(0) destroyed");
    EXPECT_INT(self.errors, 0);
    held_expect(before, "datagrams");
}

static int acts_abort(struct noter *self, const char *call)
{
    if (strcmp(call, self->act_on) == 0)
        coil_transport_abort(self->transport);
    return 0;
}

COIL_ASYNC(goes_wrong, (struct sink *, self))
{
    static char large[100000];
    struct sockaddr_in other = { .sin_family = AF_INET };
    coil_protocol protocol = sink_protocol();
    coil_datagram_options options = COIL_DATAGRAM_OPTIONS_INIT;
    EXPECT_INT(coil_create_datagram_endpoint(&protocol, self, &options, NULL), COIL_EINVAL);
    options.remote_host = "not numeric";
    EXPECT_INT(coil_create_datagram_endpoint(&protocol, self, &options, NULL), COIL_EGAI_NONAME);
    EXPECT_INT(self->noter.destroyed, 2);
    sink_init(self);

    options.local_host = options.remote_host = "127.0.0.1";
    options.remote_port = 9; /* nobody is there */
    COIL_TRY(coil_create_datagram_endpoint(&protocol, self, &options, NULL));
    coil_transport *transport = coil_ref(self->noter.transport);
    EXPECT_INT(coil_transport_sendto(transport, "x", 1, (struct sockaddr *)&other, sizeof other),
               COIL_EINVAL);
    EXPECT_INT(coil_transport_write(transport, "x", 1), COIL_ENOTSUP);
    COIL_TRY(coil_transport_sendto(transport, large, sizeof large, NULL, 0));
    EXPECT_INT(self->last_error, -EMSGSIZE);
    for (int i = 0; i < 100 && self->errors < 2; i++)
        COIL_TRY(coil_sleep(0.001));
    EXPECT(self->errors >= 1);
    EXPECT(!coil_transport_is_closing(transport)); /* it goes on */
    coil_transport_abort(transport);
    COIL_TRY(noter_wait(&self->noter));
    COIL_TRY(coil_transport_sendto(transport, "x", 1, NULL, 0));
    coil_unref(transport);
    return 0;
}

TEST(a_datagram_that_goes_wrong_does_not_end_the_transport)
{
    struct sink self;
    struct held before = held_now();
    sink_init(&self);
    EXPECT_RUN_REAL(goes_wrong(&self), 0);
    held_expect(before, "wrong");
}

COIL_ASYNC(aborts_in_its_call, (struct sink *, self))
{
    int ends[2];
    coil_protocol protocol = sink_protocol();
    EXPECT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    self->noter.act = acts_abort;
    self->noter.act_on = "datagram";
    COIL_TRY(coil_create_datagram_endpoint_sock(&protocol, self, ends[0], NULL));
    EXPECT(send(ends[1], "1", 1, 0) == 1 && send(ends[1], "2", 1, 0) == 1);
    COIL_TRY(noter_wait(&self->noter));
    EXPECT_INT(self->received, 1);
    close(ends[1]);
    return 0;
}

TEST(nothing_comes_after_abort)
{
    struct sink self;
    sink_init(&self);
    EXPECT_RUN_REAL(aborts_in_its_call(&self), 0);
}

TESTS_MAIN(RUN(datagrams_that_must_wait_keep_their_order_and_boundaries),
           RUN(a_datagram_that_goes_wrong_does_not_end_the_transport),
           RUN(nothing_comes_after_abort))
