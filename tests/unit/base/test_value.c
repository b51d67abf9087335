/* Values and lists: what they hold, and that what they own goes exactly once. */
#include "test.h"

#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"

static int drops;
static void *dropped;

static void note_drop(void *pointer)
{
    drops++;
    dropped = pointer;
}

static int a_place, another_place;

/* ---- values ---------------------------------------------------------------------------------- */

TEST(each_kind_keeps_what_it_was_made_of)
{
    coil_value value = coil_nil();
    EXPECT_INT(value.kind, COIL_NIL);
    value = coil_bool(true);
    EXPECT_INT(value.kind, COIL_BOOL);
    EXPECT(value.boolean);
    value = coil_int(INT64_MIN);
    EXPECT_INT(value.kind, COIL_INT);
    EXPECT_INT(value.integer, INT64_MIN);
    value = coil_double(-0.5);
    EXPECT_INT(value.kind, COIL_DOUBLE);
    EXPECT_DOUBLE(value.number, -0.5);
    value = coil_string("text");
    EXPECT_INT(value.kind, COIL_STRING);
    EXPECT_STR(value.string, "text");
    EXPECT(!value.drop);
    value = coil_pointer(&a_place);
    EXPECT_INT(value.kind, COIL_POINTER);
    EXPECT_PTR(value.pointer, &a_place);
    EXPECT(!value.drop);
}

TEST(nil_is_all_zero_bytes)
{
    /* So that memory that was zeroed holds values that can be cleared. */
    coil_value zero;
    memset(&zero, 0, sizeof zero);
    EXPECT_INT(zero.kind, COIL_NIL);
    coil_value_clear(&zero);
    coil_value nil = coil_nil();
    EXPECT_INT(nil.integer, 0);
    EXPECT(!nil.drop);
}

TEST(clearing_drops_once_and_leaves_nil)
{
    drops = 0;
    coil_value value = coil_pointer_owned(&a_place, note_drop);
    coil_value_clear(&value);
    EXPECT_INT(drops, 1);
    EXPECT_PTR(dropped, &a_place);
    EXPECT_INT(value.kind, COIL_NIL);
    coil_value_clear(&value);
    EXPECT_INT(drops, 1);
    coil_value_clear(NULL);
}

TEST(clearing_what_owns_nothing_is_harmless)
{
    coil_value values[] = { coil_nil(),       coil_bool(true),       coil_int(3),
                            coil_double(2.5), coil_string("static"), coil_pointer(&a_place) };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        coil_value_clear(&values[i]);
        EXPECT_INT(values[i].kind, COIL_NIL);
    }
}

TEST(owned_text_goes_to_its_own_destructor)
{
    drops = 0;
    char text[] = "text";
    coil_value value = coil_string_owned(text, note_drop);
    EXPECT_INT(value.kind, COIL_STRING);
    coil_value_clear(&value);
    EXPECT_INT(drops, 1);
    EXPECT_PTR(dropped, text);
    value = coil_string_owned(strdup("on the heap"), free);
    EXPECT_STR(value.string, "on the heap");
    coil_value_clear(&value);
}

static coil_value in_drop;

static void clear_again(void *pointer)
{
    note_drop(pointer);
    coil_value_clear(&in_drop);
}

TEST(destructor_that_clears_its_own_value_runs_once)
{
    drops = 0;
    in_drop = coil_pointer_owned(&a_place, clear_again);
    coil_value_clear(&in_drop);
    EXPECT_INT(drops, 1);
}

TEST(view_owns_nothing)
{
    drops = 0;
    coil_value value = coil_pointer_owned(&a_place, note_drop);
    coil_value view = coil_value_view(value);
    EXPECT_PTR(view.pointer, &a_place);
    EXPECT_INT(view.kind, COIL_POINTER);
    coil_value_clear(&view);
    EXPECT_INT(drops, 0);
    coil_value_clear(&value);
    EXPECT_INT(drops, 1);
}

