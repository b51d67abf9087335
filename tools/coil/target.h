/* The program that is looked at: a process or a core file.
 *
 * Nothing of it is stopped or changed. What is read goes through a cache of pages, so that one look sees
 * each page as it was at one time. */
#ifndef COIL_TOOLS_TARGET_H
#define COIL_TOOLS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "trace/inspect.h"

enum {
    PAGE_BYTES = 4096,
    CACHED_PAGES = 16384, /* 64 MiB at most */
};

struct mapping {
    uint64_t start, end, offset; /* offset: in the file */
    char *path;                  /* of the file; NULL: none */
};

struct page {
    uint64_t address;
    bool there, readable;
    char *bytes;
};

struct target {
    struct coil__memory memory; /* must be the first */
    /* Reads without the cache. */
    bool (*read)(struct target *target, uint64_t address, void *to, size_t bytes);
    pid_t pid;  /* 0: not known, of a core */
    bool live;  /* a process */
    char state; /* of a process, as in /proc/PID/stat */
    int signal; /* of a core: what the process died of; 0: not known */
    char name[64];
    struct mapping *mappings;
    size_t mapping_count;
    struct page *pages;

    struct coil__inspect layout;
    struct coil__seen_waiter_kind kinds[COIL__INSPECT_WAITERS_MAX + 1];

    /* A core's. */
    int fd;
    struct segment *segments;
    size_t segment_count;
    int *files; /* of each mapping: -1: not open yet, -2: it cannot be opened */
};

/* Ends the command with a message, and status 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
/* Memory, or the end of the command. */
void *must_alloc(size_t bytes);
void *must_realloc(void *memory, size_t bytes);

void open_process(struct target *target, pid_t pid);
void open_core(struct target *target, const char *path);

/* Finds the library in the program, and makes target->memory ready. Programs that have it twice are looked at
 * where there are loops. */
void find_library(struct target *target);

/* Forgets what was read. */
void look_again(struct target *target);

void add_mapping(struct target *target, struct mapping mapping);
void close_target(struct target *target);

#endif
