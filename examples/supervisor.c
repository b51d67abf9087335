/* A supervisor: runs shell commands, shows what they write, and starts those again that fail, after a pause that
 * doubles each time. SIGTERM or Ctrl-C ends them all: politely first, and after a deadline by force.
 *
 *     supervisor [-g SECONDS] [-r RESTARTS] COMMAND...
 *
 *     -g  how long a command may take to end when told to (5)
 *     -r  how often it is started again in all (as often as need be)
 *
 * A command that ends with 0 is done; the supervisor ends when all are, or have been given up.
 *
 * Tests do not run it: tests/build/supervisor does.
 * Not explored: a virtual clock knows nothing of children. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <coil/coil.h>

static const double PAUSE_FIRST = 0.1, PAUSE_MOST = 30; /* seconds */
static const double GOOD_RUN = 10; /* who has run so long begins with short pauses again */

static double grace_seconds = 5;
static long restarts_max = -1;

struct program {
    const char *command;
    int number; /* for people */
};

/* Passes the child's lines on, and waits for its end. */
static int follow(const struct program *program, coil_process *child)
{
    coil_stream_reader *out = coil_process_stdout(child);
    char *line;
    ssize_t length;
    if (!out)
        return coil_error_last();
    while ((length = coil_stream_readline(out, &line)) != 0) {
        if (length == COIL_EINVAL)
            continue; /* a line beyond all measure is left out */
        COIL_TRY(length);
        printf("[%d] %s%s", program->number, line, line[length - 1] == '\n' ? "" : "\n");
    }
    return coil_process_wait(child, NULL);
}

/* To the command and all that it has started: they are a process group, whose number is nobody else's as long as
 * the child has not been reaped. */
static void signal_group(coil_process *child, int number)
{
    if (!coil_process_returncode(child, NULL))
        (void)kill(-coil_process_pid(child), number); /* it may have ended just now */
}

static void stop(const struct program *program, coil_process *child)
{
    signal_group(child, SIGTERM);
    if (COIL_TIMEOUT(grace_seconds, follow(program, child)) == 0)
        return;
    signal_group(child, SIGKILL);
    if (coil_process_wait(child, NULL) < 0)
        printf("[%d] was killed, and nobody knows how it ended\n", program->number);
}

/* Runs it once: 0 and how it ended. Cancelled, or failing otherwise, it stops the child first. */
static int run_once(const struct program *program, int *status_out)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = COIL_DEVNULL;
    options.out = COIL_PIPE;
    options.err = COIL_STDOUT;
    options.new_group = true; /* Ctrl-C is ours to pass on */
    coil_process *child = coil_create_subprocess_shell(program->command, &options);
    if (!child)
        return coil_error_last();
    int rc = follow(program, child);
    if (rc < 0)
        stop(program, child);
    if (!coil_process_returncode(child, status_out))
        *status_out = 0;
    if (*status_out < 0)
        printf("[%d] ended by signal %d\n", program->number, -*status_out);
    else
        printf("[%d] ended with %d\n", program->number, *status_out);
    coil_unref(child);
    return rc;
}

COIL_ASYNC(supervise, (const struct program *, program))
{
    double pause = PAUSE_FIRST;
    for (long restarts = 0;; restarts++) {
        int status;
        double begin = coil_loop_time(coil_get_running_loop());
        COIL_TRY(run_once(program, &status));
        if (status == 0)
            return 0;
        if (restarts == restarts_max) {
            printf("[%d] given up\n", program->number);
            return 0;
        }
        if (coil_loop_time(coil_get_running_loop()) - begin >= GOOD_RUN)
            pause = PAUSE_FIRST;
        printf("[%d] again in %g s\n", program->number, pause);
        COIL_TRY(coil_sleep(pause));
        pause = pause * 2 < PAUSE_MOST ? pause * 2 : PAUSE_MOST;
    }
}

COIL_ASYNC(stop_on_signal, (coil_task_group *, programs))
{
    COIL_TRY(coil_wait_signal(SIGTERM, SIGINT));
    printf("stopping\n");
    (void)coil_task_group_cancel(programs); /* it may be over already */
    return 0;
}

COIL_ASYNC(supervise_all, (struct program *, list), (int, count))
{
    coil_task_group programs = COIL_TASK_GROUP_INIT;
    COIL_TRY(coil_task_group_enter(&programs));
    coil_task *stopper = coil_create_task(stop_on_signal(&programs));
    int rc = stopper ? 0 : coil_error_last();
    for (int i = 0; rc == 0 && i < count; i++)
        rc = coil_task_group_spawn(&programs, supervise(&list[i]));
    rc = coil_task_group_exit(&programs, rc);
    (void)coil_cancel_and_wait(stopper, NULL); /* it may be done */
    coil_unref(stopper);
    return rc;
}

static int usage(void)
{
    fprintf(stderr, "usage: supervisor [-g SECONDS] [-r RESTARTS] COMMAND...\n");
    return 2;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "g:r:")) != -1) {
        if (option == 'g')
            grace_seconds = atof(optarg);
        else if (option == 'r')
            restarts_max = atol(optarg);
        else
            return usage();
    }
    int count = argc - optind;
    struct program *list = count > 0 ? calloc((size_t)count, sizeof *list) : NULL;
    if (!list)
        return usage();
    for (int i = 0; i < count; i++)
        list[i] = (struct program){ argv[optind + i], i + 1 };
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = coil_run(supervise_all(list, count), NULL);
    if (rc < 0)
        coil_error_print(stderr, rc);
    free(list);
    return rc < 0;
}
