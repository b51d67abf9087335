/* run() closes generators left half-way when it shuts down; their cleanup runs, and may wait.
 *
 * Why: Resources held across a yield must not leak when the program ends. */
#include "kit/kit.h"

static coil_gen *kept;

COIL_ASYNC_GEN(source, (const char *, name))
{
    int rc;
    do {
        rc = coil_yield(name, NULL);
    } while (rc == 0);
    COIL_TRY(coil_sleep(1));
    at(name, "cleaned up during shutdown");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_value value;
    kept = source("gen");
    COIL_TRY(coil_gen_next(kept, &value));
    at("first item", value);
    at("main returns");
    coil_return(coil_string("result"));
}

int main(void)
{
    coil_value value;
    must(run(amain(), 0, &value));
    say(value);
    coil_unref(kept);
}
