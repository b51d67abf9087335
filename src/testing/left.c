#include "testing/left.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"
#include "tasks/task.h"

enum {
    TEXT_BYTES = 512
};

/* ---- the process -------------------------------------------------------------------------------- */

void coil__left_note(struct coil__left *left)
{
    memset(left, 0, sizeof *left);
    coil__errors_forget_thread();
    left->blocks = coil_testing_alloc_count();
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return;
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        char *end;
        long fd = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && fd < COIL__LEFT_DESCRIPTORS && fd != dirfd(directory))
            left->open[fd / 64] |= UINT64_C(1) << (fd % 64);
    }
    (void)closedir(directory); /* read only */
}

static void report_descriptor(int fd, coil__left_report report, void *arg)
{
    char link[64], target[256], text[TEXT_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    snprintf(text, sizeof text, "descriptor %d (%s) was opened and is not closed", fd, target);
    report(arg, text);
}

void coil__left_compare(const struct coil__left *before, coil__left_report report, void *arg)
{
    struct coil__left now;
    coil__left_note(&now);
    for (int fd = 0; fd < COIL__LEFT_DESCRIPTORS; fd++)
        if (now.open[fd / 64] & ~before->open[fd / 64] & UINT64_C(1) << (fd % 64))
            report_descriptor(fd, report, arg);
    if (now.blocks == before->blocks)
        return;
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%zu blocks of the library's memory before, %zu now",
             before->blocks, now.blocks);
    report(arg, text);
}

/* ---- the loop ----------------------------------------------------------------------------------- */

static void report_task(struct coil__task *task, coil__left_report report, void *arg)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "task %s (%s) is not done: %s", coil_task_get_name(&task->future),
             coil_coro_name(task->coro),
             task->waiting ? task->waiting->operation : "it is ready to run");
    report(arg, text);
}

static void report_count(size_t count, const char *of, coil__left_report report, void *arg)
{
    if (count == 0)
        return;
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%zu %s%s left", count, of, count == 1 ? " is" : "s are");
    report(arg, text);
}

void coil__left_on_loop(coil_loop *loop, coil__left_report report, void *arg)
{
    for (struct coil__link *link = loop->tasks.next; link != &loop->tasks; link = link->next)
        report_task(COIL__CONTAINER(link, struct coil__task, all), report, arg);
    report_count(loop->timers.count, "timer", report, arg);
    report_count(loop->backend->ops->pending(loop->backend), "operation or watcher of a descriptor",
                 report, arg);
}
