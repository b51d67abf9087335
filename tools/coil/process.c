/* A process: read by process_vm_readv, which neither stops it nor asks it for anything. */
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool read_process(struct target *target, uint64_t address, void *to, size_t bytes)
{
    struct iovec here = { to, bytes };
    struct iovec there = { (void *)(uintptr_t)address, bytes };
    return process_vm_readv(target->pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

static FILE *open_proc(pid_t pid, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    return fopen(path, "re");
}

/* "1234 (a name) S ...": the name may hold anything. */
static void read_state(struct target *target)
{
    char text[512];
    FILE *file = open_proc(target->pid, "stat");
    if (!file)
        fail("there is no process %d", (int)target->pid);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (!name || !end || end < name || strlen(end) < 3)
        fail("/proc/%d/stat is not as expected", (int)target->pid);
    target->state = end[2];
    snprintf(target->name, sizeof target->name, "process %d (%.*s)", (int)target->pid,
             (int)(end - name - 1), name + 1);
}

static void read_mappings(struct target *target)
{
    FILE *file = open_proc(target->pid, "maps");
    char *line = NULL;
    size_t room = 0;
    if (!file)
        return; /* tell_why says it */
    while (getline(&line, &room, file) > 0) {
        struct mapping mapping = { 0 };
        int path = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %n", &mapping.start,
                   &mapping.end, &mapping.offset, &path) < 3)
            continue;
        if (path > 0 && line[path] == '/')
            mapping.path = strdup(line + path);
        add_mapping(target, mapping);
    }
    free(line);
    fclose(file);
}

static _Noreturn void tell_why(const struct target *target, int error)
{
    int scope = 0;
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (file) {
        if (fscanf(file, "%d", &scope) != 1)
            scope = 0;
        fclose(file);
    }
    if (error == EPERM && scope > 0)
        fail("not allowed to read %s: kernel.yama.ptrace_scope is %d, which leaves that to %s",
             target->name, scope, scope < 3 ? "root (CAP_SYS_PTRACE)" : "nobody");
    if (error == EPERM || error == EACCES)
        fail("not allowed to read %s: that takes its user, or root (CAP_SYS_PTRACE)", target->name);
    if (error == ESRCH)
        fail("%s has ended", target->name);
    fail("%s cannot be read: %s", target->name, strerror(error));
}

void open_process(struct target *target, pid_t pid)
{
    memset(target, 0, sizeof *target);
    target->read = read_process;
    target->pid = pid;
    target->live = true;
    target->fd = -1;
    read_state(target);
    if (target->state == 'Z' || target->state == 'X')
        fail("%s has ended", target->name);
    errno = 0;
    read_mappings(target);
    if (target->mapping_count == 0)
        tell_why(target, errno ? errno : EPERM);
    for (size_t i = 0; i < target->mapping_count; i++) {
        char byte;
        if (!target->mappings[i].path)
            continue;
        if (!read_process(target, target->mappings[i].start, &byte, 1))
            tell_why(target, errno);
        break;
    }
}
