#include "base/error.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/cache.h"
#include "base/thread.h"

static void error_destroy(void *object);
static const struct coil__type error_type = { COIL__KIND_ERROR, "error", error_destroy };

/* What explains an error when there is no memory to explain it with. */
static char no_memory_text[] = "out of memory";
static coil_error no_memory = {
    .object = { .type = &error_type, .refs = COIL__IMMORTAL },
    .code = COIL_ENOMEM,
    .message = no_memory_text,
};

/* ---- codes ------------------------------------------------------------------------------------- */

static const coil_error_entry own_codes[] = {
#define COIL_ERROR_CODE(name, value, text, manual) { value, #name, text },
#include <coil/errors.def>
#undef COIL_ERROR_CODE
};

enum {
    TABLES_MAX = 16, /* an application's, and those of libraries that it uses */
    APP_FIRST = COIL_EAPP - 1,
    APP_LAST = -29999,
};

/* A table is complete before the count says that it is there, and stays for good: readers need no lock. */
static struct {
    const coil_error_entry *entries;
    size_t count;
} app_tables[TABLES_MAX];
static atomic_int app_table_count;
static pthread_mutex_t app_lock = PTHREAD_MUTEX_INITIALIZER;

static const coil_error_entry *find_entry(int code)
{
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
        if (own_codes[i].code == code)
            return &own_codes[i];
    int tables = code <= APP_FIRST ? atomic_load_explicit(&app_table_count, memory_order_acquire)
                                   : 0;
    for (int i = 0; i < tables; i++)
        for (size_t j = 0; j < app_tables[i].count; j++)
            if (app_tables[i].entries[j].code == code)
                return &app_tables[i].entries[j];
    return NULL;
}

static int check_entries(const coil_error_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const coil_error_entry *entry = &entries[i];
        if (entry->code > APP_FIRST || entry->code < APP_LAST || !entry->name || !entry->text)
            return coil__fail(COIL_EINVAL, "entry %zu has the code %d", i, entry->code);
        const coil_error_entry *other = find_entry(entry->code);
        for (size_t j = 0; j < i && !other; j++)
            if (entries[j].code == entry->code)
                other = &entries[j];
        if (other)
            return coil__fail(-EEXIST, "%d is %s already", entry->code, other->name);
    }
    return 0;
}

/* Under the lock. */
static int add_table(const coil_error_entry *entries, size_t count)
{
    int tables = atomic_load_explicit(&app_table_count, memory_order_relaxed);
    for (int i = 0; i < tables; i++)
        if (app_tables[i].entries == entries && app_tables[i].count == count)
            return 0;
    int rc = check_entries(entries, count);
    if (rc < 0)
        return rc;
    if (tables == TABLES_MAX)
        return coil__fail(COIL_ENOMEM, "there are %d tables of error codes already", tables);
    app_tables[tables].entries = entries;
    app_tables[tables].count = count;
    atomic_store_explicit(&app_table_count, tables + 1, memory_order_release);
    return 0;
}

int coil_error_register(const coil_error_entry *entries, size_t count)
{
    pthread_mutex_lock(&app_lock);
    int rc = add_table(entries, count);
    pthread_mutex_unlock(&app_lock);
    return rc;
}

const char *coil_error_name(int code)
{
    if (code >= 0)
        return "ok";
    const coil_error_entry *entry = find_entry(code);
    if (entry)
        return entry->name;
    const char *name = code > -4096 ? strerrorname_np(-code) : NULL;
    if (name)
        return name;
    return code <= COIL_EAPP && code >= APP_LAST ? "application error" : "error";
}

const char *coil_strerror(int code)
{
    if (code >= 0)
        return "ok";
    const coil_error_entry *entry = find_entry(code);
    if (entry)
        return entry->text;
    static __thread char text[96];
    if (code > -4096)
        return strerror_r(-code, text, sizeof text);
    snprintf(text, sizeof text, "error %d", code);
    return text;
}

/* ---- records ----------------------------------------------------------------------------------- */

static void error_destroy(void *object)
{
    coil_error *error = object;
    coil_unref(error->cause);
    for (size_t i = 0; i < error->error_count; i++)
        coil_unref(error->errors[i]);
    coil__free(error->errors);
    coil__free(error->message);
    coil__block_give(error, sizeof *error);
}

