/* A loop inside another one: a descriptor that polls readable when a step has something to do.
 *
 * It is an epoll descriptor over the backend's own and a timer. The timer stands at the next deadline,
 * or at once while something is ready. */
#include "loop/loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/error.h"

static void set_timer(coil_loop *loop, int64_t due_ns)
{
    struct itimerspec when;
    memset(&when, 0, sizeof when);
    if (due_ns != COIL__FOREVER_NS) {
        int64_t at = due_ns > 0 ? due_ns : 1; /* 0 would disarm */
        when.it_value.tv_sec = at / 1000000000;
        when.it_value.tv_nsec = at % 1000000000;
    }
    /* Cannot fail: the descriptor is a timer and the time is valid. */
    (void)timerfd_settime(loop->embed_timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void coil__embed_update(coil_loop *loop)
{
    if (loop->embed_fd < 0)
        return;
    bool at_once = loop->next.head || coil__inbox_pending(&loop->inbox) ||
                   (loop->slow & COIL__SLOW_STOP);
    set_timer(loop, at_once ? 1 : coil__timer_heap_next(&loop->timers));
    /* Between steps the host sleeps for the loop: senders must wake the descriptor. */
    atomic_store(&loop->sleeping, true);
    if (coil__inbox_pending_at_last(&loop->inbox))
        set_timer(loop, 1);
}

void coil__loop_kick(coil_loop *loop)
{
    if (!loop->running)
        coil__embed_update(loop);
}

static int open_embedding(coil_loop *loop)
{
    int inner = loop->backend->ops->poll_fd(loop->backend);
    if (inner < 0)
        return coil__fail(COIL_ENOTSUP, "the %s backend has no descriptor",
                          loop->backend->ops->name);
    struct epoll_event event = { .events = EPOLLIN };
    int outer = epoll_create1(EPOLL_CLOEXEC);
    if (outer < 0)
        return coil__fail(-errno, "epoll_create1");
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0 || epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event) < 0 ||
        epoll_ctl(outer, EPOLL_CTL_ADD, timer, &event) < 0) {
        int code = -errno;
        if (timer >= 0)
            (void)close(timer);
        (void)close(outer);
        return coil__fail(code, "a descriptor for embedding");
    }
    loop->embed_fd = outer;
    loop->embed_timer_fd = timer;
    return 0;
}

int coil_loop_fd(coil_loop *loop)
{
    if (loop->closed)
        return coil__loop_refuse_closed(loop);
    if (loop->embed_fd < 0) {
        int rc = open_embedding(loop);
        if (rc < 0)
            return rc;
        coil__embed_update(loop);
    }
    return loop->embed_fd;
}

void coil__embed_close(coil_loop *loop)
{
    if (loop->embed_fd < 0)
        return;
    (void)close(loop->embed_fd);
    (void)close(loop->embed_timer_fd);
    loop->embed_fd = loop->embed_timer_fd = -1;
}
