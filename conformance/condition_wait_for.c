/* wait_for re-checks its predicate at each notification and returns the value that made it
 * true.
 *
 * Why: Spurious wake-ups are allowed, so the predicate has to be checked again each time. */
#include "kit/kit.h"

/* The list is what makes the predicate true; its answer here is just that it is long enough. */
static int available(void *arg)
{
    struct items *items = arg;
    at("  predicate sees", as_list(items));
    return items->count >= 3;
}

static int at_once(void *arg)
{
    *(const char **)arg = "now";
    return 1;
}

COIL_ASYNC(consumer, (coil_condition *, cond), (struct items *, items))
{
    COIL_TRY(coil_condition_acquire(cond));
    int rc = coil_condition_wait_for(cond, available, items);
    if (rc > 0)
        at("consumer got", as_list(items));
    coil_condition_release(cond);
    return rc;
}

COIL_ASYNC0(amain)
{
    struct items items = { 0 };
    coil_condition cond = COIL_CONDITION_INIT(NULL);
    coil_task *task = coil_create_task(consumer(&cond, &items));
    for (int i = 0; i < 3; i++) {
        COIL_TRY(coil_sleep(1));
        COIL_TRY(coil_condition_acquire(&cond));
        append(&items, i);
        at("added", i);
        COIL_TRY(coil_condition_notify(&cond, 1));
        COIL_TRY(coil_condition_release(&cond));
    }
    COIL_TRY(join(task, NULL));
    const char *answer = NULL;
    COIL_TRY(coil_condition_acquire(&cond));
    COIL_TRY(coil_condition_wait_for(&cond, at_once, &answer));
    at("true at once:", answer);
    COIL_TRY(coil_condition_release(&cond));
    coil_condition_fini(&cond);
    clear(&items);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