/* A record without a message. When there is no memory: the one that says so. */
static coil_error *error_make(int code)
{
    coil_error *error = coil__block_take(sizeof *error);
    if (!error)
        return &no_memory;
    memset(error, 0, offsetof(coil_error, frames)); /* of these, frame_count are set */
    coil__object_init(&error->object, &error_type);
    error->code = code;
    return error;
}

coil_error *coil__error_new(int code, const char *message)
{
    coil_error *error = error_make(code);
    if (error == &no_memory)
        return NULL;
    if (message) {
        error->message = coil__strdup(message);
        if (!error->message) {
            coil_unref(error);
            return NULL;
        }
    }
    return error;
}

static void set_message(coil_error *error, const char *format, va_list args)
{
    if (error == &no_memory || !format || !*format)
        return;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    error->message = length > 0 ? coil__alloc((size_t)length + 1) : NULL;
    if (error->message)
        vsnprintf(error->message, (size_t)length + 1, format, again);
    va_end(again);
}

/* ---- chains ------------------------------------------------------------------------------------ */

static coil_error **current_chain(void)
{
    return coil__thread.task ? coil__task_errors(coil__thread.task) : &coil__thread.errors;
}

coil_error *coil__errors_take(coil_error **chain, int code)
{
    for (coil_error **link = chain; *link; link = &(*link)->older) {
        coil_error *error = *link;
        if (error->code == code) {
            *link = error->older;
            error->older = NULL;
            return error;
        }
    }
    return NULL;
}

void coil__errors_clear(coil_error **chain)
{
    while (*chain) {
        coil_error *error = *chain;
        *chain = error->older;
        error->older = NULL;
        coil_unref(error);
    }
}

void coil__errors_forget_thread(void)
{
    coil__errors_clear(&coil__thread.errors);
}

static void drop_code(coil_error **chain, int code)
{
    coil_error *error;
    while ((error = coil__errors_take(chain, code)))
        coil_unref(error);
}

/* Takes the reference. A record that is in another task's chain cannot be linked here as well; it is
 * then represented by a new one that shares what it says. */
static void push(coil_error **chain, coil_error *error)
{
    if (chain == &coil__thread.errors)
        coil__thread_owns();
    drop_code(chain, error->code);
    error->older = *chain;
    *chain = error;

    coil_error **link = chain;
    for (int depth = 0; *link && depth < COIL__ERROR_CHAIN; depth++)
        link = &(*link)->older;
    coil__errors_clear(link);
}

/* What a record tells beside its code, message and cause. */
static void copy_facts(coil_error *copy, const coil_error *error)
{
    copy->detail = error->detail;
    copy->frame_count = error->frame_count;
    copy->frames_lost = error->frames_lost;
    memcpy(copy->frames, error->frames, error->frame_count * sizeof error->frames[0]);
}

static void copy_story(coil_error *copy, const coil_error *error)
{
    copy->cause = coil_ref(error->cause);
    copy_facts(copy, error);
}

/* A copy that can be linked: the same text, causes and places. NULL when there is no memory. */
static coil_error *twin_of(const coil_error *error)
{
    coil_error *twin = coil__error_new(error->code, error->message);
    if (!twin)
        return NULL;
    if (error->error_count > 0) {
        twin->errors = coil__alloc(error->error_count * sizeof *twin->errors);
        if (!twin->errors) {
            coil_unref(twin);
            return NULL;
        }
        twin->error_count = error->error_count;
        for (size_t i = 0; i < error->error_count; i++)
            twin->errors[i] = coil_ref(error->errors[i]);
    }
    copy_story(twin, error);
    return twin;
}

/* ---- to other threads -------------------------------------------------------------------------- */

/* Whether all of it is held by this reference alone. As deep as causes and groups are nested. */
static bool is_sole(const coil_error *error)
{
    if (error->object.refs == COIL__IMMORTAL)
        return true;
    bool sole = error->object.refs == 1 && (!error->cause || is_sole(error->cause));
    for (size_t i = 0; i < error->error_count && sole; i++)
        sole = !error->errors[i] || is_sole(error->errors[i]);
    return sole;
}

