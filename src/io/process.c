/* Children: waited for by their pidfds, fed and read through pipes.
 *
 *     coil_process, the user's  <------>  struct coil__child, the loop's
 *       what it ended with                  number and pidfd, until it is reaped
 *       struct coil__pipe, three at most
 *
 * Either may go before the other. The child stays in the loop's list until it has ended, so that none becomes
 * a zombie, whatever its starter does; the user's object stays as long as somebody wants to know.
 *
 * What moves through the pipes: communicate.c and process_stream.c. */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/error.h"
#include "io/spawn.h"
#include "tasks/task.h"

enum {
    REAPER_STACK_BYTES = 64 * 1024,
    CALL_PIDFD_SEND_SIGNAL = 424, /* newer than some headers, as is the next */
    WAIT_BY_PIDFD = 3,
};

struct coil__child {
    struct coil__link link; /* in loop->children */
    coil_loop *loop;        /* borrowed: it closes before it goes */
    coil_process *process;  /* NULL: nobody wants to know */
    pid_t pid;
    int pidfd;          /* -1: a thread waits */
    struct coil__op op; /* until the pidfd is readable */
    struct coil__ready ready;
    struct note *note; /* what the thread and we share; NULL: no thread */
};

void coil__process_close_descriptor(coil_loop *loop, int fd)
{
    if (fd < 0)
        return;
    if (loop->backend)
        loop->backend->ops->forget(loop->backend, fd);
    (void)close(fd); /* gone either way */
}

/* ---- waiting for the child ------------------------------------------------------------------------- */

/* As waitid. By pidfd where that is known, since a number may be somebody else's by now. */
static int wait_for(pid_t pid, int pidfd, siginfo_t *info, int how)
{
    int rc = -1;
    memset(info, 0, sizeof *info);
    do {
        errno = EINVAL;
        if (pidfd >= 0)
            rc = waitid((idtype_t)WAIT_BY_PIDFD, (id_t)pidfd, info, how);
        if (rc < 0 && errno == EINVAL)
            rc = waitid(P_PID, (id_t)pid, info, how);
    } while (rc < 0 && errno == EINTR);
    return rc;
}

static void end_process(coil_process *process, enum coil__process_state state, int returncode)
{
    process->object.state = (uint8_t)state;
    process->returncode = returncode;
    process->child = NULL;
    (void)coil_event_set(&process->ended); /* fails only from a foreign thread, in debug mode */
    if (process->on_end)
        process->on_end(process->on_end_arg);
}

static void forget_child(struct coil__child *child)
{
    coil__list_remove(&child->link);
    coil__process_close_descriptor(child->loop, child->pidfd);
    coil__free(child);
}

static int watch(struct coil__child *child);
static int start_thread(void *(*body)(void *), void *arg);
static void *reap_in_thread(void *pid);

/* The child has ended, says the pidfd or the thread. */
static void reap(struct coil__child *child)
{
    siginfo_t info;
    int rc = wait_for(child->pid, child->pidfd, &info, WEXITED | WNOHANG);
    if (rc == 0 && info.si_pid == 0) { /* a false alarm */
        if (child->op.result < 0) {
            coil__process_close_descriptor(child->loop,
                                           child->pidfd); /* nothing that can be waited for */
            child->pidfd = -1;
        }
        if (watch(child) == 0)
            return;
        (void)start_thread(reap_in_thread, (void *)(intptr_t)child->pid);
    }
    bool known = rc == 0 && info.si_pid != 0;
    int status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    if (child->process)
        end_process(child->process, known ? COIL__PROCESS_ENDED : COIL__PROCESS_LOST,
                    known ? status : 0);
    forget_child(child);
}

static void reap_later(struct coil__ready *ready)
{
    struct coil__child *child = COIL__CONTAINER(ready, struct coil__child, ready);
    if (!child->loop->closed) /* else coil__loop_close_processes sees to it */
        reap(child);
}

static void pidfd_done(struct coil__op *op)
{
    struct coil__child *child = COIL__CONTAINER(op, struct coil__child, op);
    coil__loop_push(child->loop, &child->ready);
}

/* ---- where there are no pidfds: a thread for each child -------------------------------------------- */

struct note {
    pthread_mutex_t lock;
    coil_loop *loop; /* NULL: it is closed, and the thread is alone with the child */
    struct coil__child *child;
    pid_t pid;
};

static int thread_says(void *arg)
{
    struct note *note = arg;
    struct coil__child *child = note->child;
    note->child = NULL;
    child->note = NULL;
    reap(child);
    return 0;
}

