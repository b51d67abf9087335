/* What the programs of the course share. They run on a virtual clock, which jumps over every wait, so
 * that they end at once and print the same each time. With an argument (`build/examples/course/gather
 * slowly`) they take the time that they print. */
#ifndef COURSE_H
#define COURSE_H

#include <stdarg.h>
#include <stdio.h>

#include <coil/coil.h>
#include <coil/testing.h>

static double course_began;

/* As printf, on a line of its own, with the seconds since the program began in front. */
static COIL_UNUSED COIL_PRINTF(1, 2) void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%6.1f  ", coil_loop_time(NULL) - course_began);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
}

static coil_loop *course_loop(void *arg)
{
    coil_loop *loop = *(int *)arg > 1 ? coil_new_event_loop() : coil_testing_virtual_loop(NULL);
    if (loop)
        course_began = coil_loop_time(loop);
    return loop;
}

static int course_main(int argc, coil_coro *program)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = course_loop;
    options.loop_factory_arg = &argc;
    int rc = coil_run_with(program, NULL, &options);
    if (rc < 0)
        coil_error_print(stderr, rc);
    return rc < 0;
}

#endif
