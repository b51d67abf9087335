/* The watchdog: in debug mode it tells of a step that does not end, while it does not end.
 *
 * A report after the step says how long it took, but not what it did; and one that hangs for ever is never
 * reported. So a thread looks at the loops every now and then. A step that is over its limit is told apart by the
 * times that the system keeps of its thread:
 *
 *     on a processor           it computes
 *     queued for a processor   others have it; this does not count
 *     neither                  it blocks in a system call
 *
 * Then it sends the thread a signal. The handler runs amid the step, takes down the stack, and what cannot be read
 * from another thread; names are found, and told, by the watchdog. */
#include "loop/watchdog.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <coil/debug.h>
#include "base/place.h"
#include "loop/loop.h"

enum {
    FRAMES_MAX = 64,
    FRAMES_OURS = 2, /* the handler, and what the system returns from it to */
    LOOK_MIN_NS = 1000 * 1000,
    LOOK_MAX_NS = 100 * 1000 * 1000,
    ANSWER_MS =
        200, /* a thread that waits for a processor answers late; one that blocks signals, never */
};

/* ---- the stack of another thread ---------------------------------------------------------------- */

enum {
    SAMPLE_IDLE,
    SAMPLE_ASKED,
    SAMPLE_TAKING,
};

/* One at a time: the watchdog's lock is held. */
static struct {
    _Atomic int state;
    int64_t began_ns; /* of the step that is meant */
    sem_t taken;
    bool missed; /* it had ended */
    int count;
    void *frames[FRAMES_MAX];
    struct coil__watched_task task;
} sample;

static void on_sample(int number, siginfo_t *info, void *context)
{
    int saved = errno, asked = SAMPLE_ASKED;
    (void)number;
    (void)info;
    (void)context;
    if (!atomic_compare_exchange_strong(&sample.state, &asked, SAMPLE_TAKING))
        return; /* nobody waits any more */
    coil_loop *loop = coil__thread.loop;
    sample.missed = !loop || atomic_load(&loop->watched.began_ns) != sample.began_ns;
    if (!sample.missed) {
        sample.count = backtrace(sample.frames, FRAMES_MAX);
        coil__task_describe_watched(&sample.task);
    }
    atomic_store(&sample.state, SAMPLE_IDLE);
    sem_post(&sample.taken);
    errno = saved;
}

static int sample_signal(void)
{
    return SIGRTMAX - 3;
}

/* Once in a process. The handler stays: a signal may be on its way. */
static void install_handler(void)
{
    void *frame;
    struct sigaction action;
    sem_init(&sample.taken, 0, 0);
    (void)backtrace(&frame, 1); /* the first call loads a library: not in a handler */
    if (sigaction(sample_signal(), NULL, &action) < 0 || action.sa_handler != SIG_DFL)
        return; /* somebody else's: there will be no stacks */
    action = (struct sigaction){ .sa_sigaction = on_sample,
                                 .sa_flags = SA_ONSTACK | SA_SIGINFO | SA_RESTART };
    sigfillset(&action.sa_mask);
    sigaction(sample_signal(), &action, NULL);
}

static bool is_ours(void)
{
    struct sigaction action;
    return sigaction(sample_signal(), NULL, &action) == 0 && action.sa_sigaction == on_sample;
}

/* Takes down what a thread does. False: the step has ended. */
static bool take_sample(const struct coil__watched *watched)
{
    int asked = SAMPLE_ASKED;
    struct timespec until;
    sample.count = 0;
    sample.missed = false;
    memset(&sample.task, 0, sizeof sample.task);
    if (!is_ours())
        return true;
    sample.began_ns = watched->seen_ns;
    atomic_store(&sample.state, SAMPLE_ASKED);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ANSWER_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    bool sent = syscall(SYS_tgkill, getpid(), watched->tid, sample_signal()) == 0;
    int rc = sent ? sem_timedwait(&sample.taken, &until) : -1;
    if (rc < 0 && !atomic_compare_exchange_strong(&sample.state, &asked, SAMPLE_IDLE))
        while (sem_wait(&sample.taken) < 0) /* it came at the last moment */
            continue;
    return !sample.missed;
}

