/* One byte says what comes; numbers are in the machine's own order, texts and bytes have their length in front.
 * Lists and errors contain others, down to a depth at which the stack is in no danger. */
#include "io/pack.h"

#include <string.h>
#include "base/alloc.h"
#include "base/error.h"
#include "base/value.h"

enum {
    FIRST_ROOM = 256,
    DEPTH_MAX = 100,
};

enum mark {
    MARK_NIL = 'n',
    MARK_BOOL = 'b',
    MARK_INTEGER = 'i',
    MARK_DOUBLE = 'd',
    MARK_TEXT = 's',
    MARK_NO_TEXT = '0',
    MARK_BYTES = 'y',
    MARK_LIST = 'l',
    MARK_ERROR = 'e',
};

/* ---- packing --------------------------------------------------------------------------------------- */

static bool make_room(struct coil__packer *packer, size_t bytes)
{
    if (packer->code < 0)
        return false;
    if (bytes <= packer->room - packer->length)
        return true;
    size_t room = packer->room ? packer->room * 2 : FIRST_ROOM;
    char *data = NULL;
    if (bytes < SIZE_MAX / 4 && packer->length < SIZE_MAX / 4) {
        if (room < packer->length + bytes)
            room = packer->length + bytes;
        data = coil__realloc(packer->data, room);
    }
    if (!data) {
        packer->code = COIL_ENOMEM;
        return false;
    }
    packer->data = data;
    packer->room = room;
    return true;
}

static void put(struct coil__packer *packer, const void *data, size_t bytes)
{
    if (bytes == 0 || !make_room(packer, bytes))
        return;
    memcpy(packer->data + packer->length, data, bytes);
    packer->length += bytes;
}

static void put_mark(struct coil__packer *packer, enum mark mark)
{
    char byte = (char)mark;
    put(packer, &byte, 1);
}

static void put_sized(struct coil__packer *packer, enum mark mark, const void *data, size_t bytes)
{
    uint64_t length = bytes;
    put_mark(packer, mark);
    put(packer, &length, sizeof length);
    put(packer, data, bytes);
}

void coil__pack_text(struct coil__packer *packer, const char *text)
{
    if (text)
        put_sized(packer, MARK_TEXT, text, strlen(text) + 1); /* with its zero byte */
    else
        put_mark(packer, MARK_NO_TEXT);
}

void coil__pack_integer(struct coil__packer *packer, int64_t integer)
{
    put_mark(packer, MARK_INTEGER);
    put(packer, &integer, sizeof integer);
}

static bool too_deep(struct coil__packer *packer, unsigned depth)
{
    if (depth > DEPTH_MAX && packer->code == 0)
        packer->code = -EMSGSIZE;
    return packer->code < 0;
}

static void pack_error(struct coil__packer *packer, const coil_error *error, unsigned depth)
{
    if (too_deep(packer, depth))
        return;
    put_mark(packer, MARK_ERROR);
    coil__pack_integer(packer, error->code);
    coil__pack_integer(packer, error->detail);
    coil__pack_text(packer, error->message);
    coil__pack_integer(packer, error->cause != NULL);
    if (error->cause)
        pack_error(packer, error->cause, depth + 1);
    coil__pack_integer(packer, (int64_t)error->error_count);
    for (size_t i = 0; i < error->error_count; i++)
        pack_error(packer, error->errors[i], depth + 1);
}

static void pack_value(struct coil__packer *packer, const coil_value *value, unsigned depth)
{
    if (too_deep(packer, depth))
        return;
    bool pointer = value->kind == COIL_BYTES || value->kind == COIL_LIST ||
                   value->kind == COIL_ERROR;
    switch (pointer && !value->pointer ? COIL_NIL : value->kind) {
    case COIL_NIL:
        put_mark(packer, MARK_NIL);
        return;
    case COIL_BOOL:
        put_mark(packer, MARK_BOOL);
        put(packer, &value->boolean, sizeof value->boolean);
        return;
    case COIL_INT:
        coil__pack_integer(packer, value->integer);
        return;
    case COIL_DOUBLE:
        put_mark(packer, MARK_DOUBLE);
        put(packer, &value->number, sizeof value->number);
        return;
    case COIL_STRING:
        coil__pack_text(packer, value->string);
        return;
    case COIL_BYTES:
        put_sized(packer, MARK_BYTES, value->bytes->data, value->bytes->length);
        return;
    case COIL_LIST: {
        uint64_t count = value->list->count;
        put_mark(packer, MARK_LIST);
        put(packer, &count, sizeof count);
        for (size_t i = 0; i < count; i++)
            pack_value(packer, &value->list->values[i], depth + 1);
        return;
    }
    case COIL_ERROR:
        pack_error(packer, value->error, depth);
        return;
    case COIL_POINTER:
    case COIL_OBJECT:
        break;
    }
    packer->code = COIL_ETYPE;
}

