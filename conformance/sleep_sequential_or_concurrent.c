/* Two sleeps awaited one after the other take their sum; as two tasks, their maximum.
 *
 * Why: It is everyone's first program, and shows what a task is for. */
#include "kit/kit.h"

COIL_ASYNC(say_after, (double, delay), (const char *, what))
{
    COIL_TRY(coil_sleep(delay));
    at(what);
    return 0;
}

COIL_ASYNC0(amain)
{
    at("one after the other");
    COIL_TRY(coil_await(say_after(1, "hello"), NULL));
    COIL_TRY(coil_await(say_after(2, "world"), NULL));
    at("as tasks");
    coil_task *first = coil_create_task(say_after(1, "hello"));
    coil_task *second = coil_create_task(say_after(2, "world"));
    COIL_TRY(join(first, NULL));
    COIL_TRY(join(second, NULL));
    at("with gather");
    COIL_TRY(coil_gather(NULL, say_after(2, "world"), say_after(1, "hello")));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
