#include "test.h"

#include <errno.h>
#include <locale.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coil/coil.h>
#include <coil/testing.h>

#include "base/error.h"
#include "trace/utf8.h"

/* strspn. That one, like strstr below, reads a string to its end on every call when ASan checks strings
 * strictly: on a megabyte of text it takes minutes. */
static size_t span(const char *text, const char *set)
{
    size_t length = 0;
    while (text[length] && strchr(set, text[length]))
        length++;
    return length;
}

/* ---- is it JSON? ----------------------------------------------------------------------------- */

static bool json_value(const char **at, int depth);

static void json_space(const char **at)
{
    *at += span(*at, " \t\r\n");
}

static bool json_token(const char **at, const char *token)
{
    json_space(at);
    size_t length = strlen(token);
    if (strncmp(*at, token, length) != 0)
        return false;
    *at += length;
    return true;
}

static bool json_string(const char **at)
{
    if (!json_token(at, "\""))
        return false;
    while (**at != '"') {
        if ((unsigned char)**at < 0x20)
            return false;
        if (**at == '\\') {
            (*at)++;
            if (**at == 'u') {
                if (span(*at + 1, "0123456789abcdefABCDEF") < 4)
                    return false;
                *at += 5;
            } else {
                if (!**at || !strchr("\"\\/bfnrt", **at))
                    return false;
                (*at)++;
            }
            continue;
        }
        const char *before = *at;
        if (coil__utf8_next(at) == COIL__UTF8_REPLACEMENT && *at == before + 1)
            return false; /* a byte that is no UTF-8; the character itself has three */
    }
    (*at)++;
    return true;
}

static bool json_number(const char **at)
{
    const char *digits = "0123456789";
    json_space(at);
    *at += **at == '-';
    size_t whole = span(*at, digits);
    if (whole == 0 || (whole > 1 && **at == '0'))
        return false;
    *at += whole;
    if (**at == '.') {
        size_t fraction = span(++*at, digits);
        *at += fraction;
        return fraction > 0;
    }
    return true;
}

static bool json_members(const char **at, const char *end, bool keys, int depth)
{
    if (json_token(at, end))
        return true;
    do {
        if (keys && !(json_string(at) && json_token(at, ":")))
            return false;
        if (!json_value(at, depth + 1))
            return false;
    } while (json_token(at, ","));
    return json_token(at, end);
}

static bool json_value(const char **at, int depth)
{
    if (depth > 8)
        return false;
    json_space(at);
    if (json_token(at, "{"))
        return json_members(at, "}", true, depth);
    if (json_token(at, "["))
        return json_members(at, "]", false, depth);
    if (**at == '"')
        return json_string(at);
    return json_token(at, "true") || json_token(at, "false") || json_token(at, "null") ||
           json_number(at);
}

static bool is_json(const char *text)
{
    const char *at = text;
    bool good = json_value(&at, 0);
    json_space(&at);
    return good && *at == '\0';
}

/* ---- is it XML? ------------------------------------------------------------------------------ */

static bool xml_characters(const char *text)
{
    while (*text) {
        const char *before = text;
        uint32_t character = coil__utf8_next(&text);
        bool stray = character == COIL__UTF8_REPLACEMENT && text == before + 1;
        if (stray || (character < 0x20 && character != '\n') || (character & 0xfffe) == 0xfffe)
            return false;
    }
    return true;
}

/* Text up to `end`: no bare < or &. */
static bool xml_text(const char **at, char end)
{
    for (; **at && **at != end; (*at)++) {
        if (**at == '<')
            return false;
        if (**at == '&' && strncmp(*at, "&amp;", 5) != 0 && strncmp(*at, "&lt;", 4) != 0 &&
            strncmp(*at, "&gt;", 4) != 0)
            return false;
    }
    return true;
}

