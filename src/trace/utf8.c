#include "trace/utf8.h"

#include <stdbool.h>

static bool is_scalar(uint32_t character, int bytes);

uint32_t coil__utf8_next(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    if (*at == 0)
        return 0;

    int bytes = *at < 0x80   ? 1
                : *at < 0xc0 ? 0
                : *at < 0xe0 ? 2
                : *at < 0xf0 ? 3
                : *at < 0xf8 ? 4
                             : 0;
    uint32_t character = bytes == 1 ? *at : bytes ? *at & (0x7fu >> bytes) : 0;
    for (int i = 1; i < bytes; i++) {
        /* The zero byte at the end is no continuation, so this does not run past it. */
        if ((at[i] & 0xc0) != 0x80) {
            bytes = 0;
            break;
        }
        character = character << 6 | (at[i] & 0x3f);
    }
    if (bytes == 0 || !is_scalar(character, bytes)) {
        (*text)++;
        return COIL__UTF8_REPLACEMENT;
    }
    *text += bytes;
    return character;
}

int coil__utf8_put(uint32_t character, char bytes[COIL__UTF8_MAX])
{
    if (character < 0x80) {
        bytes[0] = (char)character;
        return 1;
    }
    int count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (int i = count - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (char)((0xf00u >> count & 0xff) | character);
    return count;
}

/* Not written longer than need be, no half of a surrogate pair, not beyond Unicode. */
static bool is_scalar(uint32_t character, int bytes)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    return character >= least[bytes] && character <= 0x10ffff &&
           !(character >= 0xd800 && character <= 0xdfff);
}
