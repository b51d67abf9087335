/* coil: what the tasks of a program are doing, asked from outside. */
#include "show.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coil/version.h>

static const char usage[] =
    "usage: coil ps     [--json] PROGRAM        every task, and what it waits for\n"
    "       coil pstree [--json] PROGRAM        the same as a tree: below each task those it "
    "awaits\n"
    "       coil why    [--json] PROGRAM TASK   one task, what it waits for, what that waits "
    "for...\n"
    "       coil top    PROGRAM [SECONDS]       ps, again and again, every two seconds\n"
    "       coil --help | --version\n";

static const char manual[] =
    "\n"
    "PROGRAM is the number of a process, or a core file. It must have Coil in it, linked "
    "statically\n"
    "or not, with debug information or without. TASK is a task's name, or its id from --json "
    "(0x...).\n"
    "\n"
    "The program is neither stopped nor asked: its memory is read. So it may hang, be busy, or be\n"
    "stopped (SIGSTOP, a debugger). A busy program changes while it is read; the command then "
    "looks\n"
    "again, and says so if no look was of one moment.\n"
    "\n"
    "  new      was created, and has not begun\n"
    "  ready    will go on in one of the next turns of its loop\n"
    "  running  runs: where a loop is busy for long, this task keeps it\n"
    "  waiting  see WAITS FOR: a deadline, a descriptor, a task, a lock and who holds it...\n"
    "\n"
    "Deadlock: tasks that wait for one another in a circle. None of them will go on by itself.\n"
    "\n"
    "why shows below the coroutines (in) the C functions they stand in (at), if the command was\n"
    "built with elfutils (--version says) and the program has what it takes to walk stacks.\n"
    "\n"
    "Reading a process takes what a debugger takes: the same user, and where the system restricts\n"
    "that (kernel.yama.ptrace_scope), root. What a core file leaves out because it is in a file\n"
    "(the program, its libraries) is read there: keep those. The kernel's core files are complete\n"
    "(kill -ABRT, with ulimit -c unlimited); gdb's gcore leaves out the stacks of tasks, and with\n"
    "them what they wait for.\n"
    "\n"
    "--json writes one line for programs: {\"process\", \"loops\": [{\"tasks\": [{\"id\", "
    "\"name\",\n"
    "\"state\", \"waits\": {\"kind\", \"text\", ...}, \"stack\", \"awaits\"}], \"deadlocks\"}]}.\n"
    "\n"
    "Status: 0; 1 the program cannot be read, or has no such task; 2 wrong usage.\n";

struct wish {
    const char *command, *program, *task;
    bool json;
    double every; /* top: seconds */
};

static _Noreturn void misused(void)
{
    fputs(usage, stderr);
    exit(2);
}

/* The words without options. */
static struct wish parse(int argc, char **argv)
{
    const char *words[4];
    int count = 0;
    struct wish wish = { .every = 2 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("%s%s", usage, manual);
            exit(0);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("coil %s, format %d, %s\n", COIL_VERSION, COIL__INSPECT_FORMAT,
                   has_stacks() ? "with C stacks" : "without C stacks (built without elfutils)");
            exit(0);
        }
        if (strcmp(argv[i], "--json") == 0)
            wish.json = true;
        else if (argv[i][0] == '-' || count == 4)
            misused();
        else
            words[count++] = argv[i];
    }
    if (count < 2)
        misused();
    wish.command = words[0];
    bool why = strcmp(wish.command, "why") == 0, top = strcmp(wish.command, "top") == 0;
    if (!why && !top && strcmp(wish.command, "ps") != 0 && strcmp(wish.command, "pstree") != 0)
        misused();
    if (count != (why ? 3 : 2) && !(top && count == 3))
        misused();
    wish.program = words[1];
    wish.task = why ? words[2] : NULL;
    if (top && count == 3) {
        char *end;
        wish.every = strtod(words[2], &end);
        if (*end || !(wish.every >= 0.1 && wish.every <= 3600))
            misused();
    }
    return wish;
}

/* A number is a process. */
static void open_target(struct target *target, const char *program)
{
    char *end;
    errno = 0;
    long number = strtol(program, &end, 10);
    if (*program && !*end && errno == 0 && number > 0 && number <= INT_MAX)
        open_process(target, (pid_t)number);
    else
        open_core(target, program);
    find_library(target);
}

static void show(const struct wish *wish, struct look *look)
{
    if (wish->task && !choose(look, wish->task))
        fail("%s has no task '%s'", look->target->name, wish->task);
    if (wish->json)
        show_json(stdout, look);
    else if (wish->task)
        show_why(stdout, look);
    else if (strcmp(wish->command, "pstree") == 0)
        show_tree(stdout, look);
    else
        show_ps(stdout, look);
}

static void show_again_and_again(const struct wish *wish)
{
    struct timespec pause = { (time_t)wish->every,
                              (long)((wish->every - (double)(time_t)wish->every) * 1e9) };
    for (;;) {
        struct target target;
        struct look look;
        open_target(&target, wish->program);
        take_look(&look, &target);
        fputs("\033[H\033[2J", stdout);
        show_ps(stdout, &look);
        fflush(stdout);
        drop_look(&look);
        close_target(&target);
        (void)nanosleep(&pause, NULL); /* shorter does no harm */
    }
}

int main(int argc, char **argv)
{
    struct wish wish = parse(argc, argv);
    struct target target;
    struct look look;
    if (strcmp(wish.command, "top") == 0)
        show_again_and_again(&wish);
    open_target(&target, wish.program);
    take_look(&look, &target);
    show(&wish, &look);
    drop_look(&look);
    close_stacks();
    close_target(&target);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("writing failed: %s", strerror(errno));
    return 0;
}