static size_t xml_name(const char *at)
{
    return span(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
}

/* A tag, from its name on. Moves behind it; closed says whether it ended with />. */
static bool xml_attributes(const char **at, bool *closed)
{
    for (;;) {
        *at += span(*at, " \n");
        *closed = **at == '/';
        *at += *closed;
        if (**at == '>') {
            (*at)++;
            return true;
        }
        size_t name = xml_name(*at);
        *at += name;
        if (name == 0 || strncmp(*at, "=\"", 2) != 0)
            return false;
        *at += 2;
        if (!xml_text(at, '"') || **at != '"')
            return false;
        (*at)++;
    }
}

static bool is_xml(const char *text)
{
    struct {
        const char *name;
        size_t length;
    } open[16];
    size_t depth = 0, roots = 0;
    const char *at = text;
    if (!xml_characters(text) || strncmp(at, "<?xml ", 6) != 0 || !(at = strstr(at, "?>\n")))
        return false;
    for (at += 3; *at;) {
        if (*at != '<') {
            if (depth == 0 && *at != '\n')
                return false;
            if (!xml_text(&at, '<'))
                return false;
            continue;
        }
        at++;
        bool closed = *at == '/';
        at += closed;
        size_t length = xml_name(at);
        const char *name = at;
        at += length;
        if (closed) {
            if (depth == 0 || open[depth - 1].length != length ||
                memcmp(open[depth - 1].name, name, length) != 0 || *at++ != '>')
                return false;
            depth--;
            continue;
        }
        roots += depth == 0;
        if (length == 0 || !xml_attributes(&at, &closed))
            return false;
        if (!closed) {
            if (depth == sizeof open / sizeof open[0])
                return false;
            open[depth].name = name;
            open[depth++].length = length;
        }
    }
    return depth == 0 && roots == 1;
}

static size_t count(const char *text, const char *what)
{
    size_t found = 0, length = strlen(what);
    while (*text) {
        bool here = *text == *what && strncmp(text, what, length) == 0;
        found += here;
        text += here ? length : 1;
    }
    return found;
}

TEST(the_checkers_find_mistakes)
{
    /* Checkers that accept everything would make all tests below worthless. */
    EXPECT(is_json("{\"a\":[1,-2.5,\"\\u00e9\\n\xc3\xa9\",true,null,{}],\"b\":[]}\n"));
    EXPECT(!is_json("{\"a\":1,}"));
    EXPECT(!is_json("[1 2]"));
    EXPECT(!is_json("[\"a]"));
    EXPECT(!is_json("[\"\x80\"]"));
    EXPECT(!is_json("[\"\n\"]"));
    EXPECT(!is_json("[\"\\x\"]"));
    EXPECT(!is_json("[1,5.]"));
    EXPECT(!is_json("[1] 2"));
    EXPECT(is_xml("<?xml version=\"1.0\"?>\n<a b=\"c\"><d/>x &amp; y</a>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a><b></a></b>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a>x & y</a>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a b=\"<\"/>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a>\x01</a>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a>\xff</a>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a>\n"));
    EXPECT(!is_xml("<?xml version=\"1.0\"?>\n<a/><b/>\n"));
}

/* ---- recording ------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    if (!file || getdelim(&text, &room, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    if (file)
        fclose(file);
    return text;
}

/* Writes with one of the two functions and gives the file's text, which the caller frees. */
static char *written(int (*write_it)(coil_tracer *, const char *), coil_tracer *tracer,
                     int expected)
{
    char path[] = "/tmp/coil-timeline-XXXXXX";
    int fd = mkstemp(path);
    EXPECT(fd >= 0);
    close(fd);
    EXPECT_INT(write_it(tracer, path), expected);
    char *text = read_file(path);
    unlink(path);
    return text;
}

/* In sweeps over failing allocations, where tasks are left behind as a matter of course. */
static bool quiet;

static void drop_report(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    (void)loop, (void)level, (void)report, (void)arg;
}

/* Runs a coroutine on a virtual clock; gives the tracer, or NULL when there was no memory. */
static coil_tracer *record(coil_coro *coro, int *rc_out)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_tracer *tracer = loop ? coil_trace_timeline(loop) : NULL;
    if (loop && quiet)
        coil_set_logger(loop, drop_report, NULL);
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = "main";
    coil_task *task = tracer ? coil_create_task_with(loop, coro, &options) : NULL;
    if (task)
        *rc_out = coil_run_until_complete(loop, task, NULL);
    else if (!tracer)
        (void)coil_coro_close(coro);
    coil_unref(task);
    if (loop)
        (void)coil_loop_close(loop);
    coil_unref(loop);
    return tracer;
}