void coil__pack_value(struct coil__packer *packer, coil_value value)
{
    pack_value(packer, &value, 0);
}

void coil__pack_error(struct coil__packer *packer, const coil_error *error)
{
    pack_error(packer, error, 0);
}

/* ---- unpacking ------------------------------------------------------------------------------------- */

/* Lends the next bytes. NULL: there are not so many. */
static const char *get(struct coil__unpacker *unpacker, uint64_t bytes)
{
    const char *at = unpacker->at;
    if (bytes > (uint64_t)(unpacker->end - at))
        return NULL;
    unpacker->at += bytes;
    return at;
}

static bool get_into(struct coil__unpacker *unpacker, void *data, size_t bytes)
{
    const char *at = get(unpacker, bytes);
    if (at)
        memcpy(data, at, bytes);
    return at != NULL;
}

/* The next mark; 0 at the end. */
static int get_mark(struct coil__unpacker *unpacker)
{
    return unpacker->at < unpacker->end ? *unpacker->at++ : 0;
}

static int get_sized(struct coil__unpacker *unpacker, const char **data_out, uint64_t *bytes_out)
{
    if (!get_into(unpacker, bytes_out, sizeof *bytes_out))
        return -EBADMSG;
    *data_out = get(unpacker, *bytes_out);
    return *data_out ? 0 : -EBADMSG;
}

/* Behind its mark. */
static int get_text(struct coil__unpacker *unpacker, const char **text_out)
{
    uint64_t bytes;
    int rc = get_sized(unpacker, text_out, &bytes);
    if (rc < 0)
        return rc;
    return bytes > 0 && (*text_out)[bytes - 1] == '\0' ? 0 : -EBADMSG;
}

int coil__unpack_text(struct coil__unpacker *unpacker, const char **text_out)
{
    int mark = get_mark(unpacker);
    *text_out = NULL;
    if (mark == MARK_NO_TEXT)
        return 0;
    return mark == MARK_TEXT ? get_text(unpacker, text_out) : -EBADMSG;
}

int coil__unpack_integer(struct coil__unpacker *unpacker, int64_t *integer_out)
{
    bool good = get_mark(unpacker) == MARK_INTEGER &&
                get_into(unpacker, integer_out, sizeof *integer_out);
    return good ? 0 : -EBADMSG;
}

static int unpack_error(struct coil__unpacker *unpacker, coil_error **error_out, unsigned depth);

static int unpack_errors(struct coil__unpacker *unpacker, coil_error *error, size_t count,
                         unsigned depth)
{
    error->errors = coil__alloc_zero(count * sizeof *error->errors);
    if (!error->errors)
        return COIL_ENOMEM;
    for (; error->error_count < count; error->error_count++) {
        coil_error *one;
        int rc = get_mark(unpacker) == MARK_ERROR ? unpack_error(unpacker, &one, depth + 1)
                                                  : -EBADMSG;
        if (rc < 0)
            return rc;
        error->errors[error->error_count] = one;
    }
    return 0;
}

/* What a record refers to: its cause, and its list. */
static int unpack_related(struct coil__unpacker *unpacker, coil_error *error, unsigned depth)
{
    int64_t causes, count;
    int rc = coil__unpack_integer(unpacker, &causes);
    if (rc == 0 && causes == 1)
        rc = get_mark(unpacker) == MARK_ERROR ? unpack_error(unpacker, &error->cause, depth + 1)
                                              : -EBADMSG;
    if (rc == 0)
        rc = coil__unpack_integer(unpacker, &count);
    if (rc < 0 || count == 0)
        return rc;
    /* Each takes more than a byte: so the number cannot ask for more memory than there are bytes. */
    if (count < 0 || count > unpacker->end - unpacker->at)
        return -EBADMSG;
    return unpack_errors(unpacker, error, (size_t)count, depth);
}

