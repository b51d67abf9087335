/* Worker processes, as their pool sees them.
 *
 * Everything here blocks, in a thread of the pool's. Whoever waits for a worker waits for its line and for its
 * end at the same time (pidfd): a grandchild that a job has left behind may hold the line open. */
#include "io/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/error.h"
#include "io/pack.h"
#include "io/spawn.h"
#include "io/worker.h"

enum {
    LOOK_AGAIN_MS = 20, /* at a worker without pidfd */
    PATH_ROOM = 4096,
    CALL_PIDFD_SEND_SIGNAL = 424, /* newer than some headers */
};

int coil__worker_hello_ms = 60 * 1000;
int coil__worker_end_ms = 5 * 1000;

/* ---- time, and the worker's end --------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For poll: until then, or for ever if it is negative; not too long if somebody has to look in between. */
static int patience_until(int64_t until, bool look)
{
    int64_t left = until < 0 ? INT32_MAX : until - now_ms();
    if (until >= 0 && left < 0)
        left = 0;
    if (look && left > LOOK_AGAIN_MS)
        left = LOOK_AGAIN_MS;
    return until < 0 && !look ? -1 : (int)left;
}

/* Whether it has ended. It is not reaped, so its number stays its own. */
static bool has_ended(const struct coil__worker *worker)
{
    siginfo_t info = { .si_pid = 0 };
    int rc;
    do {
        rc = waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 || info.si_pid != 0;
}

/* Waits until the line is ready, and gives 0; or -EPIPE if the worker has ended and left nothing on it,
 * COIL_ETIMEDOUT, or another -errno. */
static int wait_for_line(const struct coil__worker *worker, short events, int64_t until)
{
    bool look = worker->pidfd < 0;
    for (;;) {
        struct pollfd fds[2] = { { worker->line, events, 0 }, { worker->pidfd, POLLIN, 0 } };
        int ready = poll(fds, 2, patience_until(until, look));
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready < 0)
            continue;
        if (fds[0].revents)
            return 0;
        if (fds[1].revents || (look && has_ended(worker))) {
            /* What it said before it ended may have come after the look at the line. */
            return poll(fds, 1, 0) > 0 ? 0 : -EPIPE;
        }
        if (until >= 0 && now_ms() >= until)
            return COIL_ETIMEDOUT;
    }
}

static bool wait_for_end(const struct coil__worker *worker, int64_t until)
{
    while (!has_ended(worker)) {
        int patience = patience_until(until, worker->pidfd < 0);
        if (patience == 0)
            return false;
        struct pollfd end = { worker->pidfd, POLLIN, 0 };
        (void)poll(&end, 1, patience);
    }
    return true;
}

static void kill_worker(const struct coil__worker *worker)
{
    if (worker->pidfd < 0 ||
        (syscall(CALL_PIDFD_SEND_SIGNAL, worker->pidfd, SIGKILL, NULL, 0) < 0 && errno == ENOSYS))
        (void)kill(worker->pid, SIGKILL); /* it is not reaped: the number is its own */
}

void coil__workers_kill(struct coil__workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->killed = true;
    for (struct coil__link *link = workers->list.next; link != &workers->list; link = link->next)
        kill_worker(COIL__CONTAINER(link, struct coil__worker, link));
    pthread_mutex_unlock(&workers->lock);
}

/* Closes the line and reaps the worker. One that does not end is killed. */
static void reap(struct coil__worker *worker, siginfo_t *info_out)
{
    pthread_mutex_lock(&worker->workers->lock);
    coil__list_remove(&worker->link); /* from now on nobody else sends it a signal */
    pthread_mutex_unlock(&worker->workers->lock);
    if (worker->line >= 0)
        (void)close(worker->line);
    if (!wait_for_end(worker, now_ms() + coil__worker_end_ms))
        kill_worker(worker);
    int rc;
    memset(info_out, 0, sizeof *info_out);
    do {
        rc = waitid(P_PID, (id_t)worker->pid, info_out, WEXITED);
    } while (rc < 0 && errno == EINTR);
    if (worker->pidfd >= 0)
        (void)close(worker->pidfd);
}

void coil__worker_end(struct coil__worker *worker)
{
    siginfo_t info;
    reap(worker, &info);
    coil__free(worker);
}

