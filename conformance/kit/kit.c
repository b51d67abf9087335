/* The kit in the order of its header. Whatever it shows is first written to a stream in memory;
 * texts that scenarios hold on to are interned, so that nobody has to own them. */
#include "kit/kit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>

static void fail(const char *what) __attribute__((noreturn));

/* A mistake in the scenario or in the kit. Standard error is enough for a difference to be seen. */
static void fail(const char *what)
{
    fprintf(stderr, "conformance kit: %s\n", what);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory)
        fail("out of memory");
    return memory;
}

/* ---- interned texts -------------------------------------------------------------------------- */

struct interned {
    struct interned *next;
    char text[];
};

enum {
    INTERN_LISTS = 256
};

static struct interned *interned[INTERN_LISTS];
static pthread_mutex_t interned_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t intern_list(const char *text)
{
    size_t hash = 5381;
    for (; *text; text++)
        hash = hash * 33 + (unsigned char)*text;
    return hash % INTERN_LISTS;
}

/* The one copy of a text that lives until the program ends. */
static const char *intern(const char *text)
{
    struct interned **list = &interned[intern_list(text)];
    pthread_mutex_lock(&interned_lock);
    struct interned *found = *list;
    while (found && strcmp(found->text, text) != 0)
        found = found->next;
    if (!found) {
        size_t bytes_needed = strlen(text) + 1;
        found = need(malloc(sizeof *found + bytes_needed));
        memcpy(found->text, text, bytes_needed);
        found->next = *list;
        *list = found;
    }
    pthread_mutex_unlock(&interned_lock);
    return found->text;
}

__attribute__((destructor)) static void free_interned(void)
{
    for (size_t i = 0; i < INTERN_LISTS; i++) {
        while (interned[i]) {
            struct interned *first = interned[i];
            interned[i] = first->next;
            free(first);
        }
    }
}

/* ---- a text in the making -------------------------------------------------------------------- */

struct text {
    FILE *file;
    char *bytes;
    size_t length;
};

static FILE *text_begin(struct text *text)
{
    text->file = need(open_memstream(&text->bytes, &text->length));
    return text->file;
}

/* The finished text, to be freed by the caller. */
static char *text_end(struct text *text)
{
    if (fclose(text->file) != 0)
        fail("out of memory");
    return text->bytes;
}

/* The finished text as a value that nobody needs to free. */
static coil_value text_value(struct text *text)
{
    char *made = text_end(text);
    coil_value value = coil_string(intern(made));
    free(made);
    return value;
}

/* ---- values as texts ------------------------------------------------------------------------- */

static void write_value(FILE *out, coil_value value);
static void write_error(FILE *out, int code, const coil_error *error);

static void write_parts(FILE *out, const char *separator, size_t count, const coil_value *parts)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(separator, out);
        write_value(out, parts[i]);
    }
}

static void write_list(FILE *out, const coil_list *items)
{
    fputc('[', out);
    for (size_t i = 0; i < coil_list_count(items); i++) {
        if (i > 0)
            fputs(", ", out);
        write_value(out, coil_list_at(items, i));
    }
    fputc(']', out);
}

static void write_object(FILE *out, void *object)
{
    if (!object)
        fputs("nil", out);
    else if (coil_is_task(object))
        fputs(coil_task_get_name(object), out);
    else
        fail("there is no notation for this object");
}

static void write_value(FILE *out, coil_value value)
{
    switch (value.kind) {
    case COIL_NIL:
        fputs("nil", out);
        break;
    case COIL_BOOL:
        fputs(value.boolean ? "true" : "false", out);
        break;
    case COIL_INT:
        fprintf(out, "%" PRId64, value.integer);
        break;
    case COIL_DOUBLE:
        fprintf(out, "%.3f", value.number);
        break;
    case COIL_STRING:
        fputs(value.string ? value.string : "nil", out);
        break;
    case COIL_POINTER:
        if (value.pointer)
            fail("there is no notation for a pointer");
        fputs("nil", out);
        break;
    case COIL_BYTES:
        fputs(bytes(value.bytes->data, value.bytes->length).string, out);
        break;
    case COIL_LIST:
        write_list(out, value.list);
        break;
    case COIL_ERROR:
        write_error(out, coil_error_code(value.error), value.error);
        break;
    case COIL_OBJECT:
        write_object(out, value.pointer);
        break;
    }
}

