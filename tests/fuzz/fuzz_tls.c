/* A TLS client and a TLS server, and between them somebody who holds the line: bytes are changed, dropped, put in,
 * garbage is sent from the start, the connection is closed, reset or left hanging. Each end must come to its end,
 * tell its protocol once, leave nothing behind; and what an application is given must be what the other sent.
 *
 * Keys and random numbers differ from run to run, so the same bytes do not make quite the same run. */
#include <openssl/err.h>
#include "io/stream_writer.h"
#include "io/tls_transport.h"
#include "lib/certs.h"
#include "fuzz.h"

enum {
    SENT_MAX = 100000, /* of plain text, in one direction */
    LARGE = 40000,     /* more than two records */
    NOT_LOST = 1,
};

static const double LONG = 1000; /* seconds: longer than every limit */

static char text[SENT_MAX];
static coil_tls_context *contexts[2];

/* One side: the application, the end of its line, and the end that the attacker holds. */
struct side {
    struct session *session;
    coil_transport *transport, *ends[2];
    struct side *other;
    size_t sent, received;
    int lost;
    bool made, answers;
    /* With streams instead of a protocol. */
    coil_stream_reader *reader;
    coil_stream_writer *writer;
    coil_task *task;
    /* The attacker's plan for what comes from this side. */
    size_t passed, flip_at;
    uint8_t flip;
};

struct session {
    struct fuzz_input *input;
    struct side sides[2];
};

/* ---- the applications ----------------------------------------------------------------------------- */

static void take(struct side *self, const void *data, size_t bytes)
{
    FUZZ_CHECK(self->received + bytes <= self->other->sent);
    FUZZ_CHECK(memcmp(text + self->received, data, bytes) == 0);
    self->received += bytes;
}

static void send_some(struct side *self, size_t bytes)
{
    if (!self->made || self->lost != NOT_LOST || self->sent + bytes > SENT_MAX)
        return;
    const char *from = text + self->sent;
    self->sent += bytes; /* whether it is an error or not: some of it may have gone */
    int rc = self->writer ? coil_stream_write_nowait(self->writer, from, bytes)
                          : coil_transport_write(self->transport, from, bytes);
    (void)rc; /* the line is somebody else's */
}

static int made(void *arg, coil_transport *transport)
{
    struct side *self = arg;
    FUZZ_CHECK(!self->made && transport == self->transport);
    self->made = true;
    return 0;
}

static int received(void *arg, const void *data, size_t bytes)
{
    struct side *self = arg;
    FUZZ_CHECK(self->made && self->lost == NOT_LOST);
    take(self, data, bytes);
    if (self->answers)
        send_some(self, bytes);
    return 0;
}

static int lost(void *arg, int code)
{
    struct side *self = arg;
    FUZZ_CHECK(self->made && self->lost == NOT_LOST);
    self->lost = code;
    return 0;
}

static const coil_protocol application = {
    .size = sizeof(coil_protocol),
    .name = "application",
    .connection_made = made,
    .data_received = received,
    .connection_lost = lost,
};

COIL_ASYNC(reads, (struct side *, self))
{
    char *data;
    ssize_t got;
    while ((got = coil_stream_read_chunk(self->reader, &data)) > 0)
        take(self, data, (size_t)got);
    return 0;
}

/* ---- the attacker -------------------------------------------------------------------------------- */

/* Nothing passes before both lines stand. */
static int hold(void *arg, coil_transport *transport)
{
    (void)arg;
    coil_transport_pause_reading(transport);
    return 0;
}

static int pass_on(void *arg, const void *data, size_t bytes)
{
    struct side *self = arg;
    char *copy = malloc(bytes);
    FUZZ_CHECK(copy);
    memcpy(copy, data, bytes);
    if (self->flip_at >= self->passed && self->flip_at - self->passed < bytes)
        copy[self->flip_at - self->passed] = (char)(copy[self->flip_at - self->passed] ^
                                                    self->flip);
    self->passed += bytes;
    (void)coil_transport_write(self->other->ends[1], copy, bytes); /* nobody minds */
    free(copy);
    return 0;
}

