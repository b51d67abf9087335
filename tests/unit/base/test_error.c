/* Errors: codes and their names, records, causes, tracebacks, groups, and whose a record is. */
#include "test.h"

#include <limits.h>
#include <pthread.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"

/* What is printed for a code. The caller frees it. */
static char *printed(int code)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (!file)
        return strdup("no memory for the text");
    coil_error_print(file, code);
    fclose(file);
    return text;
}

static void expect_printed_(int line, int code, const char *format, ...)
{
    char expected[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(expected, sizeof expected, format, args);
    va_end(args);
    char *text = printed(code);
    test_str_(__FILE__, line, "what is printed", text, expected);
    free(text);
}
#define EXPECT_PRINTED(code, ...) expect_printed_(__LINE__, code, __VA_ARGS__)

/* Raises without a place, for prints without a traceback. */
static int raise_plain(int code, const char *message)
{
    return coil_raise_at(NULL, 0, NULL, code, NULL, "%s", message);
}

static const char *message_of(int code)
{
    coil_error *error = coil_error_current(code);
    return error ? coil_error_message(error) : NULL;
}

/* ---- codes ----------------------------------------------------------------------------------- */

TEST(codes_have_names_and_texts)
{
    EXPECT_STR(coil_error_name(COIL_ECANCELED), "COIL_ECANCELED");
    EXPECT_STR(coil_strerror(COIL_ECANCELED), "cancelled");
    EXPECT_STR(coil_error_name(-ECONNREFUSED), "ECONNREFUSED");
    EXPECT_STR(coil_strerror(-ECONNREFUSED), "Connection refused");
    EXPECT_STR(coil_error_name(COIL_EAPP), "COIL_EAPP");
}

TEST(every_code_of_the_table_is_named_and_no_two_are_alike)
{
    static const struct {
        int code;
        const char *name, *text, *manual;
    } table[] = {
#define COIL_ERROR_CODE(name, value, text, manual) { value, #name, text, manual },
#include <coil/errors.def>
#undef COIL_ERROR_CODE
    };
    size_t count = sizeof table / sizeof *table;
    for (size_t i = 0; i < count; i++) {
        EXPECT(table[i].code < 0);
        EXPECT_STR(coil_error_name(table[i].code), table[i].name);
        EXPECT_STR(coil_strerror(table[i].code), table[i].text);
        EXPECT(strlen(table[i].manual) > 0);
        for (size_t j = 0; j < i; j++)
            EXPECT(table[i].code != table[j].code);
    }
}

TEST(codes_that_the_system_has_too_carry_its_number)
{
    /* A caller who compares with -ENOMEM or -ETIMEDOUT is right. */
    EXPECT_INT(COIL_ENOMEM, -ENOMEM);
    EXPECT_INT(COIL_EINVAL, -EINVAL);
    EXPECT_INT(COIL_ETIMEDOUT, -ETIMEDOUT);
    EXPECT_INT(COIL_ENOTSUP, -EOPNOTSUPP);
}

TEST(unknown_codes_are_errors_with_a_number)
{
    EXPECT_STR(coil_error_name(-12345), "error");
    EXPECT_STR(coil_error_name(-4000), "error");
    EXPECT_STR(coil_error_name(0), "ok");
    EXPECT_STR(coil_error_name(17), "ok");
    EXPECT_STR(coil_error_name(INT_MIN), "error");
    EXPECT(strstr(coil_strerror(-12345), "-12345") != NULL);
    EXPECT(strlen(coil_strerror(INT_MIN)) > 0);
    EXPECT(strlen(coil_strerror(-4000)) > 0);
}

/* ---- raising --------------------------------------------------------------------------------- */

TEST(raise_gives_the_code_back_and_leaves_a_record)
{
    int rc = coil_raise(COIL_EAPP, "no user %s, %d tries", "bob", 3);
    int line = __LINE__ - 1;
    EXPECT_INT(rc, COIL_EAPP);
    EXPECT_INT(coil_error_last(), COIL_EAPP);
    coil_error *error = coil_error_current(COIL_EAPP);
    REQUIRE(error);
    EXPECT_INT(coil_error_code(error), COIL_EAPP);
    EXPECT_STR(coil_error_message(error), "no user bob, 3 tries");
    EXPECT_INT(coil_error_count(error), 0);
    EXPECT_PTR(coil_error_at(error, 0), NULL);
    EXPECT_PTR(coil_error_cause(error), NULL);

    const char *file = NULL, *function = NULL;
    int at = 0;
    EXPECT(coil_error_place(error, &file, &at, &function));
    EXPECT_STR(file, __FILE__);
    EXPECT_INT(at, line);
    EXPECT_STR(function, __func__);
    EXPECT(coil_error_place(error, NULL, NULL, NULL));
}

TEST(raise_without_a_place_has_none)
{
    raise_plain(COIL_EAPP, "nowhere");
    const char *file = "untouched";
    EXPECT(!coil_error_place(coil_error_current(COIL_EAPP), &file, NULL, NULL));
    EXPECT_STR(file, "untouched");
}

TEST(empty_message_is_an_empty_text)
{
    coil_raise_at(NULL, 0, NULL, COIL_EAPP, NULL, "%s", "");
    EXPECT_STR(message_of(COIL_EAPP), "");
    EXPECT_PRINTED(COIL_EAPP, "COIL_EAPP: application error\n");
}

TEST(message_as_long_as_it_likes)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    coil_raise(COIL_EAPP, "%s", text);
    EXPECT_INT(strlen(message_of(COIL_EAPP)), sizeof text - 1);
}

