/* Says whether loops wait with the backend that COIL_BACKEND names; if not, why, and exits with 77. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coil/coil.h>

int main(void)
{
    const char *wanted = getenv("COIL_BACKEND");
    coil_loop *loop = coil_new_event_loop();
    if (!loop) {
        printf("skipped: %s\n", coil_error_message(coil_error_current(coil_error_last())));
        return 77;
    }
    const char *why = coil_loop_backend_reason(loop);
    int status = wanted && strcmp(wanted, coil_loop_backend(loop)) != 0 ? 77 : 0;
    if (status != 0)
        printf("skipped: %s\n", why ? why : "another backend");
    (void)coil_loop_close(loop);
    coil_unref(loop);
    return status;
}
