/* To see: whoever waits is cancelled at once; what is shielded goes on to its end. */
#include "course.h"

COIL_ASYNC0(save)
{
    say("save: begins");
    int rc = coil_sleep(2);
    say("save: %s", rc == 0 ? "done" : coil_strerror(rc));
    return rc;
}

COIL_ASYNC(request, (coil_task *, saving))
{
    int rc = coil_shield(saving, NULL);
    say("request: %s", rc == 0 ? "done" : coil_strerror(rc));
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_task *saving = coil_create_task(save());
    if (!saving)
        return coil_error_last();
    int rc = coil_wait_for(request(saving), 1, NULL);
    say("wait_for: %s", coil_error_name(rc));

    /* Somebody should see to the end of what was shielded, whatever has happened to the request. */
    int saved = coil_await(saving, NULL);
    coil_unref(saving);
    return rc == COIL_ETIMEDOUT ? saved : rc;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