static void note_release(void *arg)
{
    struct note *note = arg;
    siginfo_t info;
    pthread_mutex_lock(&note->lock); /* the thread may be about to leave it */
    pthread_mutex_unlock(&note->lock);
    if (note->child) { /* the loop was closed before it heard */
        note->child->note = NULL;
        (void)wait_for(note->pid, -1, &info, WEXITED);
    }
    (void)pthread_mutex_destroy(&note->lock);
    coil__free(note);
}

/* Tells the loop. False: there is none any more. */
static bool tell_loop(struct note *note)
{
    coil_call_options options = { sizeof options, NULL, note_release };
    int rc;
    for (;;) {
        pthread_mutex_lock(&note->lock);
        rc = note->loop ? coil_call_soon_threadsafe_with(note->loop, thread_says, note, &options)
                        : COIL_ECLOSED;
        if (rc == 0) {
            /* The note is the loop's now; it frees it only after it has had the lock. */
            pthread_mutex_unlock(&note->lock);
            return true;
        }
        pthread_mutex_unlock(&note->lock);
        if (rc != COIL_ENOMEM)
            return false;
        (void)usleep(1000);
    }
}

static void *wait_in_thread(void *arg)
{
    struct note *note = arg;
    siginfo_t info;
    /* Not reaped yet: until the loop has heard, the number stays the child's. */
    (void)wait_for(note->pid, -1, &info, WEXITED | WNOWAIT);
    if (!tell_loop(note)) {
        (void)wait_for(note->pid, -1, &info, WEXITED);
        (void)pthread_mutex_destroy(&note->lock);
        coil__free(note);
    }
    return NULL;
}

static void *reap_in_thread(void *pid)
{
    siginfo_t info;
    (void)wait_for((pid_t)(intptr_t)pid, -1, &info, WEXITED);
    return NULL;
}

/* A thread that nobody joins, with all signals blocked: handlers are other threads' business. */
static int start_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, REAPER_STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, body, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -rc;
}

static int watch_by_thread(struct coil__child *child)
{
    struct note *note = coil__alloc_zero(sizeof *note);
    if (!note)
        return coil__fail_plain(COIL_ENOMEM);
    (void)pthread_mutex_init(&note->lock, NULL); /* with default attributes it cannot fail */
    note->loop = child->loop;
    note->child = child;
    note->pid = child->pid;
    child->note = note;
    int rc = start_thread(wait_in_thread, note);
    if (rc == 0)
        return 0;
    child->note = NULL;
    (void)pthread_mutex_destroy(&note->lock);
    coil__free(note);
    return coil__fail(rc, "a thread to wait for process %ld", (long)child->pid);
}

/* Arranges that reap is called when the child has ended. */
static int watch(struct coil__child *child)
{
    if (child->pidfd >= 0) {
        child->op =
            (struct coil__op){ .kind = COIL__OP_READABLE, .fd = child->pidfd, .done = pidfd_done };
        int rc = child->loop->backend->ops->submit(child->loop->backend, &child->op);
        if (rc == COIL__OP_PENDING)
            return 0;
        if (rc == COIL__OP_READY && child->op.result >= 0) {
            coil__loop_push(child->loop, &child->ready);
            return 0;
        }
    }
    return watch_by_thread(child);
}

/* ---- the loop's end -------------------------------------------------------------------------------- */

