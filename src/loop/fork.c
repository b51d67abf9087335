/* fork: what the child must not share with its parent.
 *
 * An epoll set, a ring, an eventfd and a timerfd are one and the same in both processes. A child that waits
 * on them takes its parent's events away, and one that tidies up deletes its parent's registrations. So a
 * child drops them in the moment it is made: it closes its descriptors, which the parent does not notice, and
 * every loop that came along refuses from then on. The memory of loops and tasks stays as it is until the
 * child ends or execs. Nobody's cleanup is run: the parent will do that, once.
 *
 * The handler of pthread_atfork does it, so it costs nothing to those who do not fork. A process made by
 * clone(2) or _Fork is found out when it runs or closes a loop. */
#include "loop/loop.h"

#include <unistd.h>
#include "base/error.h"
#include "loop/signal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct coil__link loops = { &loops, &loops }; /* all that there are; guarded by `lock` */
static bool handlers_set;

static void prepare(void)
{
    pthread_mutex_lock(&lock);
    coil__signals_before_fork();
}

static void in_parent(void)
{
    coil__signals_after_fork();
    pthread_mutex_unlock(&lock);
}

/* What the process may do between fork and exec: no allocation, no lock that another thread may have held. */
static void orphan(coil_loop *loop)
{
    loop->forked = true;
    loop->closed = true; /* which refuses all work */
    loop->debug = false;
    loop->slow = COIL__SLOW_STOP;
    if (loop != coil__thread.loop)
        loop->running = false; /* its thread is not here */
    else if (loop->leave_code == 0)
        loop->leave_code = COIL_EFORKED; /* as soon as the step that forked is over */
    loop->on_interrupt = NULL;
    coil__inbox_orphan(loop);
    coil__inspect_loop_closed(loop); /* which locks nothing */
    coil__embed_close(loop);
    if (loop->backend) { /* not closed before */
        loop->backend->ops->abandon(loop->backend);
        loop->backend = &coil__backend_forked;
    }
}

static void orphan_all(void)
{
    coil__signals_in_child();
    coil__watchdog_in_child();
    for (struct coil__link *link = loops.next; link != &loops; link = link->next) {
        coil_loop *loop = COIL__CONTAINER(link, coil_loop, registered);
        if (!loop->forked && loop->pid != getpid())
            orphan(loop);
    }
}

static void in_child(void)
{
    orphan_all();
    coil__signals_after_fork();
    pthread_mutex_unlock(&lock);
}

int coil__fork_register(coil_loop *loop)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (!handlers_set) {
        rc = -pthread_atfork(prepare, in_parent, in_child);
        handlers_set = rc == 0;
    }
    if (rc == 0) {
        loop->pid = getpid();
        coil__list_append(&loops, &loop->registered);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void coil__fork_unregister(coil_loop *loop)
{
    pthread_mutex_lock(&lock);
    coil__list_remove(&loop->registered);
    pthread_mutex_unlock(&lock);
}

void coil__fork_notice(const coil_loop *loop)
{
    if (COIL_UNLIKELY(!loop->forked && loop->pid != getpid()))
        orphan_all(); /* made without the handlers */
}
