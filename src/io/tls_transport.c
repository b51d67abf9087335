/* A TLS transport is a protocol to the transport below it and a transport to the protocol above it.
 *
 * OpenSSL reads and writes through a BIO of ours. Reading pulls from the lower transport, straight into OpenSSL's
 * buffer, and only what an event has announced; writing never waits, for the lower transport keeps what the
 * system does not take. What is to be written piles up here, and not encrypted, when the lower transport keeps more
 * than the high-water mark, so that a connection's memory is bounded by the marks.
 *
 *     SHAKING -> OPEN -> CLOSING (goodbye is said, that of the peer is awaited) -> OVER (the lower one is closing)
 *
 * The lower transport may go over to push when its peer is gone (see transport.h). Then so does this one. */
#include "io/tls_transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include "base/error.h"
#include "io/endpoint.h"
#include "io/tls_context.h"
#include "io/write_queue.h"
#include "tasks/task.h"

enum {
    RECORD_BYTES = 16 * 1024, /* of plain text, at most */
};

static const double HANDSHAKE_SECONDS = 60, SHUTDOWN_SECONDS = 30;

enum tls_state {
    SHAKING,
    OPEN,
    CLOSING,
    OVER,
};

struct tls_transport {
    coil_transport base;
    coil_transport *lower;     /* one reference; NULL before its connection_made */
    coil_tls_context *context; /* one reference */
    SSL *ssl;
    char *session_key; /* "host:port"; NULL: nothing to resume */
    enum tls_state state;
    bool silent;   /* the protocol has been told of its connection before */
    bool at_end;   /* the lower one has nothing more */
    bool seen_end; /* of the plain text */
    bool pushing;  /* in spite of pull_readable */
    bool pull_waiting;
    void (*pull_readable)(void *self); /* NULL: data is pushed */
    struct coil__write_queue queue;    /* plain text */
    char *pushed;                      /* what the lower one has pushed and OpenSSL has not read */
    size_t pushed_bytes;
    struct coil__call look; /* reads what OpenSSL has, without news from below */
    bool look_queued;
    coil_handle *limit; /* of the handshake, or of the goodbye */
    double shutdown_timeout;
};

static struct tls_transport *of(coil_transport *transport)
{
    return COIL__CONTAINER(transport, struct tls_transport, base);
}

static void advance(struct tls_transport *self);
static void flush(struct tls_transport *self);

/* OpenSSL tells failures by a queue that must be empty before a call. It nearly always is, and clearing it costs as
 * much as the rest of a small read. */
static inline void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* ---- below OpenSSL -------------------------------------------------------------------------------- */

static int64_t take_pushed(struct tls_transport *self, char *buffer, size_t bytes)
{
    if (bytes > self->pushed_bytes)
        bytes = self->pushed_bytes;
    memcpy(buffer, self->pushed, bytes);
    self->pushed_bytes -= bytes;
    memmove(self->pushed, self->pushed + bytes, self->pushed_bytes);
    if (self->pushed_bytes == 0) {
        coil__free(self->pushed);
        self->pushed = NULL;
    }
    return (int64_t)bytes;
}

static int bio_read(BIO *bio, char *buffer, size_t bytes, size_t *got_out)
{
    struct tls_transport *self = BIO_get_data(bio);
    int64_t got = -EAGAIN;
    BIO_clear_retry_flags(bio);
    if (self->pushed)
        got = take_pushed(self, buffer, bytes);
    else if (self->at_end)
        got = 0;
    else if (self->lower)
        got = coil__transport_pull(self->lower, buffer, bytes);
    *got_out = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return 1;
    if (got == 0)
        self->at_end = true;
    else
        BIO_set_retry_read(
            bio); /* also after a failure: the lower one's connection_lost tells of it */
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t bytes, size_t *written_out)
{
    struct tls_transport *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *written_out = 0;
    if (!self->lower || coil_transport_write(self->lower, data, bytes) < 0)
        return 0;
    *written_out = bytes;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct tls_transport *self = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return self->at_end;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coil");
    if (made && BIO_meth_set_read_ex(made, bio_read) == 1 &&
        BIO_meth_set_write_ex(made, bio_write) == 1 && BIO_meth_set_ctrl(made, bio_control) == 1)
        method = made;
    else
        BIO_meth_free(made);
}

