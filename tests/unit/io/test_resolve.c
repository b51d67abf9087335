/* Hosts with several addresses: who is tried when, and what is said if nobody answers. */
#include "lib/steps.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "io/resolve.h"

static int listener(struct coil__address *address_out, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    memset(address_out, 0, sizeof *address_out);
    address_out->length = sizeof address;
    REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    REQUIRE(listen(fd, backlog) == 0);
    REQUIRE(getsockname(fd, &address_out->generic, &address_out->length) == 0);
    return fd;
}

/* An address at which nobody answers, neither yes nor no: its listener's queue is full. */
static int silent_listener(struct coil__address *address_out, int fillers[4])
{
    int fd = listener(address_out, 0);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], &address_out->generic,
                      address_out->length); /* queued, or dropped */
    }
    return fd;
}

static struct coil__address refused(void)
{
    struct coil__address address;
    close(listener(&address, 1));
    return address;
}

static int port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    return getpeername(fd, (struct sockaddr *)&address, &length) == 0 ? ntohs(address.sin_port)
                                                                      : -1;
}

static int port_at(const struct coil__address *address)
{
    struct sockaddr_in in;
    memcpy(&in, &address->storage, sizeof in);
    return ntohs(in.sin_port);
}

COIL_ASYNC0(second_answers)
{
    int fillers[4];
    struct coil__address addresses[2];
    int silent = silent_listener(&addresses[0], fillers), good = listener(&addresses[1], 4);
    int expected = port_at(&addresses[1]);
    int fd = coil__connect_any(addresses, 2, NULL, 0, 0.02);
    EXPECT(fd >= 0);
    EXPECT_INT(port_of(fd), expected);
    coil_sock_close(fd);
    for (int i = 0; i < 4; i++)
        coil_sock_close(fillers[i]);
    coil_sock_close(silent);
    coil_sock_close(good);
    return 0;
}

/* A broken route must cost a quarter of a second, not two minutes. */
TEST(an_address_that_does_not_answer_is_overtaken)
{
    EXPECT_RUN_REAL(second_answers(), 0);
}

COIL_ASYNC(one_is_refused, (double, delay))
{
    struct coil__address addresses[2] = { refused() };
    int good = listener(&addresses[1], 4);
    int fd = coil__connect_any(addresses, 2, NULL, 0, delay);
    EXPECT(fd >= 0);
    coil_sock_close(fd);
    coil_sock_close(good);
    return 0;
}

/* A refusal is an answer: the next one is tried at once. */
TEST(a_refusal_brings_the_next_address_at_once)
{
    EXPECT_RUN_REAL(one_is_refused(60), 0);
    EXPECT_RUN_REAL(one_is_refused(-1), 0);
}

COIL_ASYNC(all_are_refused, (double, delay))
{
    struct coil__address addresses[3] = { refused(), refused(), refused() };
    EXPECT_INT(coil__connect_any(addresses, 3, NULL, 0, delay), -ECONNREFUSED);
    const char *story = coil_error_message(coil_error_current(-ECONNREFUSED));
    int named = 0;
    for (const char *at = story; at && (at = strstr(at, "127.0.0.1:")); at++)
        named++;
    EXPECT_INT(named, 3);
    return 0;
}

/* Whoever reads the message must see what was tried. */
TEST(if_all_fail_the_message_names_them)
{
    EXPECT_RUN_REAL(all_are_refused(0.25), 0);
    EXPECT_RUN_REAL(all_are_refused(-1), 0);
}

COIL_ASYNC0(waits_for_silence)
{
    int fillers[4], more[4];
    struct coil__address addresses[2];
    int silent = silent_listener(&addresses[0], fillers),
        other = silent_listener(&addresses[1], more);
    int rc = coil__connect_any(addresses, 2, NULL, 0, 0.01);
    EXPECT_INT(rc, COIL_ECANCELED);
    for (int i = 0; i < 4; i++) {
        coil_sock_close(fillers[i]);
        coil_sock_close(more[i]);
    }
    coil_sock_close(silent);
    coil_sock_close(other);
    return rc;
}

COIL_ASYNC0(is_cancelled)
{
    coil_task *task = coil_create_task(waits_for_silence());
    COIL_TRY(coil_sleep(0.05));
    EXPECT_INT(coil_cancel_and_wait(task, NULL), 0);
    EXPECT(coil_future_cancelled(task));
    coil_unref(task);
    return 0;
}

/* Both attempts are under way then, and neither may leave a socket. */
TEST(cancelling_ends_all_attempts)
{
    EXPECT_RUN_REAL(is_cancelled(), 0);
}

COIL_ASYNC0(resolves)
{
    struct coil__address *addresses;
    int count = coil__resolve("localhost", 80, 0, SOCK_STREAM, false, &addresses);
    EXPECT(count >= 1);
    if (count >= 1)
        coil__free(addresses);
    EXPECT_INT(coil__resolve("127.0.0.1", 80, 0, SOCK_STREAM, false, &addresses), 1);
    EXPECT_INT(addresses[0].generic.sa_family, AF_INET);
    coil__free(addresses);
    EXPECT_INT(coil__resolve("localhost", 65536, 0, SOCK_STREAM, false, &addresses), COIL_EINVAL);
    EXPECT(coil__resolve("no-such-host.invalid", 80, 0, SOCK_STREAM, false, &addresses) < 0);
    EXPECT(coil__resolve("::1", 80, AF_INET, SOCK_STREAM, false, &addresses) < 0);
    return 0;
}

/* Names, numbers, and what is neither. */
TEST(names_and_numbers_become_addresses)
{
    EXPECT_RUN_REAL(resolves(), 0);
}

TESTS_MAIN(RUN(an_address_that_does_not_answer_is_overtaken),
           RUN(a_refusal_brings_the_next_address_at_once), RUN(if_all_fail_the_message_names_them),
           RUN(cancelling_ends_all_attempts), RUN(names_and_numbers_become_addresses))