struct pictures {
    char *svg, *json;
};

static struct pictures draw(coil_coro *coro)
{
    int rc = -1;
    coil_tracer *tracer = record(coro, &rc);
    EXPECT_INT(rc, 0);
    struct pictures pictures = { written(coil_timeline_write_svg, tracer, 0),
                                 written(coil_timeline_write_json, tracer, 0) };
    coil_unref(tracer);
    EXPECT(is_xml(pictures.svg));
    EXPECT(is_json(pictures.json));
    return pictures;
}

static void discard(struct pictures *pictures)
{
    free(pictures->svg);
    free(pictures->json);
}

static coil_task *named(coil_coro *coro, const char *name)
{
    coil_task_options options = COIL_TASK_OPTIONS_INIT;
    options.name = name;
    return coil_create_task_with(NULL, coro, &options);
}

COIL_ASYNC(sleeps, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return 0;
}

COIL_ASYNC(fails, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return COIL_EAPP;
}

COIL_ASYNC(receives, (int, fd))
{
    char byte;
    COIL_TRY(coil_sock_recv(fd, &byte, 1));
    return 0;
}

COIL_ASYNC(awaits, (coil_future *, future))
{
    return coil_await(future, NULL);
}

/* Nothing that a task uses may go before it has ended. */
static void end_and_unref(coil_task *task)
{
    if (!task)
        return;
    (void)coil_task_cancel(task, NULL);
    while (!coil_future_done(task) && coil_sleep(0) == 0)
        ;
    (void)coil_future_exception(task, &(int){ 0 }, NULL); /* so that it is not reported */
    coil_unref(task);
}

/* One wait of each kind, and one end of each kind. */
COIL_ASYNC0(a_bit_of_everything)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    coil_future *future = coil_create_future(NULL);
    coil_task *sleeper = named(sleeps(9), "sleeper");
    coil_task *receiver = named(receives(pair[0]), "receiver");
    coil_task *waiter = named(awaits(future), "waiter");
    coil_task *joiner = waiter ? named(awaits(waiter), "joiner") : NULL;
    coil_task *failure = named(fails(0.25), "failure");
    int rc = future && sleeper && receiver && waiter && joiner && failure ? coil_sleep(0)
                                                                          : COIL_ENOMEM;
    if (rc == 0)
        rc = coil_sleep(0.5);
    if (sleeper)
        coil_task_cancel(sleeper, NULL);
    if (rc == 0)
        rc = coil_future_set_result(future, coil_nil());
    if (rc == 0)
        rc = coil_sock_sendall(pair[1], "x", 1);
    if (rc == 0)
        rc = coil_await(joiner, NULL);
    if (rc == 0)
        rc = coil_await(receiver, NULL);
    end_and_unref(sleeper);
    end_and_unref(receiver);
    end_and_unref(joiner);
    end_and_unref(waiter);
    end_and_unref(failure);
    coil_unref(future);
    coil_sock_close(pair[0]);
    coil_sock_close(pair[1]);
    return rc;
}

