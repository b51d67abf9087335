#include "base/thread.h"

#include <pthread.h>
#include "base/error.h"

__thread struct coil__thread coil__thread __attribute__((tls_model("initial-exec")));

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void at_thread_end(void *state)
{
    struct coil__thread *thread = state;
    coil__errors_clear(&thread->errors);
    coil_unref(thread->context);
    thread->context = NULL;
}

static void make_key(void)
{
    /* Without a key a thread leaks its last error record: nothing to tell anybody about. */
    (void)pthread_key_create(&key, at_thread_end);
}

/* pthread's destructors do not run for the thread that calls exit(). */
static __attribute__((destructor)) void at_process_end(void)
{
    at_thread_end(&coil__thread);
}

void coil__thread_owns(void)
{
    if (coil__thread.owns)
        return;
    coil__thread.owns = true;
    (void)pthread_once(&once, make_key);
    (void)pthread_setspecific(key, &coil__thread);
}
