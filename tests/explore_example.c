/* An example is what people copy: it must clean up wherever it is cancelled, runs into a limit, gets no
 * memory, or finds its loop closed. EXAMPLE is the source; it is explored as EXAMPLE_CALL, after
 * EXAMPLE_PREPARE, which may call make_certificate. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define main example_main
#include EXAMPLE
#undef main
#pragma GCC diagnostic pop

#include <unistd.h>
#include <coil/testing.h>

#ifdef EXAMPLE_CERTIFICATE
#include <stdlib.h>
#include "lib/certs.h"

static char certificate_folder[] = "certificate-XXXXXX";

static void remove_certificate(void)
{
    (void)remove("cert.pem"); /* scratch: what stays does no harm */
    (void)remove("key.pem");
    if (chdir("..") == 0)
        (void)rmdir(certificate_folder);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        _exit(2);
}

/* In a folder of its own, since every backend is tried at the same time: cert.pem, key.pem. */
static void make_certificate(void)
{
    struct cert cert = certs_leaf("127.0.0.1", 10, NULL);
    if (!mkdtemp(certificate_folder) || chdir(certificate_folder) != 0)
        _exit(2);
    write_file("cert.pem", cert.cert_pem);
    write_file("key.pem", cert.key_pem);
    certs_free(&cert);
    atexit(remove_certificate);
}
#endif

static coil_coro *make_example(void *arg)
{
    (void)arg;
    return EXAMPLE_CALL;
}

int main(void)
{
    alarm(300); /* a program that hangs outside of its waits */
    if (!freopen("/dev/null", "w", stdout))
        return 2;
    EXAMPLE_PREPARE;
    /* What it leaves to nobody: its main task may be stopped anywhere, and everything is gone. Memory may be
     * short in a child, too, and gather leaves the other children to coil_run then. */
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = COIL_EXPLORE_ALL & ~(unsigned)COIL_EXPLORE_ALLOC;
#ifdef EXAMPLE_AS_RUN
    options.as_run = true;
#endif
    int alone = coil_testing_explore(make_example, NULL, &options);
    options.modes = COIL_EXPLORE_ALL;
    options.as_run = true;
    options.task = "*";
    int all = coil_testing_explore(make_example, NULL, &options);
    return alone != 0 || all != 0;
}
