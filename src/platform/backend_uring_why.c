/* Why there is no ring: what open() failed with, in words that say what to change. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/backend.h"

/* What the administrator says: 0 allowed, 1 for some groups, 2 for nobody. */
static char policy(void)
{
    char digit = '0';
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return digit;
    if (read(fd, &digit, 1) != 1)
        digit = '0';
    (void)close(fd);
    return digit;
}

const char *coil__uring_why_not(int rc)
{
    switch (rc) {
    case -EPERM:
        switch (policy()) {
        case '1':
            return "io_uring is forbidden: /proc/sys/kernel/io_uring_disabled is 1, and the "
                   "process is "
                   "not in the group that may";
        case '2':
            return "io_uring is forbidden: /proc/sys/kernel/io_uring_disabled is 2";
        default:
            return "io_uring is forbidden, by a seccomp filter (as containers have it) or a "
                   "security "
                   "module";
        }
    case -EACCES:
        return "io_uring is forbidden by a security module";
    case -ENOSYS:
        return "the kernel has no io_uring, or a seccomp filter pretends so";
    case -EINVAL:
        return "this kernel's io_uring is too old: Linux 6.1 is needed";
    case -ENOBUFS:
        return "the process may have no memory for io_uring's rings";
    case -EOPNOTSUPP:
        return "Coil was built without liburing";
    default:
        return "io_uring cannot be set up";
    }
}
