/* The pool's side of a worker process: one thread starts it, talks to it, and sees it end. */
#ifndef COIL_IO_WORKER_PROCESS_H
#define COIL_IO_WORKER_PROCESS_H

#include <pthread.h>
#include <coil/process_pool.h>
#include "base/list.h"

/* The workers of a pool that can be killed from outside. */
struct coil__workers {
    pthread_mutex_t lock;
    struct coil__link list;
    bool killed; /* those to come, too */
};

struct coil__worker {
    struct coil__workers *workers; /* borrowed: outlives it */
    struct coil__link link;        /* in workers->list, until it is about to be reaped */
    pid_t pid;
    int pidfd; /* -1: the system has none */
    int line;
    unsigned jobs; /* that it was given */
};

/* What a worker is sent. */
struct coil__request {
    const char *name;
    const char *data;
    size_t bytes;
};

/* Starts a worker, in the thread that will end it: the worker dies with that thread. NULL: it failed. */
struct coil__worker *coil__worker_start(struct coil__workers *workers);

/* Sends a request and gives the answer: a value, or an error's code with its record. *lost_out is true if the
 * worker is of no use any more: it has ended, or must be. */
int coil__worker_ask(struct coil__worker *worker, const struct coil__request *request,
                     coil_value *value_out, bool *lost_out);

/* Whether an idle worker has ended, or speaks without being asked. */
bool coil__worker_is_lost(const struct coil__worker *worker);

/* Closes the line, waits until the worker has ended, and reaps it: nothing of it is left. */
void coil__worker_end(struct coil__worker *worker);

void coil__workers_kill(struct coil__workers *workers);

/* How long a started worker may take until it says hello, and one whose line is closed until it has ended.
 * Tests are less patient. */
extern int coil__worker_hello_ms, coil__worker_end_ms;

#endif
