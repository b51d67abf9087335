/* Waiting for a child with a time limit: the wait ends with TIMEOUT, the child lives on until it is killed.
 *
 * Why: A limit on waiting must not be mistaken for a limit on living. */
#include "kit/kit.h"

COIL_ASYNC(wait_for_end, (coil_process *, child))
{
    return coil_process_wait(child, NULL);
}

static coil_value code_of(coil_process *child)
{
    int code;
    return coil_process_returncode(child, &code) ? coil_int(code) : coil_nil();
}

COIL_ASYNC0(amain)
{
    int code;
    coil_process *child = coil_create_subprocess_exec(COIL_ARGS("sleep", "1000"), NULL);
    COIL_TRY(child ? 0 : coil_error_last());
    int rc = coil_wait_for(wait_for_end(child), 0.05, NULL);
    if (rc == COIL_ETIMEDOUT)
        say(kind(rc), "code", code_of(child));
    COIL_TRY(coil_process_kill(child));
    COIL_TRY(coil_process_wait(child, &code));
    say("killed", code);
    rc = coil_process_kill(child);
    if (rc == 0)
        say("killing a dead child is harmless");
    else
        say("killing a dead child:", kind(rc));
    coil_unref(child);

    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = options.out = COIL_PIPE;
    child = coil_create_subprocess_exec(COIL_ARGS("cat"), &options);
    COIL_TRY(child ? 0 : coil_error_last());
    char byte;
    rc = COIL_TIMEOUT(0.05, (int)coil_stream_read(coil_process_stdout(child), &byte, 1));
    if (rc == COIL_ETIMEDOUT)
        say("reading", kind(rc), "code", code_of(child));
    coil_output out, err;
    COIL_TRY(coil_process_communicate(child, NULL, 0, &out, &err));
    say("communicate closes the input, so cat ends:",
        list(bytes(out.data, out.length), err.data ? coil_string("errors") : coil_nil()));
    say("code", code_of(child));
    coil_unref(child);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
