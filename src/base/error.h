/* Error records, inside the library. The public half is <coil/error.h>.
 *
 * Each task, and each thread outside tasks, has a short chain of records, newest first. A code is
 * explained by the newest record that carries it; a failing call of the library that has nothing to
 * explain removes older records of its code, so that they do not explain the wrong thing. */
#ifndef COIL_BASE_ERROR_H
#define COIL_BASE_ERROR_H

#include <coil/error.h>
#include "base/object.h"
#include "base/thread.h"

enum {
    COIL__ERROR_FRAMES = 12, /* places kept of the way up */
    COIL__ERROR_CHAIN = 4,   /* records kept for a task */
};

struct coil__place {
    const char *file, *function;
    int line;
    char task[28]; /* its name, cut off if need be; empty outside tasks */
};

struct coil_error {
    struct coil__object object;
    coil_error *older; /* in the chain of a task or thread; owned */
    coil_error *cause; /* owned */
    int code;
    int64_t detail;
    char *message;       /* owned; NULL: none */
    coil_error **errors; /* of a group: owned, with what they point to */
    size_t error_count;
    unsigned frame_count;
    unsigned frames_lost;
    struct coil__place frames[COIL__ERROR_FRAMES];
};

/* The chain of the running task. Implemented by the tasks layer. */
coil_error **coil__task_errors(struct coil__task *task);
void coil__task_label(struct coil__task *task, char *text, size_t bytes);

/* Fails without an explanation: drops older records of this code. Returns code. */
int coil__fail_plain(int code);

/* Makes an existing record (borrowed, NULL: none) the explanation of its code. Returns code. */
int coil__fail_with(int code, coil_error *record);

/* As coil_raise, without a place in the caller's program. */
int coil__fail(int code, const char *format, ...) COIL_PRINTF(2, 3);

/* Fails with a record that is in no chain: consumed. Returns its code. */
int coil__fail_own(coil_error *record);

/* For constructors: fails, and returns NULL. */
void *coil__fail_null(int code);

/* A record of its own, in no chain: what a cancel message is kept in. NULL when there is no memory. */
coil_error *coil__error_new(int code, const char *message);

/* A group in no chain, with room for so many errors: NULL each, to be filled in. NULL without memory. */
coil_error *coil__error_group_new(size_t count, const char *message);

/* Takes the newest record of the code out of a chain; NULL if there is none. */
coil_error *coil__errors_take(coil_error **chain, int code);

void coil__errors_clear(coil_error **chain);

/* A record that nobody else refers to, for another thread: this one (consumed), if it is such a one, or a
 * copy down to the last cause. NULL: there is no memory for it. */
coil_error *coil__error_detach(coil_error *error);
/* The same of a record that is borrowed, and may belong to another thread that leaves it alone meanwhile. */
coil_error *coil__error_copy(const coil_error *error);

/* Clears the chain of the calling thread, outside tasks. */
void coil__errors_forget_thread(void);

#endif