static int pass_end_on(void *arg)
{
    struct side *self = arg;
    (void)coil_transport_write_eof(self->other->ends[1]); /* nobody minds */
    return 1;
}

static const coil_protocol attacker = {
    .size = sizeof(coil_protocol),
    .name = "attacker",
    .connection_made = hold,
    .data_received = pass_on,
    .eof_received = pass_end_on,
};

static void put_in(struct side *self)
{
    struct fuzz_input *input = self->session->input;
    size_t bytes = fuzz_byte(input);
    if (bytes > input->left)
        bytes = input->left;
    (void)coil_transport_write(self->ends[1], input->at, bytes); /* nobody minds */
    input->at += bytes;
    input->left -= bytes;
}

/* A record with a good header, and nothing good in it. */
static void put_record_in(struct side *self)
{
    struct fuzz_input *input = self->session->input;
    unsigned char record[5 + 64] = { 20 + fuzz_byte(input) % 6, 3, 3, 0, 0 };
    record[4] = (unsigned char)(fuzz_byte(input) % 64);
    for (size_t i = 0; i < record[4]; i++)
        record[5 + i] = (unsigned char)fuzz_byte(input);
    (void)coil_transport_write(self->ends[1], record, 5 + (size_t)record[4]); /* nobody minds */
}

static void attack(struct side *self, unsigned choice)
{
    struct fuzz_input *input = self->session->input;
    switch (choice % 8) {
    case 0:
        put_in(self);
        break;
    case 1:
        put_record_in(self);
        break;
    case 2:
    case 3:
        self->flip = (uint8_t)(fuzz_byte(input) | 1);
        self->flip_at = self->passed + fuzz_size(input, 8000);
        break;
    case 4:
        coil_testing_reset(self->ends[1]);
        break;
    case 5:
        coil_testing_cut(self->ends[1]);
        break;
    case 6:
        (void)coil_transport_write_eof(self->ends[1]); /* nobody minds */
        break;
    default:
        coil_transport_close(self->ends[1]);
        break;
    }
}

/* ---- the run -------------------------------------------------------------------------------------- */

static void stop_reading(struct side *self)
{
    if (self->task && !coil_future_done(self->task))
        (void)coil_task_cancel(self->task, NULL); /* it is not done */
}

static void start_reading(struct side *self)
{
    if (!self->reader || (self->task && !coil_future_done(self->task)))
        return;
    coil_unref(self->task);
    self->task = coil_create_task(reads(self));
    FUZZ_CHECK(self->task);
}

static int act(struct side *self, unsigned choice)
{
    struct fuzz_input *input = self->session->input;
    self->made = self->made || (self->writer && self->writer->transport);
    switch (choice % 13) {
    case 0:
        attack(self, choice / 13);
        return 0;
    case 1:
    case 2:
    case 3:
        send_some(self, fuzz_size(input, LARGE));
        return 0;
    case 4:
        coil_transport_pause_reading(self->transport);
        return 0;
    case 5:
        coil_transport_resume_reading(self->transport);
        return 0;
    case 6:
        start_reading(self);
        return 0;
    case 7:
        stop_reading(self);
        return 0;
    case 8:
        coil_transport_close(self->transport);
        return 0;
    case 9:
        if (choice > 0x80)
            coil_transport_abort(self->transport);
        return 0;
    default:
        return coil_sleep(fuzz_byte(input) / 32.0);
    }
}