TEST(shows_waits_and_ends_of_every_kind)
{
    struct pictures pictures = draw(a_bit_of_everything());
    const char *json = pictures.json, *svg = pictures.svg;

    EXPECT_INT(count(json, "\"thread_name\""), 6);
    EXPECT_INT(count(json, "\"cat\":\"task\""), 6);
    EXPECT_INT(count(json, "\"kind\":\"sleep\""), 3);
    EXPECT_INT(count(json, "\"kind\":\"io\""), 1);
    EXPECT_INT(count(json, "\"kind\":\"future\""), 1);
    EXPECT(count(json, "\"kind\":\"task\"") >= 2);
    EXPECT_INT(count(json, "\"task\":\"waiter\""), 1);
    EXPECT_INT(count(json, "\"ended\":\"failed\""), 1);
    EXPECT_INT(count(json, "\"ended\":\"cancelled\""), 1);
    EXPECT_INT(count(json, "\"ended\":\"done\""), 4);
    EXPECT(strstr(json, "\"cat\":\"wait\",\"pid\":1,\"tid\":6,\"ts\":0.000,\"dur\":250000.000"));
    EXPECT(strstr(json, "\"complete\":true"));

    /* One bar of each in the legend, which has two rectangles without a class, too. */
    EXPECT_INT(count(svg, "<rect class=\"sleep\""), 1 + 3);
    EXPECT_INT(count(svg, "<rect class=\"io\""), 1 + 1);
    EXPECT_INT(count(svg, "<rect class=\"future\""), 1 + 2);
    EXPECT(strstr(svg, "waits: await waiter, for 500.0 ms"));
    EXPECT(strstr(svg, "6 tasks, "));
    discard(&pictures);
}

TEST(shows_who_woke_whom)
{
    struct pictures pictures = draw(a_bit_of_everything());
    /* The waiter is woken by the main task, the joiner by the waiter, main by both: flows that lead
     * from one thread to another, each with a beginning and an end. */
    size_t begins = count(pictures.json, "\"ph\":\"s\"");
    EXPECT(begins >= 4);
    EXPECT_INT(count(pictures.json, "\"ph\":\"f\",\"bp\":\"e\""), begins);
    EXPECT(count(pictures.svg, "class=\"wake\"") > 1);
    EXPECT_INT(count(pictures.svg, "class=\"make\""), 1 + 5);
    discard(&pictures);
}

TEST(a_single_task_without_any_time_is_a_picture)
{
    struct pictures pictures = draw(sleeps(0));
    EXPECT(strstr(pictures.svg, "1 task, 2 steps, 0 ns"));
    EXPECT(strstr(pictures.svg, "steps 1 to 2"));
    discard(&pictures);
}

COIL_ASYNC(crowd, (int, tasks))
{
    coil_task **all = calloc((size_t)tasks, sizeof *all);
    char name[16];
    for (int i = 0; i < tasks; i++) {
        snprintf(name, sizeof name, "t%d", i);
        all[i] = named(sleeps(0.001 * i), name);
    }
    int rc = coil_gather_array(NULL, all, (size_t)tasks, 0);
    for (int i = 0; i < tasks; i++)
        coil_unref(all[i]);
    free(all);
    return rc;
}

TEST(three_hundred_tasks_fit)
{
    struct pictures pictures = draw(crowd(300));
    EXPECT_INT(count(pictures.svg, "<g class=\"lane\">"), 301);
    EXPECT_INT(count(pictures.json, "\"thread_name\""), 301);
    int width = 0, height = 0;
    const char *size = strstr(pictures.svg, "width=\"");
    int read = size ? sscanf(size, "width=\"%d\" height=\"%d\"", &width, &height) : 0;
    EXPECT_INT(read, 2);
    EXPECT(width > 600 && width < 1600);
    EXPECT(height > 600 && height < 3000);
    /* Not every name has room. */
    EXPECT(count(pictures.svg, ">t2<") == 0 || count(pictures.svg, ">t3<") == 0);
    discard(&pictures);
}

TEST(more_tasks_than_anybody_can_see_are_left_out)
{
    struct pictures pictures = draw(crowd(1200));
    EXPECT_INT(count(pictures.svg, "<g class=\"lane\">"), 1000);
    EXPECT(strstr(pictures.svg, "; the first 1000 tasks are shown"));
    EXPECT_INT(count(pictures.json, "\"thread_name\""), 1201);
    discard(&pictures);
}

