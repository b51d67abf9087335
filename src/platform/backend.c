#include "platform/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Best first; docs/decisions/0005-backends.md says why. */
static const struct coil__backend_ops *const backends[] = {
    &coil__backend_epoll,
    &coil__backend_poll,
};

enum {
    BACKENDS = sizeof(backends) / sizeof(backends[0])
};

static int open_named(const char *name, struct coil__backend **backend_out);
static int open_uring(struct coil__backend **backend_out);
static int open_best(struct coil__backend **backend_out);
static bool passes(int rc);

int coil__backend_open(struct coil__backend **backend_out)
{
    const char *name = getenv("COIL_BACKEND");
    if (name != NULL && name[0] != '\0')
        return open_named(name, backend_out);
    return open_best(backend_out);
}

static int open_named(const char *name, struct coil__backend **backend_out)
{
    if (strcmp(coil__backend_uring.name, name) == 0)
        return open_uring(backend_out);
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->open(backend_out);
    return -ENOTSUP;
}

/* A program that names it in its environment must not stop working in a container that forbids it. */
static int open_uring(struct coil__backend **backend_out)
{
    int refused = coil__backend_uring.open(backend_out);
    if (refused == 0 || passes(refused))
        return refused;
    int rc = open_best(backend_out);
    if (rc == 0)
        (*backend_out)->why = coil__uring_why_not(refused);
    return rc;
}

static int open_best(struct coil__backend **backend_out)
{
    int rc = -ENOTSUP;
    for (int i = 0; i < BACKENDS; i++) {
        rc = backends[i]->open(backend_out);
        /* The next one is for kernels, and seccomp filters, that do not offer this one. */
        if (rc == 0 && i > 0)
            (*backend_out)->why = "the kernel has no epoll, or a seccomp filter pretends so";
        if (rc != -ENOSYS && rc != -EPERM)
            return rc;
    }
    return rc;
}

/* To be short of memory or descriptors says nothing of what this system offers. */
static bool passes(int rc)
{
    return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}