const char *show(coil_value value)
{
    struct text text;
    write_value(text_begin(&text), value);
    return text_value(&text).string;
}

const char *textf(const char *format, ...)
{
    struct text text;
    FILE *out = text_begin(&text);
    va_list args;
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    return text_value(&text).string;
}

coil_value kit_future_part(coil_future *future)
{
    struct text text;
    write_object(text_begin(&text), future);
    return text_value(&text);
}

coil_value bytes(const void *data, size_t length)
{
    static const char named[] = "\n\r\t\"\\";
    static const char names[] = "nrt\"\\";
    struct text text;
    FILE *out = text_begin(&text);
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = ((const unsigned char *)data)[i];
        const char *name = byte ? strchr(named, byte) : NULL;
        if (name)
            fprintf(out, "\\%c", names[name - named]);
        else if (byte >= 32 && byte < 127)
            fputc(byte, out);
        else
            fprintf(out, "\\x%02x", byte);
    }
    fputc('"', out);
    return text_value(&text);
}

coil_value list_of(const coil_value *values, size_t count)
{
    struct text text;
    FILE *out = text_begin(&text);
    fputc('[', out);
    write_parts(out, ", ", count, values);
    fputc(']', out);
    return text_value(&text);
}

static int by_text(const void *left, const void *right)
{
    const coil_value *const *a = left, *const *b = right;
    return strcmp((*a)->string, (*b)->string);
}

coil_value set_of(const coil_value *values, size_t count)
{
    coil_value *texts = need(calloc(count + 1, sizeof *texts));
    const coil_value **sorted = need(calloc(count + 1, sizeof *sorted));
    for (size_t i = 0; i < count; i++) {
        texts[i] = coil_string(show(values[i]));
        sorted[i] = &texts[i];
    }
    qsort(sorted, count, sizeof *sorted, by_text);

    struct text text;
    FILE *out = text_begin(&text);
    fputc('{', out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", sorted[i]->string);
    fputc('}', out);
    free(sorted);
    free(texts);
    return text_value(&text);
}

coil_value mapping_of(const coil_value *keys_and_values, size_t count)
{
    struct text text;
    FILE *out = text_begin(&text);
    fputc('{', out);
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (i > 0)
            fputs(", ", out);
        write_parts(out, ": ", 2, keys_and_values + i);
    }
    fputc('}', out);
    return text_value(&text);
}

coil_value set_of_tasks(coil_task *const *tasks, size_t count)
{
    coil_value *names = need(calloc(count + 1, sizeof *names));
    for (size_t i = 0; i < count; i++)
        names[i] = kit_future_part(tasks[i]);
    coil_value made = set_of(names, count);
    free(names);
    return made;
}

coil_value all_tasks(coil_loop *loop)
{
    size_t count = coil_all_tasks(loop, NULL, 0);
    coil_task **tasks = need(calloc(count + 1, sizeof(coil_task *)));
    coil_all_tasks(loop, tasks, count);
    coil_value made = set_of_tasks(tasks, count);
    free(tasks);
    return made;
}

void kit_append(struct items *items, coil_value value)
{
    if (items->count == items->room) {
        items->room = items->room > 0 ? 2 * items->room : 8;
        items->values = need(realloc(items->values, items->room * sizeof *items->values));
    }
    items->values[items->count++] = coil_string(show(value));
}

coil_value as_list(const struct items *items)
{
    return list_of(items->values, items->count);
}

coil_value as_set(const struct items *items)
{
    return set_of(items->values, items->count);
}

void clear(struct items *items)
{
    free(items->values);
    *items = (struct items){ 0 };
}

/* ---- errors and outcomes --------------------------------------------------------------------- */