COIL_ASYNC(gives_way, (int, times))
{
    for (int i = 0; i < times; i++)
        COIL_TRY(coil_sleep(0));
    return 0;
}

TEST(many_steps_become_few_bars)
{
    struct pictures pictures = draw(gives_way(10000));
    EXPECT(strlen(pictures.svg) < 20000);
    EXPECT(strstr(pictures.svg, "steps 1 to 10001"));
    EXPECT_INT(count(pictures.json, "\"cat\":\"step\""), 10001);
    discard(&pictures);
}

COIL_ASYNC0(renames_itself)
{
    coil_task *a = named(sleeps(0), "<script>&\"'\\ \x01\x7f\n\t");
    coil_task *b = named(sleeps(0), "bytes \xff\xc3 caf\xc3\xa9 \xed\xa0\x80 \xef\xbf\xbe");
    coil_task *c = named(sleeps(0), "");
    coil_task *d = named(sleeps(0),
                         "a name which is so long that no picture could have a column for it");
    COIL_TRY(coil_gather(NULL, a, b, c, d));
    COIL_TRY(coil_task_set_name(coil_current_task(), "new name"));
    coil_unref(a);
    coil_unref(b);
    coil_unref(c);
    coil_unref(d);
    return 0;
}

TEST(odd_names_are_escaped)
{
    struct pictures pictures = draw(renames_itself());
    EXPECT(strstr(pictures.svg, ">&lt;script&gt;&amp;\"'\\ "));
    EXPECT(strstr(pictures.json, "\"<script>&\\\"'\\\\ \\u0001\\u007f\\u000a\\u0009\""));
    EXPECT(strstr(pictures.json, "\"bytes \xef\xbf\xbd\xef\xbf\xbd caf\xc3\xa9 "));
    EXPECT(strstr(pictures.svg, "caf\xc3\xa9"));
    EXPECT(strstr(pictures.svg, ">a name which is so long that no \xe2\x80\xa6<") ||
           strstr(pictures.svg, ">a name which is so long that no\xe2\x80\xa6<"));
    EXPECT(strstr(pictures.json, "no picture could have a column for it"));
    EXPECT(strstr(pictures.json, "\"new name\""));
    EXPECT(!strstr(pictures.json, "\"main\""));
    discard(&pictures);
}

static char *inside;

COIL_ASYNC0(draws_itself)
{
    coil_task *other = named(sleeps(5), "other");
    COIL_TRY(coil_sleep(1));
    coil_tracer *tracer = coil_trace_timeline(NULL);
    COIL_TRY(coil_sleep(1));
    coil_task *last = named(sleeps(5), "last");
    inside = written(coil_timeline_write_json, tracer, 0);
    char *svg = written(coil_timeline_write_svg, tracer, 0);
    EXPECT(is_xml(svg));
    free(svg);
    coil_trace_detach(tracer);
    coil_unref(tracer);
    coil_task_cancel(other, NULL);
    coil_task_cancel(last, NULL);
    coil_unref(other);
    coil_unref(last);
    return 0;
}