static int open_side(struct side *self, struct session *session, int number, unsigned how)
{
    coil_testing_link link = COIL_TESTING_LINK_INIT;
    coil_tls_options options = COIL_TLS_OPTIONS_INIT;
    void *below;
    *self = (struct side){ .session = session, .lost = NOT_LOST, .flip_at = SIZE_MAX };
    self->other = &session->sides[!number];
    self->answers = how & 1;
    if (how & 2)
        COIL_TRY(coil__stream_new(0, &self->reader, &self->writer));
    options.server_hostname = number ? NULL : "good.test";
    COIL_TRY(coil__tls_transport_begin(contexts[number], &options, 0, coil_get_running_loop(),
                                       self->writer ? &coil__stream_protocol : &application,
                                       self->writer ? (void *)self->writer : (void *)self,
                                       &self->transport, &below));
    coil_ref(self->transport);
    link.piece_max = how & 4 ? 1 + fuzz_byte(session->input) * 16u : 0;
    link.delay_max = how & 8 ? 1 : 0;
    link.room = how & 16 ? 100 + fuzz_size(session->input, 5000) : 0;
    return coil_testing_connect(&link, &coil__tls_lower_protocol, below, &attacker, self,
                                self->ends);
}

/* In whatever state it is: closed, it must be over before long. */
static int close_side(struct side *self)
{
    stop_reading(self);
    COIL_TRY(coil_sleep(0));
    coil_transport_resume_reading(self->transport);
    coil_transport_close(self->transport);
    return 0;
}

static void release_side(struct side *self)
{
    FUZZ_CHECK(self->transport->loop == NULL); /* connection_lost is behind it */
    FUZZ_CHECK(self->writer || !self->made || self->lost != NOT_LOST);
    coil_unref(self->task);
    coil_unref(self->writer);
    coil_unref(self->reader);
    coil_unref(self->transport);
    coil_unref(self->ends[0]);
    coil_unref(self->ends[1]);
}

COIL_ASYNC(drives, (struct session *, self))
{
    for (int i = 0; i < 2; i++)
        COIL_TRY(open_side(&self->sides[i], self, i, fuzz_byte(self->input)));
    for (int i = 0; i < 2; i++)
        coil_transport_resume_reading(self->sides[i].ends[1]);
    while (self->input->left > 0) {
        unsigned choice = fuzz_byte(self->input);
        COIL_TRY(act(&self->sides[choice & 1], choice >> 1));
        if (choice % 5 > 0)
            COIL_TRY(coil_sleep(0));
    }
    for (int i = 0; i < 2; i++)
        COIL_TRY(close_side(&self->sides[i]));
    COIL_TRY(coil_sleep(LONG));
    for (int i = 0; i < 2; i++)
        coil_transport_abort(self->sides[i].ends[1]);
    COIL_TRY(coil_sleep(LONG));
    for (int i = 0; i < 2; i++)
        release_side(&self->sides[i]);
    FUZZ_CHECK(ERR_peek_error() == 0); /* nothing that the next connection would stumble over */
    return 0;
}

static void make_contexts(void)
{
    static const char *const protocols[] = { "h2", "http/1.1" };
    struct cert root = certs_root("root"), leaf = certs_leaf("good.test", 10, &root);
    contexts[0] = coil_tls_context_new(COIL_TLS_CLIENT);
    contexts[1] = coil_tls_context_new(COIL_TLS_SERVER);
    FUZZ_CHECK(contexts[0] && contexts[1]);
    coil_tls_context_set_session_reuse(contexts[0], false); /* what it keeps is no leak */
    FUZZ_CHECK(coil_tls_context_add_ca(contexts[0], root.cert_pem) == 0);
    FUZZ_CHECK(coil_tls_context_use_cert_chain(contexts[1], leaf.cert_pem, leaf.key_pem, NULL) ==
               0);
    for (int i = 0; i < 2; i++)
        FUZZ_CHECK(coil_tls_context_set_alpn_protocols(contexts[i], protocols, 2) == 0);
    certs_free(&leaf);
    certs_free(&root);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 + i / 251);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct session session = { .input = &(struct fuzz_input){ data, bytes } };
    if (!contexts[0])
        make_contexts();
    fuzz_run(drives(&session));
    return 0;
}
