#include "platform/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Best first. */
static const struct coil__backend_ops *const backends[] = {
    &coil__backend_epoll,
    &coil__backend_poll,
};

enum {
    BACKENDS = sizeof(backends) / sizeof(backends[0])
};

static int open_named(const char *name, struct coil__backend **backend_out);
static int open_best(struct coil__backend **backend_out);

int coil__backend_open(struct coil__backend **backend_out)
{
    const char *name = getenv("COIL_BACKEND");
    if (name != NULL && name[0] != '\0')
        return open_named(name, backend_out);
    return open_best(backend_out);
}

static int open_named(const char *name, struct coil__backend **backend_out)
{
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->open(backend_out);
    return -ENOTSUP;
}

static int open_best(struct coil__backend **backend_out)
{
    int rc = -ENOTSUP;
    for (int i = 0; i < BACKENDS; i++) {
        rc = backends[i]->open(backend_out);
        /* The next one is for kernels, and seccomp filters, that do not offer this one. To be short
         * of memory or descriptors is no reason to be slow for the rest of the program's life. */
        if (rc != -ENOSYS && rc != -EPERM)
            return rc;
    }
    return rc;
}
