#include "platform/flow.h"

#include <errno.h>
#include <poll.h>

#include "base/object.h"

void coil__flow_init(struct coil__flow *flow)
{
    flow->state = 0;
    flow->reading = false;
    flow->hot = (struct coil__link){ 0 };
    flow->backing = NULL;
}

bool coil__flow_event(struct coil__link *hot, struct coil__flow *flow, uint32_t events)
{
    bool called = coil__list_linked(&flow->hot);
    bool gone = (events & (POLLHUP | POLLERR)) != 0;
    if (events & (POLLIN | POLLPRI | POLLRDHUP | POLLHUP | POLLERR))
        flow->state |= COIL__FLOW_CAN_READ;
    if (events & (POLLPRI | POLLRDHUP | POLLHUP | POLLERR))
        flow->state |= COIL__FLOW_UNSURE;

    bool writable = (flow->state & COIL__FLOW_NO_WRITE) != 0 && (gone || (events & POLLOUT));
    if (writable)
        flow->state &= (uint8_t)~COIL__FLOW_NO_WRITE;

    bool tell = gone && !(flow->state & COIL__FLOW_GONE_TOLD);
    if (tell)
        flow->state |= COIL__FLOW_GONE_TOLD;
    coil__flow_settle(hot, flow);
    if (!called && (coil__list_linked(&flow->hot) || tell))
        flow->readable(flow);
    return writable;
}

void coil__flow_run_hot(struct coil__link *hot)
{
    size_t due = 0;
    for (struct coil__link *link = hot->next; link != hot; link = link->next)
        due++;
    for (; due > 0 && !coil__list_empty(hot); due--) {
        struct coil__flow *flow = COIL__CONTAINER(hot->next, struct coil__flow, hot);
        coil__list_remove(&flow->hot);
        coil__list_append(hot, &flow->hot); /* stays, unless the call changes that */
        flow->readable(flow);
    }
}

void coil__flow_settle(struct coil__link *hot, struct coil__flow *flow)
{
    bool due = flow->reading && (flow->state & COIL__FLOW_CAN_READ);
    if (due && !coil__list_linked(&flow->hot))
        coil__list_append(hot, &flow->hot);
    else if (!due && coil__list_linked(&flow->hot))
        coil__list_remove(&flow->hot);
}

static void nothing_to_read(struct coil__flow *flow)
{
    flow->state &= (uint8_t) ~(COIL__FLOW_CAN_READ | COIL__FLOW_UNSURE);
}

int64_t coil__flow_read(struct coil__flow *flow, void *buffer, size_t bytes)
{
    ssize_t got;

    if (!(flow->state & COIL__FLOW_CAN_READ))
        return -EAGAIN;
    do
        got = recv(flow->fd, buffer, bytes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        int error = errno;
        if (error == EAGAIN)
            nothing_to_read(flow);
        return -error;
    }
    if (got > 0 && (size_t)got < bytes && flow->tcp && !(flow->state & COIL__FLOW_UNSURE))
        nothing_to_read(flow);
    return got;
}

int64_t coil__flow_write(struct coil__flow *flow, const struct iovec *parts, int count)
{
    struct msghdr header = { .msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count };
    size_t bytes = 0;
    ssize_t sent;

    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    do
        sent = count == 1 ? send(flow->fd, parts->iov_base, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : sendmsg(flow->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    int error = errno;
    if (sent < 0 ? error == EAGAIN : (size_t)sent < bytes)
        flow->state |= COIL__FLOW_NO_WRITE;
    return sent < 0 ? -error : sent;
}

int coil__flow_accept(struct coil__flow *flow)
{
    int fd;

    if (!(flow->state & COIL__FLOW_CAN_READ))
        return -EAGAIN;
    do
        fd = accept4(flow->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return fd;
    int error = errno;
    if (error == EAGAIN)
        nothing_to_read(flow);
    return -error;
}

void coil__flow_blocked(struct coil__flow *flow, int side)
{
    if (side == COIL__FLOW_IN)
        nothing_to_read(flow);
    else
        flow->state |= COIL__FLOW_NO_WRITE;
}
