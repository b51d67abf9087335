#include "base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
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

static const struct {
    int code;
    const char *name, *text;
} own_codes[] = {
#define COIL_ERROR_CODE(name, value, text, manual) { value, #name, text },
#include <coil/errors.def>
#undef COIL_ERROR_CODE
};

const char *coil_error_name(int code)
{
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
        if (own_codes[i].code == code)
            return own_codes[i].name;
    const char *name = code < 0 && code > -4096 ? strerrorname_np(-code) : NULL;
    if (name)
        return name;
    return code <= COIL_EAPP && code > -30000 ? "application error" : "error";
}

const char *coil_strerror(int code)
{
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
        if (own_codes[i].code == code)
            return own_codes[i].text;
    static __thread char text[96];
    if (code < 0 && code > -4096)
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
    coil__free(error);
}

/* A record without a message. When there is no memory: the one that says so. */
static coil_error *error_make(int code)
{
    coil_error *error = coil__alloc_zero(sizeof *error);
    if (!error)
        return &no_memory;
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
    twin->cause = coil_ref(error->cause);
    twin->detail = error->detail;
    twin->frame_count = error->frame_count;
    twin->frames_lost = error->frames_lost;
    memcpy(twin->frames, error->frames, sizeof twin->frames);
    return twin;
}

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
    if (!error || error == &no_memory)
        return;
    if (error->frame_count == COIL__ERROR_FRAMES) {
        error->frames_lost++;
        return;
    }
    error->frames[error->frame_count++] = (struct coil__place){
        file, function, line, coil__thread.task ? coil__task_id(coil__thread.task) : 0
    };
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

int coil_reraise(coil_error *error)
{
    return coil__fail_with(error->code, error);
}

int coil_raise_group(coil_error *const *errors, size_t count, const char *message)
{
    coil__thread.last_code = COIL_EGROUP;
    coil_error *group = coil__error_new(COIL_EGROUP, message);
    if (!group)
        return coil__fail_plain(COIL_ENOMEM);
    group->errors = coil__alloc(count * sizeof *errors);
    if (!group->errors) {
        coil_unref(group);
        return coil__fail_plain(COIL_ENOMEM);
    }
    for (size_t i = 0; i < count; i++)
        group->errors[i] = coil_ref(errors[i]);
    group->error_count = count;
    push(current_chain(), group);
    return COIL_EGROUP;
}

int coil_exit(int status)
{
    coil__fail(COIL_EEXIT, "status %d", status);
    coil_error *error = coil_error_current(COIL_EEXIT);
    if (error)
        coil_error_set_detail(error, status);
    return COIL_EEXIT;
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
    return error->code;
}

const char *coil_error_message(const coil_error *error)
{
    return error->message ? error->message : "";
}

size_t coil_error_count(const coil_error *error)
{
    return error->error_count;
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

static void print_error(FILE *file, const coil_error *error, int indent)
{
    if (error->cause) {
        print_error(file, error->cause, indent);
        fprintf(file, "%*swhich led to:\n", indent, "");
    }
    if (error->frame_count > 0) {
        fprintf(file, "%*sTraceback (where it was raised last):\n", indent, "");
        if (error->frames_lost > 0)
            fprintf(file, "%*s  ... %u more\n", indent, "", error->frames_lost);
        for (unsigned i = error->frame_count; i-- > 0;) {
            const struct coil__place *place = &error->frames[i];
            fprintf(file, "%*s  %s:%d in %s", indent, "", place->file, place->line,
                    place->function);
            if (place->task_id > 0)
                fprintf(file, " (Task-%u)", place->task_id);
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