/* ---- telling ------------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static coil_blocked_handler handler; /* under the lock */
static void *handler_arg;

static void print(const coil_blocked_report *report)
{
    fprintf(stderr, "coil: warning: %s", report->message);
    if (report->task)
        fprintf(stderr, " (%s", report->task);
    if (report->coroutine)
        fprintf(stderr, ", in %s, %s:%d", report->coroutine, report->file, report->line);
    fprintf(stderr, "%s (%.3f seconds, %.3f of them on a processor)\n", report->task ? ")" : "",
            report->seconds, report->cpu_seconds);
    for (size_t i = 0; i < report->frame_count; i++) {
        char place[COIL__PLACE_BYTES];
        fprintf(stderr, "    %s\n", coil__place_describe(report->frames[i], place));
    }
}

static void tell(int64_t all_ns, int64_t cpu_ns)
{
    bool computes = cpu_ns > all_ns / 2, task = sample.task.name[0] != '\0';
    int skipped = sample.count < FRAMES_OURS ? sample.count : FRAMES_OURS;
    coil_blocked_report report = {
        .size = sizeof report,
        .message = computes ? "a step computes for long: nothing else runs meanwhile; give way, or "
                              "use coil_to_thread"
                            : "a step blocks its loop: nothing else runs meanwhile; await instead, "
                              "or use coil_to_thread",
        .computes = computes,
        .task = task ? sample.task.name : NULL,
        .coroutine = sample.task.coroutine,
        .file = sample.task.file,
        .line = sample.task.line,
        .seconds = (double)all_ns / 1e9,
        .cpu_seconds = (double)cpu_ns / 1e9,
        .frames = sample.frames + skipped,
        .frame_count = (size_t)(sample.count - skipped),
    };
    if (handler)
        handler(&report, handler_arg);
    else
        print(&report);
}

void coil_set_blocked_handler(coil_blocked_handler fn, void *arg)
{
    pthread_mutex_lock(&lock);
    handler = fn;
    handler_arg = arg;
    pthread_mutex_unlock(&lock);
}

/* ---- looking ------------------------------------------------------------------------------------ */

struct watchdog {
    pthread_t thread;
    pthread_cond_t changed;
    bool stop;
};

static struct coil__link loops = { &loops, &loops }; /* under the lock, like what follows */
static struct watchdog *current;
static pid_t owner; /* the process that all this is about */

