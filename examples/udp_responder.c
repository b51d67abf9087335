/* A small name server by UDP: it answers DNS queries for the addresses in a table. What comes from the network is
 * checked before it is believed; who asks faster than the answers can be sent is not answered, and asks again.
 *
 *     udp_responder [PORT]      0, the default: any free one, which it prints; then: dig -p PORT @127.0.0.1 coil.test
 *     udp_responder --self      asks itself, and ends
 *
 * Tests run it with: --self
 * Explored as: amain(0, true)
 * Explored as a run: the endpoint is closed a turn after amain. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <coil/coil.h>

/* ---- the table ---------------------------------------------------------------------------------- */

static const struct entry {
    const char *name;
    uint8_t address[4];
} table[] = {
    { "coil.test", { 192, 0, 2, 1 } },
    { "www.coil.test", { 192, 0, 2, 2 } },
};

static const struct entry *look_up(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* ---- messages: RFC 1035 ------------------------------------------------------------------------- */

enum {
    HEAD_BYTES = 12,
    NAME_MAX_BYTES = 255, /* as it is sent */
    LABEL_MAX = 63,
    ANSWER_BYTES = 16,
    REPLY_MAX = HEAD_BYTES + NAME_MAX_BYTES + 4 + ANSWER_BYTES,
    TYPE_A = 1,
    CLASS_IN = 1,
    TTL_SECONDS = 60,
};

enum status {
    NO_ERROR = 0,
    BAD_FORMAT = 1,
    NO_SUCH_NAME = 3,
    NOT_IMPLEMENTED = 4,
};

static unsigned get16(const uint8_t *at)
{
    return (unsigned)(at[0] << 8 | at[1]);
}

static uint8_t *put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

struct question {
    char name[NAME_MAX_BYTES + 1]; /* a text, with dots */
    unsigned type, class;
    size_t bytes; /* of all of it, as it was sent */
};

/* Takes the labels of a name apart: how many bytes they take, or 0. A question has no reason to refer to
 * other names, so references are refused, and there are no circles to be caught in. */
static size_t parse_name(const uint8_t *data, size_t bytes, char *name)
{
    size_t at = 0, length = 0;
    while (at < bytes && data[at] != 0) {
        size_t label = data[at++];
        if (label > LABEL_MAX || label > bytes - at || at + label >= NAME_MAX_BYTES)
            return 0;
        if (length > 0)
            name[length++] = '.';
        for (size_t i = 0; i < label; i++, at++)
            name[length++] = data[at] > ' ' && data[at] < 127 && data[at] != '.' ? (char)data[at]
                                                                                 : '?';
    }
    name[length] = '\0';
    return at < bytes ? at + 1 : 0;
}

static bool parse_question(const uint8_t *data, size_t bytes, struct question *question)
{
    size_t at = parse_name(data, bytes, question->name);
    if (at == 0 || bytes - at < 4)
        return false;
    question->type = get16(data + at);
    question->class = get16(data + at + 2);
    question->bytes = at + 4;
    return true;
}

static enum status judge(const uint8_t *query, size_t bytes, struct question *question,
                         const struct entry **entry_out)
{
    if ((query[2] >> 3 & 15) != 0)
        return NOT_IMPLEMENTED; /* no query, but an update or the like */
    if (get16(query + 4) != 1 || !parse_question(query + HEAD_BYTES, bytes - HEAD_BYTES, question))
        return BAD_FORMAT;
    const struct entry *entry = look_up(question->name);
    if (!entry || question->class != CLASS_IN)
        return NO_SUCH_NAME;
    if (question->type == TYPE_A)
        *entry_out = entry;
    return NO_ERROR;
}

/* Writes the reply to a query: how many bytes it has. 0: the query deserves none. */
static size_t reply_to(const uint8_t *query, size_t bytes, uint8_t reply[REPLY_MAX])
{
    struct question question = { .bytes = 0 };
    const struct entry *entry = NULL;
    if (bytes < HEAD_BYTES || query[2] & 0x80) /* replies to replies would go on for ever */
        return 0;
    enum status status = judge(query, bytes, &question, &entry);
    uint8_t *at = put16(reply, get16(query));
    *at++ = (uint8_t)(0x84 | (query[2] & 0x79)); /* a reply, with authority */
    *at++ = (uint8_t)status;
    at = put16(at, question.bytes > 0);
    at = put16(at, entry != NULL);
    at = put16(put16(at, 0), 0);
    memcpy(at, query + HEAD_BYTES, question.bytes);
    at += question.bytes;
    if (entry) {
        at = put16(at, 0xc000 | HEAD_BYTES); /* the name of the question */
        at = put16(put16(at, TYPE_A), CLASS_IN);
        at = put16(put16(at, 0), TTL_SECONDS);
        at = put16(at, sizeof entry->address);
        memcpy(at, entry->address, sizeof entry->address);
        at += sizeof entry->address;
    }
    return (size_t)(at - reply);
}

/* ---- the protocol ------------------------------------------------------------------------------- */

struct responder {
    coil_transport *transport; /* lent from connection_made to connection_lost */
    bool full;                 /* the system takes no more at the moment */
};

static int create(void *arg, void **self_out)
{
    (void)arg;
    *self_out = calloc(1, sizeof(struct responder));
    return *self_out ? 0 : coil_raise(COIL_ENOMEM, "a responder");
}

static int made(void *arg, coil_transport *transport)
{
    struct responder *self = arg;
    self->transport = transport;
    return 0;
}

static int received(void *arg, const void *data, size_t bytes, const struct sockaddr *from,
                    socklen_t from_bytes)
{
    struct responder *self = arg;
    uint8_t reply[REPLY_MAX];
    size_t reply_bytes = self->full ? 0 : reply_to(data, bytes, reply);
    return reply_bytes > 0
               ? coil_transport_sendto(self->transport, reply, reply_bytes, from, from_bytes)
               : 0;
}

static int pause_sending(void *arg)
{
    ((struct responder *)arg)->full = true;
    return 0;
}

static int resume_sending(void *arg)
{
    ((struct responder *)arg)->full = false;
    return 0;
}

static const coil_protocol responder = {
    .size = sizeof(coil_protocol),
    .name = "responder",
    .create = create,
    .connection_made = made,
    .datagram_received = received,
    .pause_writing = pause_sending,
    .resume_writing = resume_sending,
    .destroy = free,
};

/* ---- asking ------------------------------------------------------------------------------------- */

static size_t write_query(const char *name, uint8_t *query)
{
    uint8_t *at = put16(put16(query, 4711), 0x0100);
    at = put16(put16(put16(put16(at, 1), 0), 0), 0);
    while (*name) {
        size_t label = strcspn(name, ".");
        *at++ = (uint8_t)label;
        memcpy(at, name, label);
        at += label;
        name += label + (name[label] == '.');
    }
    *at++ = 0;
    return (size_t)(put16(put16(at, TYPE_A), CLASS_IN) - query);
}

static int ask(int fd, const char *name)
{
    uint8_t query[HEAD_BYTES + NAME_MAX_BYTES + 4], reply[REPLY_MAX];
    char text[INET_ADDRSTRLEN];
    ssize_t bytes;
    COIL_TRY(coil_sock_sendall(fd, "nonsense", 8)); /* is not answered, and harms nobody */
    COIL_TRY(coil_sock_sendall(fd, query, write_query(name, query)));
    COIL_TRY(bytes = coil_sock_recv(fd, reply, sizeof reply));
    if (bytes < HEAD_BYTES || get16(reply) != 4711)
        return coil_raise(COIL_EAPP, "that is no reply");
    if (get16(reply + 6) == 0)
        printf("%s: no address, status %d\n", name, reply[3] & 15);
    else
        printf("%s: %s\n", name, inet_ntop(AF_INET, reply + bytes - 4, text, sizeof text));
    return 0;
}

static int ask_all(int port)
{
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return coil_raise(COIL_EAPP, "no socket");
    int rc = coil_sock_connect(fd, (struct sockaddr *)&server, sizeof server);
    if (rc == 0)
        rc = ask(fd, "coil.test");
    if (rc == 0)
        rc = ask(fd, "WWW.coil.test");
    if (rc == 0)
        rc = ask(fd, "nowhere.test");
    coil_sock_close(fd);
    return rc;
}

/* ---- the program -------------------------------------------------------------------------------- */

static int port_of(const coil_transport *transport)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int rc = coil_transport_sockname(transport, (struct sockaddr *)&address, &length);
    return rc < 0 ? rc : ntohs(address.sin_port);
}

COIL_ASYNC(amain, (int, port), (bool, self))
{
    coil_datagram_options options = COIL_DATAGRAM_OPTIONS_INIT;
    options.local_host = "127.0.0.1";
    options.local_port = port;
    coil_transport *transport;
    COIL_TRY(coil_create_datagram_endpoint(&responder, NULL, &options, &transport));
    int rc = port_of(transport);
    if (rc > 0) {
        printf("listening on port %d\n", rc);
        fflush(stdout);
        rc = self ? COIL_TIMEOUT(5, ask_all(rc)) : coil_sleep(INFINITY); /* until Ctrl-C */
    }
    coil_transport_close(transport);
    coil_unref(transport);
    return rc;
}

int main(int argc, char **argv)
{
    bool self = argc > 1 && strcmp(argv[1], "--self") == 0;
    return coil_main(amain(argc > 1 && !self ? atoi(argv[1]) : 0, self));
}