/* Behind its mark. */
static int unpack_error(struct coil__unpacker *unpacker, coil_error **error_out, unsigned depth)
{
    int64_t code, detail;
    const char *message;
    *error_out = NULL;
    if (depth > DEPTH_MAX || coil__unpack_integer(unpacker, &code) < 0 || code >= 0 ||
        code < INT32_MIN || coil__unpack_integer(unpacker, &detail) < 0 ||
        coil__unpack_text(unpacker, &message) < 0)
        return -EBADMSG;
    coil_error *error = coil__error_new((int)code, message);
    if (!error)
        return COIL_ENOMEM;
    error->detail = detail;
    int rc = unpack_related(unpacker, error, depth);
    if (rc < 0)
        coil_unref(error);
    else
        *error_out = error;
    return rc;
}

int coil__unpack_error(struct coil__unpacker *unpacker, coil_error **error_out)
{
    *error_out = NULL;
    return get_mark(unpacker) == MARK_ERROR ? unpack_error(unpacker, error_out, 0) : -EBADMSG;
}

static int unpack_value(struct coil__unpacker *unpacker, coil_value *value_out, unsigned depth);

static int unpack_list(struct coil__unpacker *unpacker, coil_value *value_out, unsigned depth)
{
    uint64_t count;
    if (depth > DEPTH_MAX || !get_into(unpacker, &count, sizeof count) ||
        count > (uint64_t)(unpacker->end - unpacker->at))
        return -EBADMSG;
    coil_list *list = coil_list_new(NULL, (size_t)count);
    if (!list)
        return COIL_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = unpack_value(unpacker, &list->values[i], depth + 1);
    if (rc < 0)
        coil_unref(list);
    else
        *value_out = coil_list_owned(list);
    return rc;
}

static int unpack_text_or_bytes(struct coil__unpacker *unpacker, int mark, coil_value *value_out)
{
    const char *data;
    uint64_t bytes;
    int rc = mark == MARK_TEXT ? get_text(unpacker, &data) : get_sized(unpacker, &data, &bytes);
    if (rc < 0)
        return rc;
    *value_out = mark == MARK_TEXT ? coil_string_copy(data) : coil_bytes_copy(data, (size_t)bytes);
    return value_out->kind == COIL_NIL ? COIL_ENOMEM : 0;
}

static int unpack_value(struct coil__unpacker *unpacker, coil_value *value_out, unsigned depth)
{
    bool good = true;
    *value_out = coil_nil();
    int mark = get_mark(unpacker);
    switch (mark) {
    case MARK_NIL:
        return 0;
    case MARK_BOOL: {
        const char *byte = get(unpacker, 1);
        *value_out = coil_bool(byte && *byte);
        return byte ? 0 : -EBADMSG;
    }
    case MARK_INTEGER:
        value_out->kind = COIL_INT;
        good = get_into(unpacker, &value_out->integer, sizeof value_out->integer);
        return good ? 0 : -EBADMSG;
    case MARK_DOUBLE:
        value_out->kind = COIL_DOUBLE;
        good = get_into(unpacker, &value_out->number, sizeof value_out->number);
        return good ? 0 : -EBADMSG;
    case MARK_NO_TEXT:
        *value_out = coil_string(NULL);
        return 0;
    case MARK_TEXT:
    case MARK_BYTES:
        return unpack_text_or_bytes(unpacker, mark, value_out);
    case MARK_LIST:
        return unpack_list(unpacker, value_out, depth);
    case MARK_ERROR: {
        coil_error *error;
        int rc = unpack_error(unpacker, &error, depth);
        if (rc == 0)
            *value_out = coil_error_owned(error);
        return rc;
    }
    default:
        return -EBADMSG;
    }
}

int coil__unpack_value(struct coil__unpacker *unpacker, coil_value *value_out)
{
    return unpack_value(unpacker, value_out, 0);
}