TEST(message_may_quote_the_record_it_replaces)
{
    /* The old record of the code goes when the new one comes; its text is needed until then. */
    coil_raise(COIL_EAPP, "first");
    coil_raise(COIL_EAPP, "second, after %s", message_of(COIL_EAPP));
    EXPECT_STR(message_of(COIL_EAPP), "second, after first");
}

TEST(code_without_a_record_is_an_error_too)
{
    coil__errors_forget_thread();
    EXPECT_PTR(coil_error_current(-EPIPE), NULL);
    EXPECT_PRINTED(-EPIPE, "EPIPE: Broken pipe\n");
}

TEST(last_code_is_the_newest_failure)
{
    coil_raise(COIL_EAPP, "one");
    coil_raise(-EPIPE, "two");
    EXPECT_INT(coil_error_last(), -EPIPE);
    (void)coil_error_current(COIL_EAPP);
    EXPECT_INT(coil_error_last(), -EPIPE);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

TEST(cleanup_that_fails_does_not_hide_the_first_error)
{
    int rc = coil_raise(COIL_EAPP, "the reason");
    coil_raise(-EIO, "closing failed");
    coil_raise(-ENOTCONN, "so did shutting down");
    EXPECT_STR(message_of(rc), "the reason");
    EXPECT_STR(message_of(-EIO), "closing failed");
}

TEST(newest_record_of_a_code_explains_it)
{
    coil_raise(COIL_EAPP, "older");
    coil_raise(-EIO, "between");
    coil_raise(COIL_EAPP, "newer");
    EXPECT_STR(message_of(COIL_EAPP), "newer");
    EXPECT_STR(message_of(-EIO), "between");
}

TEST(only_the_last_few_records_are_kept)
{
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    for (int i = 0; i < 1000; i++)
        coil_raise(COIL_EAPP - i, "number %d", i);
    for (int i = 0; i < COIL__ERROR_CHAIN; i++)
        EXPECT(coil_error_current(COIL_EAPP - 999 + i) != NULL);
    EXPECT_PTR(coil_error_current(COIL_EAPP - 999 + COIL__ERROR_CHAIN), NULL);
    EXPECT_INT(coil_testing_alloc_count() - before, 2 * COIL__ERROR_CHAIN);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(failure_without_an_explanation_is_not_explained_by_an_older_one)
{
    /* The library fails plainly with codes that an earlier call explained: that was another failure. */
    coil_raise(-EPIPE, "long ago");
    EXPECT_INT(coil__fail_plain(-EPIPE), -EPIPE);
    EXPECT_PTR(coil_error_current(-EPIPE), NULL);
    EXPECT_INT(coil_error_last(), -EPIPE);
}

TEST(record_that_is_held_outlives_the_chain)
{
    coil_raise(COIL_EAPP, "held");
    coil_error *error = coil_ref(coil_error_current(COIL_EAPP));
    coil__errors_forget_thread();
    EXPECT_STR(coil_error_message(error), "held");
    coil_unref(error);
}

TEST(detail_is_zero_until_it_is_set)
{
    coil_raise(COIL_EINCOMPLETE, "half");
    coil_error *error = coil_error_current(COIL_EINCOMPLETE);
    EXPECT_INT(coil_error_detail(error), 0);
    coil_error_set_detail(error, INT64_MIN);
    EXPECT_INT(coil_error_detail(error), INT64_MIN);
}

TEST(exit_carries_its_status)
{
    EXPECT_INT(coil_exit(3), COIL_EEXIT);
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 3);
}

/* ---- raising again --------------------------------------------------------------------------- */

TEST(reraise_brings_a_kept_record_back)
{
    raise_plain(-EIO, "the cause");
    int rc = coil_raise_from(-EIO, COIL_EAPP, "kept");
    coil_error *kept = coil_ref(coil_error_current(rc));
    coil_error_set_detail(kept, 42);
    coil__errors_forget_thread();
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);

    EXPECT_INT(coil_reraise(kept), COIL_EAPP);
    EXPECT_INT(coil_error_last(), COIL_EAPP);
    coil_error *again = coil_error_current(COIL_EAPP);
    REQUIRE(again);
    EXPECT_STR(coil_error_message(again), "kept");
    EXPECT_INT(coil_error_detail(again), 42);
    EXPECT_STR(coil_error_message(coil_error_cause(again)), "the cause");
    EXPECT(coil_error_place(again, NULL, NULL, NULL));
    EXPECT_INT(coil_reraise(again), COIL_EAPP);
    EXPECT_PTR(coil_error_current(COIL_EAPP), again);
    coil_unref(kept);
}

