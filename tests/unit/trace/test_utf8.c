#include "test.h"

#include "trace/utf8.h"

/* Decodes a text and encodes it again. */
static const char *round_trip(const char *text)
{
    static char out[256];
    size_t length = 0;
    uint32_t character;
    while ((character = coil__utf8_next(&text)) != 0)
        length += (size_t)coil__utf8_put(character, out + length);
    out[length] = '\0';
    return out;
}

#define REPLACED "\xef\xbf\xbd"

TEST(well_formed_text_is_kept)
{
    static const char text[] =
        "a \xc2\xb5 \xe2\x80\xa6 \xef\xbf\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf";
    EXPECT_STR(round_trip(text), text);
    EXPECT_STR(round_trip(""), "");
}

TEST(decodes_code_points)
{
    const char *text = "A\xc2\xb5\xe2\x82\xac\xf0\x9f\x98\x80";
    EXPECT_INT(coil__utf8_next(&text), 'A');
    EXPECT_INT(coil__utf8_next(&text), 0xb5);
    EXPECT_INT(coil__utf8_next(&text), 0x20ac);
    EXPECT_INT(coil__utf8_next(&text), 0x1f600);
    EXPECT_INT(coil__utf8_next(&text), 0);
    EXPECT_INT(coil__utf8_next(&text), 0);
}

TEST(what_is_not_utf8_is_replaced)
{
    /* Lone and missing continuations, also at the very end; longer than need be; surrogates; beyond
     * Unicode; bytes that never occur. */
    EXPECT_STR(round_trip("a\x80z"), "a" REPLACED "z");
    EXPECT_STR(round_trip("a\xc3z"), "a" REPLACED "z");
    EXPECT_STR(round_trip("a\xe2\x82"), "a" REPLACED REPLACED);
    EXPECT_STR(round_trip("\xf0\x9f\x98"), REPLACED REPLACED REPLACED);
    EXPECT_STR(round_trip("\xc0\xaf"), REPLACED REPLACED);
    EXPECT_STR(round_trip("\xe0\x80\xaf"), REPLACED REPLACED REPLACED);
    EXPECT_STR(round_trip("\xed\xa0\x80"), REPLACED REPLACED REPLACED);
    EXPECT_STR(round_trip("\xf4\x90\x80\x80"), REPLACED REPLACED REPLACED REPLACED);
    EXPECT_STR(round_trip("\xfe\xff"), REPLACED REPLACED);
}

TESTS_MAIN(RUN(well_formed_text_is_kept), RUN(decodes_code_points),
           RUN(what_is_not_utf8_is_replaced))