/* Ends a worker that broke off, and raises what became of it. */
static int explain_end(struct coil__worker *worker, const char *doing)
{
    siginfo_t info;
    reap(worker, &info);
    bool exited = info.si_code == CLD_EXITED;
    int status = exited ? info.si_status : -info.si_status;
    if (info.si_pid == 0)
        coil__fail(COIL_EWORKER,
                   "worker process %ld has ended while %s; how is not known, since the "
                   "program ignores SIGCHLD or waits for all children",
                   (long)worker->pid, doing);
    else if (exited)
        coil__fail(COIL_EWORKER, "worker process %ld exited with status %d while %s",
                   (long)worker->pid, status, doing);
    else
        coil__fail(COIL_EWORKER, "worker process %ld was ended by SIG%s (%s) while %s",
                   (long)worker->pid, sigabbrev_np(-status) ? sigabbrev_np(-status) : "?",
                   sigdescr_np(-status) ? sigdescr_np(-status) : "unknown", doing);
    coil_error *error = coil_error_current(COIL_EWORKER);
    if (error)
        coil_error_set_detail(error, status);
    coil__free(worker);
    return COIL_EWORKER;
}

/* ---- the line -------------------------------------------------------------------------------------- */

static int send_all(const struct coil__worker *worker, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(worker->line, at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            int rc = wait_for_line(worker, POLLOUT, -1);
            if (rc < 0)
                return rc;
        } else if (sent < 0 && errno != EINTR) {
            return -errno;
        } else if (sent > 0) {
            at += sent;
            bytes -= (size_t)sent;
        }
    }
    return 0;
}

static int receive_all(const struct coil__worker *worker, void *data, size_t bytes, int64_t until)
{
    char *at = data;
    while (bytes > 0) {
        ssize_t got = recv(worker->line, at, bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            int rc = wait_for_line(worker, POLLIN, until);
            if (rc < 0)
                return rc;
        } else if (got == 0) {
            return -EPIPE;
        } else if (got < 0 && errno != EINTR) {
            return -errno;
        } else if (got > 0) {
            at += got;
            bytes -= (size_t)got;
        }
    }
    return 0;
}

/* The value or the record that an answer has brought. */
static int unpack_answer(const struct coil__message *message, const char *data,
                         coil_value *value_out, bool *lost_out)
{
    struct coil__unpacker unpacker = { data, data + message->bytes };
    coil_error *error = NULL;
    int rc = 0;
    if (message->code == 0)
        rc = coil__unpack_value(&unpacker, value_out);
    else if (message->bytes > 0)
        rc = coil__unpack_error(&unpacker, &error);
    if (rc == 0 && (unpacker.at != unpacker.end || (error && error->code != message->code)))
        rc = -EBADMSG;
    if (rc < 0) {
        coil_unref(error);
        coil_value_clear(value_out);
        *lost_out = rc == -EBADMSG;
        return rc;
    }
    if (error)
        return coil__fail_own(error);
    return message->code < 0 ? coil__fail_plain(message->code) : 0;
}

static int read_answer(const struct coil__worker *worker, coil_value *value_out, bool *lost_out)
{
    struct coil__message message;
    *lost_out = true;
    int rc = receive_all(worker, &message, sizeof message, -1);
    if (rc < 0)
        return rc;
    if (message.kind != COIL__MESSAGE_ANSWER || message.code > 0 || message.bytes >= SIZE_MAX)
        return -EBADMSG;
    char *data = coil__alloc((size_t)message.bytes + 1);
    if (!data)
        return coil__fail_plain(COIL_ENOMEM); /* lost, for what it sends stays on the line */
    rc = receive_all(worker, data, (size_t)message.bytes, -1);
    if (rc == 0) {
        *lost_out = false;
        rc = unpack_answer(&message, data, value_out, lost_out);
    }
    coil__free(data);
    return rc;
}

/* After the line has failed: what became of the worker, which is gone then. */
static int give_up(struct coil__worker *worker, int rc, const char *doing)
{
    long pid = (long)worker->pid;
    if (rc == -EPIPE || rc == -ECONNRESET)
        return explain_end(worker, doing);
    kill_worker(worker); /* it may be at work for ever */
    coil__worker_end(worker);
    if (rc == -EBADMSG)
        return coil__fail(COIL_EWORKER, "worker process %ld sent what is no answer while %s", pid,
                          doing);
    if (rc == COIL_ETIMEDOUT)
        return coil__fail(COIL_EWORKER,
                          "worker process %ld has not come to coil_process_pool_main, "
                          "which belongs at the beginning of main",
                          pid);
    return rc == COIL_ENOMEM ? coil__fail_plain(rc) : coil__fail(rc, "while %s", doing);
}