TEST(reraise_of_a_group_keeps_its_list)
{
    raise_plain(COIL_EAPP, "one");
    coil_error *one = coil_ref(coil_error_current(COIL_EAPP));
    EXPECT_INT(coil_raise_group(&one, 1, "all"), COIL_EGROUP);
    coil_error *group = coil_ref(coil_error_current(COIL_EGROUP));
    coil__errors_forget_thread();
    EXPECT_INT(coil_reraise(group), COIL_EGROUP);
    coil_error *again = coil_error_current(COIL_EGROUP);
    EXPECT_INT(coil_error_count(again), 1);
    EXPECT_PTR(coil_error_at(again, 0), one);
    coil_unref(group);
    coil_unref(one);
}

/* ---- the way up ------------------------------------------------------------------------------ */

static int inner_line;
static int inner(void)
{
    inner_line = __LINE__ + 1;
    return coil_raise(COIL_EAPP, "no user %s", "bob");
}

static int middle_line;
static int middle(void)
{
    middle_line = __LINE__ + 1;
    COIL_TRY(inner());
    return 0;
}

static int outer_line;
static int outer(void)
{
    outer_line = __LINE__ + 1;
    COIL_TRY(middle());
    return 0;
}

TEST(traceback_shows_the_way_up)
{
    EXPECT_INT(outer(), COIL_EAPP);
    EXPECT_PRINTED(COIL_EAPP,
                   "Traceback (most recent call last):\n"
                   "  %s:%d in outer\n"
                   "  %s:%d in middle\n"
                   "  %s:%d in inner\n"
                   "COIL_EAPP: application error: no user bob\n",
                   __FILE__, outer_line, __FILE__, middle_line, __FILE__, inner_line);
}

TEST(place_is_where_it_was_raised_not_where_it_passed)
{
    int line = 0;
    (void)outer();
    EXPECT(coil_error_place(coil_error_current(COIL_EAPP), NULL, &line, NULL));
    EXPECT_INT(line, inner_line);
}

static int try_count(int rc, bool *passed)
{
    COIL_TRY(rc);
    *passed = true;
    return rc;
}

static int try_wide(long long rc)
{
    COIL_TRY(rc);
    return 1;
}

TEST(try_passes_counts_and_leaves_with_codes)
{
    bool passed = false;
    EXPECT_INT(try_count(0, &passed), 0);
    EXPECT(passed);
    EXPECT_INT(try_count(5, &passed), 5);
    passed = false;
    coil__errors_forget_thread();
    EXPECT_INT(try_count(-EPIPE, &passed), -EPIPE);
    EXPECT(!passed);
    /* The code had no record; where it passed is worth one. */
    const char *function = NULL;
    EXPECT(coil_error_current(-EPIPE) &&
           coil_error_place(coil_error_current(-EPIPE), NULL, NULL, &function));
    EXPECT_STR(function, "try_count");
    coil_error_clear(-EPIPE);
    EXPECT_PTR(coil_error_current(-EPIPE), NULL);
    /* A count of bytes beyond the range of int is no error. */
    EXPECT_INT(try_wide(0x80000000LL), 1);
}

