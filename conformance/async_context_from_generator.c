/* A context manager written as a generator with one yield: the part before is the entry, the part
 * after the exit.
 *
 * An error of the body is raised at the yield; letting it out, replacing it and swallowing it are
 * all possible.
 *
 * Why: It is how most resource code is written; the error has to arrive at the yield and nowhere
 * else. */
#include "kit/kit.h"

COIL_ASYNC_GEN(connection, (const char *, name), (const char *, upper), (bool, swallow))
{
    COIL_TRY(coil_sleep(1));
    at(name, "open");
    int rc = coil_yield(upper, NULL);
    if (rc == COIL_EAPP) {
        at(name, "sees", kind(rc));
        if (swallow)
            rc = 0;
    }
    COIL_TRY(coil_sleep(0.5));
    at(name, "closed");
    return rc;
}

COIL_ASYNC0(amain)
{
    coil_scope scope;
    coil_value value;
    COIL_TRY(coil_scope_enter(&scope, connection("a", "A", false), &value));
    at("body has", value);
    COIL_TRY(coil_scope_exit(&scope, 0));

    COIL_TRY(coil_scope_enter(&scope, connection("b", "B", false), NULL));
    int rc = coil_scope_exit(&scope, boom("body"));
    if (rc == COIL_EAPP)
        at("raised", kind(rc));

    COIL_TRY(coil_scope_enter(&scope, connection("c", "C", true), NULL));
    COIL_TRY(coil_scope_exit(&scope, boom("hidden")));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