coil_error *coil__error_copy(const coil_error *error)
{
    if (error == &no_memory)
        return &no_memory;
    coil_error *copy = coil__error_new(error->code, error->message);
    if (!copy)
        return NULL;
    copy_facts(copy, error);
    bool good = true;
    if (error->cause)
        good = (copy->cause = coil__error_copy(error->cause)) != NULL;
    if (error->error_count > 0 && good) {
        copy->errors = coil__alloc_zero(error->error_count * sizeof *copy->errors);
        good = copy->errors != NULL;
    }
    for (size_t i = 0; i < error->error_count && good; i++) {
        copy->error_count = i + 1;
        if (error->errors[i])
            good = (copy->errors[i] = coil__error_copy(error->errors[i])) != NULL;
    }
    if (good)
        return copy;
    coil_unref(copy);
    return NULL;
}

coil_error *coil__error_detach(coil_error *error)
{
    if (!error || is_sole(error))
        return error;
    coil_error *copy = coil__error_copy(error);
    coil_unref(error);
    return copy;
}

/* ---- failing ----------------------------------------------------------------------------------- */

int coil__fail_plain(int code)
{
    coil__thread.last_code = code;
    coil_error **chain = current_chain();
    if (COIL_UNLIKELY(*chain != NULL))
        drop_code(chain, code);
    return code;
}

int coil__fail_with(int code, coil_error *record)
{
    coil_error **chain = current_chain();
    if (!record)
        return coil__fail_plain(code);
    coil__thread.last_code = code;
    for (coil_error *error = *chain; error; error = error->older)
        if (error == record)
            return code;
    coil_error *own = twin_of(record);
    if (!own)
        return coil__fail_plain(code);
    push(chain, own);
    return code;
}

void coil__note_place(int code, const char *file, int line, const char *function)
{
    coil_error *error = coil_error_current(code);
    if (!error) { /* a code without a record: the way it came up is worth one */
        error = error_make(code);
        if (error != &no_memory)
            push(current_chain(), error);
    }
    if (error == &no_memory)
        return;
    if (error->frame_count == COIL__ERROR_FRAMES) {
        error->frames_lost++;
        return;
    }
    struct coil__place *place = &error->frames[error->frame_count++];
    *place = (struct coil__place){ .file = file, .function = function, .line = line };
    if (coil__thread.task)
        coil__task_label(coil__thread.task, place->task, sizeof place->task);
}

static int raise_record(const char *file, int line, const char *function, int code,
                        coil_error *cause, const char *format, va_list args)
{
    coil__thread.last_code = code;
    coil_error *error = error_make(code);
    if (error == &no_memory)
        return coil__fail_plain(code);
    error->cause = coil_ref(cause);
    set_message(error, format, args);
    push(current_chain(), error);
    if (file)
        coil__note_place(code, file, line, function);
    return code;
}

int coil_raise_at(const char *file, int line, const char *function, int code, coil_error *cause,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    raise_record(file, line, function, code, cause, format, args);
    va_end(args);
    return code;
}

int coil__fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    raise_record(NULL, 0, NULL, code, NULL, format, args);
    va_end(args);
    return code;
}

void *coil__fail_null(int code)
{
    coil__fail_plain(code);
    if (code != COIL_ENOMEM)
        coil__fail(code, "%s", coil_strerror(code));
    return NULL;
}

void coil_error_clear(int code)
{
    drop_code(current_chain(), code);
}

int coil_reraise(coil_error *error)
{
    return coil__fail_with(error->code, error);
}

coil_error *coil__error_group_new(size_t count, const char *message)
{
    coil_error *group = coil__error_new(COIL_EGROUP, message);
    if (!group)
        return NULL;
    group->errors = coil__alloc_zero(count * sizeof *group->errors);
    if (!group->errors) {
        coil_unref(group);
        return NULL;
    }
    group->error_count = count;
    return group;
}

int coil__fail_own(coil_error *record)
{
    coil__thread.last_code = record->code;
    push(current_chain(), record);
    return record->code;
}

int coil_error_unwrap(int rc)
{
    coil_error *error = rc == COIL_EGROUP ? coil_error_current(rc) : NULL;
    if (!error || error->error_count != 1)
        return rc;
    while (error->error_count == 1)
        error = error->errors[0];
    coil_ref(error); /* the group may be displaced by it */
    rc = coil_reraise(error);
    coil_unref(error);
    return rc;
}

int coil_raise_group(coil_error *const *errors, size_t count, const char *message)
{
    coil_error *group = coil__error_group_new(count, message);
    if (!group)
        return coil__fail_plain(COIL_ENOMEM);
    for (size_t i = 0; i < count; i++)
        group->errors[i] = coil_ref(errors[i]);
    return coil__fail_own(group);
}

