/* Tasks are named Task-1, Task-2 ... in creation order; a name given by hand takes no number.
 *
 * run() itself makes Task-1. A name may be changed at any time.
 *
 * Why: Names are how people find tasks in traces; tools parse them. */
#include "kit/kit.h"

/* The text lives in the task: it goes out as a copy. */
COIL_ASYNC0(whoami)
{
    coil_return(textf("%s", coil_task_get_name(coil_current_task())));
}

COIL_ASYNC0(amain)
{
    say(coil_task_get_name(coil_current_task()));
    coil_task *a = coil_create_task(whoami());
    coil_task *b = coil_create_task_named(whoami(), "by hand");
    coil_task *c = coil_create_task(whoami());
    COIL_TRY(coil_task_set_name(c, "renamed"));
    coil_task *d = coil_create_task(whoami());
    coil_value names[4];
    COIL_TRY(join(a, &names[0]));
    COIL_TRY(join(b, &names[1]));
    COIL_TRY(join(c, &names[2]));
    COIL_TRY(join(d, &names[3]));
    say(names[0], names[1], names[2], names[3]);
    COIL_TRY(coil_gather(names, whoami(), whoami()));
    say(list_of(names, 2));

    coil_task_group group;
    coil_task_group_enter(&group);
    coil_task *e = coil_task_group_create_task(&group, whoami());
    coil_task *f = coil_task_group_create_task_named(&group, whoami(), "in group");
    COIL_TRY(coil_task_group_exit(&group, 0));
    COIL_TRY(join(e, &names[0]));
    COIL_TRY(join(f, &names[1]));
    say(names[0], names[1]);
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
