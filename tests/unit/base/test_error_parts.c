/* Groups of errors in parts: what except* does in Python, by code and by predicate. */
#include "lib/steps.h"

/* A record of its own; NULL message: none. */
static coil_error *make(int code, const char *message)
{
    if (message)
        coil_raise(code, "%s", message);
    else
        coil__fail_own(coil__error_new(code, NULL));
    return coil_ref(coil_error_current(code));
}

/* Raises a group of some records, whose references it takes; gives a reference to the group. */
static coil_error *group_of(const char *message, coil_error *const *errors, size_t count)
{
    EXPECT_INT(coil_raise_group(errors, count, message), COIL_EGROUP);
    for (size_t i = 0; i < count; i++)
        coil_unref(errors[i]);
    return coil_ref(coil_error_current(COIL_EGROUP));
}
#define GROUP(message, ...)                                                                        \
    group_of(message, (coil_error *[]){ __VA_ARGS__ },                                             \
             sizeof((coil_error *[]){ __VA_ARGS__ }) / sizeof(coil_error *))

/* Two levels, both codes on each. The order in which the arguments are made does not matter. */
static coil_error *nested(void)
{
    coil_error *inner = GROUP("inner", make(-EPIPE, "pipe 1"), make(COIL_EAPP, "app 1"));
    return GROUP("top", inner, make(COIL_EAPP, "app 2"), make(-EPIPE, "pipe 2"));
}

static void append(char *text, size_t room, const coil_error *error)
{
    size_t length = strlen(text);
    size_t count = coil_error_count(error);
    snprintf(text + length, room - length, count > 0 ? "%s[" : "%s", coil_error_message(error));
    for (size_t i = 0; i < count; i++) {
        append(text, room, coil_error_at(error, i));
        strncat(text, i + 1 < count ? ", " : "]", room - strlen(text) - 1);
    }
}

static const char *text_of(const coil_error *error)
{
    static char text[512];
    text[0] = '\0';
    if (error)
        append(text, sizeof text, error);
    return text;
}

/* Splits by code and compares both parts. */
static void expect_split(coil_error *error, int code, const char *match_text, const char *rest_text)
{
    coil_error *match, *rest;
    EXPECT_INT(coil_error_split(error, code, &match, &rest), 0);
    EXPECT_STR(text_of(match), match_text);
    EXPECT_STR(text_of(rest), rest_text);
    EXPECT_INT(match != NULL, coil_error_matches(error, code));
    coil_unref(match);
    coil_unref(rest);
}