static int climb(int levels)
{
    if (levels == 0)
        return raise_plain(COIL_EAPP, "deep");
    COIL_TRY(climb(levels - 1));
    return 0;
}

TEST(long_way_up_keeps_the_innermost_places_and_counts_the_rest)
{
    EXPECT_INT(climb(COIL__ERROR_FRAMES + 30), COIL_EAPP);
    char *text = printed(COIL_EAPP);
    EXPECT(strstr(text, "Traceback (most recent call last):\n  ... 30 more\n") == text);
    int places = 0;
    for (char *at = text; (at = strstr(at, " in climb\n")); at++)
        places++;
    EXPECT_INT(places, COIL__ERROR_FRAMES);
    free(text);
}

COIL_ASYNC(fails_in_a_task, (char *, name_out))
{
    snprintf(name_out, 32, "%s", coil_task_get_name(coil_current_task()));
    COIL_TRY(coil_sleep(0));
    COIL_TRY(inner());
    coil_return(0);
}

COIL_ASYNC0(fails_by_name)
{
    coil_task_set_name(coil_current_task(), "a name of its own");
    COIL_TRY(inner());
    return 0;
}

TEST(traceback_names_a_task_that_was_given_a_name)
{
    EXPECT_INT(coil_run(fails_by_name(), NULL), COIL_EAPP);
    char *text = printed(COIL_EAPP);
    EXPECT(strstr(text, " in fails_by_name (a name of its own)\n") != NULL);
    free(text);
}

TEST(traceback_names_the_task)
{
    char name[32] = "";
    EXPECT_INT(coil_run(fails_in_a_task(name), NULL), COIL_EAPP);
    char expected[64];
    snprintf(expected, sizeof expected, " in inner (%s)\n", name);
    char *text = printed(COIL_EAPP);
    EXPECT(strncmp(name, "Task-", 5) == 0);
    if (!EXPECT(strstr(text, expected) != NULL))
        fputs(text, stderr);
    EXPECT(strstr(text, " in fails_in_a_task (") != NULL);
    free(text);
}

/* ---- causes ---------------------------------------------------------------------------------- */

TEST(causes_are_printed_first)
{
    raise_plain(-ENOENT, "app.conf");
    coil_raise_at(NULL, 0, NULL, -EIO, coil_error_current(-ENOENT), "reading the configuration");
    coil_raise_at(NULL, 0, NULL, COIL_EAPP, coil_error_current(-EIO), "cannot start");
    EXPECT_PRINTED(COIL_EAPP, "ENOENT: No such file or directory: app.conf\n"
                              "which led to:\n"
                              "EIO: Input/output error: reading the configuration\n"
                              "which led to:\n"
                              "COIL_EAPP: application error: cannot start\n");
}

TEST(cause_lives_as_long_as_what_it_explains)
{
    raise_plain(-ENOENT, "the file");
    coil_raise_from(-ENOENT, COIL_EAPP, "the start");
    for (int i = 0; i < COIL__ERROR_CHAIN - 1; i++)
        coil_raise(-EPIPE - i, "noise");
    EXPECT_PTR(coil_error_current(-ENOENT), NULL);
    coil_error *cause = coil_error_cause(coil_error_current(COIL_EAPP));
    REQUIRE(cause);
    EXPECT_STR(coil_error_message(cause), "the file");
}

TEST(cause_may_have_the_code_of_what_it_led_to)
{
    raise_plain(COIL_EAPP, "inner");
    coil_raise_from(COIL_EAPP, COIL_EAPP, "outer");
    coil_error *error = coil_error_current(COIL_EAPP);
    EXPECT_STR(coil_error_message(error), "outer");
    EXPECT_STR(coil_error_message(coil_error_cause(error)), "inner");
    EXPECT_PTR(coil_error_cause(coil_error_cause(error)), NULL);
}

