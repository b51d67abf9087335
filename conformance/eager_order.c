/* Eager children change the order: the child's first part comes before the rest of its creator's
 * step.
 *
 * Why: Turning eager tasks on changes who runs first; that change must be the same everywhere. */
#include "kit/kit.h"

COIL_ASYNC(leaf, (const char *, name))
{
    say(name, "1");
    COIL_TRY(coil_sleep(0));
    say(name, "2");
    return 0;
}

COIL_ASYNC(branch, (const char *, name))
{
    say(name, "1");
    coil_task *task = coil_create_task(leaf(textf("%s.leaf", name)));
    say(name, "2");
    COIL_TRY(join(task, NULL));
    say(name, "3");
    return 0;
}

COIL_ASYNC0(amain)
{
    for (int eager = 0; eager < 2; eager++) {
        say("eager", coil_bool(eager));
        coil_set_task_factory(NULL, eager ? coil_eager_task_factory : NULL, NULL);
        COIL_TRY(coil_gather(NULL, branch("x"), branch("y")));
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
