/* Starting a program: the one place where a process is made. See spawn.c. */
#ifndef COIL_IO_SPAWN_H
#define COIL_IO_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    COIL__SPAWN_INHERIT = -1,
    COIL__SPAWN_AS_OUT = -2, /* for descriptor 2: where 1 leads */
};

struct coil__spawn {
    const char *program; /* with a slash: a path; else looked for in `path` */
    const char *path;    /* directories, with colons */
    const char *const *argv;
    const char *const *env;
    const char *cwd; /* NULL: as the parent's */
    int fds[3];      /* descriptors above 2 to become 0, 1 and 2, or one of the above */
    const int *pass_fds;
    size_t pass_fd_count;
    bool new_session, new_group;
    int mask; /* umask; -1: as the parent's */
};

/* Starts the program and waits until it runs. 0, or -errno, with a record that says what went wrong; then
 * there is no process. *pidfd_out is -1 where the system has none. */
int coil__spawn(const struct coil__spawn *spawn, pid_t *pid_out, int *pidfd_out);

/* The same descriptor above 2: those of a new pipe may be any, if the program has closed its own 0, 1 or 2.
 * The old one is closed. -errno when there is none. */
int coil__above_stdio(int fd);

/* True: as on a system without pidfds. For tests. */
extern bool coil__spawn_no_pidfd;

#endif