/* Leaves the child to a thread of its own. If there is none to be had, it is init's when we end. */
static void forsake(struct coil__child *child)
{
    coil_loop *loop = child->loop;
    if (child->op.pending && loop->backend->ops->cancel(loop->backend, &child->op) != COIL__OP_GONE)
        while (child->op.pending && loop->backend->ops->wait(loop->backend, COIL__FOREVER_NS) >= 0)
            continue;
    bool has_thread = child->note != NULL;
    if (has_thread) {
        pthread_mutex_lock(&child->note->lock);
        child->note->loop = NULL;
        child->note->child = NULL;
        pthread_mutex_unlock(&child->note->lock);
    }
    siginfo_t info;
    if (!has_thread &&
        (wait_for(child->pid, child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid != 0))
        has_thread = true; /* there is nothing to wait for any more */
    if (!has_thread)
        (void)start_thread(reap_in_thread, (void *)(intptr_t)child->pid);
    if (child->process)
        end_process(child->process, COIL__PROCESS_FORSAKEN, 0);
    forget_child(child);
}

void coil__loop_close_processes(coil_loop *loop)
{
    while (!coil__list_empty(&loop->children))
        forsake(COIL__CONTAINER(loop->children.next, struct coil__child, link));
}

/* ---- the process object ---------------------------------------------------------------------------- */

static void process_destroy(void *object)
{
    coil_process *process = object;
    if (process->child && coil__process_has_streams(process))
        COIL__REPORT(process->loop, .event = COIL_EVENT_UNCLOSED_PROCESS,
                     .message = "a process was released while it runs and has open streams",
                     .name = "process");
    for (int which = 0; which < 3; which++)
        coil__pipe_drop(process, which);
    if (process->child)
        process->child->process = NULL; /* it goes on, and the loop reaps it */
    coil_event_fini(&process->ended);
    coil_event_fini(&process->progress);
    coil__unref(&process->loop->object);
    coil__free(process);
}

static const struct coil__type process_type = { COIL__KIND_PROCESS, "process", process_destroy };

int coil_process_wait(coil_process *process, int *returncode_out)
{
    int rc = 0;
    coil_ref(process);
    if (process->object.state == COIL__PROCESS_RUNNING)
        rc = coil_event_wait(&process->ended);
    if (rc == 0 && process->object.state == COIL__PROCESS_LOST)
        rc = coil__fail(-ECHILD, "process %ld has ended, and somebody else has reaped it",
                        (long)process->pid);
    else if (rc == 0 && process->object.state == COIL__PROCESS_FORSAKEN)
        rc = coil__fail(COIL_ECLOSED, "the loop of process %ld is closed", (long)process->pid);
    else if (rc == 0 && returncode_out)
        *returncode_out = process->returncode;
    coil_unref(process);
    return rc;
}

pid_t coil_process_pid(const coil_process *process)
{
    return process->pid;
}

bool coil_process_returncode(const coil_process *process, int *returncode_out)
{
    if (process->object.state != COIL__PROCESS_ENDED)
        return false;
    if (returncode_out)
        *returncode_out = process->returncode;
    return true;
}

int coil_process_fd(const coil_process *process, int which)
{
    return which >= 0 && which < 3 && process->pipes[which] ? process->pipes[which]->fd : -1;
}

void coil_process_close_fd(coil_process *process, int which)
{
    if (which >= 0 && which < 3 && !process->communicating)
        coil__pipe_close(process, which);
}

int coil_process_send_signal(coil_process *process, int number)
{
    const struct coil__child *child = process->child;
    siginfo_t info;
    long rc = -1;
    if (!child)
        return coil__fail(-ESRCH, "process %ld has ended", (long)process->pid);
    errno = ENOSYS;
    if (child->pidfd >= 0)
        rc = syscall(CALL_PIDFD_SEND_SIGNAL, child->pidfd, number, NULL, 0);
    if (rc < 0 && errno == ENOSYS) {
        rc = wait_for(child->pid, child->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
        if (rc < 0)
            errno = ESRCH;
        else
            rc = kill(child->pid, number); /* it is not reaped: the number is the child's */
    }
    return rc < 0 ? coil__fail(-errno, "signal %d to process %ld", number, (long)process->pid) : 0;
}

int coil_process_terminate(coil_process *process)
{
    return coil_process_send_signal(process, SIGTERM);
}

int coil_process_kill(coil_process *process)
{
    return coil_process_send_signal(process, SIGKILL);
}

/* ---- starting -------------------------------------------------------------------------------------- */

/* What is opened for a child: closed again when it has started, or could not. */
struct openings {
    struct coil__spawn spawn;
    int temporary[3]; /* the child's ends, /dev/null, copies of 0 to 2; -1: none */
};

static int make_pipe(coil_process *process, int which, int *end_out)
{
    int ends[2];
    struct coil__pipe *pipe = coil__alloc_zero(sizeof *pipe);
    if (!pipe)
        return coil__fail_plain(COIL_ENOMEM);
    pipe->process = process;
    pipe->writes = which == STDIN_FILENO;
    pipe->fd = -1;
    process->pipes[which] = pipe;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return coil__fail(-errno, "a pipe");
    int ours = pipe->writes;
    *end_out = coil__above_stdio(ends[!ours]);
    pipe->fd = coil__above_stdio(ends[ours]);
    if (*end_out < 0 || pipe->fd < 0)
        return coil__fail(*end_out < 0 ? *end_out : pipe->fd, "a pipe");
    return fcntl(pipe->fd, F_SETFL, O_NONBLOCK) < 0 ? coil__fail(-errno, "a pipe") : 0;
}

/* Finds out what becomes the child's descriptor. */
static int redirect(coil_process *process, struct openings *openings, int which, int to)
{
    int *temporary = &openings->temporary[which], rc = 0;
    openings->spawn.fds[which] = COIL__SPAWN_INHERIT;
    if (to == COIL_INHERIT)
        return 0;
    if (to == COIL_STDOUT && which == STDERR_FILENO) {
        openings->spawn.fds[which] = COIL__SPAWN_AS_OUT;
        return 0;
    }
    if (to == COIL_PIPE)
        rc = make_pipe(process, which, temporary);
    else if (to == COIL_DEVNULL)
        *temporary = coil__above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
    else if (to < 0)
        return coil__fail(COIL_EINVAL, "descriptor %d leads to %d", which, to);
    else if (to <= STDERR_FILENO)
        *temporary = fcntl(to, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    else if (fcntl(to, F_GETFD) < 0)
        return coil__fail(-EBADF, "descriptor %d", to);
    if (rc == 0 && *temporary < 0 && (to == COIL_DEVNULL || (to >= 0 && to <= STDERR_FILENO)))
        rc = coil__fail(-errno, "descriptor %d of a child", which);
    openings->spawn.fds[which] = *temporary >= 0 ? *temporary : to;
    return rc;
}

static const char *path_of(const char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return "/bin:/usr/bin";
}

static int check_passed(const coil_process_options *options)
{
    for (size_t i = 0; i < options->pass_fd_count; i++)
        if (fcntl(options->pass_fds[i], F_GETFD) < 0)
            return coil__fail(-EBADF, "descriptor %d", options->pass_fds[i]);
    return 0;
}

static void describe(struct coil__spawn *spawn, const char *const *argv,
                     const coil_process_options *options)
{
    spawn->argv = argv;
    spawn->program = options->executable ? options->executable : argv[0];
    spawn->env = options->env ? options->env : (const char *const *)environ;
    spawn->path = path_of(spawn->env);
    spawn->cwd = options->cwd;
    spawn->pass_fds = options->pass_fds;
    spawn->pass_fd_count = options->pass_fd_count;
    spawn->new_session = options->new_session;
    spawn->new_group = options->new_group;
    spawn->mask = options->set_umask ? (int)options->umask : -1;
}

/* Starts the child and sees to it that it is waited for. */
static int start(coil_process *process, const struct coil__spawn *spawn)
{
    coil_loop *loop = process->loop;
    struct coil__child *child = coil__alloc_zero(sizeof *child);
    if (!child)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = coil__spawn(spawn, &child->pid, &child->pidfd);
    if (rc < 0) {
        coil__free(child);
        return rc;
    }
    child->loop = loop;
    child->ready.run = reap_later;
    coil__list_append(&loop->children, &child->link);
    rc = watch(child);
    if (rc < 0) {
        /* Nobody would hear of its end: it must not have begun. */
        siginfo_t info;
        (void)kill(child->pid, SIGKILL);
        (void)wait_for(child->pid, child->pidfd, &info, WEXITED);
        forget_child(child);
        return rc;
    }
    child->process = process;
    process->child = child;
    process->pid = child->pid;
    return 0;
}

static int open_and_start(coil_process *process, const char *const *argv,
                          const coil_process_options *options)
{
    const int to[3] = { options->in, options->out, options->err };
    struct openings openings = { .temporary = { -1, -1, -1 } };
    describe(&openings.spawn, argv, options);
    int rc = check_passed(options);
    for (int which = 0; rc == 0 && which < 3; which++)
        rc = redirect(process, &openings, which, to[which]);
    if (rc == 0)
        rc = start(process, &openings.spawn);
    for (int which = 0; which < 3; which++)
        if (openings.temporary[which] >= 0)
            (void)close(openings.temporary[which]);
    return rc;
}

coil_process *coil_create_subprocess_exec(const char *const *argv,
                                          const coil_process_options *options)
{
    static const coil_process_options defaults = COIL_PROCESS_OPTIONS_INIT;
    coil_loop *loop = coil__loop_or_running(NULL);
    if (!loop || coil__loop_open_for_work(loop) < 0)
        return NULL;
    if (!argv || !argv[0]) {
        coil__fail(COIL_EINVAL, "no program");
        return NULL;
    }
    coil_process *process = coil__alloc_zero(sizeof *process);
    if (!process)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&process->object, &process_type);
    coil__ref(&loop->object);
    process->loop = loop;
    coil_event_init(&process->ended);
    coil_event_init(&process->progress);
    process->stream_limit = options ? options->limit : 0;
    int rc = open_and_start(process, argv, options ? options : &defaults);
    if (rc < 0) {
        coil_error *error = coil_ref(coil_error_current(rc));
        coil__unref(&process->object);
        coil__fail_with(rc, error); /* cleaning up does not hide it */
        coil_unref(error);
        return NULL;
    }
    return process;
}

coil_process *coil_create_subprocess_shell(const char *command, const coil_process_options *options)
{
    return coil_create_subprocess_exec(COIL_ARGS("/bin/sh", "-c", command), options);
}