int coil_exit(int status)
{
    coil__fail(COIL_EEXIT, "status %d", status);
    coil_error *error = coil_error_current(COIL_EEXIT);
    if (error)
        coil_error_set_detail(error, status);
    return COIL_EEXIT;
}

/* ---- groups in parts --------------------------------------------------------------------------- */

static bool has_code(const coil_error *error, void *code)
{
    return error->code == *(const int *)code;
}

bool coil_error_matches(const coil_error *error, int code)
{
    if (error->code == code)
        return true;
    for (size_t i = 0; i < error->error_count; i++)
        if (coil_error_matches(error->errors[i], code))
            return true;
    return false;
}

/* The two sides of a division. A side that is to get nothing is NULL, and one that gets everything is
 * the original itself. */
struct parts {
    coil_error *match, *rest; /* owned */
};

/* A group like another, with room for as many errors, but none in it yet. */
static coil_error *part_of(const coil_error *group)
{
    coil_error *part = coil__error_group_new(group->error_count, group->message);
    if (part) {
        copy_story(part, group);
        part->error_count = 0;
    }
    return part;
}

/* Takes the reference; NULL adds nothing. */
static void add_error(coil_error *group, coil_error *error)
{
    if (error)
        group->errors[group->error_count++] = error;
}

/* True if a part got all there is, unchanged. */
static bool is_whole(const coil_error *part, const coil_error *group)
{
    if (part->error_count < group->error_count)
        return false;
    for (size_t i = 0; i < group->error_count; i++)
        if (part->errors[i] != group->errors[i])
            return false;
    return true;
}

/* What is handed out for a part: nothing for an empty one, the original for a whole one. */
static coil_error *settle_part(coil_error *part, coil_error *group)
{
    if (part->error_count > 0 && !is_whole(part, group))
        return part;
    coil_error *settled = part->error_count > 0 ? coil_ref(group) : NULL;
    coil_unref(part);
    return settled;
}

/* False: no memory, and no parts. As deep as the groups are nested. */
static bool split(coil_error *error, coil_error_predicate matches, void *arg, struct parts *parts)
{
    *parts = (struct parts){ 0 };
    if (matches(error, arg)) {
        parts->match = coil_ref(error);
        return true;
    }
    if (error->error_count == 0) {
        parts->rest = coil_ref(error);
        return true;
    }
    coil_error *match = part_of(error), *rest = part_of(error);
    bool good = match && rest;
    for (size_t i = 0; i < error->error_count && good; i++) {
        struct parts inner;
        good = split(error->errors[i], matches, arg, &inner);
        if (good) {
            add_error(match, inner.match);
            add_error(rest, inner.rest);
        }
    }
    if (!good) {
        coil_unref(match);
        coil_unref(rest);
        return false;
    }
    parts->match = settle_part(match, error);
    parts->rest = settle_part(rest, error);
    return true;
}

static void give_part(coil_error *part, coil_error **out)
{
    if (out)
        *out = part;
    else
        coil_unref(part);
}

int coil_error_split_if(coil_error *error, coil_error_predicate matches, void *arg,
                        coil_error **match_out, coil_error **rest_out)
{
    struct parts parts;
    bool good = split(error, matches, arg, &parts);
    give_part(parts.match, match_out);
    give_part(parts.rest, rest_out);
    return good ? 0 : coil__fail_plain(COIL_ENOMEM);
}

int coil_error_split(coil_error *error, int code, coil_error **match_out, coil_error **rest_out)
{
    return coil_error_split_if(error, has_code, &code, match_out, rest_out);
}

/* What was caught, as a group (owned). NULL without memory. */
static coil_error *as_group(coil_error *error)
{
    if (error->error_count > 0)
        return coil_ref(error);
    coil_error *group = coil__error_group_new(1, NULL);
    if (group)
        group->errors[0] = coil_ref(error);
    return group;
}

/* The record of an error (owned): the one there is, or one made of the code. NULL without memory. */
static coil_error *record_of(int code)
{
    coil_error *error = coil_error_current(code);
    return error ? coil_ref(error) : coil__error_new(code, NULL);
}

