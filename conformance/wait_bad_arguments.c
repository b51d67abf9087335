/* wait refuses an empty set, bare coroutines, a single future and an unknown condition.
 *
 * Why: Each of these is a bug that would otherwise wait for ever or leak a coroutine. */
#include "kit/kit.h"

/* A single future in place of an array is refused by the compiler, which is asked here for its
 * opinion instead. */
#define wait_for_all(futures)                                                                      \
    _Generic((futures), coil_future * * : 0, coil_future *const * : 0, default                     \
             : coil_raise(COIL_ETYPE, "not an array of futures"))

COIL_ASYNC0(work)
{
    coil_return(1);
}

static void say_refusal(const char *label, int rc)
{
    if (rc < 0)
        say(label, kind(rc));
}

COIL_ASYNC0(amain)
{
    coil_task *task = coil_create_task(work());
    coil_coro *coro = work();
    coil_future *not_a_future = (void *)coro;
    coil_return_when sometimes = (coil_return_when)99;
    say_refusal("empty", coil_wait(NULL, 0, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say_refusal("coroutine", coil_wait(&not_a_future, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
    say_refusal("single", wait_for_all(task));
    say_refusal("condition", coil_wait(&task, 1, COIL_NO_TIMEOUT, sometimes));
    COIL_TRY(coil_coro_close(coro));
    return join(task, NULL);
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
