/* A program to be looked into by the command coil: comes into a known state, says "ready", and stays in it.
 *
 *   test_inspected deadlock | busy | churn | crash | fork
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coil/coil.h>

static coil_lock forks[2] = { COIL_LOCK_INIT, COIL_LOCK_INIT };
static coil_queue orders = COIL_QUEUE_INIT(5);

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

COIL_ASYNC(takes, (coil_lock *, lock))
{
    return coil_lock_acquire(lock);
}

COIL_ASYNC(dines, (coil_lock *, left), (coil_lock *, right))
{
    COIL_TRY(coil_await(takes(left), NULL));
    COIL_TRY(coil_sleep(0));
    return coil_await(takes(right), NULL);
}

COIL_ASYNC(receives, (int, fd))
{
    char byte;
    ssize_t got = coil_sock_recv(fd, &byte, 1);
    return got < 0 ? (int)got : 0;
}

COIL_ASYNC0(serves)
{
    coil_value order;
    return coil_queue_get(&orders, &order);
}

COIL_ASYNC0(sleeps)
{
    COIL_TRY(coil_sleep(3600));
    return 0; /* or this would be a tail call, and not on the stack */
}

COIL_ASYNC0(opens_restaurant)
{
    coil_task_group group;
    coil_task *dead = coil_create_task_named(takes(&forks[1]), "hume");
    COIL_TRY(coil_await(dead, NULL)); /* and keeps it */
    coil_unref(dead);
    coil_lock_release(&forks[1]);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return coil_error_last();
    coil_task *tasks[] = { coil_create_task_named(dines(&forks[0], &forks[1]), "plato"),
                           coil_create_task_named(dines(&forks[1], &forks[0]), "kant") };
    coil_task *reader = coil_create_task_named(receives(ends[0]), "reader \"5\"");
    coil_task *waiter = coil_create_task_named(serves(), "waiter");
    coil_task *both = coil_create_task_named(coil_sleep_coro(7200, coil_nil()), "sleeper");
    COIL_TRY(coil_task_group_enter(&group));
    coil_unref(coil_task_group_create_task(&group, sleeps()));
    for (int i = 0; i < 4; i++)
        COIL_TRY(coil_sleep(0));
    say_ready();
    int rc = coil_gather(NULL, tasks[0], tasks[1], reader, waiter, both);
    return coil_task_group_exit(&group, rc);
}

COIL_ASYNC0(spins)
{
    say_ready();
    for (volatile unsigned long i = 0;; i++)
        if (i == ~0UL)
            return 0;
}

COIL_ASYNC0(keeps_loop_busy)
{
    coil_task *spinner = coil_create_task_named(spins(), "spinner");
    coil_task *starving = coil_create_task_named(sleeps(), "starving");
    COIL_TRY(coil_await(spinner, NULL));
    return coil_await(starving, NULL);
}

COIL_ASYNC0(is_short)
{
    return coil_sleep(0);
}

COIL_ASYNC0(comes_and_goes)
{
    say_ready();
    for (;;) {
        coil_coro *some[] = { is_short(), is_short(), coil_sleep_coro(0.0001, coil_nil()) };
        COIL_TRY(coil_gather_array(NULL, (coil_awaitables){ .any = (void *const *)some }, 3, 0));
    }
}

COIL_ASYNC0(crashes)
{
    coil_task *victim = coil_create_task_named(sleeps(), "victim");
    COIL_TRY(coil_sleep(0));
    say_ready();
    raise(SIGSEGV);
    return coil_await(victim, NULL);
}

/* The child says its number instead, and runs no loop. It ends with its parent. */
COIL_ASYNC0(forks_child)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        printf("%d\n", (int)getpid());
        fflush(stdout);
        while (getppid() == parent)
            pause();
        _exit(0);
    }
    COIL_TRY(coil_sleep(3600));
    return child;
}

static void *run_another(void *arg)
{
    (void)arg;
    (void)coil_run(sleeps(), NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    pthread_t thread;
    (void)prctl(PR_SET_PTRACER,
                PR_SET_PTRACER_ANY); /* for where Yama restricts it; else an error */
    alarm(120);                      /* never left behind */
    if (strcmp(what, "deadlock") == 0)
        return pthread_create(&thread, NULL, run_another, NULL) || coil_main(opens_restaurant());
    if (strcmp(what, "busy") == 0)
        return coil_main(keeps_loop_busy());
    if (strcmp(what, "churn") == 0)
        return coil_main(comes_and_goes());
    if (strcmp(what, "crash") == 0)
        return coil_main(crashes());
    if (strcmp(what, "fork") == 0)
        return coil_main(forks_child());
    fprintf(stderr, "usage: %s deadlock | busy | churn | crash | fork\n", argv[0]);
    return 2;
}