int coil_error_catch_if(int rc, coil_error_predicate matches, void *arg, coil_error **caught_out)
{
    *caught_out = NULL;
    coil_error *error = rc < 0 ? record_of(rc) : NULL;
    struct parts parts = { 0 };
    coil_error *caught = NULL;
    if (error && split(error, matches, arg, &parts) && parts.match)
        caught = as_group(parts.match);
    coil_unref(parts.match);
    coil_unref(error);
    if (!caught) {
        coil_unref(parts.rest);
        return rc;
    }
    *caught_out = caught;
    if (parts.rest)
        return coil__fail_own(parts.rest); /* only a group is divided: this is a new one */
    drop_code(current_chain(), rc);        /* dealt with */
    return 0;
}

int coil_error_catch(int rc, int code, coil_error **caught_out)
{
    return coil_error_catch_if(rc, has_code, &code, caught_out);
}

/* ---- reading ----------------------------------------------------------------------------------- */

coil_error *coil_error_current(int code)
{
    for (coil_error *error = *current_chain(); error; error = error->older)
        if (error->code == code)
            return error;
    return code == COIL_ENOMEM ? &no_memory : NULL;
}

int coil_error_last(void)
{
    return coil__thread.last_code < 0 ? coil__thread.last_code : COIL_ENOMEM;
}

int coil_error_code(const coil_error *error)
{
    return error ? error->code : 0;
}

const char *coil_error_message(const coil_error *error)
{
    return error && error->message ? error->message : "";
}

size_t coil_error_count(const coil_error *error)
{
    return error ? error->error_count : 0;
}

coil_error *coil_error_at(const coil_error *error, size_t index)
{
    return index < error->error_count ? error->errors[index] : NULL;
}

coil_error *coil_error_cause(const coil_error *error)
{
    return error->cause;
}

int64_t coil_error_detail(const coil_error *error)
{
    return error->detail;
}

void coil_error_set_detail(coil_error *error, int64_t detail)
{
    if (error != &no_memory)
        error->detail = detail;
}

bool coil_error_place(const coil_error *error, const char **file_out, int *line_out,
                      const char **function_out)
{
    if (error->frame_count == 0)
        return false;
    if (file_out)
        *file_out = error->frames[0].file;
    if (line_out)
        *line_out = error->frames[0].line;
    if (function_out)
        *function_out = error->frames[0].function;
    return true;
}

/* ---- printing ---------------------------------------------------------------------------------- */

static void print_line(FILE *file, int indent, int code, const char *message)
{
    fprintf(file, "%*s%s: %s%s%s\n", indent, "", coil_error_name(code), coil_strerror(code),
            message && *message ? ": " : "", message ? message : "");
}

/* COIL_ASYNC puts the body of a coroutine into NAME_body: people know it as NAME. */
static size_t name_length(const char *function)
{
    static const char ending[] = "_body";
    size_t length = strlen(function), tail = sizeof ending - 1;
    return length > tail && strcmp(function + length - tail, ending) == 0 ? length - tail : length;
}

static void print_error(FILE *file, const coil_error *error, int indent)
{
    if (error->cause) {
        print_error(file, error->cause, indent);
        fprintf(file, "%*swhich led to:\n", indent, "");
    }
    if (error->frame_count > 0) {
        fprintf(file, "%*sTraceback (most recent call last):\n", indent, "");
        if (error->frames_lost > 0)
            fprintf(file, "%*s  ... %u more\n", indent, "", error->frames_lost);
        for (unsigned i = error->frame_count; i-- > 0;) {
            const struct coil__place *place = &error->frames[i];
            fprintf(file, "%*s  %s:%d in %.*s", indent, "", place->file, place->line,
                    (int)name_length(place->function), place->function);
            if (place->task[0])
                fprintf(file, " (%s)", place->task);
            fputc('\n', file);
        }
    }
    print_line(file, indent, error->code, error->message);
    for (size_t i = 0; i < error->error_count; i++) {
        fprintf(file, "%*s  %zu of %zu:\n", indent, "", i + 1, error->error_count);
        print_error(file, error->errors[i], indent + 4);
    }
}

void coil_error_print_record(FILE *file, const coil_error *error)
{
    print_error(file, error, 0);
}

void coil_error_print(FILE *file, int code)
{
    const coil_error *error = coil_error_current(code);
    if (error)
        print_error(file, error, 0);
    else
        print_line(file, 0, code, NULL);
}
