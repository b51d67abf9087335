/* What goes wrong in the background: who is told, what, and what becomes of a teller that fails. */
#include "test.h"

#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

struct seen {
    int count;
    coil_loop *loop;
    int event, code, level;
    char message[128], explanation[128];
    coil_handle *handle;
    const void *future;
    int answer; /* what the handler returns */
};

static struct seen handled, logged;

static void keep(struct seen *seen, coil_loop *loop, const coil_report *report)
{
    seen->count++;
    seen->loop = loop;
    seen->event = (int)report->event;
    seen->code = report->code;
    seen->handle = report->handle;
    seen->future = report->future;
    EXPECT_INT(report->size, sizeof *report);
    snprintf(seen->message, sizeof seen->message, "%s", report->message);
    snprintf(seen->explanation, sizeof seen->explanation, "%s",
             report->error ? coil_error_message(report->error) : "");
}

static int handle(coil_loop *loop, const coil_report *report, void *arg)
{
    struct seen *seen = arg;
    keep(seen, loop, report);
    return seen->answer < 0 ? coil_raise(seen->answer, "the handler's own") : 0;
}

static void log_it(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    struct seen *seen = arg;
    keep(seen, loop, report);
    seen->level = (int)level;
}

static coil_loop *begin(void)
{
    coil__errors_forget_thread();
    memset(&handled, 0, sizeof handled);
    memset(&logged, 0, sizeof logged);
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_set_logger(loop, log_it, &logged);
    return loop;
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    coil__errors_forget_thread();
}

static void run_dry(coil_loop *loop)
{
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
}

static int fail_loudly(void *arg)
{
    (void)arg;
    return coil_raise(COIL_EAPP, "no more paper");
}

static int fail_plainly(void *arg)
{
    (void)arg;
    return -EPIPE;
}

static int count(void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* ---- the handler ----------------------------------------------------------------------------- */

TEST(callback_that_fails_goes_to_the_handler_and_the_loop_goes_on)
{
    coil_loop *loop = begin();
    int after = 0;
    coil_handle *failed;
    coil_set_exception_handler(loop, handle, &handled);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, &failed), 0);
    EXPECT_INT(coil_call_soon(loop, count, &after, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 1, count, &after, NULL), 0);
    run_dry(loop);
    EXPECT_INT(after, 2);
    EXPECT_INT(handled.count, 1);
    EXPECT_PTR(handled.loop, loop);
    EXPECT_INT(handled.event, COIL_EVENT_CALLBACK_FAILED);
    EXPECT_INT(handled.code, COIL_EAPP);
    EXPECT_STR(handled.explanation, "no more paper");
    EXPECT(strlen(handled.message) > 0);
    EXPECT_PTR(handled.handle, failed);
    EXPECT_INT(logged.count, 0);
    coil_unref(failed);
    end(loop);
}

TEST(plain_code_is_reported_without_an_explanation)
{
    /* Nor with that of another callback, which failed with the same code before. */
    coil_loop *loop = begin();
    coil_set_exception_handler(loop, handle, &handled);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, fail_plainly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(handled.count, 2);
    EXPECT_INT(handled.code, -EPIPE);
    EXPECT_STR(handled.explanation, "");
    end(loop);
}

TEST(without_a_handler_it_is_logged_as_an_error)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(logged.count, 1);
    EXPECT_INT(logged.level, COIL_LOG_ERROR);
    EXPECT_INT(logged.event, COIL_EVENT_CALLBACK_FAILED);
    EXPECT_STR(logged.explanation, "no more paper");
    end(loop);
}

TEST(handler_that_fails_is_logged)
{
    coil_loop *loop = begin();
    handled.answer = COIL_EAPP - 1;
    int after = 0;
    coil_set_exception_handler(loop, handle, &handled);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, count, &after, NULL), 0);
    run_dry(loop);
    EXPECT_INT(handled.count, 1);
    EXPECT_INT(logged.count, 1);
    EXPECT_INT(logged.level, COIL_LOG_ERROR);
    EXPECT_INT(logged.event, COIL_EVENT_HANDLER_FAILED);
    EXPECT_INT(logged.code, COIL_EAPP - 1);
    EXPECT_STR(logged.explanation, "the handler's own");
    EXPECT_INT(after, 1);
    end(loop);
}