static const struct {
    int code;
    const char *token;
} tokens[] = {
    { COIL_ETIMEDOUT, "TIMEOUT" },
    { COIL_EINVALIDSTATE, "INVALID_STATE" },
    { COIL_EEMPTY, "QUEUE_EMPTY" },
    { COIL_EFULL, "QUEUE_FULL" },
    { COIL_ESHUTDOWN, "QUEUE_SHUTDOWN" },
    { COIL_EBROKEN, "BROKEN_BARRIER" },
    { COIL_EEND, "END_OF_ITERATION" },
    { COIL_ECLOSING, "GENERATOR_EXIT" },
    { COIL_EINTERRUPT, "INTERRUPT" },
    { -EPIPE, "BROKEN_PIPE" },
    { -ECONNRESET, "CONNECTION_RESET" },
    { -ECONNREFUSED, "CONNECTION_REFUSED" },
    { -ENOENT, "NOT_FOUND" },
    { -ESRCH, "NO_PROCESS" },
    { COIL_ELOOKUP, "LOOKUP" },
    { COIL_ETYPE, "TYPE" },
    { COIL_EINVAL, "VALUE" },
    /* What Python has one RuntimeError for. */
    { COIL_ERUNTIME, "RUNTIME" },
    { COIL_ECLOSED, "RUNTIME" },
    { COIL_ENOLOOP, "RUNTIME" },
    { COIL_ENOTASK, "RUNTIME" },
    { COIL_ENESTED, "RUNTIME" },
    { COIL_EWRONGLOOP, "RUNTIME" },
    { COIL_EWRONGTHREAD, "RUNTIME" },
    { COIL_EREUSED, "RUNTIME" },
    { COIL_ESELFWAIT, "RUNTIME" },
    { COIL_EBADAWAIT, "RUNTIME" },
    { COIL_ESTALLED, "RUNTIME" },
};

static const char *simple_token(int code)
{
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        if (tokens[i].code == code)
            return tokens[i].token;
    }
    fprintf(stderr, "%s: ", coil_error_name(code));
    fail("there is no token for this error");
}

static void write_group(FILE *out, const coil_error *group)
{
    fputs("GROUP[", out);
    for (size_t i = 0; i < coil_error_count(group); i++) {
        const coil_error *error = coil_error_at(group, i);
        if (i > 0)
            fputs(", ", out);
        write_error(out, coil_error_code(error), error);
    }
    fputc(']', out);
}

/* The token of an error. Without its record there is no message, and no list, to show. */
static void write_error(FILE *out, int code, const coil_error *error)
{
    const char *message = error ? coil_error_message(error) : "";
    if (code >= 0)
        fputs("none", out);
    else if (code == COIL_ECANCELED)
        fprintf(out, *message ? "CANCELLED(%s)" : "CANCELLED", message);
    else if (code == COIL_EAPP)
        fprintf(out, "ERROR(%s)", message);
    else if (code == COIL_EEXIT)
        fprintf(out, "EXIT(%" PRId64 ")", error ? coil_error_detail(error) : 0);
    else if (code == COIL_EGROUP && error)
        write_group(out, error);
    else if (code == COIL_EOVERRUN && error)
        fprintf(out, "LIMIT_OVERRUN(consumed=%" PRId64 ")", coil_error_detail(error));
    else
        fputs(simple_token(code), out);
}

static coil_value error_value(int code, const coil_error *error)
{
    struct text text;
    write_error(text_begin(&text), code, error);
    return text_value(&text);
}

coil_value kind(int code)
{
    return error_value(code, code < 0 ? coil_error_current(code) : NULL);
}

coil_value kind_of(const coil_error *error)
{
    return error_value(error ? coil_error_code(error) : 0, error);
}

coil_value outcome(coil_future *future)
{
    if (!coil_future_done(future))
        return coil_string("pending");
    if (coil_future_cancelled(future))
        return coil_string("CANCELLED");

    int code;
    coil_error *error;
    must(coil_future_exception(future, &code, &error));
    if (code < 0)
        return error_value(code, error);

    coil_value result;
    must(coil_future_result(future, &result));
    return coil_string(textf("result=%s", show(result)));
}

coil_value outcomes(coil_future *const *futures, size_t count)
{
    struct items all = { 0 };
    for (size_t i = 0; i < count; i++)
        append(&all, outcome(futures[i]));
    coil_value made = as_list(&all);
    clear(&all);
    return made;
}

int must(int code)
{
    if (code < 0) {
        coil_error_print(stderr, code);
        exit(1);
    }
    return code;
}

/* ---- lines ----------------------------------------------------------------------------------- */