TEST(cause_without_a_record_is_no_cause)
{
    coil__errors_forget_thread();
    coil_raise_from(-EPIPE, COIL_EAPP, "alone");
    EXPECT_PTR(coil_error_cause(coil_error_current(COIL_EAPP)), NULL);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static coil_error *kept_error(int code, const char *message)
{
    return coil_ref(coil_error_current(raise_plain(code, message)));
}

TEST(group_lists_its_errors)
{
    coil_error *errors[] = { kept_error(COIL_EAPP, "a"), kept_error(-EIO, "b") };
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    EXPECT_INT(coil_raise_group(errors, 2, "two tasks failed"), COIL_EGROUP);
    EXPECT_INT(coil_error_last(), COIL_EGROUP);
    coil_error *group = coil_error_current(COIL_EGROUP);
    REQUIRE(group);
    EXPECT_INT(coil_error_count(group), 2);
    EXPECT_PTR(coil_error_at(group, 0), errors[0]);
    EXPECT_PTR(coil_error_at(group, 1), errors[1]);
    EXPECT_PTR(coil_error_at(group, 2), NULL);
    EXPECT_PRINTED(COIL_EGROUP, "COIL_EGROUP: errors of a group: two tasks failed\n"
                                "  1 of 2:\n"
                                "    COIL_EAPP: application error: a\n"
                                "  2 of 2:\n"
                                "    EIO: Input/output error: b\n");
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
    coil_unref(errors[0]);
    coil_unref(errors[1]);
}

TEST(group_in_a_group_is_indented)
{
    coil_error *leaf = kept_error(COIL_EAPP, "leaf");
    coil_raise_group(&leaf, 1, "inner");
    coil_error *inner_group = coil_ref(coil_error_current(COIL_EGROUP));
    coil_raise_group(&inner_group, 1, "outer");
    EXPECT_PRINTED(COIL_EGROUP, "COIL_EGROUP: errors of a group: outer\n"
                                "  1 of 1:\n"
                                "    COIL_EGROUP: errors of a group: inner\n"
                                "      1 of 1:\n"
                                "        COIL_EAPP: application error: leaf\n");
    coil_unref(inner_group);
    coil_unref(leaf);
}

TEST(group_of_many_members_keeps_all)
{
    enum {
        MANY = 1000
    };
    static coil_error *errors[MANY];
    for (int i = 0; i < MANY; i++)
        errors[i] = kept_error(COIL_EAPP - i, "one of many");
    EXPECT_INT(coil_raise_group(errors, MANY, ""), COIL_EGROUP);
    for (int i = 0; i < MANY; i++)
        coil_unref(errors[i]);
    coil_error *group = coil_error_current(COIL_EGROUP);
    EXPECT_INT(coil_error_count(group), MANY);
    for (int i = 0; i < MANY; i++)
        EXPECT_INT(coil_error_code(coil_error_at(group, (size_t)i)), COIL_EAPP - i);
}

TEST(group_without_memory_is_that)
{
    coil_error *error = kept_error(COIL_EAPP, "one");
    for (long nth = 1;; nth++) {
        coil__errors_forget_thread();
        size_t before = coil_testing_alloc_count();
        coil_testing_fail_alloc(nth);
        int rc = coil_raise_group(&error, 1, "message");
        coil_testing_fail_alloc(0);
        if (rc == COIL_EGROUP)
            break;
        EXPECT_INT(rc, COIL_ENOMEM);
        EXPECT_INT(coil_error_last(), COIL_ENOMEM);
        EXPECT_PTR(coil_error_current(COIL_EGROUP), NULL);
        EXPECT_INT(coil_testing_alloc_count(), before);
    }
    coil_unref(error);
}

/* ---- no memory ------------------------------------------------------------------------------- */

TEST(raise_without_memory_keeps_the_code)
{
    coil_raise(COIL_EAPP, "an older one");
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_raise(COIL_EAPP, "lost"), COIL_EAPP);
    EXPECT(coil_testing_alloc_failed());
    EXPECT_INT(coil_error_last(), COIL_EAPP);
    /* The older record must not explain this failure. */
    coil_error *error = coil_error_current(COIL_EAPP);
    EXPECT(!error || strcmp(coil_error_message(error), "an older one") != 0);
    char *text = printed(COIL_EAPP);
    EXPECT(strstr(text, "COIL_EAPP: application error") != NULL);
    free(text);
}

