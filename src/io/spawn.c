/* Starting a program.
 *
 * The child shares the parent's memory until it execs (CLONE_VM), so no page table is copied, and the parent's
 * thread sleeps meanwhile (CLONE_VFORK). What the child does in between must therefore change nothing that is
 * the parent's: it makes raw system calls only, on a stack of its own, with all signals blocked until no
 * handler is left that could run. posix_spawn does the same, but knows neither a working directory nor
 * process groups everywhere, and gives no pidfd.
 *
 * If something fails, what and why stands in the shared memory. Emulators and valgrind make a copy instead,
 * and do not wait: there it comes back through a pipe, which exec closes. */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/error.h"
#include "platform/sanitizer.h"

enum {
    CHILD_STACK_BYTES = 64 * 1024,
    KERNEL_SIGNALS = 64,
    CLOSE_ON_EXEC = 4, /* CLOSE_RANGE_CLOEXEC, and SYS_close_range below: newer than some headers */
    CALL_CLOSE_RANGE = 436,
    CALL_PIDFD_OPEN = 434,
};
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

bool coil__spawn_no_pidfd;

enum step {
    STEP_GROUP,
    STEP_DIRECTORY,
    STEP_DESCRIPTORS,
    STEP_EXEC,
};

struct failure {
    int step; /* enum step */
    int error;
};

struct start {
    const struct coil__spawn *spawn;
    char *candidate; /* room for any directory of the path, and the program */
    int report_fd;   /* the child's end of the pipe */
    bool shared; /* set by a child that shares our memory; then the next is all there is to know */
    struct failure failure;
};

/* ---- in the child ---------------------------------------------------------------------------------- */

/* AddressSanitizer would leave its marks on the stack in the memory of the parent. */
#define IN_CHILD __attribute__((noinline, no_sanitize_address))

/* The kernel's struct sigaction begins with the handler; all else is zero for a default action. */
static IN_CHILD void reset_signals(void)
{
    uintptr_t action[4], by_default[4] = { 0 };
    for (int number = 1; number <= KERNEL_SIGNALS; number++) {
        if (syscall(SYS_rt_sigaction, number, NULL, action, sizeof(uint64_t)) < 0 ||
            action[0] == (uintptr_t)SIG_DFL)
            continue;
        /* What is ignored stays so, as nohup wants; but for these, which are ignored for a program's own
         * reasons, and without which pipelines do not end. */
        if (action[0] != (uintptr_t)SIG_IGN || number == SIGPIPE || number == SIGXFSZ)
            (void)syscall(SYS_rt_sigaction, number, by_default, NULL, sizeof(uint64_t));
    }
}

/* For kernels without close_range: every number in /proc/self/fd. */
static IN_CHILD void mark_each(void)
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char entries[2048];
    long got,
        dir = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    while ((got = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(entries + at);
            int fd = 0;
            for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
                fd = fd * 10 + (*c - '0');
            if (fd > 2)
                (void)syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
            at += entry->length;
        }
    }
    (void)syscall(SYS_close, dir);
}

static IN_CHILD bool place_descriptors(const struct coil__spawn *spawn)
{
    for (int to = 0; to < 3; to++) {
        int from = spawn->fds[to] == COIL__SPAWN_AS_OUT ? STDOUT_FILENO : spawn->fds[to];
        if (from != COIL__SPAWN_INHERIT && syscall(SYS_dup3, from, to, 0) < 0)
            return false;
    }
    if (syscall(CALL_CLOSE_RANGE, 3, ~0u, CLOSE_ON_EXEC) < 0)
        mark_each();
    for (size_t i = 0; i < spawn->pass_fd_count; i++)
        if (spawn->pass_fds[i] > 2 && syscall(SYS_fcntl, spawn->pass_fds[i], F_SETFD, 0) < 0)
            return false;
    return true;
}

/* The first refusal counts that is not about a file that is not there. Gives an errno. */
static IN_CHILD int exec(const struct start *start)
{
    const struct coil__spawn *spawn = start->spawn;
    int first = 0;
    if (strchr(spawn->program, '/')) {
        (void)syscall(SYS_execve, spawn->program, spawn->argv, spawn->env);
        return errno;
    }
    for (const char *dir = spawn->path;; dir++) {
        size_t length = strcspn(dir, ":");
        char *end = mempcpy(start->candidate, dir, length);
        if (length > 0)
            *end++ = '/';
        strcpy(end, spawn->program);
        (void)syscall(SYS_execve, start->candidate, spawn->argv, spawn->env);
        if (first == 0 && errno != ENOENT && errno != ENOTDIR)
            first = errno;
        dir += length;
        if (*dir == '\0')
            return first ? first : ENOENT;
    }
}