static int fail_with_the_same_code(coil_loop *loop, const coil_report *report, void *arg)
{
    /* The record is lent for the call: the handler's own failures must not take it away. */
    for (int i = 0; i < 2 * COIL__ERROR_CHAIN; i++)
        coil_raise(report->code - i, "noise");
    keep(arg, loop, report);
    return 0;
}

TEST(report_survives_what_the_handler_raises)
{
    coil_loop *loop = begin();
    coil_set_exception_handler(loop, fail_with_the_same_code, &handled);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_STR(handled.explanation, "no more paper");
    EXPECT_INT(logged.count, 0);
    end(loop);
}

TEST(handler_can_be_asked_for_and_taken_back)
{
    coil_loop *loop = begin();
    void *arg = &arg;
    EXPECT(coil_get_exception_handler(loop, &arg) == NULL);
    coil_set_exception_handler(loop, handle, &handled);
    EXPECT(coil_get_exception_handler(loop, &arg) == handle);
    EXPECT_PTR(arg, &handled);
    EXPECT(coil_get_exception_handler(loop, NULL) == handle);
    coil_set_exception_handler(loop, NULL, NULL);
    EXPECT(coil_get_exception_handler(loop, &arg) == NULL);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(handled.count, 0);
    EXPECT_INT(logged.count, 1);
    end(loop);
}

static int replace_handler(coil_loop *loop, const coil_report *report, void *arg)
{
    (void)report;
    ++*(int *)arg;
    coil_set_exception_handler(loop, handle, &handled);
    return 0;
}

TEST(handler_may_replace_itself)
{
    coil_loop *loop = begin();
    int first = 0;
    coil_set_exception_handler(loop, replace_handler, &first);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_INT(first, 1);
    EXPECT_INT(handled.count, 1);
    end(loop);
}

static int set_handler_inside(void *arg)
{
    coil_set_exception_handler(NULL, handle, arg);
    EXPECT(coil_get_exception_handler(NULL, NULL) == handle);
    return COIL_EAPP;
}

TEST(null_is_the_running_loop)
{
    coil_loop *loop = begin();
    EXPECT_INT(coil_call_soon(loop, set_handler_inside, &handled, NULL), 0);
    run_dry(loop);
    EXPECT_INT(handled.count, 1);
    end(loop);
}

TEST(callback_records_do_not_pile_up_in_the_loop)
{
    coil_loop *loop = begin();
    coil_set_exception_handler(loop, handle, &handled);
    EXPECT_INT(coil_call_soon(loop, fail_loudly, NULL, NULL), 0);
    run_dry(loop);
    EXPECT_PTR(coil_error_current(COIL_EAPP), NULL);
    end(loop);
}

/* ---- reports of one's own -------------------------------------------------------------------- */

TEST(own_report_goes_the_same_way)
{
    coil_loop *loop = begin();
    coil_report report = { .size = sizeof report,
                           .event = COIL_EVENT_CALLBACK_FAILED,
                           .message = "by hand",
                           .code = -EIO };
    coil_call_exception_handler(loop, &report);
    EXPECT_INT(logged.count, 1);
    EXPECT_STR(logged.message, "by hand");
    coil_set_exception_handler(loop, handle, &handled);
    coil_call_exception_handler(loop, &report);
    EXPECT_INT(handled.count, 1);
    EXPECT_INT(handled.code, -EIO);
    EXPECT_INT(logged.count, 1);
    end(loop);
}