TEST(raise_without_memory_for_the_message_keeps_the_record)
{
    coil__errors_forget_thread();
    coil_testing_fail_alloc(2);
    EXPECT_INT(coil_raise(COIL_EAPP, "lost"), COIL_EAPP);
    EXPECT(coil_testing_alloc_failed());
    coil_error *error = coil_error_current(COIL_EAPP);
    REQUIRE(error);
    EXPECT(coil_error_place(error, NULL, NULL, NULL));
}

TEST(reraise_without_memory_keeps_the_code)
{
    raise_plain(-EIO, "the cause");
    coil_raise_from(-EIO, COIL_EAPP, "kept");
    coil_error *kept = coil_ref(coil_error_current(COIL_EAPP));
    for (long nth = 1;; nth++) {
        coil__errors_forget_thread();
        size_t before = coil_testing_alloc_count();
        coil_testing_fail_alloc(nth);
        EXPECT_INT(coil_reraise(kept), COIL_EAPP);
        EXPECT_INT(coil_error_last(), COIL_EAPP);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        if (!failed)
            break;
        EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
        EXPECT_INT(coil_testing_alloc_count(), before);
    }
    EXPECT_STR(message_of(COIL_EAPP), "kept");
    coil_unref(kept);
}

TEST(no_memory_is_always_explained)
{
    /* Its record is static: there must be something to print when nothing can be allocated. */
    coil__errors_forget_thread();
    coil_error *error = coil_error_current(COIL_ENOMEM);
    REQUIRE(error);
    EXPECT_INT(coil_error_code(error), COIL_ENOMEM);
    EXPECT(strlen(coil_error_message(error)) > 0);
    for (int i = 0; i < 10; i++)
        coil_unref(coil_ref(error));
    coil_unref(error);
    coil_error_set_detail(error, 5);
    EXPECT_INT(coil_error_detail(error), 0);
    EXPECT_PTR(coil_error_current(COIL_ENOMEM), error);
    EXPECT_INT(coil_reraise(error), COIL_ENOMEM);
    EXPECT_PTR(coil_ref(error), error);
}

/* ---- whose records --------------------------------------------------------------------------- */

COIL_ASYNC(fails_twice, (int, number), (int *, right_out))
{
    char message[32];
    snprintf(message, sizeof message, "from %d", number);
    for (int i = 0; i < 3; i++) {
        coil_raise(COIL_EAPP, "%s", message);
        coil_sleep(0);
        if (strcmp(message_of(COIL_EAPP), message) == 0)
            ++*right_out;
    }
    coil_return(0);
}

COIL_ASYNC(two_that_fail, (int *, right_out))
{
    coil_raise(-EPIPE, "the parent's");
    coil_task *a = coil_create_task(fails_twice(1, right_out));
    coil_task *b = coil_create_task(fails_twice(2, right_out));
    COIL_TRY(coil_await(a, NULL));
    COIL_TRY(coil_await(b, NULL));
    coil_unref(a);
    coil_unref(b);
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
    EXPECT_STR(message_of(-EPIPE), "the parent's");
    coil_return(0);
}

TEST(tasks_have_records_of_their_own)
{
    int right = 0;
    coil__errors_forget_thread();
    coil_raise(-EPIPE, "the thread's");
    EXPECT_INT(coil_run(two_that_fail(&right), NULL), 0);
    EXPECT_INT(right, 6);
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
    EXPECT_STR(message_of(-EPIPE), "the thread's");
}

struct side {
    pthread_barrier_t *barrier;
    int number;
    bool right;
};

static void *raise_in_a_thread(void *arg)
{
    struct side *side = arg;
    char message[32];
    snprintf(message, sizeof message, "thread %d", side->number);
    coil_raise(COIL_EAPP, "%s", message);
    pthread_barrier_wait(side->barrier);
    side->right = strcmp(message_of(COIL_EAPP), message) == 0 && coil_error_last() == COIL_EAPP;
    coil_raise(-EIO, "left behind: the thread's end gives it back");
    return NULL;
}

