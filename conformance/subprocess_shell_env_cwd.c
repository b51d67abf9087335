/* A shell command; a given environment and directory; a program that does not exist.
 *
 * Why: Programs are started with settings, and failing to start must be an error, not an exit code. */
#include "kit/kit.h"

COIL_ASYNC(shell, (const char *, command), (coil_process_options *, options))
{
    coil_output out;
    coil_process *child = coil_create_subprocess_shell(command, options);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_communicate(child, NULL, 0, &out, NULL));
    say(bytes(out.data, out.length));
    coil_unref(child);
    return 0;
}

COIL_ASYNC0(amain)
{
    int code = -1;
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.out = COIL_PIPE;
    COIL_TRY(coil_await(shell("echo $((6 * 7)) | tr 4 X", &options), NULL));
    options.cwd = "/";
    options.env = COIL_ARGS("GREETING=hello", textf("PATH=%s", getenv("PATH")));
    COIL_TRY(coil_await(shell("echo $GREETING; pwd", &options), NULL));

    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_DEVNULL;
    coil_process *child = coil_create_subprocess_shell("cat; echo lost", &options);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_wait(child, &code));
    coil_value no_stream = coil_process_fd(child, 1) < 0 ? coil_nil() : coil_string("a stream");
    say("code", code, "stdout stream", no_stream);
    coil_unref(child);

    child = coil_create_subprocess_exec(COIL_ARGS("no-such-program-anywhere"), NULL);
    if (!child)
        say("missing program:", kind(coil_error_last()));
    options = (coil_process_options)COIL_PROCESS_OPTIONS_INIT;
    options.err = COIL_DEVNULL;
    child = coil_create_subprocess_shell("no-such-program-anywhere", &options);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_wait(child, &code));
    say("missing in the shell: code", code);
    coil_unref(child);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
