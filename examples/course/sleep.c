/* To see: awaited one after the other, three seconds; side by side, as long as the longest of them. */
#include "course.h"

COIL_ASYNC(brew, (const char *, what), (double, delay))
{
    say("%s: begins", what);
    COIL_TRY(coil_sleep(delay));
    say("%s: ready", what);
    return 0;
}

COIL_ASYNC0(amain)
{
    say("one after the other");
    COIL_TRY(coil_await(brew("tea", 1), NULL));
    COIL_TRY(coil_await(brew("coffee", 2), NULL));

    say("side by side");
    COIL_TRY(coil_gather(NULL, brew("tea", 1), brew("coffee", 2)));
    say("both ready");
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