TEST(split_keeps_the_structure_of_nested_groups)
{
    /* Who handles one part must still see from which group each error came. */
    size_t blocks = steps_blocks();
    coil_error *error = nested();
    const char *whole = "top[inner[pipe 1, app 1], app 2, pipe 2]";
    EXPECT_STR(text_of(error), whole);
    expect_split(error, -EPIPE, "top[inner[pipe 1], pipe 2]", "top[inner[app 1], app 2]");
    expect_split(error, COIL_EAPP, "top[inner[app 1], app 2]", "top[inner[pipe 1], pipe 2]");
    expect_split(error, -ENOENT, "", whole);
    EXPECT_STR(text_of(error), whole); /* the original is left alone */
    coil_unref(error);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(group_that_matches_is_taken_whole)
{
    /* Like an except* of the group's own class: nobody looks inside. */
    size_t blocks = steps_blocks();
    coil_error *error = nested(), *match, *rest;
    EXPECT_INT(coil_error_split(error, COIL_EGROUP, &match, &rest), 0);
    EXPECT_PTR(match, error);
    EXPECT_PTR(rest, NULL);
    coil_unref(match);
    coil_unref(error);

    coil_error *single = make(-EPIPE, "single");
    EXPECT(coil_error_matches(single, -EPIPE) && !coil_error_matches(single, COIL_EGROUP));
    expect_split(single, -EPIPE, "single", "");
    expect_split(single, COIL_EAPP, "", "single");
    coil_unref(single);
    EXPECT_INT(steps_blocks(), blocks);
}

static bool ends_with_one(const coil_error *error, void *arg)
{
    ++*(int *)arg;
    const char *message = coil_error_message(error);
    return *message && message[strlen(message) - 1] == '1';
}

TEST(predicate_sees_groups_before_their_errors)
{
    /* The order of BaseExceptionGroup.split; either part may be left out. */
    size_t blocks = steps_blocks();
    coil_error *error = nested(), *match = NULL, *rest = NULL;
    int asked = 0;
    EXPECT_INT(coil_error_split_if(error, ends_with_one, &asked, &match, NULL), 0);
    EXPECT_INT(asked, 6); /* two groups, four errors */
    EXPECT_STR(text_of(match), "top[inner[pipe 1, app 1]]");
    EXPECT_INT(coil_error_split_if(error, ends_with_one, &asked, NULL, &rest), 0);
    EXPECT_STR(text_of(rest), "top[app 2, pipe 2]");
    coil_unref(match);
    coil_unref(rest);
    coil_unref(error);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(parts_keep_place_cause_and_number)
{
    /* A part is reported like the original. */
    size_t blocks = steps_blocks();
    coil_unref(nested());
    coil__note_place(COIL_EGROUP, "here.c", 12, "f");
    coil_error *error = coil_ref(coil_error_current(COIL_EGROUP)), *match;
    coil_error_set_detail(error, 77);
    EXPECT_INT(coil_error_split(error, -EPIPE, &match, NULL), 0);
    int line = 0;
    EXPECT(coil_error_place(match, NULL, &line, NULL));
    EXPECT_INT(line, 12);
    EXPECT_INT(coil_error_detail(match), 77);
    EXPECT_INT(coil_error_code(match), COIL_EGROUP);
    coil_unref(match);
    coil_unref(error);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(catch_takes_its_part_and_leaves_the_rest)
{
    /* Several in a row, as several except* clauses. */
    size_t blocks = steps_blocks();
    coil_unref(nested());
    int rc = COIL_EGROUP;
    coil_error *caught;
    rc = coil_error_catch(rc, -ENOENT, &caught);
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_PTR(caught, NULL);

    rc = coil_error_catch(rc, -EPIPE, &caught);
    EXPECT_INT(rc, COIL_EGROUP);
    EXPECT_STR(text_of(caught), "top[inner[pipe 1], pipe 2]");
    EXPECT_STR(text_of(coil_error_current(rc)), "top[inner[app 1], app 2]");
    EXPECT_INT(coil_error_last(), COIL_EGROUP);
    coil_unref(caught);

    rc = coil_error_catch(rc, COIL_EAPP, &caught);
    EXPECT_INT(rc, 0);
    EXPECT_STR(text_of(caught), "top[inner[app 1], app 2]");
    EXPECT_PTR(coil_error_current(COIL_EGROUP), NULL);
    coil_unref(caught);

    EXPECT_INT(coil_error_catch(rc, COIL_EAPP, &caught), 0);
    EXPECT_PTR(caught, NULL);
    EXPECT_INT(coil_error_catch(5, COIL_EAPP, &caught), 5);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(catch_wraps_a_single_error)
{
    /* The handler's loop is the same whether one failed or many; a bare code is enough. */
    size_t blocks = steps_blocks();
    coil_error *caught;
    EXPECT_INT(coil_error_catch(coil_raise(COIL_EAPP, "alone"), -EPIPE, &caught), COIL_EAPP);
    EXPECT_PTR(caught, NULL);
    EXPECT_INT(coil_error_catch(COIL_EAPP, COIL_EAPP, &caught), 0);
    EXPECT_INT(coil_error_count(caught), 1);
    EXPECT_STR(coil_error_message(coil_error_at(caught, 0)), "alone");
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
    coil_unref(caught);

    int asked = 0;
    EXPECT_INT(coil_error_catch_if(-EPIPE, ends_with_one, &asked, &caught), -EPIPE);
    EXPECT_INT(asked, 1);
    EXPECT_INT(coil_error_catch(-EPIPE, -EPIPE, &caught), 0);
    EXPECT_INT(coil_error_code(coil_error_at(caught, 0)), -EPIPE);
    coil_unref(caught);
    EXPECT_INT(steps_blocks(), blocks);
}

TEST(without_memory_nothing_is_caught_and_nothing_lost)
{
    /* The error goes on as it is: better too much is unhandled than something forgotten. */
    size_t blocks = steps_blocks();
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        coil_unref(nested());
        coil_error *caught, *match, *rest;
        coil_testing_fail_alloc(nth);
        int rc = coil_error_catch(COIL_EGROUP, -EPIPE, &caught);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, COIL_EGROUP);
        EXPECT_INT(caught == NULL, failed);
        EXPECT_STR(text_of(coil_error_current(rc)), failed
                                                        ? "top[inner[pipe 1, app 1], app 2, pipe 2]"
                                                        : "top[inner[app 1], app 2]");
        coil_unref(caught);

        coil_error *error = nested();
        coil_testing_fail_alloc(nth);
        rc = coil_error_split(error, -EPIPE, &match, &rest);
        bool split_failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, split_failed ? COIL_ENOMEM : 0);
        EXPECT(!split_failed || (!match && !rest));
        coil_unref(match);
        coil_unref(rest);
        coil_unref(error);
        EXPECT_INT(steps_blocks(), blocks);
    }
}

/* clang-format off */
TESTS_MAIN(
    RUN(split_keeps_the_structure_of_nested_groups),
    RUN(group_that_matches_is_taken_whole),
    RUN(predicate_sees_groups_before_their_errors),
    RUN(parts_keep_place_cause_and_number),
    RUN(catch_takes_its_part_and_leaves_the_rest),
    RUN(catch_wraps_a_single_error),
    RUN(without_memory_nothing_is_caught_and_nothing_lost))
/* clang-format on */
