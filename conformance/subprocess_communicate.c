/* communicate feeds the child's input, reads its output and errors to the end, and waits for it.
 *
 * Why: Reading and writing at once is the only way not to dead-lock on full pipes. */
#include "kit/kit.h"

static coil_value text_of(coil_output output)
{
    return output.data ? bytes(output.data, output.length) : coil_nil();
}

/* Starts a program with pipes where asked for; all of it fails together. */
static coil_process *start(const char *const *argv, int in, int out, int err)
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.in = in;
    options.out = out;
    options.err = err;
    return coil_create_subprocess_exec(argv, &options);
}

COIL_ASYNC0(amain)
{
    coil_output out, err;
    int code = -1;
    coil_process *child = start(
        COIL_ARGS("sh", "-c", "read line; echo out: $line; echo err: $line >&2; cat"), COIL_PIPE,
        COIL_PIPE, COIL_PIPE);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_communicate(child, "first\nsecond\nthird\n", 19, &out, &err));
    coil_process_returncode(child, &code);
    say(text_of(out), text_of(err), "code", code);
    coil_unref(child);

    child = start(COIL_ARGS("sh", "-c", "echo one; echo two >&2; echo three"), COIL_INHERIT,
                  COIL_PIPE, COIL_STDOUT);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_communicate(child, NULL, 0, &out, &err));
    say("merged", text_of(out), text_of(err));
    coil_unref(child);

    static char data[256 * 4096];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)i;
    child = start(COIL_ARGS("cat"), COIL_PIPE, COIL_PIPE, COIL_INHERIT);
    COIL_TRY(child ? 0 : coil_error_last());
    COIL_TRY(coil_process_communicate(child, data, sizeof data, &out, &err));
    say("a megabyte both ways:", out.length,
        coil_bool(out.length == sizeof data && memcmp(out.data, data, sizeof data) == 0));
    coil_unref(child);
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
