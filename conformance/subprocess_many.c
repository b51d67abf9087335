/* Several children at once; waiting for each gives its own code, whatever order they end in.
 *
 * Why: Each child must be reaped once, and by the right waiter. */
#include "kit/kit.h"

struct result {
    coil_value out;
    int code;
};

COIL_ASYNC(child, (int, n), (struct result *, result))
{
    coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
    options.out = COIL_PIPE;
    coil_process *process = coil_create_subprocess_exec(
        COIL_ARGS("sh", "-c", textf("sleep 0.0%d; echo child %d; exit %d", 5 - n, n, n)), &options);
    COIL_TRY(process ? 0 : coil_error_last());
    coil_output out;
    COIL_TRY(coil_process_communicate(process, NULL, 0, &out, NULL));
    result->out = bytes(out.data, out.length);
    coil_process_returncode(process, &result->code);
    coil_unref(process);
    return 0;
}

COIL_ASYNC0(amain)
{
    struct result results[5];
    COIL_TRY(coil_gather(NULL, child(0, &results[0]), child(1, &results[1]), child(2, &results[2]),
                         child(3, &results[3]), child(4, &results[4])));
    for (int n = 0; n < 5; n++)
        say(list(results[n].out, results[n].code));
    return 0;
}

int main(void)
{
    must(run(amain(), REAL, NULL));
}
