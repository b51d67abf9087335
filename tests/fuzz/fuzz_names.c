/* Names that a peer may have chosen: of tasks, taken apart into characters for the traces, and of addresses. What
 * comes out is well-formed, and ends where it should. */
#include <netinet/in.h>
#include "fuzz.h"
#include "io/address.h"
#include "trace/utf8.h"

static void check_characters(const char *text, size_t bytes)
{
    const char *at = text;
    for (;;) {
        const char *from = at;
        uint32_t character = coil__utf8_next(&at);
        if (character == 0)
            break;
        FUZZ_CHECK(at > from && at <= text + bytes);
        FUZZ_CHECK(character <= 0x10ffff && (character < 0xd800 || character > 0xdfff));
        char again[COIL__UTF8_MAX];
        int count = coil__utf8_put(character, again);
        bool same = count == at - from && memcmp(again, from, (size_t)count) == 0;
        FUZZ_CHECK(same || (character == COIL__UTF8_REPLACEMENT && at - from == 1));
    }
    FUZZ_CHECK(at == text + strlen(text));
}

/* As the kernel gives it: a family, and a length that need not be the family's. */
static void check_address(const uint8_t *data, size_t bytes)
{
    static const sa_family_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_PACKET };
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    char text[COIL__ADDRESS_TEXT_BYTES];
    if (bytes == 0)
        return;
    size_t length = bytes < sizeof address ? bytes : sizeof address;
    memcpy(&address, data, length);
    address.ss_family = families[data[0] % 4];
    memset(text, 'x', sizeof text);
    coil__address_text((const struct sockaddr *)&address, (socklen_t)length, text);
    FUZZ_CHECK(memchr(text, '\0', sizeof text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    FUZZ_CHECK(text);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    check_characters(text, bytes);
    check_address(data, bytes);
    free(text);
    return 0;
}
