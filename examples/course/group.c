/* To see: a failing task takes its siblings down with it; the errors are caught one kind at a time. */
#include "course.h"

COIL_ASYNC(part, (const char *, name), (double, delay), (int, code))
{
    int rc = coil_sleep(delay);
    if (rc < 0) {
        say("%s: %s", name, coil_strerror(rc));
        return rc;
    }
    say("%s: %s", name, code < 0 ? "fails" : "done");
    return code < 0 ? coil_raise(code, "%s has failed", name) : 0;
}

static int parts(coil_task_group *group)
{
    COIL_TRY(coil_task_group_spawn(group, part("engine", 1, 0)));
    COIL_TRY(coil_task_group_spawn(group, part("wheels", 2, -EIO)));
    COIL_TRY(coil_task_group_spawn(group, part("brakes", 2, COIL_EAPP)));
    COIL_TRY(coil_task_group_spawn(group, part("paint", 5, 0)));
    return 0;
}

static int build_car(void)
{
    coil_task_group group;
    coil_task_group_enter(&group);
    return coil_task_group_exit(&group, parts(&group));
}

static int catch_and_show(int rc, int code)
{
    coil_error *caught;
    rc = coil_error_catch(rc, code, &caught); /* except* */
    for (size_t i = 0; caught && i < coil_error_count(caught); i++)
        say("caught %s: %s", coil_error_name(code), coil_error_message(coil_error_at(caught, i)));
    coil_unref(caught);
    return rc;
}

COIL_ASYNC0(amain)
{
    int rc = build_car();
    say("the group: %s", coil_error_name(rc));
    rc = catch_and_show(rc, -EIO);
    say("left: %s", coil_error_name(rc));
    rc = catch_and_show(rc, COIL_EAPP);
    say("left: %d", rc);
    return rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
