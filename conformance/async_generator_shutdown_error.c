/* An error in a generator's cleanup at shutdown goes to the exception handler; run() returns all
 * the same.
 *
 * Why: A failing cleanup must be seen by somebody, and must not hide the program's result. */
#include "kit/kit.h"

static coil_gen *kept;

COIL_ASYNC_GEN0(source)
{
    int rc = coil_yield(1, NULL);
    return rc < 0 ? boom("in cleanup") : 0;
}

COIL_ASYNC0(amain)
{
    coil_set_exception_handler(NULL, print_event, NULL);
    kept = source();
    COIL_TRY(coil_gen_next(kept, NULL));
    coil_return(coil_string("result"));
}

int main(void)
{
    coil_value value;
    must(run(amain(), 0, &value));
    say(value);
    coil_unref(kept);
}
