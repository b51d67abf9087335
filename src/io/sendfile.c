/* Sending files: from the kernel's cache straight into the socket where that is possible, else piece by piece. */
#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <coil/sock.h>
#include <coil/task.h>
#include "base/error.h"
#include "io/creation.h"
#include "io/sendfile.h"
#include "io/sigpipe.h"
#include "io/transport.h"
#include "tasks/task.h"

enum {
    AT_ONCE = 1 << 20,        /* for one sendfile(2) */
    FALLBACK_BYTES = 1 << 16, /* read and written at a time */
};

int64_t coil__sendfile_some(int fd, int file, int64_t offset, int64_t bytes)
{
    struct coil__sigpipe sigpipe;
    off_t position = offset;
    ssize_t sent;
    coil__sigpipe_block(&sigpipe);
    do
        sent = sendfile(fd, file, &position, (size_t)(bytes < AT_ONCE ? bytes : AT_ONCE));
    while (sent < 0 && errno == EINTR);
    coil__sigpipe_restore(&sigpipe, sent < 0 && errno == EPIPE);
    return sent < 0 ? -errno : sent;
}

/* Whether an error says that these two descriptors cannot do it this way. */
static bool is_unable(int64_t code)
{
    return code == -EINVAL || code == -ENOSYS || code == -EOPNOTSUPP || code == -ESPIPE;
}

static int check_range(int64_t offset, int64_t count)
{
    if (offset < 0 || count < 0)
        return coil__fail(COIL_EINVAL, "sending %lld bytes from %lld on", (long long)count,
                          (long long)offset);
    return 0;
}

/* How much of `count` (0: all there is) is left after `total`. */
static int64_t rest_of(int64_t count, int64_t total)
{
    return count == 0 ? INT64_MAX : count - total;
}

/* What a call ends with; the file's position tells how far it came, whatever happened. */
static int64_t finish(int file, int64_t offset, int64_t total, int64_t rc)
{
    if (total > 0)
        (void)lseek(file, offset + total, SEEK_SET); /* one that cannot seek has no position */
    return rc < 0 ? rc : total;
}

static ssize_t read_piece(int file, void *buffer, int64_t offset, int64_t rest)
{
    ssize_t got;
    do
        got = pread(file, buffer, rest < FALLBACK_BYTES ? (size_t)rest : FALLBACK_BYTES, offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? coil__fail(-errno, "reading the file to be sent") : got;
}

/* Sends by reading and writing: `put` takes one piece, and waits as long as that takes. */
static int64_t send_pieces(void *target, int (*put)(void *target, const void *data, size_t bytes),
                           int file, int64_t offset, int64_t count)
{
    int64_t total = 0;
    int rc = 0;
    char *buffer = coil__alloc(FALLBACK_BYTES);
    if (!buffer)
        return coil__fail_plain(COIL_ENOMEM);
    while (rc == 0 && rest_of(count, total) > 0) {
        ssize_t got = read_piece(file, buffer, offset + total, rest_of(count, total));
        if (got == 0)
            break;
        rc = got < 0 ? (int)got : put(target, buffer, (size_t)got);
        if (rc == 0)
            total += got;
    }
    coil__free(buffer);
    return finish(file, offset, total, rc);
}

/* ---- to a plain socket ---------------------------------------------------------------------------- */

static int put_on_socket(void *target, const void *data, size_t bytes)
{
    return coil_sock_sendall(*(int *)target, data, bytes);
}

int64_t coil_sock_sendfile(int fd, int file, int64_t offset, int64_t count, bool fallback)
{
    coil_loop *loop;
    int64_t total = 0, rc = coil__creation_loop("sock_sendfile", &loop);
    if (rc == 0)
        rc = check_range(offset, count);
    while (rc == 0 && rest_of(count, total) > 0) {
        int64_t sent = coil__sendfile_some(fd, file, offset + total, rest_of(count, total));
        if (sent == 0)
            break;
        if (sent > 0)
            total += sent;
        else if (sent == -EAGAIN)
            rc = coil_wait_writable(fd);
        else if (total == 0 && is_unable(sent) && fallback)
            return send_pieces(&fd, put_on_socket, file, offset, count);
        else
            rc = coil__fail(is_unable(sent) ? COIL_ENOTSUP : (int)sent, "sendfile");
    }
    return finish(file, offset, total, rc);
}

/* ---- through a transport -------------------------------------------------------------------------- */

static int put_on_transport(void *target, const void *data, size_t bytes)
{
    coil_transport *transport = target;
    int rc = coil_transport_is_closing(transport)
                 ? coil__fail(COIL_ECLOSED, "the connection was closed while a file was sent")
                 : coil_transport_write(transport, data, bytes);
    if (rc == 0)
        rc = transport->flags & COIL__TRANSPORT_FULL ? coil__transport_wait_room(transport)
                                                     : coil_sleep(0);
    return rc;
}

/* What the transport's own way gives; -EINVAL and the like if it has none for this file, before anything was sent. */
static int64_t send_natively(coil_transport *transport, int file, int64_t offset, int64_t count)
{
    int64_t total = 0, sent = 1, rc = 0;
    bool reading = coil_transport_is_reading(transport);
    coil_transport_pause_reading(transport); /* as in asyncio: what comes meanwhile waits */
    transport->flags |= COIL__TRANSPORT_FILE;
    while (rc == 0 && sent != 0 && rest_of(count, total) > 0) {
        sent = transport->kept > 0 ? -EAGAIN
                                   : transport->ops->send_file(transport, file, offset + total,
                                                               rest_of(count, total));
        if (sent > 0)
            total += sent;
        else if (sent == -EAGAIN)
            rc = transport->ops->wait_sent(transport);
        else
            rc = sent;
    }
    transport->flags &= (uint16_t)~COIL__TRANSPORT_FILE;
    if (reading)
        coil_transport_resume_reading(transport);
    return total > 0 ? finish(file, offset, total, rc) : rc;
}

int64_t coil_sendfile(coil_transport *transport, int file, int64_t offset, int64_t count,
                      bool fallback)
{
    coil_loop *loop;
    int64_t rc = coil__creation_loop("sendfile", &loop);
    if (rc == 0)
        rc = check_range(offset, count);
    if (rc < 0)
        return rc;
    if (transport->flags & (COIL__TRANSPORT_CLOSING | COIL__TRANSPORT_EOF_WRITTEN))
        return coil__fail(COIL_ERUNTIME, "the transport is closing");
    if (transport->flags & COIL__TRANSPORT_FILE)
        return coil__fail(COIL_ERUNTIME, "a file is being sent");
    if (!transport->ops->write)
        return coil__fail(COIL_ENOTSUP, "a %s transport sends no files", transport->ops->name);
    coil__ref(&transport->object);
    rc = transport->ops->send_file ? send_natively(transport, file, offset, count) : -EOPNOTSUPP;
    if (is_unable(rc))
        rc = fallback ? send_pieces(transport, put_on_transport, file, offset, count)
                      : coil__fail(COIL_ENOTSUP, "the system cannot send this file by itself");
    else if (rc < 0 && rc > -4096)
        coil__fail((int)rc, "sending a file");
    coil__unref(&transport->object);
    return rc;
}
