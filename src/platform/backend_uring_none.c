/* Stands in for the io_uring backend where the library is built without liburing. */
#include <errno.h>

#include "platform/backend.h"

static int no_open(struct coil__backend **backend_out)
{
    (void)backend_out;
    return -EOPNOTSUPP;
}

const struct coil__backend_ops coil__backend_uring = {
    .name = "io_uring",
    .open = no_open,
};
