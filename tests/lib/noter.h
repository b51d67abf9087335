/* A protocol that notes what it is called with (lib/steps.h), and does at each call what the test wants. */
#ifndef COIL_TESTS_LIB_NOTER_H
#define COIL_TESTS_LIB_NOTER_H

#include <fcntl.h>
#include <sys/socket.h>
#include "lib/steps.h"

struct noter {
    const char *name; /* in front of each note; "" is fine */
    coil_transport *transport;
    bool keeps_open; /* eof_received's answer */
    bool quiet;      /* notes nothing */
    /* Called with the name of each call, after its note: a negative result is the call's. */
    int (*act)(struct noter *self, const char *call);
    const char *act_on; /* for `act`s that do something at one call only */
    coil_event lost;    /* set by connection_lost */
    int code;           /* which it was given */
    char data[4096];
    size_t bytes;
    int destroyed;
};

static inline int noter_acts(struct noter *self, const char *call)
{
    return self->act ? self->act(self, call) : 0;
}

static inline int noter_made(void *arg, coil_transport *transport)
{
    struct noter *self = arg;
    self->transport = transport;
    if (!self->quiet)
        note("%smade", self->name);
    return noter_acts(self, "made");
}

static inline int noter_data(void *arg, const void *data, size_t bytes)
{
    struct noter *self = arg;
    if (self->bytes + bytes < sizeof self->data) {
        memcpy(self->data + self->bytes, data, bytes);
        self->bytes += bytes;
    }
    if (!self->quiet)
        note("%sdata(%.*s)", self->name, (int)bytes, (const char *)data);
    return noter_acts(self, "data");
}

static inline int noter_eof(void *arg)
{
    struct noter *self = arg;
    if (!self->quiet)
        note("%seof", self->name);
    int rc = noter_acts(self, "eof");
    return rc < 0 ? rc : self->keeps_open;
}

static inline int noter_lost(void *arg, int code)
{
    struct noter *self = arg;
    self->code = code;
    if (!self->quiet)
        note("%slost(%d)", self->name, code);
    coil_event_set(&self->lost);
    return noter_acts(self, "lost");
}

static inline int noter_pause(void *arg)
{
    struct noter *self = arg;
    if (!self->quiet)
        note("%spause", self->name);
    return noter_acts(self, "pause");
}

static inline int noter_resume(void *arg)
{
    struct noter *self = arg;
    if (!self->quiet)
        note("%sresume", self->name);
    return noter_acts(self, "resume");
}

static inline void noter_destroy(void *arg)
{
    struct noter *self = arg;
    self->destroyed++;
    self->transport = NULL;
    if (!self->quiet)
        note("%sdestroyed", self->name);
}

static const coil_protocol noter_protocol = {
    .size = sizeof noter_protocol,
    .name = "noter",
    .connection_made = noter_made,
    .data_received = noter_data,
    .eof_received = noter_eof,
    .connection_lost = noter_lost,
    .pause_writing = noter_pause,
    .resume_writing = noter_resume,
    .destroy = noter_destroy,
};

static inline void noter_init(struct noter *self, const char *name)
{
    memset(self, 0, sizeof *self);
    self->name = name;
    coil_event_init(&self->lost);
}

/* Waits until the connection is lost, and until its protocol is destroyed. */
static inline int noter_wait(struct noter *self)
{
    COIL_TRY(coil_event_wait(&self->lost));
    while (self->destroyed == 0)
        COIL_TRY(coil_sleep(0));
    coil_event_fini(&self->lost);
    return 0;
}

/* Two connected sockets; the first takes only little at a time if narrow. */
static inline void noter_pair(int ends[2], bool narrow)
{
    int room = 4096;
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    if (narrow)
        EXPECT(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
}

/* Reads in a task until the end: how many bytes came. */
static inline ssize_t noter_drain(int fd)
{
    static char data[65536];
    ssize_t total = 0, got;
    do {
        got = coil_sock_recv(fd, data, sizeof data);
        total += got > 0 ? got : 0;
    } while (got > 0);
    return got < 0 ? got : total;
}

#endif
