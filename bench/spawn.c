/* Starting a program and waiting for its end, one after the other: Coil beside the C library. */
#define PEER "coil"
#include "measure.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <coil/coil.h>

enum {
    CHILDREN = 50,
    ROUNDS = 60,
};

static char *const program[] = { (char[]){ "/bin/true" }, NULL };

static int by_the_library(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid;
        siginfo_t info;
        int error = posix_spawn(&pid, program[0], NULL, NULL, program, environ);
        if (error != 0)
            return -error;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
            return -errno;
    }
    return 0;
}

COIL_ASYNC0(by_coil)
{
    for (int i = 0; i < CHILDREN; i++) {
        coil_process *process = coil_create_subprocess_exec(COIL_ARGS("/bin/true"), NULL);
        if (!process)
            return coil_error_last();
        COIL_TRY(coil_process_wait(process, NULL));
        coil_unref(process);
    }
    return 0;
}

static double microseconds_each(uint64_t began)
{
    return (double)(wall_ns() - began) / 1e3 / CHILDREN;
}

/* The least of some rounds, taken in turn, so that both meet the same machine. */
int main(void)
{
    double library = 1e9, coil = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = wall_ns();
        if (by_the_library() < 0)
            return EXIT_FAILURE;
        double now = microseconds_each(began);
        library = now < library ? now : library;
        began = wall_ns();
        if (coil_run(by_coil(), NULL) < 0)
            return EXIT_FAILURE;
        now = microseconds_each(began);
        coil = now < coil ? now : coil;
    }
    printf("spawn_and_wait\tposix_spawn\ttime\t%.1f\tus\n", library);
    printf("spawn_and_wait\tcoil\ttime\t%.1f\tus\n", coil);
    printf("spawn_and_wait\tcoil\trelative\t%.3f\tx\n", library / coil);
    return EXIT_SUCCESS;
}
