/* The command without elfutils: no C stacks. */
#include "show.h"

bool has_stacks(void)
{
    return false;
}

void walk_stack(struct target *target, uint64_t task, stack_fn *fn, void *arg)
{
    (void)target;
    (void)task;
    (void)fn;
    (void)arg;
}

void close_stacks(void)
{
}