static IN_CHILD struct failure become(const struct start *start)
{
    const struct coil__spawn *spawn = start->spawn;
    uint64_t none = 0;
    reset_signals();
    if ((spawn->new_session && syscall(SYS_setsid) < 0) ||
        (spawn->new_group && !spawn->new_session && syscall(SYS_setpgid, 0, 0) < 0))
        return (struct failure){ STEP_GROUP, errno };
    if (spawn->cwd && syscall(SYS_chdir, spawn->cwd) < 0)
        return (struct failure){ STEP_DIRECTORY, errno };
    if (spawn->mask >= 0)
        (void)syscall(SYS_umask, spawn->mask);
    if (!place_descriptors(spawn))
        return (struct failure){ STEP_DESCRIPTORS, errno };
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    return (struct failure){ STEP_EXEC, exec(start) };
}

static IN_CHILD int in_child(void *arg)
{
    struct start *start = arg;
    start->shared = true;
    start->failure = become(start);
    (void)syscall(SYS_write, start->report_fd, &start->failure, sizeof start->failure);
    (void)syscall(SYS_exit_group, 127);
    return 127;
}

/* ---- in the parent --------------------------------------------------------------------------------- */

int coil__above_stdio(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int code = above < 0 ? -errno : 0;
    (void)close(fd);
    return code < 0 ? code : above;
}

#ifdef COIL__TSAN
/* ThreadSanitizer keeps book of what a process that shares memory does: here the child gets a copy. */
static int clone_child(struct start *start, int flags, int *pidfd_out)
{
    long pid = syscall(SYS_clone, SIGCHLD | flags, NULL, pidfd_out, NULL, NULL);
    if (pid == 0)
        in_child(start);
    return pid < 0 ? -errno : (int)pid;
}
#else
static int clone_child(struct start *start, int flags, int *pidfd_out)
{
    char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -errno;
    int pid = clone(in_child, stack + CHILD_STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD | flags,
                    start, pidfd_out);
    int code = pid < 0 ? -errno : 0;
    (void)munmap(stack, CHILD_STACK_BYTES);
    return code < 0 ? code : pid;
}
#endif

/* The process's number, or -errno. */
static int make_child(struct start *start, int *pidfd_out)
{
    uint64_t all = ~UINT64_C(0), before;
    *pidfd_out = -1;
    /* By the system's own call: the C library keeps two signals for itself, and leaves them alone. */
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int pid = clone_child(start, coil__spawn_no_pidfd ? 0 : CLONE_PIDFD, pidfd_out);
    if (pid == -EINVAL && !coil__spawn_no_pidfd)
        pid = clone_child(start, 0, pidfd_out);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    if (pid > 0 && *pidfd_out < 0 && !coil__spawn_no_pidfd)
        *pidfd_out = (int)syscall(CALL_PIDFD_OPEN, pid, 0);
    return pid;
}

static int explain(const struct coil__spawn *spawn, struct failure failure)
{
    int code = -failure.error;
    switch ((enum step)failure.step) {
    case STEP_GROUP:
        return coil__fail(code, "a session or group for '%s'", spawn->program);
    case STEP_DIRECTORY:
        return coil__fail(code, "the directory '%s' for '%s'", spawn->cwd, spawn->program);
    case STEP_DESCRIPTORS:
        return coil__fail(code, "descriptors for '%s'", spawn->program);
    case STEP_EXEC:
        break;
    }
    return coil__fail(code, "starting '%s'", spawn->program);
}

/* Of a child that has not become the program: it is gone, or about to be. */
static void reap_failed(pid_t pid)
{
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
}

static int start_and_hear(struct start *start, int hear_fd, pid_t *pid_out, int *pidfd_out)
{
    int pid = make_child(start, pidfd_out);
    (void)close(start->report_fd);
    if (pid < 0)
        return coil__fail(pid, "a process for '%s'", start->spawn->program);
    /* A child that shares our memory has run to its end, or to its exec. */
    while (!start->shared && read(hear_fd, &start->failure, sizeof start->failure) < 0 &&
           errno == EINTR)
        continue;
    *pid_out = pid;
    if (start->failure.error == 0)
        return 0; /* exec has closed the pipe */
    reap_failed(pid);
    if (*pidfd_out >= 0)
        (void)close(*pidfd_out);
    return explain(start->spawn, start->failure);
}

int coil__spawn(const struct coil__spawn *spawn, pid_t *pid_out, int *pidfd_out)
{
    int ends[2];
    struct start start = { .spawn = spawn };
    start.candidate = coil__alloc(strlen(spawn->path) + strlen(spawn->program) + 2);
    if (!start.candidate)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
    if (rc == 0) {
        start.report_fd = coil__above_stdio(ends[1]);
        rc = start.report_fd < 0
                 ? coil__fail(start.report_fd, "a descriptor for '%s'", spawn->program)
                 : start_and_hear(&start, ends[0], pid_out, pidfd_out);
        (void)close(ends[0]);
    } else {
        coil__fail(rc, "a pipe for '%s'", spawn->program);
    }
    coil__free(start.candidate);
    return rc;
}