coil_context_var *depth;

__attribute__((constructor)) static void make_depth(void)
{
    depth = need(coil_context_var_new_default("depth", coil_int(0)));
}

__attribute__((destructor)) static void free_depth(void)
{
    coil_context_var_free(depth);
}

const char *pad(void)
{
    return textf("%*s", (int)(4 * value_of(depth).integer), "");
}

static void print_line(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void print_line_at(const char *text)
{
    printf("%s[%.3f] %s\n", pad(), now(), text);
    fflush(stdout);
}

/* The parts with a space between them; to be freed by the caller. */
static char *line_text(size_t count, const coil_value *parts)
{
    struct text text;
    write_parts(text_begin(&text), " ", count, parts);
    return text_end(&text);
}

void kit_say(size_t count, const coil_value *parts)
{
    char *text = line_text(count, parts);
    print_line(text);
    free(text);
}

void kit_at(size_t count, const coil_value *parts)
{
    char *text = line_text(count, parts);
    print_line_at(text);
    free(text);
}

/* ---- callbacks that print -------------------------------------------------------------------- */

struct kit_line {
    coil_callback how;
    char *text;
};

struct kit_line *kit_line_new(size_t count, const coil_value *parts)
{
    struct kit_line *line = need(malloc(sizeof *line));
    line->how = NULL;
    line->text = line_text(count, parts);
    return line;
}

static void line_free(void *arg)
{
    struct kit_line *line = arg;
    free(line->text);
    free(line);
}

int say_line(void *line)
{
    print_line(((struct kit_line *)line)->text);
    return 0;
}

int at_line(void *line)
{
    print_line_at(((struct kit_line *)line)->text);
    return 0;
}

static int line_once(void *arg)
{
    struct kit_line *line = arg;
    int rc = line->how(line);
    line_free(line);
    return rc;
}

static const coil_call_options owns_line = {
    .size = sizeof(coil_call_options),
    .release = line_free,
};

static int queued(int rc, struct kit_line *line)
{
    if (rc < 0)
        line_free(line);
    return rc;
}

int kit_call_soon(coil_loop *loop, coil_callback how, struct kit_line *line,
                  coil_handle **handle_out)
{
    return queued(coil_call_soon_with(loop, how, line, &owns_line, handle_out), line);
}

int kit_call_later(coil_loop *loop, double delay, coil_callback how, struct kit_line *line,
                   coil_handle **handle_out)
{
    return queued(coil_call_later_with(loop, delay, how, line, &owns_line, handle_out), line);
}

int kit_call_at(coil_loop *loop, double when, coil_callback how, struct kit_line *line,
                coil_handle **handle_out)
{
    return queued(coil_call_at_with(loop, when, how, line, &owns_line, handle_out), line);
}

/* Here the line frees itself: this call has no release function. It is lost if the loop is closed
 * before it gets to the line. */
int kit_call_soon_threadsafe(coil_loop *loop, coil_callback how, struct kit_line *line)
{
    line->how = how;
    return queued(coil_call_soon_threadsafe(loop, line_once, line), line);
}

int do_stop(void *loop)
{
    coil_loop_stop(loop);
    return 0;
}

int do_cancel(void *future)
{
    coil_future_cancel(future, NULL);
    return 0;
}

int do_cancel_handle(void *handle)
{
    coil_handle_cancel(handle);
    return 0;
}

int do_complete(void *future)
{
    return coil_future_set_result(future, coil_nil());
}

void *text_arg(const char *text)
{
    return (void *)(uintptr_t)text;
}

/* ---- reports --------------------------------------------------------------------------------- */

static bool prints_log;
static bool prints_warnings;

static const char *protocol_token(const char *function)
{
    static const char *const functions[][2] = {
        { "data_received", "DATA_RECEIVED_RAISED" },
        { "eof_received", "EOF_RECEIVED_RAISED" },
        { "pause_writing", "PAUSE_WRITING_RAISED" },
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(function, functions[i][0]) == 0)
            return functions[i][1];
    return "CALLBACK_RAISED";
}

static const char *event_token(const coil_report *report)
{
    switch (report->event) {
    case COIL_EVENT_CLIENT_FAILED:
        return "CLIENT_CALLBACK_RAISED";
    case COIL_EVENT_PROTOCOL_FAILED:
        return protocol_token(report->name);
    case COIL_EVENT_CALLBACK_FAILED:
        return "CALLBACK_RAISED";
    case COIL_EVENT_TASK_ERROR_UNREAD:
        return "TASK_ERROR_UNREAD";
    case COIL_EVENT_FUTURE_ERROR_UNREAD:
        return "FUTURE_ERROR_UNREAD";
    case COIL_EVENT_TASK_LOST:
        return "TASK_LOST_PENDING";
    case COIL_EVENT_SHUTDOWN_TASK_FAILED:
        return "SHUTDOWN_TASK_RAISED";
    case COIL_EVENT_HANDLER_FAILED:
        return "HANDLER_RAISED";
    case COIL_EVENT_GENERATOR_CLOSE_FAILED:
        return "GENERATOR_CLOSE_RAISED";
    default:
        return NULL;
    }
}

/* What Python reports as warnings, which go past the exception handler. */
static bool print_warning(const coil_report *report)
{
    if (!prints_warnings)
        return false;
    if (report->event == COIL_EVENT_NEVER_AWAITED)
        say("WARN NEVER_AWAITED", report->name, report->place ? "origin=true" : "origin=false");
    else if (report->event == COIL_EVENT_UNCLOSED_LOOP)
        say("WARN UNCLOSED_LOOP");
    else if (report->event == COIL_EVENT_UNCLOSED_TRANSPORT ||
             report->event == COIL_EVENT_UNCLOSED_PROCESS)
        say("WARN UNCLOSED_TRANSPORT");
    else
        return false;
    return true;
}

int print_event(COIL_UNUSED coil_loop *loop, const coil_report *report, COIL_UNUSED void *arg)
{
    if (print_warning(report))
        return 0;
    const char *token = event_token(report);
    if (!token)
        fail(report->message);

    coil_value error = error_value(report->code, report->error);
    if (report->future && coil_is_task(report->future))
        say("EVENT", token, textf("task=%s", coil_task_get_name(report->future)), error);
    else
        say("EVENT", token, error);
    return 0;
}

static bool print_log_line(coil_log_level level, const coil_report *report)
{
    if (!prints_log)
        return false;
    const char *name = level == COIL_LOG_ERROR ? "ERROR" : "WARNING";
    const char *token = event_token(report);
    if (token)
        say("LOG", name, token, error_value(report->code, report->error));
    else if (report->event == COIL_EVENT_SLOW_CALLBACK)
        say("LOG", name, "SLOW_CALLBACK", report->seconds);
    else if (report->event == COIL_EVENT_WRITE_AFTER_LOSS)
        say("LOG", name, "WRITE_AFTER_LOSS");
    else
        return false;
    return true;
}

/* What was not asked for appears on standard error, where it fails the scenario. */
static void log_report(COIL_UNUSED coil_loop *loop, coil_log_level level, const coil_report *report,
                       COIL_UNUSED void *arg)
{
    if (!print_warning(report) && !print_log_line(level, report))
        fprintf(stderr, "%s\n", report->message);
}

void print_log(void)
{
    prints_log = true;
}

void print_warnings(void)
{
    prints_warnings = true;
}

/* ---- loops ----------------------------------------------------------------------------------- */

static coil_loop *make_loop(int flags)
{
    coil_loop *loop = flags & REAL ? coil_new_event_loop() : coil_testing_virtual_loop(NULL);
    if (loop && (prints_log || prints_warnings))
        coil_set_logger(loop, log_report, NULL);
    return loop;
}

coil_loop *new_loop(int flags)
{
    coil_loop *loop = need(make_loop(flags));
    coil_set_debug(loop, (flags & DEBUG) != 0);
    if (flags & TRACE)
        coil_unref(need(coil_trace_text(loop, stdout, depth, 0)));
    return loop;
}

void end_loop(coil_loop *loop)
{
    must(coil_loop_close(loop));
    coil_unref(loop);
}

/* What run asks of its loop factory, and gets from it. */
struct making {
    int flags;
    coil_tracer *tracer;
};

static coil_loop *make_run_loop(void *arg)
{
    struct making *making = arg;
    coil_loop *loop = make_loop(making->flags);
    if (loop && making->flags & TRACE)
        making->tracer = coil_trace_text(loop, stdout, depth, 0);
    return loop;
}

int run(coil_coro *main_coro, int flags, coil_value *value_out)
{
    struct making making = { flags, NULL };
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.debug = flags & DEBUG ? 1 : 0;
    options.loop_factory = make_run_loop;
    options.loop_factory_arg = &making;
    coil_runner *runner = need(coil_runner_new(&options));

    int rc = coil_runner_run(runner, main_coro, NULL, value_out);
    if (making.tracer)
        coil_trace_detach(making.tracer);
    int closed = coil_runner_close(runner);
    coil_unref(making.tracer);
    coil_unref(runner);
    return rc < 0 ? rc : closed;
}

double now(void)
{
    return coil_loop_time(NULL);
}

void advance(double seconds)
{
    must(coil_testing_advance(NULL, seconds));
}

/* ---- tasks and context variables ------------------------------------------------------------- */

int join(coil_future *future, coil_value *value_out)
{
    int rc = coil_await(future, NULL);
    if (rc >= 0 && value_out)
        rc = coil_future_take_result(future, value_out);
    coil_unref(future);
    return rc;
}

coil_value value_of(coil_context_var *var)
{
    coil_value value;
    must(coil_context_var_get(var, &value));
    return value;
}

void kit_unref_all(void *const *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        coil_unref(objects[i]);
}

/* ---- random schedules ------------------------------------------------------------------------ */

uint64_t lcg_draw(struct lcg *rng)
{
    rng->state = rng->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return rng->state >> 33;
}

uint64_t lcg_below(struct lcg *rng, uint64_t n)
{
    return lcg_draw(rng) % n;
}

static const uint64_t FNV_OFFSET = UINT64_C(14695981039346656037);
static const uint64_t FNV_PRIME = UINT64_C(1099511628211);

/* The first `keep` lines have a place each; those after them share the other half, oldest out. */
static char **digest_slot(struct digest *digest, size_t number)
{
    return &digest->lines[number < digest->keep ? number : digest->keep + number % digest->keep];
}

static void digest_begin(struct digest *digest)
{
    if (digest->lines)
        return;
    if (digest->keep == 0)
        fail("a digest keeps at least one line");
    digest->hash = FNV_OFFSET;
    digest->lines = need(calloc(2 * digest->keep, sizeof(char *)));
}

void kit_digest_add(struct digest *digest, size_t count, const coil_value *parts)
{
    digest_begin(digest);
    char *line = line_text(count, parts);
    for (const char *byte = line; *byte; byte++)
        digest->hash = (digest->hash ^ (unsigned char)*byte) * FNV_PRIME;
    digest->hash = (digest->hash ^ '\n') * FNV_PRIME;

    char **slot = digest_slot(digest, digest->count++);
    free(*slot);
    *slot = line;
}

void digest_print(struct digest *digest)
{
    digest_begin(digest);
    bool whole = digest->count <= 2 * digest->keep;
    for (size_t i = 0; i < digest->count; i++) {
        if (whole || i < digest->keep || i >= digest->count - digest->keep)
            print_line(*digest_slot(digest, i));
        else if (i == digest->keep)
            print_line("...");
    }
    say("lines", digest->count, "hash", textf("%016" PRIx64, digest->hash));

    for (size_t i = 0; i < 2 * digest->keep; i++)
        free(digest->lines[i]);
    free(digest->lines);
    *digest = (struct digest){ .keep = digest->keep };
}

/* ---- the two sets of asyncio.wait ------------------------------------------------------------------ */

static coil_value set_of_those(coil_task *const *tasks, size_t count, bool done)
{
    struct items names = { 0 };
    for (size_t i = 0; i < count; i++) {
        if (coil_future_done(tasks[i]) == done)
            append(&names, tasks[i]);
    }
    coil_value made = as_set(&names);
    clear(&names);
    return made;
}

coil_value set_of_done(coil_task *const *tasks, size_t count)
{
    return set_of_those(tasks, count, true);
}

coil_value set_of_pending(coil_task *const *tasks, size_t count)
{
    return set_of_those(tasks, count, false);
}