TEST(can_be_written_while_it_records)
{
    /* By a task that is in the recording itself, at a time when all is still going on. A task
     * that has not done anything since the tracer was attached is not in it. */
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    EXPECT_INT(coil_run_until_complete(loop, draws_itself(), NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT(is_json(inside));
    EXPECT_INT(count(inside, "\"thread_name\""), 2);
    EXPECT_INT(count(inside, "\"ended\":\"not yet\""), 2);
    EXPECT_INT(count(inside, "\"ends\":\"not yet\""), 1);
    EXPECT(strstr(inside, "\"ts\":0.000,\"dur\":1000000.000,\"name\":\"wait: "));
    free(inside);
}

TEST(failing_to_write_is_an_error)
{
    int rc = -1;
    coil_tracer *tracer = record(sleeps(1), &rc);
    EXPECT_INT(coil_timeline_write_svg(tracer, "/nowhere/at/all.svg"), -ENOENT);
    EXPECT_INT(coil_timeline_write_json(tracer, "/nowhere/at/all.json"), -ENOENT);
    EXPECT_INT(coil_timeline_write_svg(tracer, "/tmp"), -EISDIR);
    if (access("/dev/full", W_OK) == 0) {
        EXPECT_INT(coil_timeline_write_svg(tracer, "/dev/full"), -ENOSPC);
        EXPECT_INT(coil_timeline_write_json(tracer, "/dev/full"), -ENOSPC);
    }
    EXPECT(strstr(coil_error_message(coil_error_current(-ENOENT)), "/nowhere/at/all.json"));
    coil_unref(tracer);
}

TEST(other_tracers_have_no_timeline)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_tracer *text = coil_trace_text(loop, stdout, NULL, 0);
    EXPECT_INT(coil_timeline_write_svg(text, "/tmp/never-written"), COIL_ETYPE);
    EXPECT_INT(coil_timeline_write_json(text, "/tmp/never-written"), COIL_ETYPE);
    EXPECT(access("/tmp/never-written", F_OK) < 0);
    coil_unref(text);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    EXPECT_PTR(coil_trace_timeline(NULL), NULL);
}

TEST(numbers_have_a_point_in_every_locale)
{
    static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8" };
    struct pictures plain = draw(crowd(5));
    for (size_t i = 0; i < sizeof commas / sizeof commas[0]; i++) {
        if (!setlocale(LC_ALL, commas[i]))
            continue;
        struct pictures pictures = draw(crowd(5));
        EXPECT_STR(pictures.svg, plain.svg);
        EXPECT_STR(pictures.json, plain.json);
        discard(&pictures);
        setlocale(LC_ALL, "C");
    }
    discard(&plain);
}

/* Returns whether the recording is incomplete. */
static bool draws_what_there_is(coil_tracer *tracer)
{
    char path[] = "/tmp/coil-timeline-XXXXXX";
    close(mkstemp(path));
    int rc = coil_timeline_write_json(tracer, path);
    char *json = read_file(path);
    EXPECT(rc == 0 || rc == COIL_ENOMEM);
    EXPECT(is_json(json));
    EXPECT(strstr(json, rc == 0 ? "\"complete\":true" : "\"complete\":false"));
    EXPECT_INT(coil_timeline_write_svg(tracer, path), rc);
    char *svg = read_file(path);
    EXPECT(is_xml(svg));
    EXPECT((strstr(svg, "; incomplete: ") != NULL) == (rc < 0));
    free(json);
    free(svg);
    unlink(path);
    return rc < 0;
}

TEST(survives_every_failed_allocation)
{
    /* The recording ends where memory ran out, what there is of it is drawn, and the result says
     * so. */
    coil__errors_forget_thread();
    size_t before = coil_testing_alloc_count();
    int incomplete = 0;
    quiet = true;
    for (long nth = 1;; nth++) {
        int rc = 0;
        coil_testing_fail_alloc(nth);
        coil_tracer *tracer = record(a_bit_of_everything(), &rc);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        if (tracer)
            incomplete += draws_what_there_is(tracer);
        coil_unref(tracer);
        coil__errors_forget_thread();
        EXPECT_INT(coil_testing_alloc_count(), before);
        if (!failed)
            break;
    }
    quiet = false;
    EXPECT(incomplete > 3);
}

TESTS_MAIN(RUN(the_checkers_find_mistakes), RUN(shows_waits_and_ends_of_every_kind),
           RUN(shows_who_woke_whom), RUN(a_single_task_without_any_time_is_a_picture),
           RUN(three_hundred_tasks_fit), RUN(more_tasks_than_anybody_can_see_are_left_out),
           RUN(many_steps_become_few_bars), RUN(odd_names_are_escaped),
           RUN(can_be_written_while_it_records), RUN(failing_to_write_is_an_error),
           RUN(other_tracers_have_no_timeline), RUN(numbers_have_a_point_in_every_locale),
           RUN(survives_every_failed_allocation))