static BIO *bio_new(struct tls_transport *self)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_method); /* fails only for an invalid argument */
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- limits --------------------------------------------------------------------------------------- */

static void lift_limit(struct tls_transport *self)
{
    if (!self->limit)
        return;
    coil_handle_cancel(self->limit);
    coil_unref(self->limit);
    self->limit = NULL;
}

static int limit_reached(void *arg)
{
    struct tls_transport *self = arg;
    bool shaking = self->state == SHAKING;
    coil__transport_fatal(&self->base, COIL_ETIMEDOUT,
                          coil__error_new(COIL_ETIMEDOUT, shaking
                                                              ? "the TLS handshake took too long"
                                                              : "the peer did not say goodbye"));
    return 0;
}

/* Without memory for it there is no limit; the connection is as good as it was. */
static void set_limit(struct tls_transport *self, double seconds)
{
    lift_limit(self);
    if (coil_call_later(self->base.loop, seconds, limit_reached, self, &self->limit) < 0)
        self->limit = NULL;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static bool pushes(const struct tls_transport *self)
{
    return !self->pull_readable || self->pushing;
}

/* Whether news from below is wanted. */
static void settle(struct tls_transport *self)
{
    if (!self->lower)
        return;
    bool wanted = self->state == SHAKING || self->state == CLOSING;
    if (self->state == OPEN && coil_transport_is_reading(&self->base) && !self->seen_end)
        wanted = pushes(self) || self->pull_waiting;
    coil__transport_pull_wait(self->lower, wanted && !self->at_end);
    /* What it pushes can only be held off. */
    if (wanted || self->state == OVER)
        coil_transport_resume_reading(self->lower);
    else if (self->pushed)
        coil_transport_pause_reading(self->lower);
}

/* What is wrong with the peer's certificate, in words, and whose it was to be. */
static int fail_certificate(const struct tls_transport *self)
{
    const char *reason = X509_verify_cert_error_string(SSL_get_verify_result(self->ssl));
    const char *name = self->session_key;
    if (!name)
        return coil__fail(COIL_ECERT, "the peer's certificate: %s", reason);
    return coil__fail(COIL_ECERT, "the certificate of %.*s: %s", (int)(strrchr(name, ':') - name),
                      name, reason);
}

/* OpenSSL has failed: the code, with its record current, and the connection ends. */
static int failed(struct tls_transport *self, const char *what)
{
    int code = self->lower && coil_transport_is_closing(self->lower) && self->lower->lost_code < 0
                   ? self->lower->lost_code
                   : coil__tls_fail(what);
    if (code == COIL_ECERT)
        code = fail_certificate(self);
    clear_errors();
    coil__transport_fatal(&self->base, code, coil_ref(coil_error_current(code)));
    return code;
}

/* Bytes of plain text, 0 at the end, -EAGAIN, or a code. */
static int64_t read_plain(struct tls_transport *self, void *buffer, size_t bytes)
{
    size_t got;
    if (self->seen_end)
        return 0;
    clear_errors();
    if (SSL_read_ex(self->ssl, buffer, bytes, &got) == 1)
        return (int64_t)got;
    switch (SSL_get_error(self->ssl, 0)) {
    case SSL_ERROR_ZERO_RETURN:
        self->seen_end = true;
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    default:
        return failed(self, "reading from a TLS connection");
    }
}

/* The peer has said goodbye. As in asyncio there is no half of a TLS connection: both ends go. */
static void end_received(struct tls_transport *self)
{
    (void)coil__protocol_eof_received(&self->base); /* it cannot keep the connection */
    if (self->base.loop)
        coil_transport_close(&self->base);
}

static int64_t fill(struct tls_transport *self, char *buffer, size_t bytes)
{
    size_t filled = 0;
    int64_t got = 0;
    while (filled < bytes && (got = read_plain(self, buffer + filled, bytes - filled)) > 0)
        filled += (size_t)got;
    return filled > 0 ? (int64_t)filled : got;
}

/* Hands what is there to a protocol that is pushed to. False: nothing was, or the connection is ending; the next event
 * from below brings more. */
static bool push_once(struct tls_transport *self)
{
    char small[4096];
    size_t bytes;
    void *buffer;
    bool lends = self->base.protocol->get_buffer != NULL;
    if (!lends)
        buffer = coil__endpoint_read_buffer(self->base.loop, small, sizeof small, &bytes);
    else if (coil__protocol_get_buffer(&self->base, &buffer, &bytes) < 0 ||
             !coil_transport_is_reading(&self->base))
        return false;
    int64_t got = fill(self, buffer, bytes);
    if (got < 0)
        return false;
    if (got == 0)
        end_received(self);
    else if (lends)
        (void)coil__protocol_buffer_updated(&self->base, (size_t)got); /* it sees to it */
    else
        (void)coil__protocol_data_received(&self->base, buffer, (size_t)got); /* the same */
    return got > 0;
}

static void read_open(struct tls_transport *self)
{
    if (!pushes(self)) {
        if (self->pull_waiting && coil_transport_is_reading(&self->base)) {
            /* It may be but a part of a record, or TLS's own business: who waits looks, and waits again. To decrypt
             * here would fetch each connection's record into the cache twice. */
            self->pull_waiting = false;
            self->pull_readable(self->base.self);
        } else if (self->pushed || self->at_end) {
            self->pushing = true; /* the peer is gone, and nobody asks */
        }
    }
    while (pushes(self) && self->state == OPEN && coil_transport_is_reading(&self->base) &&
           push_once(self))
        continue;
}

static void pull_start(coil_transport *transport, void (*readable)(void *self))
{
    of(transport)->pull_readable = readable;
    of(transport)->pull_waiting = false;
}

static int64_t pull(coil_transport *transport, void *buffer, size_t bytes)
{
    struct tls_transport *self = of(transport);
    if (self->state != OPEN || self->pushing)
        return -EAGAIN;
    int64_t got = read_plain(self, buffer, bytes);
    if (got == 0)
        coil_transport_close(transport);
    return got;
}

static void pull_wait(coil_transport *transport, bool waiting)
{
    of(transport)->pull_waiting = waiting;
    settle(of(transport));
}

static void look(struct coil__call *call)
{
    struct tls_transport *self = COIL__CONTAINER(call, struct tls_transport, look);
    self->look_queued = false;
    if (self->base.loop)
        advance(self);
}

/* OpenSSL may have more than the last event brought, and nothing below will tell of it again. The entry holds no
 * reference: connection_lost is queued behind it, if at all. */
static void look_soon(struct tls_transport *self)
{
    if (self->look_queued || (self->base.flags & COIL__TRANSPORT_LOSING))
        return;
    self->look_queued = true;
    coil__loop_push(self->base.loop, &self->look.ready);
}

static void reading(coil_transport *transport)
{
    struct tls_transport *self = of(transport);
    settle(self);
    if (coil_transport_is_reading(transport) && pushes(self) && self->state == OPEN)
        look_soon(self);
}

/* ---- writing -------------------------------------------------------------------------------------- */

static void update_kept(struct tls_transport *self, ptrdiff_t copied)
{
    size_t kept = self->lower ? self->lower->kept : 0;
    for (const struct coil__piece *piece = self->queue.first; piece; piece = piece->next)
        kept += piece->bytes;
    coil__transport_kept(&self->base, kept, copied);
}

static bool has_room(const struct tls_transport *self)
{
    return self->lower->kept <= self->base.high && !coil__loop_over_budget(self->base.loop);
}

/* Encrypts and passes down as much as there is room for; all of it if everything is asked for. Gives the number of
 * bytes, or a code after which the connection is being ended. */
static int64_t encrypt(struct tls_transport *self, const char *data, size_t bytes, bool everything)
{
    size_t done = 0;
    while (done < bytes && (everything || has_room(self))) {
        size_t record = bytes - done < RECORD_BYTES ? bytes - done : RECORD_BYTES, written;
        clear_errors();
        if (SSL_write_ex(self->ssl, data + done, record, &written) != 1)
            return failed(self, "writing to a TLS connection");
        done += written;
    }
    return (int64_t)done;
}

static int keep(struct tls_transport *self, const struct iovec *parts, int count, size_t skip,
                struct coil__lent_write *lent)
{
    if (lent) {
        lent->piece.data += skip;
        lent->piece.bytes -= skip;
        coil__write_queue_lend(&self->queue, lent);
        update_kept(self, 0);
        return self->base.flags & COIL__TRANSPORT_LOSING ? 0 : 1;
    }
    ptrdiff_t grown = coil__write_queue_copy(&self->queue, parts, count, skip);
    if (grown < 0) {
        if (skip > 0) /* half a message must not be followed by another */
            coil__transport_fatal(&self->base, (int)grown, NULL);
        return (int)grown;
    }
    update_kept(self, grown);
    return 0;
}

static int write_parts(coil_transport *transport, const struct iovec *parts, int count,
                       size_t total, struct coil__lent_write *lent)
{
    struct tls_transport *self = of(transport);
    size_t done = 0;
    if (self->state == OPEN && coil__write_queue_empty(&self->queue)) {
        for (int i = 0; i < count; i++) {
            int64_t sent = encrypt(self, parts[i].iov_base, parts[i].iov_len, lent == NULL);
            if (sent < 0)
                return 0; /* it comes through connection_lost */
            done += (size_t)sent;
        }
    }
    if (done < total)
        return keep(self, parts, count, done, lent);
    update_kept(self, 0);
    return 0;
}

static int withdraw(coil_transport *transport, struct coil__lent_write *lent)
{
    return coil__transport_take_back(transport, &of(transport)->queue, lent);
}

/* ---- states --------------------------------------------------------------------------------------- */

static void close_lower(struct tls_transport *self)
{
    self->state = OVER;
    lift_limit(self);
    settle(self);
    coil_transport_close(self->lower); /* its connection_lost ends us */
}

/* Whether the peer's goodbye may still come. After an error OpenSSL reads nothing any more, so to wait for more
 * would be to spin. */
static bool drop_received(struct tls_transport *self)
{
    char dropped[4096];
    size_t got;
    clear_errors();
    while (SSL_read_ex(self->ssl, dropped, sizeof dropped, &got) == 1)
        continue;
    int error = SSL_get_error(self->ssl, 0);
    return (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) && !self->at_end;
}

/* Says goodbye, and waits for the peer's: what still comes before it is dropped. */
static void say_goodbye(struct tls_transport *self)
{
    clear_errors();
    int rc = SSL_get_shutdown(self->ssl) & SSL_SENT_SHUTDOWN ? 1 : SSL_shutdown(self->ssl);
    bool waits = rc >= 0 && !self->seen_end && drop_received(self);
    clear_errors(); /* whatever is wrong now, it is over */
    if (!waits)
        close_lower(self);
}

static void begin_goodbye(struct tls_transport *self)
{
    self->state = CLOSING;
    set_limit(self, self->shutdown_timeout);
    say_goodbye(self);
    if (self->base.loop)
        settle(self);
}

/* Passes on what has been waiting. */
static void flush(struct tls_transport *self)
{
    size_t freed = 0;
    while (self->state == OPEN && !coil__write_queue_empty(&self->queue) && has_room(self)) {
        int64_t sent = encrypt(self, self->queue.first->data, self->queue.first->bytes, false);
        if (sent < 0)
            break;
        freed += coil__write_queue_sent(&self->queue, (size_t)sent);
    }
    if (self->base.flags & COIL__TRANSPORT_LOSING) {
        coil__loop_buffered(self->base.loop, -(ptrdiff_t)freed);
        return;
    }
    update_kept(self, -(ptrdiff_t)freed); /* may write, or abort */
    if (self->state == OPEN && coil__write_queue_empty(&self->queue) &&
        (self->base.flags & COIL__TRANSPORT_CLOSING) &&
        !(self->base.flags & COIL__TRANSPORT_LOSING))
        begin_goodbye(self);
}

static void shake(struct tls_transport *self)
{
    clear_errors();
    int rc = SSL_do_handshake(self->ssl);
    if (rc == 1) {
        self->state = OPEN;
        lift_limit(self);
        if (self->silent)
            coil__transport_wake_made(&self->base);
        else
            coil__transport_made(&self->base);
        if (self->base.loop)
            flush(self);
        if (self->base.loop && self->state == OPEN && (pushes(self) || self->pull_waiting))
            read_open(self);
        return;
    }
    int error = SSL_get_error(self->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return;
    if (self->at_end) {
        clear_errors();
        coil__transport_fatal(&self->base, -ECONNRESET,
                              coil__error_new(-ECONNRESET, "the peer left the TLS handshake"));
    } else {
        (void)failed(self, "the TLS handshake"); /* connection_lost, or who waits, gets it */
    }
}

static void advance(struct tls_transport *self)
{
    coil__ref(&self->base.object);
    if (self->base.flags & COIL__TRANSPORT_LOSING)
        ;
    else if (self->state == SHAKING)
        shake(self);
    else if (self->state == OPEN)
        read_open(self);
    else if (self->state == CLOSING)
        say_goodbye(self);
    if (self->base.loop)
        settle(self);
    coil__unref(&self->base.object);
}

/* ---- as a transport ------------------------------------------------------------------------------- */

static void close_tls(coil_transport *transport)
{
    struct tls_transport *self = of(transport);
    if (self->state == SHAKING)
        coil__transport_fatal(transport, 0, NULL);
    else if (self->state == OPEN && coil__write_queue_empty(&self->queue))
        begin_goodbye(self);
    else
        settle(self);
}

/* The lower one is aborted first, so that its connection_lost, which comes to us, finds all done. */
static void abort_tls(coil_transport *transport, int code)
{
    struct tls_transport *self = of(transport);
    self->state = OVER;
    lift_limit(self);
    coil__transport_drop_kept(transport, &self->queue, code);
    coil__transport_lose(transport, code);
    if (self->lower)
        coil_transport_abort(self->lower);
}

static void tls_lost(coil_transport *transport)
{
    struct tls_transport *self = of(transport);
    self->state = OVER;
    lift_limit(self);
    coil__transport_drop_kept(transport, &self->queue, transport->lost_code);
    /* A loop that is being closed ends the lower one by itself. */
    if (self->lower && !transport->loop->closed)
        coil_transport_abort(self->lower);
}

static void destroy_tls(coil_transport *transport)
{
    struct tls_transport *self = of(transport);
    SSL_free(self->ssl);
    coil__free(self->session_key);
    coil__free(self->pushed);
    if (self->context)
        coil__unref(&self->context->object);
    if (self->lower)
        coil__unref(&self->lower->object);
    coil__free(self);
}

static coil_value peer_certificate(const SSL *ssl)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    BIO *text = certificate ? BIO_new(BIO_s_mem()) : NULL;
    coil_value value = coil_nil();
    if (text && PEM_write_bio_X509(text, certificate) == 1 && BIO_write(text, "", 1) == 1) {
        char *data;
        (void)BIO_get_mem_data(text, &data); /* the bytes; their end is in them */
        value = coil_string_copy(data);
    }
    BIO_free(text);
    X509_free(certificate);
    return value;
}

static coil_value chosen_protocol(const SSL *ssl)
{
    const unsigned char *name;
    unsigned bytes;
    char text[256];
    SSL_get0_alpn_selected(ssl, &name, &bytes);
    if (!name || bytes >= sizeof text)
        return coil_nil();
    memcpy(text, name, bytes);
    text[bytes] = '\0';
    return coil_string_copy(text);
}

static coil_value extra_info(coil_transport *transport, const char *name)
{
    struct tls_transport *self = of(transport);
    if (strcmp(name, "ssl_object") == 0)
        return coil_pointer(self->ssl);
    if (strcmp(name, "version") == 0)
        return coil_string(SSL_get_version(self->ssl));
    if (strcmp(name, "cipher") == 0)
        return coil_string(SSL_get_cipher(self->ssl));
    if (strcmp(name, "session_reused") == 0)
        return coil_bool(SSL_session_reused(self->ssl) == 1);
    if (strcmp(name, "alpn_protocol") == 0)
        return chosen_protocol(self->ssl);
    if (strcmp(name, "peercert") == 0)
        return peer_certificate(self->ssl);
    return self->lower ? coil_transport_get_extra_info(self->lower, name) : coil_nil();
}

static int tls_fd(const coil_transport *transport)
{
    const coil_transport *lower = of((coil_transport *)(uintptr_t)transport)->lower;
    return lower ? coil_transport_fd(lower) : COIL_ENOTSUP;
}

static const struct coil__transport_ops tls_ops = {
    .name = "TLS",
    .write = write_parts,
    .withdraw = withdraw,
    .close = close_tls,
    .abort = abort_tls,
    .reading = reading,
    .lost = tls_lost,
    .destroy = destroy_tls,
    .pull_start = pull_start,
    .pull = pull,
    .pull_wait = pull_wait,
    .extra_info = extra_info,
    .fd = tls_fd,
};

/* ---- as a protocol -------------------------------------------------------------------------------- */

static void lower_readable(void *arg)
{
    advance(arg);
}

static int lower_made(void *arg, coil_transport *lower)
{
    struct tls_transport *self = arg;
    if (!self->base.loop || (self->base.flags & COIL__TRANSPORT_LOSING)) {
        coil_transport_abort(lower); /* nobody wants it any more */
        return 0;
    }
    self->lower = coil_ref(lower);
    /* Told as soon as nothing is kept: what waits here is then passed on. */
    (void)coil_transport_set_write_buffer_limits(lower, 0, 0); /* cannot fail for these */
    coil__transport_pull_start(lower, lower_readable);
    advance(self);
    return 0;
}

static int lower_pushed(void *arg, const void *data, size_t bytes)
{
    struct tls_transport *self = arg;
    if (!self->base.loop)
        return 0;
    char *pushed = coil__realloc(self->pushed, self->pushed_bytes + bytes);
    if (!pushed)
        return coil__fail_plain(COIL_ENOMEM);
    memcpy(pushed + self->pushed_bytes, data, bytes);
    self->pushed = pushed;
    self->pushed_bytes += bytes;
    advance(self);
    return 0;
}

static int lower_ended(void *arg)
{
    struct tls_transport *self = arg;
    self->at_end = true;
    if (self->base.loop)
        advance(self);
    return self->state != OVER; /* what is to be said is still said */
}

static int lower_writable(void *arg)
{
    struct tls_transport *self = arg;
    if (self->base.loop && !(self->base.flags & COIL__TRANSPORT_LOSING))
        flush(self);
    return 0;
}

static int lower_lost(void *arg, int code)
{
    struct tls_transport *self = arg;
    if (!self->base.loop || (self->base.flags & COIL__TRANSPORT_LOSING))
        return 0;
    if (code < 0)
        coil__transport_fatal(&self->base, code, coil_ref(coil_error_current(code)));
    else
        coil__transport_lose(&self->base, 0);
    return 0;
}

static void lower_destroyed(void *arg)
{
    struct tls_transport *self = arg;
    coil__unref(&self->base.object);
}

const coil_protocol coil__tls_lower_protocol = {
    .size = sizeof(coil_protocol),
    .name = "TLS",
    .connection_made = lower_made,
    .data_received = lower_pushed,
    .eof_received = lower_ended,
    .resume_writing = lower_writable,
    .connection_lost = lower_lost,
    .destroy = lower_destroyed,
};

/* ---- making --------------------------------------------------------------------------------------- */

static int set_session_key(struct tls_transport *self, const char *name, int port)
{
    if (!name || !name[0])
        return 0;
    size_t bytes = strlen(name) + sizeof ":65535";
    self->session_key = coil__alloc(bytes);
    if (!self->session_key)
        return coil__fail_plain(COIL_ENOMEM);
    (void)snprintf(self->session_key, bytes, "%s:%u", name, (unsigned)(uint16_t)port);
    return 0;
}

static int set_up(struct tls_transport *self, coil_tls_context *context, const char *name, int port)
{
    int rc = set_session_key(self, name, port);
    if (rc < 0)
        return rc;
    self->ssl = coil__tls_new(context, name, self->session_key);
    if (!self->ssl)
        return coil_error_last();
    BIO *bio = bio_new(self);
    if (!bio)
        return coil__fail_plain(COIL_ENOMEM);
    SSL_set_bio(self->ssl, bio, bio);
    return 0;
}

int coil__tls_transport_begin(coil_tls_context *context, const coil_tls_options *options, int port,
                              coil_loop *loop, const coil_protocol *protocol, void *protocol_self,
                              coil_transport **transport_out, void **lower_self_out)
{
    static const coil_tls_options defaults = COIL_TLS_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    struct tls_transport *self = coil__alloc_zero(sizeof *self);
    if (!self)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = set_up(self, context, options->server_hostname, port);
    if (rc == 0)
        rc = coil__transport_init(&self->base, &tls_ops, loop, protocol, protocol_self);
    if (rc < 0) {
        SSL_free(self->ssl);
        coil__free(self->session_key);
        coil__free(self);
        return rc;
    }
    self->context = coil_ref(context);
    self->look = (struct coil__call){ .ready.run = coil__call_run,
                                      .fn = look,
                                      .loop = loop,
                                      .context = self->base.lost_call.context };
    self->shutdown_timeout = options->shutdown_timeout > 0 ? options->shutdown_timeout
                                                           : SHUTDOWN_SECONDS;
    set_limit(self,
              options->handshake_timeout > 0 ? options->handshake_timeout : HANDSHAKE_SECONDS);
    coil__ref(&self->base.object); /* the lower protocol's */
    *transport_out = &self->base;
    *lower_self_out = self;
    return 0;
}

void coil__tls_transport_undo(coil_transport *transport)
{
    static const coil_protocol nothing = { .size = sizeof nothing, .name = "none" };
    transport->protocol = &nothing;
    transport->self = NULL;
    coil__transport_drop(transport);
    coil__unref(&transport->object); /* the lower protocol's */
}

static int check_start(const coil_transport *lower)
{
    if (!coil__thread.task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "start_tls outside a task");
    if (!lower->loop || (lower->flags & COIL__TRANSPORT_CLOSING))
        return coil__fail(COIL_ERUNTIME, "the transport is closing");
    if (!coil__transport_can_pull(lower) || lower->ops == &tls_ops)
        return coil__fail(COIL_EINVAL, "TLS cannot be started on a %s transport", lower->ops->name);
    return 0;
}

/* Whoever ends a server's connections ends this one, politely. */
static void take_place(coil_transport *transport, coil_transport *lower)
{
    if (!lower->left_server)
        return;
    transport->server = lower->server;
    transport->left_server = lower->left_server;
    coil__list_append(&lower->of_server, &transport->of_server); /* before it */
    coil__list_remove(&lower->of_server);
    lower->server = NULL;
    lower->left_server = NULL;
}

int coil__tls_start(coil_transport *lower, coil_tls_context *context,
                    const coil_tls_options *options, coil_transport **transport_out)
{
    int rc = check_start(lower);
    if (rc < 0)
        return rc;
    coil_transport *transport;
    void *below;
    rc = coil__tls_transport_begin(context, options, 0, lower->loop, lower->protocol, lower->self,
                                   &transport, &below);
    if (rc < 0)
        return rc;
    struct tls_transport *self = of(transport);
    const coil_protocol *protocol;
    void *protocol_self;
    /* The protocol knows its connection already; so it is told of the end, too, whatever comes. */
    transport->flags |= COIL__TRANSPORT_MADE;
    self->silent = true;
    take_place(transport, lower);
    coil__transport_swap_protocol(lower, &coil__tls_lower_protocol, below, &protocol,
                                  &protocol_self);
    self->lower = coil_ref(lower);
    (void)coil_transport_set_write_buffer_limits(lower, 0, 0); /* cannot fail for these */
    coil__transport_pull_start(lower, lower_readable);
    look_soon(self);
    *transport_out = coil_ref(transport);
    return 0;
}

int coil__tls_start_wait(coil_transport *transport)
{
    int rc = coil__transport_wait_made(transport);
    if (rc == 0 && (transport->flags & COIL__TRANSPORT_LOSING)) {
        rc = transport->lost_code < 0 ? transport->lost_code : COIL_ECLOSED;
        coil__fail_with(rc, transport->lost_error);
    }
    if (rc < 0 && transport->loop)
        coil_transport_abort(transport);
    return rc;
}

int coil_start_tls(coil_transport *lower, coil_tls_context *context,
                   const coil_tls_options *options, coil_transport **transport_out)
{
    coil_transport *transport;
    int rc = coil__tls_start(lower, context, options, &transport);
    if (rc < 0)
        return rc;
    rc = coil__tls_start_wait(transport);
    if (rc < 0)
        coil__unref(&transport->object);
    else
        *transport_out = transport;
    return rc;
}

int coil__tls_check_server(const coil_tls_context *context)
{
    if (context->side != COIL_TLS_SERVER)
        return coil__fail(COIL_EINVAL, "the TLS context of a server is a client's");
    return 0;
}
