/* The return code: the exit status, or minus the signal number; none while the child runs.
 *
 * Why: Supervisors decide by the exit code, and a signal is not an exit status. */
#include <signal.h>

#include "kit/kit.h"

/* A child that has said that it is ready. */
COIL_ASYNC(started, (const char *, script), (coil_process **, child_out))
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_PIPE;
    coil_process *child = coil_create_subprocess_exec(COIL_ARGS("sh", "-c", script), &options);
    COIL_TRY(child ? 0 : coil_error_last());
    char *line;
    if (coil_stream_readline(coil_process_stdout(child), &line) != 6)
        return boom("not ready");
    *child_out = child;
    return 0;
}

static coil_value code_of(coil_process *child)
{
    int code;
    return coil_process_returncode(child, &code) ? coil_int(code) : coil_nil();
}

static int send_usr1(coil_process *child)
{
    return coil_process_send_signal(child, SIGUSR1);
}

COIL_ASYNC0(amain)
{
    static const int codes[] = { 0, 7, 255 };
    coil_process *child;
    int code;
    for (int i = 0; i < 3; i++) {
        child = coil_create_subprocess_exec(COIL_ARGS("sh", "-c", textf("exit %d", codes[i])),
                                            NULL);
        COIL_TRY(child ? 0 : coil_error_last());
        COIL_TRY(coil_process_wait(child, &code));
        say("exit", code, code_of(child));
        coil_unref(child);
    }
    static const struct {
        const char *name;
        int (*stop)(coil_process *child);
    } ways[] = { { "terminate", coil_process_terminate },
                 { "kill", coil_process_kill },
                 { "SIGUSR1", send_usr1 } };
    for (int i = 0; i < 3; i++) {
        COIL_TRY(coil_await(started("echo ready; exec sleep 1000", &child), NULL));
        say("running, code", code_of(child));
        COIL_TRY(ways[i].stop(child));
        COIL_TRY(coil_process_wait(child, &code));
        say(ways[i].name, code);
        coil_unref(child);
    }
    COIL_TRY(coil_await(
        started("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", &child), NULL));
    COIL_TRY(coil_process_terminate(child));
    COIL_TRY(coil_process_wait(child, &code));
    say("trapped", code);
    COIL_TRY(coil_process_wait(child, &code));
    say("waiting again", code);
    coil_unref(child);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
