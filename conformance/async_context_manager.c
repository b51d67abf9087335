/* Entering and leaving may wait; leaving happens on return and on error, and may swallow the error.
 *
 * Why: Connections and transactions rely on the exit being awaited whatever happens in the body. */
#include "kit/kit.h"

struct connection {
    const char *name;
    bool swallow;
};

static int enter(const struct connection *self)
{
    COIL_TRY(coil_sleep(1));
    at(self->name, "open");
    return 0;
}

/* What the block ends with. */
static int leave(const struct connection *self, int rc)
{
    COIL_TRY(coil_sleep(0.5));
    at(self->name, "closed, error", kind(rc));
    return self->swallow ? 0 : rc;
}

static int nested(void)
{
    struct connection inner = { "inner", false };
    COIL_TRY(enter(&inner));
    return leave(&inner, boom("body"));
}

COIL_ASYNC0(amain)
{
    struct connection plain = { "plain", false }, outer = { "outer", false },
                      swallows = { "swallows", true };
    COIL_TRY(enter(&plain));
    at("body");
    COIL_TRY(leave(&plain, 0));

    COIL_TRY(enter(&outer));
    int rc = leave(&outer, nested());
    if (rc == COIL_EAPP)
        at("raised", kind(rc));

    COIL_TRY(enter(&swallows));
    COIL_TRY(leave(&swallows, boom("hidden")));
    at("end");
    return 0;
}

int main(void)
{
    must(run(amain(), 0, NULL));
}