TEST(threads_have_records_of_their_own)
{
    enum {
        THREADS = 4
    };
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    pthread_barrier_t barrier;
    REQUIRE(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    pthread_t threads[THREADS];
    struct side sides[THREADS];
    for (int i = 0; i < THREADS; i++) {
        sides[i] = (struct side){ &barrier, i, false };
        REQUIRE(pthread_create(&threads[i], NULL, raise_in_a_thread, &sides[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT(sides[i].right);
    }
    pthread_barrier_destroy(&barrier);
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TEST(kept_record_prints_as_a_current_one)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    REQUIRE(file);
    coil_error *kept = kept_error(COIL_EAPP, "kept");
    coil__errors_forget_thread();
    coil_error_print_record(file, kept);
    fclose(file);
    EXPECT_STR(text, "COIL_EAPP: application error: kept\n");
    free(text);
    coil_unref(kept);
}

TEST(application_names_its_own_codes)
{
    /* A report that says "error -20001" makes everybody look up what that is. */
    static const coil_error_entry codes[] = { { COIL_EAPP - 1, "ENOUSER", "no such user" },
                                              { -29999, "ELAST", "the last one" } };
    static const coil_error_entry others[] = { { COIL_EAPP - 2, "EQUOTA", "quota exceeded" } };
    EXPECT_STR(coil_error_name(COIL_EAPP - 1), "application error");
    EXPECT_INT(coil_error_register(codes, 2), 0);
    EXPECT_INT(coil_error_register(others, 1), 0);
    EXPECT_INT(coil_error_register(codes, 2), 0);
    EXPECT_STR(coil_error_name(COIL_EAPP - 1), "ENOUSER");
    EXPECT_STR(coil_strerror(-29999), "the last one");
    EXPECT_PRINTED(COIL_EAPP - 2, "EQUOTA: quota exceeded\n");
    EXPECT_STR(coil_error_name(COIL_EAPP - 3), "application error");

    static const coil_error_entry wrong[][2] = {
        { { COIL_EAPP - 9, "A", "a" }, { COIL_EAPP, "B", "b" } },
        { { COIL_EAPP - 9, "A", "a" }, { -30000, "B", "b" } },
        { { COIL_EAPP - 9, "A", "a" }, { COIL_EAPP - 8, NULL, "b" } },
        { { COIL_EAPP - 9, "A", "a" }, { COIL_EAPP - 8, "B", NULL } },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT_INT(coil_error_register(wrong[i], 2), COIL_EINVAL);
    static const coil_error_entry twice[][2] = {
        { { COIL_EAPP - 9, "A", "a" }, { COIL_EAPP - 1, "B", "b" } },
        { { COIL_EAPP - 9, "A", "a" }, { COIL_EAPP - 9, "B", "b" } },
    };
    for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++)
        EXPECT_INT(coil_error_register(twice[i], 2), -EEXIST);
    EXPECT_STR(coil_error_name(COIL_EAPP - 9), "application error");

    static char names[16][8];
    static coil_error_entry many[16];
    for (int i = 0; i < 16; i++) {
        snprintf(names[i], sizeof names[i], "E%d", i);
        many[i] = (coil_error_entry){ COIL_EAPP - 100 - i, names[i], names[i] };
        EXPECT_INT(coil_error_register(&many[i], 1), i < 14 ? 0 : COIL_ENOMEM);
    }
    EXPECT_STR(coil_error_name(COIL_EAPP - 113), "E13");
    EXPECT_STR(coil_error_name(COIL_EAPP - 114), "application error");
}

TEST(group_of_one_is_its_error)
{
    /* The common case of a task group's error: one failure, to branch by. */
    coil_error *errors[2];
    (void)raise_plain(-ECONNREFUSED, "port 80");
    errors[0] = coil_ref(coil_error_current(-ECONNREFUSED));
    (void)raise_plain(COIL_EAPP, "other");
    errors[1] = coil_ref(coil_error_current(COIL_EAPP));
    int rc = coil_raise_group(errors, 1, "inner");
    coil_error *inner = coil_ref(coil_error_current(rc));
    EXPECT_INT(coil_error_unwrap(coil_raise_group(&inner, 1, "outer")), -ECONNREFUSED);
    EXPECT_STR(coil_error_message(coil_error_current(-ECONNREFUSED)), "port 80");
    EXPECT_INT(coil_error_unwrap(coil_raise_group(errors, 2, "both")), COIL_EGROUP);
    coil_error *two = coil_ref(coil_error_current(COIL_EGROUP));
    EXPECT_INT(coil_error_unwrap(coil_raise_group(&two, 1, "outer")), COIL_EGROUP);
    EXPECT_INT(coil_error_count(coil_error_current(COIL_EGROUP)), 2);
    coil_error_clear(COIL_EGROUP);
    EXPECT_INT(coil_error_unwrap(COIL_EGROUP), COIL_EGROUP);
    EXPECT_INT(coil_error_unwrap(-EPIPE), -EPIPE);
    EXPECT_INT(coil_error_unwrap(7), 7);
    coil_unref(errors[0]);
    coil_unref(errors[1]);
    coil_unref(inner);
    coil_unref(two);
}

TEST(record_for_another_thread_is_shared_with_nobody)
{
    /* Counts are not atomic: whatever two threads both refer to would be freed twice, or never. */
    size_t before = coil_testing_alloc_count();
    int rc = coil_raise(-EIO, "cable");
    coil_error *cause = coil_ref(coil_error_current(rc)); /* somebody keeps it */
    coil_raise_from(rc, -EPIPE, "broken");
    coil_error *member = coil__errors_take(&coil__thread.errors, -EPIPE);
    coil_raise_group(&member, 1, "all of them");
    coil_unref(member);
    coil_error *group = coil__errors_take(&coil__thread.errors, COIL_EGROUP);
    coil_error_set_detail(member, 7);

    coil_error *moved = coil__error_detach(group);
    EXPECT(moved != group);
    EXPECT_STR(coil_error_message(moved), "all of them");
    coil_error *moved_member = coil_error_at(moved, 0);
    EXPECT(moved_member != member);
    EXPECT_INT(coil_error_detail(moved_member), 7);
    EXPECT(coil_error_place(moved_member, NULL, NULL, NULL));
    EXPECT(coil_error_cause(moved_member) != cause);
    EXPECT_STR(coil_error_message(coil_error_cause(moved_member)), "cable");
    EXPECT_PTR(coil__error_detach(moved), moved); /* this one is nobody else's */
    for (long nth = 1; nth < 20; nth++) {
        coil_testing_fail_alloc(nth);
        coil_error *copy = coil__error_copy(moved);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(copy == NULL, failed);
        coil_unref(copy);
    }
    coil_unref(moved);
    coil_unref(cause);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), before);
}

TESTS_MAIN(
    RUN(codes_have_names_and_texts), RUN(application_names_its_own_codes),
    RUN(group_of_one_is_its_error), RUN(every_code_of_the_table_is_named_and_no_two_are_alike),
    RUN(codes_that_the_system_has_too_carry_its_number),
    RUN(unknown_codes_are_errors_with_a_number), RUN(raise_gives_the_code_back_and_leaves_a_record),
    RUN(raise_without_a_place_has_none), RUN(empty_message_is_an_empty_text),
    RUN(message_as_long_as_it_likes), RUN(message_may_quote_the_record_it_replaces),
    RUN(code_without_a_record_is_an_error_too), RUN(last_code_is_the_newest_failure),
    RUN(cleanup_that_fails_does_not_hide_the_first_error), RUN(newest_record_of_a_code_explains_it),
    RUN(only_the_last_few_records_are_kept),
    RUN(failure_without_an_explanation_is_not_explained_by_an_older_one),
    RUN(record_that_is_held_outlives_the_chain), RUN(detail_is_zero_until_it_is_set),
    RUN(exit_carries_its_status), RUN(reraise_brings_a_kept_record_back),
    RUN(reraise_of_a_group_keeps_its_list), RUN(traceback_shows_the_way_up),
    RUN(place_is_where_it_was_raised_not_where_it_passed),
    RUN(try_passes_counts_and_leaves_with_codes),
    RUN(long_way_up_keeps_the_innermost_places_and_counts_the_rest), RUN(traceback_names_the_task),
    RUN(traceback_names_a_task_that_was_given_a_name), RUN(causes_are_printed_first),
    RUN(cause_lives_as_long_as_what_it_explains), RUN(cause_may_have_the_code_of_what_it_led_to),
    RUN(cause_without_a_record_is_no_cause), RUN(group_lists_its_errors),
    RUN(group_in_a_group_is_indented), RUN(group_of_many_members_keeps_all),
    RUN(group_without_memory_is_that), RUN(raise_without_memory_keeps_the_code),
    RUN(raise_without_memory_for_the_message_keeps_the_record),
    RUN(reraise_without_memory_keeps_the_code), RUN(no_memory_is_always_explained),
    RUN(tasks_have_records_of_their_own), RUN(threads_have_records_of_their_own),
    RUN(kept_record_prints_as_a_current_one), RUN(record_for_another_thread_is_shared_with_nobody))