TEST(value_of_an_object_is_one_reference)
{
    size_t before = coil_testing_alloc_count();
    coil_list *list = coil_list_new((coil_value[]){ coil_pointer_owned(&a_place, note_drop) }, 1);
    REQUIRE(list);
    drops = 0;
    coil_value object = coil_object_owned(coil_ref(list));
    EXPECT_INT(object.kind, COIL_OBJECT);
    EXPECT_PTR(object.pointer, list);
    coil_value as_list = coil_list_owned(coil_ref(list));
    EXPECT_INT(as_list.kind, COIL_LIST);
    EXPECT_PTR(as_list.list, list);
    coil_value_clear(&object);
    coil_value_clear(&as_list);
    EXPECT_INT(drops, 0);
    coil_unref(list);
    EXPECT_INT(drops, 1);
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(value_of_an_error_keeps_the_record)
{
    coil_raise(COIL_EAPP, "kept");
    coil_value value = coil_error_owned(coil_ref(coil_error_current(COIL_EAPP)));
    coil__errors_forget_thread();
    EXPECT_INT(value.kind, COIL_ERROR);
    EXPECT_STR(coil_error_message(value.error), "kept");
    size_t before = coil_testing_alloc_count();
    coil_value_clear(&value);
    EXPECT(coil_testing_alloc_count() < before);
}

TEST(references_to_nothing_are_harmless)
{
    EXPECT_PTR(coil_ref(NULL), NULL);
    coil_unref(NULL);
    coil_value value = coil_object_owned(NULL);
    coil_value_clear(&value);
    EXPECT_INT(value.kind, COIL_NIL);
}

/* ---- coil_v ---------------------------------------------------------------------------------- */

TEST(coil_v_makes_integers_of_every_integer_type)
{
    EXPECT_INT(coil_v((char)'a').kind, COIL_INT);
    EXPECT_INT(coil_v((signed char)-1).integer, -1);
    EXPECT_INT(coil_v((unsigned char)255).integer, 255);
    EXPECT_INT(coil_v((short)-2).integer, -2);
    EXPECT_INT(coil_v((unsigned short)65535).integer, 65535);
    EXPECT_INT(coil_v(-3).integer, -3);
    EXPECT_INT(coil_v(4000000000u).integer, 4000000000);
    EXPECT_INT(coil_v(-5L).integer, -5);
    EXPECT_INT(coil_v(6UL).integer, 6);
    EXPECT_INT(coil_v(-7LL).integer, -7);
    EXPECT_INT(coil_v(8ULL).integer, 8);
    EXPECT_INT(coil_v(8ULL).kind, COIL_INT);
    _Bool truth = true;
    EXPECT_INT(coil_v(truth).kind, COIL_BOOL);
}

TEST(coil_v_knows_numbers_texts_pointers_and_values)
{
    EXPECT_INT(coil_v(0.5f).kind, COIL_DOUBLE);
    EXPECT_DOUBLE(coil_v(0.25).number, 0.25);
    char text[] = "text";
    const char *fixed = "fixed";
    EXPECT_INT(coil_v(text).kind, COIL_STRING);
    EXPECT_STR(coil_v(fixed).string, "fixed");
    EXPECT_INT(coil_v(&a_place).kind, COIL_POINTER);
    const int *constant = &a_place;
    EXPECT_PTR(coil_v(constant).pointer, &a_place);
    drops = 0;
    coil_value owned = coil_v(coil_pointer_owned(&a_place, note_drop));
    EXPECT(owned.drop == note_drop);
    coil_value_clear(&owned);
    EXPECT_INT(drops, 1);
}

/* ---- lists ----------------------------------------------------------------------------------- */

TEST(list_owns_its_values_and_lends_views)
{
    drops = 0;
    coil_value values[] = { coil_int(7), coil_pointer_owned(&a_place, note_drop),
                            coil_pointer_owned(&another_place, note_drop) };
    coil_list *list = coil_list_new(values, 3);
    REQUIRE(list);
    EXPECT_INT(coil_list_count(list), 3);
    EXPECT_INT(coil_list_at(list, 0).integer, 7);
    coil_value view = coil_list_at(list, 1);
    EXPECT_PTR(view.pointer, &a_place);
    coil_value_clear(&view);
    EXPECT_INT(drops, 0);
    coil_ref(list);
    coil_unref(list);
    EXPECT_INT(drops, 0);
    coil_unref(list);
    EXPECT_INT(drops, 2);
}

TEST(list_beyond_its_end_is_nil)
{
    coil_list *list = coil_list_new((coil_value[]){ coil_int(1) }, 1);
    REQUIRE(list);
    EXPECT_INT(coil_list_at(list, 1).kind, COIL_NIL);
    EXPECT_INT(coil_list_at(list, SIZE_MAX).kind, COIL_NIL);
    coil_unref(list);
}

TEST(list_without_values_is_all_nil)
{
    coil_list *list = coil_list_new(NULL, 5);
    REQUIRE(list);
    EXPECT_INT(coil_list_count(list), 5);
    for (size_t i = 0; i < 5; i++)
        EXPECT_INT(coil_list_at(list, i).kind, COIL_NIL);
    coil_unref(list);
    list = coil_list_new(NULL, 0);
    REQUIRE(list);
    EXPECT_INT(coil_list_count(list), 0);
    coil_unref(list);
}

TEST(list_without_memory_leaves_the_values_to_the_caller)
{
    drops = 0;
    coil_value value = coil_pointer_owned(&a_place, note_drop);
    coil_raise(COIL_EAPP, "something earlier");
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil_list_new(&value, 1), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    EXPECT_INT(drops, 0);
    coil_value_clear(&value);
    EXPECT_INT(drops, 1);
}

TEST(list_longer_than_memory_is_refused)
{
    /* The size in bytes must not wrap around to one that can be had. */
    EXPECT_PTR(coil_list_new(NULL, SIZE_MAX / sizeof(coil_value) + 2), NULL);
    EXPECT_PTR(coil_list_new(NULL, SIZE_MAX), NULL);
}

TESTS_MAIN(RUN(each_kind_keeps_what_it_was_made_of), RUN(nil_is_all_zero_bytes),
           RUN(clearing_drops_once_and_leaves_nil), RUN(clearing_what_owns_nothing_is_harmless),
           RUN(owned_text_goes_to_its_own_destructor),
           RUN(destructor_that_clears_its_own_value_runs_once), RUN(view_owns_nothing),
           RUN(value_of_an_object_is_one_reference), RUN(value_of_an_error_keeps_the_record),
           RUN(references_to_nothing_are_harmless),
           RUN(coil_v_makes_integers_of_every_integer_type),
           RUN(coil_v_knows_numbers_texts_pointers_and_values),
           RUN(list_owns_its_values_and_lends_views), RUN(list_beyond_its_end_is_nil),
           RUN(list_without_values_is_all_nil),
           RUN(list_without_memory_leaves_the_values_to_the_caller),
           RUN(list_longer_than_memory_is_refused))