int coil__worker_ask(struct coil__worker *worker, const struct coil__request *request,
                     coil_value *value_out, bool *lost_out)
{
    struct coil__message message = { COIL__MESSAGE_REQUEST, 0, request->bytes };
    char doing[100];
    *lost_out = true;
    worker->jobs++;
    int rc = send_all(worker, &message, sizeof message);
    if (rc == 0)
        rc = send_all(worker, request->data, request->bytes);
    if (rc == 0)
        rc = read_answer(worker, value_out, lost_out);
    if (!*lost_out)
        return rc;
    (void)snprintf(doing, sizeof doing, "it ran %s", request->name);
    return give_up(worker, rc, doing);
}

bool coil__worker_is_lost(const struct coil__worker *worker)
{
    struct pollfd line = { worker->line, POLLIN, 0 };
    return poll(&line, 1, 0) != 0 || has_ended(worker);
}

/* ---- starting -------------------------------------------------------------------------------------- */

/* This program's file. By the link's text, since emulators and valgrind show theirs otherwise; unless the file
 * was replaced by another one, which the system notes behind the name. */
static const char *own_path(char path[static PATH_ROOM])
{
    static const char link[] = "/proc/self/exe";
    ssize_t length = readlink(link, path, PATH_ROOM - 1);
    if (length <= 0)
        return link;
    path[length] = '\0';
    return access(path, X_OK) == 0 ? path : link;
}

/* Our environment with the variable. NULL: no memory. */
static const char **make_environment(const char *variable)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    const char **env = coil__alloc((count + 2) * sizeof *env);
    if (!env)
        return NULL;
    env[kept++] = variable;
    for (size_t i = 0; i < count; i++)
        env[kept++] = environ[i];
    env[kept] = NULL;
    return env;
}

static int spawn(struct coil__worker *worker, int their_line, int null)
{
    char variable[64], path[PATH_ROOM];
    (void)snprintf(variable, sizeof variable, "%s=%d", COIL__WORKER_VARIABLE, their_line);
    const char **env = make_environment(variable);
    if (!env)
        return coil__fail_plain(COIL_ENOMEM);
    const char *const argv[] = { program_invocation_name, NULL };
    struct coil__spawn how = {
        .program = own_path(path),
        .path = "",
        .argv = argv,
        .env = env,
        .fds = { null, COIL__SPAWN_INHERIT, COIL__SPAWN_INHERIT },
        .pass_fds = &their_line,
        .pass_fd_count = 1,
        .new_group = true, /* away from the terminal's signals, from the first moment on */
        .mask = -1,
    };
    int rc = coil__spawn(&how, &worker->pid, &worker->pidfd);
    coil__free(env);
    return rc;
}

/* Opens the worker's descriptors and starts it. What fails leaves nothing open. */
static int open_and_spawn(struct coil__worker *worker)
{
    int ends[2];
    int null = coil__above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (null < 0)
        return coil__fail(-errno, "/dev/null for a worker process");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        int rc = coil__fail(-errno, "a socket pair for a worker process");
        (void)close(null);
        return rc;
    }
    worker->line = coil__above_stdio(ends[0]);
    int theirs = coil__above_stdio(ends[1]);
    int rc = worker->line < 0 || theirs < 0 ? coil__fail(worker->line < 0 ? worker->line : theirs,
                                                         "a line to a worker process")
                                            : spawn(worker, theirs, null);
    (void)close(null);
    if (theirs >= 0)
        (void)close(theirs);
    if (rc < 0 && worker->line >= 0)
        (void)close(worker->line);
    return rc;
}

static void enlist(struct coil__workers *workers, struct coil__worker *worker)
{
    pthread_mutex_lock(&workers->lock);
    coil__list_append(&workers->list, &worker->link);
    if (workers->killed)
        kill_worker(worker);
    pthread_mutex_unlock(&workers->lock);
}

struct coil__worker *coil__worker_start(struct coil__workers *workers)
{
    struct coil__worker *worker = coil__alloc_zero(sizeof *worker);
    if (!worker)
        return coil__fail_null(COIL_ENOMEM);
    worker->workers = workers;
    if (open_and_spawn(worker) < 0) {
        coil__free(worker);
        return NULL;
    }
    enlist(workers, worker);
    struct coil__message hello;
    int rc = receive_all(worker, &hello, sizeof hello, now_ms() + coil__worker_hello_ms);
    if (rc == 0 && hello.kind != COIL__MESSAGE_HELLO)
        rc = -EBADMSG;
    if (rc == 0)
        return worker;
    (void)give_up(worker, rc,
                  "it started: it has not come to coil_process_pool_main, which belongs at "
                  "the beginning of main");
    return NULL;
}
