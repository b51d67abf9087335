/* To see: results come in the order of the arguments; one error ends gather, or is one of the results.
 *
 * Explored as a run: what gather leaves behind after an error is ended by coil_run. */
#include "course.h"

COIL_ASYNC(page, (const char *, name), (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    say("%s: arrived", name);
    coil_return(name);
}

COIL_ASYNC(no_page, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return coil_raise(COIL_EAPP, "no such page");
}

COIL_ASYNC0(amain)
{
    coil_value pages[3];
    COIL_TRY(coil_gather(pages, page("slow", 3), page("fast", 1), page("medium", 2)));
    say("%s, %s, %s", pages[0].string, pages[1].string, pages[2].string);

    int rc = coil_gather(NULL, page("late", 2), no_page(1));
    say("gather: %s", coil_error_name(rc));
    if (rc != COIL_EAPP) /* we are being cancelled ourselves, for example */
        return rc;
    COIL_TRY(coil_sleep(2)); /* the other one has gone on */

    COIL_TRY(coil_gather_collect(pages, page("good", 1), no_page(2)));
    for (int i = 0; i < 2; i++) {
        if (pages[i].kind == COIL_ERROR)
            say("an error: %s", coil_error_message(pages[i].error));
        else
            say("%s", pages[i].string);
        coil_value_clear(&pages[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
