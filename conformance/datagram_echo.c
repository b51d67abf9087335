/* Datagrams keep their boundaries; a server answers each sender; empty ones arrive, too.
 *
 * Why: Boundaries, empty datagrams and per-sender answers are what distinguish UDP from a
 * stream.
 * Tags: real */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "kit/kit.h"

struct echo {
    coil_transport *transport;
};

static int echo_made(void *self, coil_transport *transport)
{
    ((struct echo *)self)->transport = transport;
    return 0;
}

static int echo_received(void *self, const void *data, size_t count, const struct sockaddr *address,
                         socklen_t length)
{
    char answer[100];
    int bytes_ = snprintf(answer, sizeof answer, "echo:%.*s", (int)count, (const char *)data);
    return coil_transport_sendto(((struct echo *)self)->transport, answer, (size_t)bytes_, address,
                                 length);
}

static const coil_protocol echo = { .size = sizeof echo,
                                    .connection_made = echo_made,
                                    .datagram_received = echo_received };

struct client {
    coil_queue queue;
    coil_future *lost;
};

static int client_made(COIL_UNUSED void *self, COIL_UNUSED coil_transport *transport)
{
    say("client connection_made");
    return 0;
}

static int client_received(void *self, const void *data, size_t count,
                           COIL_UNUSED const struct sockaddr *address, COIL_UNUSED socklen_t length)
{
    return coil_queue_put_nowait(&((struct client *)self)->queue, bytes(data, count));
}

static int client_lost(void *self, int code)
{
    return coil_future_set_result(((struct client *)self)->lost, kind(code));
}

static const coil_protocol protocol = {
    .size = sizeof protocol,
    .connection_made = client_made,
    .datagram_received = client_received,
    .connection_lost = client_lost,
};

COIL_ASYNC0(amain)
{
    coil_transport *server, *transport;
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    struct echo self;
    coil_datagram_options options = COIL_DATAGRAM_OPTIONS_INIT;
    options.local_host = "127.0.0.1";
    COIL_TRY(coil_create_datagram_endpoint(&echo, &self, &options, &server));
    COIL_TRY(coil_transport_sockname(server, (struct sockaddr *)&address, &length));

    struct client client = { .lost = coil_create_future(NULL) };
    coil_queue_init(&client.queue, 0);
    options = (coil_datagram_options)COIL_DATAGRAM_OPTIONS_INIT;
    options.remote_host = "127.0.0.1";
    options.remote_port = ntohs(address.sin_port);
    COIL_TRY(coil_create_datagram_endpoint(&protocol, &client, &options, &transport));
    static const char *const words[] = { "one", "", "three" };
    for (int i = 0; i < 3; i++) {
        coil_value answer;
        COIL_TRY(coil_transport_sendto(transport, words[i], strlen(words[i]), NULL, 0));
        COIL_TRY(coil_queue_get(&client.queue, &answer));
        say(answer);
    }
    COIL_TRY(coil_transport_sendto(transport, "first", 5, NULL, 0));
    COIL_TRY(coil_transport_sendto(transport, "second", 6, NULL, 0));
    coil_value answers[2];
    for (int i = 0; i < 2; i++)
        COIL_TRY(coil_queue_get(&client.queue, &answers[i]));
    say(list_of(answers, 2));
    coil_transport_close(transport);
    coil_value lost;
    COIL_TRY(join(client.lost, &lost));
    say("client connection_lost", lost);
    coil_transport_close(server);
    COIL_TRY(coil_sleep(0));
    coil_queue_fini(&client.queue);
    coil_unref(transport);
    coil_unref(server);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
