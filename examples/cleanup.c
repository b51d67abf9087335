/* A server that is told to stop while a client is being served: the session is cancelled as a whole, and
 * still says goodbye, which takes a moment. */
#include <stdio.h>

#include <coil/coil.h>
#include <coil/testing.h>

/* The client's side of the line: what we send arrives a while later. */
static int tell(const char *words)
{
    COIL_TRY(coil_sleep(0.05));
    printf("client hears: %s\n", words);
    return 0;
}

/* Knows nothing of cancellation: it passes errors on. */
static int serve(void)
{
    for (int i = 1; i <= 100; i++) {
        char news[32];
        snprintf(news, sizeof news, "news %d", i);
        COIL_TRY(tell(news));
        COIL_TRY(coil_sleep(0.05));
    }
    return 0;
}

COIL_ASYNC(session, (coil_cancel_scope *, scope))
{
    COIL_TRY(coil_cancel_scope_enter(scope));
    int rc = serve();
    (void)COIL_SHIELDED(1, tell("goodbye")); /* a second at most; nothing to be done if it fails */
    rc = coil_cancel_scope_exit(scope, rc);

    coil_cancel_info why = COIL_CANCEL_INFO_INIT;
    if (coil_cancel_scope_caught(scope) && coil_cancel_reason(NULL, &why))
        printf("session ended early: %s (says %s)\n", why.message, why.who);
    return rc;
}

COIL_ASYNC0(amain)
{
    static coil_cancel_scope scope = COIL_CANCEL_SCOPE_INIT;
    coil_task_set_name(coil_current_task(), "the landlord");
    coil_task *task = coil_create_task(session(&scope));
    if (!task)
        return coil_error_last();
    int rc = coil_sleep(0.23);
    coil_cancel_scope_cancel(&scope, "the house closes");
    if (rc == 0)
        rc = coil_await(task, NULL);
    else /* we are cancelled ourselves: the session ends before us all the same */
        (void)coil_cancel_and_wait(task, NULL);
    coil_unref(task);
    return rc;
}

int main(void)
{
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = coil_testing_virtual_loop; /* the same each time, and at once */
    return coil_run_with(amain(), NULL, &options) == 0 ? 0 : 1;
}
