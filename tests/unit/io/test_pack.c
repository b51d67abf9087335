/* Values between processes: what is packed comes back as it was, and what comes from elsewhere does no harm. */
#include "io/pack.h"

#include <math.h>
#include "base/alloc.h"
#include "base/error.h"
#include "base/value.h"
#include "lib/held.h"
#include "test.h"

/* Some of everything. */
static coil_value sample(void)
{
    coil_error *cause = coil__error_new(-EPIPE, "the cause");
    coil_error *error = coil__error_new(COIL_EAPP, NULL);
    coil_error *group = coil__error_group_new(2, "both");
    error->cause = cause;
    error->detail = -7;
    group->errors[0] = error;
    group->errors[1] = coil_ref(error);
    coil_value inner[] = { coil_nil(), coil_bool(true), coil_error_owned(group) };
    coil_value outer[] = {
        coil_int(INT64_MIN),
        coil_double(-0.0),
        coil_string("text"),
        coil_string(NULL),
        coil_bytes_copy("a\0b", 3),
        coil_bytes_copy(NULL, 0),
        coil_list_owned(coil_list_new(inner, 3)),
        coil_list_owned(coil_list_new(NULL, 0)),
    };
    return coil_list_owned(coil_list_new(outer, 8));
}

static struct coil__packer pack(coil_value value)
{
    struct coil__packer packer = { NULL, 0, 0, 0 };
    coil__pack_value(&packer, value);
    return packer;
}

static void expect_group(const coil_error *group)
{
    EXPECT_INT(coil_error_code(group), COIL_EGROUP);
    EXPECT_STR(coil_error_message(group), "both");
    if (!EXPECT_INT(coil_error_count(group), 2))
        return;
    const coil_error *error = coil_error_at(group, 1);
    EXPECT_INT(coil_error_code(error), COIL_EAPP);
    EXPECT_INT(coil_error_detail(error), -7);
    EXPECT_STR(coil_error_message(error), "");
    EXPECT_STR(coil_error_message(coil_error_cause(error)), "the cause");
}

TEST(every_kind_comes_back)
{
    // Each has its own notation.
    struct held before = held_now();
    coil_value value = sample(), back = coil_nil();
    struct coil__packer packer = pack(value);
    EXPECT_INT(packer.code, 0);
    struct coil__unpacker unpacker = { packer.data, packer.data + packer.length };
    REQUIRE(coil__unpack_value(&unpacker, &back) == 0);
    EXPECT_PTR(unpacker.at, unpacker.end);
    REQUIRE(back.kind == COIL_LIST && coil_list_count(back.list) == 8);
    EXPECT_INT(coil_list_at(back.list, 0).integer, INT64_MIN);
    EXPECT(signbit(coil_list_at(back.list, 1).number));
    EXPECT_STR(coil_list_at(back.list, 2).string, "text");
    EXPECT(coil_list_at(back.list, 3).kind == COIL_STRING && !coil_list_at(back.list, 3).string);
    EXPECT_INT(coil_list_at(back.list, 4).bytes->length, 3);
    EXPECT(memcmp(coil_list_at(back.list, 4).bytes->data, "a\0b", 3) == 0);
    EXPECT_INT(coil_list_at(back.list, 5).bytes->length, 0);
    coil_value inner = coil_list_at(back.list, 6);
    EXPECT_INT(coil_list_at(inner.list, 0).kind, COIL_NIL);
    EXPECT(coil_list_at(inner.list, 1).boolean);
    expect_group(coil_list_at(inner.list, 2).error);
    EXPECT_INT(coil_list_count(coil_list_at(back.list, 7).list), 0);
    coil_value_clear(&value);
    coil_value_clear(&back);
    coil__free(packer.data);
    held_expect(before, "packing");
}

/* Whatever comes out, it can be given back. */
static void try_to_unpack(const char *data, size_t length)
{
    coil_value value = coil_nil();
    struct coil__unpacker unpacker = { data, data + length };
    int rc = coil__unpack_value(&unpacker, &value);
    EXPECT(rc == 0 || rc == -EBADMSG || rc == COIL_ENOMEM);
    EXPECT(unpacker.at <= unpacker.end);
    coil_value_clear(&value);
}

TEST(damaged_bytes_do_no_harm)
{
    // A worker that has gone wild may send anything.
    struct held before = held_now();
    coil_value value = sample();
    struct coil__packer packer = pack(value);
    for (size_t length = 0; length < packer.length; length++) {
        /* In memory of its own, so that a sanitizer sees a step too far. */
        char *part = malloc(length + 1);
        memcpy(part, packer.data, length);
        coil_value back = coil_nil();
        struct coil__unpacker unpacker = { part, part + length };
        EXPECT_INT(coil__unpack_value(&unpacker, &back), -EBADMSG);
        free(part);
    }
    for (size_t at = 0; at < packer.length; at++) {
        char good = packer.data[at];
        for (int other = 0; other < 256; other++) {
            packer.data[at] = (char)other;
            try_to_unpack(packer.data, packer.length);
        }
        packer.data[at] = good;
    }
    coil_value_clear(&value);
    coil__free(packer.data);
    held_expect(before, "unpacking");
}

TEST(nesting_has_a_limit)
{
    // On both sides, since the stack has one.
    char deep[4096];
    uint64_t one = 1;
    size_t length = 0;
    while (length + 9 < sizeof deep) {
        deep[length] = 'l';
        memcpy(deep + length + 1, &one, sizeof one);
        length += 9;
    }
    coil_value value = coil_nil();
    struct coil__unpacker unpacker = { deep, deep + length };
    EXPECT_INT(coil__unpack_value(&unpacker, &value), -EBADMSG);
    for (int i = 0; i < 200; i++)
        value = coil_list_owned(coil_list_new(&value, 1));
    struct coil__packer packer = pack(value);
    EXPECT_INT(packer.code, -EMSGSIZE);
    coil__free(packer.data);
    coil_value_clear(&value);
}

TEST(what_is_of_this_process_only_is_refused)
{
    // A pointer would be a wrong one elsewhere.
    int here = 0;
    struct coil__packer packer = pack(coil_pointer(&here));
    EXPECT_INT(packer.code, COIL_ETYPE);
    coil__free(packer.data);
    packer = pack((coil_value){ .kind = COIL_OBJECT });
    EXPECT_INT(packer.code, COIL_ETYPE);
    coil__free(packer.data);
}

TEST(bytes_belong_to_their_value)
{
    // The view lends, the copy owns.
    struct held before = held_now();
    char text[] = "abc";
    coil_bytes view = { text, 3 };
    coil_value lent = coil_v(&view), copy = coil_bytes_copy(text, 3);
    EXPECT_INT(lent.kind, COIL_BYTES);
    EXPECT_PTR(lent.bytes->data, text);
    text[0] = 'x';
    EXPECT(memcmp(copy.bytes->data, "abc", 3) == 0);
    coil_value_clear(&lent);
    coil_value_clear(&copy);
    held_expect(before, "bytes");
}

TESTS_MAIN(RUN(every_kind_comes_back), RUN(damaged_bytes_do_no_harm), RUN(nesting_has_a_limit),
           RUN(what_is_of_this_process_only_is_refused), RUN(bytes_belong_to_their_value))