/* Reads a file of the system's about a thread. False: it has none. */
static bool read_about(pid_t tid, const char *what, char *text, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd >= 0 ? read(fd, text, room - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    return bytes > 0;
}

static int64_t cpu_time(const struct coil__watched *watched)
{
    struct timespec cpu = { 0 };
    (void)clock_gettime(watched->clock, &cpu); /* the thread is there: it is listed */
    return (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
}

/* How long a thread has been in the queue for a processor: up to when it last left it. 0 where the kernel does not
 * say. */
static int64_t queued_time(const struct coil__watched *watched)
{
    char text[96], *second;
    if (!read_about(watched->tid, "schedstat", text, sizeof text))
        return 0;
    (void)strtoll(text, &second, 10); /* what it has run; the clock is exact */
    return strtoll(second, NULL, 10);
}

/* Whether a thread runs, or would if there were a processor. */
static bool runnable(const struct coil__watched *watched)
{
    char text[128];
    const char *name_end = read_about(watched->tid, "stat", text, sizeof text) ? strrchr(text, ')')
                                                                               : NULL;
    return name_end && name_end[1] == ' ' && name_end[2] == 'R';
}

static void look(struct coil__watched *watched)
{
    int64_t began_ns = atomic_load(&watched->began_ns), now_ns = coil__clock_ns();
    if (began_ns == 0 || (began_ns == watched->seen_ns && watched->told))
        return;
    if (began_ns != watched->seen_ns) {
        watched->seen_ns = began_ns;
        watched->told = false;
        watched->first_ns = now_ns;
        watched->cpu_ns = cpu_time(watched);
        watched->queued_ns = queued_time(watched);
        return;
    }
    /* While it is in the queue, nobody says for how long; but then it does not block, and work is all that counts. */
    int64_t cpu_ns = cpu_time(watched) - watched->cpu_ns, all_ns = cpu_ns;
    if (!runnable(watched))
        all_ns = now_ns - watched->first_ns - (queued_time(watched) - watched->queued_ns);
    if (all_ns < atomic_load(&watched->limit_ns))
        return;
    watched->told = true;
    if (take_sample(watched))
        tell(all_ns, cpu_ns);
}

/* Looks at all loops. Gives the time until the next look: several in the shortest limit. */
static int64_t look_at_all(void)
{
    int64_t pause_ns = LOOK_MAX_NS;
    for (struct coil__link *link = loops.next; link != &loops; link = link->next) {
        struct coil__watched *watched = COIL__CONTAINER(link, struct coil__watched, link);
        look(watched);
        int64_t part_ns = atomic_load(&watched->limit_ns) / 4;
        pause_ns = part_ns < pause_ns ? part_ns : pause_ns;
    }
    return pause_ns > LOOK_MIN_NS ? pause_ns : LOOK_MIN_NS;
}

static void *watch(void *arg)
{
    struct watchdog *watchdog = arg;
    (void)pthread_setname_np(pthread_self(), "coil-watchdog"); /* for people only */
    pthread_mutex_lock(&lock);
    while (!watchdog->stop) {
        int64_t until_ns = coil__clock_ns() + look_at_all();
        struct timespec until = { .tv_sec = until_ns / 1000000000,
                                  .tv_nsec = until_ns % 1000000000 };
        pthread_cond_clockwait(&watchdog->changed, &lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- coming and going --------------------------------------------------------------------------- */

/* With the lock held. */
static void start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);
    struct watchdog *watchdog = coil__alloc_zero(sizeof *watchdog);
    if (!watchdog)
        return;
    pthread_cond_init(&watchdog->changed, NULL);
    sigset_t all, old; /* the program's signals are not for this thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&watchdog->thread, NULL, watch, watchdog);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0) {
        current = watchdog;
    } else {
        pthread_cond_destroy(&watchdog->changed);
        coil__free(watchdog);
    }
}

void coil__watchdog_enter(coil_loop *loop)
{
    struct coil__watched *watched = &loop->watched;
    pthread_mutex_lock(&lock);
    owner = getpid();
    watched->tid = (pid_t)syscall(SYS_gettid);
    if (pthread_getcpuclockid(pthread_self(), &watched->clock) != 0)
        watched->clock = CLOCK_PROCESS_CPUTIME_ID; /* cannot happen, and is better than nothing */
    if (!watched->on)
        coil__list_append(&loops, &watched->link);
    watched->on = true;
    if (!current)
        start();
    pthread_mutex_unlock(&lock);
}

void coil__watchdog_leave(coil_loop *loop)
{
    struct watchdog *last = NULL;
    pthread_mutex_lock(&lock);
    loop->watched.on = false;
    coil__list_remove(&loop->watched.link);
    if (coil__list_empty(&loops) && current) {
        last = current;
        current = NULL;
        last->stop = true;
        pthread_cond_signal(&last->changed);
    }
    pthread_mutex_unlock(&lock);
    if (last) {
        pthread_join(last->thread, NULL);
        pthread_cond_destroy(&last->changed);
        coil__free(last);
    }
}

void coil__watchdog_in_child(void)
{
    if (owner == getpid())
        return; /* its own loops */
    owner = getpid();
    pthread_mutex_init(&lock, NULL);
    coil__list_init(&loops);
    current = NULL;
    atomic_store(&sample.state, SAMPLE_IDLE);
}
