/* A zero or past deadline cancels at the first await that suspends, not before.
 *
 * A body that never suspends is not touched; awaiting something done is no suspension.
 *
 * Why: Cached results must still come through when the time is already up. */
#include "kit/kit.h"

static int body(const char *label)
{
    at(label, "before the await");
    COIL_TRY(coil_sleep(0));
    at("not printed for", label);
    return 0;
}

COIL_ASYNC0(amain)
{
    coil_future *done = coil_create_future(NULL);
    coil_future_set_result(done, coil_v("value"));
    coil_timeout limit;
    coil_value value;
    COIL_TRY(coil_timeout_enter(&limit, 0));
    int rc = coil_await(done, &value);
    at("body runs", value);
    COIL_TRY(coil_timeout_exit(&limit, rc));
    at("ended without suspending: expired", coil_timeout_expired(&limit));
    coil_unref(done);

    static const char *const labels[] = { "zero", "negative", "past" };
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            COIL_TRY(coil_timeout_enter(&limit, i == 0 ? 0 : -3));
        else
            COIL_TRY(coil_timeout_at_enter(&limit, now() - 9));
        rc = body(labels[i]);
        rc = coil_timeout_exit(&limit, rc);
        if (rc == COIL_ETIMEDOUT)
            at(labels[i], kind(rc));
        else
            at(labels[i], "no error, expired", coil_timeout_expired(&limit));
    }
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
