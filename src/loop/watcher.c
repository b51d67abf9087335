/* add_reader and add_writer: a readiness operation that is submitted again each time it completes. */
#include "loop/loop.h"

#include <fcntl.h>
#include <string.h>
#include "base/error.h"

enum {
    READER,
    WRITER,
    DIRECTIONS
};

struct watcher {
    struct coil__op op;
    coil_handle *handle; /* one reference; NULL: nothing is watched */
};

struct coil__watchers {
    struct watcher **by_fd[DIRECTIONS]; /* allocated one by one: the backend keeps their address */
    int count;
};

static void report_lost(coil_loop *loop, struct watcher *watcher, int code)
{
    COIL__REPORT(loop, .event = COIL_EVENT_CALLBACK_FAILED,
                 .message = "a descriptor cannot be watched any longer", .code = code,
                 .handle = watcher->handle);
}

static void submit(coil_loop *loop, struct watcher *watcher)
{
    int rc = loop->backend->ops->submit(loop->backend, &watcher->op);
    if (rc < 0)
        report_lost(loop, watcher, rc);
}

static void on_event(struct coil__op *op)
{
    struct watcher *watcher = COIL__CONTAINER(op, struct watcher, op);
    coil_handle *handle = watcher->handle;
    if (!(handle->object.flags & COIL__HANDLE_QUEUED))
        coil__handle_push(handle);
    if (op->result >= 0)
        submit(handle->loop, watcher);
    else
        report_lost(handle->loop, watcher, (int)op->result);
}

static struct watcher *find(coil_loop *loop, int fd, int direction)
{
    struct coil__watchers *all = loop->watchers;
    return all && fd >= 0 && fd < all->count ? all->by_fd[direction][fd] : NULL;
}

static int make_room(coil_loop *loop, int fd)
{
    struct coil__watchers *all = loop->watchers;
    if (!all) {
        all = coil__alloc_zero(sizeof *all);
        if (!all)
            return coil__fail_plain(COIL_ENOMEM);
        loop->watchers = all;
    }
    if (fd < all->count)
        return 0;
    /* A number that is no descriptor must not size the table. */
    if (fcntl(fd, F_GETFD) < 0)
        return coil__fail(-EBADF, "descriptor %d", fd);
    int count = fd < 32 ? 64 : fd * 2;
    for (int direction = 0; direction < DIRECTIONS; direction++) {
        struct watcher **grown = coil__realloc(all->by_fd[direction],
                                               (size_t)count * sizeof *grown);
        if (!grown)
            return coil__fail_plain(COIL_ENOMEM);
        memset(grown + all->count, 0, (size_t)(count - all->count) * sizeof *grown);
        all->by_fd[direction] = grown;
    }
    all->count = count;
    return 0;
}

static void on_gone(struct coil__op *op)
{
    coil__free(COIL__CONTAINER(op, struct watcher, op));
}

/* Frees the watcher, now or when its operation is over. */
static void stop_watching(coil_loop *loop, struct watcher *watcher)
{
    coil_handle_cancel(watcher->handle);
    coil__unref(&watcher->handle->object);
    watcher->handle = NULL;
    watcher->op.done = on_gone;
    if (!watcher->op.pending ||
        loop->backend->ops->cancel(loop->backend, &watcher->op) == COIL__OP_GONE)
        coil__free(watcher);
}

static int remove_watcher(coil_loop *loop, int fd, int direction)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc < 0)
        return rc;
    struct watcher *watcher = find(loop, fd, direction);
    if (!watcher)
        return 0;
    loop->watchers->by_fd[direction][fd] = NULL;
    stop_watching(loop, watcher);
    return 1;
}

static int add_watcher(coil_loop *loop, int fd, int direction, coil_callback fn, void *arg)
{
    loop = coil__loop_or_running(loop);
    if (!loop)
        return COIL_ENOLOOP;
    int rc = coil__loop_open_for_work(loop);
    if (rc < 0)
        return rc;
    if (fd < 0)
        return coil__fail(-EBADF, "descriptor %d", fd);
    rc = make_room(loop, fd);
    if (rc < 0)
        return rc;

    coil_context *context;
    rc = coil__context_inherit(&context);
    if (rc < 0)
        return rc;
    struct watcher *watcher = coil__alloc_zero(sizeof *watcher);
    coil_handle *handle = watcher ? coil__block_take(sizeof *handle) : NULL;
    if (!handle) {
        coil__free(watcher);
        coil_unref(context);
        return coil__fail_plain(COIL_ENOMEM);
    }
    coil__handle_init(handle, &coil__handle_type, loop, fn, arg, context);
    handle->object.flags = COIL__HANDLE_WATCHER;
    watcher->handle = handle;
    watcher->op.kind = direction == READER ? COIL__OP_READABLE : COIL__OP_WRITABLE;
    watcher->op.fd = fd;
    watcher->op.done = on_event;

    /* The new one stands before the old one goes, so that failing leaves the old one in place. */
    rc = loop->backend->ops->submit(loop->backend, &watcher->op);
    if (rc < 0 || (rc == COIL__OP_READY && watcher->op.result < 0)) {
        coil__unref(&handle->object);
        int code = rc < 0 ? rc : (int)watcher->op.result;
        coil__free(watcher);
        return coil__fail(code, "watching descriptor %d", fd);
    }
    (void)remove_watcher(loop, fd, direction); /* 0 or 1: whether there was one */
    loop->watchers->by_fd[direction][fd] = watcher;
    coil__loop_kick(loop);
    return 0;
}

void coil__watchers_close(coil_loop *loop)
{
    struct coil__watchers *all = loop->watchers;
    if (!all)
        return;
    for (int direction = 0; direction < DIRECTIONS; direction++) {
        for (int fd = 0; fd < all->count; fd++) {
            struct watcher *watcher = all->by_fd[direction][fd];
            if (watcher)
                stop_watching(loop, watcher);
        }
        coil__free(all->by_fd[direction]);
    }
    coil__free(all);
    loop->watchers = NULL;
}

int coil_add_reader(coil_loop *loop, int fd, coil_callback fn, void *arg)
{
    return add_watcher(loop, fd, READER, fn, arg);
}

int coil_add_writer(coil_loop *loop, int fd, coil_callback fn, void *arg)
{
    return add_watcher(loop, fd, WRITER, fn, arg);
}

int coil_remove_reader(coil_loop *loop, int fd)
{
    return remove_watcher(loop, fd, READER);
}

int coil_remove_writer(coil_loop *loop, int fd)
{
    return remove_watcher(loop, fd, WRITER);
}
