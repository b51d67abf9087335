/* The server of examples/http_hello.c, which parses what its clients send: whatever that is, it must answer in HTTP,
 * or not at all, and come to its end when the client does. */
#include "io/stream_writer.h"
#include "fuzz.h"

int http_hello_main(int argc, char **argv);
#define main http_hello_main
#include "../../examples/http_hello.c"
#undef main

struct client {
    size_t received;
};

static int received_answer(void *self, const void *data, size_t bytes)
{
    static const char begin[] = "HTTP/1.1 ";
    struct client *client = self;
    for (size_t i = 0; i < bytes && client->received + i < sizeof begin - 1; i++)
        FUZZ_CHECK(((const char *)data)[i] == begin[client->received + i]);
    client->received += bytes;
    return 0;
}

static const coil_protocol client_protocol = {
    .size = sizeof(coil_protocol),
    .name = "client",
    .data_received = received_answer,
};

/* The first byte picks the portions in which the rest arrives. */
COIL_ASYNC(asks, (struct fuzz_input *, input))
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_transport *ends[2];
    struct client client = { 0 };
    link.piece_max = fuzz_byte(input);
    COIL_TRY(coil__stream_new(HEAD_MAX, &reader, &writer));
    COIL_TRY(coil_testing_connect(&link, &coil__stream_protocol, writer, &client_protocol, &client,
                                  ends));
    coil_task *task = coil_create_task(serve_client(reader, writer, NULL));
    FUZZ_CHECK(task);
    (void)coil_transport_write(ends[1], input->at, input->left);
    (void)coil_transport_write_eof(ends[1]);
    COIL_TRY(coil_sleep(1000));
    FUZZ_CHECK(coil_future_done(task));
    coil_transport_abort(ends[1]);
    coil_stream_close(writer);
    COIL_TRY(coil_sleep(1));
    coil_unref(task);
    coil_unref(writer);
    coil_unref(reader);
    coil_unref(ends[0]);
    coil_unref(ends[1]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    fuzz_run(asks(&(struct fuzz_input){ data, bytes }));
    return 0;
}