TEST(warnings_are_told_from_errors)
{
    coil_loop *loop = begin();
    static const int warnings[] = { COIL_EVENT_NEVER_AWAITED, COIL_EVENT_SLOW_CALLBACK,
                                    COIL_EVENT_UNCLOSED_LOOP, COIL_EVENT_UNGUARDED_STACK };
    static const int errors[] = { COIL_EVENT_CALLBACK_FAILED, COIL_EVENT_TASK_ERROR_UNREAD,
                                  COIL_EVENT_FUTURE_ERROR_UNREAD, COIL_EVENT_TASK_LOST };
    coil_report report = { .size = sizeof report, .message = "text" };
    for (int i = 0; i < 4; i++) {
        memcpy(&report.event, &warnings[i], sizeof report.event);
        coil_call_exception_handler(loop, &report);
        EXPECT_INT(logged.level, COIL_LOG_WARNING);
        memcpy(&report.event, &errors[i], sizeof report.event);
        coil_call_exception_handler(loop, &report);
        EXPECT_INT(logged.level, COIL_LOG_ERROR);
    }
    end(loop);
}

/* ---- the default log ------------------------------------------------------------------------- */

/* What fn writes to standard error. */
static void stderr_of(void (*fn)(void), char *text, size_t bytes)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    text[0] = '\0';
    if (!EXPECT(file && saved >= 0))
        return;
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    fn();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

static void run_a_failing_callback(void)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    (void)coil_call_soon(loop, fail_loudly, NULL, NULL);
    (void)coil_call_soon(loop, fail_plainly, NULL, NULL);
    (void)coil_run_forever(loop);
    (void)coil_loop_close(loop);
    coil_unref(loop);
}

static void expect_in(const char *text, const char *part)
{
    if (!EXPECT(strstr(text, part) != NULL))
        fprintf(stderr, "\"%s\" is not in:\n%s", part, text);
}

TEST(default_log_is_lines_on_standard_error)
{
    char text[2048];
    stderr_of(run_a_failing_callback, text, sizeof text);
    expect_in(text, "coil: error: callback failed\n");
    expect_in(text, " in fail_loudly\n");
    expect_in(text, "COIL_EAPP: application error: no more paper\n");
    expect_in(text, "EPIPE: Broken pipe\n");
}

static void report_without_a_loop(void)
{
    coil_report report = { .size = sizeof report,
                           .event = COIL_EVENT_NEVER_AWAITED,
                           .message = "a text without a loop",
                           .name = "fetch",
                           .place = "main.c:12",
                           .seconds = 0.25 };
    coil_call_exception_handler(NULL, &report);
}

TEST(report_without_a_loop_is_logged)
{
    char text[2048];
    stderr_of(report_without_a_loop, text, sizeof text);
    expect_in(text, "coil: warning: a text without a loop");
    expect_in(text, "fetch");
    expect_in(text, "main.c:12");
    expect_in(text, "0.250");
}

static void release_an_open_loop(void)
{
    coil_unref(coil_new_event_loop());
}

TEST(forgotten_loop_is_named_on_standard_error)
{
    char text[2048];
    stderr_of(release_an_open_loop, text, sizeof text);
    expect_in(text, "coil: warning: ");
    expect_in(text, "without being closed");
}

TESTS_MAIN(RUN(callback_that_fails_goes_to_the_handler_and_the_loop_goes_on),
           RUN(plain_code_is_reported_without_an_explanation),
           RUN(without_a_handler_it_is_logged_as_an_error), RUN(handler_that_fails_is_logged),
           RUN(report_survives_what_the_handler_raises),
           RUN(handler_can_be_asked_for_and_taken_back), RUN(handler_may_replace_itself),
           RUN(null_is_the_running_loop), RUN(callback_records_do_not_pile_up_in_the_loop),
           RUN(own_report_goes_the_same_way), RUN(warnings_are_told_from_errors),
           RUN(default_log_is_lines_on_standard_error), RUN(report_without_a_loop_is_logged),
           RUN(forgotten_loop_is_named_on_standard_error))
